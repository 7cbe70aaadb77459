"""Archives of a stranger: bounded, and nothing but plain files below one folder comes out."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.bundle_files import Bounds, unpack

FEW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SMALL = Bounds(file_count=3, file_bytes=1000, total_bytes=2000)


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write a compressed tar archive."""
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def _member(
    name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    """Return one member of a tar archive."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, "/etc/passwd"
    return info, data


def _zip(path: Path, *members: tuple[str, bytes, int]) -> Path:
    """Write a zip archive of (name, content, kind)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, kind in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def _outside(tmp_path: Path) -> list[str]:
    """Return what lies beside the target and the bundle."""
    return sorted(p.name for p in tmp_path.iterdir() if p.name not in {"out", "b.tar.gz", "b.zip"})


NAMES = ("../x", "a/../../x", "/x", "a//x", ".x", "a/.x", "C:x", "a\\x", "a\nx", "-x", "a./x", "")
HOLDS = {
    **{f"name {name!r}": [_member(name)] for name in NAMES},
    "deep": [_member("/".join("abcdefghi"))],
    "long": [_member("a" * 250)],
    "link": [_member("x", b"", tarfile.SYMTYPE)],
    "hard link": [_member("x", b"", tarfile.LNKTYPE)],
    "device": [_member("x", b"", tarfile.CHRTYPE)],
    "pipe": [_member("x", b"", tarfile.FIFOTYPE)],
    "twice": [_member("x"), _member("x", b"y")],
    "twice but for case": [_member("x"), _member("X", b"y")],
    "four files": [_member(name) for name in "abcd"],
    "large": [_member("a", b"x" * 1001)],
    "large together": [
        _member("a", b"x" * 900),
        _member("b", b"x" * 900),
        _member("c", b"x" * 300),
    ],
}


@pytest.mark.verifies("SRS_TRACE_016", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", HOLDS)
def test_hostile_tar_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written outside the target, whatever the archive says."""
    bundle = _tar(tmp_path / "b.tar.gz", *HOLDS[name])
    with pytest.raises(EvidenceError):
        unpack(bundle, tmp_path / "out", bounds=SMALL)
    assert _outside(tmp_path) == []


ZIPS = {
    **{f"name {name!r}": [(name, b"x", stat.S_IFREG)] for name in NAMES if name},
    "link": [("x", b"/etc/passwd", stat.S_IFLNK)],
    "pipe": [("x", b"", stat.S_IFIFO)],
    "twice but for case": [("x", b"1", stat.S_IFREG), ("X", b"2", stat.S_IFREG)],
    "four files": [(name, b"x", stat.S_IFREG) for name in "abcd"],
    "many files": [(str(number), b"", stat.S_IFREG) for number in range(9)],
    "bomb": [("a", b"\0" * 100_000_000, stat.S_IFREG)],
}


@pytest.mark.verifies("SRS_TRACE_016", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", ZIPS)
def test_hostile_zip_is_refused(tmp_path: Path, name: str) -> None:
    """The same for zip, whose kinds and sizes are claims as well."""
    bundle = _zip(tmp_path / "b.zip", *ZIPS[name])
    with pytest.raises(EvidenceError):
        unpack(bundle, tmp_path / "out", bounds=SMALL)
    assert _outside(tmp_path) == []


def test_header_that_claims_any_size_is_not_read(tmp_path: Path) -> None:
    """A header of a tar archive is read in one piece; a claim of gigabytes must not be believed."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 4 * 1024**3
    header = info.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(header + b"\0" * 1024))
    with pytest.raises(EvidenceError, match="too large"):
        unpack(tmp_path / "b.tar.gz", tmp_path / "out")


def test_stream_that_unpacks_without_end_is_left(tmp_path: Path) -> None:
    """Ten kilobytes can hold ten megabytes of nothing."""
    member, data = _member("a", b"\0" * 10_000_000)
    bundle = _tar(tmp_path / "b.tar.gz", (member, data))
    assert bundle.stat().st_size < 20_000
    with pytest.raises(EvidenceError, match="too large"):
        unpack(bundle, tmp_path / "out", bounds=SMALL._replace(total_bytes=100_000))


@pytest.mark.parametrize("name", ["b.tar.gz", "b.tgz", "b.zip", "b.rar", "b"])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str) -> None:
    """Text, nothing at all, a link, or an archive of another kind."""
    bundle = tmp_path / name
    with pytest.raises(EvidenceError):
        unpack(bundle, tmp_path / "one")
    bundle.write_bytes(b"no archive")
    with pytest.raises(EvidenceError):
        unpack(bundle, tmp_path / "two")
    bundle.unlink()
    bundle.symlink_to(tmp_path)
    with pytest.raises(EvidenceError, match="is a link"):
        unpack(bundle, tmp_path / "three")


def test_password_and_packing_that_are_not_taken(tmp_path: Path) -> None:
    """An archive that cannot be read as it stands is refused in one line."""
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", b"x")
    with pytest.raises(EvidenceError, match="packed in a way"):
        unpack(tmp_path / "b.zip", tmp_path / "one")
    data = bytearray(_zip(tmp_path / "c.zip", ("a", b"x", stat.S_IFREG)).read_bytes())
    for place in (6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    (tmp_path / "c.zip").write_bytes(data)
    with pytest.raises(EvidenceError, match="cannot be unpacked"):
        unpack(tmp_path / "c.zip", tmp_path / "two")


def test_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    """A link in a folder may show any file of this machine."""
    for name in ("link", "pipe", "a b"):
        place = tmp_path / f"bundle-{name[0]}" / "deep" / name
        place.parent.mkdir(parents=True)
        match name:
            case "link":
                place.symlink_to("/etc/passwd")
            case "pipe":
                os.mkfifo(place)
            case _:
                place.touch()
        with pytest.raises(EvidenceError):
            unpack(place.parents[1], tmp_path / f"out-{name[0]}")


@pytest.mark.parametrize("top", ["", "./", "one/"])
def test_plain_files_come_out_as_they_are(tmp_path: Path, top: str) -> None:
    """With or without one folder around them."""
    files = {"MANIFEST.json": b"{}", "run-a.jsonl": b"1\n", "attachments/x/y.csv.gz": b"\0\xff"}
    members = [_member(f"{top}{name}", data) for name, data in files.items()]
    folder = (tarfile.TarInfo("one/attachments"), b"")
    folder[0].type = tarfile.DIRTYPE
    _tar(tmp_path / "b.tar.gz", folder, *members)
    _zip(tmp_path / "b.zip", *((f"{top}{n}", d, stat.S_IFREG) for n, d in files.items()))
    for name in ("b.tar.gz", "b.zip"):
        found = unpack(tmp_path / name, tmp_path / f"out-{name}")
        got = {p.relative_to(found).as_posix(): p for p in found.rglob("*") if p.is_file()}
        assert {place: path.read_bytes() for place, path in got.items()} == files


@FEW
@given(place=st.integers(0, 100_000), value=st.integers(1, 255), cut=st.integers(0, 400))
def test_damaged_archive_is_an_error_or_whole(
    tmp_path: Path, place: int, value: int, cut: int
) -> None:
    """Whatever is flipped or cut, there is no other exception."""
    for make, name in ((_tar, "b.tar.gz"), (_zip, "b.zip")):
        bundle = tmp_path / name
        if make is _tar:
            _tar(bundle, _member("a", b"some text" * 20), _member("b/c", bytes(range(256))))
        else:
            _zip(bundle, ("a", b"some text" * 20, 0), ("b/c", bytes(range(256)), stat.S_IFREG))
        data = bytearray(bundle.read_bytes())
        data[place % len(data)] ^= value
        bundle.write_bytes(data[: len(data) - cut] if cut < len(data) else data)
        target = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        out = {*_outside(tmp_path), target.name}
        with contextlib.suppress(EvidenceError):
            assert unpack(bundle, target).is_relative_to(target)
        assert _outside(tmp_path) == sorted(out)
