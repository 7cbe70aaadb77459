"""Procedures that are run: each command in them exists, with each of its options."""

from __future__ import annotations

import argparse
import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from trocar_lab import soup
from trocar_lab.__main__ import main as lab_main
from trocar_lab.evidence.__main__ import main as evidence_main
from trocar_lab.release.__main__ import main as release_main
from trocar_lab.release.__main__ import make_parser
from trocar_lab.supply.commands import main as supply_main

ROOT: Final = Path(__file__).parents[4]
PAGES: Final = (
    "docs/process/release.rst",
    "docs/process/maintenance.rst",
    "docs/process/release_checklist.rst",
    "docs/how-to/make_a_release.rst",
)
_COMMAND: Final = re.compile(r"^ +\$ (?P<words>.+)$", re.MULTILINE)
_CONTINUED: Final = re.compile(r" \\\n +")
_MODULES: Final[Mapping[str, Callable[[list[str]], object]]] = {
    "trocar_lab": lab_main,
    "trocar_lab.evidence": evidence_main,
    "trocar_lab.release": release_main,
    "trocar_lab.soup": soup.main,
    "trocar_lab.supply": supply_main,
}


class _ParsedError(Exception):
    """A command line was accepted; nothing of it is run."""


def page_text(page: str) -> str:
    """Return a page with the continued lines of its commands joined."""
    return _CONTINUED.sub(" ", (ROOT / page).read_text(encoding="utf-8"))


def commands() -> list[str]:
    """Return each command of the procedures once, in order."""
    texts = (page_text(page) for page in PAGES)
    return list(
        dict.fromkeys(found["words"] for text in texts for found in _COMMAND.finditer(text))
    )


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each command line end when it has been parsed."""
    parse = argparse.ArgumentParser.parse_args

    def parsed(
        self: argparse.ArgumentParser, words: Sequence[str] | None = None
    ) -> argparse.Namespace:
        parse(self, words)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)


def check(words: list[str]) -> None:
    """Check one command; raises where it would not be accepted."""
    match words:
        case ["python", "-m", module, *rest]:
            with pytest.raises(_ParsedError):
                _MODULES[module](rest)
        case ["tox", "-e", name, *rest]:
            tox = configparser.ConfigParser(interpolation=None)
            tox.read(ROOT / "tox.ini", encoding="utf-8")
            assert tox.has_section(f"testenv:{name}"), name
            if rest:
                assert (name, rest[0]) == ("release", "--")
                make_parser().parse_args(["build", *rest[1:]])
        case ["git", name, *_]:
            done = subprocess.run(["git", name, "-h"], capture_output=True, check=False)
            assert b"usage: git" in done.stdout + done.stderr, name
        case _:
            pytest.fail(f"no test knows how to read: {' '.join(words)}")


@pytest.mark.verifies("SRS_REL_011", extent="full", technique="equivalence")
@pytest.mark.usefixtures("parse_only")
@pytest.mark.parametrize("command", commands())
def test_command_of_a_procedure_exists(command: str) -> None:
    """Each option is one that the command line takes; names of files are examples."""
    words = shlex.split(command)
    if words[:2] == ["tox", "-e"] and "--" in words:
        with pytest.raises(_ParsedError):
            check(words)
        return
    check(words)


@pytest.mark.usefixtures("parse_only")
@pytest.mark.parametrize(
    "command",
    [
        "python -m trocar_lab.release build --fast -o x",
        "python -m trocar_lab.release publish",
        "python -m trocar_lab.evidence diff",
        "tox -e release -- --key x --output y",
    ],
)
def test_command_that_does_not_exist_is_found(command: str) -> None:
    """The check above can fail: an option, a command, an argument that is missing."""
    with pytest.raises(SystemExit):
        check(shlex.split(command))


@pytest.mark.parametrize("command", ["tox -e releases", "git releases -h", "make release"])
def test_unknown_environment_or_program_is_found(command: str) -> None:
    """The same for what is not our own command line."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(shlex.split(command))


def test_procedures_hold_commands_and_the_environments_exist() -> None:
    """A page without a block would pass the test above by having nothing to check."""
    found = commands()
    assert len(found) >= 12
    for words in (
        "tox -e release",
        "python -m trocar_lab.release verify",
        "python -m trocar_lab sign",
    ):
        assert any(command.startswith(words) for command in found), words
    assert shutil.which("git")


@pytest.mark.parametrize("page", PAGES)
def test_console_blocks_hold_commands_only(page: str) -> None:
    """A line in a console block that is no command would not be read by any test."""
    text = page_text(page)
    blocks = re.findall(r"\.\. code-block:: console\n\n((?: +.+\n)+)", text)
    assert blocks or page.endswith("maintenance.rst")
    for block in blocks:
        assert all(line.lstrip().startswith("$ ") for line in block.splitlines())


def test_release_environment_has_the_versions_of_the_project() -> None:
    """Each package of its own list is pinned as the project table pins it."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = table["project"]["optional-dependencies"].values()
    pinned = {line for lines in extras for line in lines}
    asked = tox["testenv:release"]["deps"].split()
    assert len(asked) >= 3
    assert set(asked) <= pinned
