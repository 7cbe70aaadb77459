"""Files of a release folder: bounded, strict, never a crash."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.signing import signed, statement, throwaway_key, write_trust_folder
from trocar.statements.dsse import read_envelope
from trocar.statements.statement import APPROVED_PACKS_TYPE, RELEASE_TYPE
from trocar.statements.trust import TrustedKey
from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.selftest.demo_process import DEMO_PREDICATE, WHEEL
from trocar_lab.evidence.signed import release_folder
from trocar_lab.evidence.signed.release_folder import (
    DRILL,
    ENVELOPE,
    MANIFEST,
    METADATA_BYTES_MAX,
    REBUILD,
    SBOM,
    read_bounded,
    read_release_folder,
    read_wheel,
)
from trocar_lab.evidence.signed.release_statement import (
    read_release_keys,
    release_payload,
    signed_release,
)

SHA: Final = "a" * 64


# ---------------------------------------------------------------- what is signed


def test_file_above_the_bound_is_not_read(tmp_path: Path) -> None:
    """Both sides of the bound, and a file that is not there."""
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bounded(path, bytes_max=5) == b"12345"
    with pytest.raises(ReleaseError, match="larger than 4 bytes"):
        read_bounded(path, bytes_max=4)
    with pytest.raises(ReleaseError, match="cannot be read"):
        read_bounded(tmp_path / "absent")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[TrustedKey, ...]:
    """Return the keys of a trust folder with one release key."""
    return read_release_keys(write_trust_folder(tmp_path / "keys"))


def test_release_is_read_as_it_was_written(keys: tuple[TrustedKey, ...]) -> None:
    """Subjects and predicate survive; a minimum that is none is not written."""
    payload = release_payload({"b": SHA, "a": SHA}, DEMO_PREDICATE)
    assert b"minimum_sequence" not in payload
    found = signed_release(read_envelope(signed(payload), what="x"), keys)
    assert (found.subjects, found.predicate) == ({"a": SHA, "b": SHA}, DEMO_PREDICATE)
    assert found.key == keys[0]
    least = DEMO_PREDICATE.model_copy(update={"minimum_sequence": 2})
    again = signed_release(
        read_envelope(signed(release_payload({"a": SHA}, least)), what="x"), keys
    )
    assert again.predicate.minimum_sequence == 2


@pytest.mark.verifies("SRS_REL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "next"}, "version"),
        ({"sequence": 0}, "sequence"),
        ({"sequence": "3"}, "sequence"),
        ({"sequence": True}, "sequence"),
        ({"grade": "test"}, "grade"),
        ({"expires": "soon"}, "expires"),
        ({"commit": "HEAD"}, "commit"),
        ({"device": {"python": "3.11"}}, "device.platform"),
        ({"remark": "x"}, "remark"),
        ({"minimum_sequence": -1}, "minimum_sequence"),
    ],
)
def test_predicate_of_another_form_is_refused(
    keys: tuple[TrustedKey, ...], change: dict[str, object], words: str
) -> None:
    """A field that is missing, unknown or of another form: nobody knows what it would mean."""
    value = DEMO_PREDICATE.model_dump(mode="json", exclude_defaults=True) | change
    envelope = read_envelope(signed(statement({"a": SHA}, RELEASE_TYPE, value)), what="x")
    with pytest.raises(ReleaseError, match=words):
        signed_release(envelope, keys)


@pytest.mark.verifies("SRS_REL_005", extent="partial", technique="fault_injection")
def test_signature_of_another_key_or_kind_is_refused(keys: tuple[TrustedKey, ...]) -> None:
    """A foreign key, and the right key over a statement about packs."""
    value = DEMO_PREDICATE.model_dump(mode="json", exclude_defaults=True)
    foreign = signed(release_payload({"a": SHA}, DEMO_PREDICATE), throwaway_key(2))
    packs = signed(statement({"a": SHA}, APPROVED_PACKS_TYPE, value))
    for raw, words in ((foreign, "signed by a trusted key"), (packs, "another kind of statement")):
        with pytest.raises(ReleaseError, match=words):
            signed_release(read_envelope(raw, what="x"), keys)


_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_KEYS: Final = st.sampled_from([
    "payload",
    "payloadType",
    "signatures",
    "sig",
    "deliverables",
    "components",
    "bomFormat",
    "date",
])


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fuzz")
@given(
    st.binary(max_size=60)
    | st.dictionaries(_KEYS, _JSON, max_size=5).map(lambda value: json.dumps(value).encode())
)
def test_no_content_of_a_folder_is_a_crash(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever lies in a release folder becomes a value or a reason."""
    folder = tmp_path_factory.mktemp("release")
    names = (ENVELOPE, REBUILD, MANIFEST, DRILL, SBOM, WHEEL)
    for name in names:
        (folder / name).write_bytes(content)
    found = read_release_folder(folder)
    parts = (found.envelope, found.rebuild, found.manifest, found.drill, found.sbom)
    for part in (*parts, found.wheels[WHEEL]):
        assert (part.value is None) is bool(part.fault)


# ---------------------------------------------------------------- folder and wheel


def test_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A mistyped option must not look like a release without files."""
    with pytest.raises(ReleaseError, match="no release folder"):
        read_release_folder(tmp_path / "absent")


def wheel_at(path: Path, *entries: tuple[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a wheel with the given members."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in entries:
            archive.writestr(name, text)
    return path


METADATA: Final = "demo-1.0.0.dist-info/METADATA"


def test_wheel_says_its_version_twice(tmp_path: Path) -> None:
    """Name and METADATA are read apart; a build number in the name is not a version."""
    text = "Metadata-Version: 2.4\nName: demo\nVersion: 1.0.0\nRequires-Dist: a>=1\n\nVersion: 9\n"
    path = wheel_at(tmp_path / "demo-1.0.0-2-py3-none-any.whl", (METADATA, text))
    facts = read_wheel(path).value
    assert facts is not None
    assert (facts.version, facts.file_version, facts.requires) == ("1.0.0", "1.0.0", ("a>=1",))
    odd = read_wheel(wheel_at(tmp_path / "demo.whl", (METADATA, text))).value
    assert odd is not None
    assert odd.file_version == ""


def test_wheel_that_is_none_has_a_reason(tmp_path: Path) -> None:
    """No archive, no METADATA, two of them, too much of it, text that is none."""
    two = ("other-1.dist-info/METADATA", "")
    bomb = "Version: 1\n" + " " * METADATA_BYTES_MAX
    cases = (
        (wheel_at(tmp_path / "none.whl", ("x", "")), "holds 0 METADATA"),
        (wheel_at(tmp_path / "two.whl", (METADATA, ""), two), "holds 2 METADATA"),
        (wheel_at(tmp_path / "bomb.whl", (METADATA, bomb)), "larger than"),
        (wheel_at(tmp_path / "deep.whl", (f"a/{METADATA}", "")), "holds 0 METADATA"),
    )
    for path, words in cases:
        assert words in read_wheel(path).fault
    broken = tmp_path / "broken.whl"
    broken.write_bytes(cases[2][0].read_bytes()[:-30])
    assert "no wheel that can be read" in read_wheel(broken).fault
    crc = wheel_at(tmp_path / "crc.whl", (METADATA, "Version: 1"), method=zipfile.ZIP_STORED)
    crc.write_bytes(crc.read_bytes().replace(b"Version: 1", b"Version: 2"))
    assert "no wheel that can be read" in read_wheel(crc).fault

    sealed = wheel_at(tmp_path / "sealed.whl", (METADATA, "Version: 1"))
    content = bytearray(sealed.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1  # "encrypted", in both headers
    sealed.write_bytes(bytes(content))
    assert "packed in a way" in read_wheel(sealed).fault


def test_wheels_of_others_are_no_wheels_of_the_release(tmp_path: Path) -> None:
    """The wheelhouse lies a folder deeper; its versions are those of other packages."""
    (tmp_path / "wheelhouse").mkdir()
    text = "Metadata-Version: 2.4\nName: numpy\nVersion: 2.4.6\n\n"
    other = tmp_path / "wheelhouse" / "numpy-2.4.6-py3-none-any.whl"
    wheel_at(other, ("numpy-2.4.6.dist-info/METADATA", text))
    found = read_release_folder(tmp_path)
    assert set(found.files) == {"wheelhouse/numpy-2.4.6-py3-none-any.whl"}
    assert not found.wheels


def test_folder_with_too_many_files_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides of the bound."""
    for name in "ab":
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(release_folder, "FILES_MAX", 2)
    assert set(read_release_folder(tmp_path).files) == {"a", "b"}
    monkeypatch.setattr(release_folder, "FILES_MAX", 1)
    found = read_release_folder(tmp_path)
    assert not found.files
    assert "more than 1 files" in found.faults[0]
