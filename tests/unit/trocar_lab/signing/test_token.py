"""A token's key signs through the tool of OpenSC; here a script plays the tool."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from trocar.packs.signature_check import check_p256
from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.keys import new_file_key
from trocar_lab.signing.token import PIN_VARIABLE, TokenKey

URI = "pkcs11:token=My%20token;object=packs?module-path=/lib/token.so"
TOOL = '''#!{python}
"""Plays pkcs11-tool with a key in a file."""
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
folder, words = Path(__file__).parent, sys.argv[1:]
(folder / "words").write_text(repr(words))
if (folder / "broken").exists():
    print("error: " + (folder / "broken").read_text(), file=sys.stderr)
    sys.exit(1)
key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
given, taken = (Path(words[words.index(one) + 1]) for one in ("--input-file", "--output-file"))
if "--sign" in words:
    out = key.sign(given.read_bytes(), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
else:
    out = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
taken.write_bytes((folder / "answer").read_bytes() if (folder / "answer").exists() else out)
'''


@pytest.fixture
def token(tmp_path: Path) -> dict[str, str]:
    """Return variables under which the tool is found; its key lies beside it."""
    tool = tmp_path / "pkcs11-tool"
    tool.write_text(TOOL.format(python=sys.executable, path=sys.path), encoding="utf-8")
    tool.chmod(0o755)
    (tmp_path / "key.pem").write_bytes(new_file_key().private_pem())
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", PIN_VARIABLE: "1234"}


@pytest.mark.verifies("SRS_SIGN_009", extent="partial", technique="requirement")
def test_token_signs_and_its_pin_stands_on_no_command_line(
    token: dict[str, str], tmp_path: Path
) -> None:
    """Other users of a machine can read command lines."""
    key = TokenKey(URI, token)
    assert check_p256(key.public_pem, key.sign(b"message"), b"message")
    words = (tmp_path / "words").read_text(encoding="utf-8")
    assert "1234" not in words
    assert f"'env:{PIN_VARIABLE}'" in words
    assert "'--token-label', 'My token', '--label', 'packs'" in words


@pytest.mark.verifies("SRS_SIGN_009", extent="partial", technique="fault_injection")
def test_token_that_does_not_sign_is_an_error(token: dict[str, str], tmp_path: Path) -> None:
    """A failed tool, an answer that is no key, a signature that does not check."""
    key = TokenKey(URI, token)
    (tmp_path / "answer").write_bytes(key.sign(b"other"))
    with pytest.raises(SigningError, match="its own key does not check"):
        key.sign(b"message")
    # Not the signature again: two odd numbers in DER can be read as a key of RSA.
    (tmp_path / "answer").write_bytes(b"no key")
    with pytest.raises(SigningError, match="gave no public key for packs"):
        TokenKey(URI, token)
    (tmp_path / "broken").write_text("no such token", encoding="utf-8")
    with pytest.raises(SigningError, match="failed: error: no such token"):
        TokenKey(URI, token)


@pytest.mark.parametrize("curve", ["SECP384R1", "Ed25519"])
def test_key_of_another_kind_is_refused(token: dict[str, str], tmp_path: Path, curve: str) -> None:
    """Only one algorithm exists here."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    public = (
        ed25519.Ed25519PrivateKey.generate().public_key()
        if curve == "Ed25519"
        else ec.generate_private_key(ec.SECP384R1()).public_key()
    )
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "answer").write_bytes(der)
    with pytest.raises(SigningError, match="expected an ECDSA key over P-256 as packs"):
        TokenKey(URI, token)


@pytest.mark.parametrize(
    ("uri", "missing"),
    [
        ("pkcs11:token=a;object=b", "module-path"),
        ("pkcs11:token=;object=b?module-path=c", "token"),
        ("pkcs11:", "module-path, object, token"),
    ],
)
def test_uri_that_names_too_little_is_refused(
    token: dict[str, str], uri: str, missing: str
) -> None:
    """Nothing is guessed: another key may be in the slot today."""
    with pytest.raises(SigningError, match=f"expected {missing} in the URI"):
        TokenKey(uri, token)
