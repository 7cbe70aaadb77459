"""The exported detector agrees with torch, and its mirror view changes left and right of boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trocar_lab.export.detector_export import CELLS_NAME, DeployedDetector, cell_difference_max
from trocar_lab.export.onnx_export import export_onnx
from trocar_lab.training.detection_network import ToolTipDetector

IMAGES = [np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8) for seed in (1, 2)]


def _network() -> ToolTipDetector:
    """Return a network with weights from a seed."""
    torch.manual_seed(3)
    return ToolTipDetector(2)


@pytest.mark.verifies("SRS_TOOL_027", extent="partial", technique="requirement")
@pytest.mark.parametrize("use_mirror", [False, True])
def test_onnx_and_torch_agree(*, use_mirror: bool) -> None:
    """Value by value, with weights stored in half precision."""
    module = DeployedDetector(_network(), use_mirror=use_mirror)
    model = export_onnx(
        module, height_px=64, width_px=96, use_half_storage=True, output_name=CELLS_NAME
    )
    assert cell_difference_max(module, model, IMAGES) < 0.01


def test_the_mirrored_picture_gives_the_mirrored_answer() -> None:
    """With both views the graph treats left and right alike, boxes included."""
    module = DeployedDetector(_network(), use_mirror=True)
    frame = torch.from_numpy(IMAGES[0][None])
    with torch.no_grad():
        straight, mirrored = module(frame), module(frame.flip(2)).flip(3)
    order = [0, 1, 4, 3, 2, 5]
    torch.testing.assert_close(straight, mirrored[:, order], rtol=0, atol=1e-5)


def test_another_model_is_seen() -> None:
    """A comparison that cannot fail would let any file pass."""
    module = DeployedDetector(_network())
    model = export_onnx(module, height_px=64, width_px=96, output_name=CELLS_NAME)
    torch.manual_seed(8)
    assert cell_difference_max(DeployedDetector(ToolTipDetector(2)), model, IMAGES) > 1e-4


def test_parity_over_no_picture_is_refused() -> None:
    """It would read as perfect agreement."""
    with pytest.raises(ValueError, match="at least one image"):
        cell_difference_max(DeployedDetector(_network()), b"", [])
