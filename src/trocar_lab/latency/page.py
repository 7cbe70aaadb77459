"""The report as one HTML page that needs no script, no network and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from trocar.contracts.limits import NS_PER_MS
from trocar_lab.latency.arm_statistics import Stretch, misses_of, stretches_of
from trocar_lab.latency.bundle import Bundle
from trocar_lab.latency.reports import ArmReport, BundleReport
from trocar_lab.latency.text import agx_row_text, miss_lines, run_text, shape_text, time_text

_WIDTH: Final = 720
_HEIGHT: Final = 200
_LEFT: Final = 52
_BOTTOM: Final = 26
_TOP: Final = 10
_BIN_COUNT: Final = 60
_COLUMN_COUNT: Final = 600

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;
--panel:#f5f7f9;--line:#d5dae0;
--mark:#0072b2;--limit:#d55e00}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--paper:#10151b;
--panel:#182029;--line:#303b47;
--mark:#56b4e9;--limit:#e69f00}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:56rem;
padding:1.5rem 1rem 3rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
.notice{border:2px solid var(--limit);padding:.4rem .8rem;font-weight:600}
h1{font-size:1.5rem}
h2{font-size:1.2rem;margin:2.2rem 0 .4rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
.soft{color:var(--soft)}.verdict{font-size:1.25rem;font-weight:600}.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{border-bottom:1px solid var(--line);padding:.3rem .9rem .3rem 0;text-align:left;
vertical-align:top}
svg{display:block;width:100%;min-width:34rem;height:auto;background:var(--panel)}
.mark{fill:var(--mark)}.miss{fill:var(--limit)}.axis{stroke:var(--soft);fill:none}
.limit{stroke:var(--limit);stroke-width:2;stroke-dasharray:6 4}
text{fill:var(--soft);font:12px system-ui,sans-serif}
"""


_CAVEATS: Final = (
    "Age runs from the scheduled arrival of a frame to its result; dropped frames are misses. The"
    " exact bounds are nominal, because neighbouring frames are not independent. The observed"
    " maximum is not a worst case. Camera and display are not covered."
)


def page_of(report: BundleReport, bundle: Bundle) -> str:
    """Return the page.

    Args:
        report: What was computed from the raw files.
        bundle: The raw files, for the drawings.
    """
    parts = [
        f'<p class="notice">{escape(report.notice)}</p>',
        "<h1>Latency evidence</h1>",
        f'<p class="verdict">{report.verdict.value} on {escape(report.label)}</p>',
        f"<p>Row of the AGX class is {escape(agx_row_text(report))}.</p>",
        _list(report.reasons),
        _table(_facts(report)),
    ]
    parts.extend(_arm_section(arm, report, bundle) for arm in report.arms)
    parts.append(f'<p class="soft">{_CAVEATS}</p>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Latency evidence</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _facts(report: BundleReport) -> list[tuple[str, str]]:
    """Return what was recorded, and the limits."""
    facts = [
        ("Unit", report.unit),
        ("Commit", report.commit or "-"),
        ("Recorded", report.recorded_at or "-"),
        ("Bundle", f"sha256 {report.bundle_sha256 or '-'}"),
    ]
    budget = report.budget
    if budget is not None:
        limits = (
            f"{budget.fps} frames/s, {budget.width_px} x {budget.height_px},"
            f" age at most {budget.deadline_ms} ms,"
            f" upper bound of the miss ratio at most {budget.miss_ratio_max:g},"
            f" {budget.frames_min} frames in {budget.runs_min} runs"
        )
        facts.append(("Limits", limits))
    return facts


def _arm_section(arm: ArmReport, report: BundleReport, bundle: Bundle) -> str:
    """Return the section of one arm."""
    parts = [
        f"<h2>Arm {escape(arm.arm.value)}: {arm.verdict.value}</h2>",
        f'<p class="soft">{escape(arm.load)}; {"decides" if arm.decides else "shown beside"}</p>',
        _list(arm.reasons),
        _table(_numbers(arm)),
    ]
    manifest = bundle.manifest
    if manifest is not None and arm.misses is not None:
        runs = [run for run in bundle.runs if run.run.arm is arm.arm]
        stretches = stretches_of(runs, manifest.settings)
        budget = report.budget
        deadline_ms = manifest.settings.deadline_ms if budget is None else budget.deadline_ms
        parts += [
            "<h3>Age of answered frames</h3>",
            f'<div class="wide">{_histogram(stretches, deadline_ms)}</div>',
            "<h3>Age over time; a mark at the top is a miss</h3>",
            f'<div class="wide">{_timeline(stretches, deadline_ms)}</div>',
        ]
    return "".join(parts)


def _numbers(arm: ArmReport) -> list[tuple[str, str]]:
    """Return the table of one arm."""
    rows: list[tuple[str, str]] = []
    if arm.misses is not None:
        counts, bounds = miss_lines(arm.misses)
        rows += [("Misses", counts), ("Miss ratio", bounds)]
    for name, times in (
        ("Age, dropped = oldest", arm.age),
        ("Age, answered", arm.age_answered),
        ("Service", arm.service),
    ):
        if times is not None:
            rows.append((name, time_text(times)))
    if arm.shape is not None:
        rows.append(("Course", shape_text(arm.shape)))
    rows += [(run.name, run_text(run)) for run in arm.runs]
    return rows


def _table(rows: Sequence[tuple[str, str]]) -> str:
    """Return a table of names and values."""
    cells = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f'<div class="wide"><table>{"".join(cells)}</table></div>'


def _list(lines: Sequence[str]) -> str:
    """Return a list, or nothing."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _histogram(stretches: Sequence[Stretch], deadline_ms: int) -> str:
    """Return the distribution of ages, from zero to past the largest."""
    ages = [row.age_ns / NS_PER_MS for rows in stretches for row in rows if row.age_ns is not None]
    end_ms = _end_ms(ages, deadline_ms)
    counts = [0] * _BIN_COUNT
    for age in ages:
        counts[min(int(age / end_ms * _BIN_COUNT), _BIN_COUNT - 1)] += 1
    step = (_WIDTH - _LEFT) / _BIN_COUNT
    full = max(*counts, 1)
    bars = []
    for number, count in enumerate(counts):
        height = count / full * (_HEIGHT - _BOTTOM - _TOP)
        x, y = _LEFT + number * step, _HEIGHT - _BOTTOM - height
        bars.append(_bar(x, y, step - 1, height))
    limit_x = _LEFT + deadline_ms / end_ms * (_WIDTH - _LEFT)
    bars += [
        f'<path class="limit" d="M{limit_x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>',
        _label(_LEFT, _HEIGHT - 8, "0 ms"),
        _label(_WIDTH - 4, _HEIGHT - 8, f"{end_ms:.0f} ms", "end"),
        _label(limit_x, _HEIGHT - 8, f"deadline {deadline_ms} ms", "middle"),
        _label(4, _TOP + 12, str(full)),
    ]
    return _drawing("Histogram of age", "".join(bars))


def _timeline(stretches: Sequence[Stretch], deadline_ms: int) -> str:
    """Return the largest age in each span of frames, and every span with a miss marked."""
    rows = [row for stretch in stretches for row in stretch]
    misses = misses_of(rows, deadline_ms)
    ages = [None if row.age_ns is None else row.age_ns / NS_PER_MS for row in rows]
    end_ms = _end_ms([age for age in ages if age is not None], deadline_ms)
    column_count = min(_COLUMN_COUNT, len(rows))
    width = (_WIDTH - _LEFT) / column_count
    shapes = []
    for column in range(column_count):
        begin, end = (len(rows) * c // column_count for c in (column, column + 1))
        oldest = max((age for age in ages[begin:end] if age is not None), default=0.0)
        x, y = _LEFT + column * width, _y(oldest, end_ms)
        shapes.append(_bar(x, y, width, _HEIGHT - _BOTTOM - y))
        if misses[begin:end].any():
            middle = x + width / 2
            shapes.append(f'<path class="miss" d="M{middle - 3:.1f} {_TOP - 8}h6l-3 7z"/>')
    limit_y = _y(deadline_ms, end_ms)
    shapes += [
        f'<path class="limit" d="M{_LEFT} {limit_y:.1f}H{_WIDTH}"/>',
        _label(4, limit_y + 4, f"{deadline_ms} ms"),
        _label(4, _HEIGHT - _BOTTOM, "0 ms"),
        _label(_LEFT, _HEIGHT - 8, "first frame"),
        _label(_WIDTH - 4, _HEIGHT - 8, f"frame {len(rows)}", "end"),
    ]
    return _drawing("Age over time, all runs one after another", "".join(shapes))


def _end_ms(ages_ms: Sequence[float], deadline_ms: int) -> float:
    """Return the end of an axis that shows every age and the deadline [ms]."""
    return max(1.05 * max(ages_ms, default=0.0), 1.2 * deadline_ms)


def _y(age_ms: float, end_ms: float) -> float:
    """Return the place of an age on the vertical axis."""
    return _HEIGHT - _BOTTOM - age_ms / end_ms * (_HEIGHT - _BOTTOM - _TOP)


def _bar(x: float, y: float, width: float, height: float) -> str:
    """Return one bar."""
    place = f'x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height:.1f}"'
    return f'<rect class="mark" {place}/>'


def _label(x: float, y: float, text: str, anchor: str = "start") -> str:
    """Return one label."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _drawing(title: str, content: str) -> str:
    """Return an SVG drawing with its axis and a title for those who cannot see it."""
    axis = f'<path class="axis" d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH}"/>'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{content}{axis}</svg>"
    )
