"""What is inside a wheel is read without running or unpacking anything."""

from __future__ import annotations

import importlib.metadata
import io
import json
import tarfile
from pathlib import Path

import pytest

from simulators.supply_sites import shared_object, write_wheel
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.supply import contents
from trocar_lab.supply.contents import Contents, installed_contents, wheel_contents
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_file import LockedPackage, LockedWheel

NAME = "pkg-1-py3-none-any.whl"


def _read(folder: Path, files: dict[str, bytes], name: str = NAME) -> Contents:
    """Return what a wheel of these files holds."""
    return wheel_contents(folder, LockedWheel(name, write_wheel(folder, name, files), ""))


@pytest.mark.verifies("SRS_SUP_008", extent="partial", technique="fault_injection")
def test_shared_object_under_a_harmless_name_is_found(tmp_path: Path) -> None:
    """Nobody declared it, and its name says nothing."""
    files = {"pkg/data.bin": shared_object("libhidden.so.3"), "pkg/a.py": b"", "pkg.libs/": b""}
    found = _read(tmp_path, files)
    assert [(o.path, o.soname) for o, _ in found.objects] == [("pkg/data.bin", "libhidden.so.3")]


@pytest.mark.verifies("SRS_SUP_008", extent="partial", technique="example")
def test_bills_inside_a_wheel_are_read_with_nested_components(tmp_path: Path) -> None:
    """PEP 770: components inside components count too."""
    document = {
        "bomFormat": "CycloneDX",
        "components": [{"name": "a", "components": [{"name": "b"}]}, {"name": 3}, "odd"],
    }
    found = _read(tmp_path, {"pkg-1.dist-info/sboms/x.json": json.dumps(document).encode()})
    assert [c["name"] for c in found.bills[0].components] == ["a", "b"]
    assert not found.bills[0].fault


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "not CycloneDX"),
        (b'{"spdxVersion": "SPDX-2.3"}', "not CycloneDX"),
    ],
)
def test_bill_that_cannot_be_merged_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    """It is named in the result with the reason, not passed over."""
    found = _read(tmp_path, {"pkg-1.dist-info/sboms/x.json": content})
    assert words in found.bills[0].fault


def test_bill_that_is_too_large_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound, so that a planted one does not fill the memory."""
    monkeypatch.setattr(contents, "_BILL_BYTES_MAX", 3)
    found = _read(tmp_path, {"pkg-1.dist-info/sboms/x.json": b"[[[[[["})
    assert "larger than 3 bytes" in found.bills[0].fault


@pytest.mark.verifies("SRS_SUP_010", extent="partial", technique="fault_injection")
def test_wheel_that_is_not_that_of_the_lock_is_refused(tmp_path: Path) -> None:
    """A bill of other files would be worse than none."""
    digest = write_wheel(tmp_path, NAME, {"a": b""})
    wheel = LockedWheel(NAME, digest, "")
    assert wheel_contents(tmp_path, wheel) == Contents()
    with (tmp_path / NAME).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(SupplyError, match="SHA-256 differs"):
        wheel_contents(tmp_path, wheel)
    (tmp_path / NAME).unlink()
    with pytest.raises(SupplyError, match="bring it with"):
        wheel_contents(tmp_path, wheel)


def test_wheel_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Also where its digest is the one of the lock."""
    path = tmp_path / NAME
    path.write_bytes(b"no archive")
    with pytest.raises(SupplyError, match="cannot be read"):
        wheel_contents(tmp_path, LockedWheel(NAME, file_sha256(path), ""))


def test_source_archive_is_looked_through(tmp_path: Path) -> None:
    """It should hold no shared object; where it does, that is listed."""
    path = tmp_path / "pkg-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("pkg-1/setup.py", "pkg-1/libx.so"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    found = wheel_contents(tmp_path, LockedWheel(path.name, file_sha256(path), ""))
    assert [o.path for o, _ in found.objects] == ["pkg-1/libx.so"]


def test_installed_package_is_looked_through() -> None:
    """A package in plain Python has no shared object; a compiled one has."""
    plain = LockedPackage("iniconfig", importlib.metadata.version("iniconfig"), ())
    assert installed_contents(plain).objects == ()
    compiled = LockedPackage("pydantic-core", importlib.metadata.version("pydantic-core"), ())
    assert [o.is_extension for o, _ in installed_contents(compiled).objects] == [True]


def test_what_is_installed_must_have_the_locked_version() -> None:
    """Pytest is installed here; another version of it, and an unknown package, are not."""
    with pytest.raises(SupplyError, match="is installed, locked is 0"):
        installed_contents(LockedPackage("pytest", "0", ()))
    with pytest.raises(SupplyError, match="neither in the wheelhouse nor installed"):
        installed_contents(LockedPackage("no-such-package-here", "1", ()))
