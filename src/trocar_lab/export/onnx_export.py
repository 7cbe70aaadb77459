"""Export a segmentation network to ONNX and measure its parity with torch.

The graph takes the bytes of an RGB image, (1, H, W, 3) uint8, and gives probabilities, (1, 1, H, W)
float32: transposition, scaling and the sigmoid are part of the model, so no device can get them
wrong and the digest covers them.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trocar_lab.metrics.overlap import dice

INPUT_NAME: Final = "frame"
OUTPUT_NAME: Final = "prob"
_OPSET: Final = 17
_LEVEL_MAX: Final = 255.0
_HALF_SIZE_FROM: Final = 64


class DeployedSegmenter(nn.Module):
    """One network, or the mean of several, with input and output stages, as exported.

    Args:
        networks: Each maps (N, 3, H, W) float32 in [0, 1] to (N, 1, H, W) logits; at least one.
        use_mirror: Show the mirror image as well: to the same network where there is one, else to
            every second network, which costs no further arithmetic.

    Raises:
        ValueError: No network.

    Source:
        Huang et al. 2017, arXiv 1704.00109 (mean of networks from several cycles of one run).
    """

    def __init__(self, networks: Sequence[nn.Module], *, use_mirror: bool = False) -> None:
        """Wrap the networks; they are put into evaluation mode."""
        super().__init__()
        if not networks:
            raise ValueError("expected at least one network, got none")
        self.networks = nn.ModuleList([network.eval() for network in networks])
        self._views = [(index, use_mirror and index % 2 == 1) for index in range(len(networks))]
        if use_mirror and len(networks) == 1:
            self._views.append((0, True))

    def forward(self, frame: Tensor) -> Tensor:
        """Return (1, 1, H, W) float32 probabilities for (1, H, W, 3) uint8 RGB."""
        image = frame.to(torch.float32).permute(0, 3, 1, 2) * (1.0 / _LEVEL_MAX)
        probs = []
        for index, is_mirrored in self._views:
            view = image.flip(3) if is_mirrored else image
            prob = torch.sigmoid(self.networks[index](view))
            probs.append(prob.flip(3) if is_mirrored else prob)
        return sum(probs[1:], start=probs[0]) * (1.0 / len(probs))


def export_onnx(
    module: nn.Module,
    *,
    height_px: int,
    width_px: int,
    use_half_storage: bool = False,
    output_name: str = OUTPUT_NAME,
) -> bytes:
    """Return the ONNX file: fixed shapes, no external data, checked.

    Args:
        module: The network with its stages.
        height_px: Height of the input.
        width_px: Width of the input.
        use_half_storage: Store the weights in float16, half the bytes; the arithmetic stays that of
            the engine, which widens them when it loads the file.
        output_name: Name of the output in the graph.

    Returns:
        Bytes of the file.
    """
    example = torch.zeros((1, height_px, width_px, 3), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        with warnings.catch_warnings():
            # The newer exporter needs onnxscript, one more package for the same operators; parity
            # with torch is measured on what comes out, whichever exporter wrote it.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                module.eval(),
                (example,),
                path,
                input_names=[INPUT_NAME],
                output_names=[output_name],
                opset_version=_OPSET,
                dynamo=False,
                external_data=False,
            )
        model = onnx.load_model(path, load_external_data=False)
    if use_half_storage:
        _store_in_half(model.graph)
    model.producer_name, model.producer_version = "trocar", ""
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _store_in_half(graph: onnx.GraphProto) -> None:
    """Replace each float32 weight by a float16 one and a cast in front of its users."""
    casts = []
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if weight.data_type != onnx.TensorProto.FLOAT or values.size < _HALF_SIZE_FROM:
            continue
        name = weight.name
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        weight.CopyFrom(half)
        casts.append(onnx.helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


@dataclass(frozen=True)
class ExportParity:
    """Agreement of the exported model with torch over some images.

    Attributes:
        prob_difference_max: Largest absolute difference of one probability.
        dice_difference_max: Largest absolute difference of an image's Dice against its reference.
        mask_dice_min: Smallest Dice between the two masks of an image.
        image_count: Number of images.
    """

    prob_difference_max: float
    dice_difference_max: float
    mask_dice_min: float
    image_count: int


def measure_parity(
    module: DeployedSegmenter,
    model: bytes,
    images: Sequence[NDArray[np.uint8]],
    references: Sequence[NDArray[np.bool_]],
    *,
    prob_threshold: float,
) -> ExportParity:
    """Run both on the same images.

    Args:
        module: What was exported.
        model: The ONNX file.
        images: (H, W, 3) uint8 RGB at the network's resolution; at least one.
        references: (H, W) bool for each image.
        prob_threshold: Operating point.

    Returns:
        The agreement.

    Raises:
        ValueError: No images.
    """
    if not images:
        raise ValueError("expected at least one image: parity over none proves nothing")
    # ONNX Runtime reports its use over the network unless this is set before the first import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415 - see the line before

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    difference, dice_difference, agreement = 0.0, 0.0, 1.0
    for image, reference in zip(images, references, strict=True):
        with torch.no_grad():
            expected = module(torch.from_numpy(image[np.newaxis].copy())).numpy()[0, 0]
        got = np.asarray(session.run([OUTPUT_NAME], {INPUT_NAME: image[np.newaxis]})[0])[0, 0]
        masks = expected >= prob_threshold, got >= prob_threshold
        difference = max(difference, float(np.abs(expected - got).max()))
        dice_difference = max(
            dice_difference, abs(dice(masks[0], reference) - dice(masks[1], reference))
        )
        agreement = min(agreement, dice(*masks))
    return ExportParity(
        prob_difference_max=difference,
        dice_difference_max=dice_difference,
        mask_dice_min=agreement,
        image_count=len(images),
    )
