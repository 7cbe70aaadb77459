"""The clause tables as data: one file in ``clauses/`` for each edition of a standard.

A row says which clause, in which words of ours, which rules and documents speak for it, and how
far a machine goes. It never says how the row stands: that is worked out from the rules' outcome.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from trocar_lab.evidence.errors import ClauseError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.need_graph import Graph

EVERY_RULE: Final = "*"
FOLDER: Final = "clauses"
_REFERENCE: Final = re.compile(r"\*|[A-Z][0-9]+(:\S(.*\S)?)?")
_Sentence = Annotated[str, Field(min_length=20)]


class Reference(NamedTuple):
    """What one entry of ``rules`` names: a rule, and which of its rows; empty means all."""

    rule_id: str
    selector: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference written as ``RULE`` or ``RULE:selector``."""
        rule_id, _, selector = text.partition(":")
        return cls(rule_id, selector)


class SignedReason(Frozen):
    """Why a clause does not apply: a reason, who says so, and when."""

    reason: _Sentence
    name: Annotated[str, Field(pattern=r"^\S+ \S+")]
    date: dt.date


class ClauseRow(Frozen):
    """One row of a clause file.

    Attributes:
        clause: Number or name, unique in its file.
        classes: Safety classes that need it; empty where the standard has no classes.
        words: What Trocar shows for it, in our words.
        rules: ``RULE`` or ``RULE:selector``; ``*`` stands for every rule.
        documents: Ids of documents that must be there and be approved.
        strength: M, the rule proves it; P, a person judges the content; H, a person signs it.
        pending: Why the row is open whatever the rules say.
        not_applicable: Signed reason why the clause does not apply.
        reserved: Why the number asks for nothing in this edition.
        whole_table: The row is judged by all other rows of its table.
    """

    clause: Annotated[str, Field(min_length=1)]
    classes: Annotated[str, Field(pattern="^(A?BC|C|)$")] = ""
    words: _Sentence
    rules: tuple[Annotated[str, Field(pattern=f"^({_REFERENCE.pattern})$")], ...] = ()
    documents: tuple[Annotated[str, Field(pattern="^DOC_[A-Z0-9_]+$")], ...] = ()
    strength: Literal["M", "P", "H"]
    pending: Literal[""] | _Sentence = ""
    not_applicable: SignedReason | None = None
    reserved: Literal[""] | _Sentence = ""
    whole_table: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> ClauseRow:
        """Refuse a row that nothing can turn red, and one that names a thing twice."""
        proofs = bool(self.rules or self.documents or self.pending or self.whole_table)
        if not (proofs or self.not_applicable or self.reserved):
            raise ValueError("neither rule nor document nor pending reason")
        if self.reserved and (proofs or self.not_applicable):
            raise ValueError("reserved, and yet it names a proof")
        for names in (self.rules, self.documents):
            if len(set(names)) != len(names):
                raise ValueError(f"names one thing twice: {', '.join(names)}")
        return self

    @property
    def references(self) -> tuple[Reference, ...]:
        """Return the parsed entries of ``rules``."""
        return tuple(Reference.parse(text) for text in self.rules)


class ClauseFile(Frozen):
    """One edition of one standard.

    Attributes:
        file: Name of the file.
        standard: Short name.
        edition: Edition.
        note: What the reader must know about this table; printed above it.
        rows: Rows in the order of the standard.
    """

    file: str
    standard: Annotated[str, Field(min_length=2)]
    edition: Annotated[str, Field(min_length=1)]
    note: _Sentence
    rows: Annotated[tuple[ClauseRow, ...], Field(min_length=1)]


def parse_clause_file(file: str, text: str) -> ClauseFile:
    """Return the table in ``text``.

    Args:
        file: Name of the file, for messages.
        text: TOML with ``standard``, ``edition``, ``note`` and ``[[row]]`` tables.

    Raises:
        ClauseError: The table cannot be judged; the message names file and clause.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ClauseError(f"{file}: {exc}") from exc
    written = table.pop("row", [])
    rows = [_row(file, number, row) for number, row in enumerate(written, start=1)]
    repeated = _repeated(row.clause for row in rows)
    if repeated:
        raise ClauseError(f"{file} {', '.join(repeated)}: stands there twice")
    try:
        return ClauseFile.model_validate({**table, "file": file, "rows": rows})
    except ValidationError as exc:
        raise ClauseError(f"{file}: {_first(exc)}") from exc


def _row(file: str, number: int, row: Mapping[str, object]) -> ClauseRow:
    """Return one row; a fault names file and clause."""
    try:
        return ClauseRow.model_validate(row)
    except ValidationError as exc:
        clause = row.get("clause") or f"row {number}"
        raise ClauseError(f"{file} {clause}: {_first(exc)}") from exc


def _first(error: ValidationError) -> str:
    """Return the first fault of a validation in one line."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}" if place else fault["msg"]


def _repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


@cache
def load_clause_files() -> tuple[ClauseFile, ...]:
    """Return the tables that lie beside this module, in order of file name.

    Raises:
        ClauseError: A table cannot be judged, two are about one edition, or there is none.
    """
    folder = resources.files("trocar_lab.evidence.rules").joinpath(FOLDER)
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name)
    files = tuple(parse_clause_file(p.name, p.read_text(encoding="utf-8")) for p in paths)
    if not files:
        raise ClauseError(f"no clause table in {FOLDER}")
    repeated = _repeated(f"{file.standard} {file.edition}" for file in files)
    if repeated:
        raise ClauseError(f"two tables about {', '.join(repeated)}")
    return files


def clause_faults(
    rule_ids: Collection[str],
    graph: Graph | None = None,
    *,
    today: dt.date | None = None,
    files: Sequence[ClauseFile] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return each clause file to its faults; a file without fault maps to nothing.

    Args:
        rule_ids: Ids of every rule that there is.
        graph: Needs; with it a document id must be that of a live document.
        today: Day of the check; with it no reason may be signed on a later day.
        files: Tables; those that ship when left out.
    """
    if files is None:
        try:
            files = load_clause_files()
        except ClauseError as exc:
            return {FOLDER: (str(exc),)}
    known = {*rule_ids, EVERY_RULE}
    documents = None if graph is None else {need.need_id for need in graph.live("document")}
    found: dict[str, tuple[str, ...]] = {}
    for file in files:
        faults = []
        for row in file.rows:
            strays = [ref.rule_id for ref in row.references if ref.rule_id not in known]
            faults += [f"{file.file} {row.clause}: no such rule: {name}" for name in strays]
            lost = [] if documents is None else [d for d in row.documents if d not in documents]
            faults += [f"{file.file} {row.clause}: no such document: {name}" for name in lost]
            signed = row.not_applicable
            if signed is not None and today is not None and signed.date > today:
                faults.append(f"{file.file} {row.clause}: dated {signed.date}, in the future")
        found[file.file] = tuple(faults)
    return found
