"""Seal, switch and recovery on slots of one file each."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.power_cuts import CuttingFiles
from trocar.install.files import SystemFiles
from trocar.install.inventory import take_inventory
from trocar.install.slots import Slot, State, linked_slot, read_state, slot_faults
from trocar.install.switching import Switch

DAY = dt.date(2026, 11, 21)


def _seal(root: Path, sequence: int, *, floor: int = 0) -> Slot:
    """Make a whole slot."""
    slot = Slot(
        version=f"0.{sequence}.0",
        sequence=sequence,
        floor=floor,
        is_development=False,
        key_id="a" * 64,
        manifest_sha256="b" * 64,
        installed=DAY,
        inventory_sha256="0" * 64,
    )
    folder = root / "slots" / slot.name
    folder.mkdir(parents=True)
    (folder / "file").write_text(slot.version)
    return Switch(root, SystemFiles()).seal(slot, take_inventory(folder))


def _switched(root: Path, *numbers: int, floor: int = 0) -> list[Slot]:
    """Install releases one after the other."""
    made: list[Slot] = []
    for number in numbers:
        slot = _seal(root, number, floor=floor if number == numbers[-1] else 0)
        previous = made[-1].name if made else None
        state = State(slot.name, previous, number, slot.floor, DAY)
        Switch(root, SystemFiles()).switch(state)
        made.append(slot)
    return made


@pytest.mark.verifies("SRS_INST_008", extent="partial", technique="requirement")
def test_sealed_slot_is_whole(tmp_path: Path) -> None:
    """Its record names the list of its files, and the files are those."""
    slot = _seal(tmp_path, 1)
    assert slot_faults(tmp_path, slot) == ()


@pytest.mark.verifies("SRS_INST_008", extent="partial", technique="requirement")
def test_switch_keeps_two_slots(tmp_path: Path) -> None:
    """The one that runs and the one before."""
    _switched(tmp_path, 1, 2, 3)
    assert linked_slot(tmp_path) == "0.3.0-3"
    assert sorted(path.name for path in (tmp_path / "slots").iterdir()) == ["0.2.0-2", "0.3.0-3"]
    assert Switch(tmp_path, SystemFiles()).recover().remarks == ()


@pytest.mark.verifies("SRS_INST_009", extent="full", technique="state_table")
@pytest.mark.parametrize(
    ("link", "state", "current", "previous"),
    [
        ("0.2.0-2", "ok", "0.2.0-2", "0.1.0-1"),
        ("0.1.0-1", "ok", "0.1.0-1", "0.2.0-2"),
        ("0.9.0-9", "ok", "0.2.0-2", "0.1.0-1"),
        (None, "ok", "0.2.0-2", "0.1.0-1"),
        ("0.2.0-2", "torn", "0.2.0-2", "0.1.0-1"),
        ("0.1.0-1", "torn", "0.1.0-1", "0.2.0-2"),
        ("0.9.0-9", "torn", "0.2.0-2", "0.1.0-1"),
        (None, "torn", "0.2.0-2", "0.1.0-1"),
        ("0.1.0-1", "none", "0.1.0-1", "0.2.0-2"),
        (None, "none", None, None),
    ],
)
def test_link_decides_and_the_record_follows(
    tmp_path: Path, link: str | None, state: str, current: str | None, previous: str | None
) -> None:
    """Each pair of link and record has one outcome; the highest number is never forgotten."""
    _switched(tmp_path, 1, 2)
    (tmp_path / "current").unlink()
    if link is not None:
        (tmp_path / "current").symlink_to(f"slots/{link}")
    if state == "torn":
        (tmp_path / "state.json").write_text("{")
    elif state == "none":
        (tmp_path / "state.json").unlink()
    found = Switch(tmp_path, SystemFiles()).recover().state
    assert (found.current, found.previous) == (current, previous)
    assert linked_slot(tmp_path) == current
    assert read_state(tmp_path) == (found if current else None)
    if current is not None:
        assert found.sequence_highest == 2
        assert found.is_rolled_back is (current == "0.1.0-1")


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
def test_damaged_slot_is_left_for_the_one_before(tmp_path: Path) -> None:
    """Only a deep look finds it; then the one before runs, and it is said."""
    slots = _switched(tmp_path, 1, 2)
    (tmp_path / "slots" / "0.2.0-2" / "file").write_text("evil")
    switch = Switch(tmp_path, SystemFiles())
    assert switch.recover().state.current == "0.2.0-2"
    found = switch.recover(is_deep=True)
    assert (found.state.current, found.state.sequence_highest) == ("0.1.0-1", 2)
    assert found.slots == {"0.1.0-1": slots[0]}
    assert found.remarks[0] == "slot 0.2.0-2 is damaged: file was changed"


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
def test_release_that_was_ruled_out_does_not_come_back(tmp_path: Path) -> None:
    """Rather nothing runs than what a later release has forbidden."""
    _switched(tmp_path, 1, 2, floor=2)
    (tmp_path / "slots" / "0.2.0-2" / "file").write_text("evil")
    found = Switch(tmp_path, SystemFiles()).recover(is_deep=True)
    assert (found.state.current, found.state.sequence_highest) == (None, 2)
    assert not (tmp_path / "current").is_symlink()
    assert "cannot run" in found.remarks[1]


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="requirement")
def test_leftovers_are_removed(tmp_path: Path) -> None:
    """Half a slot, the staging folder, links and records on their way; nothing behind a link."""
    _switched(tmp_path, 1)
    outside = tmp_path.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "slot.json").touch()
    (tmp_path / "slots" / "0.2.0-2").mkdir()
    (tmp_path / "slots" / "0.3.0-3").symlink_to(outside)
    (tmp_path / "staging" / "wheels").mkdir(parents=True)
    (tmp_path / "current.pending").symlink_to("nowhere")
    (tmp_path / "state.json.pending").touch()
    found = Switch(tmp_path, SystemFiles()).recover()
    assert len(found.remarks) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "slots", "state.json"]
    assert (outside / "slot.json").exists()


def test_old_slot_loses_its_record_first(tmp_path: Path) -> None:
    """A removal that is cut off leaves something that cannot pass for a whole slot."""
    _switched(tmp_path, 1, 2)
    slot = _seal(tmp_path, 3)
    files = CuttingFiles(tmp_path / "trash")
    Switch(tmp_path, files).switch(State(slot.name, "0.2.0-2", 3, 0, DAY))
    assert files.steps[-3:] == ["remove slot.json", "sync_folder 0.1.0-1", "remove 0.1.0-1"]


def test_whole_slot_that_never_ran_does_not_count(tmp_path: Path) -> None:
    """The power went before the switch: its number may be installed again."""
    _switched(tmp_path, 1)
    _seal(tmp_path, 2)
    found = Switch(tmp_path, SystemFiles()).recover()
    assert (found.state.current, found.state.sequence_highest) == ("0.1.0-1", 1)
    assert not (tmp_path / "slots" / "0.2.0-2").exists()


def test_untouched_device_stays_untouched(tmp_path: Path) -> None:
    """There is nothing to recover where nothing was installed."""
    found = Switch(tmp_path, SystemFiles()).recover(is_deep=True)
    assert (found.state, found.slots, found.remarks) == (State(), {}, ())
    assert list(tmp_path.iterdir()) == []
    assert replace(found.state) == State()


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
def test_damaged_slot_still_rules_out_without_the_record_of_the_device(tmp_path: Path) -> None:
    """Its files are torn, its own record is not: floor, number and day come from it."""
    _switched(tmp_path, 1, 2, floor=2)
    (tmp_path / "state.json").write_text("")
    (tmp_path / "slots" / "0.2.0-2" / "file").write_text("torn")
    found = Switch(tmp_path, SystemFiles()).recover(is_deep=True)
    state = found.state
    assert (state.current, state.sequence_highest, state.floor) == (None, 2, 2)
    assert (state.date_latest, found.is_forgotten) == (DAY, False)
    assert read_state(tmp_path) == state


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", ["state.json", "current"])
def test_device_that_has_forgotten_all_says_so_each_time(tmp_path: Path, name: str) -> None:
    """A second recovery does not take it for a device on which nothing ever ran."""
    _switched(tmp_path, 1, 2)
    for path in tmp_path.glob("slots/*/slot.json"):
        path.write_text("")
    (tmp_path / "state.json").write_text("{")
    (tmp_path / ("current" if name == "state.json" else "state.json")).unlink()
    for _ in range(2):
        found = Switch(tmp_path, SystemFiles()).recover()
        assert (found.state, found.is_forgotten) == (State(), True)
        assert "no record tells any more" in found.remarks[0]
    assert not (tmp_path / "current").is_symlink()
