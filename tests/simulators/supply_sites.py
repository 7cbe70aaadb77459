"""Repositories, wheels and shared objects for the supply chain, with planted faults."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from trocar_lab.supply.lock_file import Lock, lock_text
from trocar_lab.supply.register import read_register
from trocar_lab.supply.resolving import Chosen, resolved_lock
from trocar_lab.supply.targets import PLATFORMS, TARGETS, declared_by_extra

REVIEWED: Final = "2026-11-01"
PROJECT: Final = """\
[build-system]
requires = ["hatchling==1.0"]
[project]
name = "trocar"
version = "1.2.3"
requires-python = ">=3.11"
dependencies = ["Some_Array[fast]>=2,<3"]
[project.optional-dependencies]
cpu = ["engine==1.2"]
gpu = ["engine-gpu==1.2"]
openvino = ["other-engine==4"]
openigtlink = []
lab = ["torch==2.13.0"]
docs = []
check = []
"""
_SHARED: Final = """\
supplier = "S"
purpose = "a | b"
licence = "MIT"
anomaly_list = "https://example.org"
reviewed = 2026-11-01
reviewer = "R"
anomaly_review = "pending"
support_level = "maintained"
support_basis = "newest"
end_of_support = "not published"
"""
_ENTRIES: Final = (
    ("soup", "SOUP_ARRAY", "some-array", ">=2,<3", "wheel", "2.5"),
    ("soup", "SOUP_ENGINE", "engine", "1.2", "extra cpu", "1.2"),
    ("soup", "SOUP_ENGINE_GPU", "engine-gpu", "1.2", "extra gpu", "1.2"),
    ("soup", "SOUP_OTHER", "other-engine", "4", "extra openvino", "4"),
    ("soup", "SOUP_CORE", "array-core", "7", "brought by some-array", "7"),
    ("soup", "SOUP_PYTHON", "python", ">=3.11", "site", ""),
    ("tool", "", "hatchling", "1.0", "build", "1.0"),
    ("tool", "", "torch", "2.13.0", "lab", "2.13.0"),
)
_NEED: Final = """\
.. soup:: {need}
   :id: {need}
   :package: {package}
   :version: {version}
   :supplier: S
   :purpose: a | b
   :anomaly_list: https://example.org
   :reviewed: 2026-11-01
   :licence: MIT

   Asked of it: ``min`` works
   (:need:`SRS_X`).

   Safety: it computes.

"""
_OMITTED: Final = """
[[omitted]]
package = "reporter"
asked_by = "engine"
reason = "reports use"
proof = "tests/test_without.py::test_it"
"""
LEFT_OUT: Final = """
[[left_out_files]]
package = "Engine"
patterns = ["engine/tools/*", "engine/*.h"]
reason = "tools and headers"
proof = "tests/test_without.py::test_it"
"""


def chosen(
    name: str, version: str, platform: str, requires: Sequence[str] = (), *, licence: str = "MIT"
) -> Chosen:
    """Return what pip would choose; its digest depends on name, version and platform."""
    wheel = f"{name.replace('-', '_')}-{version}-cp311-cp311-{_tag(platform)}.whl"
    return Chosen(
        name=name,
        version=version,
        wheel=wheel,
        sha256=hashlib.sha256(wheel.encode()).hexdigest(),
        requires=tuple(Requirement(line) for line in requires),
        licence=licence,
        supplier="S",
    )


def _tag(platform: str) -> str:
    """Return the tag of a platform in a file name."""
    return f"manylinux_2_28_{PLATFORMS[platform]}"


def resolve(
    requirements: Sequence[Requirement], platform: str, sources: Sequence[str]
) -> list[Chosen]:
    """Choose as the little index of the site holds it; a resolver without a network."""
    rows = [
        chosen("some-array", "2.5", platform, ["array-core==7", 'speed; extra == "fast"']),
        chosen("array-core", "7", platform),
        chosen("speed", "1", platform),
        chosen("engine", "1.2", platform, ["reporter", 'gone; sys_platform == "win32"']),
        chosen("engine-gpu", "1.2", platform, ["reporter"]),
        chosen("reporter", "3", platform),
        chosen("other-engine", "4", platform, ["array-core"]),
        chosen("hatchling", "1.0", platform),
    ]
    is_cpu = any(str(r) == "torch==2.13.0+cpu" for r in requirements)
    return [*rows, chosen("torch", "2.13.0+cpu" if is_cpu else "2.13.0", platform)]


def soup_table() -> str:
    """Return risk/soup.toml of the site."""
    blocks = []
    for kind, need, package, version, scope, reviewed in (*_ENTRIES, _SPEED):
        lines = [f"[[{kind}]]", f'need = "{need}"'] if need else [f"[[{kind}]]"]
        lines += [f'package = "{package}"', f'version = "{version}"', f'scope = "{scope}"']
        lines.append(
            f'reviewed_version = "{reviewed}"' if reviewed else 'not_locked = "of the site"'
        )
        blocks.append("\n".join(lines) + "\n" + _SHARED)
    return "\n".join(blocks) + _OMITTED


_SPEED: Final = ("soup", "SOUP_SPEED", "speed", "1", "brought by some-array", "1")


def soup_words() -> str:
    """Return risk/soup.rst of the site."""
    rows = [row for row in (*_ENTRIES, _SPEED) if row[0] == "soup"]
    return "".join(_NEED.format(need=r[1], package=r[2], version=r[3]) for r in rows)


def write_site(root: Path) -> Path:
    """Write a repository whose locks, register and project table agree.

    Args:
        root: Empty folder.
    """
    (root / "risk").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "tests" / "test_without.py").write_text("", encoding="utf-8")
    (root / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (root / "risk" / "soup.toml").write_text(soup_table(), encoding="utf-8")
    (root / "risk" / "soup.rst").write_text(soup_words(), encoding="utf-8")
    for name, lock in site_locks(root).items():
        (root / f"pylock.{name}.toml").write_text(lock_text(lock), encoding="utf-8")
    return root


def site_locks(root: Path) -> dict[str, Lock]:
    """Return the locks of a site as they are resolved now."""
    declared = declared_by_extra(root)
    omitted = [o.package for o in read_register(root).omitted]
    return {t.name: resolved_lock(t, declared, omitted=omitted, resolve=resolve) for t in TARGETS}


def edit(path: Path, old: str, new: str) -> None:
    """Replace one text in a file; it must be there."""
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise AssertionError(f"{old!r} is not in {path.name}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def shared_object(soname: str = "", needed: Sequence[str] = (), text: bytes = b"") -> bytes:
    """Return a small ELF file for x86-64 with a dynamic section, as a linker would write it.

    Args:
        soname: What it calls itself; nothing for none.
        needed: What it is linked to.
        text: Bytes of its data, such as a version string.
    """
    names, offsets = b"\0", []
    for name in (*needed, soname):
        offsets.append(len(names))
        names += name.encode() + b"\0"
    base, header = 0x1000, 64 + 2 * 56
    rows = [(1, offset) for offset in offsets[:-1]]
    rows += [(14, offsets[-1])] if soname else []
    rows += [(5, base + header + 16 * (len(rows) + 2)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *row) for row in rows)
    total = header + len(dynamic) + len(names)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, total, total, 4096)
    place = struct.pack(
        "<IIQQQQQQ", 2, 6, header, base + header, base + header, len(dynamic), len(dynamic), 8
    )
    return head + load + place + dynamic + names + text


def write_wheel(folder: Path, file_name: str, files: Mapping[str, bytes]) -> str:
    """Write a wheel with these files; return its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return hashlib.sha256(path.read_bytes()).hexdigest()
