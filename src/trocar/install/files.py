"""The file system as a port.

What changes a device is a list of these steps, each of which may be the last one before the power
goes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol

__all__ = ["Files", "SystemFiles"]


class Files(Protocol):
    """Steps that change the disk. Each may raise ``OSError``."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, with those above it."""

    def write(self, path: Path, content: bytes) -> None:
        """Write a file that is not there yet; nothing is on the disk for sure."""

    def link(self, path: Path, target: str) -> None:
        """Make a symbolic link that is not there yet."""

    def rename(self, path: Path, target: Path) -> None:
        """Give a file or a link another name, in place of what bore it."""

    def remove(self, path: Path) -> None:
        """Remove a file, a link, or a folder with all that is in it; nothing where none is."""

    def sync_file(self, path: Path) -> None:
        """Return when the content of a file is on the disk."""

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are on the disk."""

    def sync_all(self) -> None:
        """Return when all that was written by anybody is on the disk."""


# @need-ids: SRS_INST_008
class SystemFiles:
    """The real file system."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, with those above it."""
        path.mkdir(parents=True, exist_ok=True, mode=0o755)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file that is not there yet."""
        with path.open("xb") as stream:
            stream.write(content)

    def link(self, path: Path, target: str) -> None:
        """Make a symbolic link that is not there yet."""
        path.symlink_to(target)

    def rename(self, path: Path, target: Path) -> None:
        """Give a file or a link another name, in place of what bore it."""
        path.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, a link, or a folder with all that is in it."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def sync_file(self, path: Path) -> None:
        """Return when the content of a file is on the disk."""
        self._sync(path)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are on the disk."""
        self._sync(path)

    def sync_all(self) -> None:
        """Return when all that was written is on the disk.

        Source:
            Linux, sync(2): it returns after the writing, not before it.
        """
        os.sync()

    @staticmethod
    def _sync(path: Path) -> None:
        """Flush one file or folder."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
