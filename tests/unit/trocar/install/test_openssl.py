"""Signatures checked by the OpenSSL of the system, or by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from simulators.signing import public_pem, throwaway_key
from trocar.contracts.errors import InstallError
from trocar.contracts.limits import SIGNATURE_BYTES_MAX
from trocar.install.openssl import OPENSSL, OpenSSLCheck, check_p256
from trocar.install.programs import Ended, Program

MESSAGE = b"what was signed"
needs_openssl = pytest.mark.skipif(not OPENSSL.is_file(), reason=f"no OpenSSL at {OPENSSL}")


def _signature() -> bytes:
    """Return a signature of the message, of the longest kind: OpenSSL reads no further than it."""
    tried = (throwaway_key().sign(MESSAGE, ec.ECDSA(SHA256())) for _ in range(1000))
    return next(one for one in tried if len(one) == SIGNATURE_BYTES_MAX)


@needs_openssl
@pytest.mark.verifies("SRS_INST_001", extent="partial", technique="requirement")
def test_right_signature_is_accepted() -> None:
    """The real program says so."""
    assert check_p256(public_pem(throwaway_key()), _signature(), MESSAGE)


@needs_openssl
@pytest.mark.verifies("SRS_INST_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "fault", ["message", "key", "bit", "cut", "longer", "much longer", "empty", "no DER"]
)
def test_wrong_signature_is_refused(fault: str) -> None:
    """Whatever is wrong with it, the answer is no, and no exception."""
    key = throwaway_key(2) if fault == "key" else throwaway_key()
    signature = _signature()
    signatures = {
        "bit": bytes([*signature[:-1], signature[-1] ^ 1]),
        "cut": signature[:-1],
        "longer": signature + b"\0",
        "much longer": signature + b"\0" * 10,
        "empty": b"",
        "no DER": b"\xff" * 70,
    }
    message = MESSAGE + b"!" if fault == "message" else MESSAGE
    assert not check_p256(public_pem(key), signatures.get(fault, signature), message)


def test_no_openssl_is_an_error(tmp_path: Path) -> None:
    """Nothing is installed unchecked."""
    with pytest.raises(InstallError, match="expected OpenSSL at"):
        OpenSSLCheck(tmp_path / "openssl")(b"", b"", b"")


@pytest.mark.parametrize(
    "ended",
    [Ended(0, ""), Ended(0, "Verification failure"), Ended(1, "Verified OK"), Ended(-11, "")],
)
def test_answer_that_is_none_is_an_error(tmp_path: Path, ended: Ended) -> None:
    """Exit code and words have to agree; a program that crashes has not said no."""
    program = tmp_path / "openssl"
    program.touch()
    with pytest.raises(InstallError, match="gave no answer"):
        OpenSSLCheck(program, lambda _: ended)(b"", b"", b"")


def test_key_and_signature_do_not_stay_on_the_disk(tmp_path: Path) -> None:
    """They lie in a private folder while the program runs."""
    program, seen = tmp_path / "openssl", list[Path]()
    program.touch()

    def run(call: Program) -> Ended:
        seen.append(call.folder)
        assert call.folder.stat().st_mode & 0o777 == 0o700
        return Ended(0, "Verified OK\n")

    assert OpenSSLCheck(program, run)(b"key", b"signature", b"message")
    assert not seen[0].exists()
