"""Whole runs from file to outputs: what happens when a part of them fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simulators.clock import FakeClock
from simulators.source import noise_pixels, write_video
from simulators.unit import ScriptedUnit
from trocar.contracts.errors import SinkError, SourceLostError, TrocarError
from trocar.contracts.frame import Frame
from trocar.contracts.ports import FrameSource, Sink, StopSignal
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.image_files import ImageFilesSource, list_images
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.latency_summary import LatencySummarySink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.mask_files import MaskFilesSink
from trocar.streaming.overlay_video import OverlayVideoSink
from trocar.streaming.pacing import Pacing, StreamKind
from trocar.streaming.scheduler import run_stream
from trocar.streaming.sink_queue import QueuedSink, QueuePolicy
from trocar.streaming.summary import EndedBecause, StreamConfig, StreamSummary
from trocar.streaming.video_file import VideoFileSource

FRAME_COUNT = 12


def _pictures(count: int = FRAME_COUNT) -> list[NDArray[np.uint8]]:
    return [noise_pixels(i) for i in range(count)]


def _recording(folder: Path) -> Path:
    return write_video(folder / "a.mkv", _pictures())


def _run(
    source: FrameSource,
    sinks: list[Sink],
    *,
    pacing: Pacing = Pacing.AS_FAST_AS_POSSIBLE,
    kind: StreamKind = StreamKind.VIDEO,
    stop: StopSignal = lambda: False,
    unit: ScriptedUnit | None = None,
    ledger: DropLedger | None = None,
) -> StreamSummary:
    return run_stream(
        source,
        [unit or ScriptedUnit()],
        sinks,
        clock=MonotonicClock(),
        config=StreamConfig(pacing=pacing, kind=kind),
        stop=stop,
        ledger=ledger,
    )


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _shown_count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="requirement")
def test_complete_run_leaves_complete_outputs(tmp_path: Path) -> None:
    """Record, video and report speak of the same frames."""
    source = VideoFileSource(
        _recording(tmp_path), pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock()
    )
    overlay = QueuedSink(OverlayVideoSink(tmp_path / "o.mp4"), policy=QueuePolicy.BLOCK)
    sinks: list[Sink] = [
        JsonlSink(tmp_path / "r.jsonl"),
        overlay,
        LatencySummarySink(tmp_path / "latency.json", deadline_ms=100),
    ]
    summary = _run(source, sinks)
    assert summary.finding_count == FRAME_COUNT
    assert [r["frame_index"] for r in _records(tmp_path / "r.jsonl")] == list(range(FRAME_COUNT))
    assert _shown_count(tmp_path / "o.mp4") == FRAME_COUNT
    assert json.loads((tmp_path / "latency.json").read_text())["answered_count"] == FRAME_COUNT


@pytest.mark.verifies("SRS_STREAM_002", extent="full", technique="property")
@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="requirement")
def test_slow_unit_in_real_time_accounts_for_every_frame(tmp_path: Path) -> None:
    """Answered, dropped and waiting frames add up to all of them, and the record says where."""
    clock = FakeClock()
    path = _recording(tmp_path)
    source = VideoFileSource(path, pacing=Pacing.REALTIME, clock=clock)
    ledger = DropLedger()
    release = threading.Event()
    unit = ScriptedUnit(on_run=lambda _: release.wait(0.02))
    summary = run_stream(
        source,
        [unit],
        [JsonlSink(tmp_path / "r.jsonl")],
        clock=clock,
        config=StreamConfig(pacing=Pacing.REALTIME),
        stop=lambda: False,
        ledger=ledger,
    )
    records = _records(tmp_path / "r.jsonl")
    dropped = [d.frame_index for d in ledger.dropped_frames()]
    answered = [r["frame_index"] for r in records]
    assert sorted(answered + dropped) == list(range(FRAME_COUNT))
    assert answered == sorted(answered)
    assert sum(r["dropped_before_count"] for r in records) == summary.displaced_count
    assert summary.received_count == FRAME_COUNT


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="fault_injection")
def test_cut_recording_keeps_its_answers_and_fails(tmp_path: Path) -> None:
    """All that could be decoded is in the record; the run still ends with an error."""
    path = _recording(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = VideoFileSource(path, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock())
    with pytest.raises(SourceLostError, match="cut off"):
        _run(source, [JsonlSink(tmp_path / "r.jsonl")])
    indices = [r["frame_index"] for r in _records(tmp_path / "r.jsonl")]
    assert 0 < len(indices) < FRAME_COUNT
    assert indices == list(range(len(indices)))


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
@pytest.mark.parametrize("open_sink", [JsonlSink, OverlayVideoSink])
def test_full_disk_leaves_the_other_outputs_intact(
    tmp_path: Path, open_sink: Callable[[Path], Sink]
) -> None:
    """One full disk does not cost what lies on the other."""
    source = VideoFileSource(
        _recording(tmp_path), pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock()
    )
    with pytest.raises(SinkError) as caught:
        _run(source, [JsonlSink(tmp_path / "r.jsonl"), open_sink(Path("/dev/full"))])
    assert caught.value.exit_code == 73
    assert _records(tmp_path / "r.jsonl")[0]["frame_index"] == 0


@pytest.mark.verifies("SRS_STREAM_007", extent="full", technique="fault_injection")
@pytest.mark.parametrize("pacing", list(Pacing))
def test_ctrl_c_in_the_middle_leaves_outputs_that_can_be_read(
    tmp_path: Path, pacing: Pacing
) -> None:
    """Every answered frame is in every output."""
    stopped = threading.Event()

    def stop_at_three(frame: Frame) -> None:
        if frame.frame_index >= 3:
            stopped.set()

    clock = MonotonicClock()
    source = VideoFileSource(_recording(tmp_path), pacing=pacing, clock=clock)
    overlay = QueuedSink(OverlayVideoSink(tmp_path / "o.mp4"), policy=QueuePolicy.BLOCK)
    summary = _run(
        source,
        [JsonlSink(tmp_path / "r.jsonl"), overlay],
        pacing=pacing,
        stop=stopped.is_set,
        unit=ScriptedUnit(on_run=stop_at_three),
    )
    count = len(_records(tmp_path / "r.jsonl"))
    assert summary.ended_because is EndedBecause.STOPPED
    assert 0 < count < FRAME_COUNT
    assert (summary.answered_count, _shown_count(tmp_path / "o.mp4")) == (count, count)


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="fault_injection")
@pytest.mark.verifies("SRS_CLI_005", extent="partial", technique="requirement")
def test_bad_picture_of_a_folder_is_recorded_and_leaves_no_mask(tmp_path: Path) -> None:
    """The others are answered at their own sizes; the number of bad ones is known at the end."""
    folder = tmp_path / "in"
    folder.mkdir()
    for index, picture in enumerate(_pictures(3)):
        Image.fromarray(picture).save(folder / f"p{index}.png")
    Image.fromarray(noise_pixels(9, height_px=90, width_px=70)).save(folder / "p10.png")
    damaged = folder / "p1.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    source = ImageFilesSource(list_images(folder), clock=MonotonicClock())
    masks = MaskFilesSink(tmp_path / "masks", source_ids=source.source_ids)
    summary = _run(source, [JsonlSink(tmp_path / "r.jsonl"), masks], kind=StreamKind.STILLS)
    assert summary.decode_error_count == 1
    records = _records(tmp_path / "r.jsonl")
    assert [r["source_id"] for r in records] == ["p0.png", "p1.png", "p2.png", "p10.png"]
    assert records[1]["outcome"]["reason"] == "frame_undecodable"
    assert sorted(p.name for p in (tmp_path / "masks").iterdir()) == ["p0.png", "p10.png", "p2.png"]
    with Image.open(tmp_path / "masks" / "p10.png") as image:
        assert image.size == (70, 90)


@pytest.mark.verifies("SRS_STREAM_006", extent="partial", technique="fault_injection")
@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="fault_injection")
def test_camera_that_fails_in_the_middle_is_withheld_and_comes_back(tmp_path: Path) -> None:
    """Black, then frozen, then live again: each frame says for itself whether it was answered."""
    black = [np.zeros((48, 64, 3), np.uint8)] * 2
    frozen = [noise_pixels(50)] * 4
    pictures = [*_pictures(2), *black, *frozen, noise_pixels(60)]
    path = write_video(tmp_path / "a.mkv", pictures, pts_ms=[500 * i for i in range(9)])
    source = VideoFileSource(path, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock())
    _run(source, [JsonlSink(tmp_path / "r.jsonl")])
    outcomes = [r["outcome"] for r in _records(tmp_path / "r.jsonl")]
    reasons = [outcome.get("reason") for outcome in outcomes]
    assert reasons == [
        None, None, "frame_black", "frame_black", None, None, None, "frame_frozen", None,
    ]  # fmt: skip


@pytest.mark.verifies("SRS_STREAM_008", extent="partial", technique="property")
def test_long_run_keeps_its_memory(tmp_path: Path) -> None:
    """Two thousand frames hold no more objects than two hundred."""
    import tracemalloc

    path = write_video(tmp_path / "a.mkv", _pictures(50), pts_ms=[40 * i for i in range(50)])

    def peak_bytes(loop_count: int) -> int:
        source = VideoFileSource(
            path,
            pacing=Pacing.AS_FAST_AS_POSSIBLE,
            clock=MonotonicClock(),
            loop_count=loop_count,
        )
        tracemalloc.start()
        _run(source, [])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(1)
    assert peak_bytes(40) - peak_bytes(4) < 256 * 1024


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="property")
@pytest.mark.parametrize("seed", range(25))
def test_damaged_bytes_never_cause_a_foreign_error(tmp_path: Path, seed: int) -> None:
    """Whatever a disk does to a recording, the user reads one of our errors or an answer."""
    path = _recording(tmp_path)
    generator = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for place in generator.integers(0, len(data), 40):
        data[place] = generator.integers(0, 256)
    path.write_bytes(data)
    code = "none"
    try:
        source = VideoFileSource(path, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock())
        _run(source, [JsonlSink(tmp_path / "r.jsonl")])
    except TrocarError as exc:
        code = exc.code
    assert code in {"none", "DECODE", "SOURCE_LOST"}
