"""Commands that run a unit: demo, run, stream."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import structlog

from trocar import RESEARCH_NOTICE, __version__
from trocar.apps.endoscopy import DEMO_CLIP, OpenedUnit
from trocar.backends.request import BackendRequest
from trocar.cli.catalogue import find_unit
from trocar.cli.console import Console
from trocar.cli.exit_codes import INTERRUPTED, OK, PARTIAL
from trocar.contracts.errors import ContractError, SinkError
from trocar.contracts.limits import DEADLINE_MS_DEFAULT, UNTIMED_AGE_MS_MAX
from trocar.contracts.ports import FrameSource, Sink, StopSignal
from trocar.streaming.addresses import (
    earlier_results,
    latency_sink,
    open_sink,
    open_source,
    overlay_sink,
)
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.image_files import (
    ImageFilesSource,
    is_image_name,
    list_images,
    source_id_of,
)
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.mask_files import MaskFilesSink
from trocar.streaming.pacing import Pacing, StreamKind
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import EndedBecause, StreamConfig, StreamSummary
from trocar.units.polyp_segmentation.contract import UNIT_NAME

__all__ = ["demo", "run", "stream"]

_DATA_VARIABLE: Final = "TROCAR_DATA"
_DATA_BESIDE: Final = Path("..") / "shared" / "data"
_RUN_OUTPUTS: Final = (
    "results.jsonl",
    "overlay.mp4",
    "latency.json",
    "latency.html",
    "run.json",
    "dropped_frames.csv",
)
_REAL_CLIPS: Final = Path("polyp_segmentation") / "stream_smoke"
_Identity = dict[str, str | int | None]
"""Name, size and SHA-256 of a file that was read; null where it could not be."""


@dataclass(frozen=True)
class _Play:
    """One run as the user asked for it.

    Attributes:
        title: Shown beside the progress bar.
        source: Where frames come from.
        sinks: Where results go.
        config: Pacing and limits.
        ledger: Account of dropped frames.
        folder: Where the account of the run is written, or None for no account.
        inputs: The files that the account identifies.
    """

    title: str
    source: FrameSource
    sinks: Sequence[Sink]
    config: StreamConfig
    ledger: DropLedger
    folder: Path | None
    inputs: Sequence[Path]


# @need-ids: SRS_CLI_003
def demo(options: argparse.Namespace, console: Console) -> int:
    """Run polyp segmentation on the rendered clip in real time, and on real clips if any."""
    clips = [("rendered", DEMO_CLIP, Pacing.REALTIME)]
    clips += [(clip.stem, clip, Pacing.AS_FAST_AS_POSSIBLE) for clip in _real_clips()]
    opened = _open(UNIT_NAME, options, age_ms_max=DEADLINE_MS_DEFAULT)
    slow = _open(UNIT_NAME, options, age_ms_max=UNTIMED_AGE_MS_MAX) if len(clips) > 1 else opened
    fields, lines, codes = [], [], []
    for name, clip, pacing in clips:
        folder = options.output / name
        play = _video_play(clip, folder, pacing=pacing, title=name, replace=True)
        summary = _play(play, opened if pacing is Pacing.REALTIME else slow, console)
        fields.append(_run_fields(name, folder, summary))
        lines += _run_lines(f"{name} clip", folder, summary)
        codes.append(_exit_code(summary))
        if summary.ended_because is EndedBecause.STOPPED:
            break
    console.result(
        {"runs": fields},
        [*lines, "next: trocar run polyp_segmentation FOLDER_OR_FILE -o OUT"],
    )
    return max(codes)


# @need-ids: SRS_CLI_005, SRS_POLYP_008
def run(options: argparse.Namespace, console: Console) -> int:
    """Run a unit on every frame of an input, without deadlines and without drops."""
    path: Path = options.input
    if not _exists(path):
        raise ContractError(
            f"expected an image, a folder or a video, {path} is not there", advice="check the path"
        )
    if path.is_dir() or is_image_name(path.name):
        images = list_images(path) if path.is_dir() else (path,)
        opened = _open(options.unit, options, age_ms_max=UNTIMED_AGE_MS_MAX)
        _make_folder(options.output)
        source = ImageFilesSource(images, clock=MonotonicClock())
        masks = options.output / "masks"
        _claim(
            options.output,
            masks={masks / f"{image.stem}.png" for image in images},
            inputs=images,
            replace=options.replace,
        )
        play = _Play(
            title=path.name,
            source=source,
            sinks=[
                MaskFilesSink(masks, source_ids=source.source_ids),
                JsonlSink(options.output / "results.jsonl", replace=options.replace),
            ],
            config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE, kind=StreamKind.STILLS),
            ledger=DropLedger(),
            folder=options.output,
            inputs=images,
        )
    else:
        opened = _open(options.unit, options, age_ms_max=UNTIMED_AGE_MS_MAX)
        play = _video_play(
            path,
            options.output,
            pacing=Pacing.AS_FAST_AS_POSSIBLE,
            title=path.name,
            replace=options.replace,
        )
    summary = _play(play, opened, console)
    console.result(
        {"runs": [_run_fields(path.name, options.output, summary)]},
        _run_lines(path.name, options.output, summary),
    )
    return _exit_code(summary)


# @need-ids: SRS_STREAM_001, SRS_STREAM_003
def stream(options: argparse.Namespace, console: Console) -> int:
    """Run a unit on a live source: newest frame first, every dropped one in the ledger."""
    pacing = Pacing.AS_FAST_AS_POSSIBLE if options.as_fast_as_possible else Pacing.REALTIME
    if not 1 <= options.deadline_ms <= UNTIMED_AGE_MS_MAX:
        raise ContractError(
            f"expected a deadline of 1 to {UNTIMED_AGE_MS_MAX} ms, got {options.deadline_ms}",
            advice="name another one with --deadline-ms",
        )
    config = StreamConfig(pacing=pacing, deadline_ms=options.deadline_ms)
    is_timed = pacing is Pacing.REALTIME
    opened = _open(
        options.unit,
        options,
        age_ms_max=options.deadline_ms if is_timed else UNTIMED_AGE_MS_MAX,
    )
    source = open_source(
        options.source, pacing=pacing, clock=MonotonicClock(), loop_count=options.loop
    )
    _refuse_own_input(
        [Path(address.partition(":")[2]) for address in options.sink],
        inputs=[Path(options.source.partition(":")[2])],
    )
    for address in options.sink:
        _refuse_earlier(earlier_results(address), advice="choose another output for this run")
    ledger = DropLedger()
    play = _Play(
        title=options.source,
        source=source,
        sinks=_open_sinks(options.sink, source=source, config=config, ledger=ledger),
        config=config,
        ledger=ledger,
        folder=None,
        inputs=(),
    )
    summary = _play(play, opened, console)
    console.result(
        {"runs": [_run_fields(options.source, None, summary)], "sinks": options.sink},
        [
            *_run_lines(options.source, None, summary),
            *(f"  written: {sink}" for sink in options.sink),
        ],
    )
    return _exit_code(summary)


def _open(unit: str, options: argparse.Namespace, *, age_ms_max: int) -> OpenedUnit:
    """Open a unit with the engine asked for."""
    entry = find_unit(unit)
    request: BackendRequest = options.request
    return entry.open(options.pack or entry.pack, request, frame_age_ms_max=age_ms_max)


def _video_play(path: Path, folder: Path, *, pacing: Pacing, title: str, replace: bool) -> _Play:
    """Return a run on a video with all sinks in one folder."""
    source = open_source(f"file:{path}", pacing=pacing, clock=MonotonicClock())
    _make_folder(folder)
    _claim(folder, masks=frozenset(), inputs=[path], replace=replace)
    config, ledger = StreamConfig(pacing=pacing), DropLedger()
    return _Play(
        title=title,
        source=source,
        sinks=[
            JsonlSink(folder / "results.jsonl", replace=replace),
            latency_sink(folder, deadline_ms=config.deadline_ms, ledger=ledger),
            overlay_sink(folder / "overlay.mp4", pacing),
        ],
        config=config,
        ledger=ledger,
        folder=folder,
        inputs=[path],
    )


def _open_sinks(
    addresses: Sequence[str], *, source: FrameSource, config: StreamConfig, ledger: DropLedger
) -> list[Sink]:
    """Open all sinks, or none: one that cannot be opened closes those before it."""
    sinks: list[Sink] = []
    with ExitStack() as opened:
        opened.callback(source.close)
        for address in addresses:
            sink = open_sink(address, source=source, config=config, ledger=ledger)
            opened.callback(sink.close)
            sinks.append(sink)
        opened.pop_all()
    return sinks


# @need-ids: SRS_SINK_006, RCM_OWNRUN_001
def _claim(folder: Path, *, masks: Collection[Path], inputs: Sequence[Path], replace: bool) -> None:
    """Make room for a run: no file of an earlier one may be taken for its result.

    Args:
        folder: Where the run will write.
        masks: The mask files that it may write; any other one there belongs to another run.
        inputs: What it reads.
        replace: Whether results of an earlier run are removed.

    Raises:
        ContractError: An output is one of the inputs.
        SinkError: There is an earlier result and it may not be replaced, or cannot be removed.
    """
    _refuse_own_input([*masks, *(folder / name for name in _RUN_OUTPUTS)], inputs=inputs)
    found = earlier_results(f"masks:{folder / 'masks'}")
    _refuse_earlier(
        [path for path in found if path not in masks],
        advice="choose another folder with -o, or move the masks of the other run away",
    )
    earlier = [*found]
    for name in _RUN_OUTPUTS:
        earlier += earlier_results(f"jsonl:{folder / name}")
    if not replace:
        _refuse_earlier(earlier, advice="choose another folder with -o, or add --replace")
    for path in earlier:
        try:
            path.unlink()
        except OSError as exc:
            raise SinkError(
                f"cannot replace {path}: {exc.strerror}", advice="choose another folder with -o"
            ) from exc


def _refuse_earlier(earlier: Sequence[Path], *, advice: str) -> None:
    """Refuse a run beside the results of another one.

    Raises:
        SinkError: There is an earlier result.
    """
    if earlier:
        raise SinkError(f"expected no earlier result, got {earlier[0]}", advice=advice)


def _refuse_own_input(outputs: Sequence[Path], *, inputs: Sequence[Path]) -> None:
    """Refuse a run that would write over what it reads.

    Raises:
        ContractError: An output is one of the inputs.
    """
    read = {_identity(path) for path in inputs if _exists(path)}
    for path in outputs:
        if _exists(path) and _identity(path) in read:
            raise ContractError(
                f"expected an output beside the input, got the input itself: {path}",
                advice="name another output; a recording is never written over",
            )


def _identity(path: Path) -> tuple[int, int]:
    """Return what two names of one file have in common."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _exists(path: Path) -> bool:
    """Return whether there is something at a path; a name that no file can have is not there."""
    try:
        return path.exists()
    except OSError:
        return False


def _play(play: _Play, opened: OpenedUnit, console: Console) -> StreamSummary:
    """Run to the end, to the first error, or to Ctrl-C; write the account in each case."""
    update, end_progress = console.progress(play.title, play.source.frame_count)
    inputs: list[_Identity] = []

    def account(summary: StreamSummary) -> None:
        if play.folder is not None:
            _write_account(play.folder, opened, inputs, summary)
            play.ledger.save(play.folder / "dropped_frames.csv")

    with _stop_on_signal() as stop:
        try:
            inputs += [_identity_of(path) for path in play.inputs]
            return run_stream(
                play.source,
                opened.unit,
                play.sinks,
                clock=MonotonicClock(),
                config=play.config,
                stop=stop,
                progress=lambda done, _: update(done),
                ledger=play.ledger,
                on_end=account,
            )
        finally:
            end_progress()


# @need-ids: SRS_STREAM_007
@contextmanager
def _stop_on_signal() -> Iterator[StopSignal]:
    """Turn Ctrl-C and SIGTERM into a stop signal.

    The frame in work is finished and all outputs are closed.
    """
    event = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        event.set()

    kept = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event.is_set
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


# @need-ids: SRS_SINK_007, RCM_INPUT_001
def _identity_of(path: Path) -> _Identity:
    """Return name, size and SHA-256 of an input, since another recording may have its name."""
    identity: _Identity = {"name": source_id_of(path), "size_bytes": None, "sha256": None}
    if path.is_file():
        try:
            with path.open("rb") as stream:
                identity["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
                identity["size_bytes"] = stream.tell()
        except OSError as exc:
            # Why it cannot be read is said by the source, in the record; here it has no identity.
            structlog.get_logger().warning("input_not_identified", problem=exc.strerror)
    return identity


def _write_account(
    folder: Path,
    opened: OpenedUnit,
    inputs: Sequence[_Identity],
    summary: StreamSummary,
) -> None:
    """Write ``run.json``: what ran on what, and what became of every frame."""
    account = {
        "trocar": __version__,
        "notice": RESEARCH_NOTICE,
        "inputs": inputs,
        "unit": json.loads(opened.unit.info.model_dump_json()),
        "reference_case": json.loads(opened.reference_case.model_dump_json()),
        "summary": json.loads(summary.model_dump_json()),
    }
    try:
        (folder / "run.json").write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        raise SinkError(
            f"cannot write {folder / 'run.json'}: {exc.strerror}",
            advice="free disk space or choose another folder",
        ) from exc


def _make_folder(folder: Path) -> None:
    """Create the output folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SinkError(
            f"cannot create the folder {folder}: {exc.strerror}",
            advice="choose another folder with -o",
        ) from exc


def _real_clips() -> list[Path]:
    """Return the real clips under the data root, where there is one."""
    configured = os.environ.get(_DATA_VARIABLE)
    root = Path(configured) if configured is not None else _DATA_BESIDE
    return sorted((root / _REAL_CLIPS).glob("*.mp4")) if configured != "" else []


def _run_fields(name: str, folder: Path | None, summary: StreamSummary) -> dict[str, Any]:
    """Return one run for machines."""
    fields: dict[str, Any] = {"name": name, "summary": json.loads(summary.model_dump_json())}
    if folder is not None:
        fields["folder"] = str(folder)
    return fields


def _run_lines(name: str, folder: Path | None, summary: StreamSummary) -> list[str]:
    """Return one run for people."""
    withheld = ", ".join(f"{reason} {count}" for reason, count in summary.withheld_counts.items())
    account = (
        f"{name}: {summary.received_count} frames received, {summary.finding_count} answered, "
        f"{sum(summary.withheld_counts.values())} withheld{f' ({withheld})' if withheld else ''}, "
        f"{summary.displaced_count} dropped, {summary.missed_count} missed; "
        f"ended: {summary.ended_because}"
    )
    lines = [account]
    if folder is not None:
        for file, what in (
            ("overlay.mp4", "overlay"),
            ("masks", "masks  "),
            ("results.jsonl", "results"),
            ("latency.html", "latency"),
            ("run.json", "account"),
        ):
            if (folder / file).exists():
                lines.append(f"  {what}  {folder / file}")
    return lines


def _exit_code(summary: StreamSummary) -> int:
    """Return the exit code of a run that ended without an error."""
    if summary.ended_because is EndedBecause.STOPPED:
        return INTERRUPTED
    return PARTIAL if summary.decode_error_count else OK
