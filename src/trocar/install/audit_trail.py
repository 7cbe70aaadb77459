"""What the audit log says about installations: what was refused, and what runs since when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.audit.log import AuditLog
from trocar.contracts.errors import AuditError, SinkError
from trocar.install.slots import Slot
from trocar.install.verification import Release

__all__ = ["AUDIT_NAME", "AuditTrail"]

AUDIT_NAME: Final = "audit.jsonl"
"""The log, beside the slots."""


@dataclass(frozen=True)
class AuditTrail:
    """The audit log of one device's installations.

    Attributes:
        root: Where releases are installed.
    """

    root: Path

    def require_sound(self) -> None:
        """Refuse a log that cannot take a record, before the work of an installation is done.

        Raises:
            AuditError: The log is not what was written to it.
            SinkError: The log cannot be written.
        """
        path = self.root / AUDIT_NAME
        try:
            with AuditLog(path):
                pass
        except AuditError as exc:
            raise AuditError(
                exc.problem,
                advice=f"find out who changed it; move {path}* away and keep it, then install "
                "again: a new log begins",
            ) from exc

    # @need-ids: SRS_INST_012
    def refused(self, code: str, what: Release | Slot | None) -> tuple[str, ...]:
        """Record that a release was refused; return in words why not, where it could not.

        Args:
            code: Code of the error.
            what: The release, where it was signed by a trusted key, or the slot.
        """
        fields: dict[str, object] = {"code": code}
        if isinstance(what, Slot):
            fields |= _fields(what)
        elif what is not None:
            fields |= {
                "version": what.facts.version,
                "sequence": what.facts.sequence,
                "digest": what.manifest_sha256,
                "key_id": what.signer.key_id,
                "grade": _grade(is_development=what.is_development),
            }
        return self._tried("verify_refused", fields)

    def installed(self, slot: Slot) -> None:
        """Record that a release was installed and tried; it does not run yet.

        Raises:
            AuditError: The log is not what was written to it.
            SinkError: The log cannot be written.
        """
        self._append("installed", _fields(slot))

    def switched(self, slot: Slot, before: Slot | None) -> tuple[str, ...]:
        """Record that another release runs; return in words why not, where it could not."""
        is_back = before is not None and before.sequence > slot.sequence
        event = "rolled_back" if is_back else "switched"
        return self._tried(event, {**_fields(slot), **_before(before)})

    def _tried(self, event: str, fields: dict[str, object]) -> tuple[str, ...]:
        """Append one record; what has happened already is not undone by a log that is full."""
        try:
            self._append(event, fields)
        except (AuditError, SinkError) as exc:
            return (f"the audit log does not tell this: {exc.problem}",)
        return ()

    def _append(self, event: str, fields: dict[str, object]) -> None:
        """Append one record."""
        with AuditLog(self.root / AUDIT_NAME) as log:
            log.append(event, fields)


def _fields(slot: Slot) -> dict[str, object]:
    """Return what the record says about a release."""
    return {
        "version": slot.version,
        "sequence": slot.sequence,
        "digest": slot.manifest_sha256,
        "key_id": slot.key_id,
        "grade": _grade(is_development=slot.is_development),
    }


def _grade(*, is_development: bool) -> str:
    """Return what a release is for, as the log names it."""
    return "development" if is_development else "release"


def _before(slot: Slot | None) -> dict[str, object]:
    """Return what the record says about the release that ran before."""
    if slot is None:
        return {}
    return {"previous_version": slot.version, "previous_sequence": slot.sequence}
