"""The folder in which releases are installed, held by one installer at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError

__all__ = ["LOCK_FILE_NAME", "OPEN_TO_OTHERS", "held", "is_full"]

LOCK_FILE_NAME: Final = "lock"
"""Held while an installer runs; the system lets go of it when the process ends."""

OPEN_TO_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
"""Permissions with which another account could change a file or a folder."""

_ENVIRONMENT_NAME: Final = "pyvenv.cfg"


# @need-ids: SRS_INST_010
@contextlib.contextmanager
def held(root: Path, *, is_new: bool = False) -> Iterator[None]:
    """Hold the folder, so that nobody else installs into it meanwhile.

    Args:
        root: Its full path.
        is_new: Whether it is made where it is not there.

    Raises:
        InstallError: It is not there, held, a link or an environment of Python, or somebody else
            may write there.
    """
    if not root.is_absolute():
        raise InstallError(
            f"expected the full path of a folder to install into, got {root}",
            advice="name it from the root of the file system on, such as /opt/trocar",
        )
    try:
        if is_new:
            root.mkdir(parents=True, exist_ok=True, mode=0o755)
        _check_owner(root)
        handle = os.open(root / LOCK_FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise InstallError(
            f"cannot use {root} as the folder of the installations: {exc.strerror}",
            advice="name the folder that releases were installed into, with an account that may "
            "write there",
        ) from exc
    try:
        _lock(handle, root)
        yield
    finally:
        os.close(handle)


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no space left."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def _lock(handle: int, root: Path) -> None:
    """Take the lock, or refuse at once."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise InstallError(
            f"another installer works on {root}", advice="wait until it has ended"
        ) from exc


def _check_owner(root: Path) -> None:
    """Refuse a folder that is a link, or that others may change under our feet."""
    status = root.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise InstallError(
            f"expected a folder at {root}, it is a link or a file",
            advice="name the folder itself",
        )
    if status.st_uid != os.geteuid() or status.st_mode & OPEN_TO_OTHERS:
        raise InstallError(
            f"expected {root} to belong to this account and to be closed to others",
            advice=f"check what lies there, then: chown and chmod go-w {root}",
        )
    if os.path.lexists(root / _ENVIRONMENT_NAME):
        raise InstallError(
            f"expected a folder of installations at {root}, it is an environment of Python",
            advice="name another folder, or move the environment away first",
        )
