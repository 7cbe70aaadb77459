"""A pack is loaded whole and unchanged, or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.packs import edit_manifest, write_tiny_pack
from trocar.contracts.errors import HashMismatchError, IncompatiblePackError, PackError
from trocar.contracts.limits import MANIFEST_BYTES_MAX, PACK_FILE_BYTES_MAX, PACK_FILE_COUNT_MAX
from trocar.packs.verify import verify_pack

FILES = ("model.onnx", "card.md", "reference_input.npy", "reference_output.npy")


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Return the folder of a sound pack."""
    write_tiny_pack(tmp_path / "pack")
    return tmp_path / "pack"


@pytest.mark.verifies("SRS_PACK_001", extent="full", technique="requirement")
@pytest.mark.controls("RCM_PACK_001")
def test_sound_pack_returns_the_bytes_on_disk(pack: Path) -> None:
    """What is hashed is what is handed out, so nothing can change in between."""
    verified = verify_pack(pack)
    assert {name: (pack / name).read_bytes() for name in FILES} == verified.content
    assert verified.model == (pack / "model.onnx").read_bytes()
    assert verified.card == "# Tiny\n"


@pytest.mark.verifies("SRS_PACK_001", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_PACK_001", measure="altered packs accepted", acceptance="0 of every bit position tried"
)
@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_refused(pack: Path, name: str) -> None:
    """A single bit, anywhere in any file, must stop the pack."""
    original = (pack / name).read_bytes()
    positions = range(0, len(original), max(1, len(original) // 60))
    for position in positions:
        changed = bytearray(original)
        changed[position] ^= 1 << (position % 8)
        (pack / name).write_bytes(bytes(changed))
        with pytest.raises(HashMismatchError, match=name):
            verify_pack(pack)
    assert len(positions) >= 7


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", FILES)
def test_truncated_or_longer_file_is_refused(pack: Path, name: str) -> None:
    """Length is part of the identity."""
    original = (pack / name).read_bytes()
    for changed in (original[:-1], original + b"\0", b""):
        (pack / name).write_bytes(changed)
        with pytest.raises(HashMismatchError):
            verify_pack(pack)


def _extra_file(pack: Path) -> None:
    (pack / "extra.bin").write_bytes(b"x")


def _hidden_file(pack: Path) -> None:
    (pack / ".hidden").write_bytes(b"x")


def _folder_inside(pack: Path) -> None:
    (pack / "inner").mkdir()


def _missing_file(pack: Path) -> None:
    (pack / "card.md").unlink()


def _link_for_a_file(pack: Path) -> None:
    shutil.move(pack / "card.md", pack.parent / "card.md")
    (pack / "card.md").symlink_to(pack.parent / "card.md")


def _pipe(pack: Path) -> None:
    os.mkfifo(pack / "pipe")


def _pipe_for_a_file(pack: Path) -> None:
    (pack / "card.md").unlink()
    os.mkfifo(pack / "card.md")


def _too_many(pack: Path) -> None:
    for number in range(PACK_FILE_COUNT_MAX):
        (pack / f"file{number}").write_bytes(b"x")


def _sparse_giant(pack: Path) -> None:
    with (pack / "giant.bin").open("wb") as stream:
        stream.truncate(PACK_FILE_BYTES_MAX + 1)


def _no_manifest(pack: Path) -> None:
    (pack / "manifest.json").unlink()


def _signature_not_yet_understood(pack: Path) -> None:
    (pack / "manifest.sig").write_bytes(b"x")


@pytest.mark.verifies("SRS_PACK_003", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    "damage",
    [
        _extra_file,
        _hidden_file,
        _folder_inside,
        _missing_file,
        _link_for_a_file,
        _pipe,
        _pipe_for_a_file,
        _too_many,
        _sparse_giant,
        _no_manifest,
        _signature_not_yet_understood,
    ],
)
def test_pack_with_other_than_its_files_is_refused(
    pack: Path, damage: Callable[[Path], None]
) -> None:
    """A pack holds exactly the regular files that it lists; nothing blocks, nothing is followed."""
    damage(pack)
    with pytest.raises(PackError) as caught:
        verify_pack(pack)
    assert caught.value.advice


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="boundary")
def test_what_is_no_pack_folder_is_refused(tmp_path: Path) -> None:
    """A missing folder, a file and a link to a folder are no packs."""
    write_tiny_pack(tmp_path / "pack")
    (tmp_path / "link").symlink_to(tmp_path / "pack")
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "none", tmp_path / "link", tmp_path / "file"):
        with pytest.raises(PackError):
            verify_pack(path)


@pytest.mark.verifies("SRS_PACK_002", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "\ufeff{}",
        '{"format_version": 1, "format_version": 1}',
        "[" * 100_000,
        "{" + " " * (MANIFEST_BYTES_MAX + 1) + "}",
    ],
)
def test_manifest_that_is_not_strict_json_is_refused(pack: Path, text: str) -> None:
    """Two readers must not be able to understand one manifest differently."""
    (pack / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(PackError):
        verify_pack(pack)


@pytest.mark.verifies("SRS_PACK_002", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 2},
        {"format_version": 0},
        {"format_version": "1"},
        {"format_version": True},
        {"unknown": 1},
        {"threshold": {"value": 1.5, "chosen_by": "x"}},
        {"threshold": {"value": float("nan"), "chosen_by": "x"}},
        {"preprocessing": {"colour_order": "BGR", "resize": "area", "normalisation": "in_graph"}},
        {"model_file": "model.pkl"},
        {"model_file": "../model.onnx"},
        {"files": []},
        {"trained_on": []},
        {"metrics": []},
        {"intended_use": ""},
    ],
)
def test_manifest_that_asks_for_something_else_is_refused(
    pack: Path, changes: dict[str, object]
) -> None:
    """A format, a field or a preprocessing that this device does not know is not guessed."""
    edit_manifest(pack, **changes)
    with pytest.raises(IncompatiblePackError) as caught:
        verify_pack(pack)
    assert "what to do" in caught.value.diagnostics()


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="equivalence")
def test_manifest_that_is_no_object_is_refused(pack: Path) -> None:
    """A list is valid JSON and no manifest."""
    (pack / "manifest.json").write_text("[]", encoding="utf-8")
    with pytest.raises(IncompatiblePackError):
        verify_pack(pack)


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="equivalence")
def test_manifest_that_lists_a_file_twice_is_refused(pack: Path) -> None:
    """Two digests for one name leave open which one counts."""
    parsed = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    edit_manifest(pack, files=[*parsed["files"], parsed["files"][0]])
    with pytest.raises(IncompatiblePackError, match="each file once"):
        verify_pack(pack)
