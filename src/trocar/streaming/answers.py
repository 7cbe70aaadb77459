"""The answers for one frame: admission and detectors once, then every unit, one record each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from pydantic import ValidationError

from trocar.contracts.errors import InferenceError, InvariantError, require
from trocar.contracts.findings import Finding
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.ports import Clock, Unit
from trocar.contracts.record import FrameRecord, FrameTimes
from trocar.streaming.admission import admit
from trocar.streaming.health import StreamHealth
from trocar.streaming.pacing import Pacing
from trocar.streaming.summary import StreamConfig

__all__ = ["FrameAnswers"]

_ADVICE_FAULT: Final = "this is a fault of Trocar; report it with the log and the input's name"


class FrameAnswers:
    """What the units of one run say of its frames; one instance a run, not thread-safe.

    Args:
        units: What answers for each frame, in this order; at least one.
        clock: Monotonic time.
        config: Pacing, deadline and limits.
        source_id: The source, for the log.
    """

    def __init__(
        self, units: Sequence[Unit], *, clock: Clock, config: StreamConfig, source_id: str
    ) -> None:
        require(len(units) > 0, "a run without any unit asked for")
        self._units = tuple(units)
        self._clock = clock
        self._config = config
        self._health = StreamHealth(kind=config.kind, frozen_after_ms=config.frozen_after_ms)
        self._log = structlog.get_logger().bind(source_id=source_id)

    @property
    def unit_names(self) -> tuple[str, ...]:
        """Names of the units, in their order."""
        return tuple(unit.info.unit for unit in self._units)

    # @need-ids: SRS_LIVE_001
    def answer(
        self, raw: RawFrame, *, dropped_before_count: int
    ) -> tuple[Frame | None, list[FrameRecord]]:
        """Return the admitted frame, if it was, and the record of every unit's answer.

        Raises:
            InvariantError: A unit answered for another frame or another size of frame.
            TrocarError: Any other error of a unit, but that of an engine.
        """
        records: list[FrameRecord] = []
        began_at_ns = self._clock.now_ns()
        frame, examined = self._examine(raw, began_at_ns)
        for unit in self._units:
            # The look at the frame counts for the first unit; the next one begins when it is done.
            started_at_ns = self._clock.now_ns() if records else began_at_ns
            outcome = examined if isinstance(examined, Withheld) else self._infer(unit, examined)
            records.append(self._record_of(raw, unit, outcome, started_at_ns, dropped_before_count))
        return frame, records

    # @need-ids: SRS_STREAM_003, RCM_DEADLINE_001, RCM_FRAMEID_001
    def _record_of(
        self,
        raw: RawFrame,
        unit: Unit,
        outcome: Finding | Withheld,
        started_at_ns: int,
        dropped_before_count: int,
    ) -> FrameRecord:
        """Return the record of one unit's answer for one frame."""
        finished_at_ns = self._clock.now_ns()
        captured_at_ns = min(max(raw.captured_at_ns, 0), started_at_ns)
        try:
            return FrameRecord(
                frame_index=raw.frame_index,
                source_id=raw.source_id,
                media_time_ns=raw.media_time_ns,
                outcome=outcome,
                unit=unit.info,
                times=FrameTimes(
                    captured_at_ns=captured_at_ns,
                    started_at_ns=started_at_ns,
                    finished_at_ns=finished_at_ns,
                ),
                verdict=self._verdict(finished_at_ns - captured_at_ns),
                dropped_before_count=dropped_before_count,
                origin=raw.origin,
            )
        except ValidationError as exc:
            raise InvariantError(
                f"no valid record of frame {raw.frame_index}: {exc}", advice=_ADVICE_FAULT
            ) from exc

    def _examine(self, raw: RawFrame, now_ns: int) -> tuple[Frame | None, Frame | Withheld]:
        """Return the frame if it was admitted, and what the units get: it, or why they do not."""
        admitted = admit(raw)
        if isinstance(admitted, Withheld):
            return None, admitted
        if admitted.captured_at_ns > now_ns:
            detail = f"acquired at {admitted.captured_at_ns} ns, seen at {now_ns} ns"
            return admitted, Withheld(
                frame_index=raw.frame_index, reason=Reason.CLOCK_BACKWARDS, detail=detail
            )
        return admitted, self._health.check(admitted) or admitted

    def _infer(self, unit: Unit, frame: Frame) -> Finding | Withheld:
        """Run one unit; an engine that fails on one frame costs that unit that frame only."""
        try:
            outcome = unit.run(frame, now_ns=self._clock.now_ns())
        except InferenceError as exc:
            self._log.warning(
                "inference_failed",
                unit=unit.info.unit,
                frame_index=frame.frame_index,
                **exc.context,
            )
            return Withheld(
                frame_index=frame.frame_index, reason=Reason.INFERENCE_FAILED, detail=exc.problem
            )
        # @need-ids: RCM_GEOMETRY_001
        if not isinstance(outcome, Withheld):
            size_px = outcome.frame_size_px
            require(
                size_px == (frame.width_px, frame.height_px),
                f"finding for {size_px} px under a frame of {frame.width_px}x{frame.height_px} px",
            )
        return outcome

    def _verdict(self, age_ns: int) -> DeadlineVerdict:
        """Return whether a result of this age is in time; only real time is timed."""
        if self._config.pacing is not Pacing.REALTIME:
            return DeadlineVerdict.NOT_TIMED
        is_met = age_ns <= self._config.deadline_ms * NS_PER_MS
        return DeadlineVerdict.MET if is_met else DeadlineVerdict.MISSED
