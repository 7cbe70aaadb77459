"""A signal after engines have come and gone stops a run; it does not end the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from trocar.apps.surgical_tools import SHIPPED_PACK

PROGRAM: Final = """
import gc, signal, sys
from pathlib import Path
from trocar.apps.surgical_tools import open_detection
from trocar.backends.choices import Engine
from trocar.backends.request import BackendRequest

seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
request = BackendRequest(engine=Engine(sys.argv[2]), warm_up_count=1)
pack = Path(sys.argv[1])
first = open_detection(pack, request, frame_age_ms_max=100)
second = open_detection(pack, request, frame_age_ms_max=100)
first = None
gc.collect()
second = None
gc.collect()
signal.raise_signal(signal.SIGINT)
print("signals:", len(seen))
"""


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("engine", ["onnxruntime-cpu", "openvino-cpu"])
def test_signal_after_two_engines_are_gone_is_a_signal(engine: str) -> None:
    """OpenVINO left the main thread with a signal stack that was freed (ANO_SIGNAL_STACK)."""
    assert Path(SHIPPED_PACK).is_dir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(SHIPPED_PACK), engine],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "signals: 1"), done.stderr
