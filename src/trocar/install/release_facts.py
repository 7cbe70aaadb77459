"""What a signed release says about itself."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import RELEASE_SEQUENCE_MAX

__all__ = ["Grade", "ReleaseFacts", "platform_name", "release_facts"]

_VERSION: Final = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}((a|b|rc|\.dev)\d{1,4})?", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_PYTHON: Final = re.compile(r"3\.[0-9]{1,2}")
_PLATFORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REQUIRED: Final = frozenset({"version", "sequence", "grade", "expires", "commit", "device"})
_OPTIONAL: Final = frozenset({"minimum_sequence"})
_GET_ANOTHER: Final = "get a release that this installer knows, or a newer installer"


class Grade(StrEnum):
    """What a release is for."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


@dataclass(frozen=True)
class ReleaseFacts:
    """The predicate of a release.

    Attributes:
        version: Version of Trocar in it.
        sequence: Number that grows with each release.
        grade: What it is for.
        expires: Last day on which it may be installed.
        commit: What it was built from.
        python: Version of Python that it is for, such as 3.11.
        platform: Machine that it is for, such as linux_x86_64.
        minimum_sequence: Lowest sequence number that may run after it; 0 where it names none.
    """

    version: str
    sequence: int
    grade: Grade
    expires: dt.date
    commit: str
    python: str
    platform: str
    minimum_sequence: int = 0


# @need-ids: SRS_INST_013
def release_facts(predicate: Mapping[str, object]) -> ReleaseFacts:
    """Return the facts of a release; a field that is not known is refused, since it may forbid.

    Args:
        predicate: What was signed.

    Raises:
        InstallError: A field is missing, unknown or of another form.
    """
    if not _REQUIRED <= predicate.keys() <= _REQUIRED | _OPTIONAL:
        odd = ", ".join(sorted(predicate.keys() ^ _REQUIRED))
        raise InstallError(
            f"expected the fields of a release that are known here, differs in {odd!a}",
            advice=_GET_ANOTHER,
        )
    device = predicate["device"]
    if not isinstance(device, dict) or device.keys() != {"python", "platform"}:
        raise InstallError("expected device to name python and platform", advice=_GET_ANOTHER)
    sequence = _count(predicate["sequence"], "sequence", lowest=1)
    minimum = _count(predicate.get("minimum_sequence", 0), "minimum_sequence", lowest=0)
    if minimum > sequence:
        raise InstallError(
            f"expected minimum_sequence up to {sequence}, got {minimum}", advice=_GET_ANOTHER
        )
    return ReleaseFacts(
        version=_text(predicate["version"], "version", _VERSION),
        sequence=sequence,
        grade=_grade(predicate["grade"]),
        expires=_date(predicate["expires"]),
        commit=_text(predicate["commit"], "commit", _COMMIT),
        python=_text(device["python"], "python", _PYTHON),
        platform=platform_name(_text(device["platform"], "platform", _PLATFORM)),
        minimum_sequence=minimum,
    )


def platform_name(text: str) -> str:
    """Return the name of a platform in the one way in which names are compared."""
    return text.replace("-", "_").replace(".", "_")


def _text(value: object, name: str, form: re.Pattern[str]) -> str:
    """Return a text of a known form."""
    if isinstance(value, str) and form.fullmatch(value):
        return value
    raise InstallError(f"expected another form of {name}, got {value!a:.80}", advice=_GET_ANOTHER)


def _count(value: object, name: str, *, lowest: int) -> int:
    """Return a whole number within its bounds; True is none."""
    if type(value) is int and lowest <= value <= RELEASE_SEQUENCE_MAX:
        return value
    raise InstallError(
        f"expected {name} from {lowest} to {RELEASE_SEQUENCE_MAX}, got {value!a:.80}",
        advice=_GET_ANOTHER,
    )


def _grade(value: object) -> Grade:
    """Return the grade."""
    if isinstance(value, str) and value in set(Grade):
        return Grade(value)
    raise InstallError(f"expected a known grade, got {value!a:.80}", advice=_GET_ANOTHER)


def _date(value: object) -> dt.date:
    """Return a date written as YYYY-MM-DD."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    raise InstallError(f"expected expires as YYYY-MM-DD, got {value!a:.80}", advice=_GET_ANOTHER)
