"""Each attack that the documentation lists is refused, and the device goes on as it was."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Final

import pytest

from simulators.install_attacks import REFUSED, Scene, _flip
from simulators.release_folders import Release
from trocar.contracts.errors import InstallError, SignatureError
from trocar.install.installation import Tools
from trocar.install.openssl import OPENSSL, check_p256
from trocar.install.slots import linked_slot, read_slots, slot_faults

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "how-to" / "install_offline.rst"
OLD: Final = "0.1.0-1"
NEW: Final = "0.2.0-2"
WITHOUT_EFFECT: Final = (
    "OPENSSL_CONF of the caller",
    "openssl earlier on the path",
    "file changed after the copy",
    "same version already in the slot",
    "pip settings, PYTHONPATH and python3 of the caller",
)
needs_openssl = pytest.mark.skipif(not OPENSSL.is_file(), reason=f"no OpenSSL at {OPENSSL}")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a device with one release and a medium with the next one."""
    return Scene(tmp_path)


def _assert_old_runs(root: Path) -> None:
    """Check that nothing has changed on the device."""
    assert linked_slot(root) == OLD
    slots = read_slots(root)
    assert sorted(slots) == [OLD]
    assert slot_faults(root, slots[OLD]) == ()
    assert {path.name for path in root.iterdir()} == {
        *("audit.jsonl", "current", "lock", "slots", "state.json")
    }


@pytest.mark.verifies("SRS_INST_001", extent="full", technique="fault_injection")
@pytest.mark.verifies("SRS_INST_002", extent="full", technique="fault_injection")
@pytest.mark.verifies("SRS_INST_003", extent="partial", technique="fault_injection")
@pytest.mark.verifies("SRS_INST_006", extent="full", technique="fault_injection")
@pytest.mark.verifies("SRS_INST_013", extent="full", technique="fault_injection")
@pytest.mark.verifies("SRS_INST_014", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_INST_001", "RCM_INST_002", "RCM_INST_003")
@pytest.mark.controls("RCM_INST_004", "RCM_INST_006", "RCM_INST_008")
@pytest.mark.parametrize("name", REFUSED)
def test_attack_is_refused(scene: Scene, name: str) -> None:
    """The error says what is wrong, and what ran before still runs, alone and whole."""
    attack, words = REFUSED[name]
    root = scene.root
    attack(scene)
    with pytest.raises((InstallError, SignatureError), match=re.escape(words)):
        scene.install()
    scene.tools = Tools(run=scene.programs)
    _assert_old_runs(root)


def test_sound_release_is_installed(scene: Scene) -> None:
    """Without an attack the same scene installs: the refusals above are due to the attacks."""
    outcome = scene.install()
    assert outcome.slot is not None
    assert linked_slot(scene.root) == outcome.slot.name == NEW


def test_documentation_lists_exactly_these_attacks() -> None:
    """A row without a test, or a test without a row, would let the page promise something else."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^   \* - (.+)$", text.partition(".. _install-attacks:")[2], re.MULTILINE)
    listed = [row.strip() for row in rows if row != "What is tried"]
    assert sorted(listed) == sorted([*REFUSED, *WITHOUT_EFFECT])


@pytest.mark.proves_effect(
    "RCM_INST_001",
    measure="releases with one changed byte, at 60 places of files and list, that run afterwards",
    acceptance="0 of 60",
)
def test_no_changed_byte_gets_onto_the_device(scene: Scene) -> None:
    """Whichever file it is in, a changed byte ends the installation."""
    files = sorted(path for path in scene.usb.rglob("*") if path.is_file())
    for number in range(60):
        path = files[number % len(files)]
        sound = path.read_bytes()
        damaged = bytearray(sound)
        damaged[(number * 7919) % len(sound)] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises((InstallError, SignatureError)):
            scene.install()
        path.write_bytes(sound)
    _assert_old_runs(scene.root)


@pytest.mark.proves_effect(
    "RCM_INST_002",
    measure="files of a medium with a link, a pipe, a hard link or 20 GB that were opened",
    acceptance="none",
)
@pytest.mark.parametrize(
    "name",
    ["link in place of a wheel", "pipe in place of the list", "hard link", "pipe added"],
)
def test_nothing_of_a_strange_medium_is_opened(
    scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that is opened hangs, a link that is opened reads something else."""
    REFUSED[name][0](scene)
    opened: list[str] = []
    real = os.open

    def watched(
        path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        opened.append(str(path))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", watched)
    with pytest.raises(InstallError):
        scene.install()
    assert not [path for path in opened if path.startswith(str(scene.usb))]


@pytest.mark.verifies("SRS_INST_003", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_INST_003",
    measure="installed files that differ from the signed ones after the medium changed",
    acceptance="0",
)
def test_file_changed_after_the_copy_has_no_effect(scene: Scene) -> None:
    """What pip reads are the bytes that were hashed, whatever lies on the medium by then."""
    sound = (scene.usb / "device.lock").read_bytes()
    scene.programs.before = lambda kind: _flip(scene) if kind == "venv" else None
    outcome = scene.install()
    assert outcome.slot is not None
    slot = scene.root / "slots" / outcome.slot.name
    part = slot / "venv" / "lib" / "python3.11" / "site-packages" / "tiny_part" / "__init__.py"
    assert part.read_text() == "ANSWER = 42\n"
    assert (slot / "records" / "device.lock").read_bytes() == sound


@pytest.mark.controls("RCM_INST_007")
def test_same_version_that_is_already_there_is_not_kept(scene: Scene) -> None:
    """To pip the requirement would be satisfied; it would leave the evil one."""
    evil = scene.root / "slots" / NEW / "venv/lib/python3.11/site-packages/trocar/__init__.py"
    evil.parent.mkdir(parents=True)
    evil.write_text("EVIL = True\n")
    outcome = scene.install()
    assert "was left over and was removed" in " ".join(outcome.remarks)
    assert evil.read_text() == '__version__ = "0.2.0"\n'


@pytest.mark.proves_effect(
    "RCM_INST_004",
    measure="releases with a sequence number from 1 to 5 that install after number 5",
    acceptance="0 of 5, also after a return to an older release",
)
def test_no_older_release_gets_in(scene: Scene) -> None:
    """The highest number counts, not that of the release that runs."""
    scene.write(Release().after(5))
    scene.install()
    for is_rolled_back in (False, True):
        for number in range(1, 6):
            scene.write(Release().after(number))
            with pytest.raises(InstallError, match="above 5"):
                scene.install()
        if not is_rolled_back:
            scene.rollback()
    scene.write(Release().after(6))
    assert scene.install().state.sequence_highest == 6


@pytest.mark.proves_effect(
    "RCM_INST_006",
    measure="files of an installed release whose change the check of its state does not name",
    acceptance="0 of all",
)
def test_each_later_change_of_an_installed_file_is_named(scene: Scene) -> None:
    """Also what no package records: scripts, settings of the environment, an added .pth."""
    outcome = scene.install()
    assert outcome.slot is not None
    folder = scene.root / "slots" / outcome.slot.name
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent != folder]
    for path in files:
        if path.is_symlink():
            continue
        sound = path.read_bytes()
        path.write_bytes(sound + b"#")
        faults = slot_faults(scene.root, outcome.slot)
        assert faults == (f"{path.relative_to(folder)} was changed",)
        path.write_bytes(sound)
    (folder / "venv/lib/python3.11/site-packages/evil.pth").write_text("import os\n")
    (fault,) = slot_faults(scene.root, outcome.slot)
    assert fault.endswith("evil.pth was added")


@pytest.mark.proves_effect(
    "RCM_INST_008",
    measure="runs of a release whose self-test fails, says nothing or does not end",
    acceptance="none: the release before runs",
)
@pytest.mark.parametrize("name", ["self-test fails", "self-test hangs", "self-test says nothing"])
def test_release_that_fails_its_self_test_never_runs(scene: Scene, name: str) -> None:
    """What fails here would fail, or answer wrongly, in use."""
    REFUSED[name][0](scene)
    with pytest.raises(InstallError):
        scene.install()
    _assert_old_runs(scene.root)
    lines = (scene.root / "audit.jsonl").read_text(encoding="ascii").splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events[-1] == "verify_refused"


@needs_openssl
@pytest.mark.proves_effect(
    "RCM_INST_005",
    measure="forged releases that install with an openssl on the path that approves everything",
    acceptance="0",
)
def test_fake_openssl_on_the_path_is_not_asked(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is named from the root of the file system on."""
    fake = tmp_path / "bin" / "openssl"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho Verified OK\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    scene.signed_by(99)
    scene.tools = Tools(run=scene.programs, check=check_p256, today=scene.tools.today)
    with pytest.raises(SignatureError, match="signed by a trusted key"):
        scene.install()
    _assert_old_runs(scene.root)


@needs_openssl
@pytest.mark.controls("RCM_INST_005")
@pytest.mark.verifies("SRS_INST_005", extent="partial", technique="fault_injection")
def test_openssl_conf_of_the_caller_is_not_read(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration could load a library of the attacker into OpenSSL."""
    settings = tmp_path / "openssl.cnf"
    settings.write_text(
        "openssl_conf = start\n[start]\nengines = e\n[e]\nx = y\n[y]\nengine_id=z\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(settings))
    scene.tools = Tools(run=scene.programs, check=check_p256, today=scene.tools.today)
    outcome = scene.install()
    assert outcome.slot is not None
    assert outcome.slot.name == NEW
