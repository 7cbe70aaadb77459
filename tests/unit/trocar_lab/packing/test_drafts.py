"""A draft is looked at before anybody signs it; the signature is not its matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.packs import write_tiny_pack
from trocar.contracts.errors import HashMismatchError
from trocar_lab.packing.drafts import files_and_digests, read_draft


def test_signed_and_unsigned_draft_are_the_same_draft(tmp_path: Path) -> None:
    """Files and digest are those of the manifest, with a signature beside them or without."""
    pack = write_tiny_pack(tmp_path / "pack")
    signed = read_draft(tmp_path / "pack")
    (tmp_path / "pack" / "model.sig").unlink()
    assert read_draft(tmp_path / "pack") == signed
    assert (signed.digest, signed.content) == (pack.digest, pack.content)
    files, digests = files_and_digests(tmp_path / "pack")
    assert files.keys() == digests.keys() == {*pack.content, "manifest.json"}


def test_draft_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    """Nobody signs what does not agree with its manifest."""
    write_tiny_pack(tmp_path / "pack")
    (tmp_path / "pack" / "card.md").write_text("other", encoding="utf-8")
    with pytest.raises(HashMismatchError):
        read_draft(tmp_path / "pack")
