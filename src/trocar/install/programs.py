"""Other programs, started so that nothing of the caller's surroundings decides what they do."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import (
    INSTALL_OUTPUT_LENGTH_MAX,
    INSTALL_RECORD_BYTES_MAX,
    NS_PER_MS,
    NS_PER_S,
)

__all__ = ["Ended", "Program", "Run", "run_program"]

_MS_PER_S: Final = NS_PER_S // NS_PER_MS
_CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Program:
    """One call of another program.

    Attributes:
        words: Its path, which is absolute, and its arguments.
        folder: Where it runs.
        time_ms: Time after which it is ended [ms].
        environment: All of its environment variables; nothing is inherited.
        input: What it reads from its standard input.
    """

    words: tuple[str, ...]
    folder: Path
    time_ms: int
    environment: Mapping[str, str] = field(default_factory=dict)
    input: bytes = b""


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str = ""

    @property
    def complaint(self) -> str:
        """The end of what it said, for an error; printable characters only."""
        said = " ".join((self.err or self.out).split())
        shown = "".join(one if one.isprintable() else "?" for one in said)
        return shown[-INSTALL_OUTPUT_LENGTH_MAX:] or "it said nothing"


class Run(Protocol):
    """Starts a program and waits for it."""

    def __call__(self, program: Program, /) -> Ended:
        """Start it; raise ``InstallError`` where it cannot be started or runs out of time."""
        ...


# @need-ids: SRS_INST_005
def run_program(program: Program) -> Ended:
    """Start a program by its full path, with only the environment that it is given.

    Args:
        program: What to start.

    Raises:
        InstallError: The path is relative, the program cannot be started, ran out of time or said
            too much; what it had started by then is ended with it.
    """
    path = program.words[0]
    if not Path(path).is_absolute():
        raise InstallError(
            f"expected the full path of a program, got {path}",
            advice="name it from the root of the file system on",
        )
    # @need-ids: RCM_INST_005
    try:
        process = subprocess.Popen(  # noqa: S603 - a full path, no shell, an environment of our own
            program.words,
            cwd=program.folder,
            env=dict(program.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # A group of its own, so that what it starts can be ended with it.
            start_new_session=True,
        )
    except OSError as exc:
        raise InstallError(
            f"cannot start {path}: {exc.strerror}", advice="install it, or name another one"
        ) from exc
    with process:
        try:
            out, err = _Talk(process, program).said()
        except BaseException:
            # Not waited for yet, so that the number of the group is still that of this program.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Ended(process.returncode, _text(out), _text(err))


class _Talk:
    """What is said to a program and by it, until it ends or runs out of time."""

    def __init__(self, process: subprocess.Popen[bytes], program: Program) -> None:
        self._process, self._program = process, program
        ports = [one for one in (process.stdin, process.stdout, process.stderr) if one is not None]
        self._inward, *outward = ports
        self._said = {one.fileno(): bytearray() for one in outward}
        self._end_s = time.monotonic() + program.time_ms / _MS_PER_S
        self._rest = program.input

    def said(self) -> tuple[bytes, bytes]:
        """Return its output and its errors, when it has ended."""
        inward = self._inward.fileno()
        with selectors.DefaultSelector() as ports:
            ports.register(inward, selectors.EVENT_WRITE)
            for one in self._said:
                ports.register(one, selectors.EVENT_READ)
            while ports.get_map():
                for key, _ in ports.select(self._left_s()):
                    is_open = self._feed(key.fd) if key.fd == inward else self._hear(key.fd)
                    if not is_open:
                        ports.unregister(key.fd)
        try:
            self._process.wait(self._left_s())
        except subprocess.TimeoutExpired as exc:
            raise self._late() from exc
        out, err = self._said.values()
        return bytes(out), bytes(err)

    def _feed(self, port: int) -> bool:
        """Write as much as never waits; return whether there is more, else close."""
        with contextlib.suppress(BrokenPipeError):
            self._rest = self._rest[os.write(port, self._rest[: select.PIPE_BUF]) :]
            if self._rest:
                return True
        self._inward.close()
        return False

    def _hear(self, port: int) -> bool:
        """Read what is there; return whether more can come."""
        chunk = os.read(port, _CHUNK_BYTES)
        self._said[port] += chunk
        if len(self._said[port]) > INSTALL_RECORD_BYTES_MAX:
            raise InstallError(
                f"expected at most {INSTALL_RECORD_BYTES_MAX} bytes of output from "
                f"{self._program.words[0]}, got more",
                advice="look at what this program is on this machine",
            )
        return bool(chunk)

    def _left_s(self) -> float:
        """Return how much time is left [s]."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise self._late()
        return left_s

    def _late(self) -> InstallError:
        """Return the error about a program that did not end."""
        return InstallError(
            f"expected {self._program.words[0]} to end within "
            f"{self._program.time_ms // _MS_PER_S} s, it did not",
            advice="look at the load of the machine and try again",
        )


def _text(raw: bytes) -> str:
    """Return output as text, whatever its bytes are."""
    return raw.decode("utf-8", errors="replace")
