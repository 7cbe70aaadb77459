"""Shared objects: read as the linker would, and never the cause of a crash."""

from __future__ import annotations

import pytest

from simulators.supply_sites import shared_object
from trocar_lab.supply.native import Inside, is_shared_object, read_shared_object

OPENSSL = b"\0OpenSSL 1.1.1k  25 Mar 2021\0"


def test_version_of_a_distribution_s_openssl_is_read() -> None:
    """Red Hat's build says FIPS between version and date."""
    content = shared_object(text=b"\0OpenSSL 1.1.1k  FIPS 25 Mar 2021\0")
    assert read_shared_object("x.so", content).inside == (Inside("OpenSSL", "1.1.1k"),)


@pytest.mark.verifies("SRS_SUP_008", extent="partial", technique="example")
def test_name_needs_and_version_strings_are_read() -> None:
    """What the file calls itself, what it is linked to, and what is inside it."""
    content = shared_object("libx.so.7", ["libc.so.6", "libm.so.6"], OPENSSL + OPENSSL)
    found = read_shared_object("pkg.libs/libx-0123abcd.so.7.2.1", content)
    assert found.soname == "libx.so.7"
    assert found.needed == ("libc.so.6", "libm.so.6")
    assert found.inside == (Inside("OpenSSL", "1.1.1k"),)
    assert (found.name, found.version, found.is_extension) == ("libx", "7.2.1", False)


@pytest.mark.parametrize(
    ("path", "soname", "name", "version"),
    [
        ("a/libq.so", "libq.so.5", "libq", "5"),
        ("a/libq.so", "", "libq", ""),
        ("a/libgfortran-040039e1-0352e75f.so.5.0.0", "", "libgfortran", "5.0.0"),
        ("a/q.dll", "", "q", ""),
    ],
)
def test_name_and_version_come_from_file_name_or_soname(
    path: str, soname: str, name: str, version: str
) -> None:
    """The digest that a repair of a wheel puts into the name is no part of it."""
    found = read_shared_object(path, shared_object(soname))
    assert (found.name, found.version) == (name, version)


@pytest.mark.parametrize("path", ["a/_b.abi3.so", "a/_b.cpython-311-x86_64-linux-gnu.so", "b.pyd"])
def test_modules_of_python_are_told_from_libraries(path: str) -> None:
    """They are parts of the package, not libraries of others."""
    assert read_shared_object(path, b"").is_extension


@pytest.mark.verifies("SRS_SUP_008", extent="partial", technique="fault_injection")
def test_shared_object_is_known_by_its_bytes_or_its_name() -> None:
    """A library under a harmless name is found; a program is none; a cut one is known by name."""
    content = shared_object("libx.so")
    assert is_shared_object("data/table.bin", content[:20])
    assert not is_shared_object("bin/tool", content[:16] + b"\x02\x00" + content[18:20])
    assert not is_shared_object("data/readme.txt", b"hello, this is text.")
    assert is_shared_object("x.libs/liby.so.1.2", b"")


def test_damaged_file_says_nothing_and_raises_nothing() -> None:
    """Each cut and many changed bytes of a shared object are survived."""
    content = shared_object("libx.so.7", ["libc.so.6"])
    for length in range(len(content)):
        read_shared_object("libx.so", content[:length])
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        read_shared_object("libx.so", bytes(changed))
    assert read_shared_object("libx.so", content[:100]).soname == ""
