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
from trocar.packs import verify
from trocar.packs.verify import verify_pack

RESTORE = "restore the pack from a release; do not use this copy"
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


def _with_repeated_threshold(pack: Path) -> None:
    text = (pack / "manifest.json").read_text(encoding="utf-8")
    repeated = text.replace('"threshold":', '"threshold": {"value": 0.9}, "threshold":', 1)
    (pack / "manifest.json").write_text(repeated, encoding="utf-8")


@pytest.mark.verifies("SRS_PACK_002", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_PACK_001")
def test_sound_manifest_with_one_key_twice_is_refused(pack: Path) -> None:
    """All else is right: one reader would take the first threshold, another one the second."""
    _with_repeated_threshold(pack)
    with pytest.raises(PackError, match="not strict JSON: a key is repeated among") as caught:
        verify_pack(pack)
    assert "'threshold'" in caught.value.problem


def _size(pack: Path) -> int:
    """Return the size of the largest file of a pack."""
    return max((pack / name).stat().st_size for name in FILES)


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_PACK_001")
@pytest.mark.parametrize(
    "limit", ["PACK_FILE_BYTES_MAX", "PACK_FILE_COUNT_MAX", "MANIFEST_BYTES_MAX"]
)
def test_limits_of_a_pack_are_inclusive(
    pack: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """At the limit whole, above it refused with both numbers."""
    size, manifest_size = _size(pack), (pack / "manifest.json").stat().st_size
    largest = next(name for name in FILES if (pack / name).stat().st_size == size)
    reached, problem = {
        "PACK_FILE_BYTES_MAX": (
            size,
            f"expected {largest} to have at most {size - 1} bytes, got {size}",
        ),
        "PACK_FILE_COUNT_MAX": (5, "expected at most 4 files, got 5"),
        "MANIFEST_BYTES_MAX": (
            manifest_size,
            f"expected a manifest of at most {manifest_size - 1} bytes, got {manifest_size}",
        ),
    }[limit]
    monkeypatch.setattr(verify, limit, reached)
    assert {name: len(content) for name, content in verify_pack(pack).content.items()} == {
        name: (pack / name).stat().st_size for name in FILES
    }
    monkeypatch.setattr(verify, limit, reached - 1)
    with pytest.raises(PackError) as caught:
        verify_pack(pack)
    assert (caught.value.problem, caught.value.advice) == (problem, RESTORE)


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="fault_injection")
def test_file_that_grows_while_it_is_read_is_cut_off(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is looked at first; what comes after must not fill the memory."""
    path, limit = pack / "growing.bin", 100
    path.write_bytes(b"")
    looked_at = path.stat()
    path.write_bytes(b"x" * 10 * limit)
    monkeypatch.setattr(verify, "PACK_FILE_BYTES_MAX", limit)
    monkeypatch.setattr("trocar.packs.verify.os.fstat", lambda _handle: looked_at)
    assert len(verify._read_regular_file(path)) == limit + 1


def _altered(pack: Path) -> None:
    (pack / "card.md").write_bytes(b"# Tine\n")


def _of_format_2(pack: Path) -> None:
    edit_manifest(pack, format_version=2)


def _other_threshold(pack: Path) -> None:
    edit_manifest(pack, threshold={"value": 1.5, "chosen_by": "x"})


def _file_listed_twice(pack: Path) -> None:
    parsed = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    edit_manifest(pack, files=[*parsed["files"], parsed["files"][0]])


def _no_json(pack: Path) -> None:
    (pack / "manifest.json").write_text("not json", encoding="utf-8")


@pytest.mark.verifies("SRS_PACK_001", "SRS_ERROR_001", extent="partial", technique="example")
@pytest.mark.controls("RCM_PACK_001")
@pytest.mark.parametrize(
    ("damage", "problem", "advice"),
    [
        (_extra_file, "extra.bin is not listed in the manifest", RESTORE),
        (_missing_file, "card.md is missing from the folder", RESTORE),
        (_pipe, "expected a regular file, got pipe", RESTORE),
        (_no_manifest, "expected manifest.json in {pack}, found none", "name the folder of a pack"),
        (_no_json, "the manifest is not strict JSON: Expecting value", RESTORE),
        (
            _of_format_2,
            "expected manifest format 1, got 2",
            "use the release of Trocar that belongs to this pack",
        ),
        (_other_threshold, "the manifest breaks its contract at threshold.value: ", RESTORE),
        (_file_listed_twice, "the manifest breaks its contract at manifest: ", RESTORE),
        (_altered, "card.md differs from the manifest: expected sha256 ", RESTORE),
        (shutil.rmtree, "cannot read the pack {pack}: ", "check path and permissions"),
    ],
)
def test_refusal_names_what_is_wrong_and_what_to_do(
    pack: Path, damage: Callable[[Path], None], problem: str, advice: str
) -> None:
    """An altered pack, an unfinished copy and a wrong path ask for three different answers."""
    damage(pack)
    with pytest.raises(PackError) as caught:
        verify_pack(pack)
    assert caught.value.problem.startswith(problem.format(pack=pack))
    assert caught.value.advice == advice


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="example")
def test_file_where_a_folder_is_expected_is_named(tmp_path: Path) -> None:
    """The path of the manifest, given in place of its folder, is a likely slip."""
    path = tmp_path / "manifest.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(PackError) as caught:
        verify_pack(path)
    assert caught.value.problem == f"expected a folder, got {path}"
    assert caught.value.advice == "name the folder of a pack"


@pytest.mark.verifies("SRS_LOG_001", extent="partial", technique="example")
def test_altered_file_is_a_field_of_the_error(pack: Path) -> None:
    """The log can be searched for the file without reading sentences."""
    _altered(pack)
    with pytest.raises(HashMismatchError) as caught:
        verify_pack(pack)
    assert caught.value.context == {"file": "card.md"}
