"""Other programs: by full path, with an environment of our own, and for a bounded time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import INSTALL_OUTPUT_LENGTH_MAX
from trocar.install.programs import Ended, Program, run_program

PYTHON = sys.executable
TIME_MS = 60_000


@pytest.mark.verifies("SRS_INST_005", extent="partial", technique="requirement")
def test_program_gets_only_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable of the caller arrives, but input and the variables that are named do."""
    monkeypatch.setenv("PYTHONPATH", "/evil")
    code = (
        "import os,sys;print(os.getcwd(), os.environ.get('PYTHONPATH'), os.environ['A'], input())"
    )
    words = (PYTHON, "-I", "-c", code)
    ended = run_program(Program(words, tmp_path, TIME_MS, {"A": "b"}, b"in\n"))
    assert (ended.code, ended.out.split()) == (0, [str(tmp_path), "None", "b", "in"])


def test_output_that_is_no_text_is_still_shown(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 become marks instead of an exception."""
    code = "import sys;sys.stderr.buffer.write(b'\\xff\\x1b[2J');sys.exit(3)"
    ended = run_program(Program((PYTHON, "-I", "-c", code), tmp_path, TIME_MS))
    assert (ended.code, ended.complaint) == (3, "\ufffd?[2J")


@pytest.mark.controls("RCM_INST_005")
def test_relative_path_is_refused(tmp_path: Path) -> None:
    """A name alone would be looked up on the path of the caller."""
    with pytest.raises(InstallError, match="full path"):
        run_program(Program(("openssl", "version"), tmp_path, TIME_MS))


def test_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(InstallError, match="cannot start /nowhere"):
        run_program(Program(("/nowhere",), tmp_path, TIME_MS))


def test_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """An installer that waits for ever would leave the device without an answer."""
    words = (PYTHON, "-I", "-c", "import time;time.sleep(60)")
    with pytest.raises(InstallError, match="end within 0 s"):
        run_program(Program(words, tmp_path, 200))


def test_complaint_is_bounded_and_never_empty() -> None:
    """The end of a long output says most; one that says nothing says so."""
    assert Ended(1, "x" * 5000).complaint == "x" * INSTALL_OUTPUT_LENGTH_MAX
    assert Ended(1, "out", "err").complaint == "err"
    assert Ended(1, "").complaint == "it said nothing"
