"""Rule P1: controlled documents exist, hold the sections of their kind, and are approved."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Final

from pydantic import Field, ValidationError

from trocar_lab.evidence.errors import MetamodelError
from trocar_lab.evidence.graph.metamodel import Frozen, load_metamodel
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Tally
from trocar_lab.evidence.signed.approvals import ApprovalState
from trocar_lab.evidence.source.document_sections import section_words

TABLE: Final = "anchors.toml"


class RequiredSection(Frozen):
    """One section that a kind of document must hold.

    Attributes:
        label: RST label.
        clause: Which clause asks for it.
        says: What a reader must find there.
    """

    label: Annotated[str, Field(pattern="^[a-z][a-z0-9-]+$")]
    clause: Annotated[str, Field(min_length=1)]
    says: Annotated[str, Field(min_length=10)]


class DocumentKind(Frozen):
    """One kind of controlled document."""

    required: bool
    about: str
    sections: tuple[RequiredSection, ...] = Field(min_length=1)


class Anchors(Frozen):
    """The table of kinds and their sections."""

    words_min: int = Field(gt=0)
    kind: Mapping[str, DocumentKind]


@cache
def load_anchors() -> Anchors:
    """Return the table of anchors.toml.

    Raises:
        MetamodelError: It is not well formed, or its kinds are not those of the metamodel.
    """
    text = resources.files("trocar_lab.evidence.rules").joinpath(TABLE).read_text("utf-8")
    return parse_anchors(text, kinds=load_metamodel().vocabulary["document_kind"])


def parse_anchors(text: str, *, kinds: tuple[str, ...]) -> Anchors:
    """Return the table in a TOML text.

    Args:
        text: Content of anchors.toml.
        kinds: Kinds of the metamodel.

    Raises:
        MetamodelError: It is not well formed, or its kinds are not those of the metamodel.
    """
    try:
        anchors = Anchors.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as exc:
        raise MetamodelError(f"{TABLE}: {exc}") from exc
    if set(anchors.kind) != set(kinds):
        odd = ", ".join(sorted(set(anchors.kind) ^ set(kinds)))
        raise MetamodelError(f"{TABLE} and the metamodel differ in the kinds {odd}")
    labels = [section.label for kind in anchors.kind.values() for section in kind.sections]
    if len(set(labels)) != len(labels):
        raise MetamodelError(f"{TABLE}: a label stands twice; Sphinx needs each once")
    return anchors


def documents_are_complete(project: Project, tally: Tally) -> None:
    """P1: every kind of document exists, holds its sections, is approved by another person."""
    anchors = load_anchors()
    by_kind: dict[str, list[Need]] = {kind: [] for kind in anchors.kind}
    for need in project.graph.live("document"):
        by_kind.setdefault(need.field("document_kind"), []).append(need)
        _judge_document(project, tally, need)
    for name, kind in anchors.kind.items():
        documents = by_kind[name]
        if documents:
            key = documents[0].need_id if len(documents) == 1 else name
            tally.check(name)
            tally.check(key, *_section_faults(project, documents, kind, anchors.words_min))
        elif kind.required and not project.records.is_not_applicable("P1", name):
            tally.check(name, "no document of this kind and no signed record")


def _judge_document(project: Project, tally: Tally, need: Need) -> None:
    """Count one document: its file, its two roles, its approval."""
    path, author, approver = (need.field(name) for name in ("path", "author", "approver"))
    absent = f"{path or 'no path'}: no such file in the repository, or not UTF-8 text"
    tally.check(
        need.need_id,
        absent if project.documents.get(path) is None else None,
        f"prepared and approved by the same: {author}"
        if author.casefold() == approver.casefold()
        else None,
    )
    state = project.approval_state(need)
    if state is ApprovalState.MISSING:
        tally.leave_open(need.need_id, "not approved")
    elif state is ApprovalState.STALE:
        tally.check(need.need_id, "changed since it was approved; approve it again")


def _section_faults(
    project: Project, documents: list[Need], kind: DocumentKind, words_min: int
) -> list[str]:
    """Return what the documents of one kind lack.

    Args:
        project: What is judged.
        documents: Every live document of the kind.
        kind: What it must hold.
        words_min: Fewer words are an empty section.
    """
    found: dict[str, int] = {}
    for need in documents:
        path = need.field("path")
        text = project.documents.get(path) if path.endswith(".rst") else None
        for label, count in section_words(text or "").items():
            found[label] = max(count, found.get(label, 0))
    faults = []
    for section in kind.sections:
        count = found.get(section.label, -1)
        if count < 0:
            faults.append(f"no section labelled {section.label} ({section.clause}: {section.says})")
        elif count < words_min:
            words = f"{count} of at least {words_min} words"
            faults.append(f"empty section {section.label}: {words} ({section.clause})")
    return faults
