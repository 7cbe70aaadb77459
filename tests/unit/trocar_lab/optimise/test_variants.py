"""Every structure that fits a model becomes a variant; the others are named with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulators.packs import tiny_model, write_tiny_pack
from simulators.twin_models import frames, twin_model
from trocar.contracts.manifest import PackPrecision
from trocar_lab.optimise.variants import HALF, float_variants, int8_variants, manifest_of


@pytest.mark.verifies("SRS_OPT_004", extent="full", technique="equivalence")
def test_twin_has_every_structure() -> None:
    """Each says whether it computes the same function."""
    found = float_variants(twin_model())
    same = {one.name: one.is_same_function for one in found.variants}
    assert same == {
        "original": True,
        "cleaned": True,
        "rewritten": True,
        HALF: True,
        "one_view": False,
        "averaged": False,
    }
    assert found.left_out == {}
    assert found.removed["Identity"] == 1


def test_views_that_share_weights_are_not_stored_twice() -> None:
    """Folding the mirror image would need a second copy of every weight."""
    found = float_variants(twin_model(shared=True))
    assert "both share theirs" in found.left_out["mirror image in the weights"]
    assert "expected two networks" in found.left_out["averaged networks"]
    assert "averaged" not in {one.name for one in found.variants}


def test_model_without_views_keeps_original_and_storage() -> None:
    """What does not fit is left out with its reason, not tried half."""
    found = float_variants(tiny_model())
    assert [one.name for one in found.variants] == ["original", "rewritten", HALF]
    assert set(found.left_out) == {
        "mirror image in the weights",
        "doubling by phases",
        "one view",
        "averaged networks",
        "doubling by phases, averaged",
    }


@pytest.mark.verifies("SRS_OPT_004", extent="full", technique="equivalence")
@pytest.mark.parametrize(("is_quick", "count"), [(True, 1), (False, 5)])
def test_each_way_of_choosing_ranges_is_a_variant(*, is_quick: bool, count: int) -> None:
    """The method stands in each."""
    base = float_variants(twin_model()).variants[2]
    found = int8_variants(base, list(frames(2)[:, np.newaxis]), is_quick=is_quick)
    assert len({one.name for one in found}) == len({one.method for one in found}) == count
    assert {one.precision for one in found} == {PackPrecision.INT8}
    assert {one.structure for one in found} == {"rewritten"}
    assert found[0].integer_layer_count > 0


def test_variant_opens_under_a_manifest_of_its_precision(tmp_path: Path) -> None:
    """Float keeps the pack's manifest; whole numbers need one of format 2."""
    manifest = write_tiny_pack(tmp_path / "pack").manifest
    base = float_variants(twin_model()).variants[2]
    assert manifest_of(manifest, base) is manifest
    (whole,) = int8_variants(base, list(frames(1)[:, np.newaxis]), is_quick=True)
    draft = manifest_of(manifest, whole)
    assert (draft.format_version, draft.precision) == (2, PackPrecision.INT8)
