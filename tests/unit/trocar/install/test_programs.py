"""Other programs: by full path, with an environment of our own, and for a bounded time."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import INSTALL_OUTPUT_LENGTH_MAX
from trocar.install import programs
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


@pytest.mark.verifies("SRS_INST_005", extent="partial", technique="fault_injection")
def test_what_a_program_has_started_ends_with_it(tmp_path: Path) -> None:
    """A child that lives on could still write into the slot; it holds a pipe that would close."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    words = ("/bin/sh", "-c", f"sleep 60 > {pipe} & echo x > {pipe}; wait")
    with pytest.raises(InstallError, match="end within 3 s"):
        run_program(Program(words, tmp_path, 3000))
    assert os.read(reader, 10) == b"x\n"
    hung_up = select.poll()
    hung_up.register(reader, 0)
    assert hung_up.poll(TIME_MS // 2) == [(reader, select.POLLHUP)]
    os.close(reader)


@pytest.mark.parametrize("code", ["exec >&- 2>&- <&-; sleep 60", "sleep 60"])
def test_program_that_closes_its_output_is_ended_too(tmp_path: Path, code: str) -> None:
    """It says nothing any more, and still does not end."""
    with pytest.raises(InstallError, match="end within 0 s"):
        run_program(Program(("/bin/sh", "-c", code), tmp_path, 300))


def test_output_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without an end to its words would fill the memory of the device."""
    monkeypatch.setattr(programs, "INSTALL_RECORD_BYTES_MAX", 100_000)
    with pytest.raises(InstallError, match="at most 100000 bytes of output"):
        run_program(Program(("/bin/sh", "-c", "yes"), tmp_path, TIME_MS, {"PATH": "/usr/bin:/bin"}))


def test_long_input_arrives_whole_or_not_at_all(tmp_path: Path) -> None:
    """More than a pipe holds, to one that reads it and to one that does not."""
    content = b"x" * 300_000
    code = "import sys;print(len(sys.stdin.buffer.read()))"
    words = (PYTHON, "-I", "-c", code)
    assert run_program(Program(words, tmp_path, TIME_MS, input=content)).out == "300000\n"
    assert run_program(Program(("/bin/true",), tmp_path, TIME_MS, input=content)).code == 0


def test_complaint_is_bounded_and_never_empty() -> None:
    """The end of a long output says most; one that says nothing says so."""
    assert Ended(1, "x" * 5000).complaint == "x" * INSTALL_OUTPUT_LENGTH_MAX
    assert Ended(1, "out", "err").complaint == "err"
    assert Ended(1, "").complaint == "it said nothing"
