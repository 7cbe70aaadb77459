"""Frames, sources, units and sinks of the benchmarks, real or scripted."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from trocar.apps import surgical_tools
from trocar.apps.endoscopy import DEMO_CLIP, SHIPPED_PACK, open_unit
from trocar.apps.opening import OpenedUnit
from trocar.apps.surgical_tools import open_detection
from trocar.backends.choices import Engine, Precision
from trocar.backends.request import BackendRequest
from trocar.contracts.findings import Mask, PolypMask
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.ports import StopSignal
from trocar.contracts.record import BackendInfo, FrameRecord, UnitInfo
from trocar.imaging.resize import RgbResizer
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.pacing import wait_until

__all__ = [
    "AGE_MS_MAX",
    "MemorySource",
    "ScriptedBackend",
    "ScriptedUnit",
    "Session",
    "TimesSink",
    "make_clip",
    "never",
    "open_shipped",
    "open_tools",
    "pictures",
    "session_of",
]

AGE_MS_MAX: Final = 60_000
"""No frame of a benchmark is withheld for its age."""

_MEDIA_PERIOD_NS: Final = 40 * NS_PER_MS


def never() -> bool:
    """Stop signal that never stops."""
    return False


def open_shipped(
    thread_count: int,
    engine: Engine = Engine.ONNXRUNTIME_CPU,
    precision: Precision = Precision.FP32,
) -> OpenedUnit:
    """Open the shipped pack."""
    request = BackendRequest(engine=engine, precision=precision, thread_count=thread_count)
    return open_unit(SHIPPED_PACK, request, frame_age_ms_max=AGE_MS_MAX)


def open_tools(thread_count: int) -> OpenedUnit:
    """Open tool detection with the shipped pack."""
    request = BackendRequest(thread_count=thread_count)
    return open_detection(surgical_tools.SHIPPED_PACK, request, frame_age_ms_max=AGE_MS_MAX)


def pictures(*, height_px: int, width_px: int, count: int = 8) -> list[NDArray[np.uint8]]:
    """Return pictures of the demo clip, (H, W, 3) uint8 RGB, at another size."""
    resizer = RgbResizer(height_px=height_px, width_px=width_px)
    shown: list[NDArray[np.uint8]] = []
    # One frame at a time: memory freed here would hide the growth of a run.
    with av.open(str(DEMO_CLIP)) as container:
        step = max(1, container.streams.video[0].frames // count)
        for index, frame in enumerate(container.decode(video=0)):
            if index % step == 0:
                picture = np.ascontiguousarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                shown.append(resizer.resize(picture))
            if len(shown) == count:
                break
    return shown


def make_clip(path: Path, *, height_px: int, width_px: int, count: int) -> None:
    """Write the first ``count`` frames of the demo clip at another size, H.264 with yuv420p."""
    with av.open(str(DEMO_CLIP)) as source, av.open(str(path), mode="w") as target:
        stream: VideoStream = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.options = {"crf": "21", "preset": "veryfast"}
        for index, frame in enumerate(source.decode(video=0)):
            if index == count:
                break
            scaled = frame.reformat(width=width_px, height=height_px, format="yuv420p")
            scaled.pts = index
            scaled.time_base = Fraction(1, 25)
            target.mux(stream.encode(scaled))
        target.mux(stream.encode(None))


class Session(Protocol):
    """What a plain loop needs of ``onnxruntime.InferenceSession``."""

    def run(
        self, output_names: Sequence[str], inputs: Mapping[str, NDArray[Any]]
    ) -> Sequence[NDArray[np.float32]]:
        """Run the network."""
        ...


def session_of(opened: OpenedUnit) -> Session:
    """Return the unit's own session: a second one would have threads and memory of its own."""
    session: Session = vars(vars(opened.unit)["_backend"])["_session"]
    return session


class MemorySource:
    """``ports.FrameSource`` of pictures that are in memory already.

    Args:
        shown: Pictures, shown in turn; neighbours must differ, or the stream counts as frozen.
        count: Frames in all.
        period_ns: Time between two frames [ns], open loop; 0: each as soon as it is asked for.
    """

    def __init__(
        self, shown: Sequence[NDArray[np.uint8]], *, count: int, period_ns: int = 0
    ) -> None:
        self._shown = shown
        self._count = count
        self._period_ns = period_ns
        self._clock = MonotonicClock()

    @property
    def source_id(self) -> str:
        """Name of the source."""
        return "memory"

    @property
    def frame_count(self) -> int | None:
        """Frames in all."""
        return self._count

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield the frames."""
        origin_ns = self._clock.now_ns()
        for index in range(self._count):
            captured_at_ns = origin_ns + index * self._period_ns
            if not self._period_ns:
                captured_at_ns = self._clock.now_ns()
            elif not wait_until(captured_at_ns, clock=self._clock, stop=stop):
                return
            yield RawFrame(
                pixels=self._shown[index % len(self._shown)],
                frame_index=index,
                captured_at_ns=captured_at_ns,
                media_time_ns=index * _MEDIA_PERIOD_NS,
                source_id=self.source_id,
            )

    def close(self) -> None:
        """Nothing to release."""


class ScriptedBackend:
    """``ports.Backend`` without an engine: a newly allocated copy of one output, at once."""

    def __init__(self, prob: NDArray[np.float32]) -> None:
        self._prob = prob
        self._info = BackendInfo(
            engine="scripted", provider="none", precision="fp32", thread_count=1
        )

    @property
    def info(self) -> BackendInfo:
        """Says that nothing runs."""
        return self._info

    def infer(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return the output."""
        del batch
        return self._prob.copy()

    def close(self) -> None:
        """Nothing to release."""


class ScriptedUnit:
    """``ports.Unit`` that does nothing but make its finding: the cost around it remains."""

    def __init__(self, info: UnitInfo, side_px: int = 256) -> None:
        self._info = info
        self._prob = np.zeros((side_px, side_px), dtype=np.float32)
        self._pixels = np.zeros((side_px, side_px), dtype=np.bool_)

    @property
    def info(self) -> UnitInfo:
        """Provenance of another unit."""
        return self._info

    def run(self, frame: Frame, *, now_ns: int) -> PolypMask:
        """Return an empty mask."""
        del now_ns
        mask = Mask(
            pixels=self._pixels,
            prob=self._prob,
            prob_threshold=0.5,
            frame_height_px=frame.height_px,
            frame_width_px=frame.width_px,
            label="polyp",
        )
        return PolypMask(frame_index=frame.frame_index, mask=mask, area_fraction=0.0, prob_max=0.0)


class TimesSink:
    """``ports.Sink`` that keeps index, age and service time of each record, eight bytes each."""

    def __init__(self) -> None:
        self.frame_indices = array("q")
        self.ages_ns = array("q")
        self.services_ns = array("q")

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Keep the times."""
        del frame
        self.frame_indices.append(record.frame_index)
        self.ages_ns.append(record.times.age_ns)
        self.services_ns.append(record.times.service_ns)

    def close(self) -> None:
        """Nothing to finish."""
