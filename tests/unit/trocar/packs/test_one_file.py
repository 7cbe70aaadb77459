"""A pack in one file has one writing, and that one is an ordinary tar archive."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest

from trocar.contracts.errors import PackError
from trocar.contracts.limits import PACK_FILE_COUNT_MAX
from trocar.packs.one_file import one_file_of, read_one_file

FILES = {"card.md": b"# Card\n", "manifest.json": b"{}", "model.onnx": bytes(range(256)) * 5}


def _by_tarfile(
    files: dict[str, bytes],
    change: Callable[[tarfile.TarInfo], object] = lambda _: None,
    kind: int = tarfile.USTAR_FORMAT,
) -> bytes:
    """Return an archive as Python's own library writes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            change(info)
            archive.addfile(info, io.BytesIO(files[name]))
    return buffer.getvalue()


@pytest.mark.verifies("SRS_SIGN_005", "UNIT_PACKS_ONE_FILE", extent="full", technique="requirement")
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 9000])
def test_what_was_written_is_read_and_is_what_tar_writes(size: int) -> None:
    """An independent writer gives the same bytes, so that any tar program reads them."""
    files = {**FILES, "z.bin": b"z" * size}
    raw = one_file_of(files)
    assert raw == _by_tarfile(files)
    assert read_one_file(raw) == files


def _set(name: str, value: object) -> Callable[[tarfile.TarInfo], object]:
    return lambda info: setattr(info, name, value)


@pytest.mark.verifies("SRS_SIGN_005", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_001")
@pytest.mark.parametrize(
    "change",
    [
        _set("mtime", 1),
        _set("mode", 0o600),
        _set("uid", 1),
        _set("gid", 1),
        _set("uname", "root"),
        _set("gname", "root"),
        _set("type", tarfile.SYMTYPE),
        _set("type", tarfile.LNKTYPE),
        _set("type", tarfile.FIFOTYPE),
        _set("type", tarfile.DIRTYPE),
        _set("type", tarfile.GNUTYPE_SPARSE),
        _set("type", tarfile.AREGTYPE),
        _set("type", tarfile.CONTTYPE),
        _set("linkname", "card.md"),
        _set("name", "../card.md"),
        _set("name", "/card.md"),
        _set("name", "Card.md"),
        _set("name", ".hidden"),
        _set("name", "card.md\n"),
        _set("name", "a" * 65),
    ],
)
def test_any_other_header_is_refused(change: Callable[[tarfile.TarInfo], object]) -> None:
    """Links, owners, times and paths are not interpreted: there is no such thing in a pack."""
    with pytest.raises(PackError) as caught:
        read_one_file(_by_tarfile({"card.md": b"# Card\n"}, change))
    assert caught.value.advice


@pytest.mark.verifies("SRS_SIGN_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_other_formats_of_tar_are_refused(kind: int) -> None:
    """They can say the same thing in more than one way."""
    with pytest.raises(PackError):
        read_one_file(_by_tarfile({"a" * 120: b"x"}, kind=kind))


def _swapped(raw: bytes) -> bytes:
    return raw[1024:2048] + raw[:1024] + raw[2048:]


@pytest.mark.verifies("SRS_SIGN_005", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:-512],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:700],
        lambda raw: raw + bytes(512),
        lambda raw: raw + bytes(10240),
        lambda raw: raw + b"x",
        lambda raw: raw[:-1] + b"x",
        lambda raw: raw + one_file_of({"zz.bin": b"x"}),
        lambda raw: raw[:1024] + raw[:1024] + raw[2048:],
        _swapped,
        lambda _: bytes(10240),
        lambda _: b"",
        lambda _: b"x" * 100,
    ],
)
def test_any_other_writing_is_refused(damage: Callable[[bytes], bytes]) -> None:
    """Cut, longer, twice the same file, another order, none: one pack has one file."""
    with pytest.raises(PackError):
        read_one_file(damage(one_file_of(FILES)))


@pytest.mark.verifies("SRS_SIGN_005", extent="full", technique="fault_injection")
def test_every_single_flipped_bit_outside_the_contents_is_refused() -> None:
    """Each bit of headers, padding and end counts."""
    files = {"a": b"x" * 3, "b": b""}
    raw = one_file_of(files)
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        if 512 <= bit // 8 < 515:
            assert read_one_file(bytes(changed))["a"] != files["a"]
        else:
            with pytest.raises(PackError):
                read_one_file(bytes(changed))


@pytest.mark.verifies("SRS_SIGN_005", "SRS_PACK_003", extent="partial", technique="boundary")
def test_more_files_than_a_pack_may_have_are_refused() -> None:
    """At the limit read, above it not."""
    files = {f"f{number:02}": b"" for number in range(PACK_FILE_COUNT_MAX)}
    assert len(read_one_file(one_file_of(files))) == PACK_FILE_COUNT_MAX
    with pytest.raises(PackError, match=f"at most {PACK_FILE_COUNT_MAX} files"):
        read_one_file(one_file_of({**files, "g": b""}))
