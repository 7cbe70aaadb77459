"""Shared objects: what an ELF file calls itself, what it needs, which libraries are inside it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

__all__ = ["Inside", "SharedObject", "is_shared_object", "read_shared_object"]

_MAGIC: Final = b"\x7fELF"
_SUFFIX: Final = re.compile(r"\.(so(\.[\w.]+)?|dylib|dll|pyd)$")
_EXTENSION: Final = re.compile(r"\.(abi3|cpython-[\w-]+|pypy[\w-]+)\.so$|\.pyd$")
_GRAFTED: Final = re.compile(r"-[0-9a-f]{8}(?:-[0-9a-f]{8})?(?=\.so|\.|$)")
_PT_LOAD: Final = 1
_PT_DYNAMIC: Final = 2
_DT_NEEDED: Final = 1
_DT_STRTAB: Final = 5
_DT_SONAME: Final = 14
_NAME_BYTES_MAX: Final = 1024
_VERSIONS: Final = (
    ("OpenSSL", rb"OpenSSL (\d+\.\d+\.\d+[a-z]{0,2}) +(?:FIPS +)?\d+ \w{3} \d{4}"),
    ("zlib", rb"(?:de|in)flate (\d+\.\d+(?:\.\d+)*) Copyright"),
    ("libpng", rb"libpng version (\d+\.\d+\.\d+)"),
    ("libjpeg-turbo", rb"libjpeg-turbo version (\d+\.\d+\.\d+)"),
    ("FFmpeg", rb"FFmpeg version (\d[\w.-]*)"),
    ("OpenBLAS", rb"OpenBLAS (\d+\.\d+\.\d+)"),
    ("x264", rb"x264 - core ([1-9]\d+)"),
    ("oneDNN", rb"oneDNN v(\d+\.\d+(?:\.\d+)?)"),
    ("libcurl", rb"libcurl/(\d+\.\d+\.\d+)"),
    ("FreeType", rb"FreeType (\d+\.\d+\.\d+)"),
    ("libtiff", rb"LIBTIFF, Version (\d+\.\d+\.\d+)"),
)
_FOUND: Final = re.compile(b"|".join(pattern for _, pattern in _VERSIONS))


@dataclass(frozen=True, order=True)
class Inside:
    """A library that a version string tells of.

    Attributes:
        name: Its name.
        version: Its version.
    """

    name: str
    version: str


@dataclass(frozen=True)
class SharedObject:
    """One shared object.

    Attributes:
        path: Where it lies in the package.
        soname: What it calls itself; empty where it does not, or is no ELF file.
        needed: What it is linked to.
        inside: Libraries whose version strings it holds.
    """

    path: str
    soname: str = ""
    needed: tuple[str, ...] = ()
    inside: tuple[Inside, ...] = ()

    @property
    def is_extension(self) -> bool:
        """Return whether it is a module of Python, not a library of its own."""
        return _EXTENSION.search(self.path) is not None

    @property
    def name(self) -> str:
        """Return its name without the digest that a repair of a wheel puts in."""
        plain = _GRAFTED.sub("", PurePosixPath(self.path).name)
        return re.sub(r"\.(so|dylib|dll)(\..*)?$", "", plain)

    @property
    def version(self) -> str:
        """Return the version that its name or what it calls itself ends with; empty for none."""
        for text in (PurePosixPath(self.path).name, self.soname):
            match = re.search(r"\.so\.(\d[\w.]*)$", text)
            if match:
                return match[1]
        return ""


def is_shared_object(path: str, head: bytes) -> bool:
    """Return whether a file is one, by its name or its first bytes.

    Args:
        path: Where it lies.
        head: At least its first 20 bytes.
    """
    if head[:4] == _MAGIC and len(head) >= 20:
        return int(struct.unpack_from("<H", head, 16)[0]) == 3  # 3: shared object
    return _SUFFIX.search(path) is not None


def read_shared_object(path: str, content: bytes) -> SharedObject:
    """Return what a shared object says; one that is damaged or of another kind says nothing.

    Args:
        path: Where it lies in the package.
        content: All its bytes.
    """
    try:
        soname, needed = _dynamic(content)
    except (struct.error, OverflowError, ValueError):
        soname, needed = "", ()
    return SharedObject(path=path, soname=soname, needed=needed, inside=_inside(content))


def _inside(content: bytes) -> tuple[Inside, ...]:
    """Return the libraries whose version strings are in a file."""
    found = set()
    for match in _FOUND.finditer(content):
        index = match.lastindex or 1
        found.add(Inside(_VERSIONS[index - 1][0], match[index].decode("ascii")))
    return tuple(sorted(found))


def _dynamic(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return (soname, needed) of a 64-bit little-endian ELF file.

    Raises:
        ValueError: It is of another kind.
        struct.error: It is cut off.
    """
    if content[:6] != _MAGIC + b"\x02\x01":
        raise ValueError("no ELF file of 64 bits, low byte first")
    start, size, count = (
        struct.unpack_from("<Q", content, 32)[0],
        *struct.unpack_from("<HH", content, 54),
    )
    segments = [struct.unpack_from("<IIQQQQ", content, start + i * size) for i in range(count)]
    loads = [(s[3], s[2], s[5]) for s in segments if s[0] == _PT_LOAD]
    entries: list[tuple[int, int]] = []
    for segment in segments:
        if segment[0] == _PT_DYNAMIC:
            offset, length = segment[2], segment[5]
            entries = [struct.unpack_from("<qQ", content, offset + i) for i in range(0, length, 16)]
    table = next((value for tag, value in entries if tag == _DT_STRTAB), 0)
    names = [
        (tag, _text(content, _offset(table, loads) + value))
        for tag, value in entries
        if tag in {_DT_NEEDED, _DT_SONAME}
    ]
    soname = next((text for tag, text in names if tag == _DT_SONAME), "")
    return soname, tuple(text for tag, text in names if tag == _DT_NEEDED)


def _offset(address: int, loads: list[tuple[int, int, int]]) -> int:
    """Return where in the file an address lies.

    Raises:
        ValueError: In no part of it.
    """
    for begin, offset, size in loads:
        if begin <= address < begin + size:
            return address - begin + offset
    raise ValueError(f"address {address} lies in no segment")


def _text(content: bytes, offset: int) -> str:
    """Return the text that ends with a zero byte."""
    end = content.index(b"\0", offset, offset + _NAME_BYTES_MAX)
    return content[offset:end].decode("utf-8", errors="replace")
