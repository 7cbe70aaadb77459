"""Every bound of the device, in one typed place.

The relations between them are checked at import.
"""

from __future__ import annotations

from typing import Final

from trocar.contracts.errors import require

__all__ = [
    "BLACK_LEVEL_MAX",
    "BLACK_SPREAD_MAX",
    "DEADLINE_MS_DEFAULT",
    "DECODE_ERROR_COUNT_MAX",
    "FRAME_PIXEL_COUNT_MAX",
    "FRAME_SIDE_PX_MAX",
    "FRAME_SIDE_PX_MIN",
    "FROZEN_AFTER_MS_DEFAULT",
    "LATENCY_SAMPLE_COUNT_MAX",
    "LEDGER_LENGTH_MAX",
    "MANIFEST_BYTES_MAX",
    "NS_PER_MS",
    "NS_PER_S",
    "PACK_FILE_BYTES_MAX",
    "PACK_FILE_COUNT_MAX",
    "QUALITY_STRIDE_PX_MAX",
    "SATURATED_FRACTION_MAX",
    "SATURATED_LEVEL_MIN",
    "SINK_QUEUE_LENGTH_MAX",
    "SINK_WAIT_MS_MAX",
    "SLEEP_SLICE_MS_MAX",
    "SLOT_WAIT_MS_MAX",
    "SOURCE_ID_LENGTH_MAX",
    "SOURCE_SILENCE_MS_MAX",
    "TENSOR_SIDE_MAX",
    "THREAD_COUNT_MAX",
    "THREAD_JOIN_MS_MAX",
    "UNTIMED_AGE_MS_MAX",
    "WARM_UP_COUNT_MAX",
]

NS_PER_MS: Final = 1_000_000
"""Nanoseconds in a millisecond."""

NS_PER_S: Final = 1_000_000_000
"""Nanoseconds in a second."""

FRAME_SIDE_PX_MIN: Final = 32
"""Smallest side of a frame that a unit may see."""

FRAME_SIDE_PX_MAX: Final = 8192
"""Largest side of a frame that is read into memory."""

FRAME_PIXEL_COUNT_MAX: Final = 4096 * 4096
"""Largest area of a frame: bounds the memory of one frame to 48 MiB."""

SOURCE_ID_LENGTH_MAX: Final = 512
"""Longest name of a source, in characters."""

BLACK_LEVEL_MAX: Final = 10.0
"""Mean of the grey levels (0 to 255) up to which a frame counts as black."""

BLACK_SPREAD_MAX: Final = 4.0
"""Standard deviation of the grey levels up to which a dark frame counts as black."""

SATURATED_LEVEL_MIN: Final = 250
"""Channel value from which a sample counts as saturated."""

SATURATED_FRACTION_MAX: Final = 0.60
"""Share of saturated samples above which a frame is not usable."""

QUALITY_STRIDE_PX_MAX: Final = 16
"""Detectors of black, saturated and frozen frames look at every n-th pixel, at most this n."""

FROZEN_AFTER_MS_DEFAULT: Final = 1000
"""Time for which identical frames may arrive before the source counts as frozen."""

DEADLINE_MS_DEFAULT: Final = 100
"""Age of a result above which it counts as missed."""

SOURCE_SILENCE_MS_MAX: Final = 5000
"""Time without any frame after which a live source counts as lost."""

DECODE_ERROR_COUNT_MAX: Final = 25
"""Frames of one source that may fail to decode before it counts as lost."""

SINK_QUEUE_LENGTH_MAX: Final = 16
"""Results that wait for one sink; each may hold one frame."""

LEDGER_LENGTH_MAX: Final = 100_000
"""Dropped frames that the ledger lists one by one; beyond it only counts."""

LATENCY_SAMPLE_COUNT_MAX: Final = 1_000_000
"""Frames of which the latency summary keeps the times (24 MiB)."""

SLOT_WAIT_MS_MAX: Final = 100
"""Longest wait for the next frame before stop and silence are looked at again."""

SLEEP_SLICE_MS_MAX: Final = 50
"""Longest sleep of a paced source before it looks at its stop signal again."""

THREAD_JOIN_MS_MAX: Final = 2000
"""Longest wait for a thread to end before it is left behind and reported."""

SINK_WAIT_MS_MAX: Final = 10_000
"""Longest wait for a place in the queue of a slow sink before that sink counts as failed."""

PACK_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest file of a pack."""

PACK_FILE_COUNT_MAX: Final = 32
"""Most files in a pack, its manifest included."""

MANIFEST_BYTES_MAX: Final = 1024 * 1024
"""Largest manifest."""

THREAD_COUNT_MAX: Final = 64
"""Most threads inside one call of an engine."""

WARM_UP_COUNT_MAX: Final = 1000
"""Most calls before the first frame."""


UNTIMED_AGE_MS_MAX: Final = 60_000
"""Age up to which a frame is answered where nothing is timed, such as stills."""

TENSOR_SIDE_MAX: Final = 8192
"""Largest size of one axis of a model's tensor."""

require(FRAME_SIDE_PX_MIN < FRAME_SIDE_PX_MAX, "frame sides leave no room")
require(FRAME_PIXEL_COUNT_MAX >= 3840 * 2160, "a 4K frame must be accepted")
require(BLACK_LEVEL_MAX < SATURATED_LEVEL_MIN, "black and saturated overlap")
require(DEADLINE_MS_DEFAULT < SOURCE_SILENCE_MS_MAX, "a deadline must be missed before the loss")
require(FROZEN_AFTER_MS_DEFAULT < SOURCE_SILENCE_MS_MAX, "frozen must be seen before lost")
require(SLOT_WAIT_MS_MAX < SOURCE_SILENCE_MS_MAX, "silence must be looked at before it is over")
