"""Ports of the device: what an adapter must offer.

Adapters implement them without importing each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.findings import Finding
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.outcome import Withheld
from trocar.contracts.record import BackendInfo, FrameRecord, UnitInfo

__all__ = ["Backend", "Clock", "FrameSource", "Sink", "StopSignal", "Unit"]

StopSignal = Callable[[], bool]
"""Returns True once the run is to end; asked between frames."""


class Clock(Protocol):
    """Time of the device."""

    def now_ns(self) -> int:
        """Return the monotonic time [ns]; never goes backwards."""
        ...

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Wait until the monotonic time ``deadline_ns``; return at once when it has passed."""
        ...


class Backend(Protocol):
    """One loaded model in one engine, ready to run."""

    @property
    def info(self) -> BackendInfo:
        """What really runs: engine, provider, precision, threads."""
        ...

    def infer(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the model on one input and return its one output, newly allocated.

        Args:
            batch: The shape and dtype of the manifest's input, C-contiguous; not modified.

        Raises:
            ContractError: Shape or dtype differ from the manifest's.
            InferenceError: The engine failed.
        """
        ...

    def close(self) -> None:
        """Release the engine; may be called twice."""
        ...


class Unit(Protocol):
    """One model with one contract: one frame in, one finding or the reason for none out."""

    @property
    def info(self) -> UnitInfo:
        """Name, version, pack and engine of this unit."""
        ...

    def run(self, frame: Frame, *, now_ns: int) -> Finding | Withheld:
        """Answer for one frame, never for another; never raises for a bad image."""
        ...


class FrameSource(Protocol):
    """A source of frames."""

    @property
    def source_id(self) -> str:
        """Name of the source, as it stands in every record."""
        ...

    @property
    def frame_count(self) -> int | None:
        """Number of frames where the source knows it, else None."""
        ...

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield frames until the end or until ``stop`` says so; may be called once.

        Raises:
            DecodeError: Nothing can be decoded.
            SourceLostError: The source ended before its end.
        """
        ...

    def close(self) -> None:
        """Release the source; may be called twice."""
        ...


class Sink(Protocol):
    """Where results go."""

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Take one record; ``frame`` is None where the frame was not admitted.

        Raises:
            SinkError: The result could not be written.
        """
        ...

    def close(self) -> None:
        """Finish the output so that it can be read; may be called twice.

        Raises:
            SinkError: The output could not be finished.
        """
        ...
