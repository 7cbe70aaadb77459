"""System verification of the size of an installation, from the files that its packages list."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

from trocar.apps.endoscopy import SHIPPED_PACK

INSTALLED_MB_MAX: Final = 250.0
LOCK: Final = Path(__file__).resolve().parents[1] / "pylock.device-cpu.toml"
OF_EXTRAS: Final = frozenset({"fastcrc", "openvino"})
"""What the lock holds for extras that an installation with one engine does not ask for."""


class AboveLimitError(AssertionError):
    """The size was measured as the requirement says, and is above its limit."""


def _packages() -> list[str]:
    """Return the packages of a CPU installation with ONNX Runtime."""
    locked = tomllib.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    return [one["name"] for one in locked if one["name"] not in OF_EXTRAS]


def _listed_mb(name: str) -> float:
    """Return the size of the files that came with a package; compiled modules do not count."""
    files = metadata.files(name)
    assert files, f"{name} lists no files"
    places = [Path(str(one.locate())) for one in files if one.suffix != ".pyc"]
    return sum(place.stat().st_size for place in places if place.is_file()) / 1e6


def _device_mb() -> float:
    """Return the size of the device itself."""
    root = SHIPPED_PACK.parents[2]
    places = (one for one in root.rglob("*") if one.is_file() and "__pycache__" not in one.parts)
    return sum(place.stat().st_size for place in places) / 1e6


@pytest.mark.verifies("SRS_START_006", extent="full", technique="requirement")
@pytest.mark.xfail(
    strict=True,
    raises=AboveLimitError,
    reason="ANO_INSTALL_SIZE: above the limit in 0.1.0, waived by name until a date",
)
def test_size_of_an_installation_for_the_processor(
    record_property: Callable[[str, object], None],
) -> None:
    """Packages of the device lock with one engine, and the device with its packs."""
    sizes_mb = {name: round(_listed_mb(name), 1) for name in _packages()}
    sizes_mb["trocar"] = round(_device_mb(), 1)
    total_mb = sum(sizes_mb.values())
    record_property("sizes_mb", sizes_mb)
    record_property("total_mb", round(total_mb, 1))
    assert {"av", "numpy", "onnxruntime"} <= sizes_mb.keys()
    if total_mb > INSTALLED_MB_MAX:
        raise AboveLimitError(f"{total_mb:.1f} MB: {sizes_mb}")
