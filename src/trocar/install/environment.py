"""A fresh environment for one release: made, filled from wheels without a network, checked, tried.

pip keeps a package of the same version that is there already, whatever is in it. So nothing is ever
installed into an environment that exists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import INSTALL_PROGRAM_MS_MAX, INSTALL_SELFTEST_MS_MAX
from trocar.install.device_lock import LockedWheel, requirements_text
from trocar.install.inventory import check_installed, take_inventory
from trocar.install.left_out import LeftOut, leave_out
from trocar.install.programs import Ended, Program, Run, run_program
from trocar.install.release_facts import platform_name

__all__ = ["Builder", "Interpreter"]

_FACTS: Final = (
    "import sys,sysconfig;"
    "print(sys.implementation.name,'%d.%d'%sys.version_info[:2],sysconfig.get_platform())"
)
_SAID: Final = re.compile(r"cpython (?P<python>\d+\.\d+) (?P<platform>[A-Za-z0-9._-]+)")
_HAS_PIP: Final = "import importlib.util as u,sys;sys.exit(u.find_spec('pip') is None)"
_PIP_VERSION: Final = re.compile(r"pip (\d+)\.(\d+)")
_PIP_KNOWS_OTHER_PYTHON: Final = (22, 3)
_NO_SETTINGS: Final = {"PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""``--isolated`` alone still reads the pip.conf of the machine."""

_NEVER_IMPORTED: Final = "/site-packages/.*/tests/"
"""Tests of packages, which are a fifth of all modules and are not compiled."""

_NO_PIP: Final = "install pip or ensurepip (Debian: python3-pip or python3-venv) for it"


@dataclass(frozen=True)
class Interpreter:
    """What an interpreter says about itself.

    Attributes:
        python: Version, such as 3.11.
        platform: Machine, such as linux_x86_64.
    """

    python: str
    platform: str


@dataclass(frozen=True)
class Builder:
    """Builds the environment of one release with one interpreter.

    Attributes:
        interpreter: Full path of Python.
        scratch: A private folder for what is needed on the way; empty at first.
        run: Starts programs.
    """

    interpreter: Path
    scratch: Path
    run: Run = run_program

    def inspect(self) -> Interpreter:
        """Return version and machine of the interpreter.

        Raises:
            InstallError: There is none, or it is no CPython.
        """
        done = self._done((self.interpreter, "-I", "-S", "-c", _FACTS), "the interpreter")
        match = _SAID.fullmatch(done.out.strip())
        if match is None:
            raise InstallError(
                f"expected CPython at {self.interpreter}, got {done.complaint!a:.80}",
                advice="name it with --python and its full path",
            )
        return Interpreter(match["python"], platform_name(match["platform"]))

    # @need-ids: SRS_INST_004, SRS_INST_006, SRS_INST_014
    def build(
        self,
        environment: Path,
        wheels: tuple[LockedWheel, ...],
        store: Path,
        left_out: tuple[str, ...] = (),
    ) -> LeftOut:
        """Make an environment that holds the given wheels and nothing else.

        Args:
            environment: Where it goes; nothing may be there.
            wheels: What to install.
            store: Folder with the wheels.
            left_out: Files of the packages that do not stay.

        Returns:
            What did not stay.

        Raises:
            InstallError: Something is there, or a step failed.
            OSError: The disk is full.
        """
        # @need-ids: RCM_INST_007
        if environment.exists() or environment.is_symlink():
            raise InstallError(
                f"expected nothing at {environment}, something is there",
                advice="remove it: nothing is installed into an environment that exists",
            )
        venv = (self.interpreter, "-I", "-m", "venv", "--without-pip", environment)
        self._done(venv, "the new environment")
        site_packages = _site_packages(environment)
        before = take_inventory(environment)
        lock = self.scratch / "requirements.txt"
        lock.write_text(requirements_text(wheels), encoding="ascii")
        self._done(
            (
                *(*self._pip(), "--isolated", "--python", environment / "bin" / "python"),
                *("--no-input", "install", "--quiet", "--no-index", "--no-deps"),
                *("--require-hashes", "--no-compile", "--only-binary=:all:", "--no-cache-dir"),
                *("--find-links", store, "-r", lock),
            ),
            "pip",
        )
        installed = check_installed(environment, site_packages, before)
        done = leave_out(environment, site_packages, left_out, installed)
        self._compile(environment, site_packages)
        return done

    # @need-ids: SRS_INST_007, RCM_INST_008
    def self_test(self, environment: Path) -> None:
        """Let the new release replay its reference cases, in its own environment.

        Args:
            environment: The environment.

        Raises:
            InstallError: It does not end well in time, or does not say what a self-test says.
        """
        words = (environment / "bin" / "python", "-I", "-B", "-m", "trocar", "selftest", "--json")
        done = self._done(words, "the self-test of the release", time_ms=INSTALL_SELFTEST_MS_MAX)
        try:
            answer = json.loads(done.out)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not answer.get("selftest"):
            raise InstallError(
                "expected the results of the self-test, the release gave none",
                advice="this release does not run on this device; report it to its maker",
            )

    def _compile(self, environment: Path, site_packages: Path) -> None:
        """Write bytecode now: at run time nobody may write there, and each start would be slow."""
        words = (
            *(environment / "bin" / "python", "-I", "-m", "compileall", "-q"),
            *("-x", _NEVER_IMPORTED, site_packages),
        )
        # A package may carry a file that is no Python of this version; it has no bytecode then.
        self._ended(words)

    def _pip(self) -> tuple[str | Path, ...]:
        """Return how pip is called: that of the interpreter, else the one that it brings along."""
        own = (self.interpreter, "-I", "-m", "pip")
        if self._ended((self.interpreter, "-I", "-c", _HAS_PIP)).code == 0:
            match = _PIP_VERSION.match(self._ended((*own, "--version")).out)
            if match and (int(match[1]), int(match[2])) >= _PIP_KNOWS_OTHER_PYTHON:
                return own
        bundled = self.scratch / "pip-environment"
        made = self._ended((self.interpreter, "-I", "-m", "venv", bundled))
        if made.code != 0:
            raise InstallError(
                f"expected pip 22.3 or newer with {self.interpreter}: {made.complaint}",
                advice=_NO_PIP,
            )
        return bundled / "bin" / "python", "-I", "-m", "pip"

    def _done(
        self, words: Sequence[str | Path], what: str, *, time_ms: int = INSTALL_PROGRAM_MS_MAX
    ) -> Ended:
        """Run a program that must end well."""
        ended = self._ended(words, time_ms=time_ms)
        if ended.code != 0:
            raise InstallError(
                f"expected {what} to end well, it ended with {ended.code}: {ended.complaint}",
                advice="nothing was changed on the device; report this with the text above",
            )
        return ended

    def _ended(
        self, words: Sequence[str | Path], *, time_ms: int = INSTALL_PROGRAM_MS_MAX
    ) -> Ended:
        """Run a program in the scratch folder, with an environment of our own."""
        return self.run(
            Program(
                tuple(str(word) for word in words),
                self.scratch,
                time_ms,
                {**_NO_SETTINGS, "TMPDIR": str(self.scratch), "LC_ALL": "C.UTF-8"},
            )
        )


def _site_packages(environment: Path) -> Path:
    """Return the one folder of packages of an environment."""
    found = sorted((environment / "lib").glob("python3.*/site-packages"))
    if len(found) != 1:
        raise InstallError(
            f"expected one folder of packages in {environment}, got {len(found)}",
            advice="name another interpreter with --python",
        )
    return found[0]
