"""The reference shows what the source says: nothing missing, nothing left over, markup intact."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from trocar_lab import reference_docs

ROOT: Final = Path(__file__).resolve().parents[3]

MODULE: Final = '''"""Module of ``things`` and 2 * 3.

Tree::

    root
    |- leaf*
"""

__all__ = ["LIMIT", "Kind", "Thing", "make"]

LIMIT: int = 3
"""Largest |number| of things."""


class Kind(StrEnum):
    """Kinds."""

    SMALL = "small"
    """Fits in."""


class Thing:
    """One thing.

    Args:
        name: Its name.
        size: Its size,
            in metres.
    """

    def __init__(self, name: str, *, size: float) -> None: ...

    @property
    def area(self) -> float:
        """Area."""

    def _hidden(self) -> None:
        """Not shown."""


async def make(count: int = 2) -> Thing:
    """Make it.

    Returns:
        The thing.

    Raises:
        ValueError: ``count`` is below 1.

    Source:
        A paper_.
    """


def unlisted() -> None:
    """Not shown either."""
'''


def test_page_shows_what_all_names() -> None:
    """Signature, words, sections and members come from the text, hidden names do not."""
    page = reference_docs.module_page("trocar.things", ast.parse(MODULE))
    for expected in (
        "``trocar.things``\n=================\n",
        "Module of ``things`` and 2 \\* 3.\n\nTree::\n\n    root\n    |- leaf*\n",
        "   LIMIT: int = 3\n\nLargest \\|number\\| of things.",
        "- ``SMALL`` = ``'small'``: Fits in.",
        "   class Thing:\n       def __init__(self, name: str, *, size: float) -> None: ...",
        "**Arguments**\n\n``name``\n   Its name.\n``size``\n   Its size, in metres.\n",
        "   @property\n   def area(self) -> float: ...",
        "   async def make(count: int=2) -> Thing: ...",
        "**Returns**\n\nThe thing.",
        "**Raises**\n\n``ValueError``\n   ``count`` is below 1.",
        "**Source**\n\nA paper\\_.",
    ):
        assert expected in page
    assert "_hidden" not in page
    assert "unlisted" not in page


def test_missing_stale_and_left_over_pages_are_red(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page of a module that is gone misleads as much as one that is missing."""
    source = tmp_path / "src" / "trocar" / "things.py"
    source.parent.mkdir(parents=True)
    source.write_text(MODULE, encoding="utf-8")
    (source.parent / "private.py").write_text('"""Nothing public."""\n', encoding="utf-8")
    root = ["--root", str(tmp_path)]
    assert reference_docs.main(["--check", *root]) == 1
    assert reference_docs.main(["--write", *root]) == 0
    folder = tmp_path / reference_docs.FOLDER
    assert sorted(path.name for path in folder.iterdir()) == ["index.rst", "trocar.things.rst"]
    (folder / "trocar.gone.rst").write_text("old", encoding="utf-8")
    capsys.readouterr()
    assert reference_docs.main(["--check", *root]) == 1
    assert "trocar.gone.rst: has no module" in capsys.readouterr().out
    assert reference_docs.main(["--write", *root]) == 0
    source.write_text(MODULE.replace("Make it.", "Build it."), encoding="utf-8")
    assert reference_docs.main(["--check", *root]) == 1
    assert "trocar.things.rst: stale or missing" in capsys.readouterr().out


def test_every_public_module_of_the_device_has_its_page() -> None:
    """The list is made from the tree, so a new module is in it without anybody's help."""
    names = {path.stem for path in reference_docs.pages(ROOT)}
    assert {"index", "trocar", "trocar.contracts.frame", "trocar.cli.main"} <= names
    assert "trocar.__main__" not in names
