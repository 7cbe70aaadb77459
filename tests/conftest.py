"""What tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from simulators.command_line import CommandLine
from simulators.media import write_clip
from simulators.packs import write_tiny_pack


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Undo what a command of the command line set for the log of the whole process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def tiny_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny pack; not to be changed."""
    folder = tmp_path_factory.mktemp("tiny") / "pack"
    write_tiny_pack(folder)
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of 12 frames of noise; not to be changed."""
    return write_clip(tmp_path_factory.mktemp("media") / "clip.mp4")


@pytest.fixture
def trocar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tiny_pack: Path
) -> CommandLine:
    """Return the command line with the tiny pack and without recordings of this machine."""
    monkeypatch.setenv("TROCAR_DATA", "")
    return CommandLine(capsys, tiny_pack)
