"""The trace metamodel: one table read into frozen values; everything else is derived from it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trocar_lab.evidence.errors import MetamodelError

ANY: Final = "*"


class Frozen(BaseModel):
    """A value of the trace: frozen, strict about unknown keys."""

    # Most commands use few of the values: their validators are built when they are first needed.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class FieldRule(Frozen):
    """One field of a need.

    Attributes:
        title: Words shown in the report.
        help: One sentence for the author of a need.
        vocabulary: Name of the allowed values, or empty.
        pattern: Name of the pattern that a value matches, or empty.
        many: The value is a comma-separated list.
    """

    title: str
    help: str = ""
    vocabulary: str = ""
    pattern: str = ""
    many: bool = False


class LinkRule(Frozen):
    """One link name: its words in both directions and its family."""

    outgoing: str
    incoming: str
    family: str = ""


class FamilyRule(Frozen):
    """A family of links; ``acyclic`` families may hold no cycle."""

    acyclic: bool


class MarkerRule(Frozen):
    """One pytest marker.

    Attributes:
        link: The link that an id in the marker stands for; empty for ``case``.
        keywords: Allowed keyword to the name of its vocabulary (empty: free text).
        required: Keywords that may not be left out.
    """

    link: str
    keywords: Mapping[str, str]
    required: tuple[str, ...]


class TargetRule(Frozen):
    """Where one link of one need type may point, and how often.

    Attributes:
        to: Directive names, or ``*``.
        min: Smallest number of links.
        max: Largest number; 0 means no bound.
        or_field: A field that may stand in for the missing link.
    """

    to: tuple[str, ...]
    min: int = Field(default=0, ge=0)
    max: int = Field(default=0, ge=0)
    or_field: str = ""


class TypeRule(Frozen):
    """One need type; ``normative`` needs are approved by a person other than their author."""

    prefix: str
    normative: bool = False
    title: str
    color: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    links: Mapping[str, TargetRule] = Field(default_factory=dict)
    at_least_one_of: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Return required and optional field names, in that order."""
        return self.required + self.optional


class ProbabilityTable(Frozen):
    """Probability of harm from P1 (row) and P2 (column), each 1 to 5."""

    matrix: tuple[tuple[int, ...], ...]


class LevelTable(Frozen):
    """Risk level from severity (row) and probability of harm (column), each 1 to 5."""

    names: tuple[str, ...]
    acceptable: str
    matrix: tuple[tuple[str, ...], ...]


class Risk(Frozen):
    """Scales and matrices of the risk plan."""

    scale: Mapping[str, Mapping[str, str]]
    probability: ProbabilityTable
    level: LevelTable

    def level_of(self, *, severity: int, p1: int, p2: int) -> str:
        """Return the risk level; it is computed here and never typed into a need.

        Args:
            severity: 1 to 5.
            p1: Probability that the situation occurs, 1 to 5.
            p2: Probability that the situation leads to the harm, 1 to 5.

        Raises:
            MetamodelError: A value lies outside its scale.
        """
        if not all(1 <= value <= 5 for value in (severity, p1, p2)):
            raise MetamodelError(f"scale values are 1 to 5, got {severity}, {p1}, {p2}")
        probability = self.probability.matrix[p1 - 1][p2 - 1]
        return self.level.matrix[severity - 1][probability - 1]

    def is_acceptable(self, level: str) -> bool:
        """Return whether ``level`` lies on or below the line of acceptance."""
        names = self.level.names
        return names.index(level) <= names.index(self.level.acceptable)


class Metamodel(Frozen):
    """The whole table; consistent by construction."""

    schema_version: int
    id_pattern: str
    vocabulary: Mapping[str, tuple[str, ...]]
    pattern: Mapping[str, str]
    field: Mapping[str, FieldRule]
    link: Mapping[str, LinkRule]
    family: Mapping[str, FamilyRule]
    marker: Mapping[str, MarkerRule]
    test_folder: Mapping[str, str]
    type: Mapping[str, TypeRule]
    risk: Risk

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        """Refuse a table that names something it does not define."""
        faults = [
            *_unknown("vocabulary", self._vocabulary_names(), self.vocabulary),
            *_unknown(
                "pattern", (f.pattern for f in self.field.values() if f.pattern), self.pattern
            ),
            *_unknown("family", (v.family for v in self.link.values() if v.family), self.family),
            *_unknown("field", (name for t in self.type.values() for name in t.fields), self.field),
            *_unknown("link", self._link_names(), self.link),
            *_unknown("type", self._target_names(), self.type),
            *self._matrix_faults(),
        ]
        prefixes = [t.prefix for t in self.type.values()]
        if len(set(prefixes)) != len(prefixes):
            faults.append("two types share an id prefix")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _vocabulary_names(self) -> Iterator[str]:
        """Yield each vocabulary name that fields and markers use."""
        yield from (f.vocabulary for f in self.field.values() if f.vocabulary)
        for marker in self.marker.values():
            yield from (name for name in marker.keywords.values() if name)

    def _link_names(self) -> Iterator[str]:
        """Yield each link name that types and markers use."""
        for rule in self.type.values():
            yield from rule.links
            yield from rule.at_least_one_of
        yield from (m.link for m in self.marker.values() if m.link)

    def _target_names(self) -> Iterator[str]:
        """Yield each type name that a link points to."""
        for rule in self.type.values():
            for target in rule.links.values():
                yield from (name for name in target.to if name != ANY)

    def _matrix_faults(self) -> list[str]:
        """Return what is wrong with the risk matrices: shape, names, monotony."""
        faults = []
        probability, level = self.risk.probability.matrix, self.risk.level
        ranks = {name: index for index, name in enumerate(level.names)}
        if (
            any(cell not in ranks for row in level.matrix for cell in row)
            or level.acceptable not in ranks
        ):
            return ["the level matrix names an unknown level"]
        ranked = tuple(tuple(ranks[cell] for cell in row) for row in level.matrix)
        for name, matrix in (("probability", probability), ("level", ranked)):
            if len(matrix) != 5 or any(len(row) != 5 for row in matrix):
                faults.append(f"the {name} matrix is not 5 by 5")
            elif not (_rises(matrix) and _rises(tuple(zip(*matrix, strict=True)))):
                faults.append(f"the {name} matrix falls somewhere")
        return faults

    def type_of_id(self, need_id: str) -> str | None:
        """Return the need type that the id's prefix names, or None."""
        if not re.fullmatch(self.id_pattern, need_id):
            return None
        return next((n for n, t in self.type.items() if need_id.startswith(t.prefix)), None)

    def field_fault(self, name: str, value: str) -> str | None:
        """Return why ``value`` is not allowed in field ``name``, or None."""
        rule = self.field[name]
        parts = split_list(value) if rule.many else [value]
        if not parts or not all(parts):
            return f"{name} is empty"
        allowed = self.vocabulary[rule.vocabulary] if rule.vocabulary else ()
        for part in parts:
            if allowed and part not in allowed:
                return f"{name} is {part!r}; allowed: {', '.join(allowed)}"
            if rule.pattern and not re.search(self.pattern[rule.pattern], part):
                return f"{name} is {part!r}; it must match {self.pattern[rule.pattern]}"
        return None

    def marker_targets(self, marker: str) -> tuple[str, ...]:
        """Return the need types that an id in ``marker`` may name."""
        if marker == "case":
            return ("test_case",)
        return self.type["test_case"].links[self.marker[marker].link].to

    def keyword_faults(self, marker: str, keywords: Mapping[str, object]) -> Iterator[str]:
        """Yield what is wrong with the keywords of one marker.

        Args:
            marker: Name of the marker.
            keywords: As written.
        """
        rule = self.marker[marker]
        for name, value in keywords.items():
            if name not in rule.keywords:
                known = ", ".join(rule.keywords) or "none"
                yield f"marker {marker} has no keyword {name!r}; allowed: {known}"
                continue
            allowed = self.vocabulary[rule.keywords[name]] if rule.keywords[name] else ()
            if (
                not isinstance(value, str)
                or not value.strip()
                or (allowed and value not in allowed)
            ):
                yield f"marker {marker}: {name}={value!r}; allowed: {', '.join(allowed) or 'text'}"
        for name in rule.required:
            if name not in keywords:
                yield f"marker {marker} needs {name}="


def split_list(value: str) -> list[str]:
    """Return the stripped parts of a comma-separated value; empty parts are dropped."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _unknown(kind: str, used: Iterator[str], known: Mapping[str, object]) -> list[str]:
    """Return a fault for each used name that is not known."""
    return [f"unknown {kind} {name!r}" for name in sorted(set(used) - set(known))]


def _rises(matrix: tuple[tuple[int, ...], ...]) -> bool:
    """Return whether no row falls from left to right."""
    return all(a <= b for row in matrix for a, b in pairwise(row))


def parse_metamodel(text: str) -> Metamodel:
    """Return the metamodel written in ``text``.

    Raises:
        MetamodelError: The text is not TOML, or the table contradicts itself.
    """
    try:
        return Metamodel.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as exc:
        raise MetamodelError(f"metamodel.toml: {exc}") from exc


@cache
def load_metamodel() -> Metamodel:
    """Return the metamodel that lies beside this module."""
    path = resources.files("trocar_lab.evidence.graph").joinpath("metamodel.toml")
    return parse_metamodel(path.read_text(encoding="utf-8"))
