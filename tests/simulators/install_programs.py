"""The programs that an installer starts, played inside the test: quick, and faulty on demand."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from simulators.release_folders import PLATFORM, PYTHON
from trocar.install.programs import Ended, Program

Reply = Callable[[Program], Ended]


@dataclass
class FakePrograms:
    """An interpreter with pip, as far as an installer asks for it.

    Attributes:
        python: Version that it says it has.
        platform: Machine that it says it runs on.
        replies: What answers instead of the played program, by its kind: ``facts``, ``venv``,
            ``has_pip``, ``pip_version``, ``bundled``, ``pip``, ``compile``, ``selftest``.
        started: What was started, in order.
        before: Called with the kind before each program.
    """

    python: str = PYTHON
    platform: str = PLATFORM
    replies: dict[str, Reply] = field(default_factory=dict)
    started: list[tuple[str, Program]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None

    def __call__(self, program: Program, /) -> Ended:
        """Play one program."""
        kind = _kind(program.words)
        self.before(kind)
        self.started.append((kind, program))
        reply = self.replies.get(kind) or getattr(self, f"_{kind}")
        ended = reply(program)
        assert isinstance(ended, Ended)
        return ended

    @property
    def kinds(self) -> list[str]:
        """Kinds of what was started."""
        return [kind for kind, _ in self.started]

    def _facts(self, program: Program) -> Ended:
        return Ended(0, f"cpython {self.python} {self.platform}\n")

    def _venv(self, program: Program) -> Ended:
        folder = Path(program.words[-1])
        (folder / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
        (folder / "lib64").symlink_to("lib")
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(program.words[0])
        (folder / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
        return Ended(0, "")

    def _has_pip(self, program: Program) -> Ended:
        return Ended(0, "")

    def _pip_version(self, program: Program) -> Ended:
        return Ended(0, "pip 23.0.1 from somewhere\n")

    def _bundled(self, program: Program) -> Ended:
        return Ended(0, "")

    def _pip(self, program: Program) -> Ended:
        words = program.words
        environment = Path(words[words.index("--python") + 1]).parents[1]
        store = Path(words[words.index("--find-links") + 1])
        for path in sorted(store.glob("*.whl")):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(site_packages(environment))
        return Ended(0, "")

    def _compile(self, program: Program) -> Ended:
        return Ended(0, "")

    def _selftest(self, program: Program) -> Ended:
        return Ended(0, json.dumps({"selftest": [{"unit": "tiny"}]}))


def site_packages(environment: Path) -> Path:
    """Return the folder of packages of a played environment."""
    return environment / "lib" / "python3.11" / "site-packages"


def _kind(words: tuple[str, ...]) -> str:
    """Return what a call is for."""
    if "venv" in words:
        return "venv" if "--without-pip" in words else "bundled"
    if "-c" in words:
        return "facts" if "-S" in words else "has_pip"
    for word, kind in (("--version", "pip_version"), ("compileall", "compile")):
        if word in words:
            return kind
    return "selftest" if "selftest" in words else "pip"
