"""The list of types and their limits."""

from __future__ import annotations

import pytest

from trocar.contracts.limits import (
    FRAME_PIXEL_COUNT_MAX,
    IGTL_EXTENSION_BYTES_MAX,
    IGTL_UNKNOWN_BYTES_MAX,
)
from trocar.streaming.openigtlink.message_types import (
    DECODED_TYPES,
    QUERY_TYPES,
    TYPE_NAME_BYTES,
    Verb,
    body_limit,
    is_known,
)


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="requirement")
@pytest.mark.parametrize(
    "name",
    ["IMAGE", "TRANSFORM", "STRING", "STATUS", "CAPABILITY", "POINT", "GET_CAPABIL", "STT_TDATA"],
)
def test_types_on_the_list(name: str) -> None:
    """What 3D Slicer and PLUS send and ask for."""
    assert is_known(name)


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="requirement")
@pytest.mark.parametrize("name", ["VIDEO", "BIND", "NDARRAY", "image", "IMAGE ", ""])
def test_types_off_the_list(name: str) -> None:
    """They are read past; their limit is that of unknown types."""
    assert not is_known(name)
    assert body_limit(name) == IGTL_UNKNOWN_BYTES_MAX + IGTL_EXTENSION_BYTES_MAX


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="boundary")
def test_limits_leave_room_for_what_is_sound_and_no_more() -> None:
    """A frame of the largest size fits; a transform may not cost as much as an image."""
    assert body_limit("IMAGE") >= 72 + 3 * FRAME_PIXEL_COUNT_MAX
    assert body_limit("TRANSFORM") == 48 + IGTL_EXTENSION_BYTES_MAX
    assert max(body_limit(name) for name in DECODED_TYPES) == body_limit("IMAGE")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
def test_each_query_fits_its_field_and_says_its_verb() -> None:
    """A name of more than twelve characters cannot be sent."""
    for name, (verb, _) in QUERY_TYPES.items():
        assert len(name) <= TYPE_NAME_BYTES
        assert name.startswith(verb)
    assert QUERY_TYPES["GET_TRANS"] == QUERY_TYPES["GET_TRANSFOR"] == (Verb.GET, "TRANSFORM")
