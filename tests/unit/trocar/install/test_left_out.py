"""Exactly the listed files go, and a list in another form is refused as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar.contracts.errors import InstallError
from trocar.install import left_out
from trocar.install.inventory import take_inventory
from trocar.install.left_out import LeftOut, leave_out, left_out_names, read_left_out


def _environment(folder: Path) -> Path:
    """Return an environment with a package of three files, a link, and the device."""
    packages = folder / "lib" / "python3.11" / "site-packages"
    for name in ("part/__init__.py", "part/tests/deep/a.py", "part/tests/b.py", "trocar/a.py"):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("12345")
    (packages / "part" / "link.py").symlink_to("__init__.py")
    return packages


def _removed(environment: Path, *names: str) -> tuple[LeftOut, set[str]]:
    """Leave files out; return what is said and what has gone."""
    packages = _environment(environment)
    before = take_inventory(environment)
    said = leave_out(environment, packages, names, before)
    gone = before.keys() - take_inventory(environment).keys()
    return said, {
        Path(name).relative_to("lib/python3.11/site-packages").as_posix() for name in gone
    }


@pytest.mark.verifies("SRS_INST_014", extent="partial", technique="requirement")
def test_exactly_the_listed_files_go(tmp_path: Path) -> None:
    """With the folders that are empty then, and no folder that still holds something."""
    said, gone = _removed(tmp_path, "part/tests/deep/a.py")
    assert (said, gone) == (LeftOut(1, 5), {"part/tests/deep/a.py"})
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    assert not (packages / "part" / "tests" / "deep").exists()
    assert (packages / "part" / "tests" / "b.py").is_file()


def test_whole_package_may_go(tmp_path: Path) -> None:
    """The folder of packages itself stays, also where it is empty."""
    packages = tmp_path / "lib"
    packages.mkdir()
    (packages / "one.py").touch()
    assert leave_out(tmp_path, packages, ("one.py",), take_inventory(tmp_path)) == LeftOut(1, 0)
    assert list(packages.iterdir()) == []


@pytest.mark.verifies("SRS_INST_014", extent="partial", technique="equivalence")
@pytest.mark.parametrize("name", ["part/absent.py", "part/tests", "part/link.py"])
def test_what_is_no_installed_file_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing, a folder, a link; and then nothing at all goes, also not what stands before it."""
    with pytest.raises(InstallError, match="which is none"):
        _removed(tmp_path, "part/__init__.py", name)
    assert (tmp_path / "lib/python3.11/site-packages/part/__init__.py").is_file()


def test_more_than_a_release_may_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the slot has to be able to say how much it was."""
    monkeypatch.setattr(left_out, "RELEASE_BYTES_MAX", 9)
    with pytest.raises(InstallError, match="at most 9 bytes of files"):
        _removed(tmp_path, "part/__init__.py", "part/tests/b.py")


@pytest.mark.verifies("SRS_INST_014", extent="partial", technique="requirement")
@pytest.mark.parametrize(
    ("raw", "names"),
    [(b"", ()), (b"a/b.so.1\n", ("a/b.so.1",)), (b"a.py\na/b\n", ("a.py", "a/b"))],
)
def test_list_reads_as_it_was_written(tmp_path: Path, raw: bytes, names: tuple[str, ...]) -> None:
    """Also an empty one; and where there is none, nothing is left out."""
    path = tmp_path / "device.leftout"
    assert read_left_out(path) == ()
    path.write_bytes(raw)
    assert read_left_out(path) == left_out_names(raw) == names


@pytest.mark.verifies("SRS_INST_014", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"a.py", "whole lines"),
        (b"\xc3\xa4.py\n", "plain text"),
        (b"\n", "plain relative names"),
        (b"a.py\r\n", "plain relative names"),
        (b"a.py\n\nb.py\n", "plain relative names"),
        (b"../a.py\n", "plain relative names"),
        (b"a/../../b.py\n", "plain relative names"),
        (b"./a.py\n", "plain relative names"),
        (b"a//b.py\n", "plain relative names"),
        (b"a/\n", "plain relative names"),
        (b"/etc/passwd\n", "plain relative names"),
        (b"a\\b.py\n", "plain relative names"),
        (b"a b.py\n", "plain relative names"),
        (b"a\0.py\n", "plain relative names"),
        (b"a" * 256 + b"\n", "plain relative names"),
        (b"trocar/a.py\n", "no file of Trocar"),
        (b"Trocar/a.py\n", "no file of Trocar"),
        (b"trocar\n", "no file of Trocar"),
        (b"part-1.dist-info/RECORD\n", "no record of a package"),
        (b"part/x.dist-info/a\n", "no record of a package"),
        (b"a.py\na.py\n", "each file once"),
        (b"b.py\na.py\n", "in order"),
    ],
)
def test_list_in_another_form_is_refused(raw: bytes, words: str) -> None:
    """One form only, and nothing in it that always stays."""
    with pytest.raises(InstallError, match=words) as caught:
        left_out_names(raw)
    assert caught.value.advice


@pytest.mark.parametrize(
    ("limit", "words"),
    [("INSTALL_RECORD_BYTES_MAX", "at most 9 bytes"), ("SLOT_FILE_COUNT_MAX", "at most 9 files")],
)
def test_list_that_is_too_long_is_refused(
    monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    """In bytes, or in files."""
    monkeypatch.setattr(left_out, limit, 9)
    with pytest.raises(InstallError, match=words):
        left_out_names(b"".join(b"%d\n" % number for number in range(10)))
    assert len(left_out_names(b"".join(b"%d\n" % number for number in range(4)))) == 4
