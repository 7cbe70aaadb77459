"""Results go to standard output, everything else to standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Final

import pytest
import structlog

from trocar import RESEARCH_NOTICE, __version__
from trocar.cli.console import Console, configure_log, printable
from trocar.contracts.errors import ContractError, SinkError

STEERING: Final = {
    "\x1b[2K": r"\x1b[2K",
    "a\rb": r"a\rb",
    "a\nb": r"a\nb",
    "\x00\x07\x08": r"\x00\x07\x08",
    "\x7f": r"\x7f",
    "\x9b2J": r"\x9b2J",
    "\u2028\u2029": r"\u2028\u2029",
    "a\u202egpj.exe": r"a\u202egpj.exe",
    "\udcff": r"\udcff",
}
"""What a terminal or a reader would obey -> what is printed instead."""


class _Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class _FullDisk(io.StringIO):
    """A stream that cannot be flushed."""

    def flush(self) -> None:
        """Fail as a full disk does."""
        raise OSError(28, "No space left on device")


def _console(*, as_json: bool) -> tuple[Console, io.StringIO, io.StringIO]:
    """Return a console with its two streams."""
    out, err = io.StringIO(), io.StringIO()
    return Console(as_json=as_json, out=out, err=err), out, err


@pytest.mark.verifies("SRS_NOTICE_001", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_NOTICE_001")
def test_notice_names_version_and_status_on_standard_error() -> None:
    """It must be seen also where the results are piped away."""
    console, out, err = _console(as_json=True)
    console.notice()
    assert err.getvalue() == f"trocar {__version__} - {RESEARCH_NOTICE}\n"
    assert out.getvalue() == ""
    assert RESEARCH_NOTICE == "RESEARCH USE ONLY - NOT A MEDICAL DEVICE"


@pytest.mark.verifies("SRS_CLI_004", "UNIT_CLI_CONSOLE", extent="partial", technique="requirement")
def test_json_is_one_object_with_version_and_notice() -> None:
    """A program reads it in one go; the notice travels with the numbers."""
    console, out, err = _console(as_json=True)
    console.result({"a": 1}, ["for people"])
    assert json.loads(out.getvalue()) == {
        "trocar": __version__,
        "notice": RESEARCH_NOTICE,
        "a": 1,
    }
    assert err.getvalue() == ""


@pytest.mark.verifies("SRS_CLI_004", extent="partial", technique="equivalence")
def test_text_is_for_people() -> None:
    """Without --json there is no JSON to be mistaken for an interface."""
    console, out, _ = _console(as_json=False)
    console.result({"a": 1}, ["one", "two"])
    assert out.getvalue() == "one\ntwo\n"


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("as_json", [False, True])
def test_result_that_cannot_be_written_is_an_error(*, as_json: bool) -> None:
    """A script must not take an empty file for a result: ``trocar show > FULL_DISK`` fails."""
    console = Console(as_json=as_json, out=_FullDisk(), err=io.StringIO())
    with pytest.raises(SinkError, match="No space left"):
        console.result({}, ["line"])


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_pipe_that_nobody_reads_is_pointed_at_nothing() -> None:
    """What the stream still holds must not fail once more when the process ends."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as out:
        with pytest.raises(SinkError, match="Broken pipe"):
            Console(as_json=False, out=out, err=io.StringIO()).result({}, ["line"])
        assert os.fstat(writing).st_rdev == Path(os.devnull).stat().st_rdev


@pytest.mark.verifies("SRS_CLI_004", extent="partial", technique="example")
def test_progress_is_shown_on_terminals_only() -> None:
    """A log file full of progress bars hides the one line that counts."""
    quiet, shown = io.StringIO(), _Terminal()
    for err in (quiet, shown):
        update, end = Console(as_json=False, out=io.StringIO(), err=err).progress("clip", 4)
        for done_count in range(1, 5):
            update(done_count)
        end()
    assert quiet.getvalue() == ""
    assert "clip" in shown.getvalue()


@pytest.mark.verifies("SRS_LOG_001", extent="partial", technique="requirement")
@pytest.mark.parametrize("is_verbose", [False, True])
def test_log_is_json_lines_on_standard_error(
    capsys: pytest.CaptureFixture[str], *, is_verbose: bool
) -> None:
    """Warnings always, steps on request, each with level and time with zone."""
    configure_log(is_verbose=is_verbose)
    structlog.get_logger().info("step", count=1)
    structlog.get_logger().warning("odd", count=2)
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.err.splitlines()]
    assert [line["event"] for line in lines] == (["step", "odd"] if is_verbose else ["odd"])
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in lines)
    assert captured.out == ""


@pytest.mark.verifies("SRS_LOG_001", extent="partial", technique="fault_injection")
def test_log_of_a_fault_holds_where_it_happened(capsys: pytest.CaptureFixture[str]) -> None:
    """The user is asked to report the log: without the place it would be of no use."""
    configure_log(is_verbose=False)
    try:
        int("no number")
    except ValueError:
        structlog.get_logger().exception("unexpected")
    (line,) = capsys.readouterr().err.splitlines()
    assert "test_console.py" in json.loads(line)["exception"]


@pytest.mark.verifies("SRS_CLI_006", extent="partial", technique="equivalence")
@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_what_steers_a_terminal_is_written_out(text: str) -> None:
    """One of each kind, beginning with the one that was seen: ESC and erase the line."""
    assert printable(text) == STEERING[text]
    assert printable(printable(text)) == printable(text)


@pytest.mark.verifies("SRS_CLI_006", extent="partial", technique="equivalence")
def test_readable_names_stay_as_they_are() -> None:
    """Most names are harmless, in any script; they must be found again in the folder."""
    for name in ("clip 01 (left).mp4", "Größe 12.png", "内視鏡.png", r"C:\x1b.png", ""):
        assert printable(name) == name


@pytest.mark.verifies("SRS_CLI_006", extent="full", technique="property")
def test_nothing_that_unicode_holds_gets_through() -> None:
    """Each of its 1,114,112 code points: printed as it is, or as plain letters."""
    shown = printable("".join(map(chr, range(sys.maxunicode + 1))))
    assert shown.isprintable()
    assert len(shown) > sys.maxunicode


@pytest.mark.verifies("SRS_CLI_006", "UNIT_CLI_CONSOLE", extent="full", technique="fault_injection")
@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_every_way_to_the_screen_is_closed(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines, messages, errors, progress, JSON and log: what they print steers nothing."""
    shown = _Terminal()
    for as_json in (False, True):
        console = Console(as_json=as_json, out=shown, err=shown)
        console.notice()
        console.result({text: text}, [text])
        console.message(text)
        console.failure(ContractError(text, advice=text))
        _, end = console.progress(text, 4)
        end()
    configure_log(is_verbose=False)
    structlog.get_logger().warning(text, name=text)
    logged = capsys.readouterr().err
    assert json.loads(logged)["name"] == text
    # Ends of lines are the console's own, and carriage returns the progress bar's.
    printed = (shown.getvalue() + logged).replace("\n", "").replace("\r", "")
    assert STEERING[text] in printed
    assert printed.isprintable()


@pytest.mark.verifies("SRS_CLI_006", extent="partial", technique="fault_injection")
def test_name_cannot_add_a_line_and_json_gives_it_whole() -> None:
    """A name that holds an end of line must not read as a result of its own."""
    name = "a\n  masks    all\x7f sound"
    text, out, err = _console(as_json=False)
    text.result({}, [name, "second"])
    text.failure(ContractError(name, advice=name))
    assert len(out.getvalue().splitlines()) == 2
    assert len(err.getvalue().splitlines()) == 2
    machine, out, _ = _console(as_json=True)
    machine.result({"name": name}, [])
    assert json.loads(out.getvalue())["name"] == name
