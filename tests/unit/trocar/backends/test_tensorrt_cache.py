"""What lies in the folder is used only when nothing about it is in doubt."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.tensorrt_keys import ENGINE, KEY
from trocar.backends import tensorrt_cache
from trocar.backends.tensorrt_cache import EngineCache
from trocar.backends.tensorrt_key import EngineKey, EngineRejectedError
from trocar.contracts.errors import BackendUnavailableError


def _key(number: int) -> EngineKey:
    """Return one of many keys."""
    return replace(KEY, model_sha256=f"{number:064x}")


def _file(folder: Path, key: EngineKey = KEY) -> Path:
    """Return where an engine lies."""
    return folder / f"{key.digest}.engine"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the place of a folder that is not there yet."""
    return tmp_path / "above" / "engines"


@pytest.mark.verifies("SRS_TRT_008", "UNIT_TRT_CACHE", extent="partial", technique="example")
def test_engine_is_found_again_by_the_next_process(folder: Path) -> None:
    """Folder and key are made at first use, for their owner alone."""
    EngineCache(folder).store(KEY, ENGINE)
    assert EngineCache(folder).load(KEY) == ENGINE
    key = folder.with_name("engines.key")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, key, _file(folder))]
    assert modes == [0o700, 0o600, 0o600]
    assert key.stat().st_size == 32
    assert [path.name for path in folder.iterdir()] == [_file(folder).name]


@pytest.mark.verifies("SRS_TRT_006", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_TRT_001")
def test_engine_of_another_device_is_not_taken(tmp_path: Path) -> None:
    """Somebody copies the folder of another machine, without or with a key that is not ours."""
    theirs, ours = EngineCache(tmp_path / "theirs"), EngineCache(tmp_path / "ours")
    theirs.store(KEY, ENGINE)
    _file(tmp_path / "theirs").rename(_file(tmp_path / "ours"))
    with pytest.raises(EngineRejectedError, match="this device's key"):
        ours.load(KEY)


@pytest.mark.verifies("SRS_TRT_005", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_TRT_001")
def test_engine_under_another_name_is_not_taken(folder: Path) -> None:
    """An authentic file of this device, given the name of another model's engine."""
    cache = EngineCache(folder)
    cache.store(_key(1), ENGINE)
    _file(folder, _key(1)).rename(_file(folder))
    with pytest.raises(EngineRejectedError, match="something else: model_sha256"):
        cache.load(KEY)


def _as_link(path: Path) -> None:
    """Put a symbolic link to the real file in its place."""
    real = path.rename(path.with_name("real"))
    path.symlink_to(real)


def _as_second_name(path: Path) -> None:
    """Give the file a second name."""
    path.with_name("second").hardlink_to(path)


def _as_pipe(path: Path) -> None:
    """Put a pipe in its place, on which a reader would wait for ever."""
    path.unlink()
    os.mkfifo(path, 0o600)


def _as_folder(path: Path) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir(0o700)


def _as_large(path: Path) -> None:
    """Make it a sparse file of 20 GB."""
    os.truncate(path, 20 * 10**9)


def _as_half(path: Path) -> None:
    """Cut it off."""
    os.truncate(path, path.stat().st_size // 2)


def _as_empty(path: Path) -> None:
    """Cut it off altogether."""
    os.truncate(path, 0)


def _as_open(path: Path) -> None:
    """Let others write it."""
    path.chmod(0o602)


@pytest.mark.verifies("SRS_TRT_007", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_TRT_001",
    measure="links, pipes, folders, oversized, cut-off and exposed files that are taken",
    acceptance="0 of 8 kinds",
)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_as_link, "cannot be read: Too many levels"),
        (_as_second_name, "not this user's alone"),
        (_as_pipe, "not a plain file"),
        (_as_folder, "cannot be read: Is a directory"),
        (_as_large, "has 20000000000 bytes"),
        (_as_half, "authentication code"),
        (_as_empty, "authentication code"),
        (_as_open, "not this user's alone"),
    ],
)
def test_file_in_doubt_is_not_taken_and_can_be_replaced(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    """Each is as if it were not there, and the reason is said."""
    cache = EngineCache(folder)
    cache.store(KEY, ENGINE)
    damage(_file(folder))
    with pytest.raises(EngineRejectedError, match=said):
        cache.load(KEY)
    if damage is _as_folder:
        with pytest.raises(IsADirectoryError):
            cache.store(KEY, ENGINE)
        assert not list(folder.glob(".*"))
        return
    cache.store(KEY, ENGINE)
    assert cache.load(KEY) == ENGINE
    assert _file(folder).is_file()
    assert not _file(folder).is_symlink()


@pytest.mark.verifies("SRS_TRT_007", extent="partial", technique="example")
def test_engine_that_is_not_there_is_said(folder: Path) -> None:
    """The first start, or another GPU."""
    cache = EngineCache(folder)
    with pytest.raises(EngineRejectedError, match="there is none for this model"):
        cache.load(KEY)
    assert not cache.remove(KEY)
    cache.store(KEY, ENGINE)
    assert cache.remove(KEY)
    assert not _file(folder).exists()


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="boundary")
def test_engines_used_longest_ago_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Number and size have limits; a use counts, not only the build."""
    monkeypatch.setattr(tensorrt_cache, "ENGINE_CACHE_COUNT_MAX", 3)
    cache = EngineCache(folder)
    for number in range(3):
        cache.store(_key(number), ENGINE)
        os.utime(_file(folder, _key(number)), ns=(number, number))
    cache.load(_key(0))
    cache.store(_key(3), ENGINE)
    left = {number for number in range(4) if _file(folder, _key(number)).exists()}
    assert left == {0, 2, 3}
    one = _file(folder, _key(3)).stat().st_size
    monkeypatch.setattr(tensorrt_cache, "ENGINE_CACHE_BYTES_MAX", 2 * one)
    cache.store(_key(4), ENGINE)
    left = {number for number in range(5) if _file(folder, _key(number)).exists()}
    assert left == {3, 4}


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="fault_injection")
def test_disk_that_is_full_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a half file under the name nor the one that was written."""
    cache = EngineCache(folder)
    cache.store(KEY, ENGINE)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.store(KEY, b"another engine")
    assert [path.name for path in folder.iterdir()] == [_file(folder).name]
    assert cache.load(KEY) == ENGINE


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="fault_injection")
def test_folder_of_others_is_left_in_peace_while_room_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with the name of an engine cannot be removed like one, and a file may be gone."""
    monkeypatch.setattr(tensorrt_cache, "ENGINE_CACHE_COUNT_MAX", 1)
    cache = EngineCache(folder)
    (folder / "x.engine").mkdir()
    cache.store(_key(1), ENGINE)
    monkeypatch.setattr(Path, "unlink", _denied(Path.unlink, suffix=".engine"))
    cache.store(_key(2), ENGINE)
    assert _file(folder, _key(1)).exists()
    assert (folder / "x.engine").is_dir()


def _denied(real: Callable[..., None], *, suffix: str) -> Callable[..., None]:
    """Return ``unlink`` on a folder from which files of one kind cannot be removed."""

    def unlink(path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as in pathlib
        if path.suffix == suffix:
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok=missing_ok)

    return unlink


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="requirement")
def test_one_process_builds_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits, is told so, and goes on when the first has ended."""
    first, second = EngineCache(folder), EngineCache(folder)
    events: list[str] = []
    held = first.one_builder(lambda: events.append("never"))
    held.__enter__()
    (folder / ".left.tmp").write_bytes(b"cut off")

    def waits(seconds: float) -> None:
        events.append("waits")
        if len(events) == 4:
            held.__exit__(None, None, None)

    monkeypatch.setattr("trocar.backends.tensorrt_cache.time.sleep", waits)
    with second.one_builder(lambda: events.append("said")):
        events.append("builds")
    assert events == ["said", "waits", "said", "waits", "builds"]
    assert not (folder / ".left.tmp").exists()


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="boundary")
def test_wait_for_another_process_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs in its build must not stop all others for good."""
    now_ns = iter(range(0, 10**15, 10**12))
    monkeypatch.setattr("trocar.backends.tensorrt_cache.time.monotonic_ns", lambda: next(now_ns))
    monkeypatch.setattr("trocar.backends.tensorrt_cache.time.sleep", lambda _: None)
    cache = EngineCache(folder)
    with cache.one_builder(lambda: None):
        with pytest.raises(BackendUnavailableError, match="more than 3600 s") as caught:
            EngineCache(folder).one_builder(lambda: None).__enter__()
        assert "--engine-cache" in caught.value.advice


def _lock_is_a_link(folder: Path) -> None:
    """Put a link where the lock is taken."""
    folder.mkdir(0o700, parents=True)
    (folder / "lock").symlink_to("/dev/null")


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="fault_injection")
def test_lock_that_cannot_be_taken_is_said(folder: Path) -> None:
    """A link would lock something else."""
    _lock_is_a_link(folder)
    with pytest.raises(BackendUnavailableError, match="folder for engines cannot be used"):
        EngineCache(folder).one_builder(lambda: None).__enter__()


def _open_to_all(folder: Path) -> None:
    """Let others read the folder."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)


def _is_a_link(folder: Path) -> None:
    """Put a link in its place."""
    (folder.parent / "real").mkdir(0o700, parents=True)
    folder.symlink_to(folder.parent / "real")


def _above_is_open(folder: Path) -> None:
    """Let others rename the folder and its key."""
    folder.mkdir(0o700, parents=True)
    folder.parent.chmod(0o777)


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_TRT_001")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_open_to_all, "others may reach it .mode 755"),
        (_is_a_link, "not a folder of this user"),
        (_above_is_open, "others may rename"),
    ],
)
def test_folder_that_others_may_reach_is_refused(
    folder: Path, make: Callable[[Path], None], said: str
) -> None:
    """Nothing is read from it, and no key is made."""
    make(folder)
    with pytest.raises(BackendUnavailableError, match=said) as caught:
        EngineCache(folder)
    assert "chmod 700" in caught.value.advice
    assert not folder.with_name("engines.key").exists()


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="equivalence")
def test_folder_under_a_sticky_one_may_be_used(folder: Path) -> None:
    """Like the system's folder for temporary files: others cannot rename what is ours."""
    folder.mkdir(0o700, parents=True)
    folder.parent.chmod(0o1777)
    EngineCache(folder).store(KEY, ENGINE)


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="fault_injection")
def test_place_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file lies where the folder is to be."""
    (tmp_path / "file").write_bytes(b"")
    for place in ("file", "file/engines"):
        with pytest.raises(BackendUnavailableError, match="folder for engines cannot be used"):
            EngineCache(tmp_path / place)


@pytest.mark.verifies("SRS_TRT_006", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_TRT_001")
@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"short", 0o600, "has 5 bytes, not 32"),
        (b"", 0o600, "has 0 bytes, not 32"),
        (bytes(33), 0o600, "has 33 bytes"),
        (bytes(32), 0o640, "not this user's alone"),
    ],
)
def test_key_that_others_know_or_that_is_none_is_refused(
    folder: Path, content: bytes, mode: int, said: str
) -> None:
    """It is not replaced in silence: somebody may want to know."""
    folder.mkdir(0o700, parents=True)
    key = folder.with_name("engines.key")
    key.write_bytes(content)
    key.chmod(mode)
    with pytest.raises(BackendUnavailableError, match=said) as caught:
        EngineCache(folder)
    assert "a new one is made" in caught.value.advice


@pytest.mark.verifies("SRS_TRT_006", extent="partial", technique="fault_injection")
def test_key_behind_a_link_is_refused(folder: Path) -> None:
    """Somebody else's file would be the key."""
    folder.mkdir(0o700, parents=True)
    folder.with_name("engines.key").symlink_to("/dev/zero")
    with pytest.raises(BackendUnavailableError, match="Too many levels"):
        EngineCache(folder)
