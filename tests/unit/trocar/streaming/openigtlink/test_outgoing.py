"""What a receiver sees of a record: where it lies, what it says, and that nothing old is left."""

from __future__ import annotations

import json

import numpy as np
import pytest

from conformance.samples import make_polyp_mask, make_record, make_unit_info
from simulators.igtl_messages import GEOMETRY
from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import InvariantError
from trocar.contracts.findings import (
    Detection,
    Finding,
    ToolDetections,
    ToolTracks,
    Track,
    TrackState,
)
from trocar.contracts.frame import CrcVerdict, FrameOrigin
from trocar.contracts.limits import DETECTION_COUNT_MAX, IGTL_TEXT_BYTES_MAX
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.record import FrameRecord
from trocar.streaming.openigtlink.header import HEADER_BYTES, HeaderVersion, parse_header
from trocar.streaming.openigtlink.image import ImageMessage
from trocar.streaming.openigtlink.messages import Packet, decode
from trocar.streaming.openigtlink.outgoing import (
    INSIDE_LEVEL,
    OUTSIDE_LEVEL,
    WITHHELD_LEVEL,
    Composer,
    Outgoing,
)
from trocar.streaming.openigtlink.point import PointMessage
from trocar.streaming.openigtlink.status import StatusCode, StatusMessage
from trocar.streaming.openigtlink.text import StringMessage

SIZE_PX = (100, 60)
WALL_NS = 1_700_000_000_250_000_000
ORIGIN = FrameOrigin(device_name="Camera", sender_wall_ns=WALL_NS, crc=CrcVerdict.VERIFIED)


def _detection(score: float, *, label: str = "grasper") -> Detection:
    """Return a tool in the middle of the right upper quarter."""
    return Detection(label=label, class_index=0, score=score, box_xyxy_px=(60.0, 10.0, 90.0, 20.0))


def _detections(*scores: float, label: str = "grasper") -> ToolDetections:
    """Return detections of one frame."""
    return ToolDetections(
        frame_index=0,
        detections=tuple(_detection(score, label=label) for score in scores),
        score_shown_min=0.5,
        frame_height_px=SIZE_PX[1],
        frame_width_px=SIZE_PX[0],
    )


def _track(number: int, state: TrackState) -> Track:
    """Return one track."""
    return Track(
        track_id=number,
        label="hook",
        class_index=1,
        score=0.9,
        box_xyxy_px=(0.0, 0.0, 10.0, 20.0),
        state=state,
        seen_frame_count=3,
        unseen_ms=40.0 if state is TrackState.COASTING else 0.0,
    )


def _tracks() -> ToolTracks:
    """Return one track of each state."""
    return ToolTracks(
        frame_index=0,
        tracks=tuple(_track(number, state) for number, state in enumerate(TrackState, start=1)),
        detections=_detections(0.9),
        reset_count=0,
        frame_height_px=SIZE_PX[1],
        frame_width_px=SIZE_PX[0],
    )


def _record(
    outcome: Finding | Withheld, *, unit: str = "tool_detection", origin: FrameOrigin | None = None
) -> FrameRecord:
    """Return a record of frame 0."""
    return FrameRecord(
        frame_index=outcome.frame_index,
        source_id="sample",
        media_time_ns=None,
        outcome=outcome,
        unit=make_unit_info().model_copy(update={"unit": unit}),
        times=make_record().times,
        verdict=DeadlineVerdict.MET,
        dropped_before_count=0,
        origin=origin,
    )


def _withheld(reason: Reason = Reason.STALE_FRAME, detail: str = "") -> Withheld:
    """Return no result for frame 0, with details."""
    return Withheld(frame_index=0, reason=reason, detail=detail)


def _packets(outgoing: Outgoing, version: HeaderVersion = 1) -> list[Packet]:
    """Return messages as a receiver gets them."""
    found = []
    for encoded in outgoing.encoded(version):
        data = b"".join(encoded.parts)
        assert len(data) == encoded.size_bytes
        found.append(decode(parse_header(data[:HEADER_BYTES]), data[HEADER_BYTES:]))
    return found


def _by_device(outgoing: Outgoing, version: HeaderVersion = 1) -> dict[str, Packet]:
    """Return the messages of one record by device."""
    return {packet.header.device_name: packet for packet in _packets(outgoing, version)}


def _composer() -> Composer:
    """Return a composer with the usual names."""
    return Composer(device_prefix="Trocar")


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
def test_mask_goes_out_at_its_own_size_over_the_whole_frame() -> None:
    """A mask at the network's resolution covers the area of the frame, corner on corner."""
    found = _by_device(_composer().compose(make_record(0, make_polyp_mask())))["TrocarMask"]
    message = found.message
    assert isinstance(message, ImageMessage)
    mask = make_polyp_mask().mask
    levels = message.pixels[0, :, :, 0]
    assert np.array_equal(levels == INSIDE_LEVEL, mask.pixels)
    assert np.array_equal(levels == OUTSIDE_LEVEL, ~mask.pixels)
    height, width = mask.pixels.shape
    corner = message.geometry.position_mm((-0.5, -0.5, 0.0), (width, height, 1))
    opposite = message.geometry.position_mm((width - 0.5, height - 0.5, 0.0), (width, height, 1))
    assert corner == pytest.approx((-0.5, -0.5, 0.0))
    assert opposite == pytest.approx((mask.frame_width_px - 0.5, mask.frame_height_px - 0.5, 0.0))


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
def test_mask_lies_where_its_frame_lies() -> None:
    """Where the frame came with a place in space, its mask has the same one."""
    composer = Composer(device_prefix="Trocar", geometry_of=lambda _: GEOMETRY)
    message = _by_device(composer.compose(make_record(0, make_polyp_mask())))["TrocarMask"].message
    assert isinstance(message, ImageMessage)
    assert message.geometry.centre == GEOMETRY.centre
    assert message.geometry.coordinates is GEOMETRY.coordinates
    composer = Composer(device_prefix="Trocar", geometry_of=lambda _: None)
    assert "TrocarMask" in _by_device(composer.compose(make_record(0, make_polyp_mask())))


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="boundary")
def test_shown_detections_are_points_in_the_middle_of_their_boxes() -> None:
    """Weak detections stand in the text only, as they do on the overlay."""
    found = _by_device(_composer().compose(_record(_detections(0.9, 0.5, 0.499))))
    message = found["TrocarTools"].message
    assert isinstance(message, PointMessage)
    assert [point.name for point in message.points] == ["grasper 0.90", "grasper 0.50"]
    point = message.points[0]
    assert point.position == pytest.approx((74.5, 14.5, 0.0))
    assert point.diameter_mm == pytest.approx(30.0)
    text = found["TrocarResult"].message
    assert isinstance(text, StringMessage)
    assert len(json.loads(text.text)["outcome"]["detections"]) == 3


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="equivalence")
def test_tracks_say_what_is_seen_and_what_is_guessed() -> None:
    """A box that is guessed must not look like one that is seen."""
    message = _by_device(_composer().compose(_record(_tracks())))["TrocarTracks"].message
    assert isinstance(message, PointMessage)
    assert [point.name for point in message.points] == [
        "hook #1 (tentative)",
        "hook #2",
        "hook #3 (coasting)",
    ]
    assert message.points[1].rgba != message.points[2].rgba
    assert [point.group for point in message.points] == [state.value for state in TrackState]


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
def test_letters_that_a_name_cannot_hold_are_written_out() -> None:
    """A label in any script must not end the run."""
    record = _record(_detections(0.9, label="Zange\u00e4\x07"))
    message = _by_device(_composer().compose(record))["TrocarTools"].message
    assert isinstance(message, PointMessage)
    assert message.points[0].name == "Zange\\xe4? 0.90"


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="equivalence")
@pytest.mark.parametrize("reason", list(Reason))
def test_withheld_result_is_a_status_with_its_reason(reason: Reason) -> None:
    """Each reason there is fits into its field and can be told from the others."""
    found = _by_device(_composer().compose(_record(_withheld(reason, "level 3 \u00b5"))))
    message = found["TrocarStatus"].message
    assert isinstance(message, StatusMessage)
    assert message.error_name == reason.value
    assert message.code != StatusCode.OK
    assert "level 3" in message.text
    assert set(found) == {"TrocarStatus", "TrocarResult"}


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
@pytest.mark.controls("RCM_IGTL_014")
def test_withheld_result_replaces_an_earlier_mask() -> None:
    """A grey mask is neither a finding nor a clear frame."""
    composer = _composer()
    composer.compose(make_record(0, make_polyp_mask()))
    found = _by_device(composer.compose(make_record(1)))
    message = found["TrocarMask"].message
    assert isinstance(message, ImageMessage)
    assert message.pixels.shape[1:3] == make_polyp_mask().mask.pixels.shape
    assert np.unique(message.pixels).tolist() == [WITHHELD_LEVEL]
    assert WITHHELD_LEVEL not in {INSIDE_LEVEL, OUTSIDE_LEVEL}


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
@pytest.mark.controls("RCM_IGTL_014")
@pytest.mark.parametrize("scores", [(0.9, 0.8), ()])
def test_withheld_result_replaces_earlier_points(scores: tuple[float, ...]) -> None:
    """One point that names the reason; an empty list would say that there is no tool."""
    composer = _composer()
    composer.compose(_record(_detections(*scores)))
    found = _by_device(composer.compose(_record(_withheld())))
    message = found["TrocarTools"].message
    assert isinstance(message, PointMessage)
    assert [point.name for point in message.points] == ["WITHHELD: stale_frame"]


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
def test_units_do_not_replace_each_other() -> None:
    """A unit that withholds says nothing about the result of another one."""
    composer = _composer()
    composer.compose(make_record(0, make_polyp_mask()))
    found = _by_device(composer.compose(_record(_withheld(), unit="tool_detection")))
    assert "TrocarMask" not in found


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="state_table")
def test_each_record_carries_its_own_status() -> None:
    """The status of the last fault must not stay, whichever results a slow receiver misses."""
    composer = _composer()
    outcomes: list[Finding | Withheld] = [
        _detections(0.9),
        _withheld(),
        _detections(0.9),
        _detections(0.9),
    ]
    codes = []
    for outcome in outcomes:
        packet = _by_device(composer.compose(_record(outcome))).get("TrocarStatus")
        message = None if packet is None else packet.message
        codes.append(message.code if isinstance(message, StatusMessage) else None)
    assert codes == [StatusCode.OK, StatusCode.TIME_OUT, StatusCode.OK, StatusCode.OK]


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_IGTL_011")
@pytest.mark.parametrize("sender_ns", [WALL_NS, None])
def test_time_is_that_of_the_sender_or_none(sender_ns: int | None) -> None:
    """The time of our own clock would look like the time of the picture."""
    origin = ORIGIN.model_copy(update={"sender_wall_ns": sender_ns})
    outgoing = _composer().compose(_record(_detections(0.9), origin=origin))
    packets = _packets(outgoing, 2)
    assert {packet.header.timestamp_ns for packet in packets} == {sender_ns}
    expected = "unknown" if sender_ns is None else str(sender_ns)
    assert {packet.metadata["SenderTimeNs"] for packet in packets} == {expected}
    assert {packet.metadata["AgeSinceArrivalMs"] for packet in packets} == {"0.005"}


@pytest.mark.verifies("SRS_IGTL_028", extent="partial", technique="example")
@pytest.mark.controls("RCM_NOTICE_001")
def test_notice_is_the_first_thing_and_goes_along() -> None:
    """Whoever reads a result reads that it is for research only."""
    composer = _composer()
    first, second = _packets(composer.greeting())
    assert first.message == StringMessage(RESEARCH_NOTICE)
    assert isinstance(second.message, StatusMessage)
    assert second.message.text == RESEARCH_NOTICE
    outgoing = composer.compose(_record(_detections(0.9)))
    assert {p.metadata["Notice"] for p in _packets(outgoing, 2)} == {RESEARCH_NOTICE}
    text = _by_device(outgoing)["TrocarResult"].message
    assert isinstance(text, StringMessage)
    assert json.loads(text.text)["notice"] == RESEARCH_NOTICE


@pytest.mark.verifies("SRS_IGTL_028", extent="partial", technique="example")
def test_metadata_name_the_frame_and_what_made_the_result() -> None:
    """A receiver that keeps only the mask knows what it is of."""
    composer = _composer()
    composer.compose(_record(_detections(0.9)))
    outgoing = composer.compose(_record(_detections(0.9), origin=ORIGIN))
    packet = _packets(outgoing, 2)[0]
    assert packet.metadata["FrameIndex"] == "0"
    assert packet.metadata["SourceDevice"] == "Camera"
    assert packet.metadata["Crc"] == "verified"
    assert packet.metadata["PackSha256"] == "0" * 64
    assert packet.message_id == 2
    assert all(not each.metadata for each in _packets(outgoing, 1))


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="example")
def test_messages_are_turned_into_bytes_once() -> None:
    """Eight receivers must not cost eight checksums."""
    outgoing = _composer().compose(_record(_detections(0.9)))
    assert outgoing.encoded(1) is outgoing.encoded(1)
    assert outgoing.encoded(2) is outgoing.encoded(2)


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="boundary")
def test_largest_record_fits_into_one_text() -> None:
    """As many tracks and detections as a record may hold, with the longest labels."""
    label = "L" * 64
    detections = _detections(*[0.912345] * DETECTION_COUNT_MAX, label=label)
    tracks = tuple(
        _track(10**9 + number, TrackState.TENTATIVE).model_copy(
            update={"label": label, "box_xyxy_px": (10.123, 20.123, 99.123, 59.123)}
        )
        for number in range(DETECTION_COUNT_MAX)
    )
    finding = ToolTracks(
        frame_index=0,
        tracks=tracks,
        detections=detections,
        reset_count=0,
        frame_height_px=SIZE_PX[1],
        frame_width_px=SIZE_PX[0],
    )
    text = _by_device(_composer().compose(_record(finding)))["TrocarResult"].message
    assert isinstance(text, StringMessage)
    assert len(text.text) < IGTL_TEXT_BYTES_MAX


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="boundary")
def test_names_that_do_not_fit_are_refused_before_the_run() -> None:
    """The field has 20 bytes; a name that is cut could be that of another device."""
    Composer(device_prefix="P" * 14)
    for prefix in ("P" * 15, "Gr\u00f6\u00dfe"):
        with pytest.raises(InvariantError):
            Composer(device_prefix=prefix)
