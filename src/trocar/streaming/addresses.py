"""Sources and sinks by address."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from trocar.contracts.errors import ContractError, DecodeError, SinkError
from trocar.contracts.ports import Clock, FrameSource, Sink
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.latency_summary import LatencySummarySink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.live_address import RtspTransport, camera_address, rtsp_address
from trocar.streaming.live_video import LiveVideoSource
from trocar.streaming.mask_files import MaskFilesSink, MaskNaming
from trocar.streaming.overlay_video import OverlayVideoSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.recording import FrameRecorder
from trocar.streaming.recording_source import RecordingSource
from trocar.streaming.sink_filter import SinkOfUnit
from trocar.streaming.sink_queue import QueuedSink, QueuePolicy
from trocar.streaming.summary import StreamConfig
from trocar.streaming.video_file import VideoFileSource

__all__ = [
    "earlier_results",
    "latency_sink",
    "open_sink",
    "open_source",
    "overlay_sink",
    "path_of",
]

_FILE_SOURCES: Final = ("file", "recording")
_LIVE_SOURCES: Final = ("rtsp", "rtsp-udp", "camera", "igtl", "igtl-listen")
_FILE_SINKS: Final = ("mp4", "jsonl", "latency", "masks", "recording")
_LINK_SINKS: Final = ("igtl", "igtl-listen")
_SINK_SCHEMES: Final = (*_FILE_SINKS, *_LINK_SINKS)


# @need-ids: SRS_CLI_001
def open_source(address: str, *, pacing: Pacing, clock: Clock, loop_count: int = 1) -> FrameSource:
    """Return the source at an address.

    Args:
        address: ``file:PATH``, ``recording:FOLDER``, ``rtsp://...``, ``rtsp-udp://...``,
            ``camera:DEVICE``, ``igtl:HOST:PORT`` or ``igtl-listen:HOST:PORT``.
        pacing: In real time, or as fast as possible.
        clock: Time of the device.
        loop_count: How many times a file is played.

    Raises:
        ContractError: The address is of no known kind, the file is to be played less than once, or
            a live source is to be taken as fast as possible or again.
        DecodeError: The file cannot be read or decoded.
        SourceError: The address cannot be listened on.
    """
    scheme, rest = _split(address, known=(*_FILE_SOURCES, *_LIVE_SOURCES))
    if scheme in _LIVE_SOURCES and pacing is not Pacing.REALTIME:
        raise ContractError(
            f"expected a live source in real time, got {scheme} as fast as possible",
            advice="leave out --as-fast-as-possible, or record it and replay that",
        )
    if scheme != "file" and loop_count != 1:
        raise ContractError(
            f"expected {scheme} to be played once, got {loop_count} times",
            advice="leave out --loop; only a video file is played again",
        )
    match scheme:
        case "file":
            return _open_file(rest, pacing=pacing, clock=clock, loop_count=loop_count)
        case "recording":
            return RecordingSource(Path(rest), pacing=pacing, clock=clock)
        case "camera":
            return LiveVideoSource(camera_address(rest), clock=clock)
        case "rtsp" | "rtsp-udp":
            transport = RtspTransport.TCP if scheme == "rtsp" else RtspTransport.UDP
            return LiveVideoSource(rtsp_address(f"rtsp:{rest}", transport=transport), clock=clock)
        case _:
            link: FrameSource = _link().open_link_source(scheme, rest, clock=clock)
            return link


def _open_file(rest: str, *, pacing: Pacing, clock: Clock, loop_count: int) -> VideoFileSource:
    """Return a video file as a source."""
    if loop_count < 1:
        raise ContractError(
            f"expected a file to be played at least once, got {loop_count} times",
            advice="ask for one round or more",
        )
    try:
        return VideoFileSource(Path(rest), pacing=pacing, clock=clock, loop_count=loop_count)
    except OSError as exc:
        raise DecodeError(f"cannot read {rest}: {exc.strerror}", advice="check the path") from exc


def _link() -> ModuleType:
    """Return what opens OpenIGTLink; the package behind it comes with an extra only.

    Raises:
        SourceError: The extra is not installed.
    """
    return importlib.import_module("trocar.streaming.openigtlink.opening")


# @need-ids: SRS_CLI_001
def open_sink(
    address: str,
    *,
    source: FrameSource,
    config: StreamConfig,
    ledger: DropLedger,
    units: Sequence[str],
    clock: Clock,
) -> Sink:
    """Return the sink at an address; its folder must exist.

    Args:
        address: ``mp4:PATH``, ``jsonl:PATH``, ``latency:FOLDER``, ``masks:FOLDER``,
            ``recording:FOLDER``, ``igtl:HOST:PORT`` or ``igtl-listen:HOST:PORT``.
        source: What the results are of.
        config: Pacing and deadline; in real time a slow overlay drops its oldest pictures.
        ledger: Account of dropped frames, which the latency summary counts as missed.
        units: Names of the units that answer, in their order; the latency summary is that of the
            last one, whose answer is there when all are.
        clock: Time of the device.

    Raises:
        ContractError: The address is of no known kind.
        SinkError: The output cannot be created.
    """
    scheme, rest = _split(address, known=_SINK_SCHEMES)
    path = Path(rest)
    if scheme in _LINK_SINKS:
        link: Sink = _link().open_link_sink(scheme, rest, clock=clock, source=source)
        return link
    try:
        match scheme:
            case "mp4":
                _require_folder(path.parent)
                return overlay_sink(path, config.pacing, unit_count=len(units))
            case "jsonl":
                return JsonlSink(path)
            case "recording":
                recorder = FrameRecorder(path, source_id=source.source_id)
                return QueuedSink(recorder, policy=_policy(config.pacing))
            case "latency":
                _require_folder(path)
                latency = latency_sink(path, deadline_ms=config.deadline_ms, ledger=ledger)
                return SinkOfUnit(latency, unit=units[-1])
            case _:
                return MaskFilesSink(
                    path, source_ids=[source.source_id], naming=MaskNaming.BY_FRAME
                )
    except OSError as exc:
        raise SinkError(
            f"cannot write {rest}: {exc.strerror}", advice="choose another output"
        ) from exc


# @need-ids: SRS_SINK_006
def earlier_results(address: str) -> tuple[Path, ...]:
    """Return the files at an address that a sink would write over or add to.

    A folder of masks holds the masks of one run: each PNG file in it counts. Empty files and
    whatever is no regular file, such as a device or a pipe, do not count.

    Args:
        address: Address of a sink, as for ``open_sink``.

    Raises:
        ContractError: The address is of no known kind.
        SinkError: The place cannot be looked at.
    """
    scheme, rest = _split(address, known=_SINK_SCHEMES)
    path = Path(rest)
    try:
        match scheme:
            case "masks":
                places = sorted(path.glob("*.png")) if path.is_dir() else []
            case "latency":
                places = [path / "latency.json", path / "latency.html"]
            case "recording":
                places = sorted(path.glob("*")) if path.is_dir() else []
            case "igtl" | "igtl-listen":
                places = []
            case _:
                places = [path]
        return tuple(place for place in places if place.is_file() and place.stat().st_size > 0)
    except OSError as exc:
        raise SinkError(
            f"cannot write {rest}: {exc.strerror}", advice="choose another output"
        ) from exc


def path_of(address: str) -> Path | None:
    """Return the file or folder at an address, or None for an address on the network."""
    scheme, _, rest = address.partition(":")
    return Path(rest) if scheme in {*_FILE_SOURCES, *_FILE_SINKS} else None


def overlay_sink(path: Path, pacing: Pacing, *, unit_count: int = 1) -> Sink:
    """Return an overlay video that never holds up the units in real time."""
    return QueuedSink(OverlayVideoSink(path, unit_count=unit_count), policy=_policy(pacing))


def _policy(pacing: Pacing) -> QueuePolicy:
    """Return what a slow output does: leave out in real time, else hold up the run."""
    return QueuePolicy.DROP_OLDEST if pacing is Pacing.REALTIME else QueuePolicy.BLOCK


def latency_sink(folder: Path, *, deadline_ms: int, ledger: DropLedger) -> Sink:
    """Return a latency summary that writes ``latency.json`` and ``latency.html`` into a folder."""
    return LatencySummarySink(
        folder / "latency.json",
        deadline_ms=deadline_ms,
        page_path=folder / "latency.html",
        ledger=ledger,
    )


def _require_folder(folder: Path) -> None:
    """Refuse an output whose folder is missing now, not at the end of a run."""
    if not folder.is_dir():
        raise SinkError(
            f"expected a folder for the output, {folder} is none",
            advice="create the folder, or choose another output",
        )


def _split(address: str, *, known: tuple[str, ...]) -> tuple[str, str]:
    """Split an address into scheme and path."""
    scheme, separator, rest = address.partition(":")
    if not separator or not rest or scheme not in known:
        raise ContractError(
            f"expected {':PATH, '.join(known)}:PATH, got {address!r}",
            advice=f"write {known[0]}:{address}" if not separator else "type: trocar stream --help",
        )
    return scheme, rest
