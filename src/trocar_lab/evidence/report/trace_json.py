"""trace.json: everything that the page shows, and each row that the page only counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.proof.verdicts import Finding
from trocar_lab.evidence.report.clause_pages import clause_anchors
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.front_page import BOUNDARY, RESEARCH_ONLY
from trocar_lab.evidence.report.platform_proofs import ByPlatform
from trocar_lab.evidence.rules.rule import RuleResult

SCHEMA_VERSION: Final = 2
SCHEMA: Final = "trace.schema.json"
Table = Mapping[str, Any]
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def trace_json(facts: Facts) -> str:
    """Return trace.json: always the same for the same state, one line a need, case, rule or run."""
    needs, cases = facts.needs, facts.project.proofs.cases
    parts = {
        "schema_version": str(SCHEMA_VERSION),
        "statement": _text(RESEARCH_ONLY),
        "boundary": _text(list(BOUNDARY)),
        "identity": _text(_identity(facts)),
        "verdict": _text(_verdict(facts)),
        "selftest": _text(_selftest(facts)),
        "suites": _lines({s.folder: {"files": s.files, "seen": s.seen} for s in facts.suites}),
        "rules": _lines({found.rule_id: _rule(found) for found in facts.outcome.results}),
        "clauses": _lines(_clauses(facts)),
        "runs": _lines({run.path: _run(facts, i) for i, run in enumerate(facts.project.runs)}),
        "cases": _lines({name: _case(facts, cases[name]) for name in sorted(cases)}),
        "needs": _lines({name: _need(facts, needs[name]) for name in sorted(needs)}),
    }
    body = ",\n".join(f"{_text(name)}:{text}" for name, text in parts.items())
    return f"{{\n{body}\n}}\n"


def _text(value: object) -> str:
    """Return a value as JSON; its members stand in a fixed order already."""
    return _ENCODER.encode(value)


def _lines(table: Mapping[str, object]) -> str:
    """Return an object with one member a line."""
    body = ",\n".join(f"{_text(name)}:{_text(value)}" for name, value in table.items())
    return f"{{\n{body}\n}}" if body else "{}"


def _identity(facts: Facts) -> Table:
    """Return what was judged."""
    about = facts.identity._asdict()
    models = {n.need_id: n.field("digest") for n in (*facts.live("model"), *facts.live("dataset"))}
    platforms: dict[str, int] = {}
    for run in facts.project.runs:
        platforms[run.platform] = platforms.get(run.platform, 0) + 1
    return {
        **about,
        "signers": list(facts.identity.signers),
        "checked_on": facts.project.today.isoformat(),
        "digests": models,
        "packs": dict(facts.project.proofs.present.packs),
        "platforms": platforms,
    }


def _verdict(facts: Facts) -> Table:
    """Return what the rules said as a whole."""
    outcome = facts.outcome
    return {
        "line": outcome.verdict_line,
        "is_green": outcome.is_green,
        "is_release": outcome.release,
        "checks": outcome.check_count,
        "passed": outcome.passed_count,
        "open": outcome.open_count,
        "waived": outcome.waived_count,
        "red_rules": [found.rule_id for found in outcome.red],
    }


def _selftest(facts: Facts) -> Table:
    """Return what the self-test found."""
    return {
        "line": facts.selftest.line,
        "is_sound": facts.selftest.is_sound,
        "is_clean": facts.selftest.is_clean,
        "faults": [fault._asdict() for fault in facts.selftest.faults],
    }


def _rule(found: RuleResult) -> Table:
    """Return one rule with every row."""
    return {
        "title": found.title,
        "is_red": found.is_red,
        "population": found.population,
        "passed": found.passed,
        "note": found.note,
        "failed": [row._asdict() for row in found.failed],
        "open": [row._asdict() for row in found.open],
        "waived": [row._asdict() for row in found.waived],
    }


def _clauses(facts: Facts) -> dict[str, Table]:
    """Return each clause by its anchor."""
    rows: dict[str, Table] = {}
    used: set[str] = set()
    for table in facts.clauses:
        for anchor, row in zip(clause_anchors(table, used), table.rows, strict=True):
            rows[anchor] = {
                "standard": table.standard,
                "edition": table.edition,
                **row.model_dump(mode="json"),
            }
    return rows


def _run(facts: Facts, index: int) -> Table:
    """Return one run of evidence."""
    run = facts.project.runs[index]
    return {
        "label": f"R{index + 1}",
        "sha256": facts.digests.get(run.path, ""),
        "started": run.run.started,
        "platform": run.platform,
        "finished": run.finished,
        "faults": list(run.faults),
        "collected": len(run.collected),
        "outcomes": len(run.outcomes),
        "identity": run.run.identity.model_dump(mode="json"),
    }


def _finding(finding: Finding | None) -> Table | None:
    """Return a verdict with its reason, or null where none is asked for."""
    if finding is None:
        return None
    return {"verdict": finding.verdict, "subject": finding.subject, "reason": finding.reason}


def _platforms(by_platform: ByPlatform) -> Table:
    """Return what each platform proves."""
    return {platform: proof._asdict() for platform, proof in by_platform.items()}


def _case(facts: Facts, case: TraceCase) -> Table:
    """Return one test case with its functions."""
    return {
        "title": case.title,
        "authored": case.authored,
        "method": case.method,
        "level": case.level,
        "platform": case.platform,
        "anchor": facts.anchors[case.case_id],
        "claims": {link: sorted(ids) for link, ids in case.claims.items() if ids},
        "effects": {need_id: list(words) for need_id, words in case.effects.items()},
        "functions": [
            {"function": f.function, "place": f"{f.source_file}:{f.line}", "digest": f.digest}
            for f in case.functions
        ],
        "runs": _runs(facts, (case.case_id,)),
        "platforms": _platforms(facts.platforms.get(case.case_id, {})),
        "finding": _finding(facts.project.proofs.findings[case.case_id]),
    }


def _runs(facts: Facts, case_ids: Iterable[str]) -> list[str]:
    """Return the files of the runs that hold the last evidence of some cases."""
    places = sorted({index for name in case_ids for index in facts.runs.get(name, ())})
    return [facts.project.runs[index].path for index in places]


def _strength(facts: Facts, need_id: str) -> Table:
    """Return how strong the tests of a need are; empty for one that nothing is measured of."""
    found = facts.strength.get(need_id)
    return found.model_dump(mode="json") if found else {}


def _need(facts: Facts, need: Need) -> Table:
    """Return one need."""
    name = need.need_id
    claims = facts.claims.get(name, ())
    approval = facts.project.approvals.of(name)
    return {
        "type": need.need_type,
        "title": need.title,
        "status": need.status,
        "place": facts.place(need),
        "fields": dict(need.fields),
        "fingerprint": need.fingerprint,
        "approval": {
            "state": facts.approvals[need.need_id],
            "reviewer": approval.reviewer if approval else "",
            "role": approval.role if approval else "",
            "date": approval.date.isoformat() if approval else "",
        },
        "links": {link: list(ids) for link, ids in need.links.items()},
        "incoming": {link: list(ids) for link, ids in facts.incoming.get(name, {}).items()},
        "comments": list(facts.comments.get(name, ())),
        "cases": sorted({case.case_id for _, case in claims}),
        "runs": _runs(facts, (case.case_id for _, case in claims)),
        "platforms": _platforms(facts.platforms.get(name, {})),
        "finding": _finding(facts.findings.get(name)),
        "not_proven": [list(pair) for pair in facts.rows.get(name, ())],
        "history": [e.model_dump(exclude={"email"}) for e in facts.project.history_of(name)],
        "strength": _strength(facts, name),
    }
