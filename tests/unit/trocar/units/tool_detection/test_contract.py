"""The detection unit accepts the pack that was made for it and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from simulators.packs import DETECTOR_LABELS, write_detector_pack
from trocar.contracts.errors import IncompatiblePackError
from trocar.contracts.manifest import ModelManifest, TensorDtype
from trocar.units.tool_detection.contract import ToolDetectionConfig


@pytest.fixture
def manifest(tmp_path: Path) -> ModelManifest:
    """Return the manifest of a pack for this unit."""
    return write_detector_pack(tmp_path / "pack").manifest


@pytest.mark.verifies("SRS_TOOL_003", extent="full", technique="requirement")
def test_classes_operating_point_and_size_come_from_the_pack(manifest: ModelManifest) -> None:
    """They were verified with the model and belong to it."""
    config = ToolDetectionConfig.from_manifest(manifest, frame_age_ms_max=100)
    assert config.labels == DETECTOR_LABELS
    assert config.score_shown_min == manifest.threshold.value
    assert (config.height_px, config.width_px) == (64, 96)
    assert config.frame_age_ms_max == 100


@pytest.mark.verifies("SRS_TOOL_003", "SRS_PACK_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("", {"unit": "polyp_segmentation"}),
        ("", {"labels": ()}),
        ("", {"labels": ("grasper", "hook", "clipper")}),
        ("input", {"dtype": TensorDtype.FLOAT32}),
        ("input", {"axes": ("batch", "channel", "height", "width")}),
        ("input", {"shape": (1, 64, 96, 4)}),
        ("input", {"shape": (1, 24, 36, 3)}),
        ("input", {"shape": (1, 1600, 2400, 3)}),
        ("output", {"dtype": TensorDtype.UINT8}),
        ("output", {"axes": ("batch", "class", "height", "width")}),
        ("output", {"axes": ("batch", "channel"), "shape": (1, 6)}),
        ("output", {"shape": (1, 7, 8, 12)}),
        ("output", {"shape": (1, 6, 12, 8)}),
        ("output", {"shape": (1, 6, 8, 24)}),
        ("output", {"shape": (1, 6, 1, 1)}),
        ("output", {"shape": (1, 6, 128, 192)}),
    ],
)
def test_pack_of_another_layout_is_refused(
    manifest: ModelManifest, part: str, changes: dict[str, object]
) -> None:
    """A map too many would shift every edge by one, and boxes would come out all the same."""
    if part:
        changes = {part: getattr(manifest, part).model_copy(update=changes)}
    with pytest.raises(IncompatiblePackError, match="expected a pack for tool_detection") as caught:
        ToolDetectionConfig.from_manifest(manifest.model_copy(update=changes), frame_age_ms_max=100)
    assert caught.value.advice == "name a pack of this unit"


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("age_ms", "is_valid"), [(0, False), (1, True), (60_000, True), (60_001, False)]
)
def test_age_limit_has_bounds(manifest: ModelManifest, age_ms: int, *, is_valid: bool) -> None:
    """An age limit of zero withholds everything, one of hours nothing."""
    if is_valid:
        ToolDetectionConfig.from_manifest(manifest, frame_age_ms_max=age_ms)
    else:
        with pytest.raises(ValidationError):
            ToolDetectionConfig.from_manifest(manifest, frame_age_ms_max=age_ms)
