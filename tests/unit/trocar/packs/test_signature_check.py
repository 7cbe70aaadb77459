"""One algorithm, one curve; everything else is no."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from simulators.trust import throwaway_key
from trocar.packs.signature_check import check_p256
from trocar_lab.signing.keys import new_file_key

MESSAGE = b"what was signed"


def _pem(key: PublicKeyTypes) -> bytes:
    """Return a public key in PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.verifies(
    "SRS_SIGN_001", "UNIT_PACKS_SIGNATURE_CHECK", extent="full", technique="requirement"
)
def test_own_signature_is_accepted_and_no_other() -> None:
    """Another key, another message, another signature: three ways to be wrong."""
    key, other = throwaway_key(), new_file_key()
    signature = key.sign(MESSAGE)
    assert check_p256(key.public_pem, signature, MESSAGE)
    assert not check_p256(other.public_pem, signature, MESSAGE)
    assert not check_p256(key.public_pem, signature, MESSAGE + b" ")
    assert not check_p256(key.public_pem, other.sign(MESSAGE), MESSAGE)


@pytest.mark.verifies("SRS_SIGN_001", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_001")
def test_each_flipped_bit_of_a_signature_is_refused() -> None:
    """DER or number: nothing that was changed passes, and nothing raises."""
    key = throwaway_key()
    signature = key.sign(MESSAGE)
    for bit in range(8 * len(signature)):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not check_p256(key.public_pem, bytes(changed), MESSAGE)
    for length in range(len(signature)):
        assert not check_p256(key.public_pem, signature[:length], MESSAGE)


@pytest.mark.verifies("SRS_SIGN_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "make",
    [
        lambda: _sign_ec(ec.SECP384R1(), hashes.SHA384()),
        lambda: _sign_ec(ec.SECP256K1(), hashes.SHA256()),
        lambda: _sign_ed25519(),  # noqa: PLW0108 - defined below
        lambda: _sign_rsa(),  # noqa: PLW0108 - defined below
        lambda: (b"no key", b"x"),
    ],
    ids=["P-384", "secp256k1", "Ed25519", "RSA", "junk"],
)
def test_valid_signature_of_another_kind_is_refused(
    make: Callable[[], tuple[bytes, bytes]],
) -> None:
    """Each of these checks under its own algorithm; here only one algorithm exists."""
    pem, signature = make()
    assert not check_p256(pem, signature, MESSAGE)


def _sign_ec(curve: ec.EllipticCurve, digest: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(curve)
    return _pem(key.public_key()), key.sign(MESSAGE, ec.ECDSA(digest))


def _sign_ed25519() -> tuple[bytes, bytes]:
    key = ed25519.Ed25519PrivateKey.generate()
    return _pem(key.public_key()), key.sign(MESSAGE)


def _sign_rsa() -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    return _pem(key.public_key()), key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
