"""The unit accepts the pack that was made for it and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from simulators.packs import write_tiny_pack
from trocar.contracts.errors import IncompatiblePackError
from trocar.contracts.manifest import ModelManifest, TensorDtype
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig


@pytest.fixture
def manifest(tmp_path: Path) -> ModelManifest:
    """Return the manifest of a pack for this unit."""
    return write_tiny_pack(tmp_path / "pack").manifest


@pytest.mark.verifies("SRS_POLYP_003", extent="full", technique="requirement")
def test_threshold_and_size_come_from_the_pack(manifest: ModelManifest) -> None:
    """The operating point was verified with the model and belongs to it."""
    config = PolypSegmentationConfig.from_manifest(manifest, frame_age_ms_max=100)
    assert config.prob_threshold == manifest.threshold.value
    assert (config.height_px, config.width_px) == manifest.input.shape[1:3]


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("", {"unit": "tool_detection"}),
        ("input", {"dtype": TensorDtype.FLOAT32}),
        ("input", {"axes": ("batch", "channel", "height", "width")}),
        ("input", {"shape": (2, 64, 64, 3)}),
        ("input", {"shape": (1, 64, 64, 4)}),
        ("output", {"dtype": TensorDtype.UINT8}),
        ("output", {"axes": ("batch", "height", "width", "class")}),
        ("output", {"shape": (1, 2, 64, 64)}),
        ("output", {"shape": (1, 1, 32, 64)}),
    ],
)
def test_pack_of_another_layout_is_refused(
    manifest: ModelManifest, part: str, changes: dict[str, object]
) -> None:
    """A tensor of another layout would be read as nonsense, not refused by arithmetic."""
    if part:
        changed = manifest.model_copy(
            update={part: getattr(manifest, part).model_copy(update=changes)}
        )
    else:
        changed = manifest.model_copy(update=changes)
    with pytest.raises(IncompatiblePackError, match="expected a pack for polyp_segmentation"):
        PolypSegmentationConfig.from_manifest(changed, frame_age_ms_max=100)


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("age_ms", "is_valid"), [(0, False), (1, True), (60_000, True), (60_001, False)]
)
def test_age_limit_has_bounds(manifest: ModelManifest, age_ms: int, *, is_valid: bool) -> None:
    """An age limit of zero withholds everything, one of hours nothing."""
    if is_valid:
        PolypSegmentationConfig.from_manifest(manifest, frame_age_ms_max=age_ms)
    else:
        with pytest.raises(ValidationError):
            PolypSegmentationConfig.from_manifest(manifest, frame_age_ms_max=age_ms)
