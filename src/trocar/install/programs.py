"""Other programs, started so that nothing of the caller's surroundings decides what they do."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import INSTALL_OUTPUT_LENGTH_MAX, NS_PER_MS, NS_PER_S

__all__ = ["Ended", "Program", "Run", "run_program"]

_MS_PER_S: Final = NS_PER_S // NS_PER_MS


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
        InstallError: The path is relative, the program cannot be started or ran out of time.
    """
    path = program.words[0]
    if not Path(path).is_absolute():
        raise InstallError(
            f"expected the full path of a program, got {path}",
            advice="name it from the root of the file system on",
        )
    # @need-ids: RCM_INST_005
    try:
        done = subprocess.run(  # noqa: S603 - a full path, no shell, and an environment of our own
            program.words,
            cwd=program.folder,
            env=dict(program.environment),
            input=program.input,
            capture_output=True,
            timeout=program.time_ms / _MS_PER_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise InstallError(
            f"expected {path} to end within {program.time_ms // _MS_PER_S} s, it did not",
            advice="look at the load of the machine and try again",
        ) from exc
    except OSError as exc:
        raise InstallError(
            f"cannot start {path}: {exc.strerror}", advice="install it, or name another one"
        ) from exc
    return Ended(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(raw: bytes) -> str:
    """Return output as text, whatever its bytes are."""
    return raw.decode("utf-8", errors="replace")
