"""Sources and sinks by address.

``file:PATH``, ``mp4:PATH``, ``jsonl:PATH``, ``latency:FOLDER``, ``masks:FOLDER``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trocar.contracts.errors import ContractError, DecodeError, SinkError
from trocar.contracts.ports import Clock, FrameSource, Sink
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.latency_summary import LatencySummarySink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.mask_files import MaskFilesSink, MaskNaming
from trocar.streaming.overlay_video import OverlayVideoSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.sink_queue import QueuedSink, QueuePolicy
from trocar.streaming.summary import StreamConfig
from trocar.streaming.video_file import VideoFileSource

__all__ = ["earlier_results", "latency_sink", "open_sink", "open_source", "overlay_sink"]

_SINK_SCHEMES: Final = ("mp4", "jsonl", "latency", "masks")


# @need-ids: SRS_CLI_001
def open_source(address: str, *, pacing: Pacing, clock: Clock, loop_count: int = 1) -> FrameSource:
    """Return the source at an address.

    Args:
        address: ``file:PATH`` of a video.
        pacing: In real time, or as fast as possible.
        clock: Time of the device.
        loop_count: How many times a file is played.

    Raises:
        ContractError: The address is of no known kind, or the file is to be played less than once.
        DecodeError: The file cannot be read or decoded.
    """
    _, rest = _split(address, known=("file",))
    if loop_count < 1:
        raise ContractError(
            f"expected a file to be played at least once, got {loop_count} times",
            advice="ask for one round or more",
        )
    try:
        return VideoFileSource(Path(rest), pacing=pacing, clock=clock, loop_count=loop_count)
    except OSError as exc:
        raise DecodeError(f"cannot read {rest}: {exc.strerror}", advice="check the path") from exc


# @need-ids: SRS_CLI_001
def open_sink(
    address: str, *, source: FrameSource, config: StreamConfig, ledger: DropLedger
) -> Sink:
    """Return the sink at an address; its folder must exist.

    Args:
        address: ``mp4:PATH``, ``jsonl:PATH``, ``latency:FOLDER`` or ``masks:FOLDER``.
        source: What the results are of.
        config: Pacing and deadline; in real time a slow overlay drops its oldest pictures.
        ledger: Account of dropped frames, which the latency summary counts as missed.

    Raises:
        ContractError: The address is of no known kind.
        SinkError: The output cannot be created.
    """
    scheme, rest = _split(address, known=_SINK_SCHEMES)
    path = Path(rest)
    try:
        match scheme:
            case "mp4":
                _require_folder(path.parent)
                return overlay_sink(path, config.pacing)
            case "jsonl":
                return JsonlSink(path)
            case "latency":
                _require_folder(path)
                return latency_sink(path, deadline_ms=config.deadline_ms, ledger=ledger)
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
            case _:
                places = [path]
        return tuple(place for place in places if place.is_file() and place.stat().st_size > 0)
    except OSError as exc:
        raise SinkError(
            f"cannot write {rest}: {exc.strerror}", advice="choose another output"
        ) from exc


def overlay_sink(path: Path, pacing: Pacing) -> Sink:
    """Return an overlay video that never holds up the unit in real time."""
    policy = QueuePolicy.DROP_OLDEST if pacing is Pacing.REALTIME else QueuePolicy.BLOCK
    return QueuedSink(OverlayVideoSink(path), policy=policy)


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
