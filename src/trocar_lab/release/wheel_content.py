"""What a wheel holds, against the list of what it may hold and against the commit."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import stat
import tomllib
import zipfile
import zlib
from collections import Counter
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen

__all__ = ["AllowedFiles", "content_faults", "load_allowed", "read_members"]

_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_MEMBER_BYTES_MAX: Final = 64_000_000
_MEMBERS_MAX: Final = 5_000
_TOTAL_BYTES_MAX: Final = 128_000_000


class _AllowedFile(Frozen):
    """One pattern."""

    pattern: str
    reason: Annotated[str, Field(min_length=10)]


class AllowedFiles(Frozen):
    """What a wheel may hold.

    Attributes:
        bytes_max: Largest wheel [bytes].
        file: Patterns over whole names.
    """

    bytes_max: Annotated[int, Field(gt=0)]
    file: tuple[_AllowedFile, ...]

    def allows(self, name: str) -> bool:
        """Return whether some pattern fits a name."""
        return any(re.fullmatch(one.pattern, name) for one in self.file)


@cache
def load_allowed() -> AllowedFiles:
    """Return the list that lies beside this module."""
    text = resources.files("trocar_lab.release").joinpath("wheel_files.toml")
    return AllowedFiles.model_validate(tomllib.loads(text.read_text(encoding="utf-8")))


def content_faults(wheel: Path, tree: Path, allowed: AllowedFiles | None = None) -> list[str]:
    """Return what is wrong with the content of a wheel, one sentence each.

    Args:
        wheel: The wheel.
        tree: Source that it was built from.
        allowed: What it may hold; the list beside this module when left out.
    """
    rules = allowed or load_allowed()
    faults = []
    size = wheel.stat().st_size
    if size > rules.bytes_max:
        faults.append(f"{wheel.name} has {size} bytes; at most {rules.bytes_max}")
    members, broken = read_members(wheel)
    faults += broken
    faults += [
        f"{name} is not on the list of files of the wheel"
        for name in members
        if not rules.allows(name)
    ]
    faults += [
        f"{name} holds a private key"
        for name, content in members.items()
        if _PRIVATE.search(content)
    ]
    faults += _source_faults(members, tree)
    if not broken:
        faults += _record_faults(members)
    return faults


def read_members(wheel: Path) -> tuple[dict[str, bytes], list[str]]:
    """Return each regular file of a wheel with its bytes, and what is no such file.

    Args:
        wheel: The wheel.
    """
    members: dict[str, bytes] = {}
    faults: list[str] = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            entries = archive.infolist()
            if len(entries) > _MEMBERS_MAX:
                return {}, [f"{wheel.name} holds {len(entries)} files; at most {_MEMBERS_MAX}"]
            total = sum(entry.file_size for entry in entries)
            if total > _TOTAL_BYTES_MAX:
                return {}, [
                    f"{wheel.name} unpacks to {total} bytes; at most {_TOTAL_BYTES_MAX} altogether"
                ]
            repeated = Counter(entry.filename for entry in entries)
            faults += [f"{name} stands twice in it" for name, n in repeated.items() if n > 1]
            for entry in entries:
                mode = entry.external_attr >> 16
                if stat.S_IFMT(mode) not in {0, stat.S_IFREG} or entry.is_dir():
                    faults.append(f"{entry.filename} is a link, a folder or a device")
                elif entry.file_size > _MEMBER_BYTES_MAX:
                    faults.append(f"{entry.filename} unpacks to {entry.file_size} bytes")
                else:
                    members[entry.filename] = archive.read(entry)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as exc:
        return {}, [f"{wheel.name} is no wheel that can be read: {exc}"]
    except (NotImplementedError, RuntimeError) as exc:
        return {}, [f"{wheel.name} is packed in a way that wheels are not: {exc}"]
    return members, faults


def _source_faults(members: dict[str, bytes], tree: Path) -> list[str]:
    """Compare the package with the source, both ways."""
    package = tree / "src" / "trocar"
    source = {
        f"trocar/{path.relative_to(package).as_posix()}": path
        for path in package.rglob("*")
        if path.is_file()
    }
    held = {name for name in members if not name.split("/", 1)[0].endswith(".dist-info")}
    faults = [f"{name} is in the wheel and not in the commit" for name in sorted(held - {*source})]
    faults += [f"{name} is in the commit and not in the wheel" for name in sorted({*source} - held)]
    faults += [
        f"{name} is not the file of the commit"
        for name in sorted(held & {*source})
        if source[name].read_bytes() != members[name]
    ]
    return faults


def _record_faults(members: dict[str, bytes]) -> list[str]:
    """Compare RECORD with the files: installers do not do it."""
    names = [name for name in members if name.endswith(".dist-info/RECORD")]
    if len(names) != 1:
        return [f"expected one RECORD in the wheel, got {len(names)}"]
    rows = list(csv.reader(io.StringIO(members[names[0]].decode("utf-8", "replace"))))
    listed = {row[0]: row[1] for row in rows if len(row) == 3}
    faults = [f"RECORD does not list {name}" for name in sorted({*members} - {*listed})]
    faults += [
        f"RECORD lists {name}, which is not there" for name in sorted({*listed} - {*members})
    ]
    for name in sorted({*listed} & {*members} - {names[0]}):
        digest = base64.urlsafe_b64encode(hashlib.sha256(members[name]).digest())
        if listed[name] != f"sha256={digest.decode().rstrip('=')}":
            faults.append(f"RECORD has another digest for {name}")
    return faults
