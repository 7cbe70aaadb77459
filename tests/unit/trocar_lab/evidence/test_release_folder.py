"""Files of a release folder: bounded, strict, never a crash."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.selftest.demo_process import (
    WHEEL,
)
from trocar_lab.evidence.signed import release_folder
from trocar_lab.evidence.signed.dsse import (
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    Envelope,
    pae,
    read_envelope,
    verified_subjects,
)
from trocar_lab.evidence.signed.release_folder import (
    DRILL,
    ENVELOPE,
    MANIFEST,
    METADATA_BYTES_MAX,
    REBUILD,
    SBOM,
    read_release_folder,
    read_wheel,
)
from trocar_lab.evidence.signed.strict_json import JSON_BYTES_MAX, parse_json, read_bounded

SHA: Final = "a" * 64


# ---------------------------------------------------------------- strict JSON


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1, "a": 1}', "stands twice"),
        (b'[{"b": {"a": 1, "a": 2}}]', "stands twice"),
        (b'{"a": NaN}', "no JSON number"),
        (b'{"a": -Infinity}', "no JSON number"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"1" * 5000, "no JSON"),
        (b'["\\ud800"]', "surrogates"),
    ],
)
def test_json_that_means_two_things_or_none_is_refused(content: bytes, words: str) -> None:
    """Two readers of one file must not come to two results; the error names the file."""
    with pytest.raises(ReleaseError, match=words) as caught:
        parse_json(content, name="some.json")
    assert "some.json" in str(caught.value)


def test_file_above_the_bound_is_not_read(tmp_path: Path) -> None:
    """Both sides of the bound, and a file that is not there."""
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bounded(path, bytes_max=5) == b"12345"
    with pytest.raises(ReleaseError, match="larger than 4 bytes"):
        read_bounded(path, bytes_max=4)
    with pytest.raises(ReleaseError, match="cannot be read"):
        read_bounded(tmp_path / "absent")
    assert JSON_BYTES_MAX < 10**8


# ---------------------------------------------------------------- envelope


def test_pae_is_that_of_the_specification() -> None:
    """The example of the DSSE protocol; lengths count bytes, not characters."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected
    assert pae("ä", "ö".encode()) == b"DSSEv1 2 " + "ä".encode() + b" 2 " + "ö".encode()


def envelope_of(payload: bytes, key: Ed25519PrivateKey, kind: str = PAYLOAD_TYPE) -> Envelope:
    """Return an envelope with one signature."""
    signature = base64.b64encode(key.sign(pae(kind, payload))).decode()
    return Envelope(payload_type=kind, payload=payload, signatures=(signature,))


def statement(**changes: object) -> bytes:
    """Return a statement about one file, parts of it changed."""
    subject = {"name": "x", "digest": {"sha256": SHA}}
    value = {"_type": STATEMENT_TYPE, "subject": [subject], "predicateType": "p", "predicate": {}}
    return json.dumps(value | changes).encode()


def test_subjects_are_read_from_what_was_signed() -> None:
    """One good signature among foreign ones is enough; none is not."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    mine, theirs = envelope_of(statement(), key), envelope_of(statement(), other)
    both = mine.model_copy(update={"signatures": (*theirs.signatures, *mine.signatures)})
    assert verified_subjects(both, key.public_key()) == {"x": SHA}
    with pytest.raises(ReleaseError, match="no signature is by the key"):
        verified_subjects(theirs, key.public_key())


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (statement(_type="https://in-toto.io/Statement/v0.1"), "expected"),
        (statement(subject=[]), "no in-toto statement"),
        (statement(subject=[{"name": "x", "digest": {"sha1": SHA}}]), "no in-toto statement"),
        (statement(subject=[{"name": "x", "digest": {"sha256": SHA[1:]}}]), "no in-toto"),
        (statement(subject=[{"name": "x", "digest": {"sha256": SHA}}] * 2), "names a file twice"),
        (statement(predicateType=""), "no in-toto statement"),
        (b"[]", "no in-toto statement"),
        (b'{"_type": 1, "_type": 2}', "stands twice"),
    ],
)
def test_signed_text_that_is_no_statement_is_refused(payload: bytes, words: str) -> None:
    """A good signature over something else proves nothing about the files."""
    key = Ed25519PrivateKey.generate()
    with pytest.raises(ReleaseError, match=words):
        verified_subjects(envelope_of(payload, key), key.public_key())


def test_type_of_the_payload_is_part_of_what_is_signed() -> None:
    """A statement signed as another type counts nothing, nor does a type that was exchanged."""
    key = Ed25519PrivateKey.generate()
    other = envelope_of(statement(), key, kind="text/plain")
    with pytest.raises(ReleaseError, match="signs 'text/plain'"):
        verified_subjects(other, key.public_key())
    exchanged = other.model_copy(update={"payload_type": PAYLOAD_TYPE})
    with pytest.raises(ReleaseError, match="no signature"):
        verified_subjects(exchanged, key.public_key())


def test_both_alphabets_of_base64_are_read() -> None:
    """DSSE allows the standard and the URL-safe alphabet."""
    payload = bytes(range(248, 256)) * 3
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        row = {
            "payload": encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": "", "sig": encode(payload).decode()}],
        }
        found = read_envelope(json.dumps(row).encode(), name="x")
        assert found.payload == payload
        assert found.signatures == (base64.b64encode(payload).decode(),)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "a"},
        {"payload": "YQ==\n"},
        {"payload": None},
        {"signatures": []},
        {"signatures": [{"sig": ""}] * 101},
        {"signatures": [{}]},
        {"payloadType": 1},
    ],
)
def test_envelope_that_is_none_is_refused(change: dict[str, object]) -> None:
    """Each part is asked for."""
    sound = {"payload": "YQ==", "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": ""}]}
    assert read_envelope(json.dumps(sound).encode(), name="x").payload == b"a"
    with pytest.raises(ReleaseError, match="x is no DSSE envelope"):
        read_envelope(json.dumps(sound | change).encode(), name="x")


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
