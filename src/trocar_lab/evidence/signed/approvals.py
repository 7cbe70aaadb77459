"""Approvals: who confirmed which text of which need, and its links, as signed append-only data.

Only ``approve`` writes here, and only on an explicit command; no check, build or report ever does.
One line is one decision; the last decision about a need counts. Each line holds the SHA-256 of the
line before it and an Ed25519 signature of the reviewer, whose public key stands in the roster.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import Field, ValidationError

from trocar_lab.evidence.errors import ApprovalError, RecordError, SignatureError, SourceTextError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.source_text import read_toml
from trocar_lab.evidence.signed.signatures import is_signed, public_key, sign

FILE: Final = "requirements_spec/approvals.jsonl"
ROSTER: Final = "verification/reviewers.toml"
FIRST_LINK: Final = "0" * 64
_HEX: Final = "^[0-9a-f]{64}$"


class ApprovalState(StrEnum):
    """What is known about the approval of a need's present text."""

    APPROVED = "approved"
    MISSING = "missing"
    STALE = "stale"


class Reviewer(Frozen):
    """One person who may approve, as the roster names them."""

    name: str = Field(pattern=r"^\S+ \S+")
    email: str = Field(pattern=r"^\S+@\S+$")
    role: str = Field(min_length=5)
    public_key: str


class Approval(Frozen):
    """One decision about one need.

    Attributes:
        prev_sha256: Digest of the line before it.
        need_id: The need.
        decision: approve, or withdraw.
        fingerprint: Of the need's text, fields and links when the decision was made.
        links: Target id to the fingerprint that the target had: the links were confirmed with it.
        reviewer: Name, as in the roster.
        role: Role in which the decision was made.
        date: Day of the decision.
        reason: Free text; required to withdraw.
        signature: Ed25519 over the line without this field.
    """

    schema_version: Literal[1] = 1
    prev_sha256: str = Field(default=FIRST_LINK, pattern=_HEX)
    need_id: str
    decision: Literal["approve", "withdraw"] = "approve"
    fingerprint: str = Field(pattern=_HEX)
    links: Mapping[str, str] = Field(default_factory=dict)
    reviewer: str
    role: str
    date: dt.date
    reason: str = ""
    signature: str = ""

    def message(self) -> bytes:
        """Return the bytes that the reviewer signs."""
        return _text(self.model_copy(update={"signature": ""})).encode()


class Approvals(Frozen):
    """Every decision that counts.

    Attributes:
        last: Need id to the last decision about it.
        roster: Name to reviewer.
        faults: (place, reason) of each line that cannot be trusted.
    """

    last: Mapping[str, Approval] = Field(default_factory=dict)
    roster: Mapping[str, Reviewer] = Field(default_factory=dict)
    faults: tuple[tuple[str, str], ...] = ()

    def of(self, need_id: str) -> Approval | None:
        """Return the approval in force, or None when there is none or it was withdrawn."""
        found = self.last.get(need_id)
        return found if found is not None and found.decision == "approve" else None

    def state(self, need_id: str, fingerprint: str) -> ApprovalState:
        """Return whether the present text of a need is the approved one."""
        found = self.of(need_id)
        if found is None:
            return ApprovalState.MISSING
        is_same = found.fingerprint == fingerprint
        return ApprovalState.APPROVED if is_same else ApprovalState.STALE

    def stale_links(self, need_id: str, targets: Mapping[str, str]) -> tuple[str, ...]:
        """Return the targets that had another text when the links of a need were confirmed.

        Args:
            need_id: An approved need.
            targets: Each target of the need to its present fingerprint.
        """
        found = self.of(need_id)
        confirmed = found.links if found is not None else {}
        return tuple(sorted(t for t, value in targets.items() if confirmed.get(t) != value))


class _Head(NamedTuple):
    """What the file holds: its decisions, its faults, and the digest that a new line follows."""

    approvals: tuple[Approval, ...]
    faults: tuple[tuple[str, str], ...]
    digest: str


class ApprovalLog:
    """The file of approvals under one root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / FILE

    @cached_property
    def roster(self) -> dict[str, Reviewer]:
        """Return name to reviewer.

        Raises:
            RecordError: The roster is not well formed.
        """
        path = self._root / ROSTER
        if not path.is_file():
            return {}
        try:
            rows = read_toml(path).get("reviewer", [])
            found = [Reviewer.model_validate(row) for row in rows]
        except (SourceTextError, ValidationError) as exc:
            raise RecordError(f"{path}: {exc}") from exc
        return {reviewer.name: reviewer for reviewer in found}

    def read(self) -> Approvals:
        """Return the decisions in force; a line that cannot be trusted is a fault."""
        if not self._path.is_file():
            return Approvals(roster=self.roster)
        head = self._judged(self._path.read_bytes())
        last = {approval.need_id: approval for approval in head.approvals}
        return Approvals(last=last, roster=self.roster, faults=head.faults)

    def append(self, approvals: list[Approval], *, key: Path) -> None:
        """Sign and append decisions, one writer at a time; all of them are on disk or none counts.

        Args:
            approvals: Decisions in the order in which they are to stand.
            key: Private key of the reviewer.

        Raises:
            ApprovalError: The file has a fault, so that nothing may be built on it.
            SignatureError: The key cannot be used, or is not that of the roster.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            content = stream.read()
            whole = content.rpartition(b"\n")[0] + b"\n" if b"\n" in content else b""
            head = self._judged(whole)
            if head.faults:
                place, reason = head.faults[0]
                raise ApprovalError(f"{place}: {reason}; nothing is appended to a damaged file")
            previous, lines = head.digest, []
            for approval in approvals:
                linked = approval.model_copy(update={"prev_sha256": previous})
                signed = linked.model_copy(update={"signature": sign(linked.message(), key)})
                fault = self._fault(signed)
                if fault:
                    raise SignatureError(f"{signed.need_id}: {fault}")
                lines.append(_text(signed))
                previous = _digest(lines[-1])
            stream.truncate(len(whole))  # what a killed writer left without its end was never told
            stream.write("".join(f"{line}\n" for line in lines).encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _judged(self, content: bytes) -> _Head:
        """Return the sound decisions of a file and what is wrong with the others."""
        found: list[Approval] = []
        faults: list[tuple[str, str]] = []
        previous = FIRST_LINK
        texts = content.decode("utf-8", "replace").split("\n")
        if texts.pop():
            faults.append((FILE, "the last line is cut off"))
        for number, text in enumerate(texts, start=1):
            place = f"{FILE}:{number}"
            try:
                approval = Approval.model_validate_json(text)
            except ValidationError as exc:
                faults.append((place, f"not an approval: {exc.errors()[0]['msg']}"))
                previous = _digest(text)
                continue
            reasons = [
                "does not follow the line before it" if approval.prev_sha256 != previous else "",
                "is not written in canonical form" if _text(approval) != text else "",
                self._fault(approval),
            ]
            faults += [(place, reason) for reason in reasons if reason]
            if not any(reasons):
                found.append(approval)
            previous = _digest(text)
        return _Head(tuple(found), tuple(faults), previous)

    def _fault(self, approval: Approval) -> str:
        """Return why the signature of a decision counts nothing, or nothing."""
        reviewer = self.roster.get(approval.reviewer)
        if reviewer is None:
            return f"{approval.reviewer} is not in {ROSTER}"
        try:
            key = public_key(reviewer.public_key)
        except SignatureError as exc:
            return f"key of {approval.reviewer}: {exc}"
        if not is_signed(approval.message(), approval.signature, key):
            return f"the signature is not that of {approval.reviewer}"
        return ""


def _text(approval: Approval) -> str:
    """Return one decision as canonical JSON."""
    return json.dumps(
        approval.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )


def _digest(text: str) -> str:
    """Return the SHA-256 of one line."""
    return hashlib.sha256(text.encode()).hexdigest()
