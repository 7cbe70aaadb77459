"""What changed since the last release, what that reaches, and whether it was tested again."""

from __future__ import annotations

from trocar_lab.evidence.graph.changes import Difference, difference
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.markup import MARKS, MUTED, NONE, esc, refs, row, table


def changes_page(facts: Facts) -> str:
    """Return the changes, or that there is no earlier release."""
    last = facts.project.archived_release
    if last is None:
        return (
            f"<p><strong>First release: every need is new.</strong> All {len(facts.needs):,} needs"
            " count as added, and every test case as reached by the change.</p>"
        )
    if last.graph is None:
        return (
            f"<p>{NONE} The needs of release {esc(last.version)} cannot be read:"
            f" {esc(last.fault)}</p>"
        )
    found = difference(last.graph, facts.project.graph)
    return (
        f"<p>Since release {esc(last.version)}: {len(found.added):,} needs added,"
        f" {len(found.removed):,} removed, {len(found.changed):,} changed;"
        f" {len(found.impact):,} needs are reached.</p>"
        + _changed(facts, found)
        + _impact(facts, found)
    )


def _changed(facts: Facts, found: Difference) -> str:
    """Return the needs that are new, gone or different."""
    rows = [row(refs((name,), facts.needs), "added", "") for name in found.added]
    rows += [row(f"<code>{esc(name)}</code>", "removed", "") for name in found.removed]
    for change in found.changed:
        parts = "<br>".join(
            f"{esc(part)}: <del>{esc(before) or '(empty)'}</del>"
            f" <ins>{esc(after) or '(empty)'}</ins>"
            for part, (before, after) in change.parts.items()
        )
        rows.append(row(refs((change.need_id,), facts.needs), "changed", parts))
    return table(
        "Needs that were added, removed or changed",
        ("Need", "What", "Before and after"),
        rows,
        empty="0 needs differ from the last release",
        widths=(24, 12, 60),
        wide=True,
    )


def _impact(facts: Facts, found: Difference) -> str:
    """Return what the change reaches, with the verdict that stands now."""
    rows = []
    for need_id, stage in sorted(found.impact.items(), key=lambda pair: (pair[1], pair[0])):
        finding = facts.findings.get(need_id)
        verdict = MARKS[finding.verdict] if finding else f"<span class={MUTED}>not asked for</span>"
        cases = len(facts.claims.get(need_id, ()))
        rows.append(row(refs((need_id,), facts.needs), esc(stage), str(cases), verdict))
    return table(
        "What the change reaches; a verdict that is fresh was given after it",
        ("Need", "Reached as", "Cases", "Verdict now"),
        rows,
        empty="the change reaches nothing",
        widths=(34, 22, 14, 26),
    )
