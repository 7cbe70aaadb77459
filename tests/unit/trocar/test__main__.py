"""``python -m trocar`` is the same as ``trocar``."""

from __future__ import annotations

import runpy
import sys

import pytest

from trocar import RESEARCH_NOTICE, __version__


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="requirement")
def test_module_runs_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine whose PATH lacks the console script still has the command."""
    monkeypatch.setattr(sys, "argv", ["trocar", "units", "--json"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("trocar", run_name="__main__")
    captured = capsys.readouterr()
    assert ended.value.code == 0
    assert '"polyp_segmentation"' in captured.out
    assert captured.err.startswith(f"trocar {__version__} - {RESEARCH_NOTICE}")
