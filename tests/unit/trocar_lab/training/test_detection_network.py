"""The detector gives one cell for each 8 x 8 pixels and begins with an unsure mind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trocar_lab.training.detection_network import CELL_PX, ToolTipDetector, _set_prior


@pytest.mark.parametrize(("height", "width"), [(64, 96), (160, 288)])
def test_cells_cover_the_picture(height: int, width: int) -> None:
    """The device derives the size of a cell from the shapes; they must fit exactly."""
    network = ToolTipDetector(3).eval()
    with torch.no_grad():
        cells = network(torch.zeros(2, 3, height, width))
    assert cells.shape == (2, 3 + 4, height // CELL_PX, width // CELL_PX)


def test_an_untrained_network_marks_nothing() -> None:
    """Else the first steps would only unlearn a picture full of tools."""
    torch.manual_seed(0)
    network = ToolTipDetector(6).eval()
    with torch.no_grad():
        cells = torch.sigmoid(network(torch.rand(1, 3, 64, 96)))
    assert float(cells[:, :6].max()) < 0.05
    assert float((cells[:, 6:] - 0.12).abs().max()) < 0.05


def test_a_tip_at_the_rim_moves_no_far_cell_of_the_decoder_alone() -> None:
    """Each output depends on its surroundings: a change of the picture changes its cells most."""
    torch.manual_seed(1)
    network = ToolTipDetector(2).eval()
    image = torch.full((1, 3, 96, 160), 0.4)
    changed = image.clone()
    changed[:, :, 8:24, 8:24] = 1.0
    with torch.no_grad():
        difference = (network(changed) - network(image)).abs().sum(dim=1)[0]
    row, column = divmod(int(difference.argmax()), difference.shape[1])
    assert row <= 4
    assert column <= 4


def test_only_a_convolution_with_a_bias_can_hold_a_prior() -> None:
    """A head without a bias would silently begin at one half."""
    with pytest.raises(TypeError, match="ReLU"):
        _set_prior(nn.ReLU(), 0.1)
