"""Clocks of runs: wall and monotonic time must tell one story, within a run and from run to run."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_record import EndLine, EvidenceRun, OutcomeLine, RunLine

STEP_S_MAX: Final = 2.0
"""The wall clock may be corrected so far against the monotonic one; more is a step."""

_NS_PER_S: Final = 1_000_000_000
_Stamp = tuple[str, str, int | None]
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Moment(NamedTuple):
    """Both clocks, read together."""

    wall: str
    monotonic_ns: int


def moment() -> Moment:
    """Return the wall clock with its zone, and a clock that never runs backwards.

    The second one also counts while the machine sleeps, where the system has such a clock.
    """
    monotonic_ns = time.clock_gettime_ns(_CLOCK)
    return Moment(dt.datetime.now(tz=dt.UTC).isoformat(timespec="microseconds"), monotonic_ns)


def wall_time(text: str) -> dt.datetime:
    """Return the time in a stamp.

    Raises:
        EvidenceError: It is no time, or has no zone.
    """
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as exc:
        raise EvidenceError(f"{text[:40]!r} is no time") from exc
    if found.tzinfo is None:
        raise EvidenceError(f"{text[:40]!r} has no zone")
    return found


def course_of(
    run: RunLine, outcomes: Iterable[OutcomeLine], end: EndLine | None
) -> tuple[list[str], list[str]]:
    """Return what is wrong with the times of one run, and what is doubtful.

    Args:
        run: First line.
        outcomes: In the order of the file.
        end: Last line, if there is one.
    """
    stamps = [(line.node, line.started, line.monotonic_ns) for line in outcomes]
    if end is not None:
        stamps.append(("the end line", end.finished, end.monotonic_ns))
    try:
        begin = wall_time(run.started)
        if run.monotonic_ns is None:
            return _course_by_wall(begin, stamps), []
        return _course_by_both(begin, run.monotonic_ns, stamps)
    except EvidenceError as exc:
        return [str(exc)], []


def _course_by_wall(begin: dt.datetime, stamps: Iterable[_Stamp]) -> list[str]:
    """Return where the wall clock of a run without a monotonic clock ran backwards.

    Raises:
        EvidenceError: A stamp is no time.
    """
    latest = begin
    for name, text, _ in stamps:
        wall = wall_time(text)
        back_s = (latest - wall).total_seconds()
        if wall < begin or back_s > STEP_S_MAX:
            return [f"{name}: the wall clock ran backwards by {back_s:.1f} s"]
        latest = wall
    return []


def _course_by_both(
    begin: dt.datetime, begin_ns: int, stamps: Iterable[_Stamp]
) -> tuple[list[str], list[str]]:
    """Return where the two clocks of a run contradict each other, and where they drift apart.

    Raises:
        EvidenceError: A stamp is no time.
    """
    latest_ns, jump_s = begin_ns, 0.0
    for name, text, monotonic_ns in stamps:
        if monotonic_ns is None or monotonic_ns < latest_ns:
            return [f"{name}: the monotonic clock ran backwards"], []
        latest_ns = monotonic_ns
        passed_s = (wall_time(text) - begin).total_seconds()
        drift_s = passed_s - (monotonic_ns - begin_ns) / _NS_PER_S
        if not -STEP_S_MAX <= drift_s <= jump_s:
            if drift_s < 0:
                return [f"{name}: the wall clock ran backwards by {-drift_s:.1f} s"], []
            jump_s = drift_s
    if jump_s > STEP_S_MAX:
        return [], [f"the wall clock jumped forward by {jump_s:.1f} s during the run"]
    return [], []


def span_of(run: EvidenceRun) -> tuple[dt.datetime, dt.datetime]:
    """Return the first and the last moment that a run tells of.

    Raises:
        EvidenceError: A stamp is no time.
    """
    begin = wall_time(run.run.started)
    if run.end is not None:
        return begin, max(begin, wall_time(run.end.finished))
    outcomes = list(run.outcomes.values())
    return begin, max(begin, wall_time(outcomes[-1].started)) if outcomes else begin


def future_fault(run: EvidenceRun, today: dt.date) -> str | None:
    """Return that a run lies in the future of ``today``, or None."""
    try:
        latest = max(span_of(run)).astimezone(dt.UTC).date()
    except EvidenceError:
        return None  # a stamp that is no time is a fault of the file already
    return f"dated {latest}, in the future of {today}" if latest > today else None


def order_of(runs: Sequence[EvidenceRun]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what is wrong with the times from run to run, and what is doubtful, by path.

    Only runs of one machine are compared. Two of them that were under way together by the monotonic
    clock overlap, which is doubtful. Where the monotonic clock says that one came after the other
    and the wall clock says less, or where two starts of the machine overlap, the wall clock ran
    backwards.

    Args:
        runs: Every run of the folder.
    """
    faults: dict[str, list[str]] = {}
    doubts: dict[str, list[str]] = {}
    by_machine: dict[str, list[_Span]] = {}
    by_boot: dict[tuple[str, str], list[_Span]] = {}
    for run in runs:
        machine = run.run.identity.platform.machine_sha256
        span = _span(run) if machine else None
        if span is not None:
            by_machine.setdefault(machine, []).append(span)
            by_boot.setdefault((machine, span.boot), []).append(span)
    for spans in by_boot.values():
        _compare_in_boot(spans, faults, doubts)
    for spans in by_machine.values():
        _compare_boots(spans, faults)
    return faults, doubts


class _Span(NamedTuple):
    """When one run was under way, by both clocks."""

    path: str
    boot: str
    begin: dt.datetime
    end: dt.datetime
    begin_ns: int
    end_ns: int

    @property
    def offset_s(self) -> float:
        """Return wall minus monotonic clock at the begin [s]."""
        return self.begin.timestamp() - self.begin_ns / _NS_PER_S


def _span(run: EvidenceRun) -> _Span | None:
    """Return when a run was under way; None where a stamp is no time, which is a fault already."""
    try:
        begin, end = span_of(run)
    except EvidenceError:
        return None
    begin_ns = run.run.monotonic_ns or 0
    last_ns = run.end.monotonic_ns if run.end is not None else None
    if last_ns is None:
        last_ns = max((line.monotonic_ns or 0 for line in run.outcomes.values()), default=0)
    boot = run.run.identity.platform.boot_id
    return _Span(run.path, boot, begin, end, begin_ns, max(begin_ns, last_ns))


def _compare_in_boot(
    spans: Sequence[_Span], faults: dict[str, list[str]], doubts: dict[str, list[str]]
) -> None:
    """Compare the runs between two starts of a machine, in the order of the monotonic clock."""
    former: _Span | None = None
    for span in sorted(spans, key=lambda span: (span.begin_ns, span.path)):
        if former is not None and span.begin_ns < former.end_ns:
            reason = f"overlaps {former.path} of the same machine in time; ordered by start"
            doubts.setdefault(span.path, []).append(reason)
        elif former is not None and former.offset_s - span.offset_s > STEP_S_MAX:
            reason = f"the wall clock ran backwards between {former.path} and this run"
            faults.setdefault(span.path, []).append(reason)
        if former is None or span.end_ns > former.end_ns:
            former = span


def _compare_boots(spans: Sequence[_Span], faults: dict[str, list[str]]) -> None:
    """Compare runs of different starts of a machine, in the order of the wall clock."""
    last_of: dict[str, _Span] = {}
    for span in sorted(spans, key=lambda span: (span.begin, span.path)):
        for boot, former in last_of.items():
            if boot != span.boot and span.begin < former.end:
                reason = f"starts before {former.path} of the same machine ended"
                faults.setdefault(span.path, []).append(reason)
        last = last_of.get(span.boot)
        if last is None or span.end > last.end:
            last_of[span.boot] = span
