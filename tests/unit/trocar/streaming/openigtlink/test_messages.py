"""Any message: header, checksum, extension and content together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyigtl
import pytest

from simulators.igtl_messages import (
    GEOMETRY,
    KINDS,
    TIME_NS,
    as_bytes,
    message_samples,
    resealed,
)
from trocar.contracts.errors import ContractError, InvariantError, ProtocolError
from trocar.contracts.frame import CrcVerdict
from trocar.contracts.limits import NS_PER_S
from trocar.streaming.openigtlink.crc64 import crc64
from trocar.streaming.openigtlink.header import HEADER_BYTES, Header, HeaderVersion, parse_header
from trocar.streaming.openigtlink.image import ImageMessage, image_from_frame
from trocar.streaming.openigtlink.message_types import QUERY_TYPES, Verb
from trocar.streaming.openigtlink.messages import (
    DamagedMessage,
    Message,
    NoDataMessage,
    Packet,
    UnknownMessage,
    decode,
    encode,
    type_name_of,
)
from trocar.streaming.openigtlink.point import PointMessage
from trocar.streaming.openigtlink.query import CapabilityMessage, QueryMessage
from trocar.streaming.openigtlink.text import StringMessage
from trocar.streaming.openigtlink.transform import TransformMessage

VERSIONS: tuple[HeaderVersion, ...] = (1, 2)


def _decoded(data: bytes) -> Packet:
    """Return the message in a run of bytes."""
    return decode(parse_header(data[:HEADER_BYTES]), data[HEADER_BYTES:])


def _is_same(found: object, sent: Message) -> bool:
    """Return whether a message arrived as it was sent."""
    if isinstance(sent, ImageMessage):
        return (
            isinstance(found, ImageMessage)
            and np.array_equal(found.pixels, sent.pixels)
            and replace(found, pixels=sent.pixels).geometry == sent.geometry
            and (found.size_ijk, found.offset_ijk) == (sent.size_ijk, sent.offset_ijk)
        )
    return found == sent


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="conformance")
@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="conformance")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_message_comes_back(kind: str, version: HeaderVersion) -> None:
    """Each kind with each header; name, time, metadata and number with it."""
    sent = message_samples()[kind]
    packet = _decoded(as_bytes(sent, version=version))
    assert _is_same(packet.message, sent)
    assert packet.crc is CrcVerdict.VERIFIED
    assert (packet.header.device_name, packet.header.timestamp_ns) == ("Camera", TIME_NS)
    assert packet.header.type_name == type_name_of(sent)
    if version == 2:
        assert dict(packet.metadata) == {"FrameNumber": "17", "Ort": "Höhle"}
    else:
        assert dict(packet.metadata) == {}
    assert packet.message_id == (99 if version == 2 else 0)


def _pyigtl_of(sent: Message) -> Any:  # noqa: ANN401 - pyigtl has no types
    """Return the same message made by pyigtl."""
    match sent:
        case ImageMessage(pixels=pixels, geometry=geometry):
            columns, rows, slices = sent.size_ijk
            matrix = np.eye(4)
            matrix[:3, 0], matrix[:3, 1] = geometry.axis_i, geometry.axis_j
            matrix[:3, 2] = geometry.axis_k
            matrix[:3, 3] = geometry.position_mm((0, 0, 0), (columns, rows, slices))
            system = geometry.coordinates.name.lower()
            return pyigtl.ImageMessage(pixels, matrix, system)
        case TransformMessage(rows=rows):
            return pyigtl.TransformMessage(np.array([*rows, (0, 0, 0, 1)]))
        case StringMessage(text=text):
            return pyigtl.StringMessage(text)
        case PointMessage(points=points):
            return pyigtl.PointMessage(
                positions=[point.position for point in points],
                names=[point.name for point in points],
                groups=[point.group for point in points],
                rgba_colors=[point.rgba for point in points],
                diameters=[point.diameter_mm for point in points],
                owners=[point.owner for point in points],
            )
        case _:
            raise NotImplementedError(type(sent).__name__)


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="equivalence")
@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["rgb", "grey", "transform", "ascii", "points"])
def test_whole_message_is_that_of_pyigtl(kind: str, version: HeaderVersion) -> None:
    """Byte for byte: header, time, checksum, extension, content, metadata."""
    sent = message_samples()[kind]
    theirs = _pyigtl_of(sent)
    theirs.device_name, theirs.timestamp = "Camera", TIME_NS / NS_PER_S
    theirs.header_version = version
    if version == 2:
        theirs.metadata, theirs.message_id = {"FrameNumber": "17"}, 99
    ours = encode(
        sent,
        device_name="Camera",
        timestamp_ns=TIME_NS,
        version=version,
        metadata={"FrameNumber": "17"} if version == 2 else {},
        message_id=99 if version == 2 else 0,
    )
    assert b"".join(ours) == theirs.pack()


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["rgb", "transform", "ascii", "utf8", "points"])
def test_pyigtl_reads_what_is_sent(kind: str, version: HeaderVersion) -> None:
    """The way that a receiver of results reads them."""
    data = as_bytes(message_samples()[kind], version=version)
    fields = pyigtl.MessageBase.parse_header(data[:HEADER_BYTES])
    theirs = pyigtl.MessageBase.create_message(fields["message_type"])
    theirs.unpack(fields, data[HEADER_BYTES:])
    assert theirs.device_name == "Camera"
    assert theirs.metadata == ({"FrameNumber": "17", "Ort": "Höhle"} if version == 2 else {})
    sent = message_samples()[kind]
    if isinstance(sent, ImageMessage):
        assert np.array_equal(theirs.image, sent.pixels)
    elif isinstance(sent, TransformMessage):
        assert np.array_equal(theirs.matrix[:3], sent.rows)
    elif isinstance(sent, StringMessage):
        assert theirs.string == sent.text
    else:
        assert isinstance(sent, PointMessage)
        assert theirs.positions == [point.position for point in sent.points]


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="equivalence")
def test_checksum_is_that_of_the_message_of_version_2_in_the_tests_of_the_library() -> None:
    """Debian's library has no version 2, so its authors' own test message stands for it.

    Source: OpenIGTLink, Testing/igtlutil/igtl_test_data_transformFormat2.h: values, size, checksum.
    """
    message = TransformMessage((
        (-0.954892, -0.196632, 0.222525, 46.0531),
        (0.196632, 0.142857, 0.970014, 19.4709),
        (-0.222525, 0.970014, -0.0977491, 46.0531),
    ))
    header, *body = encode(
        message,
        device_name="DeviceName",
        timestamp_ns=None,
        version=2,
        metadata={"First patient age": "22", "Second patient age": "25"},
        message_id=1,
    )
    found = parse_header(header)
    assert (found.body_bytes, found.crc) == (0x75, 0xF698F64FDAE266DD)
    assert crc64(*body) == found.crc


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_001")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"get", "none"}])
def test_every_flipped_bit_of_a_body_is_seen(kind: str, version: HeaderVersion) -> None:
    """No content is read out of it, and it is no error: the stream is still in step."""
    data = as_bytes(message_samples()[kind], version=version)
    header, body = parse_header(data[:HEADER_BYTES]), data[HEADER_BYTES:]
    damaged = DamagedMessage(header.type_name, len(body))
    for place in range(len(body) * 8):
        changed = bytearray(body)
        changed[place // 8] ^= 1 << place % 8
        packet = decode(header, changed)
        assert (packet.message, packet.crc) == (damaged, CrcVerdict.MISMATCH)


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="equivalence")
def test_message_without_checksum_is_read_and_says_so() -> None:
    """What to do with it is for the one who configures the source."""
    data = as_bytes(message_samples()["ascii"])
    header = replace(parse_header(data[:HEADER_BYTES]), crc=0)
    packet = decode(header, data[HEADER_BYTES:])
    assert (packet.message, packet.crc) == (message_samples()["ascii"], CrcVerdict.NOT_SENT)


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="equivalence")
@pytest.mark.parametrize("version", VERSIONS)
def test_type_off_the_list_is_named_and_not_read(version: HeaderVersion) -> None:
    """Its body may be anything, also one that is no body of version 2."""
    body = b"anything"
    header = Header(version, "VIDEO", "Camera", None, len(body), crc64(body))
    assert decode(header, body).message == UnknownMessage("VIDEO", len(body))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
@pytest.mark.parametrize("type_name", ["IMAGE", "TRANSFORM", "STRING", "STATUS"])
@pytest.mark.parametrize("version", VERSIONS)
def test_empty_answer_says_that_there_is_none(type_name: str, version: HeaderVersion) -> None:
    """So the specification answers a query for what a device has not; it is no broken message."""
    message = NoDataMessage(type_name)
    assert _decoded(as_bytes(message, version=version)).message == message
    header = Header(version, type_name, "Camera", None, 0, 0)
    assert decode(header, b"").message == message


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_empty_list_is_a_list() -> None:
    """No point and no capability are answers of their own."""
    assert decode(Header(1, "POINT", "", None, 0, 0), b"").message == PointMessage(())
    found = decode(Header(1, "CAPABILITY", "", None, 0, 0), b"").message
    assert found == CapabilityMessage(())
    found = decode(Header(1, "GET_STATUS", "", None, 0, 0), b"").message
    assert found == QueryMessage(Verb.GET, "STATUS")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_left_over_are_refused(kind: str, version: HeaderVersion) -> None:
    """A checksum over them that is right changes nothing."""
    data = as_bytes(message_samples()[kind], version=version)
    longer = resealed(data, data[HEADER_BYTES:] + b"\1")
    if kind == "result" and version == 1:
        longer = resealed(data, b"\1\1")
    with pytest.raises(ProtocolError):
        _decoded(longer)


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="boundary")
def test_body_of_another_length_is_our_fault() -> None:
    """The connection reads as much as the header says."""
    data = as_bytes(message_samples()["ascii"])
    with pytest.raises(InvariantError, match="not as long"):
        decode(parse_header(data[:HEADER_BYTES]), data[HEADER_BYTES:-1])


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="requirement")
def test_no_buffer_is_empty_and_pixels_are_not_copied() -> None:
    """They go to ``sendmsg`` as they are."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    parts = encode(image_from_frame(pixels), device_name="x", timestamp_ns=None, version=2)
    assert all(part.nbytes > 0 for part in parts)
    assert any(np.shares_memory(np.frombuffer(part, np.uint8), pixels) for part in parts)
    query = encode(QueryMessage(Verb.GET, "IMAGE"), device_name="x", timestamp_ns=None)
    assert [part.nbytes for part in query] == [HEADER_BYTES]


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="boundary")
@pytest.mark.parametrize(("metadata", "message_id"), [({"k": "v"}, 0), ({}, 1)])
def test_version_1_has_no_place_for_metadata(metadata: dict[str, str], message_id: int) -> None:
    """It is not dropped in silence."""
    with pytest.raises(ContractError, match="header version 2"):
        encode(
            StringMessage("x"),
            device_name="d",
            timestamp_ns=None,
            metadata=metadata,
            message_id=message_id,
        )


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
def test_each_message_has_the_name_of_its_type() -> None:
    """As the specification writes it."""
    names = {type_name_of(message) for message in message_samples().values()}
    assert {"IMAGE", "TRANSFORM", "STRING", "STATUS", "CAPABILITY", "POINT"} < names
    assert names & set(QUERY_TYPES) == {"GET_CAPABIL", "STT_TDATA", "STT_IMAGE", "RTS_TDATA"}
    assert GEOMETRY.coordinates.name == "RAS"
