"""The shipped unit answers with the network closed, on each engine of the processor."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np
import pytest
from PIL import Image

from simulators.closed_network import REACHED_OUT
from trocar.apps.endoscopy import DEMO_CLIP

TESTS: Final = Path(__file__).resolve().parents[1]
ENGINES: Final = {"onnxruntime-cpu": "onnxruntime", "openvino-cpu": "openvino"}
"""Engine of the processor -> the package that it needs."""

FRAME_STEP: Final = 50
SECONDS_MAX: Final = 200
HOLD_S: Final = 13
"""ONNX Runtime 1.31.1 made its first report about 9 s after the session began."""

CLOSE: Final = "from simulators.closed_network import close_network\nclose_network()\n"
RUN: Final = "import sys\nfrom trocar.cli.main import main\ncode = main(sys.argv[1:])\n"
HOLD: Final = f"import time\ntime.sleep({HOLD_S})\n"
END: Final = "import sys\nsys.exit(code)\n"


def _python(program: str, *words: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, for a user who has set and stored nothing."""
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
        env={**kept, "HOME": str(home), "PYTHONPATH": str(TESTS)},
    )


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a few frames of the demonstration clip."""
    folder = tmp_path_factory.mktemp("frames")
    with av.open(str(DEMO_CLIP)) as container:
        for number, frame in enumerate(islice(container.decode(video=0), 0, None, FRAME_STEP)):
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(folder / f"{number}.png")
    return folder


def _masks(program: str, stills: Path, output: Path, engine: str) -> dict[str, bytes]:
    """Run the command line on the stills; return the mask files, byte by byte."""
    home = output.with_name(f"home_of_{output.name}")
    home.mkdir()
    words = ("run", "polyp_segmentation", stills, "-o", output, "--engine", engine)
    done = _python(program, *words, home=home)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    assert list(home.iterdir()) == [], "reporters keep their identifier there"
    return {path.name: path.read_bytes() for path in sorted((output / "masks").iterdir())}


@pytest.mark.verifies("SRS_NETWORK_001", extent="full", technique="fault_injection")
@pytest.mark.parametrize("engine", ENGINES)
def test_unit_gives_the_same_masks_with_the_network_closed(
    stills: Path, tmp_path: Path, engine: str
) -> None:
    """From the first import to the very end nobody asks for a socket, nor for a second process."""
    if importlib.util.find_spec(ENGINES[engine]) is None:
        pytest.skip(f"engine not installed: {ENGINES[engine]}")
    closed = _masks(CLOSE + RUN + HOLD + END, stills, tmp_path / "closed", engine)
    assert closed == _masks(RUN + END, stills, tmp_path / "open", engine)
    assert len(closed) == len(list(stills.iterdir())) >= 3
    pixels = [np.asarray(Image.open(tmp_path / "closed" / "masks" / name)) for name in closed]
    assert any(mask.any() for mask in pixels), "empty masks that are equal would show little"


@pytest.mark.verifies("SRS_NETWORK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', 9), timeout=1)",
        "socket.getaddrinfo('localhost', 9)",
        "_socket.socket()",
        "urllib.request.urlopen('http://127.0.0.1:9')",
        "subprocess.run(['true'])",
        "multiprocessing.Process(target=print).start()",
        "atexit.register(lambda: _socket.socket())",
    ],
)
def test_attempt_that_a_library_hides_would_be_seen(attempt: str, tmp_path: Path) -> None:
    """Its failure swallowed, in a second process, or at the end only: the exit code tells."""
    imports = "import _socket, atexit, contextlib, multiprocessing, socket, subprocess\n"
    hidden = f"import urllib.request\nwith contextlib.suppress(OSError):\n    {attempt}\n"
    done = _python(f"{CLOSE}{imports}{hidden}code = 0\n{END}", home=tmp_path)
    assert done.returncode == REACHED_OUT, done.stderr
    assert "reached out: " in done.stderr


@pytest.mark.verifies("SRS_NETWORK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("family", [1, 2, 10], ids=["unix", "inet", "inet6"])
def test_attempt_of_native_code_would_be_seen(family: int, tmp_path: Path) -> None:
    """A thread of an engine needs no interpreter to open a socket: the kernel ends the process."""
    native = f"import ctypes, threading\ncall = lambda: ctypes.CDLL(None).socket({family}, 1, 0)\n"
    thread = "thread = threading.Thread(target=call)\nthread.start()\nthread.join()\ncode = 0\n"
    done = _python(CLOSE + native + thread + END, home=tmp_path)
    assert done.returncode == -signal.SIGSYS, done.stderr
