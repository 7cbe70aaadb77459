"""Rule F3: who signed a release folder, which release it is, and whether it was built twice."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulators.signing import public_pem, signed, throwaway_key
from simulators.trace_rules import judged, opened, red
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.selftest.demo_process import (
    DEMO_PREDICATE,
    RELEASE,
    RELEASE_KEY,
    WHEEL,
    sign_demo_release,
)
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.evidence.signed.release_folder import (
    AUDIT,
    DRILL,
    ENVELOPE,
    MANIFEST,
    REBUILD,
    SBOM,
    read_release_folder,
)
from trocar_lab.evidence.signed.release_numbers import FILE as NUMBERS
from trocar_lab.evidence.signed.release_statement import KEYS, ReleasePredicate

NAMES: Final = (WHEEL, SBOM, AUDIT, REBUILD, DRILL, MANIFEST)
SHA: Final = "a" * 64


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return the clean demo."""
    return seeded_project(CLEAN, tmp_path)


@pytest.fixture
def folder(project: Project) -> Path:
    """Return the release folder of the clean demo."""
    return project.root / RELEASE


def resigned(
    project: Project,
    *,
    names: tuple[str, ...] = NAMES,
    predicate: ReleasePredicate = DEMO_PREDICATE,
) -> Project:
    """Sign the folder as it lies there now with a new key that the repository holds."""
    key = throwaway_key()
    sign_demo_release(project.root, key, names=names, predicate=predicate)
    (project.root / RELEASE_KEY).write_bytes(public_pem(key))
    return project


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the value in a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_links_and_pipes_are_no_files_of_a_release(project: Project, folder: Path) -> None:
    """What a link shows may change after it was signed; a pipe would never end."""
    (folder / "link.txt").symlink_to(project.root / "pyproject.toml")
    os.mkfifo(folder / "pipe")
    (folder / "inner").mkdir()
    (folder / "inner" / "file.txt").write_text("x")
    rows = red(judged("F3", project))
    assert "link.txt is a link" in rows["release folder"]
    assert "pipe is a link or a device" in rows["release folder"]
    assert rows["inner/file.txt"] == "in the folder, but not signed"


# ---------------------------------------------------------------- F3


def test_release_that_does_not_exist_is_open(project: Project, folder: Path) -> None:
    """Nothing is red before there is a release; nothing passes either."""
    bare = replace(project, release_path=None)
    for rule_id in ("F3", "F6", "F8"):
        result = judged(rule_id, bare)
        assert (result.population, result.passed, len(result.open)) == (1, 0, 1), rule_id
    for name in (ENVELOPE, REBUILD):
        (folder / name).unlink()
    result = judged("F3", project)
    assert not result.failed
    assert {ENVELOPE, REBUILD} <= set(opened(result))


def test_without_the_public_key_nothing_is_verified(project: Project) -> None:
    """An envelope that nobody can check is open, and no file of it passes."""
    (project.root / RELEASE_KEY).unlink()
    (project.root / KEYS).rmdir()
    result = judged("F3", project)
    assert KEYS in opened(result)[ENVELOPE]
    assert SBOM not in red(result)


def test_key_that_is_none_is_red(project: Project) -> None:
    """A key of another kind, a text that is no key, and a folder without a key."""
    other = Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for content in (b"no key", b"\xff", pem):
        (project.root / RELEASE_KEY).write_bytes(content)
        assert "ECDSA over P-256" in red(judged("F3", project))[ENVELOPE]
    (project.root / RELEASE_KEY).unlink()
    assert "1 to 16 public keys" in red(judged("F3", project))[ENVELOPE]


@pytest.mark.verifies("SRS_REL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "1.0.1"}, "is of version 1.0.1, pyproject.toml says 1.0.0"),
        ({"sequence": 2}, "has sequence number 2, verification/release_numbers.toml says 3"),
        ({"sequence": 4}, "has sequence number 4, verification/release_numbers.toml says 3"),
        ({"expires": "2026-11-20"}, "expired on 2026-11-20"),
        ({"commit": "1" * 40}, "is of commit 111111111111, but v1.0.0 is 000000000000"),
    ],
)
def test_signed_release_is_the_one_of_the_repository(
    project: Project, change: dict[str, object], words: str
) -> None:
    """A good signature over another version, number, day or commit is red."""
    value = DEMO_PREDICATE.model_dump(mode="json") | change
    predicate = ReleasePredicate.model_validate(value)
    rows = red(judged("F3", resigned(project, predicate=predicate)))
    assert words in rows["signed release"]


@pytest.mark.verifies("SRS_REL_006", extent="partial", technique="equivalence")
def test_development_grade_and_key_are_no_release(project: Project) -> None:
    """Both are open rows, which stop a release and nothing else."""
    value = DEMO_PREDICATE.model_dump(mode="json") | {"grade": "development"}
    resigned(project, predicate=ReleasePredicate.model_validate(value))
    (project.root / RELEASE_KEY).rename(project.root / KEYS / "demo.development.pem")
    result = judged("F3", project)
    assert not result.failed
    assert opened(result) == {
        "signed release": "is of grade development",
        ENVELOPE: "is signed by a development key",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("[[release]]\nversion = 1\n", "cannot be read"),
        ('[[release]]\nversion = "1.0.0"\nsequence = 0\n', "cannot be read"),
        ('[[release]]\nversion = "1.0.0"\nsequence = true\n', "cannot be read"),
        (
            '[[release]]\nversion = "1.0.0"\nsequence = 3\n' * 2,
            "a version stands twice",
        ),
        (
            'minimum_sequence = 4\n[[release]]\nversion = "1.0.0"\nsequence = 3\n',
            "allows no release at all",
        ),
    ],
)
def test_file_of_sequence_numbers_must_be_in_order(project: Project, text: str, words: str) -> None:
    """What the numbers of releases rest on is a file that can be wrong."""
    (project.root / NUMBERS).write_text(text)
    assert words in red(judged("F3", project))[NUMBERS]
    (project.root / NUMBERS).unlink()
    assert "there is no" in red(judged("F3", project))[NUMBERS]


@pytest.mark.parametrize("payload", [b"{}", b"no json", b'{"a": 1, "a": 1}'])
def test_signature_over_something_else_counts_nothing(
    project: Project, folder: Path, payload: bytes
) -> None:
    """The right key over another text is no release."""
    resigned(project)
    (folder / ENVELOPE).write_bytes(signed(payload))
    assert set(red(judged("F3", project))) == {ENVELOPE}


@pytest.mark.verifies("SRS_TRACE_031", extent="partial", technique="fault_injection")
def test_signed_folder_is_compared_both_ways(project: Project, folder: Path) -> None:
    """A file too many, one too few, one changed: each is a row of its own."""
    (folder / "more.txt").write_text("x")
    (folder / DRILL).unlink()
    (folder / REBUILD).write_text((folder / REBUILD).read_text() + " ")
    rows = red(judged("F3", project))
    assert rows["more.txt"] == "in the folder, but not signed"
    assert rows[DRILL] == "signed, but not in the folder"
    assert rows[REBUILD] == "is not the file that was signed"
    assert WHEEL not in rows


@pytest.mark.verifies("SRS_TRACE_031", extent="full", technique="property")
def test_signature_covers_every_byte_of_the_payload(project: Project, folder: Path) -> None:
    """One bit of the signed text changed: the signature counts nothing."""
    value = json.loads((folder / ENVELOPE).read_text())
    payload = bytearray(base64.b64decode(value["payload"]))
    payload[len(payload) // 2] ^= 1
    value["payload"] = base64.b64encode(bytes(payload)).decode()
    (folder / ENVELOPE).write_text(json.dumps(value))
    assert "to be signed by a trusted key" in red(judged("F3", project))[ENVELOPE]


def test_no_name_in_a_statement_is_opened(project: Project, folder: Path) -> None:
    """A subject that leads out of the folder is a name that the folder does not hold."""
    (project.root / "outside.txt").write_text("x")
    resigned(project, names=(*NAMES, "../outside.txt"))
    rows = red(judged("F3", project))
    assert rows == {"../outside.txt": "signed, but not in the folder"}
    assert (folder / "../outside.txt").exists()


@pytest.mark.verifies("SRS_TRACE_031", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rebuilt_sha256": SHA}, "differs"),
        ({"sha256": SHA, "rebuilt_sha256": SHA}, "is about another"),
        ({"wheel": "other.whl"}, "not in the folder"),
        ({"wheel": f"../{RELEASE}/{WHEEL}"}, "not in the folder"),
        ({"tag": "v0.9.0"}, "not from v1.0.0"),
        ({"commit": "1" * 40}, "but v1.0.0 is 000000000000"),
        ({"commit": "HEAD"}, "commit"),
        ({"date": "2026-11-22"}, "in the future"),
        ({"date": "yesterday"}, "date"),
        ({"machine": ""}, "machine"),
        ({"remark": "x"}, "remark"),
    ],
)
def test_rebuild_must_be_of_this_wheel_and_tag(
    project: Project, folder: Path, change: dict[str, object], words: str
) -> None:
    """Each field of the record is compared with what it is about."""
    rewrite(folder / REBUILD, lambda value: value.update(change))
    rows = red(judged("F3", resigned(project)))
    assert set(rows) == {REBUILD}
    assert words in rows[REBUILD]


def test_wheel_of_the_evidence_is_the_wheel_of_the_release(project: Project, folder: Path) -> None:
    """Evidence about another wheel does not speak for the one that is delivered."""
    digests = {"same": read_release_folder(folder).files[WHEEL].sha256, "other": SHA}
    for name, digest in digests.items():
        proofs = project.proofs
        present = proofs.present.model_copy(update={"wheel_sha256": digest})
        changed = type(proofs)(tuple(proofs.cases.values()), project.runs, present=present)
        rows = red(judged("F3", replace(project, proofs=changed)))
        assert (WHEEL in rows) is (name == "other")
