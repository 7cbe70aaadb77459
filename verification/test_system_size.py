"""System verification of the size of an installation, from the files that its packages list."""

from __future__ import annotations

import marshal
import tomllib
from collections.abc import Callable
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

from trocar.apps.endoscopy import SHIPPED_PACK

INSTALLED_MB_MAX: Final = 250.0
ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "pylock.device-cpu.toml"
REGISTER: Final = ROOT / "risk" / "soup.toml"
BYTECODE_HEAD_BYTES: Final = 16
OF_EXTRAS: Final = frozenset({"fastcrc", "openvino"})
"""What the lock holds for extras that an installation with one engine does not ask for."""


def _packages() -> list[str]:
    """Return the packages of a CPU installation with ONNX Runtime."""
    locked = tomllib.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    return [one["name"] for one in locked if one["name"] not in OF_EXTRAS]


def _rules() -> dict[str, list[str]]:
    """Return the patterns of the files that a device leaves out, by package."""
    rows = tomllib.loads(REGISTER.read_text(encoding="utf-8"))["left_out_files"]
    return {row["package"]: row["patterns"] for row in rows}


def _bytes_with_bytecode(name: str, place: Path) -> int:
    """Return the size of a file, with that of the module which the installer compiles from it."""
    size = place.stat().st_size
    if place.suffix != ".py" or "/tests/" in name:
        return size
    code = compile(place.read_bytes(), str(place), "exec", dont_inherit=True)
    return size + BYTECODE_HEAD_BYTES + len(marshal.dumps(code))


def _listed_mb(name: str, patterns: list[str]) -> float:
    """Return the size of the files that came with a package and that an installation keeps."""
    files = metadata.files(name)
    assert files, f"{name} lists no files"
    kept = [
        one
        for one in files
        if one.suffix != ".pyc" and not any(fnmatchcase(one.as_posix(), pat) for pat in patterns)
    ]
    places = {one.as_posix(): Path(str(one.locate())) for one in kept}
    return sum(_bytes_with_bytecode(*one) for one in places.items() if one[1].is_file()) / 1e6


def _device_mb() -> float:
    """Return the size of the device itself."""
    root = SHIPPED_PACK.parents[2]
    places = [one for one in root.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
    return sum(_bytes_with_bytecode(str(place), place) for place in places) / 1e6


@pytest.mark.verifies("SRS_START_006", extent="full", technique="requirement")
def test_size_of_an_installation_for_the_processor(
    record_property: Callable[[str, object], None],
) -> None:
    """Packages of the device lock with one engine, what is left out, and compiled modules."""
    rules = _rules()
    sizes_mb = {name: round(_listed_mb(name, rules.get(name, [])), 2) for name in _packages()}
    sizes_mb["trocar"] = round(_device_mb(), 2)
    total_mb = sum(sizes_mb.values())
    record_property("sizes_mb", sizes_mb)
    record_property("total_mb", round(total_mb, 1))
    assert {"av", "numpy", "onnxruntime"} <= sizes_mb.keys()
    assert total_mb <= INSTALLED_MB_MAX, sizes_mb
