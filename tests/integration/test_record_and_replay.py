"""A run is recorded, its process is killed, and what came can be played again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulators.scripted_run import START_NS
from simulators.source import ListSource, noise_pixels, raw_frame
from simulators.unit import ScriptedUnit
from trocar.contracts.ports import FrameSource, Sink
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.recording import FrameRecorder
from trocar.streaming.recording_source import RecordingSource
from trocar.streaming.scheduler import run_stream
from trocar.streaming.sink_queue import QueuedSink, QueuePolicy
from trocar.streaming.summary import StreamConfig

ROOT = Path(__file__).resolve().parents[1]
CHILD = """
import sys
from pathlib import Path
from simulators.source import noise_pixels
from simulators.unit import frame_record
from trocar.contracts.frame import Frame
from trocar.streaming.recording import FrameRecorder
recorder = FrameRecorder(Path(sys.argv[1]), source_id="list", chunk_bytes_max=60_000)
index = 0
while True:
    pixels = noise_pixels(index % 50)
    frame = Frame(pixels=pixels, frame_index=index, captured_at_ns=index, source_id="list")
    recorder.write(frame_record(index), frame)
    index += 1
    if index == 40:
        print("go", flush=True)
"""


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="fault_injection")
def test_every_frame_written_before_a_kill_can_be_replayed(tmp_path: Path) -> None:
    """The process is killed in the middle of whatever it does."""
    folder = tmp_path / "rec"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        child.send_signal(signal.SIGKILL)
    source = RecordingSource(folder, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock())
    got = list(source.frames(lambda: False))
    assert len(got) >= 40
    assert [raw.frame_index for raw in got] == list(range(len(got)))
    assert all(np.array_equal(raw.pixels, noise_pixels(i % 50)) for i, raw in enumerate(got))


@pytest.mark.verifies("SRS_LIVE_009", extent="partial", technique="replay")
def test_replay_of_a_replay_is_the_recording(tmp_path: Path) -> None:
    """Recorded behind a queue, replayed, recorded again: pixels and answers are the same."""
    frames = [raw_frame(i * 2, captured_at_ns=START_NS + i) for i in range(8)]
    first = tmp_path / "first"
    recorder = FrameRecorder(first, source_id="list")
    queued = QueuedSink(recorder, policy=QueuePolicy.BLOCK)
    live = _answers(ListSource(frames), queued, tmp_path / "live.jsonl")
    second = FrameRecorder(tmp_path / "second", source_id="list")
    replayed = _answers(_replay(first), second, tmp_path / "replayed.jsonl")
    assert replayed == live
    assert (tmp_path / "second" / "chunk-000000.rgb").read_bytes() == (
        first / "chunk-000000.rgb"
    ).read_bytes()


def _answers(source: FrameSource, sink: Sink, path: Path) -> list[list[object]]:
    """Run once; return index, outcome and gap of each line."""
    run_stream(
        source,
        [ScriptedUnit()],
        [JsonlSink(path), sink],
        clock=MonotonicClock(),
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=lambda: False,
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        [line[key] for key in ("frame_index", "outcome", "dropped_before_count")] for line in lines
    ]


def _replay(folder: Path) -> RecordingSource:
    """Return a replay that is not paced."""
    return RecordingSource(folder, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock())
