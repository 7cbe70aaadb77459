"""The closed table of what may stand in the audit log: events, their fields, and each one's form.

No field is free text. A value that does not have its form is refused, and the refusal repeats
nothing of it, so that the name of a patient, a path or an identifier of a study has no way in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from trocar.contracts.errors import TrocarError, require
from trocar.contracts.limits import (
    AUDIT_NUMBER_MAX,
    AUDIT_PART_COUNT_MAX,
    RELEASE_SEQUENCE_MAX,
    THREAD_COUNT_MAX,
)

__all__ = [
    "DIGEST",
    "ENDED",
    "ENGINES",
    "EVENTS",
    "HEALTH_REASONS",
    "HEALTH_STATES",
    "LOG_EVENTS",
    "PRECISIONS",
    "SOURCE_KINDS",
    "UNITS",
    "EventForm",
    "FieldForm",
    "Value",
    "checked_fields",
    "error_codes",
]

Value = int | str | tuple[str, ...]
"""What a field may hold; fractions are left out, since their text is not the same everywhere."""

UNITS: Final = frozenset({"polyp_segmentation", "tool_detection", "tool_tracking"})
"""Units that a run may name; another one is added here when it is added to the release."""

ENGINES: Final = frozenset({
    "onnxruntime-cpu",
    "onnxruntime-cuda",
    "onnxruntime-tensorrt",
    "openvino-cpu",
    "tensorrt",
})
"""Engines that a run may name."""

PRECISIONS: Final = frozenset({"fp32", "fp16", "bf16", "int8"})
"""Precisions that a run may name."""

SOURCE_KINDS: Final = frozenset({
    *("camera", "demo", "file", "igtl", "igtl-listen", "recording", "rtsp", "rtsp-udp", "stills"),
})
"""Kinds of source; which source it was stands in no record."""

ENDED: Final = frozenset({"source_ended", "stopped", "frame_count_max", "failed"})
"""Why a run ended."""

HEALTH_STATES: Final = frozenset({"starting", "ready", "degraded", "failed"})
"""States of health."""

HEALTH_REASONS: Final = frozenset({
    *("audit_not_written", "deadlines_missed", "loop_hangs", "loop_stalled", "results_left_out"),
    *("results_withheld", "sink_hangs", "sink_stalled", "source_disconnected", "source_silent"),
    "watchdog_died",
})
"""Why a run is not ready, besides the code of an error."""

_DIGEST_FORM: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ID_FORM: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_VERSION_FORM: Final = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}((a|b|rc|\.dev)\d{1,4})?", re.ASCII)
_PACK_ID_FORM: Final = re.compile(r"[a-z][a-z0-9_]{2,63} \d{1,6}\.\d{1,6}\.\d{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FieldForm:
    """What one field may hold.

    Attributes:
        words: The form in words, for the error.
        holds: Whether a value has the form.
        is_optional: Whether the field may be left out.
    """

    words: str
    holds: Callable[[object], bool]
    is_optional: bool = False

    def or_none(self) -> FieldForm:
        """Return the form of a field that may be left out."""
        return FieldForm(self.words, self.holds, is_optional=True)


def error_codes() -> frozenset[str]:
    """Return the codes of every error of the device."""
    found, waiting = set(), [TrocarError]
    while waiting:
        one = waiting.pop()
        found.add(one.code)
        waiting += one.__subclasses__()
    return frozenset(found)


def _matches(pattern: re.Pattern[str], words: str) -> FieldForm:
    """Return the form of a text that matches as a whole."""
    return FieldForm(
        words, lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
    )


def _one_of(words: str, choices: Callable[[], frozenset[str]]) -> FieldForm:
    """Return the form of a text out of a list."""
    return FieldForm(words, lambda value: isinstance(value, str) and value in choices())


def _count(most: int = AUDIT_NUMBER_MAX) -> FieldForm:
    """Return the form of a whole number from 0."""
    return FieldForm(
        f"a whole number from 0 to {most}",
        lambda value: type(value) is int and 0 <= value <= most,
    )


def _reasons(value: object) -> bool:
    """Return whether a value is a tuple of reasons of health or codes of errors, each once."""
    return (
        isinstance(value, tuple)
        and all(isinstance(one, str) for one in value)
        and len(set(value)) == len(value)
        and set(value) <= HEALTH_REASONS | error_codes()
    )


DIGEST: Final = _matches(_DIGEST_FORM, "64 hexadecimal digits")
"""Form of a SHA-256 digest."""

_ID: Final = _matches(_ID_FORM, "32 hexadecimal digits")
_VERSION: Final = _matches(_VERSION_FORM, "a version of three numbers")
_SEQUENCE: Final = _count(RELEASE_SEQUENCE_MAX)
_CODE: Final = _one_of("the code of an error", error_codes)
_EXIT_CODE: Final = _count(255)
_GRADE: Final = _one_of("release or development", lambda: frozenset({"release", "development"}))

_SIGNER: Final = {"key_id": DIGEST.or_none(), "grade": _GRADE.or_none()}
_PACK: Final = {
    "pack_id": _matches(_PACK_ID_FORM, "a pack's name and version"),
    "digest": DIGEST,
    "trust": _one_of("release or site", lambda: frozenset({"release", "site"})).or_none(),
}
_RELEASE: Final = {"version": _VERSION, "sequence": _SEQUENCE, "digest": DIGEST}
_BEFORE: Final = {
    "previous_version": _VERSION.or_none(),
    "previous_sequence": _SEQUENCE.or_none(),
}

EventForm = Mapping[str, FieldForm]
"""The fields of one event."""

# @need-ids: SRS_AUDIT_005
EVENTS: Final[Mapping[str, EventForm]] = {
    "pack_verified": {**_PACK, **_SIGNER},
    "run_started": {
        "run_id": _ID,
        "unit": _one_of("a unit of this release", lambda: UNITS),
        **_PACK,
        **_SIGNER,
        "engine": _one_of("an engine", lambda: ENGINES),
        "engine_version": _VERSION.or_none(),
        "precision": _one_of("a precision", lambda: PRECISIONS),
        "thread_count": _count(THREAD_COUNT_MAX),
        "version": _VERSION,
        "source_kind": _one_of("a kind of source", lambda: SOURCE_KINDS),
    },
    "run_ended": {
        "run_id": _ID,
        "reason": _one_of("why a run ends", lambda: ENDED),
        "code": FieldForm(_CODE.words, _CODE.holds, is_optional=True),
        "exit_code": _EXIT_CODE,
        "duration_ms": _count(),
        "received_count": _count(),
        "answered_count": _count(),
        "finding_count": _count(),
        "withheld_count": _count(),
        "dropped_count": _count(),
        "missed_count": _count(),
        "undecodable_count": _count(),
        "health_change_count": _count(),
    },
    "health_changed": {
        "run_id": _ID,
        "state": _one_of("a state of health", lambda: HEALTH_STATES),
        "reasons": FieldForm("faults or codes of errors", _reasons),
        "after_ms": _count(),
    },
    "refused": {"code": _CODE, "exit_code": _EXIT_CODE},
    "verify_refused": {
        "code": _CODE,
        "version": _VERSION.or_none(),
        "sequence": _SEQUENCE.or_none(),
        "digest": DIGEST.or_none(),
        **_SIGNER,
    },
    "installed": {**_RELEASE, **_SIGNER},
    "switched": {**_RELEASE, **_SIGNER, **_BEFORE},
    "rolled_back": {**_RELEASE, **_SIGNER, **_BEFORE},
    "log_started": {"log_id": _ID, "version": _VERSION},
    "log_continued": {"log_id": _ID, "version": _VERSION, "part": _count(AUDIT_PART_COUNT_MAX)},
    "log_recovered": {"cut_bytes": _count()},
    "gap": {
        "cause": _one_of("a cause", lambda: frozenset({"disk_full", "not_writable"})),
        "held_count": _count(),
        "lost_count": _count(),
    },
}
"""Every event with its fields; what is not here cannot be written."""

LOG_EVENTS: Final = frozenset({"log_started", "log_continued", "log_recovered"})
"""Events that the log writes of itself, and nobody else."""


# @need-ids: SRS_AUDIT_005, RCM_AUDIT_003
def checked_fields(event: str, fields: Mapping[str, object]) -> dict[str, Value]:
    """Return the fields of an event once each of them has its form; lists become tuples.

    Args:
        event: Name of the event.
        fields: Its fields; one whose value is None counts as left out.

    Raises:
        InvariantError: Event or field is not in the table, or a value does not have its form. The
            text names the field and the form, never the value.
    """
    form = EVENTS.get(event)
    require(form is not None, "an event that is not in the table was given to the audit log")
    form = form or {}
    given = {name: value for name, value in fields.items() if value is not None}
    strays = len(given.keys() - form.keys())
    require(not strays, f"{strays} fields of {event} are not in the table of the audit log")
    found: dict[str, Value] = {}
    for name, one in form.items():
        if name not in given:
            require(one.is_optional, f"{event} needs {name} in the audit log")
            continue
        value = given[name]
        value = tuple(value) if isinstance(value, list) else value
        require(one.holds(value), f"expected {name} of {event} to be {one.words}, got another form")
        # A member of an enumeration is written as the text that it is.
        found[name] = str(value) if isinstance(value, str) else cast("Value", value)
    return found
