"""One installer at a time, in a folder that nobody else can change."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from trocar.contracts.errors import InstallError
from trocar.install.root_folder import held, is_full


@pytest.mark.verifies("SRS_INST_010", extent="full", technique="requirement")
def test_second_installer_is_refused(tmp_path: Path) -> None:
    """At once, without waiting; when the first has ended, the folder is free."""
    root = tmp_path / "a" / "b"
    with (
        held(root, is_new=True),
        pytest.raises(InstallError, match="another installer"),
        held(root),
    ):
        pytest.fail("two installers hold the folder")
    with held(root):
        assert (root / "lock").is_file()


@pytest.mark.verifies("SRS_INST_010", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "kind",
    [
        *("relative", "link", "file", "open to all", "open to a group", "locked by a link"),
        *("environment", "none"),
    ],
)
def test_other_folder_is_refused(tmp_path: Path, kind: str) -> None:
    """Somebody else could change what lies there, or it is not what it seems."""
    root = tmp_path / "root"
    root.mkdir()
    if kind == "relative":
        root = Path("root")
    elif kind == "link":
        (tmp_path / "link").symlink_to(root)
        root = tmp_path / "link"
    elif kind == "file":
        root = tmp_path / "file"
        root.touch()
    elif kind == "open to all":
        root.chmod(0o777)
    elif kind == "open to a group":
        root.chmod(0o775)
    elif kind == "environment":
        (root / "pyvenv.cfg").touch()
    elif kind == "none":
        root.rmdir()
    else:
        (root / "lock").symlink_to("/etc/passwd")
    with pytest.raises(InstallError), held(root):
        pytest.fail("the folder was held")
    assert root.exists() is (kind not in {"relative", "none"})


def test_folder_of_another_account_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could change it at any time."""
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(InstallError, match="belong to this account"), held(tmp_path):
        pytest.fail("the folder was held")


def test_error_inside_is_passed_on(tmp_path: Path) -> None:
    """Only the own lock is spoken of as held."""
    with pytest.raises(OSError, match="mine"), held(tmp_path):
        raise OSError("mine")


def test_full_disk_is_told_from_other_errors() -> None:
    """Also where a quota is used up."""
    assert is_full(OSError(errno.ENOSPC, ""))
    assert is_full(OSError(errno.EDQUOT, ""))
    assert not is_full(OSError(errno.EIO, ""))
