"""Imports of the device by the device: every way to write one is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from trocar_lab.evidence.source.item_imports import read_imports


@pytest.mark.parametrize(
    ("statement", "target", "name"),
    [
        ("import trocar.x.one", "trocar.x.one", ""),
        ("import trocar.x.one as first", "trocar.x.one", ""),
        ("from trocar.x import one", "trocar.x.one", ""),
        ("from trocar.x.one import First", "trocar.x.one", "First"),
        ("from trocar.x.one import *", "trocar.x.one", "*"),
        ("from trocar.x import First", "trocar.x", "First"),
        ("from trocar import x", "trocar.x", ""),
        ("from . import two", "trocar.y.two", ""),
        ("from .two import Second", "trocar.y.two", "Second"),
        ("from ..x import one", "trocar.x.one", ""),
        ("from ..x.one import First", "trocar.x.one", "First"),
        ("def f():\n    from trocar.x import one", "trocar.x.one", ""),
        ("if TYPE_CHECKING:\n    from trocar.x import one", "trocar.x.one", ""),
        ("importlib.import_module('trocar.x.one')", "trocar.x.one", ""),
        ("__import__('trocar.x.one')", "trocar.x.one", ""),
    ],
)
def test_every_way_to_import_is_found(
    tmp_path: Path, statement: str, target: str, name: str
) -> None:
    """An import that the reader does not see would cross every border unseen."""
    _tree(tmp_path, {"y/__init__.py": "", "y/own.py": statement, "y/two.py": ""})
    (found,) = read_imports(tmp_path)
    assert (found.importer, found.target, found.name) == ("trocar.y.own", target, name)
    assert (found.path, found.line) == ("src/trocar/y/own.py", statement.count("\n") + 1)


@pytest.mark.parametrize(
    "statement",
    [
        "import trocar_lab.x",
        "from trocar_lab.x import one",
        "from trocarx import one",
        "from trocar.gone import one",
        "from .... import one",
        "import_module('numpy')",
        "import_module(name)",
        "import_module()",
        "(first()).import_module('numpy')",
        "def (",
    ],
)
def test_what_is_not_of_the_device_is_no_import_of_it(tmp_path: Path, statement: str) -> None:
    """Other packages, other files, text that is no Python: rules C4, F1 and others see to them."""
    _tree(tmp_path, {"y/__init__.py": "", "y/own.py": statement})
    assert read_imports(tmp_path) == ()


def test_package_is_an_importer_under_its_own_name(tmp_path: Path) -> None:
    """A relative import in a package begins in the package itself."""
    _tree(tmp_path, {"y/__init__.py": "from .two import Second", "y/two.py": ""})
    (found,) = read_imports(tmp_path)
    assert (found.importer, found.target, found.name) == ("trocar.y", "trocar.y.two", "Second")


def _tree(root: Path, files: Mapping[str, str]) -> None:
    """Write the files of a small device; ``x`` with the module ``one`` is always there."""
    for name, text in {"__init__.py": "", "x/__init__.py": "", "x/one.py": "", **files}.items():
        path = root / "src" / "trocar" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
