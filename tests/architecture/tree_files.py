"""Rules about every file of the tree, whatever its language."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from architecture.tidy import Rule, Violation

__all__ = ["FILE_RULES", "candidate_files"]

PICTURE_FOLDERS: Final = ("src/trocar/assets", "docs/images")
PICTURE_SUFFIXES: Final = frozenset({
    *(".avi", ".bmp", ".dcm", ".gif", ".jpeg", ".jpg", ".mha", ".mhd", ".mkv", ".mov", ".mp4"),
    *(".nii", ".nrrd", ".png", ".tif", ".tiff", ".webm"),
})
FRAGMENT_KINDS: Final = ("added", "changed", "fixed", "safety", "soup", "removed")

_FRAGMENT_NAME: Final = re.compile(rf"[a-z0-9][a-z0-9_-]*\.(?:{'|'.join(FRAGMENT_KINDS)})\.md")
_MACHINE_PATH: Final = re.compile(
    r"(?<![\w.\-/}$])/(?:home|Users|root|work|workspace|mnt|scratch|tmp/tmp)/\w[\w.\-/]*"
    r"|[A-Za-z]:[\\/]{1,2}Users[\\/]{1,2}\w+"
)
_SIGNATURES: Final = ((0, b"\xff\xd8\xff"), (0, b"\x89PNG\r\n"), (4, b"ftyp"), (128, b"DICM"))


def candidate_files(root: Path) -> list[Path]:
    """Return what is or would be in the history: all that is not ignored, all that is tracked."""
    ignored = _ignore_patterns(root)
    found: set[Path] = set(_tracked(root))
    stack = [root]
    while stack:
        for path in stack.pop().iterdir():
            if path.name == ".git" or path.is_symlink() or _is_ignored(path, root, ignored):
                continue
            if path.is_dir():
                stack.append(path)
            else:
                found.add(path)
    return sorted(found)


def _ignore_patterns(root: Path) -> tuple[str, ...]:
    """Return the patterns of ``.gitignore``; a pattern with a slash inside is anchored."""
    path = root / ".gitignore"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def _is_ignored(path: Path, root: Path, patterns: tuple[str, ...]) -> bool:
    """Return whether a file or folder matches one of the patterns."""
    place = path.relative_to(root).as_posix()
    for pattern in patterns:
        if pattern.endswith("/") and not path.is_dir():
            continue
        bare = pattern.rstrip("/")
        anchored = "/" in bare
        if fnmatch(place if anchored else path.name, bare.lstrip("/")):
            return True
    return False


def _tracked(root: Path) -> list[Path]:
    """Return what git tracks, or nothing where the tree is not a checkout."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return []
    done = subprocess.run(
        [git, "-C", str(root), "ls-files", "-z"], capture_output=True, check=False, timeout=60
    )
    paths = (root / name for name in done.stdout.decode("utf-8").split("\0") if name)
    return [path for path in paths if path.is_file()]


def machine_paths(root: Path) -> list[Violation]:
    """Find paths of somebody's machine."""
    found = []
    for path in candidate_files(root):
        text = _text(path)
        for line, content in enumerate((text or "").splitlines(), start=1):
            found += [
                Violation(
                    rule="machine-path",
                    path=path.relative_to(root).as_posix(),
                    line=line,
                    symbol=match.group(),
                    found=f"{match.group()!r} exists on one machine only",
                    remedy="make it relative, or read it from TROCAR_DATA",
                )
                for match in _MACHINE_PATH.finditer(content)
            ]
    return found


def patient_files(root: Path) -> list[Violation]:
    """Find pictures, videos and volumes outside the folders for what may be published."""
    found = []
    for path in candidate_files(root):
        place = path.relative_to(root).as_posix()
        if place.startswith(tuple(f"{folder}/" for folder in PICTURE_FOLDERS)):
            continue
        suffixes = {suffix.lower() for suffix in PurePosixPath(place).suffixes}
        if suffixes & PICTURE_SUFFIXES or _is_picture(path):
            found.append(
                Violation(
                    rule="patient-file",
                    path=place,
                    line=1,
                    symbol="",
                    found="a picture, video or volume outside the folders for it",
                    remedy=f"keep real data out; rendered pictures go to {PICTURE_FOLDERS}",
                )
            )
    return found


def _is_picture(path: Path) -> bool:
    """Return whether the content is a picture, a video or DICOM, whatever the name says."""
    with path.open("rb") as file:
        head = file.read(160)
    return any(head[at : at + len(mark)] == mark for at, mark in _SIGNATURES)


def encodings(root: Path) -> list[Violation]:
    """Find text that is not UTF-8 without byte order mark, or has other line ends than LF."""
    found = []
    for path in candidate_files(root):
        data = path.read_bytes()
        if b"\0" in data:
            continue
        fault = _encoding_fault(data)
        if fault:
            what, at = fault
            found.append(
                Violation(
                    rule="encoding",
                    path=path.relative_to(root).as_posix(),
                    line=data.count(b"\n", 0, at) + 1,
                    symbol="",
                    found=what,
                    remedy="save as UTF-8 without byte order mark, lines ended by LF",
                )
            )
    return found


def _encoding_fault(data: bytes) -> tuple[str, int] | None:
    """Return what is wrong with a text file and at which byte, or None."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return "not UTF-8", error.start
    if data.startswith(b"\xef\xbb\xbf"):
        return "a byte order mark", 0
    if b"\r" in data:
        return "a carriage return", data.index(b"\r")
    return None


def _text(path: Path) -> str | None:
    """Return the content of a text file, or None for a binary one."""
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _read(path: Path, mtime_ns: int, size_bytes: int) -> str | None:
    """Read; time and size are part of the key only."""
    del mtime_ns, size_bytes
    data = path.read_bytes()
    return None if b"\0" in data else data.decode("utf-8", errors="replace")


def fragments(root: Path) -> list[Violation]:
    """Find news fragments of an unknown kind, with an odd name, or without a sentence."""
    found = []
    for path in sorted((root / "changelog.d").glob("*")):
        if path.name == "README.md":
            continue
        text = path.read_text(encoding="utf-8").strip()
        if not _FRAGMENT_NAME.fullmatch(path.name):
            fault = "not named <what>.<kind>.md"
        elif not text or "\n\n" in text or not text.endswith("."):
            fault = "not one paragraph that ends with a full stop"
        else:
            continue
        found.append(
            Violation(
                rule="fragment",
                path=path.relative_to(root).as_posix(),
                line=1,
                symbol="",
                found=fault,
                remedy=f"kinds: {' '.join(FRAGMENT_KINDS)}; say what changes for the user",
            )
        )
    return found


FILE_RULES: Final[Mapping[str, Rule]] = {
    "machine-path": machine_paths,
    "patient-file": patient_files,
    "encoding": encodings,
    "fragment": fragments,
}
