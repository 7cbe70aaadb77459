"""The detector as it is deployed: bytes in, cells in [0, 1] out, and how well the export agrees."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trocar_lab.export.onnx_export import INPUT_NAME

__all__ = ["CELLS_NAME", "DeployedDetector", "cell_difference_max"]

CELLS_NAME: Final = "cells"
"""Name of the output in the graph."""

_LEVEL_MAX: Final = 255.0


class DeployedDetector(nn.Module):
    """The network with input and output stages, as exported.

    Args:
        network: Maps (N, 3, H, W) float32 in [0, 1] to (N, classes + 4, h, w) logits.
        use_mirror: Average over the image and its mirror image, at twice the arithmetic.
    """

    def __init__(self, network: nn.Module, *, use_mirror: bool = False) -> None:
        """Wrap the network; it is put into evaluation mode."""
        super().__init__()
        self.network = network.eval()
        self._use_mirror = use_mirror

    def forward(self, frame: Tensor) -> Tensor:
        """Return (1, classes + 4, h, w) float32 in [0, 1] for (1, H, W, 3) uint8 RGB."""
        image = frame.to(torch.float32).permute(0, 3, 1, 2) * (1.0 / _LEVEL_MAX)
        cells = torch.sigmoid(self.network(image))
        if not self._use_mirror:
            return cells
        mirrored = torch.sigmoid(self.network(image.flip(3))).flip(3)
        scores, left, top, right, bottom = torch.split(
            mirrored, [mirrored.shape[1] - 4, 1, 1, 1, 1], dim=1
        )
        # Left and right of a box change places in the mirror.
        return (cells + torch.cat([scores, right, top, left, bottom], dim=1)) * 0.5


def cell_difference_max(
    module: DeployedDetector, model: bytes, images: Sequence[NDArray[np.uint8]]
) -> float:
    """Return the largest difference of one value between torch and ONNX Runtime.

    Args:
        module: What was exported.
        model: The ONNX file.
        images: (H, W, 3) uint8 RGB at the network's size; at least one.

    Raises:
        ValueError: No images.
    """
    if not images:
        raise ValueError("expected at least one image: parity over none proves nothing")
    # ONNX Runtime reports its use over the network unless this is set before the first import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415 - see the line before

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    difference = 0.0
    for image in images:
        with torch.no_grad():
            expected = module(torch.from_numpy(image[np.newaxis].copy())).numpy()
        got = np.asarray(session.run([CELLS_NAME], {INPUT_NAME: image[np.newaxis]})[0])
        difference = max(difference, float(np.abs(expected - got).max()))
    return difference
