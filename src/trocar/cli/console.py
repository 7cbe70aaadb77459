"""What the command line shows: text for people, one JSON object for machines, and a log."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

from trocar import RESEARCH_NOTICE, __version__
from trocar.contracts.errors import SinkError, TrocarError

if TYPE_CHECKING:
    import structlog

__all__ = ["Console", "Progress", "configure_log", "printable"]

Progress = Callable[[int], None]
"""Called with the number of frames done so far."""

_BAR_FORMAT: Final = "{desc} {n_fmt}/{total_fmt} frames |{bar}| {elapsed} {rate_fmt}"


class Console:
    """Output of one command.

    Results go to standard output, everything else to standard error, so that ``--json`` can be
    piped. Text may hold names of files, which may hold anything: it goes through ``printable``.

    Args:
        as_json: Print results as one JSON object.
        out: Where results go.
        err: Where notice, progress and errors go.
    """

    def __init__(
        self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self._as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    # @need-ids: SRS_NOTICE_001, RCM_NOTICE_001
    def notice(self) -> None:
        """Say that this is research software, before anything else."""
        self._err.write(f"trocar {__version__} - {RESEARCH_NOTICE}\n")

    # @need-ids: SRS_CLI_004
    def result(self, fields: dict[str, Any], lines: list[str]) -> None:
        """Print a result: ``fields`` for machines, ``lines`` for people.

        Raises:
            SinkError: Standard output cannot be written, such as a pipe that nobody reads.
        """
        if self._as_json:
            stamped = {"trocar": __version__, "notice": RESEARCH_NOTICE, **fields}
            text = _as_json(stamped, indent=2)
        else:
            text = "\n".join(map(printable, lines))
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except OSError as exc:
            _abandon(self._out)
            raise SinkError(
                f"cannot write to standard output: {exc.strerror}",
                advice="write it to a file on a disk with space, or read it to its end",
            ) from exc

    def message(self, text: str) -> None:
        """Print one line for people, next to the results."""
        self._err.write(printable(text) + "\n")

    def failure(self, error: TrocarError) -> None:
        """Print an error for people, in its two lines."""
        for line in error.diagnostic_lines():
            self.message(line)

    def progress(self, title: str, total: int | None) -> tuple[Progress, Callable[[], None]]:
        """Return a progress function and the function that ends it."""
        if not self._err.isatty():
            return _no_progress, lambda: None
        from tqdm import tqdm  # noqa: PLC0415 - only a terminal shows a bar

        bar = tqdm(
            total=total,
            desc=printable(title),
            file=self._err,
            bar_format=_BAR_FORMAT if total else None,
            unit=" frames",
            leave=False,
        )

        def update(done_count: int) -> None:
            bar.update(done_count - bar.n)

        return update, bar.close


def _no_progress(done_count: int) -> None:
    """Show nothing."""
    del done_count


# @need-ids: SRS_CLI_006
def printable(text: str) -> str:
    r"""Return one line of text in which nothing steers a terminal.

    What ``str.isprintable`` refuses is written as its escape sequence, ``\x1b`` for ESC: control
    characters, ends of lines, marks that turn the direction of writing, bytes that are no text.

    Args:
        text: Text that may hold names that others gave.
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def _as_json(
    fields: object,
    *,
    indent: int | None = None,
    default: Callable[[Any], object] | None = None,
) -> str:
    """Return fields as JSON in which DEL is escaped too: the one that ``json`` leaves as it is."""
    return json.dumps(fields, indent=indent, default=default).replace("\x7f", "\\u007f")


def _abandon(stream: TextIO) -> None:
    """Point a broken stream at nothing: else the interpreter's own flush changes the exit code."""
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


# @need-ids: SRS_LOG_001
def configure_log(*, is_verbose: bool) -> None:
    """Send the structured log to standard error as JSON lines; warnings only, unless verbose.

    The log carries names, counts and times. It never carries pixels, and no header of a file.
    """
    import structlog  # noqa: PLC0415 - brings asyncio, which help and version do not need

    level = logging.INFO if is_verbose else logging.WARNING
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(_as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_stderr_logger,
        cache_logger_on_first_use=False,
    )


def _stderr_logger(*_: object) -> structlog.PrintLogger:
    """Return a logger on the standard error of this moment, which a caller may have replaced."""
    import structlog  # noqa: PLC0415 - see configure_log

    return structlog.PrintLogger(file=sys.stderr)
