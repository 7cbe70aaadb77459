"""The tools that guard the tree, guarded: planted faults turn ruff, mypy and import-linter red."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from architecture.test_layers import run_import_linter

ROOT: Final = Path(__file__).resolve().parents[2]

RUFF_PLANTS: Final = {
    "T201": "print(1)\n",
    "S101": "def f(x: int) -> None:\n    assert x\n",
    "PLW0603": "x = 1\n\n\ndef f() -> None:\n    global x\n    x = 2\n",
    "B006": "def f(x: list[int] = []) -> list[int]:\n    return x\n",
    "E722": "try:\n    x = 1\nexcept:\n    x = 2\n",
    "BLE001": "try:\n    x = 1\nexcept Exception:\n    x = 2\n",
    "ANN001": "def f(x) -> None:\n    del x\n",
    "ANN201": "def f():\n    return 1\n",
    "D103": "def f() -> None:\n    del f\n",
    "D101": "class A:\n    pass\n",
    "E501": "x = '" + "a" * 100 + "'\n",
    "C901": "def f(x: int) -> None:\n" + "    if x:\n        x = 1\n" * 11,
    "PLR1702": "def f(x: int) -> None:\n"
    + "".join("    " * n + f"if x > {n}:\n" for n in range(1, 6))
    + "    " * 6
    + "x = 1\n",
    "PLR0917": "def f(a: int, b: int, c: int, d: int, e: int, g: int) -> None:\n    return\n",
    "S301": "import pickle\n\nx = pickle.loads(b'')\n",
    "S307": "x = eval('1')\n",
    "PGH003": "x = 1  # type: ignore\n",
    "PGH004": "x = 1  # noqa\n",
    "DTZ005": "import datetime\n\nx = datetime.datetime.now()\n",
    "RUF100": "x = 1  # noqa: E501 - a reason\n",
}
"""Code of ruff's rule -> code that breaks it, as a file of the device."""


MYPY_PLANTS: Final = '''"""Planted."""
from typing import Literal, assert_never

def untyped(x):
    return x

def bare(x: list) -> int:
    return len(x)

def match_all(x: Literal["a", "b"]) -> None:
    match x:
        case "a":
            pass
        case _:
            assert_never(x)

def dead(x: int) -> int:
    if isinstance(x, int):
        return 1
    return 2

def maybe(x: bool) -> int:
    if x:
        y = 1
    return y
'''
"""Faults that ``mypy --strict`` and the extra checks must find."""


@pytest.fixture(scope="module")
def ruff_codes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return which codes ruff gives to each planted file, under this repository's settings."""
    root = tmp_path_factory.mktemp("ruff")
    shutil.copy(ROOT / "pyproject.toml", root)
    for code, text in RUFF_PLANTS.items():
        path = root / "src" / "trocar" / "units" / f"{code.lower()}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""Planted."""\n\n{text}', encoding="utf-8")
    command = ["ruff", "check", "--no-cache", "--output-format", "json", "."]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=root, capture_output=True, check=False, timeout=120
    )
    codes: dict[str, set[str]] = {code: set() for code in RUFF_PLANTS}
    for fault in json.loads(done.stdout):
        codes[Path(fault["filename"]).stem.upper()].add(fault["code"])
    return codes


@pytest.mark.parametrize("code", sorted(RUFF_PLANTS))
def test_ruff_rule_is_switched_on(code: str, ruff_codes: dict[str, set[str]]) -> None:
    """A rule that the style guide promises must be red for a file of the device."""
    assert code in ruff_codes[code]


def test_no_ruff_rule_is_switched_off_for_the_device() -> None:
    """Exceptions by folder exist for tests and the toolchain, never for the device."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["ruff"]["lint"]["per-file-ignores"]
    assert not [p for p in patterns if p.startswith(("*", "src/trocar/", "src/*", "src/**"))]


@pytest.fixture(scope="module")
def mypy_output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what mypy says about planted faults, under this repository's settings."""
    root = tmp_path_factory.mktemp("mypy")
    shutil.copy(ROOT / "pyproject.toml", root)
    path = root / "src" / "trocar" / "planted.py"
    path.parent.mkdir(parents=True)
    path.write_text(MYPY_PLANTS, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--show-error-codes", str(path)]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (4, "no-untyped-def"),
        (7, "type-arg"),
        (15, "arg-type"),
        (20, "unreachable"),
        (25, "possibly-undefined"),
    ],
)
def test_mypy_check_is_switched_on(line: int, code: str, mypy_output: str) -> None:
    """Untyped code, an outcome without a case, dead code and unset names are all red."""
    reported = [text for text in mypy_output.splitlines() if f"planted.py:{line}:" in text]
    assert any(f"[{code}]" in text for text in reported), mypy_output


def _layer_packages(contract: str) -> list[str]:
    """Return the packages that a layers contract names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(entry["layers"] for entry in contracts if entry["name"] == contract)
    return [part.strip() for layer in layers for part in layer.split("|") if "(" not in layer]


def _layered_tree(root: Path, changes: Mapping[str, str]) -> Path:
    """Write an empty device with all its layers, two units, two applications and the toolchain."""
    modules = [
        *_layer_packages("device layers"),
        "units.polyp",
        "units.tool",
        "apps.endoscopy",
        "apps.surgery",
        "packs.content",
        "packs.verify",
    ]
    files = {f"src/trocar/{name.replace('.', '/')}/__init__.py": "" for name in modules}
    trace = ("", *(f"{name}/" for name in _layer_packages("layers of the trace")))
    files |= {f"src/trocar_lab/evidence/{name}__init__.py": "" for name in trace}
    files |= {"src/trocar/__init__.py": "", "src/trocar_lab/__init__.py": "", **changes}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_import_linter_is_green_on_layers_that_hold(tmp_path: Path) -> None:
    """Imports that point downwards break nothing; the toolchain may import the device."""
    allowed = {
        "src/trocar/units/polyp/__init__.py": "import trocar.imaging\nimport trocar.contracts\n",
        "src/trocar/apps/opening/__init__.py": "import trocar.backends\n",
        "src/trocar/apps/endoscopy/__init__.py": (
            "import trocar.apps.opening\nimport trocar.units.polyp\n"
        ),
        "src/trocar/packs/verify/__init__.py": "import trocar.packs.content\n",
        "src/trocar_lab/__init__.py": (
            "import trocar.units.polyp\nimport torch\nimport trocar.packs.content\n"
        ),
    }
    done = run_import_linter(_layered_tree(tmp_path / "tree", allowed), cache=tmp_path)
    assert (done.returncode, "6 kept, 0 broken" in done.stdout) == (0, True), (
        done.stdout + done.stderr
    )


@pytest.mark.parametrize(
    ("contract", "name", "text"),
    [
        ("device layers", "src/trocar/contracts/__init__.py", "import trocar.imaging\n"),
        ("device layers", "src/trocar/imaging/__init__.py", "import trocar.units.polyp\n"),
        ("device layers", "src/trocar/units/polyp/__init__.py", "import trocar.backends\n"),
        ("device layers", "src/trocar/streaming/__init__.py", "import trocar.packs\n"),
        ("device layers", "src/trocar/apps/endoscopy/__init__.py", "import trocar.cli\n"),
        ("device layers", "src/trocar/contracts/__init__.py", "def f():\n    import trocar.cli\n"),
        ("device layers", "src/trocar/unplaced/__init__.py", ""),
        (
            "units are blind to each other",
            "src/trocar/units/polyp/__init__.py",
            "import trocar.units.tool\n",
        ),
        (
            "applications are blind to each other",
            "src/trocar/apps/endoscopy/__init__.py",
            "import trocar.apps.surgery\n",
        ),
        (
            "applications are blind to each other",
            "src/trocar/apps/opening/__init__.py",
            "import trocar.apps.endoscopy\n",
        ),
        (
            "packs are opened through verify",
            "src/trocar/apps/opening/__init__.py",
            "import trocar.packs.content\n",
        ),
        (
            "packs are opened through verify",
            "src/trocar/cli/__init__.py",
            "def f():\n    from trocar.packs import content\n",
        ),
        (
            "layers of the trace",
            "src/trocar_lab/evidence/store/__init__.py",
            "import trocar_lab.evidence.rules\n",
        ),
        (
            "the device never imports the toolchain",
            "src/trocar/units/tool/__init__.py",
            "import torch\n",
        ),
        (
            "the device never imports the toolchain",
            "src/trocar/cli/__init__.py",
            "import trocar_lab\n",
        ),
    ],
)
def test_import_linter_is_red_on_planted_import(
    contract: str, name: str, text: str, tmp_path: Path
) -> None:
    """Upward, sideways, toolchain: each contract breaks on the import that it forbids."""
    done = run_import_linter(_layered_tree(tmp_path / "tree", {name: text}), cache=tmp_path)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0, said
    if "unplaced" in name:
        assert "unplaced" in said
    else:
        assert f"{contract} BROKEN" in said, said
