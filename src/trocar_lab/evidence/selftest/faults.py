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
from trocar_lab.evidence.store.evidence_record import CollectedLine, Line, OutcomeLine


class TextEdit(Frozen):
    """One text change; an empty ``old`` replaces the whole file."""

    path: str
    old: str
    new: str


class HostEdit(Frozen):
    """A change of the host's evidence lines about the nodes whose id ends with ``node``."""

    do: Literal["outcome", "lose_outcome", "lose_node", "deselect"]
    node: str
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
                    update = {"deselected": self.do == "deselect"}
                    found.append(line.model_copy(update=update))
            else:
                found.append(line)
        return found

    def _changed(self, line: OutcomeLine) -> OutcomeLine:
        """Return the outcome line with another outcome in one phase."""
        phases = {**line.phases, self.when: self.outcome}
        update = {"outcome": self.outcome, "reason": self.reason, "phases": phases}
        return line.model_copy(update=update)


class Tamper(Frozen):
    """A change of the written evidence file that does not mend its chain."""

    do: Literal["replace", "cut"]
    old: str = ""
    new: str = ""

    def apply(self, path: Path) -> None:
        """Change the file."""
        text = path.read_text(encoding="utf-8")
        changed = text[:-20] if self.do == "cut" else text.replace(self.old, self.new, 1)
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


@cache
def load_faults() -> tuple[Fault, ...]:
    """Return the faults in order of file name, then in the order of the file."""
    folder = resources.files("trocar_lab.evidence.selftest").joinpath("seeded")
    files = sorted((p for p in folder.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name)
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in files]
    return tuple(Fault.model_validate(row) for table in tables for row in table["fault"])
