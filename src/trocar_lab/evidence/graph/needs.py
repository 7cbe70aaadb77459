"""One need, its fingerprint, and the needs.json form of a set of needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen


class Need(Frozen):
    """One authored need; values are normalised text.

    Attributes:
        need_id: The id, unique in the graph.
        need_type: Directive name.
        title: One line.
        content: Body, white space collapsed, so that reflowing a paragraph changes nothing.
        fields: Authored fields except ``status``.
        links: Authored outgoing links, in the order written.
        status: draft, approved or retired.
        place: Where it is written: ``path:line`` from a scan, page name from needs.json.
    """

    need_id: str
    need_type: str
    title: str
    content: str = ""
    fields: Mapping[str, str] = Field(default_factory=dict)
    links: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    status: str = "draft"
    place: str = ""

    def targets(self, link: str) -> tuple[str, ...]:
        """Return the ids that ``link`` points to; empty when it is not written."""
        return self.links.get(link, ())

    def field(self, name: str) -> str:
        """Return the value of a field; empty when it is not written."""
        return self.fields.get(name, "")

    @property
    def is_retired(self) -> bool:
        """Return whether the need only keeps its id."""
        return self.status == "retired"

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over id, type, title, body, fields, links; not status or place."""
        value = {
            "id": self.need_id,
            "type": self.need_type,
            "title": self.title,
            "content": self.content,
            "fields": {name: text for name, text in sorted(self.fields.items()) if text},
            "links": {name: sorted(ids) for name, ids in sorted(self.links.items()) if ids},
        }
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def collapse(text: str) -> str:
    """Return ``text`` with each run of white space as one space."""
    return " ".join(text.split())


def needs_json_of(needs: Iterable[Need]) -> dict[str, Any]:
    """Return the part of sphinx-needs' needs.json that this toolchain reads."""
    rows = {
        need.need_id: {
            "id": need.need_id,
            "type": need.need_type,
            "title": need.title,
            "content": need.content,
            "status": need.status,
            "docname": need.place.rsplit(":", 1)[0].removesuffix(".rst"),
            **need.fields,
            **{name: list(ids) for name, ids in need.links.items()},
        }
        for need in needs
    }
    return {"current_version": "", "versions": {"": {"needs": rows, "needs_amount": len(rows)}}}
