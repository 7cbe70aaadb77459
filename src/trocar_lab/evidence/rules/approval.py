"""Rules on approvals: G6, G8, G9, V10. What nobody approved is open, what changed since is red."""

from __future__ import annotations

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.signed.approvals import FILE, ApprovalState


def normative(project: Project) -> list[Need]:
    """Return the live needs whose text counts only once it is approved."""
    types = [name for name, rule in project.model.type.items() if rule.normative]
    return project.graph.live(*types)


def approved_rest_on_approved(project: Project, tally: Tally) -> None:
    """G6: an approved need links only to approved needs of normative types."""
    for need in normative(project):
        if project.approvals.of(need.need_id) is None:
            continue
        targets = {t for ids in need.links.values() for t in ids}
        loose = [
            target
            for target in sorted(targets & set(project.graph.needs))
            if project.model.type[project.graph.needs[target].need_type].normative
            and project.approvals.of(target) is None
        ]
        tally.check(need.need_id, f"links to {', '.join(loose)}, not approved" if loose else None)


def texts_are_approved(project: Project, tally: Tally) -> None:
    """G8: every normative need is approved in its present text, by a sound and signed record."""
    for place, reason in project.approvals.faults:
        tally.check(place, reason)
    for need in normative(project):
        found = project.approvals.of(need.need_id)
        state = project.approval_state(need)
        tally.check(need.need_id)
        if state is ApprovalState.MISSING:
            tally.leave_open(need.need_id, "not approved")
        elif state is ApprovalState.STALE and found is not None:
            tally.check(need.need_id, f"changed since {found.reviewer} approved it on {found.date}")
    for need_id in project.approvals.last:
        tally.check(
            need_id, None if need_id in project.graph.needs else f"{FILE} names it; no such need"
        )


def links_are_confirmed(project: Project, tally: Tally) -> None:
    """G9: every link of a normative need was confirmed against the target's present text."""
    for need in normative(project):
        approval = project.approvals.of(need.need_id)
        stale = set(project.stale_links(need)) if approval is not None else set()
        for link, targets in need.links.items():
            for target in targets:
                key = f"{need.need_id} {link} {target}"
                tally.check(key)
                if approval is None:
                    tally.leave_open(key, "not confirmed")
                elif target in stale:
                    tally.check(
                        key,
                        f"suspect: {target} is not the text that {approval.reviewer} confirmed on"
                        f" {approval.date}",
                    )


def approver_is_not_author(project: Project, tally: Tally) -> None:
    """V10: who approved a text is not who wrote it, by the history of the repository."""
    for need_id, approval in sorted(project.approvals.last.items()):
        need = project.graph.needs.get(need_id)
        if need is None or project.approvals.of(need_id) is None:
            continue
        tally.check(need_id)
        written = project.history.authors(need_id, need.fingerprint)
        if not written:
            tally.leave_open(need_id, project.history.fault or "its text is not committed")
            continue
        reviewer = project.approvals.roster.get(approval.reviewer)
        own = {approval.reviewer.casefold(), reviewer.email.casefold() if reviewer else ""}
        authors = {name.casefold() for e in written for name in (e.author, e.email)}
        tally.check(
            need_id, f"{approval.reviewer} approved a text of their own" if own & authors else None
        )


APPROVAL_RULES = (
    Rule("G6", "Approved needs link only to approved needs", approved_rest_on_approved),
    Rule("G8", "Every normative need is approved in its present text", texts_are_approved),
    Rule("G9", "Every link is confirmed against its target's present text", links_are_confirmed),
)
AUTHOR_RULES = (Rule("V10", "Who approved a text is not who wrote it", approver_is_not_author),)
