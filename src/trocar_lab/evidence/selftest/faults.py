"""The faults that the self-test seeds, read from ``seeded/*.toml``, and how each is planted.

Each is one small change, the rule that must catch it, and words that the rule's reason must hold,
so that no fault is caught by accident. Every fault that ever escaped gets an entry.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.store.evidence_record import (
    CollectedLine,
    EndLine,
    Line,
    OutcomeLine,
    RunLine,
)


class TextEdit(Frozen):
    """One text change; an empty ``old`` replaces the whole file."""

    path: str
    old: str
    new: str


class HostEdit(Frozen):
    """A change of the host's evidence lines before they are linked, as a careful forger makes it.

    It is about the nodes whose id ends with ``node``, or about the run as a whole.
    """

    do: Literal[
        "outcome", "lose_outcome", "lose_node", "deselect", "relabel", "other_model", "earlier_end"
    ]
    node: str = "no such node"
    outcome: str = ""
    when: str = "call"
    reason: str = "seeded"

    def apply(self, lines: list[Line]) -> list[Line]:
        """Return the changed lines."""
        found: list[Line] = []
        for line in lines:
            if isinstance(line, OutcomeLine) and line.node.endswith(self.node):
                if self.do == "outcome":
                    found.append(self._changed(line))
            elif isinstance(line, CollectedLine) and line.node.endswith(self.node):
                if self.do != "lose_node":
                    found.append(line._replace(deselected=self.do == "deselect"))
            else:
                found.append(self._changed_run(line))
        return found

    def _changed_run(self, line: Line) -> Line:
        """Return the first or the last line of the run changed, and any other as it is."""
        if self.do == "earlier_end" and isinstance(line, EndLine):
            return line.model_copy(update={"finished": "2026-11-21T07:59:50+00:00"})
        if not isinstance(line, RunLine) or self.do not in {"relabel", "other_model"}:
            return line
        identity = line.identity
        label = identity.platform.model_copy(update={"host_class": "agx"})
        update = {"platform": label} if self.do == "relabel" else {"packs": {"demo": "2" * 64}}
        return line.model_copy(update={"identity": identity.model_copy(update=update)})

    def _changed(self, line: OutcomeLine) -> OutcomeLine:
        """Return the outcome line with another outcome in one phase."""
        phases = {**line.phases, self.when: self.outcome}
        return line._replace(outcome=self.outcome, reason=self.reason, phases=phases)


class Tamper(Frozen):
    """A change of a written file, by default the host's evidence, that does not mend its chain."""

    do: Literal["replace", "cut", "replay", "insert", "reorder"]
    old: str = ""
    new: str = ""
    path: str = ""

    def apply(self, path: Path, root: Path) -> None:
        """Change the file."""
        path = root / self.path if self.path else path
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        match self.do:
            case "replace":
                changed = text.replace(self.old, self.new, 1)
            case "cut":
                changed = text[:-20]
            case "replay":
                changed, path = text, path.with_name("run-20261121T090000Z-3.jsonl")
            case "insert":
                changed = "".join([*lines[:-1], lines[-2], lines[-1]])
            case _:  # reorder
                changed = "".join([*lines[:-3], lines[-2], lines[-3], lines[-1]])
        path.write_text(changed, encoding="utf-8")


class Fault(Frozen):
    """One seeded fault.

    Attributes:
        name: What was done.
        rule: The rule that must catch it.
        phrase: Words that the reason must hold, so that a fault is not caught by accident.
        edits: Text changes.
        stale: The evidence is from before the change.
        host: Change of the host's evidence lines.
        agx: There is AGX evidence.
        dropped: Id of a need that Sphinx drops with a warning.
        tamper: Change of the written evidence file.
        is_open: The fault shows as an open row, which only a release stops on.
        stale_approval: The approvals are from before the change, the evidence is not.
        unapproved: Id of a need that nobody approved.
        author: Who wrote every text, by the history.
        written: Day on which that was.
        sealed: The evidence is sealed, before anything is tampered with.
    """

    name: str
    rule: str
    phrase: str
    edits: tuple[TextEdit, ...] = ()
    stale: bool = False
    host: HostEdit | None = None
    agx: bool = True
    dropped: str = ""
    tamper: Tamper | None = None
    is_open: bool = False
    stale_approval: bool = False
    unapproved: str = ""
    author: str = "Demo Author"
    written: str = "2026-10-01"
    sealed: bool = True


@cache
def load_faults() -> tuple[Fault, ...]:
    """Return the faults in order of file name, then in the order of the file."""
    folder = resources.files("trocar_lab.evidence.selftest").joinpath("seeded")
    files = sorted((p for p in folder.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name)
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in files]
    return tuple(Fault.model_validate(row) for table in tables for row in table["fault"])
