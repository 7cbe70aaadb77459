"""A private folder of stored engines, each with an authentication code under the device's key.

What is found there is used only when nothing about it is in doubt; else it is as if it were not
there, and the reason is said. A file appears under its name as a whole or not at all.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from trocar.backends.tensorrt_key import (
    OVERHEAD_BYTES,
    EngineKey,
    EngineRejectedError,
    seal,
    unseal,
)
from trocar.contracts.errors import BackendUnavailableError
from trocar.contracts.limits import (
    ENGINE_BUILD_MS_MAX,
    ENGINE_BYTES_MAX,
    ENGINE_CACHE_BYTES_MAX,
    ENGINE_CACHE_COUNT_MAX,
    NS_PER_MS,
)

__all__ = ["EngineCache"]

_SUFFIX: Final = ".engine"
_UNFINISHED: Final = ".tmp"
_LOCK_NAME: Final = "lock"
_KEY_SUFFIX: Final = ".key"
_KEY_BYTES: Final = 32
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022
_WAIT_S: Final = 0.1
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_THERE: Final = "there is none for this model, precision, GPU and version"


class EngineCache:
    """Stored engines in one folder; the key of the device lies beside it, not in it.

    Args:
        folder: The folder; made if it is not there. Its key is ``<folder>.key``.

    Raises:
        BackendUnavailableError: Folder or key cannot be made, or others may reach them.
    """

    # @need-ids: SRS_TRT_006, SRS_TRT_008, RCM_TRT_001
    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_private(self._folder)
            with _locked_folder(self._folder):
                self._key = _device_key(self._folder.with_name(self._folder.name + _KEY_SUFFIX))
        except OSError as exc:
            raise BackendUnavailableError(
                f"the folder for engines cannot be used: {exc.strerror}: {exc.filename}",
                advice="name another folder with --engine-cache",
            ) from exc

    # @need-ids: SRS_TRT_006, SRS_TRT_007
    def load(self, key: EngineKey) -> bytes:
        """Return the stored engine of a key.

        Raises:
            EngineRejectedError: There is none that may be used; the text says why.
        """
        path = self._path(key)
        try:
            stored = _read_whole(path)
        except FileNotFoundError as exc:
            raise EngineRejectedError(_NOT_THERE) from exc
        except OSError as exc:
            raise EngineRejectedError(f"it cannot be read: {exc.strerror}") from exc
        engine = unseal(stored, key, self._key)
        with suppress(OSError):
            # What was used last is removed last.
            os.utime(path, follow_symlinks=False)
        return engine

    # @need-ids: SRS_TRT_008
    def store(self, key: EngineKey, engine: bytes) -> None:
        """Keep an engine, and remove what was used longest ago where there is no room.

        Raises:
            OSError: It could not be written; nothing of it is left under its name.
        """
        path = self._path(key)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_UNFINISHED}")
        try:
            _write_whole(unfinished, seal(engine, key, self._key))
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        _flush_folder(self._folder)
        self._make_room(newest=path)

    def remove(self, key: EngineKey) -> bool:
        """Remove the engine of a key; return whether there was one."""
        try:
            self._path(key).unlink()
        except OSError:
            return False
        return True

    @contextmanager
    def one_builder(self, say: Callable[[], None]) -> Iterator[None]:
        """Hold the right to build into this folder; wait while another process has it.

        Args:
            say: Called before each wait.

        Raises:
            BackendUnavailableError: The other process took longer than a build may take.
        """
        until_ns = time.monotonic_ns() + ENGINE_BUILD_MS_MAX * NS_PER_MS
        try:
            lock = os.open(self._folder / _LOCK_NAME, _LOCK, 0o600)
        except OSError as exc:
            raise BackendUnavailableError(
                f"the folder for engines cannot be used: {exc.strerror}: {exc.filename}",
                advice="name another folder with --engine-cache",
            ) from exc
        try:
            while not _is_locked(lock):
                if time.monotonic_ns() > until_ns:
                    raise BackendUnavailableError(
                        f"another process has built engines in {self._folder} for more than "
                        f"{ENGINE_BUILD_MS_MAX // 1000} s",
                        advice="end it, or name another folder with --engine-cache",
                    )
                say()
                time.sleep(_WAIT_S)
            self._remove_unfinished()
            yield
        finally:
            os.close(lock)

    def _path(self, key: EngineKey) -> Path:
        """Return where the engine of a key lies."""
        return self._folder / f"{key.digest}{_SUFFIX}"

    def _remove_unfinished(self) -> None:
        """Remove what a build left that was cut off: nobody else builds now."""
        for path in self._folder.glob(f".*{_UNFINISHED}"):
            with suppress(OSError):
                path.unlink()

    def _make_room(self, *, newest: Path) -> None:
        """Remove the engines used longest ago until number and size are within their limits."""
        others = sorted(_sizes_by_age(self._folder, without=newest), reverse=True)
        count, size_bytes = 1, newest.stat().st_size
        for _, path, file_bytes in others:
            count, size_bytes = count + 1, size_bytes + file_bytes
            if count > ENGINE_CACHE_COUNT_MAX or size_bytes > ENGINE_CACHE_BYTES_MAX:
                with suppress(OSError):
                    path.unlink()


def _sizes_by_age(folder: Path, *, without: Path) -> Iterator[tuple[int, Path, int]]:
    """Yield (time of last use, path, size) of each engine but one."""
    for path in folder.glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError):
            found = path.lstat()
            if path != without and not stat.S_ISDIR(found.st_mode):
                yield found.st_mtime_ns, path, found.st_size


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Let one process at a time make what is missing; held for a moment only."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_locked(lock: int) -> bool:
    """Take the lock if it is free; return whether it is held now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _require_private(folder: Path) -> None:
    """Refuse a folder that is not the user's alone, or whose place others may change.

    Raises:
        BackendUnavailableError: Others may reach it.
    """
    found, above = folder.lstat(), folder.parent.stat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise _not_private(folder, "it is not a folder of this user")
    if found.st_mode & _OTHERS:
        raise _not_private(folder, f"others may reach it (mode {stat.S_IMODE(found.st_mode):o})")
    if above.st_mode & _OTHERS_WRITE and not above.st_mode & stat.S_ISVTX:
        raise _not_private(folder.parent, "others may rename what is in it")


def _not_private(path: Path, why: str) -> BackendUnavailableError:
    """Return the error for a place that others may reach."""
    return BackendUnavailableError(
        f"expected {path} to be this user's alone: {why}",
        advice="chmod 700 the folder, or name another one with --engine-cache",
    )


def _device_key(path: Path) -> bytes:
    """Return the key of this device, made when it is asked for the first time.

    Raises:
        BackendUnavailableError: What lies there is no key, or not this user's alone.
    """
    if not os.path.lexists(path):
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_UNFINISHED}")
        try:
            _write_whole(fresh, secrets.token_bytes(_KEY_BYTES))
            fresh.rename(path)
        finally:
            fresh.unlink(missing_ok=True)
    try:
        key = _read_whole(path)
    except EngineRejectedError as exc:
        raise _no_key(path, str(exc)) from exc
    if len(key) != _KEY_BYTES:
        raise _no_key(path, f"it has {len(key)} bytes, not {_KEY_BYTES}")
    return key


def _no_key(path: Path, why: str) -> BackendUnavailableError:
    """Return the error for a key that cannot be used."""
    return BackendUnavailableError(
        f"the key of this device for engines cannot be used: {why}: {path}",
        advice="remove it: a new one is made, and the engines are built anew",
    )


# @need-ids: SRS_TRT_007, RCM_TRT_001
def _read_whole(path: Path) -> bytes:
    """Read a plain file of this user alone, without following or waiting for anything.

    Raises:
        OSError: It cannot be opened or read; a symbolic link counts as that.
        EngineRejectedError: It is of another kind, of another user, or too large.
    """
    with open(path, "rb", opener=_open_plainly) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise EngineRejectedError("it is not a plain file")
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS or found.st_nlink != 1:
            raise EngineRejectedError("it is not this user's alone")
        largest = ENGINE_BYTES_MAX + OVERHEAD_BYTES
        if found.st_size > largest:
            raise EngineRejectedError(f"it has {found.st_size} bytes, more than {largest}")
        return file.read(largest)


def _open_plainly(path: str, _: int) -> int:
    """Open a file without following a link or waiting for a writer."""
    return os.open(path, _READ)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a new file that only this user can read, through to the disk."""
    with os.fdopen(os.open(path, _CREATE, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Write the folder's list of names through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
