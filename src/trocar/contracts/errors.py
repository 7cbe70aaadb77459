"""One error root, with a stable code and advice for the person at the screen.

Hierarchy::

    TrocarError
    |- InvariantError            our bug, raised by require()
    |- ContractError             the caller or a file broke a contract
    |- PackError
    |  |- HashMismatchError      a file differs from what the manifest says
    |  |- SignatureError         a signed statement is missing, damaged, or by nobody who is trusted
    |  `- IncompatiblePackError  a format, unit or tensor layout that this version cannot run
    |- BackendError
    |  |- BackendUnavailableError  what was asked for is not what would run
    |  `- InferenceError           the engine failed on one input
    |- SourceError
    |  |- SourceLostError        a source that ran has ended before its end
    |  |- ProtocolError          a peer has broken the protocol that it speaks
    |  `- DecodeError            what the source holds cannot be decoded
    |- SinkError                 a result could not be written (disk full, no permission)
    |- AuditError                the audit log was changed by others; nothing is appended to it
    `- InstallError              a release was not installed; what ran before still runs
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuditError",
    "BackendError",
    "BackendUnavailableError",
    "ContractError",
    "DecodeError",
    "HashMismatchError",
    "IncompatiblePackError",
    "InferenceError",
    "InstallError",
    "InvariantError",
    "PackError",
    "ProtocolError",
    "SignatureError",
    "SinkError",
    "SourceError",
    "SourceLostError",
    "TrocarError",
    "require",
]


class TrocarError(Exception):
    """Root of all errors of the device.

    Args:
        problem: What was expected and what came, in one sentence.
        advice: What the user can do about it, in one sentence.
        context: Facts as fields, for the log.
    """

    code: ClassVar[str] = "TROCAR"
    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, *, advice: str, **context: str | float | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.context = context

    def diagnostics(self) -> str:
        """Return the text for the person at the screen: code, problem, what to do next."""
        return "\n".join(self.diagnostic_lines())

    def diagnostic_lines(self) -> tuple[str, str]:
        """Return code and problem, and what to do next: what ``diagnostics`` joins."""
        return f"error {self.code}: {self.problem}", f"  what to do: {self.advice}"


class InvariantError(TrocarError):
    """Our own mistake: the item stops and the record is kept."""

    code = "INVARIANT"
    exit_code = 70


class ContractError(TrocarError):
    """The caller or a file broke a contract."""

    code = "CONTRACT"
    exit_code = 65


class PackError(TrocarError):
    """A model pack is not sound; nothing of it was loaded."""

    code = "PACK"
    exit_code = 66


class HashMismatchError(PackError):
    """A file of the pack differs from what its manifest says."""

    code = "PACK_HASH"


class SignatureError(PackError):
    """A signed statement is missing or damaged, or nobody who is trusted has signed it."""

    code = "SIGNATURE"


class IncompatiblePackError(PackError):
    """The pack is intact, but this version of the device cannot run it."""

    code = "PACK_INCOMPATIBLE"


class BackendError(TrocarError):
    """An inference engine failed."""

    code = "BACKEND"
    exit_code = 69


class BackendUnavailableError(BackendError):
    """The engine, provider or precision asked for would not be what runs; no other one is tried."""

    code = "BACKEND_UNAVAILABLE"


class InferenceError(BackendError):
    """The engine failed on one input."""

    code = "INFERENCE"


class SourceError(TrocarError):
    """A source of frames failed."""

    code = "SOURCE"
    exit_code = 74


class SourceLostError(SourceError):
    """A source that ran has stopped before its end."""

    code = "SOURCE_LOST"


class ProtocolError(SourceError):
    """A peer has broken the protocol that it speaks; nothing of the message is used."""

    code = "PROTOCOL"
    exit_code = 76


class DecodeError(SourceError):
    """What the source holds cannot be decoded."""

    code = "DECODE"
    exit_code = 65


class SinkError(TrocarError):
    """A result could not be written; what was written so far is intact."""

    code = "SINK"
    exit_code = 73


class AuditError(TrocarError):
    """The audit log is not what was written to it; nothing was appended."""

    code = "AUDIT"
    exit_code = 78


class InstallError(TrocarError):
    """A release was refused or could not be installed; what ran before still runs."""

    code = "INSTALL"
    exit_code = 77


def require(condition: bool, problem: str) -> None:  # noqa: FBT001 - reads as a sentence at the call
    """Raise unless a condition of our own holds; unlike ``assert`` it stays under ``python -O``.

    Raises:
        InvariantError: The condition is false.
    """
    if not condition:
        raise InvariantError(
            problem, advice="this is a fault of Trocar; report it with the log and the input's name"
        )
