"""Rules P1 to P7, K10 and K11: what a reviewer of the process would otherwise find by hand."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from simulators.trace_rules import judged, opened, red
from trocar_lab.evidence.errors import MetamodelError, RecordError
from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.graph.needs import needs_json_of
from trocar_lab.evidence.graph.releases import last_release
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.proofs import Proofs
from trocar_lab.evidence.proof.verdicts import Verdict
from trocar_lab.evidence.rules.documents import TABLE, load_anchors, parse_anchors
from trocar_lab.evidence.rules.process import newest_findings
from trocar_lab.evidence.rules.risk import risk_file_digest
from trocar_lab.evidence.rules.rule import RuleResult
from trocar_lab.evidence.rules.trend import trend
from trocar_lab.evidence.selftest.demo_process import DEMO_COMMITS, VERSION
from trocar_lab.evidence.selftest.faults import Fault, TextEdit
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.evidence.signed.records import NotApplicable, OverallResidualRisk, read_records
from trocar_lab.evidence.source.commits import Commit, CommitLog
from trocar_lab.evidence.source.project_files import read_project_files

PROCESS = "verification/demo_process.rst"
KINDS = load_metamodel().vocabulary["document_kind"]


def edited(root: Path, *edits: tuple[str, str, str]) -> Project:
    """Return the demo with some texts replaced; an empty old text writes the whole file."""
    rows = tuple(TextEdit(path=path, old=old, new=new) for path, old, new in edits)
    return seeded_project(Fault(name="x", rule="", phrase="", edits=rows), root)


# ---------------------------------------------------------------- P1


def test_every_kind_has_sections_with_a_label_of_its_own() -> None:
    """The table is what authors work from: all kinds, unique labels, one prefix a kind."""
    anchors = load_anchors()
    assert set(anchors.kind) == set(KINDS)
    assert all(kind.required for kind in anchors.kind.values())
    prefixes = {
        name: {section.label.split("-", 1)[0] for section in kind.sections}
        for name, kind in anchors.kind.items()
    }
    assert all(len(found) == 1 for found in prefixes.values()), prefixes
    assert len({prefix for found in prefixes.values() for prefix in found}) == len(KINDS)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[kind.register]", "[kind.registry]", "registry"),
        ('label = "register-records"', 'label = "register-documents"', "stands twice"),
        ('label = "register-records"', 'label = "Register"', "label"),
        ("words_min = 30", "words_min = 0", "words_min"),
        ("words_min = 30", "words_min = ", "Invalid"),
    ],
)
def test_table_of_sections_that_contradicts_itself_is_refused(
    old: str, new: str, words: str
) -> None:
    """A kind that the metamodel lacks would be asked of nobody."""
    text = resources.files("trocar_lab.evidence.rules").joinpath(TABLE).read_text("utf-8")
    assert old in text
    with pytest.raises(MetamodelError, match=words):
        parse_anchors(text.replace(old, new), kinds=KINDS)


@pytest.mark.verifies("SRS_TRACE_030", extent="partial", technique="equivalence")
def test_kind_may_be_spread_over_two_documents(tmp_path: Path) -> None:
    """Each section then stands in one of them; what both lack is a row of the kind."""
    text = edited(tmp_path / "whole").documents["docs/process/register.rst"] or ""
    head, label, tail = text.partition(".. _register-records:")
    second = (
        ".. document:: Records\n   :id: DOC_DEMO_RECORDS\n   :document_kind: register\n"
        "   :path: docs/process/records.rst\n   :purpose: Lists records\n   :author: One\n"
        "   :approver: Another\n\n   Words.\n\n"
    )
    split = (
        ("docs/process/register.rst", "", head),
        ("docs/process/records.rst", "", second + label + tail),
    )
    assert not judged("P1", edited(tmp_path / "split", *split)).failed
    lost = (split[0], ("docs/process/records.rst", "", second))
    rows = red(judged("P1", edited(tmp_path / "lost", *lost)))
    assert set(rows) == {"register"}
    assert "register-records" in rows["register"]


def test_kind_without_a_document_may_be_signed_away(tmp_path: Path) -> None:
    """Only a record with the key of that kind counts."""
    path, old = "docs/process/usability.rst", "   :document_kind: usability"
    project = edited(tmp_path, (path, old, "   :document_kind: security"))
    assert "usability" in red(judged("P1", project))
    for key, is_red in (("usability", False), ("", True), ("quality", True)):
        record = NotApplicable(
            rule="P1", key=key, reason="x" * 20, name="Demo Owner", date=project.today
        )
        records = project.records.model_copy(update={"not_applicable": (record,)})
        assert ("usability" in red(judged("P1", replace(project, records=records)))) is is_red


def test_sections_are_read_in_rst_only(tmp_path: Path) -> None:
    """A Markdown file has no labels that pages could link to."""
    path = "docs/process/quality.rst"
    text = edited(tmp_path / "a").documents[path] or ""
    project = edited(
        tmp_path / "b",
        (path, ":path: docs/process/quality.rst", ":path: docs/process/quality.md"),
        ("docs/process/quality.md", "", text),
    )
    assert "no section labelled" in red(judged("P1", project))["DOC_DEMO_QUALITY"]


# ---------------------------------------------------------------- P2


def commit_log(*commits: Commit, fault: str = "") -> CommitLog:
    """Return a log."""
    return DEMO_COMMITS.model_copy(update={"commits": commits, "fault": fault})


def test_commit_without_a_trailer_is_open(tmp_path: Path) -> None:
    """The row names the commit as people do; development goes on, a release does not."""
    project = seeded_project(CLEAN, tmp_path)
    bare = Commit(commit="a" * 40, short="aaaaaaa", subject="Quick fix")
    result = judged("P2", replace(project, known_commits=commit_log(*DEMO_COMMITS.commits, bare)))
    assert not result.failed
    rows = opened(result)
    assert set(rows) == {"commit aaaaaaa"}
    assert "Quick fix" in rows["commit aaaaaaa"]


@pytest.mark.verifies("SRS_TRACE_030", extent="partial", technique="fault_injection")
def test_one_unknown_change_of_two_is_red(tmp_path: Path) -> None:
    """A known id beside it does not excuse it; a need of another type is no change."""
    project = seeded_project(CLEAN, tmp_path)
    for stray in ("CHG_DEMO_009", "SRS_DEMO_001"):
        commit = Commit(
            commit="a" * 40, short="aaaaaaa", subject="x", changes=("CHG_DEMO_001", stray)
        )
        rows = red(judged("P2", replace(project, known_commits=commit_log(commit))))
        assert f"names {stray}: no such live change" in rows["commit aaaaaaa"]


def test_unknown_history_is_open_and_never_passed(tmp_path: Path) -> None:
    """Squashed history proves nothing about changes, in either direction."""
    project = seeded_project(CLEAN, tmp_path)
    result = judged("P2", replace(project, known_commits=commit_log(fault="squashed or shallow")))
    assert (result.population, result.passed, len(result.failed)) == (1, 0, 0)
    assert "squashed" in result.open[0].reason
    records = project.records.model_copy(update={"baseline": None})
    result = judged("P2", replace(project, records=records))
    assert (result.passed, len(result.open), len(result.failed)) == (0, 1, 0)


@pytest.mark.parametrize(
    "text",
    [
        '[baseline]\ncommit = "abc"\n',
        "[[baseline]]\n",
        '[base]\ncommit = "abc"\n',
        "[baseline\n",
    ],
)
def test_baseline_that_is_incomplete_is_refused(tmp_path: Path, text: str) -> None:
    """A half-written baseline would put commits outside change control."""
    folder = tmp_path / "verification"
    folder.mkdir()
    (folder / "change_control.toml").write_text(text)
    with pytest.raises(RecordError):
        read_records(tmp_path)


# ---------------------------------------------------------------- P3


def archive(project: Project, version: str, *, without: str = "") -> None:
    """Archive the present needs as a release, one of them left out if it is named."""
    path = project.root / "verification" / "releases" / version / "needs.json"
    path.parent.mkdir(parents=True)
    needs = [need for need in project.graph.needs.values() if need.need_id != without]
    path.write_text(json.dumps(needs_json_of(needs)))


def test_without_an_archive_every_case_counts(tmp_path: Path) -> None:
    """Before the first release everything is new."""
    project = seeded_project(CLEAN, tmp_path)
    result = judged("P3", project)
    count = len(project.proofs.cases)
    assert (result.population, len(result.failed)) == (count, 0)
    assert count >= 5
    assert len(judged("P3", replace(project, proofs=without_evidence(project))).failed) == count


def without_evidence(project: Project) -> Proofs:
    """Return the proofs as they would be if nothing had been run."""
    proofs = project.proofs
    return Proofs(tuple(proofs.cases.values()), (), present=proofs.present)


def test_with_an_archive_only_what_changed_counts(tmp_path: Path) -> None:
    """Of five cases the two that rest on the added requirement have to be run again."""
    project = seeded_project(CLEAN, tmp_path)
    archive(project, "0.9.0", without="SRS_DEMO_001")
    lost = red(judged("P3", replace(project, proofs=without_evidence(project))))
    assert "tests/unit/test_demo.py::test_mask_has_size_of_frame" in lost
    assert not any("test_stale_frame_is_withheld" in key for key in lost)
    assert any("SRS_DEMO_001" in reason for reason in lost.values())
    assert not judged("P3", project).failed


def test_nothing_changed_since_the_archive_is_not_an_empty_population(tmp_path: Path) -> None:
    """The archive itself was looked at; the newest one counts, by number and not by letter."""
    project = seeded_project(CLEAN, tmp_path)
    archive(project, "0.9.0", without="SRS_DEMO_001")
    archive(project, "0.10.0")
    result = judged("P3", replace(project, proofs=without_evidence(project)))
    assert (result.population, result.passed) == (1, 1)
    found = last_release(project.root, project.model)
    assert found is not None
    assert found.version == "0.10.0"


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
def test_damaged_archive_is_red(tmp_path: Path) -> None:
    """What changed since a release that cannot be read is not known."""
    project = seeded_project(CLEAN, tmp_path)
    archive(project, "0.9.0")
    (project.root / "verification/releases/0.9.0/needs.json").write_text("{")
    rows = red(judged("P3", project))
    assert "not a needs.json" in rows["release 0.9.0"]


# ---------------------------------------------------------------- P4, P5, P7


@pytest.mark.verifies("SRS_TRACE_030", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "field", ["problem_type", "criticality", "affected_versions", "risk_evaluation", "reported"]
)
def test_problem_report_without_a_field_is_red(tmp_path: Path, field: str) -> None:
    """Each field of the report is asked for by itself."""
    text = edited(tmp_path / "a").root.joinpath(PROCESS).read_text()
    line = next(line for line in text.splitlines(keepends=True) if f"   :{field}: " in line)
    project = edited(tmp_path / "b", (PROCESS, line, ""))
    assert field in red(judged("P4", project))["ANO_DEMO_002"]


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ((":reported: 2026-10-05", ":reported: 2026-13-05"), "no date"),
        ((":reported: 2026-10-05", ":reported: 2026-10-20"), ""),
        ((":closed_on: 2026-10-20", ":closed_on: 2026-11-21"), ""),
        ((":closed_on: 2026-10-20", ":closed_on: 2026-11-22"), "in the future"),
        ((":closed_on: 2026-10-20", ":closed_on: 2026-10-04"), "before it was reported"),
        ((":anomaly_state: closed", ":anomaly_state: open"), "open, but closed_on"),
    ],
)
def test_dates_of_a_problem_report(tmp_path: Path, edits: tuple[str, str], words: str) -> None:
    """Both sides of each limit; a report may be closed on the day on which it was made."""
    rows = red(judged("P7", edited(tmp_path, (PROCESS, *edits))))
    assert bool(rows) is bool(words)
    assert not words or words in rows["ANO_DEMO_002"]


def test_trend_counts_by_month(tmp_path: Path) -> None:
    """Months without a report are rows too; a report with a faulty date is in none."""
    project = edited(tmp_path, (PROCESS, ":reported: 2026-10-05", ":reported: 2026-08-31"))
    rows = trend(project)
    counts = [(row.month, row.opened, row.closed, row.open_at_end) for row in rows]
    assert counts == [
        ("2026-08", 1, 0, 1),
        ("2026-09", 0, 0, 1),
        ("2026-10", 0, 1, 0),
        ("2026-11", 1, 0, 1),
    ]
    assert rows[0].open_by_criticality["minor"] == 1
    assert all(sum(row.open_by_criticality.values()) == row.open_at_end for row in rows)
    broken = edited(tmp_path / "b", (PROCESS, ":reported: 2026-10-05", ":reported: 2027-08-31"))
    assert [row.month for row in trend(broken)] == ["2026-11"]


def test_trend_crosses_the_year(tmp_path: Path) -> None:
    """December is followed by January."""
    project = edited(tmp_path, (PROCESS, ":reported: 2026-10-05", ":reported: 2025-12-05"))
    assert [row.month for row in trend(project)][:2] == ["2025-12", "2026-01"]
    assert len(trend(project)) == 12


def test_regression_test_that_claims_nothing_is_found_in_the_newest_run(tmp_path: Path) -> None:
    """A regression test need not carry a marker; the newest run that collected it counts."""
    project = seeded_project(CLEAN, tmp_path)
    name = "tests/unit/test_demo.py::test_mask_has_size_of_frame"
    unmarked = replace(project, proofs=without_evidence(project))
    assert [f.verdict for f in newest_findings(unmarked, name)] == [Verdict.PASS] * 2
    newest = project.runs[-1]
    lines = {node: line._replace(deselected=True) for node, line in newest.collected.items()}
    runs = (*project.runs[:-1], newest.model_copy(update={"collected": lines}))
    skipped = replace(unmarked, runs=runs)
    assert {f.verdict for f in newest_findings(skipped, name)} == {Verdict.MISSING}
    assert [f.verdict for f in newest_findings(unmarked, "tests/x.py::y")] == [Verdict.MISSING]


def test_nothing_closed_needs_a_record(tmp_path: Path) -> None:
    """P5 over no closed report is red, unless a dated record says why."""
    project = edited(
        tmp_path,
        (PROCESS, ":anomaly_state: closed", ":anomaly_state: open"),
        (PROCESS, "   :closed_on: 2026-10-20\n", ""),
    )
    result = judged("P5", project)
    assert result.population == 0
    assert result.is_red
    record = NotApplicable(rule="P5", reason="x" * 20, name="Demo Owner", date=project.today)
    records = project.records.model_copy(update={"not_applicable": (record,)})
    assert not judged("P5", replace(project, records=records)).is_red


# ---------------------------------------------------------------- P6


def test_programs_that_the_process_starts_may_be_listed(tmp_path: Path) -> None:
    """What is installed by nobody's extra still has a need: tox, its plugins, pip, python."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text("python3.11 -m venv x\nx/bin/pip install --quiet tox\n")
    (tmp_path / "tox.ini").write_text("[tox]\nrequires =\n    tox-uv>=1.2\n    pip>=26\n")
    assert read_project_files(tmp_path).process_tools == {"python", "tox", "tox-uv", "pip"}
    (tmp_path / ".ci" / "run").write_text("mypython x\npython-config\ntoxic\n")
    (tmp_path / "tox.ini").unlink()
    assert read_project_files(tmp_path).process_tools == frozenset()


@pytest.mark.verifies("SRS_TRACE_030", extent="partial", technique="fault_injection")
def test_tool_declared_with_two_versions_fits_no_need(tmp_path: Path) -> None:
    """Two extras that disagree are one contradiction, not a choice."""
    line = 'check = ["checker==2.0"]'
    project = edited(
        tmp_path, ("pyproject.toml", line, line + '\nlab = ["Checker[fast] == 2.1 ; x"]')
    )
    assert "2.0 differs from 2.0 and 2.1" in red(judged("P6", project))["TOOL_DEMO_CHECKER"]


def test_two_needs_for_one_tool_are_red(tmp_path: Path) -> None:
    """Whether the package is declared or only started."""
    for package, key in (("checker", "package checker"), ("tox", "TOOL_DEMO_TOX")):
        project = edited(tmp_path / package, (PROCESS, ":package: builder", f":package: {package}"))
        assert "2 TOOL_ needs" in red(judged("P6", project))[key]


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
def test_unreadable_settings_are_red_and_no_crash(tmp_path: Path) -> None:
    """A damaged tox.ini is a row with a reason."""
    project = edited(tmp_path, ("tox.ini", "", "no section\n"))
    assert "cannot be read" in red(judged("P6", project))["tox.ini"]


# ---------------------------------------------------------------- K10, K11


def test_digest_of_the_risk_file_covers_its_needs_and_nothing_else(tmp_path: Path) -> None:
    """A changed hazard asks for a new judgement, a changed requirement does not."""
    digest = risk_file_digest(seeded_project(CLEAN, tmp_path / "a").graph)
    other = edited(tmp_path / "b", ("risk/demo.rst", "Missed lesion", "Lesion overlooked"))
    same = edited(tmp_path / "c", ("requirements_spec/demo.rst", "one mask a frame", "a mask"))
    assert risk_file_digest(other.graph) != digest
    assert risk_file_digest(same.graph) == digest


@pytest.mark.verifies("SRS_TRACE_029", extent="partial", technique="boundary")
def test_judgement_counts_for_its_version_and_from_its_day(tmp_path: Path) -> None:
    """The last record of the version counts; one of another version is none."""
    project = seeded_project(CLEAN, tmp_path)
    (sound,) = project.records.overall
    assert sound.release == VERSION

    def judge(*records: OverallResidualRisk) -> RuleResult:
        changed = project.records.model_copy(update={"overall": records})
        return judged("K10", replace(project, records=changed))

    other = sound.model_copy(update={"release": "0.9.0"})
    wrong = sound.model_copy(update={"fingerprint": "0" * 64})
    early = sound.model_copy(update={"date": project.today.replace(year=2027)})
    assert judge(sound).passed == judge(other, sound).passed == judge(wrong, sound).passed == 1
    assert "judged another risk file" in judge(sound, wrong).failed[0].reason
    assert "in the future" in judge(early).failed[0].reason
    assert risk_file_digest(project.graph) in judge(other).open[0].reason
    assert not judge(other).failed


def test_dismissal_needs_twenty_characters(tmp_path: Path) -> None:
    """Both sides of the limit."""
    old = "The software drives nothing that gives energy to a patient"
    for count, is_red in ((19, True), (20, False)):
        project = edited(tmp_path / str(count), ("risk/demo_use.rst", old, "x" * count))
        assert bool(judged("K11", project).failed) is is_red


# ---------------------------------------------------------------- this repository


def test_baseline_of_this_repository_is_well_formed() -> None:
    """The record that change control rests on can be read."""
    root = next(p for p in Path(__file__).parents if (p / "pyproject.toml").is_file())
    table = tomllib.loads((root / "verification" / "change_control.toml").read_text())
    assert read_records(root).baseline is not None
    assert set(table) == {"baseline"}


def test_unreadable_text_is_a_fault_of_its_file(tmp_path: Path) -> None:
    """Bytes in a text for users are named, and nothing is read from it."""
    (tmp_path / "README.md").write_bytes(b"\xff trocar==9.9.9")
    found = read_project_files(tmp_path)
    assert set(found.faults) == {"README.md"}
    assert not found.mentions
