"""Registers: SOUP, tools, problem reports and their trend, models, data, documents, approvals."""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.markup import (
    GOOD,
    MUTED,
    NONE,
    NOTHING,
    OPEN,
    RED,
    esc,
    inline,
    ref,
    refs,
    row,
    state,
    table,
)
from trocar_lab.evidence.rules.trend import trend

_PENDING: Final = "pending"


def soup(facts: Facts) -> str:
    """Return the register of SOUP."""
    rows = [
        row(
            ref(need.need_id),
            f"{_text(need, 'package')} {_text(need, 'version')}",
            _text(need, "supplier"),
            _text(need, "purpose"),
            f"{_text(need, 'reviewed')}, {_text(need, 'reviewer')}<br>{_review(need)}",
            refs(need.targets("used_by"), facts.needs, NONE),
        )
        for need in facts.live("soup")
    ]
    head = ("Id", "Package and version", "Supplier", "Purpose", "List reviewed", "Used by")
    return table(
        "Software of unknown provenance",
        head,
        rows,
        empty="0 needs of this type",
        widths=(14, 15, 14, 21, 20, 14),
        wide=True,
    )


def _review(need: Need) -> str:
    """Return the state of the review of known anomalies."""
    words = need.field("anomaly_review")
    if not words:
        return state(RED, "∅", "not reviewed")
    if words.startswith(_PENDING):
        return f"{state(OPEN, '○', _PENDING)}{esc(words.removeprefix(_PENDING))}"
    return esc(words)


def tools(facts: Facts) -> str:
    """Return the register of tools with what shows that each does its work."""
    rows = [
        row(
            ref(need.need_id),
            f"{_text(need, 'package')} {_text(need, 'version')}",
            _text(need, "purpose"),
            _text(need, "potential_errors"),
            _text(need, "validation"),
        )
        for need in facts.live("tool")
    ]
    return table(
        "Tools of the process and their validation",
        ("Id", "Package and version", "Purpose", "Potential errors", "Validation"),
        rows,
        empty="0 tools are listed",
        widths=(14, 14, 18, 26, 26),
        wide=True,
    )


def anomalies(facts: Facts) -> str:
    """Return the problem reports that are open, those that are closed, and the trend."""
    found = facts.live("anomaly")
    closed = [need for need in found if need.field("anomaly_state") == "closed"]
    opened = [need for need in found if need not in closed]
    return _open_table(facts, opened) + _closed_table(facts, closed) + _trend(facts)


def _open_table(facts: Facts, needs: list[Need]) -> str:
    """Return the unresolved anomalies with their evaluation of risk."""
    rows = [
        row(
            f"{ref(need.need_id)}<br>{esc(need.title)}",
            f"{_text(need, 'criticality')}, {_text(need, 'problem_type')}<br>"
            f"<span class={MUTED}>reported {_text(need, 'reported')}</span>",
            refs(need.targets("affects"), facts.needs, NONE),
            f"{_text(need, 'risk_evaluation')}<br>{refs(need.targets('assessed_in'), facts.needs)}",
            _text(need, "rationale"),
            _text(need, "owner"),
        )
        for need in needs
    ]
    head = (
        "Anomaly",
        "Criticality, type",
        "Affects",
        "Evaluation of risk",
        "Why it may stay",
        "Owner",
    )
    return table(
        "Unresolved anomalies",
        head,
        rows,
        empty="0 problem reports are open",
        widths=(17, 13, 16, 22, 21, 9),
        wide=True,
    )


def _closed_table(facts: Facts, needs: list[Need]) -> str:
    """Return the closed problem reports."""
    rows = [
        row(
            f"{ref(need.need_id)}<br>{esc(need.title)}",
            _text(need, "closed_on"),
            refs(need.targets("resolved_by"), facts.needs, NONE),
            f"<code>{_text(need, 'regression_test')}</code>",
        )
        for need in needs
    ]
    return table(
        "Closed problem reports",
        ("Anomaly", "Closed on", "Resolved by", "Regression test"),
        rows,
        empty="0 problem reports are closed",
        widths=(30, 14, 22, 32),
        wide=True,
    )


def _trend(facts: Facts) -> str:
    """Return the trend of problem reports by month."""
    names = facts.project.model.vocabulary["criticality"]
    rows = [
        row(
            month.month,
            str(month.opened),
            str(month.closed),
            str(month.open_at_end),
            *(str(month.open_by_criticality[name]) for name in names),
        )
        for month in trend(facts.project)
    ]
    head = ("Month", "Reported", "Closed", "Open at its end", *(f"Open, {name}" for name in names))
    return table(
        "Trend of problem reports",
        head,
        rows,
        empty="0 dated problem reports",
        widths=(12,) * len(head),
        wide=True,
    )


def models(facts: Facts) -> str:
    """Return models and datasets with their digests."""
    rows = [
        row(
            f"{ref(need.need_id)}<br>{esc(need.title)}",
            facts.project.model.type[need.need_type].title,
            _text(need, "version"),
            _digest(need),
            refs(need.targets("trained_on"), facts.needs, _text(need, "origin", NOTHING)),
            _text(need, "licence"),
            _text(need, "reviewed"),
        )
        for need in (*facts.live("model"), *facts.live("dataset"))
    ]
    head = ("Id", "What", "Version", "Digest", "Trained on, or origin", "Licence", "Reviewed")
    return table(
        "Models and datasets",
        head,
        rows,
        empty="0 models and datasets",
        widths=(19, 8, 8, 24, 20, 10, 10),
        wide=True,
    )


def _digest(need: Need) -> str:
    """Return the digest of a model or dataset; a pending one is open."""
    words = need.field("digest")
    if words.startswith(_PENDING):
        return f"{state(OPEN, '○', _PENDING)}{esc(words.removeprefix(_PENDING))}"
    return f"<code>{esc(words)}</code>" if words else NONE


def documents(facts: Facts) -> str:
    """Return the register of documents."""
    rows = [
        row(
            f"{ref(need.need_id)}<br>{esc(need.title)}",
            _text(need, "document_kind").replace("_", " "),
            f"<code>{_text(need, 'path')}</code>",
            _text(need, "purpose"),
            f"{_text(need, 'author')}<br>{_text(need, 'approver')}",
            approval_mark(facts, need),
        )
        for need in facts.live("document")
    ]
    head = ("Id", "Kind", "Path", "Purpose", "Prepared by, to be approved by", "Approval")
    return table(
        "Controlled documents",
        head,
        rows,
        empty="0 documents are registered",
        widths=(21, 11, 19, 24, 13, 11),
        wide=True,
    )


def approval_mark(facts: Facts, need: Need) -> str:
    """Return the state of an approval with its sign."""
    word = facts.approvals[need.need_id]
    signs = {"approved": (GOOD, "✔"), "not approved": (OPEN, "○"), "stale": (RED, "⟲")}
    return state(*signs[word], word) if word in signs else word


def approvals(facts: Facts) -> str:
    """Return who approved how much, and each decision."""
    return _approval_counts(facts) + _decisions(facts)


def _approval_counts(facts: Facts) -> str:
    """Return how many needs of each type are approved in their present text."""
    model = facts.project.model
    rows = []
    for name, rule in model.type.items():
        found = facts.live(name) if rule.normative else []
        if not found:
            continue
        words = [facts.approvals[need.need_id] for need in found]
        done, stale = words.count("approved"), words.count("stale")
        good = done == len(found)
        mark = state(GOOD, "✔", "all") if good else state(RED if stale else OPEN, "○", "open")
        rows.append(row(esc(rule.title), f"{done} of {len(found)}", str(stale), mark))
    return table(
        "Approvals by type of need",
        ("Type", "Approved in the present text", "Approved in another text", "State"),
        rows,
        empty="0 needs that a person must approve",
        widths=(34, 24, 24, 16),
    )


def _decisions(facts: Facts) -> str:
    """Return each decision that counts."""
    last = facts.project.approvals.last
    rows = [
        row(
            refs((name,), facts.needs),
            esc(found.decision),
            f"{esc(found.reviewer)}, {esc(found.role)}",
            found.date.isoformat(),
            esc(found.reason),
        )
        for name, found in sorted(last.items())
    ]
    return table(
        "Decisions of reviewers",
        ("Need", "Decision", "Reviewer, role", "Date", "Reason"),
        rows,
        empty="none yet: nobody has approved or withdrawn anything",
        widths=(26, 12, 26, 12, 22),
        wide=True,
    )


def _text(need: Need, field: str, empty: str = NONE) -> str:
    """Return a field as HTML; an empty one is a hole."""
    value = need.field(field)
    return inline(value, ()) if value else empty
