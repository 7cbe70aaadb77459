"""One run of the stream with simulators, of which everything can be looked at afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from simulators.clock import FakeClock
from simulators.sink import RecordingSink
from simulators.source import ListSource, raw_frame
from simulators.unit import ScriptedUnit
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import FrameSource, Sink, Unit
from trocar.streaming.ledger import DropLedger
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig, StreamSummary

__all__ = ["START_NS", "ScriptedRun", "timed_frames"]

START_NS: Final = 1_000_000_000
_AS_FAST: Final = StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE)
_NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def timed_frames(count: int, *, first: int = 0) -> list[RawFrame]:
    """Return frames that were acquired one nanosecond after the other, 40 ms apart in the video."""
    return [
        raw_frame(i, captured_at_ns=START_NS + i, media_time_ns=40 * NS_PER_MS * i)
        for i in range(first, first + count)
    ]


class ScriptedRun:
    """One call of ``run_stream`` with simulators; everything it leaves behind can be looked at."""

    def __init__(
        self,
        source: FrameSource | Sequence[Any],
        unit: Unit | Sequence[Unit] | None = None,
        *,
        config: StreamConfig = _AS_FAST,
        sinks: Sequence[Sink] = (),
        clock: FakeClock | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.sink = RecordingSink()
        self.ledger = DropLedger()
        self.ends: list[StreamSummary] = []
        self.progress: list[tuple[int, int | None]] = []
        self.source = ListSource(source) if isinstance(source, Sequence) else source
        chosen: Unit | Sequence[Unit] = ScriptedUnit() if unit is None else unit
        self._units = chosen if isinstance(chosen, Sequence) else [chosen]
        self._config = config
        self._sinks = [self.sink, *sinks]
        self._clock = FakeClock(START_NS + 1000) if clock is None else clock
        self._stop = stop

    def go(self) -> StreamSummary:
        """Run to the end."""
        return run_stream(
            self.source,
            self._units,
            self._sinks,
            clock=self._clock,
            config=self._config,
            stop=self._stop,
            progress=lambda done, total: self.progress.append((done, total)),
            ledger=self.ledger,
            on_end=self.ends.append,
            wall_clock=lambda: _NOON,
        )

    @property
    def reasons(self) -> list[Reason | None]:
        """Reason of each record, None for a finding."""
        outcomes = [record.outcome for record in self.sink.records]
        return [o.reason if isinstance(o, Withheld) else None for o in outcomes]
