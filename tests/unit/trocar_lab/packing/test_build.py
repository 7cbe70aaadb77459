"""A pack that is written verifies, and one whose facts are wrong is not written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from simulators.packs import write_tiny_pack
from simulators.trust import trust_of
from trocar.packs.verify import verify_pack
from trocar_lab.packing.drafts import read_draft


def test_written_pack_verifies(tmp_path: Path) -> None:
    """Written, signed and approved, it is what the device opens."""
    pack = write_tiny_pack(tmp_path / "pack")
    assert verify_pack(tmp_path / "pack", trust_of(tmp_path / "pack")) == pack


def test_older_pack_is_replaced_whole(tmp_path: Path) -> None:
    """No file of an older pack stays behind."""
    write_tiny_pack(tmp_path / "pack")
    (tmp_path / "pack" / "stale.bin").write_bytes(b"x")
    write_tiny_pack(tmp_path / "pack", pack_version="0.0.2")
    assert not (tmp_path / "pack" / "stale.bin").exists()
    assert read_draft(tmp_path / "pack").manifest.pack_version == "0.0.2"


def test_wrong_fact_leaves_the_folder_alone(tmp_path: Path) -> None:
    """The manifest is validated before anything is written."""
    write_tiny_pack(tmp_path / "pack")
    with pytest.raises(ValidationError):
        write_tiny_pack(tmp_path / "pack", pack_version="one")
    assert read_draft(tmp_path / "pack").manifest.pack_version == "0.0.1"
