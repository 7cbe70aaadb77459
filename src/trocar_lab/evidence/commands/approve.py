"""Approve needs, or withdraw an approval: the only place from which approvals are written."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from trocar_lab.evidence.commands.options import EXIT_GREEN, Commands
from trocar_lab.evidence.errors import ApprovalError
from trocar_lab.evidence.graph.history import History, read_history
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.graph.needs_source import source_graph
from trocar_lab.evidence.project import approved_texts
from trocar_lab.evidence.signed.approvals import (
    ROSTER,
    Approval,
    ApprovalLog,
    Approvals,
    ApprovalState,
    Reviewer,
)
from trocar_lab.provenance.git import git_output


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    words = "record that a reviewer approves needs in their present text, or withdraws that"
    command = commands.add_parser("approve", help=words, description=words)
    command.set_defaults(command=_approve)
    command.add_argument("need_ids", nargs="*", metavar="ID")
    command.add_argument("--type", action="append", default=[], help="every live need of a type")
    command.add_argument("--reviewer", required=True, metavar="NAME", help="as in the roster")
    command.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="Ed25519 private key, PEM"
    )
    command.add_argument("--reason", default="")
    command.add_argument("--withdraw", action="store_true", help="take an approval back")
    command.add_argument("--root", type=Path, default=Path(), metavar="DIR")


def _approve(options: argparse.Namespace) -> int:
    """Write approvals and print what was done."""
    ids = list(options.need_ids)
    if options.type:
        ids += [need.need_id for need in source_graph(options.root).live(*options.type)]
    decision = Decision(
        need_ids=tuple(ids),
        reviewer=options.reviewer,
        key=options.key,
        reason=options.reason,
        decision="withdraw" if options.withdraw else "approve",
    )
    print("\n".join(approve(options.root, decision, today=dt.datetime.now(tz=dt.UTC).date())))
    return EXIT_GREEN


class Decision(Frozen):
    """What a reviewer decides about some needs.

    Attributes:
        need_ids: The needs.
        reviewer: Name as in the roster.
        key: PEM file with the reviewer's private key.
        reason: Why; required to withdraw.
        decision: approve, or withdraw.
    """

    need_ids: tuple[str, ...]
    reviewer: str
    key: Path
    reason: str = ""
    decision: Literal["approve", "withdraw"] = "approve"


def approve(root: Path, decision: Decision, *, today: dt.date) -> list[str]:
    """Record a decision and return one line a need about what was done.

    Args:
        root: Repository root.
        decision: Who decides what.
        today: Day of the decision.

    Raises:
        ApprovalError: One need may not be approved by this reviewer; then none is.
        SignatureError: The key is not that of the reviewer.
    """
    graph = source_graph(root)
    log = ApprovalLog(root)
    known = log.read()
    reviewer = known.roster.get(decision.reviewer)
    if reviewer is None:
        names = ", ".join(sorted(known.roster)) or "nobody yet"
        raise ApprovalError(f"{decision.reviewer} is not in {ROSTER}; in it: {names}")
    if decision.decision == "withdraw" and len(decision.reason) < 20:
        raise ApprovalError("to withdraw an approval takes a reason of 20 characters or more")
    needs = [_normative(graph, need_id) for need_id in dict.fromkeys(decision.need_ids)]
    if not needs:
        raise ApprovalError("no need is named")
    texts = approved_texts(root, graph)
    if decision.decision == "approve":
        history = read_history(root)
        for need in needs:
            _refuse_own_text(root, need, reviewer, history)
        _refuse_loose(graph, needs, known)
    lines, new = [], []
    for need in needs:
        links = _links(need, texts)
        if _is_done(known, need, decision, texts[need.need_id], links):
            lines.append(f"{need.need_id}: nothing to do, it stands already")
            continue
        new.append(
            Approval(
                need_id=need.need_id,
                decision=decision.decision,
                fingerprint=texts[need.need_id],
                links=links,
                reviewer=reviewer.name,
                role=reviewer.role,
                date=today,
                reason=decision.reason,
            )
        )
        lines.append(f"{need.need_id}: {decision.decision} {texts[need.need_id]} ({need.title})")
    log.append(new, key=decision.key)
    return lines


def _normative(graph: Graph, need_id: str) -> Need:
    """Return the need that an id names, when it is one that is approved at all."""
    need = graph.needs.get(need_id)
    if need is None or need.is_retired:
        raise ApprovalError(f"{need_id}: no such live need")
    if not graph.model.type[need.need_type].normative:
        raise ApprovalError(f"{need_id}: a {need.need_type} is not approved by a person")
    return need


def _refuse_own_text(root: Path, need: Need, reviewer: Reviewer, history: History) -> None:
    """Refuse a text that is not committed, or that the reviewer wrote."""
    if history.fault:
        raise ApprovalError(f"{need.need_id}: the author is not known: {history.fault}")
    written = history.authors(need.need_id, need.fingerprint)
    path = need.field("path")
    if not written or (path and git_output(root, "status", "--porcelain", "--", path) != ""):
        raise ApprovalError(f"{need.need_id}: its present text is not committed; commit it first")
    authors = {name.casefold() for entry in written for name in (entry.author, entry.email)}
    if authors & {reviewer.name.casefold(), reviewer.email.casefold()}:
        raise ApprovalError(f"{need.need_id}: {reviewer.name} wrote this text; another approves it")


def _refuse_loose(graph: Graph, needs: Sequence[Need], known: Approvals) -> None:
    """Refuse a need that links to a need which is neither approved nor in the same decision."""
    chosen = {need.need_id for need in needs}
    for need in needs:
        for target in (t for name in need.links for t in graph.targets(need, name)):
            is_normative = graph.model.type[target.need_type].normative
            if is_normative and target.need_id not in chosen and not known.of(target.need_id):
                raise ApprovalError(
                    f"{need.need_id} links to {target.need_id}, which is not approved:"
                    f" approve {target.need_id} first, or both at once"
                )


def _links(need: Need, texts: dict[str, str]) -> dict[str, str]:
    """Return each target of a need to its present fingerprint."""
    return {target: texts.get(target, "") for ids in need.links.values() for target in ids}


def _is_done(
    known: Approvals, need: Need, decision: Decision, text: str, links: dict[str, str]
) -> bool:
    """Return whether the decision stands already."""
    found = known.of(need.need_id)
    if decision.decision == "withdraw":
        return found is None
    is_same = known.state(need.need_id, text) is ApprovalState.APPROVED
    return is_same and not known.stale_links(need.need_id, links)
