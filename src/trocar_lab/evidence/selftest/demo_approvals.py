"""Approvals of the demo project: a roster of one, and a signed decision about each of its needs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trocar_lab.evidence.graph.history import History, HistoryEntry
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.project import approved_texts
from trocar_lab.evidence.signed.approvals import FILE, ROSTER, Approval, ApprovalLog

REVIEWER: Final = "Demo Reviewer"
AUTHOR: Final = "Demo Author"
ROLE: Final = "Quality manager of the demo"
_DAY: Final = dt.date(2026, 11, 1)


def write_demo_key(root: Path, *, name: str = REVIEWER) -> Path:
    """Write a throwaway key and a roster that names its holder; return the private key's path."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path, roster = root / "demo_key.pem", root / ROSTER
    path.write_bytes(private)
    roster.parent.mkdir(parents=True, exist_ok=True)
    roster.write_text(
        f'[[reviewer]]\nname = "{name}"\nemail = "reviewer@example.org"\nrole = "{ROLE}"\n'
        f'public_key = """\n{public.decode()}"""\n',
        encoding="utf-8",
    )
    return path


def approve_demo(root: Path, graph: Graph, *, left_out: str = "") -> None:
    """Approve every normative need in its present text, all but one if one is named."""
    (root / FILE).unlink(missing_ok=True)  # signed by a key that is gone
    key = write_demo_key(root)
    texts = approved_texts(root, graph)
    log = ApprovalLog(root)
    needs = [need for need in graph.live() if graph.model.type[need.need_type].normative]
    approvals = [
        Approval(
            need_id=need.need_id,
            fingerprint=texts[need.need_id],
            links={t: texts.get(t, "") for ids in need.links.values() for t in ids},
            reviewer=REVIEWER,
            role=ROLE,
            date=_DAY,
        )
        for need in needs
        if need.need_id != left_out
    ]
    log.append(approvals, key=key)


def demo_history(graph: Graph, *, author: str = AUTHOR, written: str = "2026-10-01") -> History:
    """Return a history in which one person wrote every need in one commit, on one day."""
    return History(
        entries={
            need_id: (
                HistoryEntry(
                    commit="0" * 40,
                    date=f"{written}T08:00:00+00:00",
                    author=author,
                    email="author@example.org",
                    fingerprint=need.fingerprint,
                ),
            )
            for need_id, need in graph.needs.items()
        }
    )
