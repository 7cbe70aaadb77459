"""What a production release asks for: each reason by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.signing import throwaway_key, write_trust_folder
from trocar.statements.trust import KeyGrade
from trocar_lab.evidence.signed.release_statement import KEYS
from trocar_lab.release.assembly import Given
from trocar_lab.release.gate import TRUST, early_reasons, trust_reasons, verdict_reasons
from trocar_lab.release.release_signature import ReleaseKey
from trocar_lab.release.source_tree import Source
from trocar_lab.signing.keys import FileKey

KEY = ReleaseKey(FileKey(throwaway_key()), KeyGrade.RELEASE, "named")
SOUND = Source(commit="c" * 40, tag="v1.0.0", is_clean=True, committed_at=0)


@pytest.mark.verifies("SRS_REL_006", extent="partial", technique="equivalence")
def test_tag_tree_and_key_are_asked_for_before_the_build() -> None:
    """None, each alone, and all three at once."""
    assert early_reasons(SOUND, KEY) == []
    bare = Source(commit="c" * 40, tag="", is_clean=False, committed_at=0)
    reasons = early_reasons(bare, KEY._replace(grade=KeyGrade.DEVELOPMENT))
    assert [reason.split(";")[0].split(":")[0] for reason in reasons] == [
        "the commit has no tag v<version>",
        "the working tree has changes that are not committed",
        "the key is no release key",
    ]


@pytest.mark.verifies("SRS_REL_006", extent="full", technique="fault_injection")
def test_trust_folders_of_a_production_release_hold_release_keys_only(tmp_path: Path) -> None:
    """No folder, a development key, one beside a release key, a file that is no key."""
    for place in (TRUST, KEYS):
        assert f"{place} holds no release key" in trust_reasons(tmp_path)
        write_trust_folder(tmp_path / place)
    assert trust_reasons(tmp_path) == []
    write_trust_folder(tmp_path / TRUST, throwaway_key(2), grade="development")
    (reason,) = trust_reasons(tmp_path)
    assert reason.startswith(f"{TRUST} trusts development key ")
    (tmp_path / KEYS / "test_1.release.pem").write_text("x")
    assert len(trust_reasons(tmp_path)) == 2


@pytest.mark.verifies("SRS_REL_006", extent="partial", technique="fault_injection")
def test_verdict_of_the_trace_is_asked_for(tmp_path: Path) -> None:
    """Without evidence nothing is known; a trace that cannot be judged is not green."""
    for given in (Given(), Given(evidence=tmp_path), Given(needs=tmp_path)):
        assert "is not known" in verdict_reasons(tmp_path, tmp_path, tmp_path, given)[0]
    both = Given(evidence=tmp_path, needs=tmp_path / "needs.json")
    (reason,) = verdict_reasons(tmp_path, tmp_path, tmp_path / "x.whl", both)
    assert reason.startswith("the verdict with --release is not green (exit code 2): ")
