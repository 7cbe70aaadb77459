"""The command line: exit status as the verdict, files of the report, explanation of a need."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.commands import writing
from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.graph.metamodel_page import PAGE, metamodel_page
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import run_rules
from trocar_lab.evidence.selftest.demo_process import RELEASE
from trocar_lab.evidence.selftest.faults import load_faults
from trocar_lab.evidence.selftest.gate import CLEAN, Caught, seeded_project


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


def test_report_command_writes_three_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit status is that of the check; a self-test that is not sound turns it red."""
    seeded_project(CLEAN, tmp_path)
    output = tmp_path / "written"
    words = ["report", *_arguments(tmp_path), "-o", str(output)]
    words += ["--release-folder", str(tmp_path / RELEASE)]
    caught = [Caught(CLEAN, is_caught=True, detail="")]
    monkeypatch.setattr(writing, "run_selftest", lambda: (True, caught))
    status = main(words)
    line = capsys.readouterr().out.splitlines()[-1]
    assert (status == 0) == line.startswith("TRACE VERDICT: GREEN")
    assert {path.name for path in output.iterdir()} == {"trace.html", "trace.json", "needs.json"}
    assert (output / "needs.json").read_bytes() == (tmp_path / "needs.json").read_bytes()
    monkeypatch.setattr(writing, "run_selftest", lambda: (False, caught))
    assert main(words) == 1
    trace = json.loads((output / "trace.json").read_text(encoding="utf-8"))
    assert trace["selftest"]["is_sound"] is False
    assert "not sound" in (output / "trace.html").read_text(encoding="utf-8")


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
def test_pdf_without_a_browser_is_red_and_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked for a PDF and got none must not read a success; the page is there all the same."""
    seeded_project(CLEAN, tmp_path)
    monkeypatch.setattr(
        writing, "run_selftest", lambda: (True, [Caught(CLEAN, is_caught=True, detail="")])
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["report", *_arguments(tmp_path), "-o", str(tmp_path / "written"), "--pdf"]
    assert main(words) == 1
    assert "install Chromium" in capsys.readouterr().err
    assert (tmp_path / "written" / "trace.html").is_file()
    assert not (tmp_path / "written" / "trace.pdf").exists()


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
