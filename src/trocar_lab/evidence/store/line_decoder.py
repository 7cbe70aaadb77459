"""Lines of evidence from JSON values; their shape is checked by hand, because that is what costs.

A line that does not have exactly the shape of its kind is an ``EvidenceError``; nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from pydantic import ValidationError

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.source.python_tests import Claim
from trocar_lab.evidence.store.evidence_record import (
    EMPTY,
    OUTCOMES,
    PHASES,
    Attachment,
    CollectedLine,
    EndLine,
    Figure,
    Line,
    NeedLine,
    OutcomeLine,
    RunLine,
    UncollectedLine,
    place_of,
)

Row = dict[str, Any]
_RareLine = TypeVar("_RareLine", RunLine, UncollectedLine, EndLine)
_HEX: Final = frozenset("0123456789abcdef")
_ESCAPE: Final = b"\\u"
_NUMBERS: Final = frozenset({int, float})
_TEXT: Final[frozenset[type]] = frozenset({str})
_NEED_KEYS: Final = frozenset({"kind", *NeedLine._fields})
_COLLECTED_KEYS: Final = frozenset({"kind", *CollectedLine._fields}) - {"fingerprints", "parents"}
_OUTCOME_KEYS: Final = frozenset({"kind", *OutcomeLine._fields})


class _Bound(NamedTuple):
    """The claims of a node with the fingerprints that they bind."""

    claims: tuple[Claim, ...]
    fingerprints: Mapping[str, str]
    parents: Mapping[str, str]


_NO_CLAIMS: Final = _Bound((), EMPTY, EMPTY)


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> Row:
    """Return an object; a key that stands twice would mean two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise EvidenceError("a key stands twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise EvidenceError(f"{text} is no JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_refuse_repeated, parse_constant=_refuse_constant
)


def parse_row(data: bytes) -> Row:
    """Return the object in one line of UTF-8 text.

    Raises:
        EvidenceError: It is not one JSON object, a key stands twice, or it is nested too deeply.
    """
    try:
        text = data.decode()
        row, end = _DECODER.raw_decode(text)
        if _ESCAPE in data:  # half a character cannot be printed
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeError as exc:
        raise EvidenceError("not UTF-8") from exc
    except (ValueError, RecursionError) as exc:
        raise EvidenceError(f"not JSON: {str(exc)[:80]}") from exc
    if end != len(text) or type(row) is not dict:
        raise EvidenceError("not one JSON object")
    return row


class LineDecoder:
    """Turns rows of one run into lines; texts and claims that occur often are kept once."""

    def __init__(self) -> None:
        self.version = 0
        self.needs: dict[str, NeedLine] = {}
        self._texts: dict[str, str] = {}
        self._bound: dict[tuple[object, ...], _Bound] = {}
        self._phases: dict[tuple[object, ...], Mapping[str, str]] = {}
        self._readers: Mapping[str, Callable[[Row], Line]] = {
            "run": self._run,
            "need": self._need,
            "collected": self._collected,
            "outcome": self._outcome,
            "uncollected": lambda row: _model(UncollectedLine, row),
            "end": lambda row: _model(EndLine, row),
        }

    def decode(self, row: Row) -> Line:
        """Return the line in a row whose link was taken out.

        Args:
            row: May be used up by this.

        Raises:
            EvidenceError: The row is not a line of this format.
        """
        kind = row.get("kind")
        reader = self._readers.get(kind) if type(kind) is str else None
        if reader is None:
            raise EvidenceError(f"{str(kind)[:40]!r} is no kind of evidence line")
        try:
            return reader(row)
        except KeyError as exc:
            raise EvidenceError(f"{kind}: no {exc.args[0]}") from exc
        except (TypeError, AttributeError, ValueError) as exc:
            raise EvidenceError(f"{kind}: not the shape of such a line") from exc

    def _run(self, row: Row) -> RunLine:
        """Return a run line and take over its version."""
        line = _model(RunLine, row)
        if line.schema_version not in {1, 2}:
            raise EvidenceError(f"version {line.schema_version} of the format is not known here")
        if line.schema_version == 2 and (line.monotonic_ns is None or not line.run_id):
            raise EvidenceError("run: no run_id or no monotonic_ns")
        self.version = line.schema_version
        return line

    def _need(self, row: Row) -> NeedLine:
        """Return a need line and remember it for the claims that follow."""
        line = NeedLine(
            need_id=row["need_id"],
            fingerprint=row["fingerprint"],
            binds=tuple(row.get("binds", ())),
            parents=tuple(row.get("parents", ())),
        )
        if not row.keys() <= _NEED_KEYS:
            raise TypeError
        if not all(type(text) is str for text in (*line[:2], *line.binds, *line.parents)):
            raise TypeError
        if line.need_id in self.needs:
            raise EvidenceError(f"{line.need_id} stands twice")
        self.needs[line.need_id] = line
        return line

    def _collected(self, row: Row) -> CollectedLine:
        """Return a collected line with what its claims bind."""
        node: str = row["node"]
        keep, get = self._texts.setdefault, row.get
        path, name = place_of(node)
        source_file, source_name = get("source_file", path), get("source_name", name)
        digest, deselected, params = get("digest", ""), get("deselected", False), get("params")
        bound = self._bind(row)
        if not (
            type(source_file) is type(source_name) is type(digest) is str
            and type(deselected) is bool
            and row.keys() <= _COLLECTED_KEYS
        ):
            raise TypeError
        if params is not None and not set(map(type, params.values())) <= _TEXT:
            raise TypeError
        return CollectedLine(
            node,
            keep(source_file, source_file),
            keep(source_name, source_name),
            keep(digest, digest),
            EMPTY if params is None else params,
            bound.claims,
            deselected,
            bound.fingerprints,
            bound.parents,
        )

    def _bind(self, row: Row) -> _Bound:
        """Return the claims with the fingerprints that the run wrote down for them."""
        claims = row.get("claims")
        if self.version == 1:
            del row["function"]
            fingerprints, parents = row.pop("fingerprints", {}), row.pop("parents", {})
            return _Bound(_claims_of(claims or []), _texts(fingerprints), _texts(parents))
        if claims is None:
            return _NO_CLAIMS
        key = tuple([
            (len(claim), claim["marker"], claim["need_id"], *claim.get("keywords", EMPTY).items())
            for claim in claims
        ])
        found = self._bound.get(key)
        if found is None:
            found = self._bound[key] = self._first_bound(_claims_of(claims))
        return found

    def _first_bound(self, claims: tuple[Claim, ...]) -> _Bound:
        """Return what a set of claims binds; a need without a line binds nothing."""
        needs = self.needs
        claimed = [needs[claim.need_id] for claim in claims if claim.need_id in needs]
        named = {need.need_id: need for need in claimed}
        try:
            named.update({need_id: needs[need_id] for need in claimed for need_id in need.binds})
            parents = {n: needs[n] for need in named.values() for n in need.parents}
        except KeyError as exc:
            raise EvidenceError(f"rests on {exc.args[0]}, which no line holds") from exc
        return _Bound(
            claims,
            {need_id: need.fingerprint for need_id, need in named.items()},
            {n: need.fingerprint for n, need in parents.items() if n not in named},
        )

    def _outcome(self, row: Row) -> OutcomeLine:
        """Return an outcome line."""
        node, started, reason = row["node"], row["started"], row.get("reason", "")
        outcome, phases = row["outcome"], self._phases_of(row["phases"])
        duration_s = row["duration_s"]
        monotonic_ns = row["monotonic_ns"] if self.version > 1 else 0
        if not (
            type(node) is type(started) is type(reason) is str
            and outcome in OUTCOMES
            and type(duration_s) in _NUMBERS
            and 0 <= duration_s < math.inf
            and type(monotonic_ns) is int
            and row.keys() <= _OUTCOME_KEYS
        ):
            raise TypeError
        properties, attachments = row.get("properties"), row.get("attachments")
        return OutcomeLine(
            node,
            self._texts.setdefault(outcome, outcome),
            phases,
            started,
            duration_s,
            reason,
            monotonic_ns if self.version > 1 else None,
            EMPTY if properties is None else _figures(properties),
            () if attachments is None else tuple(_attachment(entry) for entry in attachments),
        )

    def _phases_of(self, raw: list[str | None] | Mapping[str, str]) -> Mapping[str, str]:
        """Return the outcome of each phase that ran."""
        key = (*raw, *raw.values()) if isinstance(raw, dict) else tuple(raw)
        found = self._phases.get(key)
        if found is None:
            pairs = raw if isinstance(raw, dict) else dict(zip(PHASES, raw, strict=True))
            found = {phase: outcome for phase, outcome in pairs.items() if outcome is not None}
            if not (found.keys() <= set(PHASES) and set(found.values()) <= set(OUTCOMES)):
                raise TypeError
            self._phases[key] = found
        return found


def _model(model: type[_RareLine], row: Row) -> _RareLine:
    """Return a line of a rare kind."""
    try:
        line = model.model_validate_json(json.dumps(row))
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise EvidenceError(f"{place}: {first['msg']}"[:200]) from exc
    return line


def _claims_of(rows: list[Row]) -> tuple[Claim, ...]:
    """Return claims."""
    return tuple(Claim.model_validate(row) for row in rows)


def _texts(raw: Mapping[str, Any]) -> Mapping[str, str]:
    """Return texts by name."""
    if not all(type(value) is str for value in raw.values()):
        raise TypeError
    return raw


def _figures(raw: Mapping[str, Any]) -> Mapping[str, Figure]:
    """Return figures by name."""
    for value in raw.values():
        if type(value) not in {str, int, float} or (type(value) is float and math.isinf(value)):
            raise TypeError
    return raw


def _attachment(row: Row) -> Attachment:
    """Return one attachment."""
    found = Attachment(row.pop("path"), row.pop("sha256"), row.pop("bytes"))
    is_digest = type(found.sha256) is str and len(found.sha256) == 64 and set(found.sha256) <= _HEX
    if row or type(found.path) is not str or not is_digest or type(found.bytes) is not int:
        raise TypeError
    return found
