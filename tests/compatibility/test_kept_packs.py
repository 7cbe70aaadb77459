"""What was released once stays verifiable, to the digest that was recorded with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

import pytest

from simulators.trust import write_trust
from trocar.contracts.errors import SignatureError
from trocar.contracts.manifest import FORMAT_VERSIONS
from trocar.packs.verify import verify_pack

PACKS: Final = sorted((Path(__file__).parent / "packs").iterdir())
BYTES_MAX: Final = 50_000


@pytest.mark.verifies("SRS_SIGN_007", extent="full", technique="replay")
@pytest.mark.parametrize("form", ["tiny", "tiny.trocarpack"])
@pytest.mark.parametrize("kept", PACKS, ids=lambda path: path.name)
def test_kept_pack_verifies_to_its_recorded_digest(kept: Path, form: str, tmp_path: Path) -> None:
    """Folder and one file, with the public key that was kept; the list is of today."""
    record = json.loads((kept / "record.json").read_text(encoding="ascii"))
    trust = write_trust(tmp_path / "trust", {record["pack"]: record["digest"]})
    with pytest.raises(SignatureError):
        verify_pack(kept / form, trust)
    shutil.copy(kept / "maker.release.pem", trust / "maker.release.pem")
    pack = verify_pack(kept / form, trust)
    assert (pack.manifest.pack_id, pack.digest) == (record["pack"], record["digest"])


@pytest.mark.verifies("SRS_SIGN_007", extent="partial", technique="inspection")
def test_each_format_has_a_pack_and_all_stay_small() -> None:
    """A format without a kept pack could be lost unseen."""
    kept_formats = {int(path.name.partition("-")[0]) for path in PACKS}
    assert kept_formats == set(FORMAT_VERSIONS)
    for kept in PACKS:
        assert sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()) < BYTES_MAX
