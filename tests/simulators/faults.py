"""A seeded world in which everything goes wrong: source, clock and engine, one fault after another.

Every frame carries a bright square at a place of its own, and the engine marks what is bright: so
each mask can be compared with the very frame that it is said to belong to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.backend import MemoryBackend
from simulators.clock import FakeClock
from simulators.source import noise_pixels
from trocar.contracts.errors import InferenceError
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import FROZEN_AFTER_MS_DEFAULT, NS_PER_MS
from trocar.contracts.outcome import Reason
from trocar.streaming.pacing import UndecodableFrame
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter

__all__ = ["AGE_MS_MAX", "Fault", "FaultyWorld", "Planned"]

HEIGHT_PX: Final = 64
WIDTH_PX: Final = 96
PERIOD_NS: Final = 40 * NS_PER_MS
AGE_MS_MAX: Final = 100
_CELL_PX: Final = 16
_FROZEN_COUNT: Final = FROZEN_AFTER_MS_DEFAULT * NS_PER_MS // PERIOD_NS + 4


class Fault(StrEnum):
    """What can go wrong with one frame, or with a row of them."""

    NONE = "none"
    BLACK = "black"
    SATURATED = "saturated"
    FROZEN = "frozen"
    LOST = "lost"
    DUPLICATED = "duplicated"
    OUT_OF_ORDER = "out_of_order"
    LATE = "late"
    FROM_THE_FUTURE = "from_the_future"
    NOT_FINITE = "not_finite"
    WRONG_DTYPE = "wrong_dtype"
    WRONG_SHAPE = "wrong_shape"
    WRONG_CHANNELS = "wrong_channels"
    OTHER_SIZE = "other_size"
    UNDECODABLE = "undecodable"
    WRONG_CHECKSUM = "wrong_checksum"
    ENGINE_FAILS = "engine_fails"
    ENGINE_NOT_FINITE = "engine_not_finite"
    ENGINE_OUT_OF_RANGE = "engine_out_of_range"


@dataclass(frozen=True, slots=True)
class Planned:
    """One frame as the world delivers it, and what must become of it.

    Attributes:
        fault: What is wrong with it.
        raw: The frame.
        reason: Why it must be withheld; None where a finding must come.
        arrives_at_ns: Monotonic time of its arrival [ns].
        shows_index: The frame whose picture it shows: another one's while the source is frozen.
    """

    fault: Fault
    raw: RawFrame
    reason: Reason | None
    arrives_at_ns: int
    shows_index: int


class FaultyWorld:
    """Frames, clock and engine of one seed.

    Args:
        seed: The same seed gives the same world.
        event_count: Faults, or rows of frames without one, one after the other.
    """

    def __init__(self, seed: int, *, event_count: int = 24) -> None:
        self._generator = np.random.default_rng(seed)
        self._index = 0
        self._now_ns = 1_000_000_000
        self.planned: list[Planned] = []
        self.lost_indices: list[int] = []
        self._plan_sound(2)
        for number in self._generator.permutation(event_count):
            self._plan(list(Fault)[int(number) % len(Fault)])
            self._plan_sound(1)
        self.clock = FakeClock(0)
        asked = [one for one in self.planned if one.reason in {None, *_ENGINE_REASONS.values()}]
        self._engine_faults = {number: one.fault for number, one in enumerate(asked)}
        failure = InferenceError("planted", advice="none")
        self.backend = MemoryBackend(
            self._answer,
            faults={
                number: failure
                for number, fault in self._engine_faults.items()
                if fault is Fault.ENGINE_FAILS
            },
        )

    def unit(self) -> PolypSegmenter:
        """Return the real unit on the engine of this world."""
        config = PolypSegmentationConfig(
            prob_threshold=0.5,
            height_px=HEIGHT_PX,
            width_px=WIDTH_PX,
            frame_age_ms_max=AGE_MS_MAX,
        )
        return PolypSegmenter(config, self.backend, pack_id="faulty 1.0.0", pack_digest="ab" * 32)

    def items(self) -> list[RawFrame | Callable[[], object]]:
        """Return what the source delivers: before each frame, time moves on to its arrival."""
        items: list[RawFrame | Callable[[], object]] = []
        for one in self.planned:
            items += [self._move_to(one.arrives_at_ns), one.raw]
        return items

    def place_of(self, frame_index: int) -> tuple[int, int]:
        """Return row and column of the middle of a frame's square."""
        columns = WIDTH_PX // _CELL_PX
        cell = frame_index % (columns * (HEIGHT_PX // _CELL_PX))
        return (
            cell // columns * _CELL_PX + _CELL_PX // 2,
            cell % columns * _CELL_PX + _CELL_PX // 2,
        )

    def _move_to(self, time_ns: int) -> Callable[[], object]:
        """Return what moves the clock to a time."""
        return lambda: self.clock.advance_ns(max(0, time_ns - self.clock.now_ns()))

    def _plan(self, fault: Fault) -> None:
        """Add one fault."""
        match fault:
            case Fault.NONE:
                self._plan_sound(3)
            case Fault.LOST:
                self.lost_indices.append(self._index)
                self._index += 1
                self._now_ns += PERIOD_NS
            case Fault.FROZEN:
                self._plan_frozen()
            case Fault.DUPLICATED:
                self._add(fault, self._pixels(), Reason.FRAME_OUT_OF_ORDER, index=self._index - 1)
            case Fault.OUT_OF_ORDER:
                self._plan_out_of_order()
            case Fault.ENGINE_FAILS | Fault.ENGINE_NOT_FINITE | Fault.ENGINE_OUT_OF_RANGE:
                self._add(fault, self._pixels(), _ENGINE_REASONS[fault])
            case Fault.UNDECODABLE | Fault.WRONG_CHECKSUM:
                self._plan_undecodable(fault)
            case Fault.LATE:
                self._add(fault, self._pixels(), Reason.STALE_FRAME, delay_ns=101 * NS_PER_MS)
            case Fault.FROM_THE_FUTURE:
                self._add(fault, self._pixels(), Reason.CLOCK_BACKWARDS, delay_ns=-1)
            case _:
                self._add(fault, _broken(fault, self._pixels()), _PIXEL_REASONS[fault])

    def _plan_sound(self, count: int) -> None:
        """Add frames with nothing wrong."""
        for _ in range(count):
            self._add(Fault.NONE, self._pixels(), None)

    def _plan_frozen(self) -> None:
        """Add one picture again and again until it counts as frozen."""
        pixels = self._pixels()
        first_ns = self._now_ns
        shown = self._index
        for _ in range(_FROZEN_COUNT):
            is_frozen = self._now_ns - first_ns > FROZEN_AFTER_MS_DEFAULT * NS_PER_MS
            reason = Reason.FRAME_FROZEN if is_frozen else None
            self._add(Fault.FROZEN, pixels, reason, shows=shown)

    def _plan_out_of_order(self) -> None:
        """Add two frames the wrong way round: the later one is answered, the earlier one not."""
        earlier_index, earlier_ns = self._index, self._now_ns
        earlier = self._pixels()
        self._index += 1
        self._now_ns += PERIOD_NS
        self._add(Fault.NONE, self._pixels(), None)
        raw = _raw(earlier, earlier_index, earlier_ns)
        reason = Reason.FRAME_OUT_OF_ORDER
        self._deliver(Planned(Fault.OUT_OF_ORDER, raw, reason, self._now_ns, earlier_index))

    def _plan_undecodable(self, fault: Fault) -> None:
        """Add a frame without pixels, as decoders and the network deliver it."""
        is_corrupt = fault is Fault.WRONG_CHECKSUM
        reason = Reason.FRAME_CORRUPT if is_corrupt else Reason.FRAME_UNDECODABLE
        raw = UndecodableFrame(
            pixels=np.empty((0, 0, 3), np.uint8),
            frame_index=self._index,
            captured_at_ns=self._now_ns,
            media_time_ns=None,
            source_id="faulty",
            problem="planted",
            reason=reason,
        )
        self._deliver(Planned(fault, raw, reason, self._now_ns, self._index))
        self._index += 1
        self._now_ns += PERIOD_NS

    def _deliver(self, planned: Planned) -> None:
        """Add one frame to what the source delivers."""
        self.planned.append(planned)

    def _add(
        self,
        fault: Fault,
        pixels: NDArray[Any],
        reason: Reason | None,
        *,
        index: int | None = None,
        shows: int | None = None,
        delay_ns: int = NS_PER_MS,
    ) -> None:
        """Add one frame that arrives ``delay_ns`` after it was acquired."""
        chosen = self._index if index is None else index
        raw = _raw(pixels, chosen, self._now_ns)
        shown = self._index if shows is None else shows
        self._deliver(Planned(fault, raw, reason, self._now_ns + delay_ns, shown))
        if index is None:
            self._index += 1
        # A late frame delays those after it only if they were acquired before it came.
        self._now_ns += max(PERIOD_NS, delay_ns)

    def _pixels(self) -> NDArray[np.uint8]:
        """Return noise with a bright square where this frame's place is."""
        pixels = noise_pixels(self._index, height_px=HEIGHT_PX, width_px=WIDTH_PX) // 2
        row, column = self.place_of(self._index)
        half = _CELL_PX // 2
        pixels[row - half : row + half, column - half : column + half] = 240
        return pixels

    def _answer(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return what is bright, or what a broken engine returns."""
        grey: NDArray[np.float32] = batch[0].astype(np.float32).mean(axis=2)
        prob: NDArray[np.float32] = (grey > 180).astype(np.float32)[np.newaxis, np.newaxis]
        fault = self._engine_faults[len(self.backend.batches) - 1]
        if fault is Fault.ENGINE_NOT_FINITE:
            prob[0, 0, 3, 5] = np.nan
        if fault is Fault.ENGINE_OUT_OF_RANGE:
            prob[0, 0, 3, 5] = 1.5
        return prob


_ENGINE_REASONS: Final = {
    Fault.ENGINE_FAILS: Reason.INFERENCE_FAILED,
    Fault.ENGINE_NOT_FINITE: Reason.OUTPUT_NOT_FINITE,
    Fault.ENGINE_OUT_OF_RANGE: Reason.OUTPUT_OUT_OF_RANGE,
}
_PIXEL_REASONS: Final = {
    Fault.BLACK: Reason.FRAME_BLACK,
    Fault.SATURATED: Reason.FRAME_SATURATED,
    Fault.NOT_FINITE: Reason.FRAME_NOT_FINITE,
    Fault.WRONG_DTYPE: Reason.FRAME_DTYPE,
    Fault.WRONG_SHAPE: Reason.FRAME_SHAPE,
    Fault.WRONG_CHANNELS: Reason.FRAME_SHAPE,
    Fault.OTHER_SIZE: Reason.FRAME_SIZE_CHANGED,
}


def _broken(fault: Fault, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the pixels with one fault."""
    match fault:
        case Fault.BLACK:
            return np.zeros_like(pixels)
        case Fault.SATURATED:
            return np.full_like(pixels, 255)
        case Fault.NOT_FINITE:
            broken = pixels.astype(np.float32)
            broken[1, 2, 0] = np.nan
            return broken
        case Fault.WRONG_DTYPE:
            return pixels.astype(np.uint16)
        case Fault.WRONG_SHAPE:
            return pixels[..., 0].copy()
        case Fault.WRONG_CHANNELS:
            return np.concatenate([pixels, pixels[..., :1]], axis=2)
        case _:
            return pixels[: HEIGHT_PX - 8].copy()


def _raw(pixels: NDArray[Any], frame_index: int, captured_at_ns: int) -> RawFrame:
    """Return a frame of the faulty source."""
    return RawFrame(
        pixels=pixels,
        frame_index=frame_index,
        captured_at_ns=captured_at_ns,
        media_time_ns=None,
        source_id="faulty",
    )
