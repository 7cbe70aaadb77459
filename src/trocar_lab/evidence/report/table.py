"""The printed form of a check."""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.rules.rule import Outcome, RuleResult

ADVICE: Final = {
    "G": "correct the need named here, then build needs.json again",
    "C": "add the missing need, unit or test, or run the tests again with --evidence",
    "K": "complete the risk file, or add the test marker or the @need-ids comment named here",
    "V": "correct the marker or test named here; run the tests with --evidence into a new folder",
    "P": "complete the document, tool, change or problem report named here",
    "F": "bring SOUP, anomaly, model and dataset needs in step with pyproject.toml and the packs",
}
_ROWS_SHOWN: Final = 20


def rule_table(outcome: Outcome) -> str:
    """Return the table of rules, the rows that are not green, and the verdict as last line."""
    head = f"{'rule':5} {'population':>10} {'passed':>7} {'failed':>7} {'open':>5} {'waived':>7}"
    lines = [f"{head}  what must hold"]
    lines += [
        f"{r.rule_id:5} {r.population:>10} {r.passed:>7} {len(r.failed):>7} {len(r.open):>5}"
        f" {len(r.waived):>7}  {r.title}{_remark(r)}"
        for r in outcome.results
    ]
    for word, attribute in (("RED", "failed"), ("OPEN", "open"), ("WAIVED", "waived")):
        for result in outcome.results:
            rows = getattr(result, attribute)
            lines += [
                f"{word} {result.rule_id} {row.need_id}: {row.reason}" for row in rows[:_ROWS_SHOWN]
            ]
            if len(rows) > _ROWS_SHOWN:
                lines.append(
                    f"{word} {result.rule_id} and {len(rows) - _ROWS_SHOWN} more: see the report"
                )
            if word == "RED" and result.is_red and not rows:
                lines.append(f"RED {result.rule_id}: nothing to look at, and no signed record why")
    for result in outcome.red:
        lines.append(f"DO {result.rule_id}: {ADVICE[result.rule_id[0]]}")
    lines.append(outcome.verdict_line)
    return "\n".join(lines)


def _remark(result: RuleResult) -> str:
    """Return what is special about a rule's population."""
    if result.population:
        return ""
    return f" [{result.note}]" if result.note else " [EMPTY POPULATION]"
