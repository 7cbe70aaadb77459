"""A key on a token, SoftHSM here, through the real tool of OpenSC."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import write_trust
from trocar.packs.verify import verify_pack
from trocar_lab.signing.keys import KEY_VARIABLE, open_signing_key
from trocar_lab.signing.packs import sign_pack
from trocar_lab.signing.token import PIN_VARIABLE

PINS: Final = ("--so-pin", "1234", "--pin", "5678")
MODULE: Final = "/usr/lib/softhsm/libsofthsm2.so"
TOOLS: Final = ("softhsm2-util", "pkcs11-tool")

pytestmark = pytest.mark.skipif(
    not (Path(MODULE).exists() and all(shutil.which(tool) for tool in TOOLS)),
    reason="needs SoftHSM and OpenSC (Debian packages softhsm2 and opensc; tox -e supply)",
)


@pytest.mark.verifies("SRS_SIGN_009", extent="full", technique="requirement")
def test_pack_signed_by_a_token_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made on the token, never seen outside; the device cannot tell the difference."""
    (tmp_path / "tokens").mkdir()
    config = tmp_path / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n", encoding="ascii")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    monkeypatch.setenv(PIN_VARIABLE, "5678")
    for words in (
        ["softhsm2-util", "--init-token", "--free", "--label", "trocar", *PINS],
        [
            *f"pkcs11-tool --module {MODULE} --token-label trocar --login".split(),
            *f"--pin env:{PIN_VARIABLE} --keypairgen --key-type EC:prime256v1".split(),
            *("--label", "packs", "--id", "01"),
        ],
    ):
        subprocess.run(words, check=True, capture_output=True)
    uri = f"pkcs11:token=trocar;object=packs?module-path={MODULE}"
    key = open_signing_key({**os.environ, KEY_VARIABLE: uri})
    digest = write_tiny_pack(tmp_path / "pack").digest
    sign_pack(tmp_path / "pack", key)
    trust = write_trust(tmp_path / "trust", {"tiny 0.0.1": digest}, key=key)
    assert verify_pack(tmp_path / "pack", trust).digest == digest
