"""Invariants of contracts, over arrays and values that nobody thought of."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from conformance.samples import make_pixels, make_polyp_mask, make_record, make_withheld
from trocar.contracts.base import ArrayOf, Contract
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.record import BackendInfo, FrameRecord, FrameTimes, UnitInfo

RGB: Final = ArrayOf(axes=("height", "width", "channel"), dtype=np.uint8, sizes={"channel": 3})
AXIS_NAMES: Final = ("a", "b", "c", "d")

dtypes = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?"),
)
indices = st.integers(min_value=0, max_value=2**62)
words = st.text(min_size=1, max_size=40)


@st.composite
def strided_arrays(draw: st.DrawFn) -> NDArray[Any]:
    """Return an array of any dtype and shape, perhaps turned, cut, reversed or read-only."""
    shape = draw(npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    array: NDArray[Any] = np.zeros(shape, dtype=draw(dtypes))
    if draw(st.booleans()):
        array = array.transpose(draw(st.permutations(range(array.ndim))))
    if array.ndim and draw(st.booleans()):
        steps = draw(st.lists(st.sampled_from([1, 2, -1]), min_size=1, max_size=array.ndim))
        array = array[tuple(slice(None, None, step) for step in steps)]
    array.flags.writeable = draw(st.booleans())
    return array


@st.composite
def rules(draw: st.DrawFn) -> ArrayOf:
    """Return any rule for an array."""
    axes = AXIS_NAMES[: draw(st.integers(1, 4))]
    fixed = draw(st.sets(st.sampled_from(axes)))
    sizes = {axis: draw(st.integers(1, 5)) for axis in sorted(fixed)}
    dtype = draw(st.sampled_from([np.uint8, np.bool_, np.float32, np.int64]))
    return ArrayOf(axes=axes, dtype=dtype, sizes=sizes)


def is_exactly(rule: ArrayOf, array: NDArray[Any]) -> bool:
    """Say in other words than the code what the rule asks for."""
    wanted = [rule.sizes.get(axis) for axis in rule.axes]
    return (
        array.dtype.str == np.dtype(rule.dtype).str
        and len(array.shape) == len(wanted)
        and all(size > 0 for size in array.shape)
        and all(want in {None, size} for want, size in zip(wanted, array.shape, strict=True))
        and _is_packed(array)
    )


def _is_packed(array: NDArray[Any]) -> bool:
    """Return whether elements follow each other in memory, last axis fastest."""
    step = array.itemsize
    for size, stride in zip(reversed(array.shape), reversed(array.strides), strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="property")
@given(rule=rules(), array=strided_arrays())
@example(rule=RGB, array=make_pixels())
@example(rule=RGB, array=make_pixels()[:, ::-1])
@example(rule=RGB, array=make_pixels(1, 1))
def test_array_is_held_exactly_when_it_is_what_was_asked(
    rule: ArrayOf, array: NDArray[Any]
) -> None:
    """What fits becomes a read-only view of the same memory; all else is refused in one form."""
    if is_exactly(rule, array):
        held = rule.check(array)
        assert np.shares_memory(held, array)
        assert (held.shape, held.strides, held.dtype) == (array.shape, array.strides, array.dtype)
        assert not held.flags.writeable
    else:
        with pytest.raises(PydanticCustomError, match=r"^expected .+, got .+$"):
            rule.check(array)


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="property")
@given(array=strided_arrays())
def test_check_never_changes_the_array_it_was_given(array: NDArray[Any]) -> None:
    """A source may go on using its buffer; whether it may write is not decided by who reads."""
    before = (array.flags.writeable, array.shape, array.strides, array.tobytes())
    with contextlib.suppress(PydanticCustomError):
        RGB.check(array)
    assert (array.flags.writeable, array.shape, array.strides, array.tobytes()) == before


@pytest.mark.verifies("SRS_CONTRACT_001", extent="partial", technique="property")
@given(array=strided_arrays(), frame_index=indices, captured_at_ns=indices, source_id=words)
@example(array=make_pixels(), frame_index=0, captured_at_ns=0, source_id="s")
def test_frame_exists_exactly_for_rgb_bytes(
    array: NDArray[Any], frame_index: int, captured_at_ns: int, source_id: str
) -> None:
    """Index, time and name are taken as they come; the pixels decide."""
    facts = {
        "pixels": array,
        "frame_index": frame_index,
        "captured_at_ns": captured_at_ns,
        "source_id": source_id,
    }
    if is_exactly(RGB, array):
        frame = Frame.model_validate(facts)
        assert (frame.height_px, frame.width_px) == array.shape[:2]
        assert np.shares_memory(frame.pixels, array)
    else:
        with pytest.raises(ValidationError, match="pixels"):
            Frame.model_validate(facts)


@pytest.mark.verifies("SRS_CONTRACT_001", extent="partial", technique="property")
@given(height_px=st.integers(1, 40), width_px=st.integers(1, 40), level=st.integers(0, 255))
def test_frame_of_any_size_shows_the_pixels_it_was_given(
    height_px: int, width_px: int, level: int
) -> None:
    """No byte is changed between source and unit."""
    pixels = make_pixels(height_px, width_px, level=level)
    frame = Frame(pixels=pixels, frame_index=0, captured_at_ns=0, source_id="s")
    assert frame.pixels.tobytes() == pixels.tobytes()


@st.composite
def histories(draw: st.DrawFn) -> FrameTimes:
    """Return any three times in order."""
    captured, started, finished = sorted(draw(st.tuples(indices, indices, indices)))
    return FrameTimes(captured_at_ns=captured, started_at_ns=started, finished_at_ns=finished)


backends = st.builds(
    BackendInfo, engine=words, provider=words, precision=words, thread_count=st.integers(1, 64)
)
units = st.builds(
    UnitInfo,
    unit=words,
    unit_version=words,
    pack_id=words,
    pack_digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    backend=backends,
)
withheld = st.builds(
    Withheld, frame_index=indices, reason=st.sampled_from(Reason), detail=st.text(max_size=40)
)


@st.composite
def records(draw: st.DrawFn) -> FrameRecord:
    """Return any record of a withheld frame."""
    outcome = draw(withheld)
    return FrameRecord(
        frame_index=outcome.frame_index,
        source_id=draw(words),
        media_time_ns=draw(st.none() | indices),
        outcome=outcome,
        unit=draw(units),
        times=draw(histories()),
        verdict=draw(st.sampled_from(DeadlineVerdict)),
        dropped_before_count=draw(indices),
    )


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="partial", technique="property")
@given(value=st.one_of(records(), withheld, units, histories()))
def test_contract_survives_the_way_through_dictionary_and_json(value: Contract) -> None:
    """What is written to a file can be read back as the very same value."""
    kind = type(value)
    assert kind.model_validate(value.model_dump()) == value
    assert kind.model_validate_json(value.model_dump_json()) == value


@given(times=histories())
def test_age_is_waiting_plus_service(times: FrameTimes) -> None:
    """No nanosecond is lost between the two figures, and none is negative."""
    waited_ns = times.started_at_ns - times.captured_at_ns
    assert times.age_ns == waited_ns + times.service_ns
    assert min(waited_ns, times.service_ns, times.age_ns) >= 0


@given(order=st.tuples(indices, indices, indices))
def test_times_out_of_order_are_refused(order: tuple[int, int, int]) -> None:
    """The age of a record with a broken clock would be a number without meaning."""
    assume(tuple(sorted(order)) != order)
    facts = dict(zip(("captured_at_ns", "started_at_ns", "finished_at_ns"), order, strict=True))
    with pytest.raises(ValidationError, match="captured <= started <= finished"):
        FrameTimes.model_validate(facts)


@pytest.mark.proves_effect(
    "RCM_FRAMEID_001",
    measure="records accepted whose outcome names another frame than the record",
    acceptance="none, over all generated pairs of frames",
    technique="property",
)
@given(record_index=indices, outcome_index=indices, is_finding=st.booleans())
@example(record_index=0, outcome_index=1, is_finding=True)
@example(record_index=1, outcome_index=0, is_finding=False)
def test_no_record_holds_the_outcome_of_another_frame(
    record_index: int, outcome_index: int, *, is_finding: bool
) -> None:
    """Whatever two frames are mixed up, there is no record that could be shown."""
    outcome = make_polyp_mask(outcome_index) if is_finding else make_withheld(outcome_index)
    facts = dict(make_record(record_index)) | {"outcome": outcome}
    if record_index == outcome_index:
        assert FrameRecord.model_validate(facts).outcome is outcome
    else:
        with pytest.raises(ValidationError, match=f"outcome of frame {outcome_index} under frame"):
            FrameRecord.model_validate(facts)
