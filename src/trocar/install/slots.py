"""Installed releases, each in a slot of its own, and the records about them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError, SignatureError
from trocar.contracts.limits import (
    INSTALL_RECORD_BYTES_MAX,
    RELEASE_BYTES_MAX,
    RELEASE_SEQUENCE_MAX,
    SLOT_FILE_COUNT_MAX,
)
from trocar.install.inventory import differences, take_inventory
from trocar.statements.strict_json import parse_strict

__all__ = [
    "CURRENT_NAME",
    "INVENTORY_NAME",
    "SLOTS_NAME",
    "SLOT_NAME",
    "STATE_NAME",
    "Slot",
    "State",
    "inventory_text",
    "linked_slot",
    "read_slots",
    "read_state",
    "slot_faults",
]

CURRENT_NAME: Final = "current"
"""The link to the slot that runs."""

SLOTS_NAME: Final = "slots"
"""Folder of the slots."""

STATE_NAME: Final = "state.json"
"""What the device remembers of its installations."""

SLOT_NAME: Final = "slot.json"
"""Record of one slot; written last, so that a slot without it is not whole."""

INVENTORY_NAME: Final = "files.jsonl"
"""Each file of a slot with its digest."""

_SLOT: Final = re.compile(r"[0-9A-Za-z.+]{1,64}-[0-9]{1,10}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FORMAT: Final = 1


@dataclass(frozen=True)
class Slot:
    """One whole slot.

    Attributes:
        version: Version of Trocar in it.
        sequence: Sequence number of the release.
        floor: Lowest sequence number that may run after it, of this and all releases before.
        is_development: Whether it is no release for production.
        key_id: Who signed it.
        manifest_sha256: Digest of the signed list of the release.
        installed: Day of the installation.
        inventory_sha256: Digest of the list of its files.
        left_out_files: How many files of packages were left out, as the signed list names them.
        left_out_bytes: Their size together.
    """

    version: str
    sequence: int
    floor: int
    is_development: bool
    key_id: str
    manifest_sha256: str
    installed: dt.date
    inventory_sha256: str
    left_out_files: int = 0
    left_out_bytes: int = 0

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.version}-{self.sequence}"

    def text(self) -> str:
        """Return the record."""
        fields = {
            "format": _FORMAT,
            "version": self.version,
            "sequence": self.sequence,
            "floor": self.floor,
            "is_development": self.is_development,
            "key_id": self.key_id,
            "manifest_sha256": self.manifest_sha256,
            "installed": self.installed.isoformat(),
            "inventory_sha256": self.inventory_sha256,
            "left_out_files": self.left_out_files,
            "left_out_bytes": self.left_out_bytes,
        }
        return _text(fields)


@dataclass(frozen=True)
class State:
    """What the device remembers.

    Attributes:
        current: Name of the slot that runs; None where none does.
        previous: Name of the slot that ran before; None where there is none.
        sequence_highest: Highest sequence number that was ever installed; None before the first.
        floor: Lowest sequence number that may run.
        date_latest: Latest day that was seen at an installation.
        is_rolled_back: Whether the slot that runs was returned to.
    """

    current: str | None = None
    previous: str | None = None
    sequence_highest: int | None = None
    floor: int = 0
    date_latest: dt.date = dt.date.min
    is_rolled_back: bool = False

    def text(self) -> str:
        """Return the record."""
        fields = {
            "format": _FORMAT,
            "current": self.current,
            "previous": self.previous,
            "sequence_highest": self.sequence_highest,
            "floor": self.floor,
            "date_latest": self.date_latest.isoformat(),
            "is_rolled_back": self.is_rolled_back,
        }
        return _text(fields)


def read_state(root: Path) -> State | None:
    """Return what the device remembers; None where the record is missing or damaged."""
    fields = _fields(root / STATE_NAME)
    if fields is None:
        return None
    try:
        state = State(
            current=_slot_name(fields["current"]),
            previous=_slot_name(fields["previous"]),
            sequence_highest=_sequence(fields["sequence_highest"]),
            floor=_number(fields["floor"]),
            date_latest=dt.date.fromisoformat(str(fields["date_latest"])),
            is_rolled_back=fields["is_rolled_back"] is True,
        )
    except (KeyError, ValueError):
        return None
    return state if _text(fields) == state.text() else None


# @need-ids: SRS_INST_009
def read_slots(root: Path) -> dict[str, Slot]:
    """Return the whole slots by name; what has no sound record is none."""
    folders = sorted((root / SLOTS_NAME).glob("*"))
    found = ((folder.name, _read_slot(folder)) for folder in folders if not folder.is_symlink())
    return {name: slot for name, slot in found if slot is not None and slot.name == name}


def linked_slot(root: Path) -> str | None:
    """Return the name of the slot that the link names; None where it names none."""
    link = root / CURRENT_NAME
    if not link.is_symlink():
        return None
    folder, _, name = str(link.readlink()).rpartition("/")
    return name if folder == SLOTS_NAME and _SLOT.fullmatch(name) else None


def slot_faults(root: Path, slot: Slot) -> tuple[str, ...]:
    """Return in words how the files of a slot differ from those that were installed.

    Args:
        root: Where releases are installed.
        slot: Its record.

    Raises:
        OSError: It cannot be read.
    """
    folder = root / SLOTS_NAME / slot.name
    path = folder / INVENTORY_NAME
    raw = _bytes(path)
    if raw is None or hashlib.sha256(raw).hexdigest() != slot.inventory_sha256:
        return (f"{INVENTORY_NAME} is not the one of the installation",)
    expected = dict(json.loads(line) for line in raw.decode("utf-8").splitlines())
    try:
        found = take_inventory(folder)
    except InstallError as exc:
        return (exc.problem,)
    for name in (INVENTORY_NAME, SLOT_NAME):
        found.pop(name, None)
    return differences(expected, found)


def inventory_text(inventory: Mapping[str, str]) -> str:
    """Return the list of files of a slot, one a line."""
    return "".join(f"{json.dumps([name, inventory[name]])}\n" for name in sorted(inventory))


def _text(fields: Mapping[str, object]) -> str:
    """Return a record as it is written."""
    return json.dumps(fields, indent=2) + "\n"


def _read_slot(folder: Path) -> Slot | None:
    """Return the record of one slot; None where it is missing or damaged."""
    fields = _fields(folder / SLOT_NAME)
    if fields is None:
        return None
    try:
        slot = Slot(
            version=str(fields["version"]),
            sequence=_number(fields["sequence"]),
            floor=_number(fields["floor"]),
            is_development=fields["is_development"] is True,
            key_id=_sha256(fields["key_id"]),
            manifest_sha256=_sha256(fields["manifest_sha256"]),
            installed=dt.date.fromisoformat(str(fields["installed"])),
            inventory_sha256=_sha256(fields["inventory_sha256"]),
            left_out_files=_number(fields["left_out_files"], SLOT_FILE_COUNT_MAX),
            left_out_bytes=_number(fields["left_out_bytes"], RELEASE_BYTES_MAX),
        )
    except (KeyError, ValueError):
        return None
    return slot if _text(fields) == slot.text() else None


def _fields(path: Path) -> dict[str, object] | None:
    """Return the fields of a record; None where it is missing or damaged."""
    raw = _bytes(path)
    if raw is None:
        return None
    try:
        value = parse_strict(raw, what=path.name)
    except SignatureError:
        return None
    return value if isinstance(value, dict) else None


def _bytes(path: Path) -> bytes | None:
    """Return the content of a plain file of a bounded size; None where there is none."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > INSTALL_RECORD_BYTES_MAX:
        return None
    return path.read_bytes()


def _slot_name(value: object) -> str | None:
    """Return the name of a slot, or None."""
    if value is None or (isinstance(value, str) and _SLOT.fullmatch(value)):
        return value
    raise ValueError("no name of a slot")


def _sequence(value: object) -> int | None:
    """Return a sequence number, or None."""
    return None if value is None else _number(value)


def _number(value: object, highest: int = RELEASE_SEQUENCE_MAX) -> int:
    """Return a whole number within its bounds."""
    if type(value) is int and 0 <= value <= highest:
        return value
    raise ValueError("no such number")


def _sha256(value: object) -> str:
    """Return a digest."""
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return value
    raise ValueError("no SHA-256")
