"""Cost of the frame contract: what it takes to check one 1080p frame, compared with its budget."""

from __future__ import annotations

import statistics
import sys
import timeit
from collections.abc import Callable
from typing import Final

import numpy as np

from trocar.contracts.findings import Mask, PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.record import BackendInfo, FrameRecord, FrameTimes, UnitInfo

CALLS: Final = 2_000
REPEATS: Final = 25
BUDGET_US: Final = 5.0
"""SRS_CONTRACT_003: median cost of the construction of a 1080p frame [us]."""


def measure_us(call: Callable[[], object]) -> tuple[float, float, float]:
    """Return (median, smallest, largest) time of one call over the repeats [us]."""
    timeit.timeit(call, number=CALLS)  # warm-up
    samples = [s / CALLS * 1e6 for s in timeit.repeat(call, number=CALLS, repeat=REPEATS)]
    return statistics.median(samples), min(samples), max(samples)


def cases() -> dict[str, Callable[[], object]]:
    """Return the measured constructions; the first one has the budget."""
    pixels = np.zeros((1080, 1920, 3), dtype=np.uint8)
    prob = np.zeros((256, 256), dtype=np.float32)
    mask = prob >= 0.5
    withheld = Withheld(frame_index=1, reason=Reason.STALE_FRAME)
    times = FrameTimes(captured_at_ns=1, started_at_ns=2, finished_at_ns=3)
    backend = BackendInfo(engine="none", provider="cpu", precision="fp32", thread_count=2)
    unit = UnitInfo(
        unit="polyp", unit_version="0", pack_id="p", pack_digest="0" * 64, backend=backend
    )

    def make_frame() -> Frame:
        return Frame(
            pixels=pixels, frame_index=1, captured_at_ns=1, source_id="bench", media_time_ns=1
        )

    def make_finding() -> PolypMask:
        held = Mask(
            pixels=mask,
            prob=prob,
            prob_threshold=0.5,
            frame_height_px=1080,
            frame_width_px=1920,
            label="polyp",
        )
        return PolypMask(frame_index=1, mask=held, area_fraction=0.0, prob_max=0.0)

    def make_record() -> FrameRecord:
        return FrameRecord(
            frame_index=1,
            source_id="bench",
            media_time_ns=1,
            outcome=withheld,
            unit=unit,
            times=times,
            verdict=DeadlineVerdict.MET,
            dropped_before_count=0,
        )

    return {
        "Frame 1080 x 1920": make_frame,
        "Mask + PolypMask 256 x 256": make_finding,
        "FrameRecord": make_record,
    }


def main() -> int:
    """Print the table; 0 when the first case is within its budget, else 1."""
    print(f"{'construction':28} {'median':>9} {'smallest':>9} {'largest':>9}   [us]")
    medians = []
    for name, call in cases().items():
        median, smallest, largest = measure_us(call)
        medians.append(median)
        print(f"{name:28} {median:9.2f} {smallest:9.2f} {largest:9.2f}")
    is_met = medians[0] <= BUDGET_US
    print(f"budget of the first: {BUDGET_US:.1f} us, {'met' if is_met else 'MISSED'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
