"""What the contract of a frame costs; absolute times are measured by ``benchmarks``."""

from __future__ import annotations

import statistics
import time
from typing import Final

import numpy as np
import pytest

from trocar.contracts.frame import Frame

ROUND_COUNT: Final = 2_000
RATIO_MAX: Final = 2.0


@pytest.mark.verifies("SRS_CONTRACT_003", extent="partial", technique="latency")
def test_cost_of_a_frame_does_not_grow_with_its_pixels() -> None:
    """Two million pixels cost what a thousand cost: they are neither looked at nor copied."""
    sizes = {"small": (32, 32, 3), "large": (1080, 1920, 3)}
    pixels = {name: np.zeros(size, np.uint8) for name, size in sizes.items()}
    times_ns: dict[str, list[int]] = {name: [] for name in sizes}
    for _ in range(ROUND_COUNT):
        for name, array in pixels.items():
            begin_ns = time.perf_counter_ns()
            frame = Frame(pixels=array, frame_index=0, captured_at_ns=0, source_id="cost")
            times_ns[name].append(time.perf_counter_ns() - begin_ns)
            assert np.shares_memory(frame.pixels, array)
    medians = {name: statistics.median(found) for name, found in times_ns.items()}
    assert medians["large"] <= RATIO_MAX * medians["small"]
