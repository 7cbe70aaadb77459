"""The sequence of an installation, with played programs."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.install_attacks import FullDisk, Scene
from simulators.install_programs import FakePrograms
from simulators.release_folders import TODAY, Release, trust_folder
from simulators.signing import check_signature
from trocar.contracts.errors import AuditError, InstallError
from trocar.install.files import SystemFiles
from trocar.install.installation import Installation, Tools, verify_release
from trocar.install.slots import linked_slot


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a device with one release and a medium with the next one."""
    return Scene(tmp_path)


@pytest.mark.verifies("SRS_INST_008", extent="partial", technique="requirement")
def test_installed_release_runs_and_the_one_before_is_kept(scene: Scene) -> None:
    """Slot, state and remarks say so."""
    scene.write(Release().after(4))
    outcome = scene.install()
    assert outcome.slot is not None
    assert outcome.previous is not None
    assert (outcome.slot.name, outcome.previous.name) == ("0.4.0-4", "0.1.0-1")
    assert outcome.remarks == ("2 releases in between were not installed here",)
    status = Installation(scene.root, scene.tools).status()
    assert (status.slot, status.faults, status.remarks) == (outcome.slot, (), ())
    slot = scene.root / "slots" / "0.4.0-4"
    assert (slot / "packs" / "tiny-0.1.0.trocarpack").read_bytes() == b"a pack\n"
    assert (slot / "records").stat().st_mode & 0o777 == 0o755


@pytest.mark.verifies("SRS_INST_014", extent="full", technique="requirement")
def test_listed_files_are_left_out_and_told(scene: Scene) -> None:
    """The list stays beside the release, and what remains is what its inventory says."""
    scene.holds({"device.leftout": b"tiny_part/__init__.py\n"})
    slot = scene.install().slot
    assert slot is not None
    assert (slot.left_out_files, slot.left_out_bytes) == (1, len("ANSWER = 42\n"))
    folder = scene.root / "slots" / slot.name
    packages = folder / "venv" / "lib" / "python3.11" / "site-packages"
    assert not (packages / "tiny_part").exists()
    assert (packages / "tiny_part-2.0.dist-info" / "RECORD").is_file()
    assert (folder / "records" / "device.leftout").is_file()
    status = Installation(scene.root, scene.tools).status()
    assert (status.slot, status.faults) == (slot, ())
    (packages / "tiny_part").mkdir()
    (packages / "tiny_part" / "__init__.py").write_text("ANSWER = 42\n")
    (fault,) = Installation(scene.root, scene.tools).status().faults
    assert fault.endswith("tiny_part/__init__.py was added")


@pytest.mark.verifies("SRS_INST_011", extent="full", technique="requirement")
@pytest.mark.controls("RCM_INST_010")
def test_return_goes_to_the_release_before_and_forth_again(scene: Scene) -> None:
    """The highest number stays; a second return goes to the newer one."""
    scene.install()
    device = Installation(scene.root, scene.tools)
    back = device.rollback()
    assert (back.state.current, back.state.is_rolled_back) == ("0.1.0-1", True)
    assert back.state.sequence_highest == 2
    assert device.rollback().state.is_rolled_back is False
    assert linked_slot(scene.root) == "0.2.0-2"
    lines = (scene.root / "audit.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(line)["event"] for line in lines][-2:] == ["rolled_back", "switched"]


@pytest.mark.verifies("SRS_INST_011", extent="partial", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_INST_010",
    measure="releases that run after a return although a later one ruled them out or they changed",
    acceptance="0 of 3",
)
@pytest.mark.parametrize("fault", ["none before", "ruled out", "changed"])
def test_return_that_is_not_allowed_is_refused(scene: Scene, fault: str) -> None:
    """Nothing before, a floor above it, or files that are not the installed ones."""
    if fault == "ruled out":
        scene.told({"minimum_sequence": 2})
    if fault != "none before":
        scene.install()
    if fault == "changed":
        (scene.root / "slots" / "0.1.0-1" / "venv" / "evil.pth").touch()
    runs = linked_slot(scene.root)
    words = {"none before": "there is none", "ruled out": "was ruled out"}
    with pytest.raises(InstallError, match=words.get(fault, r"evil\.pth was added")):
        Installation(scene.root, scene.tools).rollback()
    assert linked_slot(scene.root) == runs


def test_lowest_number_stays_where_a_later_release_names_none(scene: Scene) -> None:
    """What was ruled out once stays ruled out."""
    scene.told({"minimum_sequence": 2})
    scene.install()
    scene.write(Release().after(3))
    assert scene.install().state.floor == 2


@pytest.mark.verifies("SRS_INST_012", extent="partial", technique="requirement")
def test_status_names_what_was_changed(scene: Scene) -> None:
    """And says nothing about a device on which nothing was installed."""
    path = scene.root / "slots" / "0.1.0-1" / "venv" / "lib/python3.11/site-packages/evil.pth"
    path.touch()
    (fault,) = Installation(scene.root, scene.tools).status().faults
    assert fault.endswith("evil.pth was added")
    (scene.folder / "empty").mkdir(mode=0o755)
    empty = Installation(scene.folder / "empty", scene.tools).status()
    assert (empty.slot, empty.faults) == (None, ())


@pytest.mark.verifies("SRS_INST_008", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_error_of_the_disk_leaves_nothing_behind(scene: Scene, number: int) -> None:
    """A full disk is named as such; any other error with its file."""

    class Failing(SystemFiles):
        def sync_all(self) -> None:
            raise OSError(number, "it failed", "disk")

    tools = scene.tools
    scene.tools = replace(tools, files=Failing())
    words = "the disk is full" if number == errno.ENOSPC else r"it failed \(disk\)"
    with pytest.raises(InstallError, match=words):
        scene.install()
    assert sorted(path.name for path in (scene.root / "slots").iterdir()) == ["0.1.0-1"]
    assert not (scene.root / "staging").exists()
    scene.tools = replace(tools, files=FullDisk())
    with pytest.raises(InstallError, match="the disk is full"):
        scene.install()
    scene.tools = tools
    assert scene.install().state.current == "0.2.0-2"


@pytest.mark.verifies("SRS_INST_012", extent="partial", technique="fault_injection")
def test_audit_log_that_was_changed_stops_an_installation(scene: Scene) -> None:
    """Before the work, with what to do; a return is always possible."""
    scene.install()
    path = scene.root / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"installed", b"INSTALLED"))
    scene.write(Release().after(3))
    scene.programs.started.clear()
    with pytest.raises(AuditError) as caught:
        scene.install()
    assert f"move {path}* away" in caught.value.advice
    assert scene.programs.started == []
    assert linked_slot(scene.root) == "0.2.0-2"
    back = Installation(scene.root, scene.tools).rollback()
    assert back.state.current == "0.1.0-1"
    assert "does not tell this" in back.remarks[-1]
    path.rename(scene.folder / "kept.jsonl")
    assert scene.install().state.current == "0.3.0-3"


def test_refusal_that_is_not_recorded_says_so(scene: Scene) -> None:
    """Who reads the log later would not know of it."""
    path = scene.root / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"installed", b"INSTALLED"))
    with pytest.raises(InstallError, match="there is none") as caught:
        scene.rollback()
    assert "the audit log does not tell this" in caught.value.advice


@pytest.mark.verifies("SRS_INST_011", extent="partial", technique="requirement")
def test_return_that_was_refused_is_recorded(scene: Scene) -> None:
    """With the release that was not returned to."""
    scene.told({"minimum_sequence": 2})
    scene.install()
    with pytest.raises(InstallError, match="was ruled out"):
        scene.rollback()
    last = json.loads((scene.root / "audit.jsonl").read_text(encoding="ascii").splitlines()[-1])
    assert (last["event"], last["fields"]["sequence"]) == ("verify_refused", 1)


@pytest.mark.verifies("SRS_INST_011", extent="partial", technique="equivalence")
def test_return_to_a_release_for_development_has_to_be_asked_for(scene: Scene) -> None:
    """From one for production; from one for development it is no step down."""
    device = Installation(scene.root, scene.tools)
    folder, python = scene.folder / "usb2", Path("/usr/bin/python3")
    for number in (3, 4):
        Release().after(number, {"grade": "development"}).write(folder)
        device.install(folder, scene.trust, interpreter=python, allow_development=True)
        SystemFiles().remove(folder)
    assert device.rollback().state.current == "0.3.0-3"
    scene.write(Release().after(5))
    scene.install()
    with pytest.raises(InstallError, match=r"0\.3\.0-3 is for development"):
        device.rollback()
    assert linked_slot(scene.root) == "0.5.0-5"
    assert device.rollback(allow_development=True).state.current == "0.3.0-3"


@pytest.mark.verifies("SRS_INST_009", extent="partial", technique="fault_injection")
def test_device_that_has_forgotten_takes_no_release(scene: Scene) -> None:
    """Nothing tells which one would be older; the folder is moved away, then it goes on."""
    (scene.root / "slots" / "0.1.0-1" / "slot.json").write_text("")
    (scene.root / "state.json").write_text("")
    with pytest.raises(InstallError, match="none can be read") as caught:
        scene.install()
    assert "set the device up anew" in caught.value.advice
    scene.root.rename(scene.folder / "kept")
    assert scene.install().state.current == "0.2.0-2"


@pytest.mark.verifies("SRS_INST_010", extent="partial", technique="equivalence")
@pytest.mark.parametrize("command", ["status", "rollback", "recover"])
def test_folder_that_is_not_there_is_not_made(scene: Scene, command: str) -> None:
    """A name that was mistyped must not look like a device without a release."""
    root = scene.folder / "devise"
    with pytest.raises(InstallError, match="No such file"):
        getattr(Installation(root, scene.tools), command)()
    assert not root.exists()


def test_switch_that_was_cut_off_is_told_afterwards(scene: Scene) -> None:
    """The link was set, the record was not: the recovery tells the audit log."""
    before = (scene.root / "state.json").read_bytes()
    log = (scene.root / "audit.jsonl").read_bytes()
    scene.install()
    (scene.root / "state.json").write_bytes(before)
    lines = (scene.root / "audit.jsonl").read_bytes()
    assert lines.startswith(log)
    outcome = Installation(scene.root, scene.tools).recover()
    assert outcome.state.current == "0.2.0-2"
    events = (scene.root / "audit.jsonl").read_text(encoding="ascii").splitlines()
    assert json.loads(events[-1])["event"] == "switched"
    assert len(events) == len(lines.splitlines()) + 1


@pytest.mark.verifies("SRS_INST_001", extent="partial", technique="requirement")
def test_release_is_verified_without_a_device(tmp_path: Path) -> None:
    """For any Python and machine, but not when it has expired."""
    device = {"python": "3.13", "platform": "linux_aarch64"}
    usb = Release(predicate={"device": device}).write(tmp_path / "usb")
    trust = trust_folder(tmp_path / "etc" / "trust")
    tools = Tools(run=FakePrograms(), check=check_signature, today=lambda: TODAY)
    found = verify_release(usb, trust, allow_development=False, tools=tools)
    assert found.facts.python == "3.13"
    late = replace(tools, today=lambda: TODAY.replace(year=2031))
    with pytest.raises(InstallError, match="expired"):
        verify_release(usb, trust, allow_development=False, tools=late)


def test_day_of_the_device_is_that_of_its_clock() -> None:
    """In UTC, so that no zone moves it."""
    assert Tools().today().year >= TODAY.year
