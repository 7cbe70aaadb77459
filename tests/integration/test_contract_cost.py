"""What the contract of a frame costs; the cost of a whole call is measured by ``benchmarks``."""

from __future__ import annotations

import statistics
import time
from typing import Final

import numpy as np
import pytest

from trocar.contracts.frame import Frame

FRAME_US_LIMIT: Final = 5.0


@pytest.mark.verifies("SRS_CONTRACT_003", extent="partial", technique="latency")
def test_frame_costs_microseconds() -> None:
    """Median of 2,000 frames after a warm-up: the pixels are not looked at, let alone copied."""
    pixels = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    times_us = []
    for _ in range(2_200):
        begin_ns = time.perf_counter_ns()
        Frame(pixels=pixels, frame_index=0, captured_at_ns=0, source_id="cost")
        times_us.append((time.perf_counter_ns() - begin_ns) / 1000)
    assert statistics.median(times_us[200:]) <= FRAME_US_LIMIT
