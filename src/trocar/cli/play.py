"""One run from begin to end: its parts, its account, and what is said of it."""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from trocar import RESEARCH_NOTICE, __version__
from trocar.apps.opening import OpenedUnit
from trocar.backends.request import BackendRequest
from trocar.cli.catalogue import UnitEntry
from trocar.cli.console import Console
from trocar.cli.exit_codes import INTERRUPTED, OK, PARTIAL
from trocar.cli.run_audit import RunAudit
from trocar.cli.signatures import signature_fields, warning_lines
from trocar.contracts.errors import SinkError
from trocar.contracts.ports import FrameSource, Sink, StopSignal
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.image_files import source_id_of
from trocar.streaming.ledger import DropLedger
from trocar.streaming.monitor import MonitorConfig
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import EndedBecause, StreamConfig, StreamSummary

__all__ = ["Play", "exit_code", "open_for", "play_through", "run_fields", "run_lines"]

_Identity = dict[str, str | int | None]
"""Name, size and SHA-256 of a file that was read; null where it could not be."""


@dataclass(frozen=True)
class Play:
    """One run as the user asked for it.

    Attributes:
        title: Shown beside the progress bar.
        source: Where frames come from.
        sinks: Where results go.
        config: Pacing and limits.
        ledger: Account of dropped frames.
        folder: Where the account of the run is written, or None for no account.
        inputs: The files that the account identifies.
        source_kind: Kind of the source, for the audit log.
        monitor: Who is told of the run's health while it goes on, or None for nobody.
    """

    title: str
    source: FrameSource
    sinks: Sequence[Sink]
    config: StreamConfig
    ledger: DropLedger
    folder: Path | None
    inputs: Sequence[Path]
    source_kind: str
    monitor: MonitorConfig | None = None


def open_for(
    entry: UnitEntry, options: argparse.Namespace, *, age_ms_max: int, pack: Path | None = None
) -> OpenedUnit:
    """Open a unit with the engine asked for.

    Args:
        entry: The unit.
        options: Parsed arguments with ``request``, ``pack``, ``trust`` and ``audit``.
        age_ms_max: Age above which a frame is not answered [ms].
        pack: Another pack than that of ``options``.
    """
    request: BackendRequest = options.request
    chosen = pack or options.pack or entry.pack
    opened = entry.open(chosen, request, frame_age_ms_max=age_ms_max, trust=options.trust)
    audit: RunAudit = options.audit
    audit.pack_verified(opened.pack)
    return opened


def play_through(
    play: Play, opened: Sequence[OpenedUnit], console: Console, options: argparse.Namespace
) -> StreamSummary:
    """Run to the end, to the first error, or to Ctrl-C; write the account in each case.

    Args:
        play: The run.
        opened: The units that answer for each frame; at least one.
        console: Where progress is shown.
        options: Parsed arguments with ``request`` and ``audit``.
    """
    audit: RunAudit = options.audit
    for line in dict.fromkeys(line for one in opened for line in warning_lines(one.pack)):
        console.message(line)
    update, end_progress = console.progress(play.title, play.source.frame_count)
    inputs: list[_Identity] = []

    def account(summary: StreamSummary) -> None:
        head = {"audit": audit.ended(summary)} if audit.is_asked_for else {}
        if play.folder is not None:
            _write_account(play.folder, opened, inputs, summary, head)
            play.ledger.save(play.folder / "dropped_frames.csv")

    with _closed_unless_begun(play):
        audit.started(opened, engine=options.request.engine, source_kind=play.source_kind)
    with _stop_on_signal() as stop:
        try:
            inputs += [_identity_of(path) for path in play.inputs]
            return run_stream(
                play.source,
                [one.unit for one in opened],
                play.sinks,
                clock=MonotonicClock(),
                config=play.config,
                stop=stop,
                progress=lambda done, _: update(done),
                ledger=play.ledger,
                on_end=account,
                monitor=audit.watching(play.monitor),
            )
        finally:
            end_progress()


@contextmanager
def _closed_unless_begun(play: Play) -> Iterator[None]:
    """Close the source and the sinks of a run that does not begin, and hand on why."""
    with ExitStack() as held:
        held.callback(play.source.close)
        for sink in play.sinks:
            held.callback(sink.close)
        yield
        held.pop_all()


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
    opened: Sequence[OpenedUnit],
    inputs: Sequence[_Identity],
    summary: StreamSummary,
    head: Mapping[str, object],
) -> None:
    """Write ``run.json``: what ran on what, what became of every frame, where the log stands."""
    account = {
        "trocar": __version__,
        "notice": RESEARCH_NOTICE,
        "inputs": inputs,
        "units": [
            json.loads(one.unit.info.model_dump_json())
            | {"pack_signature": signature_fields(one.pack)}
            | {"reference_case": json.loads(one.reference_case.model_dump_json())}
            for one in opened
        ],
        "summary": json.loads(summary.model_dump_json()),
        **head,
    }
    try:
        (folder / "run.json").write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        raise SinkError(
            f"cannot write {folder / 'run.json'}: {exc.strerror}",
            advice="free disk space or choose another folder",
        ) from exc


def run_fields(name: str, folder: Path | None, summary: StreamSummary) -> dict[str, Any]:
    """Return one run for machines."""
    fields: dict[str, Any] = {"name": name, "summary": json.loads(summary.model_dump_json())}
    if folder is not None:
        fields["folder"] = str(folder)
    return fields


def run_lines(name: str, folder: Path | None, summary: StreamSummary) -> list[str]:
    """Return one run for people."""
    withheld = ", ".join(f"{reason} {count}" for reason, count in summary.withheld_counts.items())
    unit_count = len(summary.units)
    answered = "answered" if unit_count == 1 else f"answers of {unit_count} units"
    account = (
        f"{name}: {summary.received_count} frames received, {summary.finding_count} {answered}, "
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


def exit_code(summary: StreamSummary) -> int:
    """Return the exit code of a run that ended without an error."""
    if summary.ended_because is EndedBecause.STOPPED:
        return INTERRUPTED
    return PARTIAL if summary.decode_error_count else OK
