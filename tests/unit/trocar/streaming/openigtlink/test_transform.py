"""TRANSFORM: rows, columns and what is no matrix."""

from __future__ import annotations

import numpy as np
import pyigtl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.igtl_messages import UNTIMED
from trocar.contracts.errors import ContractError, ProtocolError
from trocar.streaming.openigtlink.transform import (
    Row,
    TransformMessage,
    decode_transform,
    encode_transform,
)

NUMBERS = st.floats(-1e7, 1e7, width=32)
ROWS = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
MATRIX = np.arange(1.0, 17.0).reshape(4, 4)
MATRIX[3] = (0.0, 0.0, 0.0, 1.0)
SAMPLE = TransformMessage(((1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0), (9.0, 10.0, 11.0, 12.0)))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_bytes_are_those_of_pyigtl() -> None:
    """Column by column; a matrix that is not symmetric shows if rows and columns are mixed up."""
    theirs = pyigtl.TransformMessage(MATRIX)._pack_content()
    assert encode_transform(SAMPLE) == theirs
    assert decode_transform(memoryview(theirs)) == SAMPLE


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="property")
@UNTIMED
@given(rows=st.tuples(ROWS, ROWS, ROWS))
def test_matrix_comes_back(rows: tuple[Row, Row, Row]) -> None:
    """Numbers of 32 bits lose nothing."""
    message = TransformMessage(rows)
    assert decode_transform(memoryview(encode_transform(message))) == message


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize("size", [0, 47, 49, 96])
def test_other_size_is_refused(size: int) -> None:
    """Neither cut nor filled up."""
    with pytest.raises(ProtocolError, match=f"TRANSFORM: expected 48 bytes, got {size}"):
        decode_transform(memoryview(bytes(size)))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -2e7])
@pytest.mark.parametrize("index", range(12))
def test_number_that_is_none_is_refused(number: float, index: int) -> None:
    """Anywhere in the matrix; it would put a tool nowhere."""
    numbers = np.zeros(12, ">f4")
    numbers[index] = number
    with pytest.raises(ProtocolError, match="matrix of TRANSFORM: expected finite"):
        decode_transform(memoryview(numbers.tobytes()))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_matrix_that_could_not_be_sent_is_not_made() -> None:
    """Refused where it is made."""
    with pytest.raises(ContractError, match="matrix"):
        TransformMessage((SAMPLE.rows[0], (0.0, float("nan"), 0.0, 0.0), SAMPLE.rows[2]))
