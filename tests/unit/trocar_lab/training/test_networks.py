"""The network keeps sizes, uses its whole input, and is small."""

from __future__ import annotations

import pytest
import torch

from trocar_lab.training.networks import STRIDE, ResidualUNet, parameter_count

WEIGHTS_MAX = 2_000_000


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    """At every level of the deep supervision the size is the stated fraction."""
    network = ResidualUNet().eval()
    with torch.no_grad():
        levels = network.forward_deep(torch.rand(2, 3, *size))
    for logits, fraction in zip(levels, (1, 4, 8, 16), strict=True):
        assert logits.shape == (2, 1, size[0] // fraction, size[1] // fraction)


def test_weights_fit_the_pack() -> None:
    """Eight megabytes in FP32 are two million weights."""
    assert parameter_count(ResidualUNet()) <= WEIGHTS_MAX


def test_every_weight_gets_a_gradient() -> None:
    """A part that is not connected would be dead weight."""
    network = ResidualUNet(dropout=0.0)
    levels = network.forward_deep(torch.rand(2, 3, STRIDE * 2, STRIDE * 2))
    torch.stack([level.mean() for level in levels]).sum().backward()  # type: ignore[no-untyped-call] # torch
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []
