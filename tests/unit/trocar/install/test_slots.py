"""Records of installed releases: what reads otherwise than it would be written is none."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trocar.install import slots
from trocar.install.inventory import take_inventory
from trocar.install.slots import (
    Slot,
    State,
    inventory_text,
    linked_slot,
    read_slots,
    read_state,
    slot_faults,
)

DAY = dt.date(2026, 11, 21)
SLOT = Slot(
    version="0.1.0",
    sequence=7,
    floor=3,
    is_development=False,
    key_id="a" * 64,
    manifest_sha256="b" * 64,
    installed=DAY,
    inventory_sha256="c" * 64,
    left_out_files=12,
    left_out_bytes=3_000_000_000,
)
STATE = State("0.1.0-7", "0.0.9-6", 8, 3, DAY, is_rolled_back=True)


def _write_slot(root: Path, slot: Slot, name: str | None = None) -> Path:
    """Write the record of a slot."""
    folder = root / "slots" / (name or slot.name)
    folder.mkdir(parents=True)
    (folder / "slot.json").write_text(slot.text())
    return folder


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="requirement")
@pytest.mark.parametrize("state", [State(), STATE])
def test_state_reads_as_it_was_written(tmp_path: Path, state: State) -> None:
    """Also that of a device on which nothing was installed."""
    assert read_state(tmp_path) is None
    (tmp_path / "state.json").write_text(state.text())
    assert read_state(tmp_path) == state


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "fields",
    [
        {"current": "../evil"},
        {"current": 7},
        {"sequence_highest": -1},
        {"floor": None},
        {"floor": True},
        {"date_latest": "yesterday"},
        {"date_latest": "20261121"},
        {"is_rolled_back": 1},
        {"is_rolled_back": None},
        {"format": 2},
        {"more": 1},
    ],
)
def test_other_state_is_none(tmp_path: Path, fields: dict[str, Any]) -> None:
    """It was damaged, or written by somebody else."""
    changed = {**json.loads(STATE.text()), **fields}
    (tmp_path / "state.json").write_text(json.dumps(changed))
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"{}", b'{"a":1,"a":1}'])
def test_torn_state_is_none(tmp_path: Path, raw: bytes) -> None:
    """Whatever is left of it."""
    (tmp_path / "state.json").write_bytes(raw)
    assert read_state(tmp_path) is None


def test_record_behind_a_link_or_too_large_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the one that was written."""
    (tmp_path / "other").write_text(STATE.text())
    (tmp_path / "state.json").symlink_to("other")
    assert read_state(tmp_path) is None
    (tmp_path / "state.json").unlink()
    (tmp_path / "other").rename(tmp_path / "state.json")
    monkeypatch.setattr(slots, "INSTALL_RECORD_BYTES_MAX", 10)
    assert read_state(tmp_path) is None


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="requirement")
def test_whole_slots_are_listed(tmp_path: Path) -> None:
    """Not those without a record, under another name, or behind a link."""
    other = replace(SLOT, version="0.2.0", sequence=9)
    _write_slot(tmp_path, SLOT)
    _write_slot(tmp_path, other)
    _write_slot(tmp_path, SLOT, "0.3.0-10")
    (tmp_path / "slots" / "0.4.0-11").mkdir()
    (tmp_path / "slots" / "0.5.0-12").symlink_to(SLOT.name)
    assert read_slots(tmp_path) == {SLOT.name: SLOT, other.name: other}


@pytest.mark.parametrize(
    "fields",
    [
        {"key_id": "a"},
        {"manifest_sha256": 1},
        {"sequence": "7"},
        {"installed": ""},
        {"is_development": 0},
        {"left_out_files": -1},
        {"left_out_bytes": 5_000_000_000},
        {"more": 1},
    ],
)
def test_slot_with_another_record_is_none(tmp_path: Path, fields: dict[str, Any]) -> None:
    """A slot that cannot say what it is does not run."""
    folder = _write_slot(tmp_path, SLOT)
    changed = {**json.loads(SLOT.text()), **fields}
    (folder / "slot.json").write_text(json.dumps(changed))
    assert read_slots(tmp_path) == {}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("slots/0.1.0-7", "0.1.0-7"),
        ("/opt/slots/0.1.0-7", None),
        ("slots/../0.1.0-7", None),
        ("0.1.0-7", None),
        ("slots/", None),
    ],
)
def test_link_names_a_slot_or_nothing(tmp_path: Path, target: str, name: str | None) -> None:
    """A link that leads elsewhere is none of ours."""
    assert linked_slot(tmp_path) is None
    (tmp_path / "current").symlink_to(target)
    assert linked_slot(tmp_path) == name


def test_files_of_a_slot_are_compared_with_those_installed(tmp_path: Path) -> None:
    """A change, a stranger, a list that was changed too."""
    folder = tmp_path / "slots" / SLOT.name
    folder.mkdir(parents=True)
    (folder / "a").write_text("1")
    text = inventory_text(take_inventory(folder))
    (folder / "files.jsonl").write_text(text)
    slot = replace(SLOT, inventory_sha256=hashlib.sha256(text.encode()).hexdigest())
    (folder / "slot.json").write_text(slot.text())
    assert slot_faults(tmp_path, slot) == ()
    (folder / "a").write_text("2")
    assert slot_faults(tmp_path, slot) == ("a was changed",)
    os.mkfifo(folder / "pipe")
    assert "pipe is something else" in slot_faults(tmp_path, slot)[0]
    (folder / "files.jsonl").write_text(text + text)
    assert slot_faults(tmp_path, slot) == ("files.jsonl is not the one of the installation",)
    (folder / "files.jsonl").unlink()
    assert slot_faults(tmp_path, slot) == ("files.jsonl is not the one of the installation",)
