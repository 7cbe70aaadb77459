"""The scene of the committed clip, built once for all tests that only read it."""

from __future__ import annotations

import pytest

from trocar_lab.simulation.colon_scene import ColonoscopyScene


@pytest.fixture(scope="session", name="scene")
def _scene() -> ColonoscopyScene:
    """Return the scene of the committed clip; tests must not change its arrays."""
    return ColonoscopyScene.from_seed(14)
