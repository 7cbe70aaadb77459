"""A frame is 8-bit RGB with an index, a time and a source, or there is no frame."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import pytest
from pydantic import ValidationError

from conformance.samples import make_pixels
from trocar.contracts.frame import ColourOrder, Frame, RawFrame
from trocar.contracts.limits import SOURCE_ID_LENGTH_MAX

FACTS: Final[dict[str, object]] = {"frame_index": 3, "captured_at_ns": 7, "source_id": "a"}


def make(**changes: object) -> Frame:
    """Return a frame with some fields changed."""
    return Frame.model_validate({"pixels": make_pixels(), **FACTS, **changes})


@pytest.mark.verifies("SRS_CONTRACT_001", extent="full", technique="example")
def test_frame_holds_what_it_was_given() -> None:
    """Nothing is converted, copied or invented."""
    pixels = make_pixels(48, 64)
    frame = make(pixels=pixels, media_time_ns=9)
    assert np.shares_memory(frame.pixels, pixels)
    assert (frame.height_px, frame.width_px) == (48, 64)
    assert (frame.frame_index, frame.captured_at_ns, frame.media_time_ns) == (3, 7, 9)
    assert (frame.source_id, frame.colour_order) == ("a", ColourOrder.RGB)


def test_live_frame_has_no_media_time() -> None:
    """A live source without one says so, instead of zero."""
    assert make().media_time_ns is None


@pytest.mark.verifies("SRS_CONTRACT_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "pixels",
    [
        make_pixels()[..., 0],
        make_pixels()[..., :2],
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
        make_pixels().astype(np.uint16),
        make_pixels().astype(np.float32),
        make_pixels().astype(np.bool_),
        make_pixels()[:, ::-1],
        make_pixels()[::2],
        make_pixels()[..., ::-1],
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0, 3), np.uint8),
        b"\0" * 12,
        None,
    ],
)
def test_other_pixels_are_refused(pixels: object) -> None:
    """Grey, alpha, planar, deeper, mirrored or empty pictures are converted before, or withheld."""
    with pytest.raises(ValidationError):
        make(pixels=pixels)


@pytest.mark.verifies("SRS_CONTRACT_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (2000, 1, 3)])
def test_any_size_from_one_pixel_is_a_frame(shape: tuple[int, int, int]) -> None:
    """The contract has no lower limit of size; admission has."""
    assert make(pixels=np.zeros(shape, np.uint8)).pixels.shape == shape


@pytest.mark.verifies("SRS_CONTRACT_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("field", ["frame_index", "captured_at_ns", "media_time_ns"])
@pytest.mark.parametrize(
    ("value", "is_valid"),
    [(-1, False), (0, True), (1, True), (2**63, True), (0.0, False), (True, False), ("0", False)],
)
def test_index_and_times_are_integers_from_zero(
    field: str, value: object, *, is_valid: bool
) -> None:
    """Both sides of the border: a negative index or time would sort before everything."""
    if is_valid:
        assert getattr(make(**{field: value}), field) == value
    else:
        with pytest.raises(ValidationError, match=field):
            make(**{field: value})


@pytest.mark.verifies("SRS_CONTRACT_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("length", "is_valid"),
    [
        (0, False),
        (1, True),
        (SOURCE_ID_LENGTH_MAX - 1, True),
        (SOURCE_ID_LENGTH_MAX, True),
        (SOURCE_ID_LENGTH_MAX + 1, False),
    ],
)
def test_source_id_has_a_bounded_length(length: int, *, is_valid: bool) -> None:
    """It stands in every record: never empty, never of any length."""
    if is_valid:
        assert len(make(source_id="s" * length).source_id) == length
    else:
        with pytest.raises(ValidationError, match="source_id"):
            make(source_id="s" * length)


@pytest.mark.parametrize("order", ["RGB", "BGR", None])
def test_colour_order_is_a_member_not_a_string(order: object) -> None:
    """A string that looks right is still not checked; there is no BGR frame."""
    with pytest.raises(ValidationError, match="colour_order"):
        make(colour_order=order)


@pytest.mark.parametrize("field", ["frame_index", "captured_at_ns", "source_id", "pixels"])
def test_missing_field_is_refused(field: str) -> None:
    """No half-valid frame exists."""
    facts = {"pixels": make_pixels(), **FACTS}
    del facts[field]
    with pytest.raises(ValidationError, match=field):
        Frame.model_validate(facts)


def test_raw_frame_is_frozen_and_unchecked() -> None:
    """A source promises nothing about the picture, but cannot change it after the fact either."""
    raw = RawFrame(np.zeros((2, 2)), -1, 0, None, "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        raw.frame_index = 0  # type: ignore[misc]
