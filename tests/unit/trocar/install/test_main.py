"""The commands: what they show, and with which code they end."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.install_attacks import Scene
from simulators.release_folders import Release
from trocar import RESEARCH_NOTICE, __version__
from trocar.contracts.errors import InstallError, SignatureError
from trocar.install.main import DEVELOPMENT_NOTICE, main


class Commands:
    """``trocar-install`` on a scene."""

    def __init__(self, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
        self.scene = scene
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str]:
        """Run one command; return its code and what it showed."""
        self._capsys.readouterr()
        code = main([str(word) for word in words], tools=self.scene.tools)
        captured = self._capsys.readouterr()
        return code, captured.err + captured.out

    def release(self, command: str, *words: object) -> tuple[int, str]:
        """Run a command on the medium."""
        return self(command, self.scene.usb, "--trust", self.scene.trust, *words)

    def device(self, command: str) -> tuple[int, str]:
        """Run a command on the device."""
        return self(command, "--root", self.scene.root)


@pytest.fixture
def commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Commands:
    """Return the commands on a device with one release."""
    return Commands(Scene(tmp_path), capsys)


@pytest.mark.verifies("SRS_INST_012", extent="partial", technique="requirement")
def test_each_command_says_what_holds(commands: Commands) -> None:
    """Verified, installed, what runs, what ran before, returned to."""
    code, said = commands.release("verify")
    assert (code, "sound: Trocar 0.2.0, sequence number 2, production" in said) == (0, True)
    assert said.startswith(RESEARCH_NOTICE)
    python = ("--python", "/usr/bin/python3")
    code, said = commands.release("install", "--root", commands.scene.root, *python)
    assert (code, "runs: 0.2.0-2" in said, "before: 0.1.0-1" in said) == (0, True, True)
    code, said = commands.device("rollback")
    assert (code, "number 2 was installed before" in said) == (0, True)
    assert commands.device("status")[0] == 0
    assert commands.device("recover")[0] == 0
    assert DEVELOPMENT_NOTICE not in said


@pytest.mark.verifies("SRS_INST_012", extent="partial", technique="requirement")
def test_release_for_development_is_called_one(commands: Commands) -> None:
    """Before it is installed and as long as it runs."""
    commands.scene.told({"grade": "development"})
    refused, said = commands.release("verify")
    assert (refused, "is for development" in said) == (InstallError.exit_code, True)
    assert DEVELOPMENT_NOTICE in commands.release("verify", "--allow-development")[1]
    words = ("--root", commands.scene.root, "--allow-development", "--python", "/usr/bin/python3")
    assert DEVELOPMENT_NOTICE in commands.release("install", *words)[1]
    for command in ("status", "recover"):
        assert DEVELOPMENT_NOTICE in commands.device(command)[1]
    commands.scene.write(Release().after(3))
    commands.scene.install()
    lines = commands.device("status")[1].splitlines()
    assert [line for line in lines if DEVELOPMENT_NOTICE in line] == [
        f"  before: 0.2.0-2 - {DEVELOPMENT_NOTICE}"
    ]
    assert commands.device("rollback")[0] == InstallError.exit_code
    root = commands.scene.root
    assert commands("rollback", "--root", root, "--allow-development")[0] == 0


@pytest.mark.verifies("SRS_INST_014", extent="partial", technique="requirement")
def test_what_was_left_out_is_said(commands: Commands) -> None:
    """How many files and bytes; nothing where there is no list."""
    assert "left out" not in commands.device("status")[1]
    commands.scene.holds({"device.leftout": b"tiny_part/__init__.py\n"})
    words = ("--root", commands.scene.root, "--python", "/usr/bin/python3")
    assert commands.release("install", *words)[0] == 0
    assert "left out as signed: 1 files of packages, 12 bytes" in commands.device("status")[1]


@pytest.mark.verifies("SRS_INST_012", extent="partial", technique="equivalence")
def test_errors_have_codes(commands: Commands) -> None:
    """Usage, signature, refusal, damage; each with what to do."""
    assert commands("nothing")[0] == 2
    assert commands()[0] == 2
    assert commands("--version") == (0, f"{RESEARCH_NOTICE}\ntrocar-install {__version__}\n")
    commands.scene.write(Release().after(1))
    words = ("--root", commands.scene.root, "--python", "/usr/bin/python3")
    code, said = commands.release("install", *words)
    assert (code, "what to do: " in said) == (InstallError.exit_code, True)
    commands.scene.signed_by(9)
    assert commands.release("verify")[0] == SignatureError.exit_code
    (commands.scene.root / "slots" / "0.1.0-1" / "venv" / "evil").touch()
    code, said = commands.device("status")
    assert (code, "venv/evil was added" in said) == (InstallError.exit_code, True)
    code, said = commands.device("recover")
    assert (code, "none left" in said) == (InstallError.exit_code, True)
    assert commands.device("status")[0] == InstallError.exit_code


def test_remarks_are_shown(commands: Commands) -> None:
    """A gap in the sequence numbers is no error, and not silent either."""
    commands.scene.write(Release().after(4))
    words = ("--root", commands.scene.root, "--python", "/usr/bin/python3")
    code, said = commands.release("install", *words)
    assert (code, "note: 2 releases in between" in said) == (0, True)


def test_device_without_a_release_is_no_error(commands: Commands) -> None:
    """Nothing was ever installed there."""
    empty = commands.scene.folder / "empty"
    empty.mkdir(mode=0o755)
    code, said = commands("status", "--root", empty)
    assert (code, "nothing is installed" in said) == (0, True)


def test_names_on_a_medium_do_not_steer_the_terminal(commands: Commands) -> None:
    """A file name may hold escape sequences."""
    (commands.scene.usb / "\x1b[2Jevil").touch()
    code, said = commands.release("verify")
    assert (code, "\x1b" in said) == (InstallError.exit_code, False)
    code, said = commands("verify", "a\x1b[2J", "--trust", commands.scene.trust)
    assert (code, "\x1b" in said) == (InstallError.exit_code, False)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ZeroDivisionError(), 70)])
def test_interruption_and_bug_end_with_a_code(
    commands: Commands, error: BaseException, code: int
) -> None:
    """Both say what to expect; neither shows a traceback."""

    def fail() -> dt.date:
        raise error

    commands.scene.tools = replace(commands.scene.tools, today=fail)
    found, said = commands.release("verify")
    assert found == code
    assert "Traceback" not in said
