"""A key on a token (smart card, HSM), used through OpenSC's ``pkcs11-tool``.

The private half never leaves the token. The URI (RFC 7512) names token and object; its query names
the library of the token (``module-path``); the PIN comes from the variable ``TROCAR_TOKEN_PIN`` and
stands on no command line.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trocar_lab.signing.errors import SigningError

PIN_VARIABLE: Final = "TROCAR_TOKEN_PIN"
"""Holds the PIN of the token."""

_TOOL: Final = "pkcs11-tool"
_TIMEOUT_S: Final = 60


class TokenKey:
    """An ECDSA key over P-256 on a token.

    Args:
        uri: Such as ``pkcs11:token=release;object=packs?module-path=/usr/lib/softhsm.so``.
        environment: Variables; the PIN is one of them.

    Raises:
        SigningError: The tool is missing, the URI names too little, or there is no such key.
    """

    # @need-ids: SRS_SIGN_009
    def __init__(self, uri: str, environment: Mapping[str, str]) -> None:
        tool = shutil.which(_TOOL, path=environment.get("PATH"))
        if tool is None:
            raise SigningError(f"{_TOOL} is not installed; it comes with OpenSC")
        named = _parts(uri)
        self._environment = dict(environment)
        self._words = [
            tool,
            *("--module", named["module-path"]),
            *("--token-label", named["token"]),
            *("--label", named["object"]),
        ]
        der = self._run("--read-object", "--type", "pubkey", stdin=b"")
        try:
            key = serialization.load_der_public_key(der)
        except ValueError as exc:
            raise SigningError(f"{_TOOL} gave no public key for {named['object']}") from exc
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise SigningError(f"expected an ECDSA key over P-256 as {named['object']}")
        self._public = key

    @property
    def public_pem(self) -> bytes:
        """Public half, SubjectPublicKeyInfo in PEM."""
        return self._public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature in DER, checked with the public half.

        Raises:
            SigningError: The token did not sign, or gave a signature that is not right.
        """
        signature = self._run(
            *("--login", "--pin", f"env:{PIN_VARIABLE}", "--sign", "--mechanism", "ECDSA"),
            *("--signature-format", "openssl"),
            stdin=hashlib.sha256(message).digest(),
        )
        try:
            self._public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as exc:
            raise SigningError(
                "the token gave a signature that its own key does not check"
            ) from exc
        return signature

    def _run(self, *words: str, stdin: bytes) -> bytes:
        """Run the tool on files of its own; return what it wrote."""
        with tempfile.TemporaryDirectory() as folder:
            given, taken = Path(folder) / "in", Path(folder) / "out"
            given.write_bytes(stdin)
            ended = subprocess.run(
                [*self._words, *words, "--input-file", str(given), "--output-file", str(taken)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
            if ended.returncode != 0 or not taken.is_file():
                problem = ended.stderr.decode(errors="replace").strip().split("\n")[-1]
                raise SigningError(f"{_TOOL} failed: {problem}")
            return taken.read_bytes()


def _parts(uri: str) -> dict[str, str]:
    """Return the parts of a URI that are needed."""
    path, _, query = uri.removeprefix("pkcs11:").partition("?")
    pairs = [part.partition("=") for part in [*path.split(";"), *query.split("&")]]
    found = {key: unquote(value) for key, separator, value in pairs if separator}
    missing = {"token", "object", "module-path"} - {key for key, value in found.items() if value}
    if missing:
        raise SigningError(f"expected {', '.join(sorted(missing))} in the URI of the token's key")
    return found
