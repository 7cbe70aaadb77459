"""Say why one need is red: its rules, its cases, and each node behind them."""

from __future__ import annotations

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.report.need_verdict import need_finding
from trocar_lab.evidence.report.table import ADVICE
from trocar_lab.evidence.rules.rule import Outcome


def explain(project: Project, outcome: Outcome, need_id: str) -> tuple[bool, str]:
    """Return whether nothing is wrong with a need, and the explanation.

    Args:
        project: What was judged.
        outcome: What the rules said.
        need_id: Id of a need, or of a generated test case.
    """
    need = project.graph.needs.get(need_id)
    case = project.proofs.cases.get(need_id)
    if need is None and case is None:
        prefix = need_id.partition("_")[0] + "_"
        near = [name for name in project.graph.needs if name.startswith(prefix)]
        return (
            False,
            f"no need {need_id}; of that type there are: {', '.join(sorted(near)) or 'none'}",
        )
    lines: list[str] = []
    is_good = True
    if need is not None:
        lines += [
            f"{need.need_id}: {need.title}",
            f"written in {need.place}",
            f"fingerprint {need.fingerprint}",
        ]
        finding = need_finding(project, need)
        if finding is not None:
            is_good = not (finding.verdict.is_red or finding.verdict.is_open)
            lines.append(f"verdict {finding.verdict} {finding.reason}".rstrip())
    for result in outcome.results:
        rows = [
            (w, r)
            for w, found in (("RED", result.failed), ("OPEN", result.open))
            for r in found
            if r.need_id == need_id
        ]
        for word, row in rows:
            is_good = False
            lines.append(f"{word} by {result.rule_id} ({result.title}): {row.reason}")
            lines.append(f"  do: {ADVICE[result.rule_id[0]]}")
    links = project.model.type["test_case"].links
    cases = {c.case_id: c for link in links for c in project.proofs.cases_for(need_id, link)}
    if case is not None:
        cases[case.case_id] = case
    for found in cases.values():
        finding = project.proofs.findings[found.case_id]
        lines.append(
            f"case {found.case_id} [{found.level}, {found.platform}]"
            f" {finding.verdict} {finding.reason}".rstrip()
        )
        for function in found.functions:
            lines.append(f"  {function.function} ({function.source_file}:{function.line})")
            for platform, nodes in project.proofs.node_findings[function.function].items():
                lines += [
                    f"    {platform} {n.verdict} {n.subject} {n.reason}".rstrip() for n in nodes
                ]
    lines.append("nothing is wrong with it" if is_good else "not green")
    return is_good, "\n".join(lines)
