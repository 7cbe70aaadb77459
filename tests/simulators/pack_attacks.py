"""Attacks on a signed pack, each as one change of its folder, its signature or its trust folder."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from simulators.packs import write_tiny_pack
from simulators.trust import sign_files, throwaway_key, trust_of, write_trust
from trocar.statements.dsse import pae
from trocar.statements.trust import APPROVED_PACKS_NAME
from trocar_lab.signing.keys import new_file_key
from trocar_lab.signing.packs import approved_text

SPARSE_BYTES = 20 * 2**30


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: What is done.
        apply: Does it to the folder of a sound pack.
        code: Code of the error by which the device refuses it.
        peer: Why OpenSSF model-signing accepts it, or is not asked; empty where it refuses it too.
    """

    name: str
    apply: Callable[[Path], object]
    code: str
    peer: str = ""


def _rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda pack: (pack / name).write_bytes(change((pack / name).read_bytes()))


def _flip(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


def _swap(pack: Path) -> None:
    first, second = pack / "reference_input.npy", pack / "reference_output.npy"
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def _link_for(name: str) -> Callable[[Path], object]:
    def apply(pack: Path) -> None:
        shutil.move(pack / name, pack.parent / name)
        (pack / name).symlink_to(pack.parent / name)

    return apply


def _pipe_for(name: str) -> Callable[[Path], object]:
    def apply(pack: Path) -> None:
        (pack / name).unlink(missing_ok=True)
        os.mkfifo(pack / name)

    return apply


def _extra(name: str) -> Callable[[Path], object]:
    def apply(pack: Path) -> None:
        (pack / name).parent.mkdir(exist_ok=True)
        (pack / name).write_bytes(b"x")

    return apply


def _sparse(pack: Path) -> None:
    with (pack / "giant.bin").open("wb") as stream:
        stream.truncate(SPARSE_BYTES)


def _edit_bundle(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(pack: Path) -> None:
        bundle = json.loads((pack / "model.sig").read_text(encoding="utf-8"))
        change(bundle)
        (pack / "model.sig").write_text(json.dumps(bundle), encoding="utf-8")

    return apply


def edit_statement(pack: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what was signed, and sign it again with the same key."""
    bundle = json.loads((pack / "model.sig").read_text(encoding="utf-8"))
    envelope = bundle["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    signature = throwaway_key().sign(pae(payload))
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    (pack / "model.sig").write_text(json.dumps(bundle), encoding="utf-8")


def _statement(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda pack: edit_statement(pack, change)


def _flip_in_envelope(field: str) -> Callable[[Path], object]:
    def change(bundle: dict[str, Any]) -> None:
        envelope = bundle["dsseEnvelope"]
        place = envelope if field == "payload" else envelope["signatures"][0]
        raw = bytearray(base64.b64decode(place[field]))
        raw[len(raw) // 2] ^= 1
        place[field] = base64.b64encode(bytes(raw)).decode()

    return _edit_bundle(change)


def _loose_base64(bundle: dict[str, Any]) -> None:
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = signature["sig"][:8] + "\n" + signature["sig"][8:]


def _ignore_an_extra_file(pack: Path) -> None:
    (pack / "extra.bin").write_bytes(b"x")
    edit_statement(
        pack,
        lambda one: one["predicate"]["serialization"]["ignore_paths"].append("extra.bin"),
    )


def _from_another_pack(*names: str, **changes: object) -> Callable[[Path], object]:
    """Take files of another pack that the same key signed; all of them where none is named."""

    def apply(pack: Path) -> None:
        other = pack.parent / "other"
        write_tiny_pack(other, **changes)
        for name in names or [path.name for path in other.iterdir()]:
            shutil.copy(other / name, pack / name)

    return apply


def _list(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda pack: _rewrite(APPROVED_PACKS_NAME, change)(trust_of(pack))


def _list_by_a_stranger(pack: Path) -> None:
    text = approved_text({"tiny 0.0.1": _digest(pack)}, new_file_key(), version="0.1.0")
    (trust_of(pack) / APPROVED_PACKS_NAME).write_text(text, encoding="ascii")


def _list_of_another_version(pack: Path) -> None:
    write_trust(trust_of(pack), {"tiny 0.0.1": _digest(pack)}, version="0.0.9")


def _digest(pack: Path) -> str:
    return hashlib.sha256((pack / "manifest.json").read_bytes()).hexdigest()


def _signature_as_list(pack: Path) -> None:
    envelope = json.loads((pack / "model.sig").read_text(encoding="utf-8"))["dsseEnvelope"]
    (trust_of(pack) / APPROVED_PACKS_NAME).write_text(json.dumps(envelope), encoding="ascii")


def _list_as_signature(pack: Path) -> None:
    envelope = json.loads((trust_of(pack) / APPROVED_PACKS_NAME).read_text(encoding="ascii"))
    _edit_bundle(lambda bundle: bundle.update(dsseEnvelope=envelope))(pack)


def _trust_key(make: Callable[[], PublicKeyTypes]) -> Callable[[Path], object]:
    def apply(pack: Path) -> None:
        pem = make().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (trust_of(pack) / "more.release.pem").write_bytes(pem)

    return apply


def _in_trust(change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda pack: change(trust_of(pack))


def _link_in_trust(trust: Path) -> None:
    shutil.move(trust / "key0.release.pem", trust.parent / "kept.pem")
    (trust / "key0.release.pem").symlink_to(trust.parent / "kept.pem")


def _without_keys(trust: Path) -> None:
    for path in trust.glob("*.pem"):
        path.unlink()


GIT = "it ignores what belongs to git unless both sides say otherwise; with that option it refuses"
NO_FOLDERS = "it lists files and sees no empty folder"
NOT_STRICT = "harmless to what it compares: it reads the first signature, and the last of two keys"
NO_NAME = "it compares contents and no name"
NO_LIST = "it has no list of approved packs: each pack that the key signed is sound"
HANGS = "not asked: it would wait for a writer"
SLOW = "not asked: it hashes all 20 GB first"
SIGNED_SO = "the signature itself says to ignore the file, and it obeys"

ON_FILES = (
    *(
        Attack(f"bit flipped in {name}", _rewrite(name, _flip), "PACK_HASH")
        for name in ("model.onnx", "card.md", "reference_input.npy", "manifest.json")
    ),
    Attack("truncated", _rewrite("model.onnx", lambda raw: raw[:-1]), "PACK_HASH"),
    Attack("emptied", _rewrite("model.onnx", lambda _: b""), "PACK_HASH"),
    Attack("longer", _rewrite("model.onnx", lambda raw: raw + b"\0"), "PACK_HASH"),
    Attack("missing", lambda pack: (pack / "card.md").unlink(), "PACK"),
    Attack("manifest missing", lambda pack: (pack / "manifest.json").unlink(), "PACK"),
    Attack("renamed", lambda pack: (pack / "card.md").rename(pack / "card2.md"), "PACK"),
    Attack("names swapped", _swap, "PACK_HASH"),
    Attack("extra file", _extra("extra.bin"), "PACK"),
    Attack("extra file in .git", _extra(".git/evil.bin"), "PACK", GIT),
    Attack("extra .gitattributes", _extra(".gitattributes"), "PACK", GIT),
    Attack("extra file in .github", _extra(".github/evil.bin"), "PACK", GIT),
    Attack("name in capitals", _extra("Model.onnx"), "PACK"),
    Attack("empty folder", lambda pack: (pack / "inner").mkdir(), "PACK", NO_FOLDERS),
    Attack("link for a file", _link_for("card.md"), "PACK"),
    Attack("extra link", lambda pack: (pack / "link").symlink_to("card.md"), "PACK"),
    Attack("link to a folder", lambda pack: (pack / "link").symlink_to("/etc"), "PACK"),
    Attack("pipe for a file", _pipe_for("card.md"), "PACK"),
    Attack("extra pipe", _pipe_for("pipe"), "PACK"),
    Attack("extra sparse file of 20 GB", _sparse, "PACK", SLOW),
)

ON_SIGNATURE = (
    Attack("no signature", lambda pack: (pack / "model.sig").unlink(), "SIGNATURE"),
    Attack("empty signature", _rewrite("model.sig", lambda _: b""), "SIGNATURE"),
    Attack("pipe for the signature", _pipe_for("model.sig"), "PACK", HANGS),
    Attack("link for the signature", _link_for("model.sig"), "PACK"),
    Attack("payload bit", _flip_in_envelope("payload"), "SIGNATURE"),
    Attack("signature bit", _flip_in_envelope("sig"), "SIGNATURE"),
    Attack("wrong key", lambda pack: sign_files(pack, key=new_file_key()), "SIGNATURE"),
    Attack(
        "forged key hint",
        _edit_bundle(lambda one: one["verificationMaterial"].update(publicKey={"hint": "0" * 64})),
        "SIGNATURE",
    ),
    Attack(
        "no key hint",
        _edit_bundle(lambda one: one["verificationMaterial"].update(publicKey={"hint": ""})),
        "SIGNATURE",
        "it warns of an older form",
    ),
    Attack(
        "signature of another pack by the same key",
        _from_another_pack("model.sig", pack_version="0.0.2", intended_use="other"),
        "PACK_HASH",
    ),
    Attack(
        "other valid pack in its place",
        _from_another_pack(pack_name="other_one", intended_use="other"),
        "SIGNATURE",
        NO_LIST,
    ),
    Attack("older valid pack", _from_another_pack(pack_version="0.0.0"), "SIGNATURE", NO_LIST),
    Attack(
        "other pack under the same name and version",
        _from_another_pack(intended_use="other"),
        "SIGNATURE",
        NO_LIST,
    ),
    Attack(
        "signed under another name",
        lambda pack: sign_files(pack, name="tiny-0.0.2"),
        "SIGNATURE",
        NO_NAME,
    ),
    Attack("signed to ignore a file", _ignore_an_extra_file, "SIGNATURE", SIGNED_SO),
    Attack(
        "signed as something else",
        _statement(lambda one: one.update(predicateType="urn:other")),
        "SIGNATURE",
    ),
    Attack(
        "signed with another root digest",
        _statement(lambda one: one["subject"][0]["digest"].update(sha256="0" * 64)),
        "SIGNATURE",
    ),
    Attack("list of approved packs as signature", _list_as_signature, "SIGNATURE"),
    Attack(
        "a key twice",
        _rewrite("model.sig", lambda raw: raw.replace(b"{", b'{"mediaType": "x",', 1)),
        "SIGNATURE",
        NOT_STRICT,
    ),
    Attack(
        "junk as second signature",
        _edit_bundle(lambda one: one["dsseEnvelope"]["signatures"].append({"sig": "AAAA"})),
        "SIGNATURE",
        NOT_STRICT,
    ),
    Attack(
        "padding of 50 MB",
        _rewrite("model.sig", lambda raw: raw + b" " * 50_000_000),
        "PACK",
        NOT_STRICT,
    ),
    Attack("base64 with a line end", _edit_bundle(_loose_base64), "SIGNATURE", NOT_STRICT),
    Attack("unknown field", _edit_bundle(lambda one: one.update(more=1)), "SIGNATURE"),
)

ON_TRUST = (
    Attack("no list", _in_trust(lambda t: (t / APPROVED_PACKS_NAME).unlink()), "SIGNATURE"),
    Attack("empty list", _list(lambda _: b""), "SIGNATURE"),
    Attack("list truncated", _list(lambda raw: raw[:-9]), "SIGNATURE"),
    Attack("list with a bit flipped", _list(_flip), "SIGNATURE"),
    Attack("list by a stranger", _list_by_a_stranger, "SIGNATURE"),
    Attack("list of another version", _list_of_another_version, "SIGNATURE"),
    Attack("signature of the pack as list", _signature_as_list, "SIGNATURE"),
    Attack(
        "link for the list",
        _in_trust(_link_for(APPROVED_PACKS_NAME)),
        "SIGNATURE",
    ),
    Attack("pipe for the list", _in_trust(_pipe_for(APPROVED_PACKS_NAME)), "SIGNATURE"),
    Attack("unapproved", lambda pack: write_trust(trust_of(pack), {"a 1": "0" * 64}), "SIGNATURE"),
    Attack(
        "key over P-384",
        _trust_key(lambda: ec.generate_private_key(ec.SECP384R1()).public_key()),
        "SIGNATURE",
    ),
    Attack(
        "Ed25519 key",
        _trust_key(lambda: ed25519.Ed25519PrivateKey.generate().public_key()),
        "SIGNATURE",
    ),
    Attack(
        "RSA key",
        _trust_key(lambda: rsa.generate_private_key(65537, 2048).public_key()),
        "SIGNATURE",
    ),
    Attack("link for a key", _in_trust(_link_in_trust), "SIGNATURE"),
    Attack("pipe for a key", _in_trust(_pipe_for("key0.release.pem")), "SIGNATURE"),
    Attack("stray file among the keys", _in_trust(_extra("notes.txt")), "SIGNATURE"),
    Attack("no key", _in_trust(_without_keys), "SIGNATURE"),
    Attack("no trust folder", _in_trust(shutil.rmtree), "SIGNATURE"),
)

ATTACKS = (*ON_FILES, *ON_SIGNATURE, *ON_TRUST)
"""Every attack that has to be refused."""
