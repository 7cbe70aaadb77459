"""What a start brings in, reads and computes: counted in fresh processes, not timed."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from trocar.apps.endoscopy import SHIPPED_PACK
from trocar.backends.request import BackendRequest

SECONDS_MAX: Final = 200
WHEEL_BYTES_MAX: Final = 15_000_000
SHIPPED_CODE: Final = SHIPPED_PACK.parents[2]
ENGINES: Final = {"onnxruntime-cpu": "onnxruntime", "openvino-cpu": "openvino"}
"""Engine of the processor -> the package that it needs."""

HEAVY: Final = frozenset({
    "PIL",
    "av",
    "cryptography",
    "numpy",
    "onnxruntime",
    "openvino",
    "pydantic",
    "structlog",
})
COMMANDS: Final = ("demo", "run", "stream", "units", "show", "selftest")

REPORT: Final = """
import json, sys
opened, calls = [], 0
sys.addaudithook(lambda event, found: event == "open" and opened.append(str(found[0])))
from trocar.cli.main import main
if "--help" not in sys.argv and sys.argv[1] == "run":
    import trocar.backends.onnxruntime as one, trocar.backends.openvino as other
    for kind in (one.OnnxRuntimeBackend, other.OpenVinoBackend):
        def counted(self, batch, infer=kind.infer):
            global calls
            calls += 1
            return infer(self, batch)
        kind.infer = counted
code = main(sys.argv[1:])
print("\\n" + json.dumps({
    "code": code, "modules": sorted(sys.modules), "opened": opened, "calls": calls
}))
"""
"""A command, and what it imported, opened and computed."""


def _start(*words: str | Path) -> dict[str, Any]:
    """Run a command in a process of its own; return what it did."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    assert found["code"] == 0, done.stderr
    return found


def _packages(found: dict[str, Any]) -> set[str]:
    """Return the packages that were imported."""
    return {name.partition(".")[0] for name in found["modules"]}


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """Return one picture."""
    path = tmp_path / "still.png"
    levels = np.random.default_rng(3).integers(90, 160, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


@pytest.mark.verifies("SRS_START_001", extent="full", technique="requirement")
@pytest.mark.parametrize(
    "words", [("--version",), ("--help",), *((name, "--help") for name in COMMANDS)], ids=" ".join
)
def test_help_and_version_bring_in_nothing_that_computes(words: tuple[str, ...]) -> None:
    """Who asks for the version of an installation must get it even where an engine is broken."""
    assert _packages(_start(*words)) & HEAVY == set()


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.verifies("SRS_START_002", "SRS_START_003", extent="full", technique="requirement")
def test_start_verifies_once_replays_once_and_loads_one_engine(
    still: Path, tmp_path: Path, engine: str
) -> None:
    """A second verification would cost time and could read other bytes than the first."""
    if importlib.util.find_spec(ENGINES[engine]) is None:
        pytest.skip(f"{ENGINES[engine]} is not installed")
    found = _start("run", "polyp_segmentation", still, "-o", tmp_path / "out", "--engine", engine)
    for path in sorted(SHIPPED_PACK.iterdir()):
        count = sum(Path(one).name == path.name for one in found["opened"])
        assert count == 1, f"{path.name} was opened {count} times"
    assert found["calls"] == BackendRequest().warm_up_count + 1 + 1, "warm-up, case, the frame"
    assert _packages(found) & set(ENGINES.values()) == {ENGINES[engine]}
    converters = ("openvino.tools.ovc.", "openvino.frontend.tensorflow")
    assert [name for name in found["modules"] if name.startswith(converters)] == []


@pytest.mark.verifies("SRS_START_005", extent="full", technique="boundary")
def test_wheel_keeps_its_size() -> None:
    """A further pack or clip must not slip in: edge boxes are filled from small media."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in sorted(SHIPPED_CODE.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                wheel.write(path, path.relative_to(SHIPPED_CODE.parent))
    assert len(archive.getvalue()) <= WHEEL_BYTES_MAX
