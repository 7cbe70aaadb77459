"""The command line and the report: one file, no script, exit status as the verdict."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.graph.metamodel_page import PAGE, metamodel_page
from trocar_lab.evidence.report.html_report import html_report, write_report
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import run_rules
from trocar_lab.evidence.selftest.faults import load_faults
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project


class _Reader(HTMLParser):
    """Collects what a report refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.targets: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one tag."""
        self.tags.add(tag)
        values = dict(attrs)
        self.anchors += [str(values["id"])] if "id" in values else []
        self.targets += [str(values["href"])] if "href" in values else []


def _arguments(root: Path) -> list[str]:
    """Return the options that every command takes."""
    return [
        "--needs",
        str(root / "needs.json"),
        "--evidence",
        str(root / "evidence"),
        "--root",
        str(root),
    ]


def test_report_is_one_file_whose_links_resolve(tmp_path: Path) -> None:
    """A deficiency letter can cite an anchor, offline and without script."""
    project = seeded_project(CLEAN, tmp_path)
    outcome = run_rules(RULES, project, release=True)
    text = html_report(project, outcome, selftest="71 faults seeded, 71 caught")
    reader = _Reader(text)
    assert reader.tags.isdisjoint({"script", "link", "img", "iframe"})
    assert len(reader.anchors) == len(set(reader.anchors))
    assert {target.removeprefix("#") for target in reader.targets} <= set(reader.anchors)
    assert set(project.graph.needs) <= set(reader.anchors)
    for words in ("Research use only", "71 faults seeded", "0 of ", "✔ PASS", "@media print"):
        assert words in text


def test_report_shows_what_is_not_proven(tmp_path: Path) -> None:
    """A failed parameter set shows with rule, reason and population; text is escaped."""
    fault = next(f for f in load_faults() if f.name == "one parameter set fails, the next passes")
    project = seeded_project(fault, tmp_path)
    outcome = run_rules(RULES, project)
    path = write_report(tmp_path / "out", project, outcome, selftest="<b>")
    text = path.read_text(encoding="utf-8")
    assert "✘ FAIL" in text
    assert "1 of 2" in text
    assert "&lt;b&gt;" in text
    trace = json.loads((tmp_path / "out" / "trace.json").read_text(encoding="utf-8"))
    assert trace["is_green"] is False
    assert trace["verdict"] == outcome.verdict_line


def test_check_exits_with_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red is 1, input that cannot be judged is 2; the last line is the verdict."""
    fault = next(f for f in load_faults() if f.name == "link to a missing id")
    seeded_project(fault, tmp_path)
    assert main(["check", *_arguments(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("TRACE VERDICT: RED (")
    assert any(line.startswith("RED G2 SRS_DEMO_001") for line in lines)
    assert any(line.startswith("DO G2: ") for line in lines)
    (tmp_path / "needs.json").write_text("{}", encoding="utf-8")
    assert main(["check", *_arguments(tmp_path)]) == 2
    assert "not a needs.json" in capsys.readouterr().err


def test_open_rows_stop_a_release_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Development goes on with open rows, and says how many there are."""
    fault = next(f for f in load_faults() if f.name == "host evidence for an AGX case")
    project = seeded_project(fault, tmp_path)
    outcome = run_rules(RULES, project)
    assert outcome.is_green
    assert "open: see report" in outcome.verdict_line
    assert main(["check", "--release", *_arguments(tmp_path)]) == 1
    assert "HOST ONLY" in capsys.readouterr().out


def test_explain_names_rule_reason_and_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who must act learns which node of which test is to blame."""
    fault = next(f for f in load_faults() if f.name == "one parameter set fails, the next passes")
    seeded_project(fault, tmp_path)
    assert main(["explain", "SRS_DEMO_001", *_arguments(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "RED by C5" in text
    assert "test_mask_has_size_of_frame[1]" in text
    assert main(["explain", "SRS_DEMO_099", *_arguments(tmp_path)]) == 1
    assert "SRS_DEMO_001" in capsys.readouterr().out


def test_reference_page_is_written_and_checked(tmp_path: Path) -> None:
    """A stale page is red."""
    root = ["--root", str(tmp_path)]
    assert main(["metamodel", "--check", *root]) == 1
    assert main(["metamodel", *root]) == 0
    assert main(["metamodel", "--check", *root]) == 0
    (tmp_path / PAGE).write_text("stale", encoding="utf-8")
    assert main(["metamodel", "--check", *root]) == 1


def test_reference_page_of_the_repository_is_present() -> None:
    """The page that ships is the one that the table gives."""
    root = Path(__file__).resolve().parents[4]
    assert (root / PAGE).read_text(encoding="utf-8") == metamodel_page(load_metamodel())
