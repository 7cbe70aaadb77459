"""The switch from one release to another, and what a start after a power cut does about it.

Each change of the disk is one step of the port ``Files``. Whatever step was the last one, the link
``current`` names a whole slot, and ``recover`` brings records and leftovers in line with it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from trocar.install.files import Files
from trocar.install.slots import (
    CURRENT_NAME,
    INVENTORY_NAME,
    SLOT_NAME,
    SLOTS_NAME,
    STATE_NAME,
    Slot,
    State,
    inventory_text,
    linked_slot,
    read_slots,
    read_state,
    slot_faults,
)

__all__ = ["STAGING_NAME", "Recovery", "Switch"]

STAGING_NAME: Final = "staging"
"""Folder of a release on its way; private, and removed afterwards."""

_PENDING: Final = ".pending"


@dataclass(frozen=True)
class Recovery:
    """What a recovery found.

    Attributes:
        state: What holds now.
        slots: The whole slots that remain, by name.
        remarks: What was not as it should be, in words.
        is_forgotten: Whether releases have run here and no record tells which any more.
    """

    state: State
    slots: dict[str, Slot]
    remarks: tuple[str, ...] = ()
    is_forgotten: bool = False


@dataclass(frozen=True)
class Switch:
    """The steps that change what runs.

    Attributes:
        root: Where releases are installed.
        files: The file system.
    """

    root: Path
    files: Files

    # @need-ids: SRS_INST_008
    def seal(self, slot: Slot, inventory: dict[str, str]) -> Slot:
        """Make a slot whole: all its files on the disk first, then its record.

        Args:
            slot: The slot; its digest of the list of files is filled in.
            inventory: Its files.

        Returns:
            The slot as it was recorded.
        """
        folder = self.root / SLOTS_NAME / slot.name
        content = inventory_text(inventory).encode("utf-8")
        sealed = replace(slot, inventory_sha256=hashlib.sha256(content).hexdigest())
        self.files.write(folder / INVENTORY_NAME, content)
        # @need-ids: RCM_INST_009
        self.files.sync_all()
        self._write(folder / SLOT_NAME, sealed.text())
        self.files.sync_folder(self.root / SLOTS_NAME)
        return sealed

    # @need-ids: SRS_INST_008, RCM_INST_009
    def switch(self, state: State) -> None:
        """Let another slot run: the link first, which is one step; then the record; then the rest.

        Args:
            state: What holds afterwards; its current slot is whole.
        """
        self._point_to(state.current)
        self._write(self.root / STATE_NAME, state.text())
        self._clean(state)

    # @need-ids: SRS_INST_009, RCM_INST_009
    def recover(self, *, is_deep: bool = False) -> Recovery:
        """Bring the link, the records and the leftovers of an interruption in line.

        The link says what runs. Where it names no whole slot, the slot before is taken, unless a
        release has ruled it out; where there is none, nothing runs. What may not come back is taken
        from each record that can be read, also from that of a damaged slot.

        Args:
            is_deep: Whether each file of the slots is checked, not their records only.

        Returns:
            What holds now.
        """
        known, told, linked = read_state(self.root), read_slots(self.root), linked_slot(self.root)
        faults = self._faults(told) if is_deep else {}
        remarks = [f"slot {name} is damaged: {fault}" for name, fault in faults.items()]
        slots = {name: slot for name, slot in told.items() if name not in faults}
        has_run = any(os.path.lexists(self.root / name) for name in (CURRENT_NAME, STATE_NAME))
        is_forgotten = known is None and has_run and not told
        if is_forgotten:
            remarks.append("no record tells any more which releases have run here")
            # Before the link goes, so that this is not taken for a new device the next time.
            self._write(self.root / STATE_NAME, "")
        elif known is None and has_run:
            remarks.append(f"{STATE_NAME} was missing or damaged and was written again")
        state = _settled(known, told, slots, linked, has_run=has_run)
        if state.current != linked:
            remarks.append(
                f"current named {linked}, which cannot run; now it names {state.current}"
            )
            self._point_to(state.current)
        if state != (known or State()):
            self._write(self.root / STATE_NAME, state.text())
        remarks += self._clean(state)
        kept = {name: slots[name] for name in (state.current, state.previous) if name}
        return Recovery(state, kept, tuple(remarks), is_forgotten)

    def _faults(self, slots: dict[str, Slot]) -> dict[str, str]:
        """Return the first fault of each damaged slot."""
        found = ((name, slot_faults(self.root, slot)) for name, slot in slots.items())
        return {name: faults[0] for name, faults in found if faults}

    def _point_to(self, name: str | None) -> None:
        """Let the link name a slot, in one step; None removes it."""
        link, pending = self.root / CURRENT_NAME, self.root / f"{CURRENT_NAME}{_PENDING}"
        if name is None:
            self.files.remove(link)
        else:
            self.files.remove(pending)
            self.files.link(pending, f"{SLOTS_NAME}/{name}")
            self.files.sync_folder(self.root)
            self.files.rename(pending, link)
        self.files.sync_folder(self.root)

    def _write(self, path: Path, text: str) -> None:
        """Replace a record as a whole."""
        pending = path.with_name(f"{path.name}{_PENDING}")
        self.files.remove(pending)
        self.files.write(pending, text.encode("utf-8"))
        self.files.sync_file(pending)
        self.files.rename(pending, path)
        self.files.sync_folder(path.parent)

    def _clean(self, state: State) -> tuple[str, ...]:
        """Remove what neither runs nor ran before, and what an interruption has left."""
        removed = []
        for path in self._leftovers(state):
            record = path / SLOT_NAME
            if not path.is_symlink() and record.is_file():
                # Without its record a slot that is removed by half cannot pass for a whole one.
                self.files.remove(record)
                self.files.sync_folder(path)
            else:
                removed.append(f"{path.relative_to(self.root)} was left over and was removed")
            self.files.remove(path)
        return tuple(removed)

    def _leftovers(self, state: State) -> Iterator[Path]:
        """Yield what has to go."""
        kept = {state.current, state.previous}
        slots = sorted((self.root / SLOTS_NAME).glob("*"))
        yield from (one for one in slots if one.name not in kept)
        for name in (STAGING_NAME, f"{CURRENT_NAME}{_PENDING}", f"{STATE_NAME}{_PENDING}"):
            if os.path.lexists(self.root / name):
                yield self.root / name


def _settled(
    known: State | None,
    told: dict[str, Slot],
    slots: dict[str, Slot],
    linked: str | None,
    *,
    has_run: bool,
) -> State:
    """Return what holds, from the record, all slots that can be read, the whole ones, the link."""
    state = known or State()
    newest_first = sorted(told, key=lambda name: -told[name].sequence)
    # Without a record, every slot may have run; with one, only those that it names.
    others = newest_first if known is None and has_run else []
    order = list(dict.fromkeys([linked, state.current, state.previous, *others]))
    # A slot that is damaged cannot run, but what it rules out stays ruled out.
    seen = [told[name] for name in order if name in told]
    floor = max([state.floor, *(slot.floor for slot in seen)])
    highest = max([state.sequence_highest or 0, *(slot.sequence for slot in seen)])
    state = replace(
        state,
        sequence_highest=highest or None,
        floor=floor,
        date_latest=max([state.date_latest, *(slot.installed for slot in seen)]),
    )
    allowed = [
        name
        for name in order
        if name in slots and (name == linked or slots[name].sequence >= floor)
    ]
    if not allowed:
        return replace(state, current=None, previous=None, is_rolled_back=False)
    current = allowed[0]
    before = [state.previous] if current == state.current else [state.current, *others]
    previous = next((name for name in before if name in slots and name != current), None)
    is_rolled_back = slots[current].sequence < highest
    return replace(state, current=current, previous=previous, is_rolled_back=is_rolled_back)
