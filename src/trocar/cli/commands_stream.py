"""The command that runs units on a live stream."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from trocar.apps.opening import OpenedUnit
from trocar.cli.catalogue import find_unit
from trocar.cli.console import Console
from trocar.cli.places import make_folder, refuse_earlier, refuse_own_input
from trocar.cli.play import Play, exit_code, open_for, play_through, run_fields, run_lines
from trocar.contracts.errors import ContractError
from trocar.contracts.limits import UNTIMED_AGE_MS_MAX
from trocar.contracts.ports import FrameSource, Sink
from trocar.streaming.addresses import earlier_results, open_sink, open_source, path_of
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.health_state import HealthChange
from trocar.streaming.ledger import DropLedger
from trocar.streaming.monitor import MonitorConfig
from trocar.streaming.pacing import Pacing
from trocar.streaming.summary import StreamConfig

__all__ = ["stream"]

_NOTIFY_VARIABLE: Final = "NOTIFY_SOCKET"
_MS_PER_S: Final = 1000


# @need-ids: SRS_STREAM_001, SRS_STREAM_003
def stream(options: argparse.Namespace, console: Console) -> int:
    """Run units on a live source: newest frame first, every dropped one in the ledger."""
    config = _config(options)
    opened = _open_units(options, config)
    source = open_source(
        options.source, pacing=config.pacing, clock=MonotonicClock(), loop_count=options.loop
    )
    _claim(options)
    ledger = DropLedger()
    play = Play(
        title=source.source_id,
        source=source,
        sinks=_open_sinks(
            options.sink,
            source=source,
            config=config,
            ledger=ledger,
            units=[one.unit.info.unit for one in opened],
        ),
        config=config,
        ledger=ledger,
        folder=options.account,
        monitor=MonitorConfig(
            on_change=lambda change: console.message(_words_of(change)),
            metrics_path=options.metrics,
            metrics_port=options.metrics_port,
            notify_address=os.environ.get(_NOTIFY_VARIABLE),
        ),
        inputs=[path for path in [path_of(options.source)] if path is not None],
        source_kind=options.source.partition(":")[0],
    )
    summary = play_through(play, opened, console, options)
    console.result(
        {"runs": [run_fields(source.source_id, None, summary)], "sinks": options.sink},
        [
            *run_lines(source.source_id, options.account, summary),
            *(f"  written: {sink}" for sink in options.sink),
        ],
    )
    return exit_code(summary)


# @need-ids: SRS_CLI_009
def _words_of(change: HealthChange) -> str:
    """Return one change of health for people."""
    reasons = f" ({', '.join(change.reasons)})" if change.reasons else ""
    return f"{change.after_ms / _MS_PER_S:.1f} s: {change.state.value}{reasons}"


def _config(options: argparse.Namespace) -> StreamConfig:
    """Return pacing and deadline as asked for.

    Raises:
        ContractError: The deadline is out of range.
    """
    pacing = Pacing.AS_FAST_AS_POSSIBLE if options.as_fast_as_possible else Pacing.REALTIME
    if not 1 <= options.deadline_ms <= UNTIMED_AGE_MS_MAX:
        raise ContractError(
            f"expected a deadline of 1 to {UNTIMED_AGE_MS_MAX} ms, got {options.deadline_ms}",
            advice="name another one with --deadline-ms",
        )
    return StreamConfig(pacing=pacing, deadline_ms=options.deadline_ms)


# @need-ids: SRS_LIVE_001
def _open_units(options: argparse.Namespace, config: StreamConfig) -> list[OpenedUnit]:
    """Open every unit that is to answer for the stream, each once.

    Raises:
        ContractError: There is no such unit, or it was named twice.
    """
    names = [options.unit, *options.also]
    if len(set(names)) != len(names):
        raise ContractError(
            f"expected each unit once, got {', '.join(names)}", advice="leave out the repeated one"
        )
    is_timed = config.pacing is Pacing.REALTIME
    age_ms_max = options.deadline_ms if is_timed else UNTIMED_AGE_MS_MAX
    entries = [find_unit(name) for name in names]
    return [
        open_for(entry, options, age_ms_max=age_ms_max, pack=entry.pack if number else None)
        for number, entry in enumerate(entries)
    ]


def _claim(options: argparse.Namespace) -> None:
    """Refuse to write over the input, or beside the results of another run."""
    outputs = [path for address in options.sink if (path := path_of(address)) is not None]
    source = path_of(options.source)
    refuse_own_input(outputs, inputs=[] if source is None else [source])
    for address in options.sink:
        refuse_earlier(earlier_results(address), advice="choose another output for this run")
    if options.account is not None:
        make_folder(options.account)
        for name in ("run.json", "dropped_frames.csv"):
            refuse_earlier(
                earlier_results(f"jsonl:{options.account / name}"),
                advice="choose another folder for the account",
            )


def _open_sinks(
    addresses: Sequence[str],
    *,
    source: FrameSource,
    config: StreamConfig,
    ledger: DropLedger,
    units: Sequence[str],
) -> list[Sink]:
    """Open all sinks, or none: one that cannot be opened closes those before it."""
    sinks: list[Sink] = []
    with ExitStack() as opened:
        opened.callback(source.close)
        for address in addresses:
            sink = open_sink(
                address,
                source=source,
                config=config,
                ledger=ledger,
                units=units,
                clock=MonotonicClock(),
            )
            opened.callback(sink.close)
            sinks.append(sink)
        opened.pop_all()
    return sinks
