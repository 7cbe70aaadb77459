"""One frame in; one mask of that frame, or the reason for none, out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trocar import __version__
from trocar.contracts.errors import InferenceError, InvariantError
from trocar.contracts.findings import PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.record import BackendInfo
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter

SIDE = 64
AGE_MS = 100
INFO = BackendInfo(engine="memory 1", provider="memory", precision="fp32", thread_count=1)


class ScriptedBackend:
    """Gives what the test says, and remembers what it was asked."""

    def __init__(self, answer: np.ndarray[Any, Any] | Exception | None = None) -> None:
        self.answer = answer
        self.batches: list[np.ndarray[Any, Any]] = []
        self.info = INFO

    def infer(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the answer, or the mean of the channels."""
        self.batches.append(batch)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        mean = batch.astype(np.float32).mean(axis=3)[:, np.newaxis] / 255
        return np.asarray(mean, dtype=np.float32)

    def close(self) -> None:
        """Hold nothing."""


def _unit(backend: ScriptedBackend) -> PolypSegmenter:
    """Return the unit on a scripted backend."""
    config = PolypSegmentationConfig(
        prob_threshold=0.5, height_px=SIDE, width_px=SIDE, frame_age_ms_max=AGE_MS
    )
    return PolypSegmenter(config, backend, pack_id="tiny 0.0.1", pack_digest="0" * 64)


def _frame(level: int = 0, *, index: int = 7, captured_at_ns: int = 0) -> Frame:
    """Return a dark frame with a square of one level in its upper left quarter."""
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:60, :80] = level
    return Frame(pixels=pixels, frame_index=index, captured_at_ns=captured_at_ns, source_id="test")


@pytest.mark.verifies("SRS_POLYP_001", extent="full", technique="requirement")
@pytest.mark.controls("RCM_FRAMEID_001")
def test_mask_is_of_the_frame_and_covers_it() -> None:
    """The finding names its frame, its size, and shows the bright quarter where it is."""
    outcome = _unit(ScriptedBackend()).run(_frame(255, index=41), now_ns=5)
    assert isinstance(outcome, PolypMask)
    assert outcome.frame_index == 41
    assert (outcome.mask.frame_height_px, outcome.mask.frame_width_px) == (120, 160)
    assert outcome.mask.pixels[:31, :31].all()
    assert not outcome.mask.pixels[33:].any()
    assert not outcome.mask.pixels[:, 33:].any()
    assert outcome.area_fraction == pytest.approx(0.25, abs=0.01)
    assert outcome.prob_max == 1.0


@pytest.mark.verifies("SRS_POLYP_001", extent="partial", technique="equivalence")
def test_nothing_found_is_a_finding_with_an_empty_mask() -> None:
    """'No polyp outlined' and 'no result' are different answers."""
    outcome = _unit(ScriptedBackend()).run(_frame(0), now_ns=0)
    assert isinstance(outcome, PolypMask)
    assert not outcome.mask.pixels.any()
    assert outcome.area_fraction == 0.0


@pytest.mark.verifies("SRS_POLYP_004", extent="full", technique="boundary")
@pytest.mark.controls("RCM_STALE_001")
@pytest.mark.parametrize(
    ("age_ns", "expected"),
    [
        (0, None),
        (AGE_MS * NS_PER_MS, None),
        (AGE_MS * NS_PER_MS + 1, Reason.STALE_FRAME),
        (-1, Reason.CLOCK_BACKWARDS),
    ],
)
def test_frame_is_answered_up_to_the_age_limit(age_ns: int, expected: Reason | None) -> None:
    """At the limit yes, one nanosecond beyond no; a frame from the future is a broken clock."""
    backend = ScriptedBackend()
    outcome = _unit(backend).run(_frame(captured_at_ns=10**9), now_ns=10**9 + age_ns)
    if expected is None:
        assert isinstance(outcome, PolypMask)
    else:
        assert isinstance(outcome, Withheld)
        assert outcome.reason is expected


@pytest.mark.proves_effect(
    "RCM_STALE_001", measure="stale frames that reach the model or the screen", acceptance="0"
)
def test_stale_frame_never_reaches_the_model() -> None:
    """A late answer must not even be computed, so that the next frame is not late as well."""
    backend = ScriptedBackend()
    unit = _unit(backend)
    for index in range(50):
        outcome = unit.run(_frame(255, index=index), now_ns=(AGE_MS + 1 + index) * NS_PER_MS)
        assert isinstance(outcome, Withheld)
        assert outcome.frame_index == index
    assert backend.batches == []


@pytest.mark.verifies("SRS_POLYP_005", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_NONFINITE_001", measure="outputs with an unusable value that become masks", acceptance="0"
)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, Reason.OUTPUT_NOT_FINITE),
        (np.inf, Reason.OUTPUT_NOT_FINITE),
        (2.0, Reason.OUTPUT_OUT_OF_RANGE),
        (-0.5, Reason.OUTPUT_OUT_OF_RANGE),
    ],
)
def test_unusable_output_is_withheld(value: float, reason: Reason) -> None:
    """NaN compares false with every threshold: without the check it would read as 'no polyp'."""
    answer = np.full((1, 1, SIDE, SIDE), 0.9, np.float32)
    answer[0, 0, 5, 5] = value
    outcome = _unit(ScriptedBackend(answer)).run(_frame(), now_ns=0)
    assert isinstance(outcome, Withheld)
    assert outcome.reason is reason
    assert outcome.detail


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="fault_injection")
def test_engine_failure_is_withheld_and_the_next_frame_is_answered() -> None:
    """One failed call costs one frame, not the stream."""
    backend = ScriptedBackend(InferenceError("out of memory", advice="restart"))
    unit = _unit(backend)
    outcome = unit.run(_frame(), now_ns=0)
    assert isinstance(outcome, Withheld)
    assert outcome.reason is Reason.INFERENCE_FAILED
    backend.answer = None
    assert isinstance(unit.run(_frame(), now_ns=0), PolypMask)


def test_backend_of_another_shape_is_our_bug() -> None:
    """The pack was checked; a difference here is a fault of the device."""
    with pytest.raises(InvariantError, match="model gave"):
        _unit(ScriptedBackend(np.zeros((1, 2, SIDE, SIDE), np.float32))).run(_frame(), now_ns=0)


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="full", technique="requirement")
def test_provenance_names_unit_pack_and_engine() -> None:
    """A record without these could not be traced to a model."""
    info = _unit(ScriptedBackend()).info
    assert (info.unit, info.unit_version) == ("polyp_segmentation", __version__)
    assert (info.pack_id, info.pack_digest) == ("tiny 0.0.1", "0" * 64)
    assert info.backend == INFO


@pytest.mark.proves_effect(
    "RCM_FRAMEID_001", measure="outcomes that name another frame than the one given", acceptance="0"
)
def test_answers_never_mix_frames() -> None:
    """Alternating bright and dark frames: each answer is of its own frame."""
    unit = _unit(ScriptedBackend())
    for index in range(40):
        level = 255 if index % 2 else 0
        outcome = unit.run(_frame(level, index=index), now_ns=0)
        assert isinstance(outcome, PolypMask)
        assert outcome.frame_index == index
        assert outcome.mask.pixels.any() == bool(level)


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="example")
@pytest.mark.controls("RCM_STALE_001")
def test_detail_holds_what_came_and_what_was_allowed() -> None:
    """A frame one millisecond late and one ten seconds late have different causes."""

    def detail(answer: Exception | np.ndarray[Any, Any] | None, now_ns: int) -> str:
        frame = _frame(captured_at_ns=10**9)
        outcome = _unit(ScriptedBackend(answer)).run(frame, now_ns=now_ns)
        assert isinstance(outcome, Withheld)
        assert outcome.frame_index == frame.frame_index
        return outcome.detail

    late_ns = 10**9 + (AGE_MS + 23) * NS_PER_MS + 999_999
    broken = np.full((1, 1, SIDE, SIDE), 0.5, np.float32)
    broken[0, 0, 1, 1], broken[0, 0, 2, 2] = -0.25, 1.5
    assert detail(None, late_ns) == "123 ms old, limit 100 ms"
    assert detail(None, 10**9 - 7) == "captured 7 ns in the future"
    assert detail(InferenceError("no memory", advice="restart"), 10**9) == "no memory"
    assert detail(broken, 10**9) == "minimum -0.25, maximum 1.5"


@pytest.mark.verifies("SRS_POLYP_001", "SRS_POLYP_003", extent="partial", technique="example")
def test_mask_carries_the_probabilities_and_the_threshold_that_cut_them() -> None:
    """Who enlarges the mask needs both, and the share of pixels is that of this mask."""
    answer = np.zeros((1, 1, SIDE, SIDE), np.float32)
    answer[0, 0, :16, :32] = 0.75
    outcome = _unit(ScriptedBackend(answer)).run(_frame(), now_ns=0)
    assert isinstance(outcome, PolypMask)
    assert (outcome.mask.prob_threshold, outcome.mask.label) == (0.5, "polyp")
    assert np.array_equal(outcome.mask.prob, answer[0, 0])
    assert np.array_equal(outcome.mask.pixels, answer[0, 0] >= 0.5)
    assert (outcome.area_fraction, outcome.prob_max) == (16 * 32 / SIDE**2, 0.75)


@pytest.mark.verifies("SRS_POLYP_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("shape", [(2, 1, SIDE, SIDE), (1, 2, SIDE, SIDE)])
def test_more_than_one_map_is_never_cut_to_one(shape: tuple[int, ...]) -> None:
    """Which of two maps belongs to the frame could only be guessed."""
    with pytest.raises(InvariantError, match=rf"model gave \({shape[0]}, {shape[1]}, 64, 64\)"):
        _unit(ScriptedBackend(np.zeros(shape, np.float32))).run(_frame(), now_ns=0)
