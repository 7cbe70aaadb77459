"""Small valid contracts, to be changed one field at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.findings import Mask, PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.record import BackendInfo, FrameRecord, FrameTimes, UnitInfo

__all__ = [
    "make_backend_info",
    "make_frame",
    "make_mask",
    "make_pixels",
    "make_polyp_mask",
    "make_record",
    "make_times",
    "make_unit_info",
    "make_withheld",
]


def make_pixels(height_px: int = 48, width_px: int = 64, *, level: int = 128) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 of one level, with a ramp from left to right in the red channel."""
    pixels = np.full((height_px, width_px, 3), level, dtype=np.uint8)
    pixels[..., 0] = np.arange(width_px, dtype=np.int64) % 256
    return pixels


def make_frame(frame_index: int = 0, *, captured_at_ns: int = 1_000) -> Frame:
    """Return one admitted frame."""
    return Frame(
        pixels=make_pixels(),
        frame_index=frame_index,
        captured_at_ns=captured_at_ns,
        source_id="sample",
    )


def make_mask(height_px: int = 6, width_px: int = 8) -> Mask:
    """Return a mask with one filled corner."""
    prob = np.zeros((height_px, width_px), dtype=np.float32)
    prob[: height_px // 2, : width_px // 2] = 0.75
    return Mask(
        pixels=prob >= 0.5,
        prob=prob,
        prob_threshold=0.5,
        frame_height_px=48,
        frame_width_px=64,
        label="polyp",
    )


def make_polyp_mask(frame_index: int = 0) -> PolypMask:
    """Return a finding for one frame."""
    return PolypMask(frame_index=frame_index, mask=make_mask(), area_fraction=0.25, prob_max=0.75)


def make_withheld(frame_index: int = 0, reason: Reason = Reason.STALE_FRAME) -> Withheld:
    """Return the reason for no finding for one frame."""
    return Withheld(frame_index=frame_index, reason=reason)


def make_backend_info() -> BackendInfo:
    """Return what runs."""
    return BackendInfo(engine="none 1.0", provider="cpu", precision="fp32", thread_count=2)


def make_unit_info() -> UnitInfo:
    """Return provenance."""
    return UnitInfo(
        unit="polyp_segmentation",
        unit_version="0.1.0",
        pack_id="sample 1.0.0",
        pack_digest="0" * 64,
        backend=make_backend_info(),
    )


def make_times(captured_at_ns: int = 1_000) -> FrameTimes:
    """Return times of a frame that waited 2 us and was served in 3 us."""
    return FrameTimes(
        captured_at_ns=captured_at_ns,
        started_at_ns=captured_at_ns + 2_000,
        finished_at_ns=captured_at_ns + 5_000,
    )


def make_record(frame_index: int = 0, outcome: PolypMask | Withheld | None = None) -> FrameRecord:
    """Return the record of one frame; withheld as stale where no outcome is given."""
    return FrameRecord(
        frame_index=frame_index,
        source_id="sample",
        media_time_ns=None,
        outcome=outcome or make_withheld(frame_index),
        unit=make_unit_info(),
        times=make_times(),
        verdict=DeadlineVerdict.MET,
        dropped_before_count=0,
    )
