"""A file of the repository that cannot be read is named; no command ends in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("verification/waivers.toml", b"\xff\xfe"),
        ("verification/waivers.toml", b"[[waiver]\n"),
        ("verification/reviewers.toml", b"\x00\xff"),
        ("verification/reviewers.toml", b"= 3"),
        ("requirements_spec/demo.rst", b"Needs\n=====\n\n\xe9\n"),
        ("tests/unit/test_demo.py", b"# \xe9\n"),
        ("src/trocar/demo.py", b"# \xe9\n"),
        ("pyproject.toml", b"[project\n"),
        ("pyproject.toml", b"\xff"),
    ],
)
@pytest.mark.parametrize("command", [["check"], ["explain", "SRS_DEMO_001"]])
def test_file_that_cannot_be_read_is_named(
    command: list[str],
    name: str,
    content: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 2, and one line with the file and what was expected of it."""
    seeded_project(CLEAN, tmp_path)
    (tmp_path / name).write_bytes(content)
    places = ["--root", str(tmp_path), "--evidence", str(tmp_path / "evidence")]
    assert main([command[0], *places, *command[1:]]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert "not UTF-8" in said or "TOML" in said
