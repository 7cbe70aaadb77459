"""Manifest and files agree in every point, or nothing of the pack is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from simulators.packs import write_tiny_pack
from trocar.contracts.errors import HashMismatchError, IncompatiblePackError, PackError
from trocar.contracts.limits import MANIFEST_BYTES_MAX
from trocar.packs.content import CheckedPack, check_content

RESTORE = "restore the pack from a release; do not use this copy"
FILES = ("model.onnx", "card.md", "reference_input.npy", "reference_output.npy")
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return the files of a sound pack."""
    folder = tmp_path_factory.mktemp("whole") / "pack"
    write_tiny_pack(folder)
    return {name: (folder / name).read_bytes() for name in (*FILES, "manifest.json")}


@pytest.fixture
def files(whole: Files) -> Files:
    """Return a copy of them, which a test may change."""
    return dict(whole)


def _check(files: Files) -> CheckedPack:
    """Check files with their true digests."""
    return check_content(
        files, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    )


def _edit(pack: Files, /, **changes: object) -> None:
    """Change top-level fields of the manifest."""
    parsed = json.loads(pack["manifest.json"])
    pack["manifest.json"] = json.dumps({**parsed, **changes}).encode()


@pytest.mark.verifies(
    "SRS_PACK_001", "UNIT_PACKS_CONTENT", extent="partial", technique="requirement"
)
@pytest.mark.controls("RCM_PACK_001")
def test_sound_content_is_handed_out(files: Files) -> None:
    """The digest is that of the manifest, which stands for the whole pack."""
    pack = _check(files)
    assert pack.content == {name: files[name] for name in FILES}
    assert pack.digest == hashlib.sha256(files["manifest.json"]).hexdigest()
    assert pack.model == files["model.onnx"]
    assert pack.card == "# Tiny\n"


@pytest.mark.verifies("SRS_PACK_001", extent="full", technique="fault_injection")
@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_refused(files: Files, name: str) -> None:
    """A single bit, anywhere in any file, must stop the pack."""
    original = files[name]
    positions = range(0, len(original), max(1, len(original) // 60))
    for position in positions:
        changed = bytearray(original)
        changed[position] ^= 1 << (position % 8)
        files[name] = bytes(changed)
        with pytest.raises(HashMismatchError, match=f"{name} differs from the manifest") as caught:
            _check(files)
        assert caught.value.context == {"file": name}
    assert len(positions) >= 7


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", FILES)
def test_truncated_or_longer_file_is_refused(files: Files, name: str) -> None:
    """Length is part of the identity."""
    original = files[name]
    for changed in (original[:-1], original + b"\0", b""):
        files[name] = changed
        with pytest.raises(HashMismatchError):
            _check(files)


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="boundary")
def test_size_is_compared_as_well(files: Files) -> None:
    """A manifest whose digest is right and whose size is not contradicts itself."""
    listed = json.loads(files["manifest.json"])["files"]
    listed[0]["size_bytes"] += 1
    _edit(files, files=listed)
    with pytest.raises(HashMismatchError):
        _check(files)


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="fault_injection")
def test_missing_and_unlisted_files_are_named(files: Files) -> None:
    """A pack holds exactly the files that it lists."""
    with pytest.raises(PackError, match=r"^extra\.bin is not listed in the manifest$"):
        _check({**files, "extra.bin": b"x"})
    del files["card.md"]
    with pytest.raises(PackError, match=r"^card\.md is missing from the pack$") as caught:
        _check(files)
    assert caught.value.advice == RESTORE


@pytest.mark.verifies("SRS_PACK_002", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        "\ufeff{}".encode(),
        b"\xff\xfe",
        b'{"format_version": 1, "format_version": 1}',
        b"[" * 100_000,
        b'{"a": ' + b"1" * 5000 + b"}",
        b"{" + b" " * (MANIFEST_BYTES_MAX - 2) + b"}",
    ],
    ids=["empty", "text", "mark", "no UTF-8", "twice", "deep", "long number", "spaces"],
)
def test_manifest_that_is_not_strict_json_is_refused(files: Files, raw: bytes) -> None:
    """Two readers must not be able to understand one manifest differently."""
    files["manifest.json"] = raw
    with pytest.raises(PackError):
        _check(files)


@pytest.mark.verifies("SRS_PACK_002", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 0},
        {"format_version": 999},
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
    files: Files, changes: dict[str, object]
) -> None:
    """A format, a field or a preprocessing that this device does not know is not guessed."""
    _edit(files, **changes)
    with pytest.raises(IncompatiblePackError) as caught:
        _check(files)
    assert "what to do" in caught.value.diagnostics()


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="equivalence")
def test_manifest_that_is_no_object_is_refused(files: Files) -> None:
    """A list is valid JSON and no manifest."""
    files["manifest.json"] = b"[]"
    with pytest.raises(IncompatiblePackError):
        _check(files)


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="equivalence")
def test_manifest_that_lists_a_file_twice_is_refused(files: Files) -> None:
    """Two digests for one name leave open which one counts."""
    parsed = json.loads(files["manifest.json"])
    _edit(files, files=[*parsed["files"], parsed["files"][0]])
    with pytest.raises(IncompatiblePackError, match="each file once") as caught:
        _check(files)
    assert caught.value.problem.startswith("the manifest breaks its contract at manifest: ")


@pytest.mark.verifies("SRS_PACK_002", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_PACK_001")
def test_sound_manifest_with_one_key_twice_is_refused(files: Files) -> None:
    """All else is right: one reader would take the first threshold, another one the second."""
    files["manifest.json"] = files["manifest.json"].replace(
        b'"threshold":', b'"threshold": {"value": 0.9}, "threshold":', 1
    )
    with pytest.raises(PackError, match="not strict JSON: a key is repeated among") as caught:
        _check(files)
    assert "'threshold'" in caught.value.problem


@pytest.mark.verifies("SRS_PACK_005", extent="partial", technique="fault_injection")
def test_card_that_nobody_can_read_is_refused(files: Files) -> None:
    """Bytes that are no text would end ``show`` in the middle."""
    card = b"# Tiny \xff\n"
    listed = json.loads(files["manifest.json"])["files"]
    for entry in listed:
        if entry["name"] == "card.md":
            entry.update(sha256=hashlib.sha256(card).hexdigest(), size_bytes=len(card))
    _edit(files, files=listed)
    with pytest.raises(PackError, match="the model card is not UTF-8 text"):
        _check({**files, "card.md": card})


def _of_another_format(files: Files) -> None:
    _edit(files, format_version=999)


def _other_threshold(files: Files) -> None:
    _edit(files, threshold={"value": 1.5, "chosen_by": "x"})


def _no_json(files: Files) -> None:
    files["manifest.json"] = b"not json"


def _altered(files: Files) -> None:
    files["card.md"] = b"# Tine\n"


@pytest.mark.verifies("SRS_PACK_001", "SRS_ERROR_001", extent="partial", technique="example")
@pytest.mark.controls("RCM_PACK_001")
@pytest.mark.parametrize(
    ("damage", "problem", "advice"),
    [
        (_no_json, "the manifest is not strict JSON: Expecting value", RESTORE),
        (
            _of_another_format,
            "expected manifest format 1",
            "use the release of Trocar that belongs to this pack",
        ),
        (_other_threshold, "the manifest breaks its contract at threshold.value: ", RESTORE),
        (_altered, "card.md differs from the manifest: expected sha256 ", RESTORE),
    ],
)
def test_refusal_names_what_is_wrong_and_what_to_do(
    files: Files, damage: Callable[[Files], None], problem: str, advice: str
) -> None:
    """An altered pack and one of another release ask for different answers."""
    damage(files)
    with pytest.raises(PackError) as caught:
        _check(files)
    assert caught.value.problem.startswith(problem)
    assert caught.value.advice == advice
