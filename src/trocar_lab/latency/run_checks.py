"""What must hold inside one run's raw files: a number or row that was changed does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from trocar.contracts.limits import NS_PER_MS, NS_PER_S
from trocar.contracts.outcome import DeadlineVerdict, Reason
from trocar.streaming.ledger import DropReason
from trocar_lab.latency.clocks import ClockReading
from trocar_lab.latency.frame_table import BESIDE, WITHHELD, FrameRow
from trocar_lab.latency.gpu_watch import reasons_of
from trocar_lab.latency.settings import PlannedRun, RecordSettings
from trocar_lab.latency.telemetry import Telemetry

CLOCK_SPAN_MS_MAX: Final = 50
"""Wall minus monotonic clock may wander so far within a bundle; more is a step."""

TELEMETRY_SECONDS_MAX: Final = 5
"""Longest time without a sample; the median must be one second at most."""

_FAULTS_SHOWN: Final = 3
_WITHHELD_FOR_AGE: Final = f"{WITHHELD}{Reason.STALE_FRAME.value}"


def table_faults(rows: Sequence[FrameRow], run: PlannedRun, settings: RecordSettings) -> list[str]:
    """Return what does not fit in a table of timed frames."""
    indices = [row.frame_index for row in rows]
    if indices != list(range(settings.frame_count)):
        return [_continuity(indices, settings.frame_count)]
    faults: list[str] = []
    for first, count in settings.stretches(run.arm):
        stretch = rows[first : first + count]
        faults += _shown("off its schedule", _off_schedule(stretch, settings))
    return faults + row_faults(rows, settings)


def row_faults(rows: Sequence[FrameRow], settings: RecordSettings) -> list[str]:
    """Return what does not fit in any rows, timed or not."""
    answered = [row for row in rows if not row.is_dropped]
    deadline_ns = settings.deadline_ms * NS_PER_MS
    faults = _shown("times run backwards", (r for r in answered if not _is_ordered(r)))
    faults += _shown(
        "was taken before the frame before it was finished",
        (later for former, later in pairwise(answered) if (later.t1_ns or 0) < (former.t2_ns or 0)),
    )
    faults += _shown(
        "verdict is not that of its times",
        (r for r in answered if r.verdict != _verdict(r, deadline_ns)),
    )
    faults += _shown(
        "was dropped for another reason than a newer frame",
        (r for r in rows if r.is_dropped and r.drop_reason != DropReason.DISPLACED.value),
    )
    faults += _shown("was not computed", (r for r in answered if not _is_computed(r)))
    return faults


def warm_up_faults(rows: Sequence[FrameRow], settings: RecordSettings) -> list[str]:
    """Return what does not fit in the table of the cold frame and the warm-up."""
    indices = [row.frame_index for row in rows]
    block_count, rest = divmod(len(rows) - 1, settings.warm_up_block)
    is_whole = rest == 0 and 1 <= block_count <= settings.warm_up_block_count_max
    if not is_whole or indices != list(range(len(rows))):
        return [f"warm-up: {len(rows)} rows are not a cold frame and whole blocks"]
    return [f"warm-up: {fault}" for fault in row_faults(rows, settings)]


# @need-ids: SRS_LATE_007
def telemetry_faults(
    samples: Sequence[Telemetry],
    rows: Sequence[FrameRow],
    *,
    clock_change_ratio_max: float | None,
) -> list[str]:
    """Return what the machine's state says against a run."""
    times_ns = [one.monotonic_ns for one in samples]
    gaps_ns = sorted(later - former for former, later in pairwise(times_ns))
    if not gaps_ns or gaps_ns[0] < 0:
        return ["telemetry has no course of time"]
    faults = []
    if gaps_ns[len(gaps_ns) // 2] > NS_PER_S or gaps_ns[-1] > TELEMETRY_SECONDS_MAX * NS_PER_S:
        faults.append(f"telemetry has gaps of up to {gaps_ns[-1] / NS_PER_S:.1f} s")
    if times_ns[0] > rows[0].t0_ns or times_ns[-1] < max(r.t3_ns or r.t0_ns for r in rows):
        faults.append("telemetry does not cover the run")
    throttles = [one.throttle_count for one in samples if one.throttle_count is not None]
    if throttles and throttles[-1] != throttles[0]:
        faults.append(f"a processor was throttled {throttles[-1] - throttles[0]:.0f} times")
    faults += _gpu_throttles(samples, rows[0].t0_ns)
    if clock_change_ratio_max is not None:
        faults += _clock_changes(samples, rows[0].t0_ns, clock_change_ratio_max)
    return faults


# @need-ids: SRS_LATE_007
def clock_faults(readings: Iterable[ClockReading]) -> list[str]:
    """Return whether the wall clock was set between any two readings of a bundle."""
    offsets = [reading.offset_ns for reading in readings]
    span_ms = (max(offsets) - min(offsets)) / NS_PER_MS
    if span_ms <= CLOCK_SPAN_MS_MAX:
        return []
    return [f"the wall clock stepped by {span_ms:.0f} ms, {CLOCK_SPAN_MS_MAX} ms are allowed"]


def _clock_changes(samples: Sequence[Telemetry], begin_ns: int, ratio_max: float) -> list[str]:
    """Return which processor clock changed during the timed frames."""
    timed = [one for one in samples if one.monotonic_ns >= begin_ns]
    courses = {
        "CPU": [one.cpu_mhz_max for one in timed if one.cpu_mhz_max],
        "GPU": [one.gpu_mhz for one in timed if one.gpu_mhz],
    }
    return [
        f"the clock of the {name} changed between {min(mhz):.0f} and {max(mhz):.0f} MHz"
        for name, mhz in courses.items()
        if mhz and max(mhz) - min(mhz) > ratio_max * max(mhz)
    ]


def _gpu_throttles(samples: Sequence[Telemetry], begin_ns: int) -> list[str]:
    """Return why the GPU was slowed down during the timed frames."""
    bits = 0
    for one in samples:
        if one.monotonic_ns >= begin_ns and one.gpu_throttle_bits is not None:
            bits |= int(one.gpu_throttle_bits)
    return [f"the GPU was throttled: {reason}" for reason in reasons_of(bits)]


def _continuity(indices: Sequence[int], frame_count: int) -> str:
    """Return what is wrong with the frame indices."""
    missing = sorted(set(range(frame_count)) - set(indices))[:_FAULTS_SHOWN]
    return (
        f"expected frames 0 to {frame_count - 1} once each in order, got {len(indices)} rows;"
        f" first missing: {missing}"
    )


def _off_schedule(rows: Sequence[FrameRow], settings: RecordSettings) -> Iterable[FrameRow]:
    """Yield frames whose arrival is not on the fixed grid of their stretch."""
    origin_ns = rows[0].t0_ns
    for count, row in enumerate(rows):
        if row.t0_ns != origin_ns + settings.offset_ns(count):
            yield row


def _is_computed(row: FrameRow) -> bool:
    """Return whether each unit answered with a finding, or refused the frame for its age alone."""
    kinds = row.outcome.split(BESIDE)
    return all(kind == _WITHHELD_FOR_AGE or not kind.startswith(WITHHELD) for kind in kinds)


def _is_ordered(row: FrameRow) -> bool:
    """Return whether the times of an answered frame run forwards."""
    times = [row.t0_ns, row.t1_ns or 0, row.t2_ns or 0, row.t3_ns or 0]
    return times == sorted(times)


def _verdict(row: FrameRow, deadline_ns: int) -> str:
    """Return what the device must have said; it looks at the end of the computation."""
    is_met = (row.t2_ns or 0) - row.t0_ns <= deadline_ns
    return (DeadlineVerdict.MET if is_met else DeadlineVerdict.MISSED).value


def _shown(problem: str, rows: Iterable[FrameRow]) -> list[str]:
    """Return one line that counts the frames with a problem and names the first ones."""
    found = [row.frame_index for row in rows]
    if not found:
        return []
    return [f"{len(found)} frame(s), such as {found[:_FAULTS_SHOWN]}: {problem}"]
