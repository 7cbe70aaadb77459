"""The device's lock: each wheel of the wheelhouse is one that the reviewed lock allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.release_source import package_wheel
from trocar_lab.release.device_lock import LockedPackage, lock_text, read_locked, wheels_of
from trocar_lab.release.errors import NotReleasableError

NUMPY = "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl"
TQDM = "Tqdm_Bar-4.70.1-py3-none-any.whl"


def test_lock_has_one_line_a_wheel(tmp_path: Path) -> None:
    """Normalised names in order, one digest a line; the same with and without a reviewed lock."""
    (_, tqdm), (_, numpy) = package_wheel(tmp_path, TQDM), package_wheel(tmp_path, NUMPY, b"n")
    wheels = wheels_of(tmp_path)
    expected = f"numpy==2.4.6 --hash=sha256:{numpy}\ntqdm-bar==4.70.1 --hash=sha256:{tqdm}\n"
    locked = {
        ("numpy", "2.4.6"): LockedPackage(frozenset({numpy, "0" * 64}), is_needed=True),
        ("tqdm-bar", "4.70.1"): LockedPackage(frozenset({tqdm}), is_needed=True),
        ("openvino", "2026.4.1"): LockedPackage(frozenset(), is_needed=False),
    }
    assert lock_text(wheels, None) == lock_text(wheels, locked) == expected


def test_wheel_that_the_lock_does_not_allow_is_refused(tmp_path: Path) -> None:
    """Another digest, another version, a package too few, and one that lies there twice."""
    path, digest = package_wheel(tmp_path, NUMPY)
    needed = LockedPackage(frozenset({digest}), is_needed=True)
    for locked, words in (
        ({("numpy", "2.4.6"): LockedPackage(frozenset({"0" * 64}), is_needed=True)}, "allows"),
        ({("numpy", "2.4.5"): needed}, "allows"),
        ({("numpy", "2.4.6"): needed, ("av", "1"): needed}, "av 1 is locked, but not in"),
    ):
        with pytest.raises(NotReleasableError, match=words):
            lock_text([path], locked)
    with pytest.raises(NotReleasableError, match="numpy lies twice"):
        lock_text([path, path], None)


def test_wheelhouse_holds_wheels_and_nothing_else(tmp_path: Path) -> None:
    """No folder, an empty one, a source archive, a link."""
    house = tmp_path / "house"
    with pytest.raises(NotReleasableError, match="no wheelhouse at"):
        wheels_of(house)
    house.mkdir()
    with pytest.raises(NotReleasableError, match="got nothing"):
        wheels_of(house)
    (house / "numpy-2.4.6.tar.gz").write_text("")
    with pytest.raises(NotReleasableError, match=r"got numpy-2\.4\.6\.tar\.gz"):
        wheels_of(house)
    (house / "numpy-2.4.6.tar.gz").unlink()
    (house / NUMPY).symlink_to(tmp_path)
    with pytest.raises(NotReleasableError, match="got numpy"):
        wheels_of(house)


def test_reviewed_lock_is_read_strictly(tmp_path: Path) -> None:
    """Digests of each package, those of an extra marked; a lock of another form is an error."""
    path = tmp_path / "pylock.device-cpu.toml"
    path.write_text(
        '[[packages]]\nname = "A_b"\nversion = "1"\n'
        'wheels = [{ name = "x", hashes = { sha256 = "s" } }]\n\n'
        '[[packages]]\nname = "c"\nversion = "2"\nmarker = "\'openvino\' in extras"\n\n'
        '[[packages]]\nname = "trocar"\ndirectory = { path = "." }\n'
    )
    assert read_locked(path) == {
        ("a-b", "1"): LockedPackage(frozenset({"s"}), is_needed=True),
        ("c", "2"): LockedPackage(frozenset(), is_needed=False),
    }
    for text in ("[[packages]\n", '[[packages]]\nversion = "1"\n', "packages = 3\n"):
        path.write_text(text)
        with pytest.raises(NotReleasableError, match="cannot be read"):
            read_locked(path)
