"""Power that goes at every step of an installation: one whole release runs, the old or the new."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from simulators.install_programs import FakePrograms
from simulators.power_cuts import CuttingFiles, PowerCutError, Unflushed
from simulators.release_folders import TODAY, Release, trust_folder
from simulators.signing import check_signature
from trocar.contracts.errors import InstallError
from trocar.install.files import Files, SystemFiles
from trocar.install.installation import Installation, Tools
from trocar.install.slots import linked_slot, read_slots, read_state, slot_faults

OLD: Final = "0.1.0-1"
NEW: Final = "0.2.0-2"
STEP_COUNT_MIN: Final = 8


@dataclass(frozen=True)
class Bench:
    """A device with one release, and the medium with the next one."""

    folder: Path

    def device(self, name: str, *, start: str = "one") -> Path:
        """Return a copy of a device."""
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.folder / start, root, symlinks=True)
        return root

    def installation(
        self, root: Path, files: Files | None = None, programs: FakePrograms | None = None
    ) -> Installation:
        """Return the installer of a device."""
        tools = Tools(
            files=files or SystemFiles(),
            run=programs or FakePrograms(),
            check=check_signature,
            today=lambda: TODAY,
        )
        return Installation(root, tools)

    def install(self, installation: Installation, number: int = 2) -> object:
        """Install one of the releases."""
        return installation.install(
            self.folder / f"usb{number}",
            self.folder / "etc" / "trust",
            interpreter=Path("/usr/bin/python3"),
            allow_development=False,
        )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Three devices: none installed, one installed, two installed; and the media."""
    folder = tmp_path_factory.mktemp("bench")
    made = Bench(folder)
    trust_folder(folder / "etc" / "trust")
    Release().write(folder / "usb1")
    Release().after(2).write(folder / "usb2")
    Release().after(3).write(folder / "usb3")
    (folder / "none").mkdir()
    made.install(made.installation(made.device("one", start="none")), 1)
    made.install(made.installation(made.device("two")), 2)
    return made


def _assert_one_whole_release(root: Path, allowed: set[str | None]) -> None:
    """Check what a device that starts now would run."""
    name = linked_slot(root)
    assert name in allowed
    if name is not None:
        slot = read_slots(root)[name]
        assert slot_faults(root, slot) == ()


def _assert_in_order(bench: Bench, root: Path, allowed: set[str | None]) -> None:
    """Check that a recovery leaves one whole release, a right record, and nothing else."""
    outcome = bench.installation(root).recover()
    name = outcome.slot.name if outcome.slot else None
    assert name in allowed
    _assert_one_whole_release(root, {name})
    state = read_state(root)
    if name is not None:
        assert state is not None
        assert state.current == name
    kept = {one for one in (outcome.state.current, outcome.state.previous) if one}
    assert {path.name for path in (root / "slots").iterdir()} == kept
    assert not list(root.glob("*.pending"))
    assert not (root / "staging").exists()
    assert bench.installation(root).recover().remarks == ()


CASES: Final[dict[str, tuple[str, set[str | None], Callable[[Bench, Installation], object]]]] = {
    "first": ("none", {None, OLD}, lambda bench, one: bench.install(one, 1)),
    "next": ("one", {OLD, NEW}, lambda bench, one: bench.install(one, 2)),
    "third": ("two", {NEW, "0.3.0-3"}, lambda bench, one: bench.install(one, 3)),
    "rollback": ("two", {OLD, NEW}, lambda _, one: one.rollback()),
}


@pytest.mark.controls("RCM_INST_009")
@pytest.mark.verifies("SRS_INST_008", extent="full", technique="fault_injection")
@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("unflushed", list(Unflushed))
@pytest.mark.parametrize("case", CASES)
def test_power_may_go_at_every_step(bench: Bench, case: str, unflushed: Unflushed) -> None:
    """Whichever step was the last one, what starts next is the old release or the new one."""
    start, allowed, act = CASES[case]
    files = CuttingFiles(bench.folder / "trash")
    act(bench, bench.installation(bench.device("dry", start=start), files))
    assert len(files.steps) >= STEP_COUNT_MIN
    seen = set()
    for step in range(len(files.steps)):
        root = bench.device("cut", start=start)
        shutil.rmtree(bench.folder / "trash", ignore_errors=True)
        cutting = CuttingFiles(bench.folder / "trash", step, unflushed)
        with pytest.raises(PowerCutError):
            act(bench, bench.installation(root, cutting))
        _assert_one_whole_release(root, allowed)
        seen.add(linked_slot(root))
        _assert_in_order(bench, root, allowed)
    assert seen == allowed


@pytest.mark.proves_effect(
    "RCM_INST_009",
    measure="devices that start with a release that is not whole after the power went while pip, "
    "Python or the self-test ran",
    acceptance="0 of 5",
)
@pytest.mark.parametrize("kind", ["facts", "venv", "pip", "compile", "selftest"])
def test_power_may_go_while_a_program_runs(bench: Bench, kind: str) -> None:
    """What pip had written by then is removed, and the release can be installed afterwards."""
    root = bench.device("cut")
    files = CuttingFiles(bench.folder / "trash")
    programs = FakePrograms(before=lambda now: files.cut() if now == kind else None)
    with pytest.raises(PowerCutError):
        bench.install(bench.installation(root, files, programs))
    _assert_one_whole_release(root, {OLD})
    _assert_in_order(bench, root, {OLD})
    bench.install(bench.installation(root))
    _assert_one_whole_release(root, {NEW})


@pytest.mark.parametrize("unflushed", list(Unflushed))
def test_power_may_go_again_during_the_recovery(bench: Bench, unflushed: Unflushed) -> None:
    """A recovery that is cut off is recovered from."""
    cut = bench.device("half")
    files = CuttingFiles(bench.folder / "trash", 8, Unflushed.KEPT)
    with pytest.raises(PowerCutError):
        bench.install(bench.installation(cut, files))
    dry = CuttingFiles(bench.folder / "trash")
    bench.installation(bench.device("dry", start="half"), dry).recover()
    assert dry.steps
    for step in range(len(dry.steps)):
        root = bench.device("cut", start="half")
        cutting = CuttingFiles(bench.folder / "trash", step, unflushed)
        with pytest.raises(PowerCutError):
            bench.installation(root, cutting).recover()
        _assert_one_whole_release(root, {OLD, NEW})
        _assert_in_order(bench, root, {OLD, NEW})


@pytest.mark.parametrize("length", [0, 1, 40, 150])
def test_torn_record_of_the_device_is_written_again(bench: Bench, length: int) -> None:
    """The link says what runs; the highest number comes from the slots, nothing older gets in."""
    root = bench.device("torn", start="two")
    record = root / "state.json"
    record.write_bytes(record.read_bytes()[:length])
    outcome = bench.installation(root).recover()
    assert outcome.slot is not None
    assert (outcome.slot.name, outcome.state.sequence_highest) == (NEW, 2)
    assert outcome.previous is not None
    assert outcome.previous.name == OLD
    assert "written again" in outcome.remarks[0]


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
def test_torn_record_and_torn_slot_let_nothing_older_in(bench: Bench) -> None:
    """The record of the slot is whole: its number counts, though the slot cannot run."""
    root = bench.device("torn", start="two")
    (root / "state.json").write_bytes(b"")
    (root / "slots" / NEW / "venv" / "pyvenv.cfg").write_text("torn")
    outcome = bench.installation(root).recover()
    assert outcome.slot is not None
    assert (outcome.slot.name, outcome.state.sequence_highest) == (OLD, 2)
    with pytest.raises(InstallError, match="above 2"):
        bench.install(bench.installation(root), 2)


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("is_link_lost", [False, True])
def test_device_that_lost_all_records_takes_nothing(bench: Bench, *, is_link_lost: bool) -> None:
    """It could not tell an older release from a newer one; a recovery does not change that."""
    root = bench.device("torn", start="two")
    for path in root.glob("slots/*/slot.json"):
        path.write_bytes(b"")
    if is_link_lost:
        (root / "current").unlink()
        (root / "state.json").write_bytes(b"")
    else:
        (root / "state.json").unlink()
    assert bench.installation(root).recover().slot is None
    for number in (1, 3):
        with pytest.raises(InstallError, match="none can be read") as caught:
            bench.install(bench.installation(root), number)
        assert "set the device up anew" in caught.value.advice
