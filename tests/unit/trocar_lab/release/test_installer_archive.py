"""The installer as one file: the same bytes from the same sources, and nothing else in it."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Final

import pytest

from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.installer_archive import (
    installer_bytes,
    installer_sources,
    write_installer,
)

SOURCE: Final = Path(__file__).resolve().parents[4] / "src"


def _copy(folder: Path) -> Path:
    """Return a copy of the sources of the installer, in another order and with other times."""
    for name in reversed(installer_sources(SOURCE)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / name, path)
        os.utime(path, (1, 1))
        path.chmod(0o600)
    return folder


def test_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever folder, time, mode and order of creation."""
    assert installer_bytes(_copy(tmp_path / "copy")) == installer_bytes(SOURCE)


def test_archive_holds_the_installer_and_what_it_rests_on(tmp_path: Path) -> None:
    """No other package, no cache, no link; it says how it is started."""
    copy = _copy(tmp_path / "copy")
    (copy / "trocar" / "install" / "evil.py").symlink_to("/etc/passwd")
    (copy / "trocar" / "install" / "note.txt").touch()
    target = tmp_path / "trocar-install.pyz"
    write_installer(copy, target)
    assert target.read_bytes().startswith(b"#!/usr/bin/python3.11 -IS\n")
    assert target.stat().st_mode & 0o111
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert names == ["__main__.py", *installer_sources(SOURCE)]
    packages = {name.split("/")[1] for name in names[1:]}
    assert packages == {"__init__.py", "audit", "contracts", "install", "statements"}


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A file that is there was put there by somebody else."""
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError):
        write_installer(SOURCE, tmp_path / "a")


@pytest.mark.parametrize("name", ["trocar/contracts/errors.py", "trocar/audit/__init__.py"])
def test_missing_source_is_named(tmp_path: Path, name: str) -> None:
    """An archive without it would fail on the device."""
    copy = _copy(tmp_path)
    (copy / name).unlink()
    with pytest.raises(NotReleasableError, match=name):
        installer_bytes(copy)
