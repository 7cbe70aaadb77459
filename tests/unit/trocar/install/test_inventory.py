"""What lies in an environment is what its packages record, and stays it."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from trocar.contracts.errors import InstallError
from trocar.install import inventory
from trocar.install.inventory import check_installed, differences, take_inventory


def _digest(content: bytes) -> str:
    """Return a digest as RECORD has it."""
    raw = hashlib.sha256(content).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _environment(folder: Path) -> tuple[Path, Path]:
    """Return an environment without packages, and its folder of packages."""
    packages = folder / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return folder, packages


def _package(packages: Path, name: str, files: dict[str, bytes], *rows: str) -> None:
    """Install a package with a right RECORD, and further rows."""
    lines = []
    for path, content in files.items():
        target = packages / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        lines.append(f"{path},{_digest(content)},{len(content)}")
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir()
    lines += [*rows, f"{info.name}/RECORD,,", ""]
    (info / "RECORD").write_text("\n".join(lines))


@pytest.mark.verifies("SRS_INST_006", extent="partial", technique="requirement")
def test_recorded_files_pass(tmp_path: Path) -> None:
    """Modules, and scripts outside of the folder of packages."""
    environment, packages = _environment(tmp_path)
    before = take_inventory(environment)
    _package(packages, "a", {"a/__init__.py": b"", "a/site.py": b"", "../../../bin/a": b"#!"})
    check_installed(environment, packages, before)


@pytest.mark.verifies("SRS_INST_006", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/more.py", "belongs to no package"),
        ("../../../bin/openssl", "belongs to no package"),
        ("a/__init__.py", "is not what its package records"),
        ("../../../pyvenv.cfg", "was changed by a wheel"),
    ],
)
def test_other_file_is_refused(tmp_path: Path, name: str, words: str) -> None:
    """Added, replaced, or a file of the environment itself."""
    environment, packages = _environment(tmp_path)
    before = take_inventory(environment)
    _package(packages, "a", {"a/__init__.py": b""})
    (packages / name).write_bytes(b"evil")
    with pytest.raises(InstallError, match=words):
        check_installed(environment, packages, before)


@pytest.mark.verifies("SRS_INST_006", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "name",
    [
        *("a.pth", "a/deep/b.pth", "sitecustomize.py", "usercustomize.py", "site.py"),
        *("sitecustomize/__init__.py", "usercustomize/__init__.pyc", "sitecustomize.pyc"),
        *("usercustomize.abi3.so", "sitecustomize.cpython-311-x86_64-linux-gnu.so"),
    ],
)
def test_file_that_runs_at_each_start_is_refused(tmp_path: Path, name: str) -> None:
    """Also where its package records it."""
    environment, packages = _environment(tmp_path)
    before = take_inventory(environment)
    _package(packages, "a", {name: b"import os\n"})
    with pytest.raises(InstallError, match="run at each start"):
        check_installed(environment, packages, before)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a/b.py,,", "expected a SHA-256"),
        ("a/b.py", "expected a SHA-256"),
        ("a/b.py,md5=abc,3", "expected a SHA-256"),
        ("a/b.py,sha256=abc,3", "expected a SHA-256"),
        ("a/b.py,sha256=A,3", "expected a SHA-256"),
        ("../../../../outside,sha256=abc,3", "files inside the environment"),
        ("/etc/passwd,sha256=abc,3", "files inside the environment"),
    ],
)
def test_record_of_another_form_is_refused(tmp_path: Path, row: str, words: str) -> None:
    """A file without a digest could be anything."""
    environment, packages = _environment(tmp_path)
    before = take_inventory(environment)
    _package(packages, "a", {"a/__init__.py": b""}, row)
    with pytest.raises(InstallError, match=words):
        check_installed(environment, packages, before)


def test_file_in_two_packages_is_refused(tmp_path: Path) -> None:
    """The later one has replaced it, and both record it."""
    environment, packages = _environment(tmp_path)
    before = take_inventory(environment)
    _package(packages, "a", {"a.py": b"1"})
    _package(packages, "b", {"a.py": b"2"})
    with pytest.raises(InstallError, match="is in two"):
        check_installed(environment, packages, before)


def test_inventory_does_not_follow_links(tmp_path: Path) -> None:
    """A link is its text, a file is its digest."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "link").symlink_to("folder")
    found = take_inventory(tmp_path)
    digest = hashlib.sha256(b"x" * (1024 * 1024 + 1)).hexdigest()
    assert found == {"folder/file": f"sha256:{digest}", "link": "link:folder"}


def test_inventory_takes_files_and_links_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe is refused without being opened, and so is more than a release has."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InstallError, match="files and links only"):
        take_inventory(tmp_path)
    (tmp_path / "pipe").unlink()
    (tmp_path / "file").touch()
    monkeypatch.setattr(inventory, "SLOT_FILE_COUNT_MAX", 0)
    with pytest.raises(InstallError, match="at most 0 files"):
        take_inventory(tmp_path)


def test_differences_are_named() -> None:
    """Missing, added, changed, in order; nothing for what is alike."""
    found = differences({"a": "1", "b": "1", "d": "1"}, {"b": "2", "c": "1", "d": "1"})
    assert found == ("a is missing", "b was changed", "c was added")
