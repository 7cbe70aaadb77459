"""Networks of the toolchain.

One residual encoder-decoder for 2-D segmentation, small enough for an edge device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE: Final = 32
"""The encoder halves the image five times, so input sides must be multiples of this."""


class DeepNetwork(nn.Module, ABC):
    """A segmentation network with logits at several levels, for deep supervision."""

    @abstractmethod
    def forward_deep(self, image: Tensor) -> list[Tensor]:
        """Return the logits of every level, finest first; (N, C, h, w) each."""

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, C, H, W) logits of the finest level."""
        return self.forward_deep(image)[0]


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation, ReLU; foldable into one convolution at export."""

    def __init__(
        self, in_count: int, out_count: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        """Build the block; padding keeps the size for stride 1."""
        super().__init__(
            nn.Conv2d(
                in_count,
                out_count,
                kernel,
                stride=stride,
                padding=dilation * (kernel // 2),
                dilation=dilation,
                bias=False,
            ),
            nn.BatchNorm2d(out_count),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Basic residual block with squeeze-and-excitation.

    Source:
        He et al. 2016, arXiv 1512.03385, Fig. 2; Hu et al. 2018, arXiv 1709.01507, Fig. 2.
    """

    def __init__(self, in_count: int, out_count: int, *, stride: int = 1) -> None:
        """Build the block; a projection replaces the identity where the shape changes."""
        super().__init__()
        self.first = ConvNormAct(in_count, out_count, stride=stride)
        self.second = nn.Sequential(
            nn.Conv2d(out_count, out_count, 3, padding=1, bias=False), nn.BatchNorm2d(out_count)
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(out_count, out_count // 4, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_count // 4, out_count, 1),
            nn.Sigmoid(),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_count != out_count:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_count, out_count, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_count),
            )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H/stride, W/stride)."""
        out = self.second(self.first(features))
        return functional.relu(out * self.gate(out) + self.shortcut(features))


class ContextBlock(nn.Module):
    """Mix several receptive fields and the global mean at the coarsest level.

    Source:
        Chen et al. 2017, arXiv 1706.05587, Fig. 5 (atrous spatial pyramid pooling).
    """

    def __init__(self, count: int) -> None:
        """Build four branches of a quarter of the channels each, and the merge."""
        super().__init__()
        quarter = count // 4
        self.branches = nn.ModuleList([
            ConvNormAct(count, quarter, kernel=1),
            ConvNormAct(count, quarter, dilation=1),
            ConvNormAct(count, quarter, dilation=2),
            ConvNormAct(count, quarter, dilation=3),
        ])
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(count, count, 1))
        self.merge = ConvNormAct(quarter * 4, count, kernel=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> same shape."""
        local = self.merge(torch.cat([branch(features) for branch in self.branches], dim=1))
        return functional.relu(local + self.mean(features))


class UpBlock(nn.Module):
    """Upsample, concatenate the skip connection, convolve twice."""

    def __init__(self, in_count: int, skip_count: int, out_count: int) -> None:
        """Build a 1x1 reduction before the upsampling, which is what makes the decoder cheap."""
        super().__init__()
        self.reduce = nn.Conv2d(in_count, out_count, 1, bias=False)
        self.mix = ResidualBlock(out_count + skip_count, out_count)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """(N, C, h, w) and (N, S, 2h, 2w) -> (N, C', 2h, 2w)."""
        coarse = functional.interpolate(
            self.reduce(features), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        mixed: Tensor = self.mix(torch.cat([coarse, skip], dim=1))
        return mixed


class ResidualUNet(DeepNetwork):
    """Residual U-Net with a context block; logits at the input's resolution.

    The first level works at half resolution and the head at half resolution too: the mask's edge is
    interpolated once, which costs less than one pixel and saves about half the arithmetic.

    Args:
        widths: Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input side; each divisible by 4.
        out_count: Number of output channels (1 for a binary mask).
        dropout: Probability of dropping a channel before the heads, in [0, 1).

    Source:
        Ronneberger et al. 2015, arXiv 1505.04597 (skip connections), with the blocks named above.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (16, 48, 96, 112, 112),
        *,
        out_count: int = 1,
        dropout: float = 0.1,
    ) -> None:
        """Build the network; weights follow torch's defaults (He uniform)."""
        super().__init__()
        half, quarter, eighth, sixteenth, deepest = widths
        self.stem = ConvNormAct(3, half, stride=2)
        self.down_quarter = _stage(half, quarter, block_count=2)
        self.down_eighth = _stage(quarter, eighth, block_count=2)
        self.down_sixteenth = _stage(eighth, sixteenth, block_count=2)
        self.down_deepest = _stage(sixteenth, deepest, block_count=2)
        self.context = ContextBlock(deepest)
        self.up_sixteenth = UpBlock(deepest, sixteenth, 80)
        self.up_eighth = UpBlock(80, eighth, 64)
        self.up_quarter = UpBlock(64, quarter, 48)
        self.up_half = nn.Conv2d(48, 32, 1, bias=False)
        self.mix_half = nn.Sequential(ConvNormAct(32 + half, 32), ConvNormAct(32, 32))
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(32, out_count, 1)
        self.deep_heads = nn.ModuleList([
            nn.Conv2d(48, out_count, 1),
            nn.Conv2d(64, out_count, 1),
            nn.Conv2d(80, out_count, 1),
        ])

    def forward_deep(self, image: Tensor) -> list[Tensor]:
        """Return the logits of every level, finest first, for deep supervision.

        Args:
            image: (N, 3, H, W) float32, RGB scaled to [0, 1]; H and W multiples of ``STRIDE``.

        Returns:
            Logits at 1/1, 1/4, 1/8 and 1/16 of (H, W), each (N, out_count, h, w).
        """
        half = self.stem((image - 0.5) * 4.0)
        quarter = self.down_quarter(half)
        eighth = self.down_eighth(quarter)
        sixteenth = self.down_sixteenth(eighth)
        deepest = self.context(self.down_deepest(sixteenth))
        up_sixteenth = self.up_sixteenth(deepest, sixteenth)
        up_eighth = self.up_eighth(up_sixteenth, eighth)
        up_quarter = self.up_quarter(up_eighth, quarter)
        coarse = functional.interpolate(
            self.up_half(up_quarter), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        fine = self.mix_half(torch.cat([coarse, half], dim=1))
        logits = functional.interpolate(
            self.head(self.dropout(fine)), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        levels = [up_quarter, up_eighth, up_sixteenth]
        return [logits, *(head(level) for head, level in zip(self.deep_heads, levels, strict=True))]


def _stage(in_count: int, out_count: int, *, block_count: int) -> nn.Sequential:
    """Halve the size once, then refine."""
    blocks = [ResidualBlock(in_count, out_count, stride=2)]
    blocks += [ResidualBlock(out_count, out_count) for _ in range(block_count - 1)]
    return nn.Sequential(*blocks)


def parameter_count(network: nn.Module) -> int:
    """Return the number of trainable weights."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
