"""Signed human records beside the needs: not applicable, waivers, manual results, judgements."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from trocar_lab.evidence.errors import RecordError, SourceTextError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.source_text import read_toml

_Name = Annotated[str, Field(pattern=r"^\S+ \S+")]
_Reason = Annotated[str, Field(min_length=20)]
FOLDER: Final = "verification"


class NotApplicable(Frozen):
    """Why the population of a rule, or one key of it, is empty on purpose."""

    rule: str
    key: str = ""
    reason: _Reason
    name: _Name
    date: dt.date


class Waiver(Frozen):
    """Why one failed row may stay until a day."""

    rule: str
    need: str
    reason: _Reason
    name: _Name
    date: dt.date
    expires: dt.date


class ManualRecord(Frozen):
    """A test case that a person carried out; bound to the text of the case by its fingerprint."""

    case: str
    outcome: Annotated[str, Field(pattern="^(passed|failed)$")]
    platform: Annotated[str, Field(pattern="^(host|agx)$")]
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    observed: _Reason
    name: _Name
    date: dt.date


class Baseline(Frozen):
    """The last commit before change control: every later one names its change (rule P2)."""

    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    reason: _Reason
    name: _Name
    date: dt.date


class OverallResidualRisk(Frozen):
    """Judgement on the residual risk as a whole, for one version and one risk file (rule K10).

    Attributes:
        release: Version that it is about.
        fingerprint: Digest of the risk file that was judged, as rule K10 prints it.
        statement: The judgement with its reason.
        name: Who judged.
        role: In which role.
        date: When.
    """

    release: Annotated[str, Field(min_length=1)]
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    statement: _Reason
    name: _Name
    role: Annotated[str, Field(min_length=5)]
    date: dt.date


class Records(Frozen):
    """Every signed record."""

    not_applicable: tuple[NotApplicable, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    manual: tuple[ManualRecord, ...] = ()
    overall: tuple[OverallResidualRisk, ...] = ()
    baseline: Baseline | None = None

    def is_not_applicable(self, rule: str, key: str = "") -> bool:
        """Return whether a record covers the rule's population, or one key of it."""
        return any(record.rule == rule and record.key == key for record in self.not_applicable)

    def waiver(self, rule: str, need: str, *, today: dt.date) -> Waiver | None:
        """Return the waiver of one row that is in force today."""
        found = (w for w in self.waivers if (w.rule, w.need) == (rule, need))
        return next((w for w in found if w.date <= today <= w.expires), None)


def read_records(root: Path) -> Records:
    """Return the records under ``root``; a missing file holds none.

    Raises:
        RecordError: A record is incomplete: no reason, no full name, no date.
    """
    tables: dict[str, object] = {}
    for field, name, key in (
        ("not_applicable", "not_applicable.toml", "not_applicable"),
        ("waivers", "waivers.toml", "waiver"),
        ("manual", "manual_records.toml", "record"),
        ("overall", "residual_risk.toml", "overall"),
        ("baseline", "change_control.toml", "baseline"),
    ):
        path = root / FOLDER / name
        if not path.is_file():
            continue
        try:
            table = read_toml(path)
        except SourceTextError as exc:
            raise RecordError(str(exc)) from exc
        if set(table) - {key}:
            raise RecordError(f"{path}: only {key} tables, got {', '.join(sorted(table))}")
        tables[field] = table.get(key, [])
    try:
        return Records.model_validate(tables)
    except ValidationError as exc:
        raise RecordError(f"{root / FOLDER}: {exc}") from exc
