"""The command line of releases: exit codes, and what is printed where."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from simulators.release_source import VERSION, package_wheel, small_repository, write_files
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.release.__main__ import main
from trocar_lab.release.checklist import PAGE

ANOMALY = """\
Known anomalies
===============

.. anomaly:: About it
   :id: ANO_IT
   :anomaly_state: open
   :criticality: minor
   :impact: it does it
   :risk_evaluation: None is worse by it
   :rationale: It may stay
   :owner: Somebody
   :problem_type: corrective
   :affected_versions: 0.1.0
   :reported: 2026-11-01

   More words.
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with one commit; no key lies ready."""
    monkeypatch.delenv("TROCAR_SIGNING_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return small_repository(tmp_path / "repository")


@pytest.mark.verifies("SRS_REL_007", "SRS_REL_008", extent="partial", technique="equivalence")
def test_release_is_built_and_verified(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 and one line; after a change exit code 1 and the file by its name."""
    out = tmp_path / "release"
    assert main(["--root", str(root), "build", "--output", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"sound, version {VERSION}, sequence 7, development" in said
    assert "thrown away" in said
    assert "missing: evidence/" in said
    words = ["verify", str(out), "--trust", str(tmp_path / "release.trust")]
    assert main(words) == 0
    (out / "LICENSE").write_text("other")
    assert main(words) == 1
    captured = capsys.readouterr()
    assert "fault: LICENSE is not the file that was signed" in captured.err
    assert captured.out.endswith("NOT SOUND\n")


def test_folders_may_be_named_from_where_one_stands(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend runs elsewhere: a relative name means the same there as here."""
    package_wheel(tmp_path / "house", "tqdm-4.70.1-py3-none-any.whl")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "run.jsonl").write_text("{}")
    monkeypatch.chdir(tmp_path)
    words = ["--root", root.name, "build", "--wheelhouse", "house", "--evidence", "evidence"]
    assert main([*words, "--output", "out/release"]) == 0
    assert main(["verify", "out/release", "--trust", "out/release.trust"]) == 0
    assert (tmp_path / "out/release/evidence/run.jsonl").is_file()
    assert (tmp_path / "out/release/device.lock").is_file()


def test_refusal_names_each_reason(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, one line a reason, nothing is made."""
    out = tmp_path / "release"
    words = ["--root", str(root), "build", "--grade", "production", "--output", str(out)]
    assert main(words) == 1
    assert capsys.readouterr().err.count("refused: ") == 2
    assert not out.exists()


def test_change_log_is_checked_and_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checking writes nothing; without version and day nothing is moved."""
    fragment = root / "changelog.d" / "a.added.md"
    write_files(root, {"changelog.d/a.added.md": "It flies.", "risk/anomalies.rst": ANOMALY})
    base = ["--root", str(root), "changelog"]
    assert main([*base, "--check"]) == 0
    assert capsys.readouterr().out == "1 fragments in order, 1 anomalies known\n"
    assert main(base) == 1
    assert main([*base, "--version", VERSION]) == 1
    assert fragment.is_file()
    assert main([*base, "--version", VERSION, "--date", "2026-12-31"]) == 0
    assert f"## [{VERSION}] - {dt.date(2026, 12, 31)}" in (root / "CHANGELOG.md").read_text()
    assert not fragment.exists()
    fragment.write_text("no sentence")
    assert main([*base, "--check"]) == 1
    assert "a.added.md" in capsys.readouterr().err


def test_checklist_page_is_written_and_found_stale(tmp_path: Path) -> None:
    """Stale is exit code 1, current 0."""
    base = ["--root", str(tmp_path), "checklist"]
    assert main([*base, "--check"]) == 1
    assert main([*base, "--write"]) == 0
    assert main([*base, "--check"]) == 0
    (tmp_path / PAGE).write_text("old")
    assert main([*base, "--check"]) == 1


def test_checklist_is_printed_from_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line a clause; with needs that cannot be read exit code 2."""
    project = seeded_project(CLEAN, tmp_path)
    words = ["--root", str(tmp_path), "checklist", "--evidence", str(tmp_path / "evidence")]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("5.8.1 ")
    assert main([*words, "--needs", str(project.root / "pyproject.toml")]) == 2
    assert "error: " in capsys.readouterr().err
