"""Errors of the trace toolchain; each message says what to change."""

from __future__ import annotations


class TraceError(Exception):
    """Root of what the trace toolchain raises."""


class MetamodelError(TraceError):
    """The metamodel table contradicts itself."""


class NeedsSourceError(TraceError):
    """A need directive in a source file cannot be read without doubt."""


class GraphError(TraceError):
    """A needs.json file is not one that this toolchain can judge."""


class EvidenceError(TraceError):
    """An evidence file cannot be read as a whole."""


class RecordError(TraceError):
    """A waiver or a not-applicable record is incomplete."""


class ApprovalError(TraceError):
    """An approval cannot be given or read."""


class SignatureError(TraceError):
    """A key or a signature cannot be used."""


class ClauseError(TraceError):
    """A clause table cannot be judged."""


class ReleaseError(TraceError):
    """A file of a release folder is damaged, or says what cannot be trusted."""


class PrintError(TraceError):
    """The report cannot be printed as PDF."""


class SourceTextError(TraceError):
    """A file of the repository is no text, or not of its format."""
