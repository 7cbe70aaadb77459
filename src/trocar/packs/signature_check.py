"""ECDSA over P-256 with SHA-256, by the one cryptographic library of the device."""

from __future__ import annotations

__all__ = ["check_p256"]


# @need-ids: SRS_SIGN_001
def check_p256(pem: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether a signature over a message is by the owner of a public key.

    Args:
        pem: Public key, ECDSA over P-256 in PEM; another kind of key checks nothing.
        signature: ECDSA signature in DER.
        message: What was signed.

    Returns:
        True where it is; False for any other key, signature or message.
    """
    # Imported here: commands that open no pack do not pay for it.
    from cryptography.exceptions import (  # noqa: PLC0415 - see above
        InvalidSignature,
        UnsupportedAlgorithm,
    )
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - see above

    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return False
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
