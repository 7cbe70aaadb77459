"""Frames that show nothing, show the same for too long, or come in the wrong order are withheld."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.source import noise_pixels, raw_frame
from trocar.contracts.errors import InvariantError
from trocar.contracts.frame import Frame
from trocar.contracts.limits import (
    BLACK_LEVEL_MAX,
    BLACK_SPREAD_MAX,
    NS_PER_MS,
    SATURATED_FRACTION_MAX,
)
from trocar.contracts.outcome import Reason
from trocar.imaging.quality import FrameQuality
from trocar.streaming.admission import admit
from trocar.streaming.health import StreamHealth
from trocar.streaming.pacing import StreamKind

FROZEN_AFTER_MS = 100


def _frame(
    index: int,
    *,
    at_ms: int | None = None,
    media_ms: int | None = None,
    pixels: NDArray[np.uint8] | None = None,
) -> Frame:
    frame = admit(
        raw_frame(
            index,
            captured_at_ns=(40 * index if at_ms is None else at_ms) * NS_PER_MS,
            media_time_ns=None if media_ms is None else media_ms * NS_PER_MS,
            pixels=pixels,
        )
    )
    assert isinstance(frame, Frame)
    return frame


def _health(kind: StreamKind = StreamKind.VIDEO) -> StreamHealth:
    return StreamHealth(kind=kind, frozen_after_ms=FROZEN_AFTER_MS)


def _reasons(health: StreamHealth, frames: list[Frame]) -> list[Reason | None]:
    found = [health.check(frame) for frame in frames]
    return [None if withheld is None else withheld.reason for withheld in found]


@pytest.mark.verifies("SRS_STREAM_009", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_ORDER_001")
def test_frames_in_order_pass() -> None:
    """What a sound camera delivers is answered."""
    assert _reasons(_health(), [_frame(0), _frame(1), _frame(5)]) == [None, None, None]


@pytest.mark.verifies("SRS_STREAM_009", extent="full", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_ORDER_001", measure="frames out of order that pass", acceptance="none"
)
@pytest.mark.parametrize(
    "second",
    [
        _frame(3, at_ms=500),
        _frame(2, at_ms=500),
        _frame(4, at_ms=119),
        _frame(4, at_ms=120),
    ],
    ids=["index_repeated", "index_back", "time_back", "time_repeated"],
)
def test_frame_out_of_order_is_withheld_and_leaves_no_trace(second: Frame) -> None:
    """An older frame shown as new would put the outline where the polyp was."""
    reasons = _reasons(_health(), [_frame(3), second, _frame(5)])
    assert reasons == [None, Reason.FRAME_OUT_OF_ORDER, None]


@pytest.mark.verifies("SRS_STREAM_009", extent="partial", technique="boundary")
def test_media_time_that_stands_still_is_out_of_order() -> None:
    """The time inside the recording counts, where there is one."""
    frames = [_frame(0, media_ms=0), _frame(1, media_ms=40), _frame(2, media_ms=40)]
    assert _reasons(_health(), frames) == [None, None, Reason.FRAME_OUT_OF_ORDER]


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="state_table")
def test_other_size_is_withheld_until_the_first_size_returns() -> None:
    """A change of size in the middle is a change of source."""
    small = noise_pixels(9, height_px=40, width_px=40)
    frames = [_frame(0), _frame(1, pixels=small), _frame(2, pixels=small[::-1]), _frame(3)]
    changed = Reason.FRAME_SIZE_CHANGED
    assert _reasons(_health(), frames) == [None, changed, changed, None]


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="requirement")
def test_stills_may_differ_in_size_and_repeat() -> None:
    """Pictures of a folder have nothing to do with each other."""
    small = noise_pixels(9, height_px=40, width_px=40)
    frames = [
        _frame(0, at_ms=5),
        _frame(1, at_ms=5, pixels=small),
        _frame(2, at_ms=900, pixels=small),
    ]
    assert _reasons(_health(StreamKind.STILLS), frames) == [None, None, None]


@pytest.mark.verifies("SRS_STREAM_005", extent="full", technique="boundary")
@pytest.mark.controls("RCM_QUALITY_001")
@pytest.mark.parametrize(("level", "reason"), [(10, Reason.FRAME_BLACK), (11, None)])
def test_black_is_withheld(level: int, reason: Reason | None) -> None:
    """A camera that lies outside the body or is switched off has no polyps to miss."""
    pixels = np.full((48, 64, 3), level, dtype=np.uint8)
    assert _reasons(_health(), [_frame(0, pixels=pixels)]) == [reason]


@pytest.mark.verifies("SRS_STREAM_005", extent="full", technique="boundary")
@pytest.mark.proves_effect("RCM_QUALITY_001", measure="unusable frames answered", acceptance="none")
@pytest.mark.parametrize(("rows", "reason"), [(28, None), (30, Reason.FRAME_SATURATED)])
def test_saturated_is_withheld(rows: int, reason: Reason | None) -> None:
    """Light that floods the picture hides what is in it: 60 % of 48 rows are 28.8."""
    pixels = noise_pixels()
    pixels[:rows] = 255
    assert _reasons(_health(), [_frame(0, pixels=pixels)]) == [reason]


@pytest.mark.verifies("SRS_STREAM_006", extent="full", technique="boundary")
@pytest.mark.controls("RCM_FROZEN_001")
def test_single_repetition_is_allowed() -> None:
    """Recordings of variable rate repeat frames; that is no frozen camera."""
    same = noise_pixels(1)
    frames = [_frame(i, at_ms=50 * i, pixels=same) for i in range(3)]
    assert _reasons(_health(), frames) == [None, None, None]


@pytest.mark.verifies("SRS_STREAM_006", extent="full", technique="boundary")
@pytest.mark.proves_effect(
    "RCM_FROZEN_001", measure="time until a frozen camera is noticed", acceptance="<= limit + 1 ms"
)
def test_frozen_camera_is_noticed_after_the_limit_and_forgiven_after_it() -> None:
    """A still picture looks like a live one; its outline is from the past."""
    same = noise_pixels(1)
    frames = [_frame(i, at_ms=at, pixels=same) for i, at in enumerate((0, 100, 101))]
    reasons = _reasons(_health(), [*frames, _frame(3, at_ms=140)])
    assert reasons == [None, None, Reason.FRAME_FROZEN, None]


@pytest.mark.verifies("SRS_STREAM_006", extent="partial", technique="requirement")
def test_frozen_is_judged_by_media_time() -> None:
    """A recording that runs faster than real time freezes at the same place."""
    same = noise_pixels(1)
    frames = [_frame(i, at_ms=i, media_ms=60 * i, pixels=same) for i in range(3)]
    assert _reasons(_health(), frames) == [None, None, Reason.FRAME_FROZEN]


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_frozen_after_no_time_is_refused() -> None:
    """Every frame would be frozen."""
    with pytest.raises(InvariantError):
        StreamHealth(kind=StreamKind.VIDEO, frozen_after_ms=0)


def _reason_for(*, mean: float, spread: float, saturated: float) -> Reason | None:
    """Return why a frame with these measures is withheld."""
    quality = FrameQuality(
        level_mean=mean, level_spread=spread, saturated_fraction=saturated, fingerprint=b"one"
    )
    health = StreamHealth(
        kind=StreamKind.VIDEO,
        frozen_after_ms=FROZEN_AFTER_MS,
        measure_quality=lambda _pixels: quality,
    )
    (reason,) = _reasons(health, [_frame(0)])
    return reason


@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_QUALITY_001")
@pytest.mark.parametrize("mean", [BLACK_LEVEL_MAX, float(np.nextafter(BLACK_LEVEL_MAX, 255))])
@pytest.mark.parametrize("spread", [BLACK_SPREAD_MAX, float(np.nextafter(BLACK_SPREAD_MAX, 255))])
def test_black_is_at_most_both_limits(mean: float, spread: float) -> None:
    """The limits themselves are black; a dark picture with something in it is not."""
    is_black = mean <= 10.0 and spread <= 4.0
    expected = Reason.FRAME_BLACK if is_black else None
    assert _reason_for(mean=mean, spread=spread, saturated=0.0) is expected


@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_QUALITY_001")
def test_saturated_is_above_its_limit() -> None:
    """Exactly 60 % is still answered, the next number is not."""
    over = float(np.nextafter(SATURATED_FRACTION_MAX, 1))
    assert SATURATED_FRACTION_MAX == 0.60
    assert _reason_for(mean=200.0, spread=50.0, saturated=0.60) is None
    assert _reason_for(mean=200.0, spread=50.0, saturated=over) is Reason.FRAME_SATURATED


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="example")
@pytest.mark.parametrize(
    ("second", "detail"),
    [
        (_frame(3, at_ms=120), "frame 3 after frame 3"),
        (_frame(4, at_ms=119), "acquired 1000000 ns before the frame that came before it"),
        (_frame(4, at_ms=120, media_ms=80), "time 80000000 ns after time 120000000 ns"),
        (_frame(4, at_ms=221, pixels=noise_pixels(3)), "identical for 101 ms"),
    ],
    ids=["index", "capture_time", "media_time", "frozen"],
)
def test_detail_holds_the_figures(second: Frame, detail: str) -> None:
    """Who looks for the cause needs how far a frame was off, and not only that it was."""
    health = _health()
    assert health.check(_frame(3, pixels=noise_pixels(3))) is None
    withheld = health.check(second)
    assert withheld is not None
    assert withheld.detail == detail
