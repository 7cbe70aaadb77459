"""What is read from a place: regular files, bounded, and nothing that blocks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.packs import write_tiny_pack
from trocar.contracts.errors import PackError
from trocar.contracts.limits import (
    MANIFEST_BYTES_MAX,
    PACK_FILE_BYTES_MAX,
    PACK_FILE_COUNT_MAX,
    PACK_SIGNATURE_BYTES_MAX,
)
from trocar.packs import reading
from trocar.packs.one_file import ONE_FILE_SUFFIX, one_file_of
from trocar.packs.reading import read_bounded, read_pack_files

RESTORE = "restore the pack from a release; do not use this copy"
NAME_IT = "name the folder of a pack, or a pack in one file (*.trocarpack)"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Return the folder of a sound pack."""
    write_tiny_pack(tmp_path / "pack")
    return tmp_path / "pack"


@pytest.mark.verifies(
    "SRS_PACK_003", "SRS_SIGN_005", "UNIT_PACKS_READING", extent="partial", technique="requirement"
)
def test_folder_and_one_file_hold_the_same(pack: Path) -> None:
    """Each name with its bytes, from either form."""
    files = read_pack_files(pack)
    assert files == {path.name: path.read_bytes() for path in pack.iterdir()}
    one = pack.with_name(f"pack{ONE_FILE_SUFFIX}")
    one.write_bytes(one_file_of(files))
    assert read_pack_files(one) == files


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="requirement")
def test_hard_link_is_read_like_any_file(pack: Path) -> None:
    """Installers make them; who has another name for the bytes changes nothing in what was read."""
    before = read_pack_files(pack)
    os.link(pack / "model.onnx", pack.parent / "other_name.onnx")
    assert read_pack_files(pack) == before


def _sparse(size: int, name: str = "giant.bin") -> Callable[[Path], None]:
    def damage(pack: Path) -> None:
        with (pack / name).open("wb") as stream:
            stream.truncate(size)

    return damage


def _link_for_a_file(pack: Path) -> None:
    shutil.move(pack / "card.md", pack.parent / "card.md")
    (pack / "card.md").symlink_to(pack.parent / "card.md")


def _pipe_for(name: str) -> Callable[[Path], None]:
    def damage(pack: Path) -> None:
        (pack / name).unlink(missing_ok=True)
        os.mkfifo(pack / name)

    return damage


def _too_many(pack: Path) -> None:
    for number in range(PACK_FILE_COUNT_MAX):
        (pack / f"file{number}").write_bytes(b"x")


def _named(name: str) -> Callable[[Path], None]:
    def damage(pack: Path) -> None:
        (pack / name).write_bytes(b"x")

    return damage


@pytest.mark.verifies("SRS_PACK_003", "SRS_SIGN_001", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_PACK_001")
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda pack: (pack / "inner").mkdir(), "expected a regular file, got 'inner'"),
        (_link_for_a_file, "expected a regular file, got 'card.md'"),
        (lambda pack: (pack / "l").symlink_to("card.md"), "expected a regular file, got 'l'"),
        (lambda pack: (pack / "d").symlink_to(".."), "expected a regular file, got 'd'"),
        (_pipe_for("pipe"), "expected a regular file, got 'pipe'"),
        (_pipe_for("card.md"), "expected a regular file, got 'card.md'"),
        (_pipe_for("model.sig"), "expected a regular file, got 'model.sig'"),
        (_too_many, f"expected at most {PACK_FILE_COUNT_MAX} files, got more"),
        (_sparse(20 * 2**30), f"expected 'giant.bin' to have at most {PACK_FILE_BYTES_MAX} bytes"),
        (
            _sparse(PACK_SIGNATURE_BYTES_MAX + 1, "model.sig"),
            f"expected 'model.sig' to have at most {PACK_SIGNATURE_BYTES_MAX} bytes",
        ),
        (
            _sparse(MANIFEST_BYTES_MAX + 1, "manifest.json"),
            f"expected 'manifest.json' to have at most {MANIFEST_BYTES_MAX} bytes",
        ),
        (_named(".hidden"), "expected only files of a pack, got '.hidden'"),
        (_named("Model.onnx"), "expected only files of a pack, got 'Model.onnx'"),
        (_named("a\n"), r"expected only files of a pack, got 'a\n'"),
        (_named("é"), "expected only files of a pack, got 'é'"),
    ],
)
def test_what_no_pack_holds_is_refused_before_it_is_read(
    pack: Path, damage: Callable[[Path], None], problem: str
) -> None:
    """Nothing blocks, nothing is followed, and a sparse giant costs no time."""
    damage(pack)
    with pytest.raises(PackError) as caught:
        read_pack_files(pack)
    assert caught.value.problem.startswith(problem)
    assert caught.value.advice == RESTORE


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("limit", "form"),
    [
        ("PACK_FILE_BYTES_MAX", "folder"),
        ("PACK_FILE_BYTES_MAX", "one file"),
        ("PACK_FILE_COUNT_MAX", "folder"),
        ("MANIFEST_BYTES_MAX", "folder"),
        ("MANIFEST_BYTES_MAX", "one file"),
        ("PACK_SIGNATURE_BYTES_MAX", "folder"),
        ("PACK_SIGNATURE_BYTES_MAX", "one file"),
        ("PACK_BYTES_MAX", "folder"),
        ("PACK_BYTES_MAX", "one file"),
    ],
)
def test_limits_of_a_pack_are_inclusive(
    pack: Path, monkeypatch: pytest.MonkeyPatch, limit: str, form: str
) -> None:
    """At the limit whole, above it refused."""
    sizes = {path.name: path.stat().st_size for path in pack.iterdir()}
    if form == "one file":
        one = pack.with_name(f"pack{ONE_FILE_SUFFIX}")
        one.write_bytes(one_file_of(read_pack_files(pack)))
        pack = one
    reached = {
        "PACK_FILE_BYTES_MAX": max(
            size for name, size in sizes.items() if name not in {"manifest.json", "model.sig"}
        ),
        "PACK_FILE_COUNT_MAX": len(sizes),
        "MANIFEST_BYTES_MAX": sizes["manifest.json"],
        "PACK_SIGNATURE_BYTES_MAX": sizes["model.sig"],
        "PACK_BYTES_MAX": sum(sizes.values()) if form == "folder" else pack.stat().st_size,
    }[limit]
    monkeypatch.setattr(reading, limit, reached)
    assert len(read_pack_files(pack)) == len(sizes)
    monkeypatch.setattr(reading, limit, reached - 1)
    with pytest.raises(PackError, match="at most") as caught:
        read_pack_files(pack)
    assert caught.value.advice == RESTORE


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("before", [b"", b"x" * 2000])
def test_file_whose_size_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    """Its size is looked at first; what comes after must not fill the memory."""
    path = tmp_path / "growing.bin"
    path.write_bytes(before)
    looked_at = path.stat()
    path.write_bytes(b"x" * 1000)
    monkeypatch.setattr("trocar.packs.reading.os.fstat", lambda _handle: looked_at)
    with pytest.raises(PackError, match="its size changed"):
        read_bounded(path, bytes_max=2000)


@pytest.mark.verifies("SRS_SIGN_004", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_003")
def test_folder_that_is_exchanged_while_it_is_read_stays_the_same_one(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is opened once; another one under its name is not looked at."""
    before = read_pack_files(pack)
    real = reading.read_bounded

    def exchanged(path: Path | str, *, bytes_max: int, folder: int | None = None) -> bytes:
        if not pack.is_symlink():
            pack.rename(pack.with_name("away"))
            pack.symlink_to("nowhere")
        return real(path, bytes_max=bytes_max, folder=folder)

    monkeypatch.setattr(reading, "read_bounded", exchanged)
    assert read_pack_files(pack) == before


@pytest.mark.verifies("SRS_PACK_003", "SRS_ERROR_001", extent="partial", technique="boundary")
def test_what_is_no_place_of_a_pack_is_refused(pack: Path, tmp_path: Path) -> None:
    """A missing path, a file of another kind, a link and a pipe are no packs."""
    (tmp_path / "link").symlink_to(pack)
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / f"pipe{ONE_FILE_SUFFIX}")
    for name in ("link", "file", f"pipe{ONE_FILE_SUFFIX}"):
        path = tmp_path / name
        with pytest.raises(PackError) as caught:
            read_pack_files(path)
        assert caught.value.problem == f"expected a folder or a file *.trocarpack, got {path}"
        assert caught.value.advice == NAME_IT
    with pytest.raises(PackError, match="cannot read the pack") as caught:
        read_pack_files(tmp_path / "none")
    assert caught.value.advice == "check path and permissions"


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="example")
def test_folder_without_a_manifest_is_named(pack: Path) -> None:
    """The folder above the pack is a likely slip."""
    (pack / "manifest.json").unlink()
    with pytest.raises(PackError) as caught:
        read_pack_files(pack)
    assert caught.value.problem == f"expected manifest.json in {pack}, found none"
    assert caught.value.advice == NAME_IT
