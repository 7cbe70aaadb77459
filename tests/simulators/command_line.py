"""The command line inside the test's own process: quick, and with coverage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulators.trust import trust_of
from trocar import RESEARCH_NOTICE
from trocar.cli import commands_run
from trocar.cli.catalogue import find_unit
from trocar.cli.main import main

UNIT = "polyp_segmentation"


@dataclass(frozen=True)
class Answer:
    """What one command left behind.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    @property
    def fields(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        parsed = json.loads(self.out)
        assert isinstance(parsed, dict)
        return parsed

    def require_clean_error(self, code: int, name: str) -> None:
        """Check that a failure reads as one: exit code, stable name, advice, no traceback."""
        assert self.code == code, self.err
        assert f"error {name}: " in self.err
        assert "\n  what to do: " in self.err
        assert "Traceback" not in self.out + self.err
        assert RESEARCH_NOTICE in self.err
        assert self.out == ""


class CommandLine:
    """``trocar`` with one pack.

    Args:
        capsys: Pytest's capture.
        pack: Folder of the pack, given to the commands that run a unit.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str], pack: Path) -> None:
        self._capsys = capsys
        self.pack = pack

    def __call__(self, *words: object) -> Answer:
        """Run one command as it stands; a pack of the simulators brings its trust folder."""
        self._capsys.readouterr()
        code = main([*(str(word) for word in words), *self._trust(words)])
        captured = self._capsys.readouterr()
        return Answer(code=code, out=captured.out, err=captured.err)

    @staticmethod
    def _trust(words: Sequence[object]) -> list[str]:
        """Return the option that names the trust folder beside the pack, where there is one."""
        after = dict(pairwise(words))
        place = after.get("verify") or after.get("--pack")
        if "--trust" in words or not isinstance(place, Path) or not trust_of(place).is_dir():
            return []
        return [f"--trust={trust_of(place)}"]

    def run(self, source: Path, output: Path, *words: object) -> Answer:
        """``trocar run`` with the pack."""
        return self("run", UNIT, source, "-o", output, "--pack", self.pack, *words)

    def stream(self, source: Path, *words: object) -> Answer:
        """``trocar stream`` from a file with the pack, every frame."""
        fast = "--as-fast-as-possible"
        return self("stream", UNIT, "--source", f"file:{source}", "--pack", self.pack, fast, *words)


def play_instead(monkeypatch: pytest.MonkeyPatch, clip: Path) -> None:
    """Let ``trocar demo`` play another clip."""
    monkeypatch.setattr(
        commands_run, "find_unit", lambda name: replace(find_unit(name), demo_clip=clip)
    )


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a record file; each must be whole."""
    text = path.read_text(encoding="ascii")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]
