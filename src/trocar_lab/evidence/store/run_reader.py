"""Read one evidence file: bounded, to the last whole line, each fault named with its line."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_record import (
    FIRST_LINK,
    LINK_PREFIX,
    CollectedLine,
    EndLine,
    EvidenceRun,
    Line,
    OutcomeLine,
    RunLine,
    UncollectedLine,
)
from trocar_lab.evidence.store.line_decoder import LineDecoder, parse_row
from trocar_lab.evidence.store.run_clocks import course_of

FILE_BYTES_MAX: Final = 512 * 1024 * 1024
LINE_BYTES_MAX: Final = 1024 * 1024
FAULTS_SHOWN: Final = 20
_PREFIX: Final = LINK_PREFIX.encode()
_LINE_END: Final = ord("\n")
_LINK: Final = re.compile(rb"[0-9a-f]{64}")
_LINK_BEGIN: Final = len(_PREFIX)
_LINK_END: Final = len(_PREFIX) + len(FIRST_LINK)
_BODY_BEGIN: Final = _LINK_END + 2


def open_regular(path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> BinaryIO:
    """Open a regular file for reading; never wait for a pipe and never follow a link.

    Args:
        path: The file.
        bytes_max: Largest size [bytes].

    Raises:
        EvidenceError: It is something else, cannot be opened or is larger.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        why = "is a link" if path.is_symlink() else f"cannot be opened: {exc.strerror}"
        raise EvidenceError(f"{path.name}: {why}") from exc
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode) or found.st_size > bytes_max:
        os.close(number)
        is_file = stat.S_ISREG(found.st_mode)
        why = f"is larger than {bytes_max} bytes" if is_file else "is not a regular file"
        raise EvidenceError(f"{path.name}: {why}")
    return os.fdopen(number, "rb")


def read_run(path: Path, *, name: str = "") -> EvidenceRun:
    """Return one evidence file; faults of its lines are values, because rule V7 shows them.

    Args:
        path: The file.
        name: What the run is called; the name of the file when left out.

    Raises:
        EvidenceError: The file cannot be read or does not begin with a run line.
    """
    reading = _Reading(name or path.name)
    with _without_collector():
        with open_regular(path) as stream:
            try:
                reading.read(stream)
            except OSError as exc:
                raise EvidenceError(f"{reading.place}: cannot be read: {exc.strerror}") from exc
        return reading.result()


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Hold back the search for cycles: a run has none, and a tenth of the time goes into it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Reading:
    """What was read of one file so far."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._line_count = 0
        self._cut_bytes = 0
        self._decoder = LineDecoder()
        self._link = FIRST_LINK.encode()
        self._faults: list[str] = []
        self._fault_count = 0
        self._run: RunLine | None = None
        self._collected: dict[str, CollectedLine] = {}
        self._outcomes: dict[str, OutcomeLine] = {}
        self._uncollected: list[UncollectedLine] = []
        self._end: EndLine | None = None

    def read(self, stream: BinaryIO) -> None:
        """Read every whole line.

        Raises:
            EvidenceError: The first line is not that of a run.
            OSError: The file cannot be read.
        """
        while raw := stream.readline(LINE_BYTES_MAX + 1):
            self._line_count += 1
            if raw[-1] != _LINE_END:
                if len(raw) > LINE_BYTES_MAX:
                    self._fault(f"longer than {LINE_BYTES_MAX} bytes; nothing more was read")
                self._line_count -= 1
                self._cut_bytes = len(raw)
                return
            try:
                self._add(self._decode(raw))
            except EvidenceError as exc:
                if self._run is None:
                    raise EvidenceError(f"{self.place}: line 1: {exc}") from exc
                self._fault(str(exc))

    def _fault(self, reason: str) -> None:
        """Note what is wrong with the present line; of very many only the first are kept."""
        self._fault_count += 1
        if self._fault_count <= FAULTS_SHOWN:
            self._faults.append(f"line {self._line_count}: {reason}")

    def _decode(self, raw: bytes) -> Line:
        """Return one line of the file, its link checked.

        Raises:
            EvidenceError: It is not an evidence line.
        """
        if raw.startswith(_PREFIX) and raw[_LINK_END:_BODY_BEGIN] == b'",':
            body, link = raw[_BODY_BEGIN:-1], raw[_LINK_BEGIN:_LINK_END]
            follows = sha256(self._link + body).hexdigest().encode() == link
            if follows or _LINK.fullmatch(link):  # so that one change is one fault
                self._link = link
            row = parse_row(b"{" + body)
        else:
            row = parse_row(raw[:-1])
            follows = row.pop("prev_sha256", None) == self._link.decode()
            self._link = sha256(raw[:-1]).hexdigest().encode()
            if self._decoder.version > 1:
                raise EvidenceError("has no link")
        if not follows:
            self._fault("was changed or does not follow the line before it")
        return self._decoder.decode(row)

    def _add(self, line: Line) -> None:
        """Sort one line in.

        Raises:
            EvidenceError: The first line is not that of a run, or a later one is.
        """
        if (self._run is None) != isinstance(line, RunLine):
            raise EvidenceError("a second run line" if self._run else "not the first line of a run")
        if self._end is not None:
            self._fault("stands after the end line")
        if type(line) is OutcomeLine:
            node = line.node
            if node in self._outcomes or node not in self._collected:
                self._fault(f"{node} has an outcome twice or was not collected")
            else:
                self._outcomes[node] = line
        elif type(line) is CollectedLine:
            if line.node in self._collected:
                self._fault(f"{line.node} is collected twice")
            self._collected[line.node] = line
        else:
            self._add_rare(line)

    def _add_rare(self, line: Line) -> None:
        """Sort in a line of a kind of which a run has few."""
        match line:
            case RunLine():
                self._run = line
            case UncollectedLine():
                self._uncollected.append(line)
            case EndLine():
                self._end = line
            case _:
                pass  # a need, which the decoder keeps

    def result(self) -> EvidenceRun:
        """Return the run.

        Raises:
            EvidenceError: There is not one whole line.
        """
        if self._run is None:
            raise EvidenceError(f"{self.place}: holds no whole line")
        if self._fault_count > FAULTS_SHOWN:
            self._faults.append(f"{self._fault_count - FAULTS_SHOWN} more faults")
        faults, doubts = course_of(self._run, self._outcomes.values(), self._end)
        return EvidenceRun(
            path=self.place,
            run=self._run,
            needs=self._decoder.needs,
            collected=self._collected,
            outcomes=self._outcomes,
            uncollected=tuple(self._uncollected),
            end=self._end,
            line_count=self._line_count,
            cut_bytes=self._cut_bytes,
            head_sha256=self._link.decode(),
            faults=(*self._faults, *self._contradictions(self._run), *faults),
            doubts=tuple(doubts),
        )

    def _contradictions(self, run: RunLine) -> list[str]:
        """Return where the lines of the run contradict each other."""
        contradiction = run.identity.platform.contradiction
        found = [] if contradiction is None else [contradiction]
        if self._end is None:
            return found
        if self._end.node_count != len(self._outcomes):
            here = len(self._outcomes)
            found.append(f"the end line counts {self._end.node_count} outcomes, {here} are here")
        bad = {"failed", "error"} & {line.outcome for line in self._outcomes.values()}
        if bad and self._end.exit_status == 0:
            found.append(f"exit status 0, although a node {'/'.join(sorted(bad))}")
        return found
