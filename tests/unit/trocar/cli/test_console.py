"""Results go to standard output, everything else to standard error."""

from __future__ import annotations

import io
import json

import pytest
import structlog

from trocar import RESEARCH_NOTICE, __version__
from trocar.cli.console import Console, configure_log
from trocar.contracts.errors import SinkError


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
