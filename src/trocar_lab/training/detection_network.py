"""A one-stage, anchor-free detector: one residual encoder, one short decoder, one grid of cells.

Each cell holds one score a class and one box. There are no anchors to tune and no second stage,
so the graph is one pass of convolutions, as small devices want it.

Source:
    Zhou et al. 2019, arXiv 1904.07850 (objects as points); Liu et al. 2020, arXiv 1909.00700
    (box regression over the whole Gaussian of an object, which needs fewer epochs).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

from trocar_lab.training.networks import ContextBlock, ConvNormAct, ResidualBlock, UpBlock

__all__ = ["CELL_PX", "DISTANCE_COUNT", "INPUT_STRIDE", "ToolTipDetector"]

CELL_PX: Final = 8
"""Side of a cell of the output in pixels of the input."""

INPUT_STRIDE: Final = 32
"""Sides of the input must be multiples of this."""

DISTANCE_COUNT: Final = 4
"""Distances of a cell's centre to the left, top, right and bottom edge of its box."""

_SCORE_PRIOR: Final = 0.01
_DISTANCE_PRIOR: Final = 0.12


class ToolTipDetector(nn.Module):
    """Scores and boxes for a grid of cells.

    Args:
        class_count: Number of classes.
        widths: Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input; each divisible by 4.
        dropout: Probability of dropping a channel before the heads, in [0, 1).
    """

    def __init__(
        self,
        class_count: int = 6,
        *,
        widths: tuple[int, int, int, int, int] = (16, 32, 80, 128, 160),
        dropout: float = 0.1,
    ) -> None:
        """Build the network; the heads begin at rare objects of middling size."""
        super().__init__()
        half, quarter, eighth, sixteenth, deepest = widths
        self.class_count = class_count
        self.stem = ConvNormAct(3, half, stride=2)
        self.down_quarter = _stage(half, quarter)
        self.down_eighth = _stage(quarter, eighth)
        self.down_sixteenth = _stage(eighth, sixteenth)
        self.down_deepest = _stage(sixteenth, deepest)
        self.context = ContextBlock(deepest)
        self.up_sixteenth = UpBlock(deepest, sixteenth, 128)
        self.up_eighth = UpBlock(128, eighth, 96)
        self.dropout = nn.Dropout2d(dropout)
        self.score_head = nn.Sequential(ConvNormAct(96, 96), nn.Conv2d(96, class_count, 1))
        self.distance_head = nn.Sequential(ConvNormAct(96, 96), nn.Conv2d(96, DISTANCE_COUNT, 1))
        _set_prior(self.score_head[-1], _SCORE_PRIOR)
        _set_prior(self.distance_head[-1], _DISTANCE_PRIOR)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of every cell.

        Args:
            image: (N, 3, H, W) float32, RGB scaled to [0, 1]; sides multiples of ``INPUT_STRIDE``.

        Returns:
            (N, class_count + 4, H / 8, W / 8): logits of the scores, then logits of the distances
            left, top, right, bottom as fractions of the input's width and height.
        """
        quarter = self.down_quarter(self.stem((image - 0.5) * 4.0))
        eighth = self.down_eighth(quarter)
        sixteenth = self.down_sixteenth(eighth)
        deepest = self.context(self.down_deepest(sixteenth))
        fine = self.dropout(self.up_eighth(self.up_sixteenth(deepest, sixteenth), eighth))
        return torch.cat([self.score_head(fine), self.distance_head(fine)], dim=1)


def _stage(in_count: int, out_count: int) -> nn.Sequential:
    """Halve the size once, then refine."""
    return nn.Sequential(
        ResidualBlock(in_count, out_count, stride=2), ResidualBlock(out_count, out_count)
    )


def _set_prior(head: nn.Module, prob: float) -> None:
    """Let a head say ``prob`` everywhere before it has learnt anything."""
    if not isinstance(head, nn.Conv2d) or head.bias is None:
        raise TypeError(f"expected a convolution with a bias, got {type(head).__name__}")
    nn.init.normal_(head.weight, std=0.01)
    nn.init.constant_(head.bias, math.log(prob / (1 - prob)))
