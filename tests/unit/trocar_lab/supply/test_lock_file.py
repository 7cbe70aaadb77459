"""Locks: what is written is read back, is valid by PEP 751, and names no address."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from simulators.supply_sites import edit, site_locks, write_site
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_file import (
    Lock,
    LockedPackage,
    LockedWheel,
    lock_text,
    read_lock,
    requirement_lines,
    selected,
)

SHA = "a" * 64


@pytest.mark.verifies("SRS_SUP_001", extent="full", technique="example")
def test_lock_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Equal locks have equal bytes, and a second reader accepts them as PEP 751."""
    root = write_site(tmp_path)
    for name, lock in site_locks(root).items():
        text = lock_text(lock)
        path = root / f"pylock.{name}.toml"
        assert read_lock(path) == lock
        assert lock_text(read_lock(path)) == text == path.read_text(encoding="utf-8")
        assert "://" not in text
        Pylock.from_dict(tomllib.loads(text)).validate()
        for package in lock.packages:
            assert all(len(wheel.sha256) == 64 for wheel in package.wheels)


@pytest.mark.verifies("SRS_SUP_003", extent="full", technique="example")
@pytest.mark.parametrize("platform", ["linux_x86_64", "linux_aarch64"])
def test_lines_have_one_digest_each_and_the_platform_s_own(tmp_path: Path, platform: str) -> None:
    """A line with the digests of two platforms would let the wrong wheel through."""
    lock = site_locks(write_site(tmp_path))["device-cpu"]
    lines = requirement_lines(lock, platform=platform).splitlines()
    assert [line.split("==")[0] for line in lines] == [
        "array-core",
        "engine",
        "some-array",
        "speed",
    ]
    assert all(line.count("--hash=sha256:") == 1 for line in lines)
    digests = {w.sha256 for p in lock.packages for w in p.wheels if w.serves(platform)}
    assert {line.rpartition(":")[2] for line in lines} <= digests


@pytest.mark.verifies("SRS_SUP_003", extent="partial", technique="equivalence")
def test_extra_is_added_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """A device that asks for nothing gets nothing more."""
    lock = site_locks(write_site(tmp_path))["device-cpu"]
    assert "other-engine" not in {p.name for p in selected(lock)}
    assert "other-engine" in {p.name for p in selected(lock, extras=["openvino"])}
    with pytest.raises(SupplyError, match="offers no extra holoscan"):
        selected(lock, extras=["holoscan"])


def test_unknown_platform_is_refused(tmp_path: Path) -> None:
    """No lines are better than those of another machine."""
    lock = site_locks(write_site(tmp_path))["device-cpu"]
    with pytest.raises(SupplyError, match="no platform windows"):
        requirement_lines(lock, platform="windows")


@pytest.mark.parametrize(
    ("names", "count"),
    [(["a-1-py3-none-any.whl", "a-1-cp311-cp311-manylinux_2_28_x86_64.whl"], 2), ([], 0)],
)
def test_package_without_one_wheel_for_a_platform_is_refused(names: list[str], count: int) -> None:
    """Two that fit are as bad as none: nobody could say which was reviewed."""
    wheels = tuple(LockedWheel(name, SHA, f"wheelhouse/{name}") for name in names)
    with pytest.raises(SupplyError, match=f"{count} wheels for linux_x86_64"):
        LockedPackage("a", "1", wheels).wheel_for("linux_x86_64")


def test_source_archive_fits_each_platform_and_is_read_back(tmp_path: Path) -> None:
    """A tool that has no wheel stands in the lock as what it is."""
    file = LockedWheel("a-1.tar.gz", SHA, "wheelhouse/a-1.tar.gz")
    lock = Lock((LockedPackage("a", "1", (file,)),), platforms=("linux_x86_64",))
    path = tmp_path / "pylock.x.toml"
    path.write_text(lock_text(lock), encoding="utf-8")
    assert "sdist = " in path.read_text(encoding="utf-8")
    assert read_lock(path) == lock
    assert lock.packages[0].wheel_for("linux_x86_64").is_source


@pytest.mark.verifies("SRS_SUP_002", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('lock-version = "1.0"', 'lock-version = "9.0"', "no valid lock"),
        ('lock-version = "1.0"', 'lock-version = "1.0', "cannot be read"),
        ("'openvino' in extras", "sys_platform == 'linux'", "is not as"),
        ("engine-1.2-cp311", "engine-cp311", "no valid lock|is not as"),
    ],
)
def test_damaged_lock_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """What cannot be read in full is not read in part."""
    path = write_site(tmp_path) / "pylock.device-cpu.toml"
    edit(path, old, new)
    with pytest.raises(SupplyError, match=words):
        read_lock(path)


def test_missing_lock_is_refused(tmp_path: Path) -> None:
    """The text says what to do."""
    with pytest.raises(SupplyError, match="write it with"):
        read_lock(tmp_path / "pylock.device-cpu.toml")


def test_version_of_a_package_that_is_not_locked_is_none() -> None:
    """Absence is said, not guessed."""
    assert Lock(()).version_of("numpy") is None
