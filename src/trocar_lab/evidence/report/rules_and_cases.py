"""Rules, test cases, runs of evidence, and the validation of the analyser itself."""

from __future__ import annotations

from collections.abc import Sequence

from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.markup import (
    GOOD,
    MARKS,
    NONE,
    NOTHING,
    OPEN,
    RED,
    esc,
    far_link,
    link,
    ref,
    refs,
    row,
    state,
    table,
)
from trocar_lab.evidence.report.need_cards import platform_text, run_names, runs_text
from trocar_lab.evidence.report.not_proven import state_of
from trocar_lab.evidence.report.selftest_summary import SeededFault

_TOOLCHAIN = "trocar_lab.evidence"


def rules(facts: Facts) -> str:
    """Return the table of rules."""
    seeded = facts.selftest.by_rule()
    rows = []
    for found in facts.outcome.results:
        lost = len(found.failed) + len(found.open) + len(found.waived)
        counts = (found.population, found.passed, len(found.failed), len(found.open))
        detail = far_link(f"open-{found.rule_id}", "rows") if lost or not found.population else ""
        rows.append(
            f"<tr id=rule-{found.rule_id}><th>{found.rule_id}<td>{esc(found.title)}"
            f"<td>{state_of(found)}<td>"
            + "<td>".join(f"{count:,}" for count in counts)
            + f"<td>{len(found.waived)}<td>{len(seeded.get(found.rule_id, ()))}<td>{detail}"
        )
    head = (
        "Rule",
        "What must hold",
        "State",
        "Population",
        "Hold",
        "Red",
        "Open",
        "Waived",
        "Faults seeded",
        "Not proven",
    )  # fmt: skip - one row of titles
    return table(
        "Rules and what they found",
        head,
        rows,
        empty="0 rules: nothing was judged",
        widths=(6, 34, 12, 9, 6, 5, 6, 7, 7, 8),
        wide=True,
    )


def runs(facts: Facts) -> str:
    """Return the runs of evidence that the verdicts rest on."""
    rows = []
    for index, run in enumerate(facts.project.runs):
        about = run.run.identity
        clean = "" if about.clean else f"<br>{state(OPEN, '○', 'tree not clean')}"
        end = "finished" if run.finished else state(OPEN, "○", "not finished")
        faults = f"<br>{state(RED, '✘', 'chain broken')}" if run.faults else ""
        digest = facts.digests.get(run.path, "")
        machine = about.platform
        rows.append(
            f"<tr id=run-{index + 1}><th>R{index + 1}"
            f"<td><code>{esc(run.path)}</code>{faults}<br>SHA-256"
            f" {f'<code>{digest}</code>' if digest else NOTHING}"
            f"<td>{esc(run.run.started[:19].replace('T', ' '))}<td>{esc(run.platform)}<br>"
            f"{esc(machine.system)} {esc(machine.machine)}, {machine.cpu_count} CPUs"
            f"<td><code>{esc(about.commit[:12]) or 'none'}</code>{clean}"
            f"<td><code>{esc(about.wheel_sha256[:12]) or 'none named'}</code>"
            f"<td>{esc(about.operator) or 'not named'}"
            f"<td>{len(run.outcomes):,} of {len(run.collected):,} nodes, {end}"
        )
    head = ("Run", "File", "Started (UTC)", "Platform", "Commit", "Wheel", "Operator", "Outcomes")
    return table(
        "Runs of evidence",
        head,
        rows,
        empty="0 runs: no evidence at all",
        widths=(5, 29, 11, 13, 12, 11, 9, 10),
        wide=True,
    )


def cases(facts: Facts) -> str:
    """Return every test case with its verdict on each platform, by file."""
    by_file: dict[str, list[TraceCase]] = {}
    for case in facts.project.proofs.cases.values():
        place = "Authored cases with a protocol"
        if not case.authored:
            place = f"{case.title.partition('::')[0]}, {case.level}, asked for on {case.platform}"
        by_file.setdefault(place, []).append(case)
    rows: list[str] = []
    for place, found in by_file.items():
        rows.append(f"<tr class=t><th colspan=3 scope=rowgroup>{esc(place)}")
        rows += [_case_row(facts, case) for case in found]
    words = (
        "<p>A case passes only if every node of it was collected, every phase of every node passed,"
        " and nothing that it rests on changed since. 4/5 means that 4 of 5 nodes passed."
        f" {runs_text(facts)}</p>"
    )
    return words + table(
        "Test cases with their verdicts",
        ("Case", "Claims", "Verdict, nodes passed by platform"),
        rows,
        empty="0 test cases",
        widths=(40, 25, 35),
        wide=True,
    )


def _case_row(facts: Facts, case: TraceCase) -> str:
    """Return the row of one case; that of a generated one is a test function of the file."""
    finding = facts.project.proofs.findings[case.case_id]
    claims = sorted({need_id for ids in case.claims.values() for need_id in ids})
    if case.authored:
        name = f"{ref(case.case_id)} {esc(case.title)}, {esc(case.level)}, {esc(case.platform)}"
        name += "".join(
            f"<br>{esc(f.source_file)}:{f.line} {esc(f.source_name)}" for f in case.functions
        )
    else:
        name = esc(case.title.partition("::")[2])
    mark = MARKS[finding.verdict]
    reason = f": {esc(finding.reason)}" if finding.reason else ""
    proof = platform_text(facts.platforms[case.case_id], mark)
    return (
        f"<tr id={facts.anchors[case.case_id]}><th>{name}<td>{refs(claims, facts.needs, NONE)}"
        f"<td>{mark} {proof}{run_names(facts, (case.case_id,))}{reason}"
    )


def tool_validation(facts: Facts) -> str:
    """Return the errors that the analyser could make, the faults that show them, and its tests."""
    seeded = facts.selftest.by_rule()
    known = [found.rule_id for found in facts.outcome.results]
    blocks = [
        _rule_faults(found.rule_id, found.title, seeded.get(found.rule_id, ()))
        for found in facts.outcome.results
    ]
    blocks += [
        _rule_faults(rule_id, "no such rule in this check", faults)
        for rule_id, faults in seeded.items()
        if rule_id not in known
    ]
    sound = state(GOOD, "✔", "sound") if facts.selftest.is_sound else state(RED, "✘", "not sound")
    return (
        "<p>The error that matters is a green gate over a state that is not green. For each rule"
        " one small fault at a time is planted into a demo project; the rule must catch it for its"
        " own reason, and the demo without a fault must be green. The self-test ran when this"
        f" report was made: {sound}, {esc(facts.selftest.line)}.</p>{_analyser_tools(facts)}"
        + table(
            "Potential errors of the analyser and the faults that would show them",
            ("Rule", "Potential error", "Seeded faults, caught by this rule"),
            blocks,
            empty="0 rules",
            widths=(8, 30, 60),
            wide=True,
        )
        + _analyser_tests(facts)
    )


def _rule_faults(rule_id: str, title: str, faults: Sequence[SeededFault]) -> str:
    """Return the faults of one rule and whether each was caught."""
    lines = [
        (state(GOOD, "✔", "caught") if fault.is_caught else state(RED, "✘", "not caught"))
        + f" {esc(fault.name)}"
        + ("" if fault.is_caught else f": {esc(fault.detail)}")
        for fault in faults
    ]
    none = state(RED, "∅", "no fault is seeded for this rule")
    return row(
        link(f"rule-{rule_id}", rule_id),
        f"It stays green although this does not hold: {esc(title[:1].lower() + title[1:])}",
        "<br>".join(lines) or none,
    )


def _analyser_tools(facts: Facts) -> str:
    """Return what the register says about the analyser itself."""
    own = [
        need
        for need in facts.live("tool")
        if need.field("package").replace("-", "_").startswith(("trocar_lab", "trocar"))
    ]
    return "".join(
        f"<p>{refs((need.need_id,), facts.needs)} {esc(need.title)}. Potential errors:"
        f" {esc(need.field('potential_errors'))} Validation: {esc(need.field('validation'))}</p>"
        for need in own
    )


def _analyser_tests(facts: Facts) -> str:
    """Return the units of the toolchain that carry tests of their own, with their verdicts."""
    rows = []
    for unit in facts.live("unit"):
        if not unit.field("symbol").startswith(_TOOLCHAIN):
            continue
        finding = facts.findings.get(unit.need_id)
        count = len(facts.claims.get(unit.need_id, ()))
        verdict = MARKS[finding.verdict] if finding else NOTHING
        rows.append(row(refs((unit.need_id,), facts.needs), esc(unit.title), str(count), verdict))
    return table(
        "Units of the analyser and their tests",
        ("Unit", "Title", "Cases that claim it", "Verdict"),
        rows,
        empty="no unit of the analyser is in the needs: its tests are not part of this trace",
        widths=(30, 36, 16, 16),
    )
