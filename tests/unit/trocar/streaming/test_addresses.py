"""Sources and sinks by address: five kinds, local files, and an answer for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.media import write_clip
from trocar.contracts.errors import ContractError, DecodeError, SinkError
from trocar.contracts.ports import Sink
from trocar.streaming.addresses import (
    earlier_results,
    latency_sink,
    open_sink,
    open_source,
    overlay_sink,
    path_of,
)
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.mask_files import MaskFilesSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.sink_filter import SinkOfUnit
from trocar.streaming.sink_queue import QueuedSink
from trocar.streaming.summary import StreamConfig
from trocar.streaming.video_file import VideoFileSource

FAST = Pacing.AS_FAST_AS_POSSIBLE


def _source(address: str, *, loop_count: int = 1) -> VideoFileSource:
    """Open a source, which must be a video file."""
    source = open_source(address, pacing=FAST, clock=MonotonicClock(), loop_count=loop_count)
    assert isinstance(source, VideoFileSource)
    return source


def _sink(address: str, clip: Path) -> Sink:
    """Open a sink for results of a clip."""
    source = _source(f"file:{clip}")
    try:
        return open_sink(
            address,
            source=source,
            config=StreamConfig(pacing=FAST),
            ledger=DropLedger(),
            units=["one", "two"],
            clock=MonotonicClock(),
        )
    finally:
        source.close()


@pytest.mark.verifies(
    "SRS_CLI_001", "UNIT_STREAMING_ADDRESSES", extent="partial", technique="requirement"
)
def test_file_is_played_as_often_as_asked(clip: Path) -> None:
    """The number of rounds reaches the source."""
    source = _source(f"file:{clip}", loop_count=3)
    assert source.frame_count == 36
    assert sum(1 for _ in source.frames(lambda: False)) == 36
    source.close()


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="example")
@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mp4", "with space.mp4", "ä.mp4"])
def test_rest_of_an_address_is_a_path_as_it_stands(tmp_path: Path, name: str) -> None:
    """Recorders put colons into times of day; nothing after the scheme is interpreted."""
    clip = write_clip(tmp_path / "clip.mp4").rename(tmp_path / name)
    source = _source(f"file:{clip}")
    assert source.source_id == name
    source.close()


@pytest.mark.verifies("SRS_NETWORK_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "address",
    ["", ":", "file", "file:", "http://x/y.mp4", "udp://x", "FILE:x", "mp4:x", " file:x", "x.mp4"],
)
def test_any_other_source_is_refused(address: str) -> None:
    """No other kind of address opens a network connection, and none is guessed."""
    with pytest.raises(ContractError, match="expected file:PATH") as caught:
        _source(address)
    assert caught.value.advice


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("address", ["file:nowhere.mp4", "file:/", "file:" + "x" * 300])
def test_source_that_is_no_file_is_a_decode_error(address: str) -> None:
    """Also for a name that is too long for any file system."""
    with pytest.raises(DecodeError):
        _source(address)


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("loop_count", [0, -1])
def test_file_is_played_at_least_once(clip: Path, loop_count: int) -> None:
    """A user's number is a user's mistake, not a fault of Trocar."""
    with pytest.raises(ContractError, match="at least once"):
        _source(f"file:{clip}", loop_count=loop_count)


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="requirement")
@pytest.mark.parametrize(
    ("scheme", "name", "kind"),
    [
        ("mp4", "o.mp4", QueuedSink),
        ("jsonl", "r.jsonl", JsonlSink),
        ("latency", "", SinkOfUnit),
        ("masks", "made", MaskFilesSink),
    ],
)
def test_each_scheme_opens_its_sink(
    clip: Path, tmp_path: Path, *, scheme: str, name: str, kind: type[Sink]
) -> None:
    """Four kinds of output; the folder of masks is created."""
    sink = _sink(f"{scheme}:{tmp_path / name}", clip)
    assert isinstance(sink, kind)
    sink.close()


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("address", ["", "mp4", "mp4:", "file:x", "avi:x", "out.mp4"])
def test_any_other_sink_is_refused(clip: Path, address: str) -> None:
    """The message lists the kinds that there are."""
    with pytest.raises(ContractError, match="mp4:PATH, jsonl:PATH, latency:PATH, masks:PATH"):
        _sink(address, clip)


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("scheme", ["mp4", "jsonl", "latency"])
@pytest.mark.parametrize("name", ["no/where", "y" * 300 + "/x"])
def test_output_without_its_folder_is_refused_at_once(
    clip: Path, tmp_path: Path, scheme: str, name: str
) -> None:
    """The latency report is written at the end: its folder must be missed at the begin."""
    with pytest.raises(SinkError) as caught:
        _sink(f"{scheme}:{tmp_path / name}", clip)
    assert caught.value.advice
    assert list(tmp_path.iterdir()) == []


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("mp4:{0}/o.mp4", {"o.mp4"}),
        ("jsonl:{0}/o.mp4", {"o.mp4"}),
        ("latency:{0}", {"latency.html", "latency.json"}),
        ("masks:{0}", {"a.png", "b.png"}),
        ("mp4:{0}/other.mp4", set()),
        ("jsonl:{0}/empty.jsonl", set()),
        ("jsonl:/dev/null", set()),
        ("latency:{0}/nowhere", set()),
        ("masks:{0}/nowhere", set()),
        ("masks:{0}/folder.png", set()),
    ],
)
def test_earlier_results_are_found_where_a_sink_would_write(
    tmp_path: Path, address: str, found: set[str]
) -> None:
    """An empty file, a device and a folder are no results."""
    for name in ("o.mp4", "latency.json", "latency.html", "a.png", "b.png", "notes.txt"):
        (tmp_path / name).write_text("x", encoding="ascii")
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder.png").mkdir()
    results = earlier_results(address.format(tmp_path))
    assert {path.name for path in results} == found
    assert all(path.parent == tmp_path for path in results)


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="fault_injection")
def test_place_that_cannot_be_looked_at_is_a_typed_error(tmp_path: Path) -> None:
    """A name that no file can have is found before the first frame; an unknown scheme too."""
    with pytest.raises(SinkError, match="cannot write") as caught:
        earlier_results(f"jsonl:{tmp_path / ('y' * 300)}")
    assert caught.value.advice
    with pytest.raises(ContractError, match="expected mp4:PATH"):
        earlier_results("avi:x")


@pytest.mark.verifies("SRS_STREAM_008", extent="partial", technique="inspection")
@pytest.mark.parametrize("pacing", Pacing)
def test_overlay_is_queued_in_either_pacing(tmp_path: Path, pacing: Pacing) -> None:
    """Encoding takes longer than a frame lasts: it never runs in the loop itself."""
    sink = overlay_sink(tmp_path / "o.mp4", pacing)
    assert isinstance(sink, QueuedSink)
    sink.close()


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="example")
def test_latency_sink_without_a_record_leaves_no_file(tmp_path: Path) -> None:
    """There is nothing to report."""
    latency_sink(tmp_path, deadline_ms=100, ledger=DropLedger()).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.verifies("SRS_CLI_008", "SRS_LIVE_004", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("address", "source_id"),
    [
        ("rtsp://user:word@camera:554/a?key=1", "rtsp://camera:554/a"),
        ("rtsp-udp://camera/a", "rtsp://camera/a"),
        ("camera:/dev/video7", "/dev/video7"),
        ("igtl:127.0.0.1:9?device=Camera", "igtl:127.0.0.1:9?device=Camera"),
    ],
)
def test_live_source_is_made_and_not_connected_yet(address: str, source_id: str) -> None:
    """Its name in the records holds no password; who it is called by is clear."""
    source = open_source(address, pacing=Pacing.REALTIME, clock=MonotonicClock())
    assert source.source_id == source_id
    assert source.frame_count is None
    source.close()


@pytest.mark.verifies("SRS_CLI_008", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("address", "pacing", "loop_count", "problem"),
    [
        ("camera:/dev/video0", FAST, 1, "in real time"),
        ("camera:/dev/video0", Pacing.REALTIME, 2, "played once"),
        ("recording:here", FAST, 2, "played once"),
    ],
)
def test_live_source_has_no_second_round_and_no_pace_of_its_own(
    address: str, pacing: Pacing, loop_count: int, problem: str
) -> None:
    """What comes when it comes cannot be played twice or faster."""
    with pytest.raises(ContractError, match=problem):
        open_source(address, pacing=pacing, clock=MonotonicClock(), loop_count=loop_count)


@pytest.mark.verifies("SRS_LIVE_007", "SRS_LIVE_008", extent="partial", technique="requirement")
def test_recording_is_written_and_played_by_address(clip: Path, tmp_path: Path) -> None:
    """What one run records, another one plays; a second recording in its place is refused."""
    address = f"recording:{tmp_path / 'kept'}"
    sink = _sink(address, clip)
    assert isinstance(sink, QueuedSink)
    sink.close()
    assert earlier_results(address)
    source = open_source(address, pacing=FAST, clock=MonotonicClock())
    assert source.source_id == "recording of clip.mp4"
    assert list(source.frames(lambda: False)) == []
    source.close()


@pytest.mark.verifies("SRS_CLI_008", extent="partial", technique="requirement")
def test_address_on_the_network_is_no_path() -> None:
    """Nothing is looked for on the disk where a peer is meant."""
    assert path_of("igtl:tracker:18944") is None
    assert path_of("rtsp://camera/a") is None
    assert path_of("jsonl:a/b") == Path("a/b")
    assert earlier_results("igtl-listen:18944") == ()
