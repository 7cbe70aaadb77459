"""What a command writes to the audit log: taken from checked values, never from what was typed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trocar import __version__
from trocar.cli.exit_codes import INTERRUPTED, OK, PARTIAL
from trocar.contracts.errors import AuditError, InvariantError, SinkError, TrocarError
from trocar.contracts.limits import HEALTH_CHANGE_COUNT_MAX

if TYPE_CHECKING:
    from trocar.apps.opening import OpenedUnit
    from trocar.audit.log import AuditLog
    from trocar.audit.writer import AuditWriter
    from trocar.cli.console import Console
    from trocar.packs.verify import VerifiedPack
    from trocar.streaming.health_state import HealthChange
    from trocar.streaming.monitor import MonitorConfig
    from trocar.streaming.summary import StreamSummary

__all__ = ["RunAudit", "audited"]

_NUMBER_COUNT: Final = 3
_STOPPED: Final = "stopped"


class RunAudit:
    """The audit log of one command; without a log, nothing of it does anything.

    The begin is written at once, before the first frame; what comes then goes through the thread
    of ``AuditWriter``, so that no frame waits for the disk.

    Args:
        log: The log, or None where none was asked for.
        writer: The thread that writes to it.
    """

    def __init__(self, log: AuditLog | None = None, writer: AuditWriter | None = None) -> None:
        self._log = log
        self._writer = writer
        self._run_id = ""

    @property
    def is_asked_for(self) -> bool:
        """Whether there is a log."""
        return self._log is not None

    # @need-ids: SRS_AUDIT_004
    def pack_verified(self, pack: VerifiedPack) -> None:
        """Write that a pack was found sound, signed and approved.

        Raises:
            SinkError: The log cannot be written.
            AuditError: It is not what was written to it.
        """
        if self._log is not None:
            self._log.append("pack_verified", _pack_fields(pack))

    # @need-ids: SRS_AUDIT_004, SRS_AUDIT_007, RCM_AUDIT_004
    def started(self, opened: Sequence[OpenedUnit], *, engine: str, source_kind: str) -> None:
        """Write what is about to run, one record a unit; a run that cannot be noted does not begin.

        Args:
            opened: The units.
            engine: Name of the engine that was asked for, which is the one that runs.
            source_kind: Kind of the source, never its name.

        Raises:
            SinkError: The log cannot be written.
            AuditError: It is not what was written to it.
        """
        if self._log is None:
            return
        self._run_id = os.urandom(16).hex()
        for one in opened:
            info = one.unit.info
            fields = {
                "run_id": self._run_id,
                "unit": info.unit,
                "engine": engine,
                "engine_version": _numbers_of(info.backend.engine),
                "precision": info.backend.precision,
                "thread_count": info.backend.thread_count,
                "version": __version__,
                "source_kind": source_kind,
            }
            self._log.append("run_started", {**fields, **_pack_fields(one.pack)})

    # @need-ids: SRS_AUDIT_006, SRS_AUDIT_007, RCM_AUDIT_004
    def watching(self, monitor: MonitorConfig | None) -> MonitorConfig | None:
        """Return who is told of the run's health, the log among them.

        Args:
            monitor: Who else is told, or None for nobody.
        """
        writer = self._writer
        if writer is None:
            return monitor
        # Here, since the commands that only look need no part of a run.
        from trocar.streaming.monitor import MonitorConfig  # noqa: PLC0415 - see above

        config = MonitorConfig() if monitor is None else monitor
        told, numbers = config.on_change, count()

        def on_change(change: HealthChange) -> None:
            if told is not None:
                told(change)
            # A source that comes and goes for hours must not fill the disk; all are counted.
            if next(numbers) >= HEALTH_CHANGE_COUNT_MAX:
                return
            writer.put(
                "health_changed",
                {
                    "run_id": self._run_id,
                    "state": change.state.value,
                    "reasons": change.reasons,
                    "after_ms": int(change.after_ms),
                },
            )

        return replace(config, on_change=on_change, is_audit_held=lambda: writer.is_held)

    # @need-ids: SRS_AUDIT_004, SRS_AUDIT_010, RCM_AUDIT_002
    def ended(self, summary: StreamSummary) -> dict[str, str | int] | None:
        """Write the end of a run; return the head of the log, None where it is not on the disk."""
        if self._writer is None:
            return None
        self._writer.put(
            "run_ended",
            {
                "run_id": self._run_id,
                "reason": summary.ended_because.value,
                "code": summary.error_code,
                "exit_code": _exit_code(summary),
                "duration_ms": int(summary.duration_ms),
                "received_count": summary.received_count,
                "answered_count": summary.answered_count,
                "finding_count": summary.finding_count,
                "withheld_count": sum(summary.withheld_counts.values()),
                "dropped_count": summary.displaced_count + summary.undelivered_count,
                "missed_count": summary.missed_count,
                "undecodable_count": summary.decode_error_count,
                # The summary counts its begin as the first one, which is no change and not written.
                "health_change_count": summary.health_change_count - 1,
            },
        )
        head = self._writer.flush()
        return None if head is None else head.as_fields()

    # @need-ids: SRS_AUDIT_004
    def refused(self, error: BaseException) -> None:
        """Write that a command ended before its run began: the code of its error and nothing else.

        Args:
            error: What ended it.
        """
        if self._log is None or self._run_id:
            return
        code, exit_code = InvariantError.code, InvariantError.exit_code
        if isinstance(error, TrocarError):
            code, exit_code = error.code, error.exit_code
        elif isinstance(error, KeyboardInterrupt):
            return
        try:
            self._log.append("refused", {"code": code, "exit_code": exit_code})
        except (SinkError, AuditError) as exc:
            _log_error("refusal_not_in_audit_log", exc)

    def close(self) -> str:
        """Write what waits; return one line for people, empty without a log.

        Raises:
            SinkError: Events are missing in the log.
            AuditError: The log is no longer what was written to it.
        """
        if self._log is None or self._writer is None:
            return ""
        self._writer.close()
        head = self._log.head
        return f"audit log: record {head.seq}, head {head.digest}"


@contextmanager
def audited(path: Path | None, console: Console) -> Iterator[RunAudit]:
    """Open the audit log of a command, and close it behind the command.

    Args:
        path: The log, or None where none was asked for.
        console: Told where the log stands at the end.

    Raises:
        SinkError: The log cannot be written at the begin, or events are missing at the end.
        AuditError: It is not what was written to it.
    """
    audit = RunAudit() if path is None else _opened(path)
    try:
        yield audit
    except BaseException as exc:
        audit.refused(exc)
        try:
            audit.close()
        except TrocarError as later:
            _log_error("error_after_the_first", later)
        raise
    line = audit.close()
    if line:
        console.message(line)


def _opened(path: Path) -> RunAudit:
    """Open a log."""
    # Here, since a command without a log must not pay for what it does not use.
    from trocar.audit.log import AuditLog  # noqa: PLC0415 - see above
    from trocar.audit.writer import AuditWriter  # noqa: PLC0415 - see above

    log = AuditLog(path)
    return RunAudit(log, AuditWriter(log))


def _log_error(event: str, error: TrocarError) -> None:
    """Log an error that another one hides."""
    import structlog  # noqa: PLC0415 - only a failure needs it here

    structlog.get_logger().error(event, code=error.code)


def _numbers_of(engine: str) -> str | None:
    """Return the three numbers of a version behind the name of an engine, None without them.

    What an engine calls itself may say more, such as the branch that it was built from.
    """
    version = engine.partition(" ")[2].replace("-", ".").replace("+", ".")
    numbers = version.split(".")[:_NUMBER_COUNT]
    is_whole = len(numbers) == _NUMBER_COUNT and all(one.isdecimal() for one in numbers)
    return ".".join(numbers) if is_whole else None


def _pack_fields(pack: VerifiedPack) -> dict[str, object]:
    """Return what the log says of a pack."""
    return {
        "pack_id": pack.manifest.pack_id,
        "digest": pack.digest,
        "key_id": pack.signed_by.key_id,
        "grade": pack.grade.value,
        "trust": pack.trust.value,
    }


def _exit_code(summary: StreamSummary) -> int:
    """Return the exit code that a run ends with, as far as it is known when it ends."""
    if summary.error_code is not None:
        return _exit_codes().get(summary.error_code, InvariantError.exit_code)
    if summary.ended_because.value == _STOPPED:
        return INTERRUPTED
    return PARTIAL if summary.decode_error_count else OK


def _exit_codes() -> dict[str, int]:
    """Return the exit code of each error by its code."""
    found: dict[str, int] = {}
    waiting = [TrocarError]
    while waiting:
        one = waiting.pop()
        found[one.code] = one.exit_code
        waiting += one.__subclasses__()
    return found
