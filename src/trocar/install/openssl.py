"""Signatures checked by the OpenSSL of the system: no package has to be there before the first one.

The program is named by its full path and gets an empty environment: neither a file of that name on
``PATH`` nor ``OPENSSL_CONF`` has a say.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import SIGNATURE_BYTES_MAX, SIGNATURE_CHECK_MS_MAX
from trocar.install.programs import Program, Run, run_program

__all__ = ["OPENSSL", "OpenSSLCheck", "check_p256"]

OPENSSL: Final = Path("/usr/bin/openssl")
"""Where it lies on Debian, Ubuntu and Jetson Linux."""

_VERIFIED: Final = "Verified OK"
_NOT_VERIFIED: Final = 1


@dataclass(frozen=True)
class OpenSSLCheck:
    """A check of signatures.

    Attributes:
        program: Full path of OpenSSL.
        run: Starts programs.
    """

    program: Path = OPENSSL
    run: Run = run_program

    # @need-ids: SRS_INST_001, RCM_INST_001
    def __call__(self, pem: bytes, signature: bytes, message: bytes, /) -> bool:
        """Return whether a key made a signature of a message, ECDSA over P-256 with SHA-256.

        Raises:
            InstallError: There is no OpenSSL, or it gave no answer.
        """
        if not self.program.is_file():
            raise InstallError(
                f"expected OpenSSL at {self.program}, it is not there",
                advice="install the package openssl of the operating system",
            )
        if len(signature) > SIGNATURE_BYTES_MAX:
            # OpenSSL reads as much as a signature can have, and would not see what follows.
            return False
        with tempfile.TemporaryDirectory(prefix="trocar-signature-") as name:
            folder = Path(name)
            key_path, signature_path = folder / "key.pem", folder / "signature.der"
            key_path.write_bytes(pem)
            signature_path.write_bytes(signature)
            words = (
                *(str(self.program), "dgst", "-sha256", "-verify", str(key_path)),
                *("-signature", str(signature_path)),
            )
            ended = self.run(Program(words, folder, SIGNATURE_CHECK_MS_MAX, input=message))
        # Its exit code alone is not trusted: it must also say the words.
        said = ended.out.strip()
        if ended.code == 0 and said == _VERIFIED:
            return True
        if ended.code == _NOT_VERIFIED and said != _VERIFIED:
            return False
        raise InstallError(
            f"OpenSSL gave no answer on a signature (exit code {ended.code}): {ended.complaint}",
            advice="check the installation of openssl on this machine",
        )


def check_p256(pem: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether a key made a signature of a message, as the OpenSSL of the system says.

    Raises:
        InstallError: There is no OpenSSL, or it gave no answer.
    """
    return OpenSSLCheck()(pem, signature, message)
