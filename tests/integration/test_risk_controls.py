"""Risk controls at work in the joined stream: what is built, and what no longer gets through."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.clock import FakeClock
from simulators.command_line import lines_of
from simulators.media import decoded
from simulators.sink import RecordingSink
from simulators.source import ListSource, noise_pixels, raw_frame
from simulators.unit import ScriptedUnit
from trocar.contracts.errors import SourceLostError
from trocar.contracts.findings import PolypMask
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.limits import NS_PER_MS, SOURCE_SILENCE_MS_MAX
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.ports import Clock, Sink, Unit
from trocar.contracts.record import FrameRecord
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.latency_summary import LatencySummarySink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.mask_files import MaskFilesSink, MaskNaming
from trocar.streaming.overlay_video import OverlayVideoSink
from trocar.streaming.pacing import Pacing, undecodable
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig, StreamSummary

FAST: Final = StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE)
LIVE: Final = StreamConfig(pacing=Pacing.REALTIME)
BEGIN_NS: Final = 10**9
PERIOD_NS: Final = 40 * NS_PER_MS
PATIENCE_S: Final = 10.0


def _raw(index: int, pixels: NDArray[np.uint8] | None = None) -> RawFrame:
    """Return frame n of a recording of 25 frames/s."""
    return raw_frame(index, media_time_ns=PERIOD_NS * index, pixels=pixels)


def _run(
    source: ListSource,
    unit: Unit,
    sinks: Sequence[Sink],
    *,
    config: StreamConfig = FAST,
    clock: Clock | None = None,
    ledger: DropLedger | None = None,
) -> StreamSummary:
    """Run the real loop."""
    return run_stream(
        source,
        [unit],
        sinks,
        clock=clock or FakeClock(2 * BEGIN_NS),
        config=config,
        stop=lambda: False,
        ledger=ledger,
    )


def _reasons(records: Sequence[FrameRecord]) -> list[Reason | None]:
    """Return the reason of each record, None for a finding."""
    return [r.outcome.reason if isinstance(r.outcome, Withheld) else None for r in records]


def _answers(raws: Sequence[RawFrame]) -> tuple[list[Reason | None], list[int]]:
    """Return the reason for each frame, and the frames that the unit saw."""
    unit, sink = ScriptedUnit(), RecordingSink()
    _run(ListSource(raws), unit, [sink])
    return _reasons(sink.records), unit.seen_frame_indices


class _SlowRun:
    """A live run whose unit is busy with frame 0 until the source has delivered all others."""

    def __init__(self, frame_count: int) -> None:
        has_begun, is_delivered = threading.Event(), threading.Event()
        self.clock = FakeClock(BEGIN_NS)

        def busy(frame: Frame) -> None:
            if frame.frame_index == 0:
                has_begun.set()
                assert is_delivered.wait(PATIENCE_S)

        items: list[RawFrame | Callable[[], object]] = [
            raw_frame(0, captured_at_ns=BEGIN_NS, media_time_ns=0),
            lambda: has_begun.wait(PATIENCE_S),
        ]
        for index in range(1, frame_count):
            items.append(lambda: self.clock.advance_ns(PERIOD_NS))
            captured_at_ns = BEGIN_NS + PERIOD_NS * index
            items.append(
                raw_frame(index, captured_at_ns=captured_at_ns, media_time_ns=PERIOD_NS * index)
            )
        items.append(is_delivered.set)
        self.source = ListSource(items)
        self.unit = ScriptedUnit(on_run=busy)
        self.sink = RecordingSink()
        self.ledger = DropLedger()

    def play(self, *sinks: Sink) -> StreamSummary:
        """Run to the end."""
        return _run(
            self.source,
            self.unit,
            [self.sink, *sinks],
            config=LIVE,
            clock=self.clock,
            ledger=self.ledger,
        )


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_STALE_002")
def test_busy_unit_gets_the_newest_frame_next() -> None:
    """Of 50 frames that came meanwhile, the last one is answered."""
    run = _SlowRun(50)
    run.play()
    assert run.unit.seen_frame_indices == [0, 49]


@pytest.mark.proves_effect(
    "RCM_STALE_002",
    measure="age of the frame that is answered after a stall, in frame periods",
    acceptance="0, however long the stall (2 to 200 periods)",
)
@pytest.mark.parametrize("frame_count", [2, 10, 200])
def test_stall_leaves_no_backlog(frame_count: int) -> None:
    """A queue would keep the delay for the rest of the case; the slot loses frames instead."""
    run = _SlowRun(frame_count)
    run.play()
    assert run.sink.records[-1].frame_index == frame_count - 1
    assert run.sink.records[-1].times.age_ns == 0


@pytest.mark.verifies("SRS_STREAM_002", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_LEDGER_001")
def test_dropped_frames_are_counted_on_the_next_record_and_in_the_account() -> None:
    """The record after the gap says how wide it was."""
    run = _SlowRun(50)
    summary = run.play()
    assert [record.dropped_before_count for record in run.sink.records] == [0, 48]
    assert (summary.received_count, summary.displaced_count) == (50, 48)
    assert summary.missed_count >= summary.displaced_count


@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="property")
@pytest.mark.proves_effect(
    "RCM_LEDGER_001",
    measure="frames of the source that neither the record nor the ledger names",
    acceptance="0 of 120",
)
def test_record_and_ledger_together_name_every_frame(tmp_path: Path) -> None:
    """Who reads both files later can tell a frame that was lost from one that never came."""
    run = _SlowRun(120)
    run.play(
        JsonlSink(tmp_path / "r.jsonl"),
        LatencySummarySink(tmp_path / "latency.json", deadline_ms=100, ledger=run.ledger),
    )
    run.ledger.save(tmp_path / "dropped.csv")
    with (tmp_path / "dropped.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if not row[0].startswith("#")][1:]
    dropped = {int(row[0]) for row in rows}
    answered = {line["frame_index"] for line in lines_of(tmp_path / "r.jsonl")}
    assert answered | dropped == set(range(120))
    assert not answered & dropped
    report = json.loads((tmp_path / "latency.json").read_text(encoding="utf-8"))
    assert report["misses"]["displaced_count"] == len(dropped) == 118


@pytest.mark.verifies("SRS_STREAM_003", extent="full", technique="boundary")
@pytest.mark.controls("RCM_DEADLINE_001")
@pytest.mark.parametrize(
    ("age_ns", "verdict"),
    [
        (0, DeadlineVerdict.MET),
        (100 * NS_PER_MS, DeadlineVerdict.MET),
        (100 * NS_PER_MS + 1, DeadlineVerdict.MISSED),
    ],
)
def test_verdict_turns_right_after_the_deadline(age_ns: int, verdict: DeadlineVerdict) -> None:
    """At 100 ms in time, one nanosecond later missed."""
    clock, sink = FakeClock(BEGIN_NS), RecordingSink()
    unit = ScriptedUnit(on_run=lambda _: clock.advance_ns(age_ns))
    source = ListSource([raw_frame(0, captured_at_ns=BEGIN_NS)])
    _run(source, unit, [sink], config=LIVE, clock=clock)
    assert sink.records[0].times.age_ns == age_ns
    assert sink.records[0].verdict is verdict


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_DEADLINE_001",
    measure="late answers that record, report or summary call in time",
    acceptance="0 of 7 late ones among 20",
)
def test_every_late_answer_is_visible_everywhere(tmp_path: Path) -> None:
    """Every third frame takes 150 ms: each account of the run finds exactly these."""
    clock, sink = FakeClock(BEGIN_NS), RecordingSink()
    late = set(range(0, 20, 3))
    items: list[RawFrame | Callable[[], object]] = []
    for index in range(20):
        captured_at_ns = BEGIN_NS + 200 * NS_PER_MS * index

        def due(captured_at_ns: int = captured_at_ns, index: int = index) -> None:
            pause, waited = threading.Event(), 0
            while len(sink.records) < index and waited < 1000 * PATIENCE_S:
                pause.wait(0.001)
                waited += 1
            clock.sleep_until_ns(captured_at_ns)

        items += [due, raw_frame(index, captured_at_ns=captured_at_ns)]
    unit = ScriptedUnit(
        on_run=lambda f: clock.advance_ns((150 if f.frame_index in late else 20) * NS_PER_MS)
    )
    summary = _run(
        ListSource(items),
        unit,
        [
            JsonlSink(tmp_path / "r.jsonl"),
            LatencySummarySink(tmp_path / "latency.json", deadline_ms=100),
            sink,
        ],
        config=LIVE,
        clock=clock,
    )
    lines = lines_of(tmp_path / "r.jsonl")
    assert {line["frame_index"] for line in lines if line["verdict"] == "missed"} == late
    assert all((line["age_ms"] > 100) == (line["verdict"] == "missed") for line in lines)
    assert summary.late_count == summary.missed_count == len(late) == 7
    report = json.loads((tmp_path / "latency.json").read_text(encoding="utf-8"))
    assert report["misses"]["missed_count"] == len(late)


def _silent_run(sinks: Sequence[Sink]) -> None:
    """Run a source that delivers three frames and then hangs."""
    raws = [_raw(index) for index in range(3)]
    clock = FakeClock(2 * BEGIN_NS, step_ns=500 * NS_PER_MS)
    _run(ListSource(raws, hang=threading.Event()), ScriptedUnit(), sinks, config=LIVE, clock=clock)


@pytest.mark.verifies("SRS_STREAM_010", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_LOST_001")
def test_silent_source_ends_the_run_with_an_error() -> None:
    """A cable that is out must not look like a quiet case."""
    sink = RecordingSink()
    with pytest.raises(SourceLostError, match=f"at least every {SOURCE_SILENCE_MS_MAX} ms"):
        _silent_run([sink])
    assert sink.close_count == 1


@pytest.mark.proves_effect(
    "RCM_LOST_001",
    measure="outputs of a run with a silent source that cannot be read",
    acceptance="0 of record, overlay and latency report",
)
def test_outputs_of_a_lost_run_can_be_read(tmp_path: Path) -> None:
    """What was answered before the loss is kept, whole, and closed."""
    memory = RecordingSink()
    with pytest.raises(SourceLostError):
        _silent_run([
            memory,
            JsonlSink(tmp_path / "r.jsonl"),
            OverlayVideoSink(tmp_path / "o.mp4"),
            LatencySummarySink(tmp_path / "latency.json", deadline_ms=100),
        ])
    assert len(lines_of(tmp_path / "r.jsonl")) == len(memory.records) >= 1
    assert len(decoded(tmp_path / "o.mp4")) == len(memory.records)
    assert json.loads((tmp_path / "latency.json").read_text(encoding="utf-8"))


@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_QUALITY_001")
def test_black_and_white_frames_are_named() -> None:
    """Lamp off and lens at the wall, between two usable frames."""
    black, white = np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 255, np.uint8)
    reasons, _ = _answers([_raw(0), _raw(1, black), _raw(2, white), _raw(3)])
    assert reasons == [None, Reason.FRAME_BLACK, Reason.FRAME_SATURATED, None]


@pytest.mark.proves_effect(
    "RCM_QUALITY_001",
    measure="unusable frames that reach the model",
    acceptance="0 of 40 black, dim, white and mostly saturated ones",
)
def test_unusable_frames_never_reach_the_model() -> None:
    """'Nothing found' is never said about a picture on which nothing can be seen."""
    raws = []
    for index in range(40):
        noise = noise_pixels(index)
        pixels = [
            noise // 100,
            noise // 64,
            np.full_like(noise, 250 + index % 6),
            np.where(np.arange(64)[:, np.newaxis] < 45, np.uint8(255), noise),
        ][index % 4]
        raws.append(_raw(index, pixels.astype(np.uint8)))
    reasons, seen = _answers(raws)
    assert seen == []
    assert set(reasons) == {Reason.FRAME_BLACK, Reason.FRAME_SATURATED}


@pytest.mark.verifies("SRS_STREAM_006", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_FROZEN_001")
def test_identical_frames_are_frozen_after_one_second() -> None:
    """At 25 frames/s frame 26 is the first beyond 1,000 ms; a new picture ends it."""
    still = noise_pixels(99)
    reasons, _ = _answers([*(_raw(index, still) for index in range(30)), _raw(30)])
    assert reasons == [None] * 26 + [Reason.FRAME_FROZEN] * 4 + [None]


@pytest.mark.proves_effect(
    "RCM_FROZEN_001",
    measure="frames of a source frozen for longer than the limit that reach the model",
    acceptance="0 of 500",
)
def test_frozen_source_is_not_answered_for_ever() -> None:
    """A hung grabber delivers valid frames on and on; after one second none is answered."""
    still = noise_pixels(99)
    _, seen = _answers([_raw(index, still) for index in range(526)])
    assert seen == list(range(26))


@pytest.mark.verifies("SRS_STREAM_009", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_ORDER_001")
def test_frame_that_is_not_after_the_last_one_is_named() -> None:
    """Repeated and older indices, and a time that does not rise."""
    repeated = raw_frame(4, media_time_ns=PERIOD_NS * 3)
    reasons, _ = _answers([_raw(2), _raw(2), _raw(1), _raw(3), repeated])
    late = Reason.FRAME_OUT_OF_ORDER
    assert reasons == [None, late, late, None, late]


@pytest.mark.proves_effect(
    "RCM_ORDER_001",
    measure="frames that reach the model after a newer one",
    acceptance="0 over 200 frames in random order",
)
def test_model_sees_rising_frames_only() -> None:
    """A mixed-up source must not show an outline of the past."""
    order = np.arange(200) // 2 + np.random.default_rng(8).integers(0, 8, 200)
    _, seen = _answers([_raw(int(index)) for index in order])
    assert seen == sorted(set(seen))
    assert 20 < len(seen) < 110


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_ADMIT_001")
def test_each_foreign_form_is_named() -> None:
    """Axes, element type, size, change of size, and what could not be decoded."""
    broken = undecodable("cut", frame_index=5, captured_at_ns=0, source_id="list")
    foreign = [
        _raw(0),
        _raw(1, np.zeros((48, 64), np.uint8)),
        _raw(2, np.zeros((48, 64, 3), np.uint16)),
        _raw(3, np.zeros((31, 64, 3), np.uint8)),
        _raw(4, noise_pixels(4, height_px=64, width_px=48)),
        broken,
        _raw(6, np.full((48, 64, 3), np.nan, np.float32)),
    ]
    reasons, _ = _answers(foreign)
    assert reasons == [
        None,
        Reason.FRAME_SHAPE,
        Reason.FRAME_DTYPE,
        Reason.FRAME_SIZE,
        Reason.FRAME_SIZE_CHANGED,
        Reason.FRAME_UNDECODABLE,
        Reason.FRAME_NOT_FINITE,
    ]


@pytest.mark.proves_effect(
    "RCM_ADMIT_001",
    measure="frames of a foreign form that reach the model",
    acceptance="0 of 60 random shapes and types",
)
def test_foreign_frames_never_reach_the_model() -> None:
    """Whatever a source delivers, the model gets RGB bytes of the first size, or nothing."""
    generator = np.random.default_rng(12)
    raws = [_raw(0)]
    for index in range(1, 61):
        shape = tuple(generator.integers(1, 70, generator.integers(1, 5)).tolist())
        kind = (np.uint8, np.int16, np.float32, np.bool_)[index % 4]
        raws.append(_raw(index, generator.integers(0, 2, shape).astype(kind)))
    reasons, seen = _answers(raws)
    assert seen == [0]
    assert None not in reasons[1:]


def _alternating(tmp_path: Path) -> None:
    """Write all outputs of a run in which every second answer is withheld."""
    withheld = {
        index: Withheld(frame_index=index, reason=Reason.OUTPUT_NOT_FINITE)
        for index in range(1, 10, 2)
    }
    pictures = [noise_pixels(index, height_px=240, width_px=640) for index in range(10)]
    _run(
        ListSource([_raw(index, picture) for index, picture in enumerate(pictures)]),
        ScriptedUnit(withheld),
        [
            JsonlSink(tmp_path / "r.jsonl"),
            OverlayVideoSink(tmp_path / "o.mp4"),
            MaskFilesSink(tmp_path / "masks", source_ids=["list"], naming=MaskNaming.BY_FRAME),
        ],
    )


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="requirement")
@pytest.mark.controls("RCM_WITHHELD_001")
def test_withheld_has_its_reason_and_no_mask(tmp_path: Path) -> None:
    """The record names the reason; there is no mask file, not even an empty one."""
    _alternating(tmp_path)
    lines = lines_of(tmp_path / "r.jsonl")
    for line in lines[1::2]:
        assert line["outcome"]["reason"] == "output_not_finite"
        assert "area_fraction" not in line["outcome"]
    masks = {path.name for path in (tmp_path / "masks").iterdir()}
    assert masks == {f"list_{index:06d}.png" for index in range(0, 10, 2)}


@pytest.mark.proves_effect(
    "RCM_WITHHELD_001",
    measure="withheld frames of the overlay with an outline, or without their border",
    acceptance="0 of 5, each right after a frame with an outline",
)
def test_withheld_frame_never_shows_the_last_outline(tmp_path: Path) -> None:
    """A mask that stays on the screen is the mask of another frame."""
    _alternating(tmp_path)
    drawn = decoded(tmp_path / "o.mp4")
    assert len(drawn) == 10
    for index, canvas in enumerate(drawn):
        left = (canvas.shape[1] - 640) // 2
        levels = canvas[:, left : left + 640].astype(np.int16)
        # The outline of the simulator's mask has its right edge in the middle of the frame.
        middle = levels[canvas.shape[0] // 2 - 60 : canvas.shape[0] // 2 - 30, 314:320]
        has_outline = (middle[..., 2] - middle[..., 0] > 60).mean() > 0.3
        # Vermillion hatching along the left edge.
        edge = levels[canvas.shape[0] // 2 - 60 : canvas.shape[0] // 2 + 60, :4]
        has_border = (edge[..., 0] - edge[..., 2] > 100).mean() > 0.2
        assert has_outline == (index % 2 == 0)
        assert has_border == (index % 2 == 1)


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="property")
def test_every_frame_has_exactly_one_answer() -> None:
    """A finding or a reason, under the frame's own index, for each kind of frame at once."""
    pictures = [noise_pixels(i) if i % 3 else np.zeros((48, 64, 3), np.uint8) for i in range(30)]
    sink = RecordingSink()
    raws = [_raw(index, picture) for index, picture in enumerate(pictures)]
    _run(ListSource(raws), ScriptedUnit(), [sink])
    assert [record.frame_index for record in sink.records] == list(range(30))
    for record in sink.records:
        assert isinstance(record.outcome, PolypMask | Withheld)
        assert record.outcome.frame_index == record.frame_index
