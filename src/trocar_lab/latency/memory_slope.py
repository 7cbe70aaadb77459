"""How fast resident memory grows: a slope that a few odd samples cannot move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import theilslopes

from trocar.contracts.base import Contract
from trocar.contracts.errors import require
from trocar.contracts.limits import NS_PER_S
from trocar_lab.latency.telemetry import Telemetry

BLOCK_S: Final = 10
"""Samples of so many seconds become their median before the slope is taken [s]."""

BLOCK_COUNT_MIN: Final = 6
_MIB: Final = 2**20
_HOUR_S: Final = 3600
_CONFIDENCE: Final = 0.95


class MemorySlope(Contract):
    """Course of resident memory.

    Attributes:
        sample_count: Samples after the warm-up.
        block_count: Blocks of 10 s, each its median.
        mib_per_hour: Median of the slopes of all pairs of blocks (Theil and Sen) [MiB/h].
        lower_95: Lower end of its 95 % interval; nominal, because blocks are not independent.
        upper_95: Its upper end.
        first_mib: Median of the first tenth of the blocks [MiB].
        last_mib: Median of the last tenth [MiB].
        observed_max_mib: Largest sample [MiB].
    """

    sample_count: int
    block_count: int
    mib_per_hour: float
    lower_95: float
    upper_95: float
    first_mib: float
    last_mib: float
    observed_max_mib: float


def memory_slope(samples: Sequence[Telemetry], *, begin_ns: int) -> MemorySlope | None:
    """Return the slope of resident memory from a time on.

    Args:
        samples: In the order of time.
        begin_ns: End of the warm-up [ns].

    Returns:
        The slope; None where fewer than ``BLOCK_COUNT_MIN`` blocks have samples.

    Source:
        Sen, JASA 63 (1968) 1379-1389: median of pairwise slopes, interval from Kendall's tau.
    """
    require(begin_ns >= 0, "a warm-up that ends before the clock began")
    blocks: dict[int, list[float]] = {}
    for one in samples:
        if one.monotonic_ns >= begin_ns and one.rss_bytes is not None:
            block = (one.monotonic_ns - begin_ns) // (BLOCK_S * NS_PER_S)
            blocks.setdefault(block, []).append(one.rss_bytes / _MIB)
    if len(blocks) < BLOCK_COUNT_MIN:
        return None
    hours = np.array([block * BLOCK_S / _HOUR_S for block in blocks], dtype=np.float64)
    mib = np.array([np.median(values) for values in blocks.values()], dtype=np.float64)
    slope, _, lower, upper = theilslopes(mib, hours, _CONFIDENCE)
    tenth = max(1, len(mib) // 10)
    return MemorySlope(
        sample_count=sum(len(values) for values in blocks.values()),
        block_count=len(blocks),
        mib_per_hour=float(slope),
        lower_95=float(lower),
        upper_95=float(upper),
        first_mib=float(np.median(mib[:tenth])),
        last_mib=float(np.median(mib[-tenth:])),
        observed_max_mib=max(max(values) for values in blocks.values()),
    )
