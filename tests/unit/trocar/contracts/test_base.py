"""A contract is frozen, strict and closed, and an array in it is exactly what was asked for."""

from __future__ import annotations

from typing import Annotated, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from pydantic_core import PydanticCustomError

from trocar.contracts.base import ArrayOf, Contract

AXES: Final = ArrayOf(axes=("row", "column"), dtype=np.float32, sizes={"column": 4}, finite=True)
ANY_VALUES: Final = ArrayOf(axes=("row",), dtype=np.float32)


class Sample(Contract):
    """A contract with one field of each kind."""

    values: Annotated[NDArray[np.float32], AXES]
    count: int = Field(ge=0, le=10)
    ratio: float = 0.5


def make_values() -> NDArray[np.float32]:
    """Return an array that the sample accepts."""
    return np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="example")
def test_array_becomes_a_read_only_view_on_the_same_memory() -> None:
    """No copy, because a frame has megabytes; no writing, because others hold the same value."""
    values = make_values()
    held = Sample(values=values, count=1).values
    assert np.shares_memory(held, values)
    assert held is not values
    assert not held.flags.writeable
    assert values.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        held[0, 0] = 1.0


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("value", "expected", "got"),
    [
        ([[1.0] * 4], "an array", "list"),
        (None, "an array", "NoneType"),
        (np.ma.masked_array(make_values()), "an array", "MaskedArray"),
        (make_values().astype(np.float64), "dtype float32", "float64"),
        (make_values().astype(">f4"), "dtype float32", ">f4"),
        (make_values()[0], "axes (row, column), none empty", "shape (4,)"),
        (make_values()[None], "axes (row, column), none empty", "shape (1, 3, 4)"),
        (np.zeros((0, 4), np.float32), "axes (row, column), none empty", "shape (0, 4)"),
        (np.zeros((3, 0), np.float32), "axes (row, column), none empty", "shape (3, 0)"),
        (np.zeros((3, 3), np.float32), "4 along column", "shape (3, 3)"),
        (np.zeros((3, 5), np.float32), "4 along column", "shape (3, 5)"),
        (np.zeros((4, 3), np.float32).T, "C-contiguous memory", "strides (4, 12)"),
        (np.zeros((6, 4), np.float32)[::2], "C-contiguous memory", "strides (32, 4)"),
        (np.asfortranarray(make_values()), "C-contiguous memory", "strides (4, 12)"),
        (np.full((3, 4), np.nan, np.float32), "finite values", "NaN or infinity"),
        (np.full((3, 4), -np.inf, np.float32), "finite values", "NaN or infinity"),
    ],
)
def test_other_array_is_refused_with_expected_and_got(
    value: object, expected: str, got: str
) -> None:
    """The one who sent it must read what was expected and what came, not a shape error later on."""
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"values": value, "count": 1})
    errors = caught.value.errors()
    assert len(errors) == 1
    assert errors[0]["type"] == "array"
    assert errors[0]["msg"] == f"expected {expected}, got {got}"


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="boundary")
@pytest.mark.parametrize("row_count", [1, 2, 1000])
def test_axis_without_size_may_have_any_size_from_one(row_count: int) -> None:
    """Only what is named is fixed."""
    values = np.zeros((row_count, 4), np.float32)
    assert AXES.check(values).shape == (row_count, 4)


def test_values_are_scanned_only_where_asked() -> None:
    """The scan costs time; where nobody asked, NaN passes."""
    assert np.isnan(ANY_VALUES.check(np.array([np.nan], np.float32)))[0]
    with pytest.raises(PydanticCustomError):
        AXES.check(np.full((1, 4), np.inf, np.float32))


def test_read_only_array_is_accepted() -> None:
    """A view that is already read-only stays so."""
    values = make_values()
    values.flags.writeable = False
    assert not AXES.check(values).flags.writeable


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="example")
def test_contract_is_frozen() -> None:
    """A value that changes after its check was never checked."""
    sample = Sample(values=make_values(), count=1)
    with pytest.raises(ValidationError, match="frozen"):
        sample.count = 2
    with pytest.raises(ValidationError, match="frozen"):
        del sample.count


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "changes",
    [
        {"count": -1},
        {"count": 11},
        {"count": True},
        {"count": 1.0},
        {"count": "1"},
        {"count": np.int64(1)},
        {"ratio": "0.5"},
        {"ratio": float("nan")},
        {"ratio": float("inf")},
        {"unknown": 1},
        {"values": None},
    ],
)
def test_contract_is_strict_and_closed(changes: dict[str, object]) -> None:
    """Nothing is converted in silence, nothing unknown is swallowed, no number is missing."""
    with pytest.raises(ValidationError):
        Sample.model_validate({"values": make_values(), "count": 1, **changes})


@pytest.mark.parametrize("count", [0, 1, 9, 10])
def test_contract_accepts_its_limits(count: int) -> None:
    """Both ends belong to the range."""
    assert Sample(values=make_values(), count=count).count == count


def test_missing_field_is_refused() -> None:
    """There is no half-valid object."""
    with pytest.raises(ValidationError, match="count"):
        Sample.model_validate({"values": make_values()})


def test_schema_describes_the_array() -> None:
    """A unit's contract can be shown to a person, arrays included."""
    schema = Sample.model_json_schema()["properties"]["values"]
    assert schema["x-axes"] == ["row", "column"]
    assert schema["x-shape"] == ["row", 4]
    assert schema["x-dtype"] == "float32"
    assert schema["x-finite"] is True
    assert "float32 (row, column)" in schema["description"]


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="equivalence")
def test_equality_is_by_content_and_by_type() -> None:
    """Records are compared in replays; an array inside must not make that an error."""

    class Other(Contract):
        """Another type with a field of the same name."""

        count: int

    first = Sample(values=make_values(), count=1)
    assert first == Sample(values=make_values(), count=1)
    assert first != Sample(values=make_values(), count=2)
    assert first != Sample(values=make_values() + 1, count=1)
    assert first != Other(count=1)
    assert first != 1
    assert Other(count=1) == Other(count=1)
    assert hash(Other(count=1)) == hash(Other(count=1))
