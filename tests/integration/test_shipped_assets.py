"""What the documents say of the shipped pack and clip is true of the files that ship."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from trocar import __version__
from trocar.apps.endoscopy import DEMO_CLIP, SHIPPED_PACK
from trocar.apps.surgical_tools import SHIPPED_PACK as TOOL_PACK
from trocar.packs.verify import verify_pack

ROOT: Final = Path(__file__).resolve().parents[2]
MODEL_BYTES_MAX: Final = 8_000_000


def _digest_in_documents(need_id: str) -> str:
    """Return the digest that the architecture states for a model or a data set."""
    text = (ROOT / "docs" / "architecture" / "models.rst").read_text(encoding="utf-8")
    found = re.search(rf":id: {need_id}\n(?:   :.*\n)*?   :digest: sha256:([0-9a-f]{{64}})\n", text)
    assert found is not None, f"{need_id} has no digest"
    return found.group(1)


def _registered() -> dict[str, str]:
    """Return the digest of each data set that verification has registered."""
    table = tomllib.loads((ROOT / "verification" / "datasets.toml").read_text(encoding="utf-8"))
    return {entry["id"]: entry["sha256"] for entry in table["dataset"]}


@pytest.mark.verifies("SRS_PACK_005", "SRS_MAINT_001", extent="partial", technique="inspection")
def test_documented_model_is_the_one_that_ships() -> None:
    """A report about another model would prove nothing about this one."""
    pack = verify_pack(SHIPPED_PACK)
    assert _digest_in_documents("MDL_POLYP_SEGMENTATION") == pack.digest
    assert pack.manifest.model_need == "MDL_POLYP_SEGMENTATION"
    assert pack.manifest.pack_version == __version__


@pytest.mark.verifies("SRS_PACK_005", extent="partial", technique="inspection")
def test_card_names_data_split_interval_and_limits() -> None:
    """Whoever runs the model must be able to read for what it was measured, and for what not."""
    pack = verify_pack(SHIPPED_PACK)
    for word in ("Kvasir-SEG", "95 %", "Not for", "RESEARCH USE ONLY", "near-duplicate"):
        assert word in pack.card
    assert pack.manifest.trained_on[0].digest == _digest_in_documents("DATA_KVASIR_SEG")


@pytest.mark.verifies("SRS_POLYP_001", extent="partial", technique="inspection")
def test_model_keeps_the_size_of_the_edge_device() -> None:
    """At most 8 MB of weights."""
    assert len(verify_pack(SHIPPED_PACK).model) <= MODEL_BYTES_MAX


@pytest.mark.verifies("SRS_CLI_003", extent="partial", technique="inspection")
def test_documented_clip_is_the_one_that_ships() -> None:
    """The rendered clip in the wheel is the one that the protocols name."""
    found = hashlib.sha256(DEMO_CLIP.read_bytes()).hexdigest()
    assert _digest_in_documents("DATA_RENDERED_COLONOSCOPY") == found
    assert _registered()["DATA_RENDERED_COLONOSCOPY"] == found


@pytest.mark.verifies("SRS_PACK_005", extent="partial", technique="inspection")
def test_registered_data_are_the_documented_ones() -> None:
    """Programs compare the data with the register, people read the architecture: one digest."""
    registered = _registered()
    assert set(registered) == {
        "DATA_KVASIR_SEG",
        "DATA_RENDERED_COLONOSCOPY",
        "DATA_CHOLECT50_VAL",
        "DATA_RENDERED_LAPAROSCOPY",
    }
    assert registered == {need_id: _digest_in_documents(need_id) for need_id in registered}


@pytest.mark.verifies("SRS_TOOL_028", extent="partial", technique="inspection")
def test_the_detector_that_ships_is_the_documented_one_and_its_card_says_its_limits() -> None:
    """Whoever runs it must read on which operations it was measured, and that labels are weak."""
    pack = verify_pack(TOOL_PACK)
    assert _digest_in_documents("MDL_TOOL_DETECTION") == pack.digest
    assert pack.manifest.model_need == "MDL_TOOL_DETECTION"
    assert pack.manifest.pack_version == __version__
    assert pack.manifest.trained_on[0].digest == _digest_in_documents("DATA_CHOLECT50_VAL")
    assert len(pack.model) <= MODEL_BYTES_MAX
    words = ("VID68", "VID73", "VID74", "95 %", "Not for", "RESEARCH USE ONLY", "weak", "BY-NC-SA")
    for word in (*words, "Not for clinical use", *pack.manifest.labels):
        assert word in pack.card


@pytest.mark.verifies("SRS_TOOL_026", extent="partial", technique="inspection")
def test_the_laparoscopy_clip_that_ships_is_the_documented_one() -> None:
    """Rendered, below 1 MB, and the one that the register names."""
    clip = DEMO_CLIP.with_name("laparoscopy.mp4").read_bytes()
    found = hashlib.sha256(clip).hexdigest()
    assert _registered()["DATA_RENDERED_LAPAROSCOPY"] == found
    assert found in DEMO_CLIP.with_name("laparoscopy.md").read_text(encoding="utf-8")
    assert len(clip) < 1_000_000
