"""The latency report as one HTML page that needs no script, no network and no other file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from trocar.contracts.limits import NS_PER_MS, NS_PER_S
from trocar.contracts.record import UnitInfo
from trocar.streaming.latency_report import LatencyReport, LatencySamples

__all__ = ["page_of"]

_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 56
_BOTTOM: Final = 32
_TOP: Final = 12
_BIN_COUNT: Final = 60
_COLUMN_COUNT: Final = 600
_TICK_COUNT: Final = 5

_STYLE: Final = """
:root{color-scheme:light
dark;--ink:#1b1f24;--soft:#57606a;--paper:#ffffff;--panel:#f5f7f9;--line:#d5dae0;
--mark:#0072b2;--limit:#d55e00}
@media
(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--paper:#10151b;--panel:#182029;--line:#303b47;
--mark:#56b4e9;--limit:#e69f00}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:52rem;padding:1.5rem 1rem
3rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
.notice{border:2px solid var(--limit);padding:.4rem .8rem;font-weight:600;letter-spacing:.02em}
h1{font-size:1.5rem;margin:1.2rem 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .4rem}
p{max-width:68ch}.soft{color:var(--soft)}
.verdict{font-size:1.25rem;font-weight:600}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{border-bottom:1px solid var(--line);padding:.3rem .9rem .3rem
0;text-align:left;vertical-align:top}
td.n,th.n{text-align:right}
svg{display:block;width:100%;min-width:34rem;height:auto;background:var(--panel)}
.bar,.age{fill:var(--mark)}.axis{stroke:var(--soft);stroke-width:1}
.limit{stroke:var(--limit);stroke-width:2;stroke-dasharray:6 4}
text{fill:var(--soft);font:12px system-ui,sans-serif}.limit-text{fill:var(--limit);font-weight:600}
"""

_VERDICT_WORDS: Final = {
    "pass": "Within the limit: the upper bound of the miss ratio does not exceed it.",
    "fail": "Above the limit: even the lower bound of the miss ratio exceeds it.",
    "insufficient": "Undecided: more frames are needed to tell.",
    "not_timed": "Not timed: this run was not in real time.",
}


# @need-ids: SRS_SINK_003, SRS_NOTICE_001
def page_of(report: LatencyReport, samples: LatencySamples) -> str:
    """Return the page.

    Args:
        report: The numbers.
        samples: The times, in the order of the records; ages are drawn where frames were timed,
            else service times.
    """
    is_timed = report.age is not None
    what = "Age" if is_timed else "Service time"
    times_ns = samples.age_ns if is_timed else samples.service_ns
    deadline_ms = float(report.deadline_ms) if is_timed else None
    is_agx = report.platform_label == "agx"
    label = "AGX machine" if is_agx else "surrogate machine, not an AGX"
    verdict = str(report.verdict.value)
    body = [
        f'<p class="notice">{escape(report.notice)}</p>',
        "<h1>Latency</h1>",
        f'<p class="soft">{escape(_provenance(report.unit))}</p>',
        f'<p class="verdict">{verdict.replace("_", " ").capitalize()}: {label}</p>',
        f"<p>{_VERDICT_WORDS[verdict]}</p>",
        "<h2>Times</h2>",
        _times_table(report),
        f"<h2>{what} of frames, distribution</h2>",
        f'<div class="wide">{_histogram(times_ns, deadline_ms)}</div>',
        f"<h2>{what} over time</h2>",
        f'<div class="wide">{_timeline(samples.captured_at_ns, times_ns, deadline_ms)}</div>',
        '<p class="soft">Each column is the largest value in its span: no outlier is left out.</p>',
        "<h2>Misses</h2>",
        _misses_table(report),
        "<h2>Machine</h2>",
        _table((name.replace("_", " "), str(value)) for name, value in report.machine),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Latency - Trocar</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _provenance(unit: UnitInfo) -> str:
    """Return what answered, in one line."""
    backend = unit.backend
    parts = (f"{unit.unit} {unit.unit_version}", unit.pack_id, backend.engine, backend.provider)
    return ", ".join((*parts, backend.precision))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values."""
    cells = (f"<tr><th>{escape(n)}</th><td>{escape(v) or '-'}</td></tr>" for n, v in rows)
    return f'<div class="wide"><table>{"".join(cells)}</table></div>'


def _times_table(report: LatencyReport) -> str:
    """Return the order statistics as a table."""
    lines = []
    for name, times in (("age", report.age), ("service", report.service)):
        if times is None:
            continue
        remark = " (descriptive)" if times.is_p99_9_descriptive else ""
        values = (times.p50, times.p90, times.p99, times.p99_9, times.observed_max)
        texts = [f"{value:.2f}" for value in values]
        texts[3] += remark
        cells = "".join(f'<td class="n">{text}</td>' for text in texts)
        lines.append(f"<tr><th>{name} [ms]</th>{cells}</tr>")
    titles = ("", "p50", "p90", "p99", "p99.9", "observed max")
    head = "".join(f'<th class="n">{title}</th>' for title in titles)
    count = f"{report.answered_count} answered frames"
    if report.unsampled_count:
        count += f", {report.unsampled_count} of them beyond the memory for times"
    return (
        f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'
        f'<p class="soft">{count}. The observed maximum is not a worst case.</p>'
    )


def _misses_table(report: LatencyReport) -> str:
    """Return the misses and their bounds as a table."""
    misses = report.misses
    if misses is None:
        return "<p>No frame had a deadline.</p>"
    rows = (
        ("deadline", f"{report.deadline_ms} ms"),
        ("late results", str(misses.late_count)),
        ("frames dropped for a newer one", str(misses.displaced_count)),
        ("missed in all frames", f"{misses.missed_count} of {misses.frame_count}"),
        ("miss ratio", f"{misses.ratio:.3g}"),
        (
            "two-sided 95 % interval",
            f"{misses.two_sided_95_lower:.3g} to {misses.two_sided_95_upper:.3g}",
        ),
        ("one-sided 95 % upper bound", f"{misses.one_sided_95_upper:.3g}"),
        ("limit", f"{misses.limit:g}"),
    )
    return _table(rows) + (
        '<p class="soft">Exact binomial bounds (Clopper and Pearson), nominal:'
        " frames depend on their neighbours.</p>"
    )


def _histogram(times_ns: Sequence[int], deadline_ms: float | None) -> str:
    """Return the distribution of times as an SVG drawing, from zero to past the largest value."""
    end_ms = _end_ms(times_ns, deadline_ms)
    counts = [0] * _BIN_COUNT
    for time_ns in times_ns:
        counts[min(_BIN_COUNT - 1, int(time_ns / NS_PER_MS / end_ms * _BIN_COUNT))] += 1
    highest = max(counts)
    width = (_WIDTH - _LEFT) / _BIN_COUNT
    bars = []
    for number, count in enumerate(counts):
        if count:
            # One frame in a million must still be seen.
            height = max(2.0, count / highest * (_HEIGHT - _BOTTOM - _TOP))
            x, y = _LEFT + number * width, _HEIGHT - _BOTTOM - height
            bars.append(
                f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width - 1:.1f}"'
                f' height="{height:.1f}"/>'
            )
    ticks = [
        _text(_x(end_ms * i / _TICK_COUNT, end_ms), _HEIGHT - 10, f"{end_ms * i / _TICK_COUNT:.3g}")
        for i in range(_TICK_COUNT)
    ]
    ticks.append(_text(_WIDTH - 4, _HEIGHT - 10, f"{end_ms:.3g} ms", anchor="end"))
    limit = ""
    if deadline_ms is not None:
        x = _x(deadline_ms, end_ms)
        limit = (
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        )
        limit += _text(
            x - 6, _TOP + 12, f"deadline {deadline_ms:g} ms", anchor="end", kind="limit-text"
        )
    scale = _text(_LEFT - 6, _TOP + 10, f"{highest}", anchor="end")
    return _drawing("Distribution of times", "".join(bars) + limit + scale + "".join(ticks))


def _timeline(
    captured_at_ns: Sequence[int], times_ns: Sequence[int], deadline_ms: float | None
) -> str:
    """Return the largest time in each span of the run as an SVG drawing."""
    end_ms = _end_ms(times_ns, deadline_ms)
    begin_ns = min(captured_at_ns)
    span_ns = max(1, max(captured_at_ns) - begin_ns)
    column_count = min(_COLUMN_COUNT, len(times_ns))
    largest_ns = [-1] * column_count
    for at_ns, time_ns in zip(captured_at_ns, times_ns, strict=True):
        column = min(column_count - 1, (at_ns - begin_ns) * column_count // span_ns)
        largest_ns[column] = max(largest_ns[column], time_ns)
    step = (_WIDTH - _LEFT) / column_count
    marks = [
        f'<rect class="age" x="{_LEFT + i * step:.1f}" y="{_y(t / NS_PER_MS, end_ms) - 1:.1f}"'
        f' width="{max(step, 1.5):.1f}" height="2.5"/>'
        for i, t in enumerate(largest_ns)
        if t >= 0
    ]
    ticks = [
        _text(
            _LEFT - 6,
            _y(end_ms * i / _TICK_COUNT, end_ms) + 4,
            f"{end_ms * i / _TICK_COUNT:.3g}",
            "end",
        )
        for i in range(_TICK_COUNT)
    ]
    ticks.append(_text(_LEFT - 6, _TOP + 4, "ms", "end"))
    ticks.append(_text(_LEFT, _HEIGHT - 10, "0 s"))
    ticks.append(_text(_WIDTH - 4, _HEIGHT - 10, f"{span_ns / NS_PER_S:.1f} s", "end"))
    limit = ""
    if deadline_ms is not None:
        y = _y(deadline_ms, end_ms)
        limit = f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        limit += _text(_WIDTH - 4, y - 6, f"deadline {deadline_ms:g} ms", "end", kind="limit-text")
    return _drawing("Times over the run", "".join(marks) + limit + "".join(ticks))


def _end_ms(times_ns: Sequence[int], deadline_ms: float | None) -> float:
    """Return the end of an axis that shows every value and the deadline, at a round step [ms]."""
    least = max(1.05 * max(times_ns) / NS_PER_MS, 1.2 * (deadline_ms or 0.0), 0.001)
    step = least / _TICK_COUNT
    decade = 10.0 ** math.floor(math.log10(step))
    rounded = next(factor for factor in (1, 2, 2.5, 5, 10) if factor * decade >= step * (1 - 1e-9))
    return _TICK_COUNT * rounded * decade


def _x(time_ms: float, end_ms: float) -> float:
    """Return the place of a time on the horizontal axis."""
    return _LEFT + time_ms / end_ms * (_WIDTH - _LEFT)


def _y(time_ms: float, end_ms: float) -> float:
    """Return the place of a time on the vertical axis."""
    return _HEIGHT - _BOTTOM - time_ms / end_ms * (_HEIGHT - _BOTTOM - _TOP)


def _text(x: float, y: float, text: str, anchor: str = "start", *, kind: str = "") -> str:
    """Return one label."""
    css = f' class="{kind}"' if kind else ""
    return f'<text{css} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _drawing(title: str, content: str) -> str:
    """Return an SVG drawing with its axis and a title for those who cannot see it."""
    axis = f'<path class="axis" fill="none" d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH}"/>'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{axis}{content}</svg>"
    )
