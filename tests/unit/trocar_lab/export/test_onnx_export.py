"""The exported file computes what torch computes, and holds all of itself."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from trocar_lab.export.onnx_export import DeployedSegmenter, export_onnx, measure_parity
from trocar_lab.training.networks import ResidualUNet


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "mirror"])
def deployed(request: pytest.FixtureRequest) -> DeployedSegmenter:
    """Return an untrained network with its stages; weights from a seed."""
    torch.manual_seed(1)
    return DeployedSegmenter([ResidualUNet()], use_mirror=bool(request.param))


@pytest.mark.verifies("SRS_TRAIN_002", extent="full", technique="requirement")
def test_file_agrees_with_torch(deployed: DeployedSegmenter) -> None:
    """On noise, on extremes and on a gradient, at every pixel."""
    model = export_onnx(deployed, height_px=64, width_px=96)
    generator = np.random.default_rng(0)
    ramp = np.repeat(np.linspace(0, 255, 96, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(
        3, 2
    )
    images = [
        generator.integers(0, 256, (64, 96, 3), dtype=np.uint8),
        np.zeros((64, 96, 3), np.uint8),
        np.full((64, 96, 3), 255, np.uint8),
        ramp,
    ]
    references = [np.ones((64, 96), bool)] * len(images)
    parity = measure_parity(deployed, model, images, references, prob_threshold=0.5)
    assert parity.prob_difference_max < 1e-4
    assert parity.image_count == 4


@pytest.mark.verifies("SRS_TRAIN_002", extent="partial", technique="requirement")
def test_file_is_whole_and_fixed(deployed: DeployedSegmenter) -> None:
    """No external data, fixed shapes, plain operators, and the same bytes each time."""
    model = export_onnx(deployed, height_px=64, width_px=96)
    parsed = onnx.load_model_from_string(model)
    assert all(not tensor.external_data for tensor in parsed.graph.initializer)
    assert {node.domain for node in parsed.graph.node} == {""}
    shape = [size.dim_value for size in parsed.graph.input[0].type.tensor_type.shape.dim]
    assert shape == [1, 64, 96, 3]
    assert export_onnx(deployed, height_px=64, width_px=96) == model


def test_mirror_average_is_symmetric() -> None:
    """The answer for a mirror image is the mirrored answer."""
    torch.manual_seed(1)
    deployed = DeployedSegmenter([ResidualUNet()], use_mirror=True)
    frame = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(
            deployed(frame).flip(3), deployed(frame.flip(2)), atol=1e-5, rtol=0
        )


def test_parity_over_nothing_is_refused(deployed: DeployedSegmenter) -> None:
    """Agreement on no image proves nothing."""
    with pytest.raises(ValueError, match="at least one"):
        measure_parity(deployed, b"", [], [], prob_threshold=0.5)


@pytest.mark.verifies("SRS_TRAIN_002", extent="partial", technique="requirement")
def test_mean_of_networks_in_half_storage_agrees_with_torch() -> None:
    """Two networks, one on the mirror image, weights stored in half the bytes."""
    torch.manual_seed(2)
    deployed = DeployedSegmenter([ResidualUNet(), ResidualUNet()], use_mirror=True)
    whole = export_onnx(deployed, height_px=64, width_px=64)
    half = export_onnx(deployed, height_px=64, width_px=64, use_half_storage=True)
    assert len(half) < 0.55 * len(whole)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    parity = measure_parity(deployed, half, [image], [np.ones((64, 64), bool)], prob_threshold=0.5)
    assert parity.prob_difference_max < 0.01


def test_segmenter_without_a_network_is_refused() -> None:
    """The mean over nothing is no answer."""
    with pytest.raises(ValueError, match="at least one"):
        DeployedSegmenter([])
