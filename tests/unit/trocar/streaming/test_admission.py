"""Only a sound frame crosses the border; every other one leaves with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.source import noise_pixels, raw_frame
from trocar.contracts.errors import ContractError, InvariantError
from trocar.contracts.frame import Frame
from trocar.contracts.limits import (
    FRAME_PIXEL_COUNT_MAX,
    FRAME_SIDE_PX_MAX,
    FRAME_SIDE_PX_MIN,
)
from trocar.contracts.outcome import Reason, Withheld
from trocar.streaming.admission import admit
from trocar.streaming.pacing import undecodable


def _zeros(*shape: int, dtype: type[np.generic] = np.uint8) -> NDArray[Any]:
    return np.zeros(shape, dtype=dtype)


def _nan_frame() -> NDArray[Any]:
    pixels = _zeros(48, 64, 3, dtype=np.float32)
    pixels[3, 4, 1] = np.nan
    return pixels


@pytest.mark.verifies("SRS_STREAM_004", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_ADMIT_001")
def test_sound_frame_keeps_pixels_index_and_times() -> None:
    """Admission changes nothing of a sound frame."""
    raw = raw_frame(5, captured_at_ns=7, media_time_ns=9)
    frame = admit(raw)
    assert isinstance(frame, Frame)
    assert np.shares_memory(frame.pixels, raw.pixels)
    assert (frame.frame_index, frame.captured_at_ns, frame.media_time_ns) == (5, 7, 9)


@pytest.mark.verifies("SRS_STREAM_004", extent="full", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_ADMIT_001", measure="unsound frames that reach the unit", acceptance="none"
)
@pytest.mark.parametrize(
    ("pixels", "reason", "got"),
    [
        (_zeros(48, 64), Reason.FRAME_SHAPE, "(48, 64)"),
        (_zeros(48, 64, 4), Reason.FRAME_SHAPE, "(48, 64, 4)"),
        (_zeros(1, 48, 64, 3), Reason.FRAME_SHAPE, "(1, 48, 64, 3)"),
        (_zeros(0, 64, 3), Reason.FRAME_SIZE, "64x0"),
        (_zeros(1, 1, 3), Reason.FRAME_SIZE, "1x1"),
        (_zeros(FRAME_SIDE_PX_MIN - 1, 64, 3), Reason.FRAME_SIZE, "64x31"),
        (_zeros(FRAME_SIDE_PX_MIN, FRAME_SIDE_PX_MAX + 1, 3), Reason.FRAME_SIZE, "8193x32"),
        (np.broadcast_to(_zeros(1, 1, 3), (8192, 8192, 3)), Reason.FRAME_SIZE, "8192x8192"),
        (_zeros(48, 64, 3, dtype=np.uint16), Reason.FRAME_DTYPE, "uint16"),
        (_zeros(48, 64, 3, dtype=np.float32), Reason.FRAME_DTYPE, "float32"),
        (_zeros(48, 64, 3, dtype=np.object_), Reason.FRAME_DTYPE, "object"),
        (_nan_frame(), Reason.FRAME_NOT_FINITE, "NaN"),
    ],
)
def test_unsound_frame_is_withheld_with_what_came(
    pixels: NDArray[Any], reason: Reason, got: str
) -> None:
    """The reason names what was expected and what came, so that the user can repair the source."""
    withheld = admit(raw_frame(2, pixels=pixels))
    assert isinstance(withheld, Withheld)
    assert (withheld.frame_index, withheld.reason) == (2, reason)
    assert got in withheld.detail


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="boundary")
@pytest.mark.parametrize("side_px", [FRAME_SIDE_PX_MIN, FRAME_SIDE_PX_MIN + 1])
def test_smallest_frames_are_admitted(side_px: int) -> None:
    """The limit itself is inside."""
    assert isinstance(admit(raw_frame(0, pixels=_zeros(side_px, side_px, 3))), Frame)


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="equivalence")
def test_memory_in_another_order_is_copied() -> None:
    """A mirrored view is a sound picture; only its memory is not as a unit expects it."""
    mirrored = noise_pixels()[:, ::-1]
    frame = admit(raw_frame(0, pixels=mirrored))
    assert isinstance(frame, Frame)
    assert np.array_equal(frame.pixels, mirrored)


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="requirement")
def test_undecodable_frame_is_withheld_with_its_problem() -> None:
    """A frame that the decoder lost has a line in the record."""
    raw = undecodable("cut off", frame_index=3, captured_at_ns=1, source_id="a")
    assert admit(raw) == Withheld(frame_index=3, reason=Reason.FRAME_UNDECODABLE, detail="cut off")


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="fault_injection")
def test_negative_index_is_the_sources_fault() -> None:
    """No record could name such a frame."""
    with pytest.raises(InvariantError):
        admit(raw_frame(-1))


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="fault_injection")
def test_frame_without_a_source_name_is_refused() -> None:
    """A record without a source proves nothing."""
    with pytest.raises(ContractError, match="source_id"):
        admit(raw_frame(0, source_id=""))


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_ADMIT_001")
@pytest.mark.parametrize(
    ("height_px", "width_px", "is_admitted"),
    [
        (FRAME_SIDE_PX_MIN, FRAME_SIDE_PX_MAX, True),
        (FRAME_SIDE_PX_MAX, FRAME_SIDE_PX_MIN, True),
        (FRAME_PIXEL_COUNT_MAX // 8192, 8192, True),
        (FRAME_PIXEL_COUNT_MAX // 8192 + 1, 8192, False),
    ],
)
def test_largest_frames_are_admitted(height_px: int, width_px: int, *, is_admitted: bool) -> None:
    """The longest side and the largest area are inside; one row more is not."""
    pixels = np.broadcast_to(_zeros(1, 1, 3), (height_px, width_px, 3))
    admitted = admit(raw_frame(0, pixels=pixels))
    assert isinstance(admitted, Frame) is is_admitted
    if isinstance(admitted, Withheld):
        expected = "expected sides of 32 to 8192 px, 16777216 px in all, got 8192x2049"
        assert admitted.detail == expected


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="example")
def test_type_that_cannot_be_is_named() -> None:
    """NaN among float32 says first that it is no picture of bytes."""
    withheld = admit(raw_frame(0, pixels=_nan_frame()))
    assert isinstance(withheld, Withheld)
    assert withheld.detail == "expected uint8, got float32 with NaN or infinity"


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="example")
def test_faulty_source_is_named_with_what_to_do() -> None:
    """The person at the screen must find out which source, and where to report it."""
    with pytest.raises(InvariantError, match="source delivered frame index -1"):
        admit(raw_frame(-1))
    with pytest.raises(ContractError, match="source delivered frame 7 with fields") as caught:
        admit(raw_frame(7, source_id=""))
    assert caught.value.advice == ("report the source's name and kind; the run cannot be recorded")
