"""What is not proven: one line a rule, and behind it every row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.markup import (
    MUTED,
    OPEN,
    RED,
    esc,
    far_link,
    link,
    ref,
    row,
    state,
    table,
)
from trocar_lab.evidence.report.table import ADVICE
from trocar_lab.evidence.rules.rule import Outcome, Row, RuleResult

RED_MARK: Final = state(RED, "✘", "red")
OPEN_MARK: Final = state(OPEN, "○", "open")
WAIVED_MARK: Final = state(OPEN, "◇", "waived")
NOT_APPLICABLE_MARK: Final = state(OPEN, "◇", "not applicable")
EMPTY: Final = "nothing to look at, and no signed record says why"
_REASON_MAX: Final = 160
_LINKED_MAX: Final = 200
_SINGLE_MAX: Final = 100
_ID: Final = re.compile(r"\b[A-Z]+_[A-Z0-9_]{3,}\b")
_PART: Final = re.compile(r"\]; (?=[A-Z ]+: )")
_NODE: Final = re.compile(r" \[(?=(?:tests|verification|TC_)[/A-Z])")


class Gap(NamedTuple):
    """The rows of one rule in one state.

    Attributes:
        mark: State as HTML.
        result: The rule.
        rows: The rows; a rule without population has one that says so.
    """

    mark: str
    result: RuleResult
    rows: tuple[Row, ...]

    @property
    def count_text(self) -> str:
        """Return how many of how many."""
        count = 0 if self.result.population == 0 else len(self.rows)
        return f"{count} of {self.result.population}"


def gaps(outcome: Outcome) -> list[Gap]:
    """Return what is not proven: red first, then open, waived and not applicable."""
    found: list[Gap] = []
    for mark, name in ((RED_MARK, "failed"), (OPEN_MARK, "open"), (WAIVED_MARK, "waived")):
        for result in outcome.results:
            rows = getattr(result, name)
            if rows:
                found.append(Gap(mark, result, rows))
            if name == "failed" and result.population == 0 and not result.note:
                found.append(Gap(RED_MARK, result, (Row("nothing", EMPTY),)))
    found += [
        Gap(NOT_APPLICABLE_MARK, result, (Row("nothing", result.note),))
        for result in outcome.results
        if result.population == 0 and result.note
    ]
    return found


def totals(outcome: Outcome) -> str:
    """Return how many checks are not proven, and how many of them in which state."""
    lost = outcome.check_count - outcome.passed_count
    red = sum(len(result.failed) for result in outcome.results)
    return (
        f"{lost:,} of {outcome.check_count:,} checks are not proven: {red:,} red,"
        f" {outcome.open_count:,} open, {outcome.waived_count:,} waived."
    )


def summary(outcome: Outcome) -> str:
    """Return the table of the first page; it is there when nothing is lost, too."""
    words = (
        f"<p><strong>{totals(outcome)}</strong> Red stops development; open stops a release.</p>"
    )
    rows = [
        row(
            gap.mark,
            link(f"rule-{gap.result.rule_id}", gap.result.rule_id),
            esc(gap.result.title),
            f"<strong>{gap.count_text}</strong>",
            _first(gap),
            far_link(f"open-{gap.result.rule_id}", "all rows"),
        )
        for gap in gaps(outcome)
    ]
    head = ("State", "Rule", "What must hold", "Not proven", "First reason", "Details")
    empty = f"0 of {outcome.check_count:,} checks are not proven"
    return words + table(
        "What is not proven, by rule",
        head,
        rows,
        empty=empty,
        widths=(12, 6, 30, 12, 31, 9),
        wide=True,
    )


def _first(gap: Gap) -> str:
    """Return the first reason of a gap, cut where it is long."""
    first = gap.rows[0]
    text = core_reason(first.reason)
    if len(text) > _REASON_MAX:
        text = text[: _REASON_MAX - 1].rstrip() + "…"
    return esc(text) if gap.result.population == 0 else f"{esc(first.need_id)}: {esc(text)}"


def core_reason(reason: str) -> str:
    """Return a reason without the test nodes that it names, each of its parts once."""
    parts = (_NODE.split(part, maxsplit=1)[0] for part in _PART.split(reason))
    return "; ".join(dict.fromkeys(parts))


def details(facts: Facts) -> str:
    """Return every row that is not proven, by rule, state and reason; each reason stands once."""
    by_rule: dict[str, list[Gap]] = {}
    for gap in gaps(facts.outcome):
        by_rule.setdefault(gap.result.rule_id, []).append(gap)
    parts = [
        _rule(facts, by_rule[result.rule_id])
        for result in facts.outcome.results
        if result.rule_id in by_rule
    ]
    words = (
        "<h3>Every row that is not proven</h3><p>Open a rule to see its rows; printed, all are"
        " open. Rows with one and the same reason stand together. Several links or test nodes of"
        " one need or test are counted behind it; trace.json lists each of them.</p>"
    )
    return words + ("".join(parts) or f"<p>0 of {facts.outcome.check_count:,} rows.</p>")


def _rule(facts: Facts, found: Sequence[Gap]) -> str:
    """Return the block of one rule; a link to the part inside opens it."""
    result = found[0].result
    rule = link(f"rule-{result.rule_id}", f"{result.rule_id} in the table of rules")
    advice = ADVICE.get(result.rule_id[0], "")
    is_red = any(gap.mark is RED_MARK for gap in found)
    todo = f"<p class={MUTED}>To do: {esc(advice)}.</p>" if advice and is_red else ""
    counts = ", ".join(f"{gap.mark} {gap.count_text}" for gap in found)
    blocks = "".join(_groups(facts, gap) for gap in found)
    return (
        f"<details><summary>{result.rule_id} {esc(result.title)}: {counts}</summary>"
        f"<div id=open-{result.rule_id}><p>{rule}</p>"
        f"{todo}{blocks}</div></details>"
    )


def _groups(facts: Facts, gap: Gap) -> str:
    """Return the rows of a gap, grouped by reason."""
    if gap.result.population == 0:
        return f"<p>{gap.mark} {gap.count_text}: {esc(gap.rows[0].reason)}</p>"
    table_of: dict[str, list[str]] = {}
    for need_id, reason in gap.rows:
        table_of.setdefault(core_reason(reason), []).append(need_id)
    parts, single = [], []
    for reason, keys in table_of.items():
        if len(keys) == 1:
            listed = "".join(subjects(keys, facts.needs))
            single.append(f"<li>{gap.mark} {listed}: {esc(reason)}")
            continue
        if gap.result.population == len(keys) > _LINKED_MAX:
            listed = "Every member of the population, without exception; trace.json lists them."
        else:
            listed = ", ".join(subjects(keys, facts.needs))
        parts.append(
            f"<p>{gap.mark} {len(keys):,} of {gap.result.population:,}: {esc(reason)}"
            f"<p class=l>{listed}"
        )
    if len(single) > _SINGLE_MAX:
        return "".join(parts) + _alike(facts, gap, table_of)
    rest = f"<ul class=y>{''.join(single)}</ul>" if single else ""
    return "".join(parts) + rest


def _alike(facts: Facts, gap: Gap, table_of: Mapping[str, list[str]]) -> str:
    """Return rows with a reason of their own, grouped by what is left without the ids in it."""
    alike: dict[str, list[str]] = {}
    for reason, keys in table_of.items():
        if len(keys) == 1:
            alike.setdefault(_ID.sub("…", reason), []).extend(keys)
    return "".join(
        f"<p>{gap.mark} {len(keys):,} of {gap.result.population:,}: {esc(reason)}"
        f"<p class=l>{', '.join(subjects(keys, facts.needs))}"
        for reason, keys in alike.items()
    )


def subjects(keys: Sequence[str], needs: Mapping[str, Need]) -> Iterator[str]:
    """Yield what rows are about: needs as links, tests with the count of their nodes.

    Args:
        keys: Keys of the rows.
        needs: Every need.
    """
    found: dict[str, int] = {}
    for key in keys:
        name = _subject(key, needs)
        found[name] = found.get(name, 0) + 1
    is_linked = len(found) <= _LINKED_MAX
    for name, count in found.items():
        first, _, rest = name.partition(" ")
        if first in needs:
            words = ref(first) if is_linked else first
            words += f" {esc(rest)}" if rest else ""
        else:
            words = f"<code>{esc(name)}</code>"
        unit = "nodes" if "::" in name else "rows"
        yield f"{words} ({count} {unit})" if count > 1 else words


def _subject(key: str, needs: Mapping[str, Need]) -> str:
    """Return what several keys share: the need of a link, the function of a node."""
    if "::" in key:
        node, _, platform = key.rpartition(" (")
        return f"{(node or key).partition('[')[0]}{f' ({platform}' if node else ''}"
    words = key.split(" ")
    return words[0] if len(words) == 3 and words[0] in needs else key


def state_of(result: RuleResult) -> str:
    """Return the state of a rule as HTML."""
    if result.is_red:
        return RED_MARK
    if result.open:
        return OPEN_MARK
    if result.waived:
        return WAIVED_MARK
    return NOT_APPLICABLE_MARK if result.population == 0 else state("g", "✔", "holds")
