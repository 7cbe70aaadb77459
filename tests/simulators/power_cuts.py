"""A disk whose power goes at a chosen step: what was not flushed is kept, lost or torn."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from trocar.install.files import SystemFiles


class PowerCutError(BaseException):
    """The power went; nothing can be done any more, not even cleaning up."""


class Unflushed(Enum):
    """What becomes of changes that were not flushed when the power goes."""

    KEPT = "kept"
    LOST = "lost"
    TORN = "torn"


Undo = Callable[[], None]


@dataclass
class CuttingFiles:
    """The real file system up to step ``cut_at``, and nothing from there on.

    Attributes:
        trash: Folder of the test for what was removed and may have to come back.
        cut_at: Number of the step that is not taken; None for never.
        unflushed: What becomes of changes that were not flushed.
        steps: The steps that were taken, for the message of a failing test.
        is_dead: Whether the power is gone.
    """

    trash: Path
    cut_at: int | None = None
    unflushed: Unflushed = Unflushed.KEPT
    steps: list[str] = field(default_factory=list)
    is_dead: bool = False
    _names: list[tuple[Path, Undo]] = field(default_factory=list)
    _contents: set[Path] = field(default_factory=set)
    _real: SystemFiles = field(default_factory=SystemFiles)

    def cut(self) -> None:
        """Let the power go now."""
        self.is_dead = True
        if self.unflushed is Unflushed.TORN:
            for path in self._contents:
                if path.is_file() and not path.is_symlink():
                    content = path.read_bytes()
                    path.write_bytes(content[: len(content) // 2])
        if self.unflushed is Unflushed.LOST:
            for _, undo in reversed(self._names):
                undo()
        raise PowerCutError(f"after {self.steps[-3:]}")

    def make_folder(self, path: Path) -> None:
        """Make a folder."""
        if not path.exists():
            self._step("make_folder", path)
            self._real.make_folder(path)
            self._names.append((path.parent, lambda: shutil.rmtree(path)))

    def write(self, path: Path, content: bytes) -> None:
        """Write a file."""
        self._step("write", path)
        self._real.write(path, content)
        self._contents.add(path)
        self._names.append((path.parent, lambda: path.unlink(missing_ok=True)))

    def link(self, path: Path, target: str) -> None:
        """Make a link."""
        self._step("link", path)
        self._real.link(path, target)
        self._names.append((path.parent, path.unlink))

    def rename(self, path: Path, target: Path) -> None:
        """Rename a file or a link."""
        self._step("rename", path)
        saved = self._saved(target)
        self._real.rename(path, target)
        if path in self._contents:
            self._contents.add(target)

        def undo() -> None:
            target.rename(path)
            if saved is not None:
                saved.rename(target)

        self._names.append((path.parent, undo))

    def remove(self, path: Path) -> None:
        """Remove something; a folder that is lost by half keeps half of its files."""
        if self.is_dead or path.is_symlink() or path.exists():
            self._step("remove", path)
            saved = self._saved(path)
            self._real.remove(path)
            if saved is not None:
                self._names.append((path.parent, lambda: _move(saved, path)))

    def sync_file(self, path: Path) -> None:
        """Flush the content of a file."""
        self._step("sync_file", path)
        self._contents.discard(path)

    def sync_folder(self, path: Path) -> None:
        """Flush the names in a folder."""
        self._step("sync_folder", path)
        self._names = [one for one in self._names if one[0] != path]

    def sync_all(self) -> None:
        """Flush everything."""
        self._step("sync_all", Path())
        self._names.clear()
        self._contents.clear()

    def _step(self, name: str, path: Path) -> None:
        """Count one step, or let the power go before it."""
        if self.is_dead:
            raise PowerCutError("the power is gone")
        if len(self.steps) == self.cut_at:
            if name == "remove" and path.is_dir() and not path.is_symlink():
                _remove_half(path)
            self.cut()
        self.steps.append(f"{name} {path.name}")

    def _saved(self, path: Path) -> Path | None:
        """Keep a copy of what is about to be replaced or removed."""
        if not (path.is_symlink() or path.exists()):
            return None
        self.trash.mkdir(exist_ok=True)
        saved = self.trash / str(len(list(self.trash.iterdir())))
        if path.is_symlink():
            saved.symlink_to(path.readlink())
        elif path.is_dir():
            shutil.copytree(path, saved, symlinks=True)
        else:
            shutil.copyfile(path, saved)
        return saved


def _move(saved: Path, path: Path) -> None:
    """Put back what was removed."""
    shutil.move(saved, path)


def _remove_half(folder: Path) -> None:
    """Remove every other file of a folder, as a removal that was cut off does."""
    for path in sorted(folder.rglob("*"))[::2]:
        with contextlib.suppress(OSError):
            path.unlink()
