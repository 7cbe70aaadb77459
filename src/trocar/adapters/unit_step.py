"""One message in, one record out: what an adapter does, in words that name no foreign runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.errors import ContractError, InferenceError, TrocarError, require
from trocar.contracts.findings import Finding
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.limits import DEADLINE_MS_DEFAULT, FROZEN_AFTER_MS_DEFAULT, NS_PER_MS
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.ports import Clock, Unit
from trocar.contracts.record import FrameRecord, FrameTimes
from trocar.streaming.admission import admit
from trocar.streaming.health import StreamHealth
from trocar.streaming.pacing import StreamKind

__all__ = ["StepAccount", "StepConfig", "UnitStep"]

_ADVICE_MESSAGE: Final = (
    "let the operator before this one send pixels, frame_index and captured_at_ns (monotonic ns)"
)
_ADVICE_MEMORY: Final = "put an operator before this one that copies the tensor to host memory"


class StepConfig(Contract):
    """How messages are taken.

    Attributes:
        source_id: Name of the source, as it stands in every record.
        kind: Video, or unrelated stills.
        deadline_ms: Age up to which a result is in time [ms].
        frozen_after_ms: Time for which identical frames may arrive [ms].
        first_index: Index of the first frame that the source sends; frames missing before the
            first message count as dropped from here.
    """

    source_id: str
    kind: StreamKind = StreamKind.VIDEO
    deadline_ms: int = Field(default=DEADLINE_MS_DEFAULT, gt=0, le=60_000)
    frozen_after_ms: int = Field(default=FROZEN_AFTER_MS_DEFAULT, gt=0, le=60_000)
    first_index: int = Field(default=0, ge=0)


class StepAccount(Contract):
    """What became of the frames so far.

    Attributes:
        received_count: Messages that were answered.
        finding_count: Answers with a finding.
        withheld_counts: Answers without one, by reason; reasons that did not occur are left out.
        dropped_count: Frames that the source sent and that never came here: gaps in the index.
        late_count: Answers whose verdict is "missed".
        failure: Code of the error after which the unit is not asked any more, or None.
    """

    received_count: int = Field(ge=0)
    finding_count: int = Field(ge=0)
    withheld_counts: Mapping[Reason, int]
    dropped_count: int = Field(ge=0)
    late_count: int = Field(ge=0)
    failure: str | None


# @need-ids: SRS_HOLO_001
class UnitStep:
    """A unit behind admission and the detectors, called once a message by one thread.

    Args:
        unit: What answers.
        config: How messages are taken.
        clock: Monotonic time.
    """

    def __init__(self, unit: Unit, config: StepConfig, *, clock: Clock) -> None:
        self._unit = unit
        self._config = config
        self._clock = clock
        self._health = StreamHealth(kind=config.kind, frozen_after_ms=config.frozen_after_ms)
        self._log = structlog.get_logger().bind(source_id=config.source_id, unit=unit.info.unit)
        self._next_index = config.first_index
        self._received_count = 0
        self._dropped_count = 0
        self._late_count = 0
        self._withheld_counts: Counter[Reason] = Counter()
        self._failure: TrocarError | None = None
        self._failed_at = -1

    @property
    def account(self) -> StepAccount:
        """What became of the frames so far."""
        return StepAccount(
            received_count=self._received_count,
            finding_count=self._received_count - self._withheld_counts.total(),
            withheld_counts=dict(self._withheld_counts),
            dropped_count=self._dropped_count,
            late_count=self._late_count,
            failure=None if self._failure is None else self._failure.code,
        )

    def answer(self, message: Mapping[str, object]) -> FrameRecord:
        """Answer for the frame in one message.

        Args:
            message: ``pixels``, an array in host memory; ``frame_index``, from 0;
                ``captured_at_ns``, monotonic [ns]; ``media_time_ns`` [ns], where there is one.

        Returns:
            The record: a finding, or the reason for none.

        Raises:
            ContractError: The message is not such a message: the graph is wired wrongly.
            InvariantError: The record would not be valid.
        """
        raw = self._raw_frame(message)
        dropped_before_count = self._gap_before(raw.frame_index)
        started_at_ns = self._clock.now_ns()
        outcome = self._outcome(raw, started_at_ns)
        finished_at_ns = self._clock.now_ns()
        captured_at_ns = min(raw.captured_at_ns, started_at_ns)
        is_late = finished_at_ns - captured_at_ns > self._config.deadline_ms * NS_PER_MS
        record = FrameRecord(
            frame_index=raw.frame_index,
            source_id=raw.source_id,
            media_time_ns=raw.media_time_ns,
            outcome=outcome,
            unit=self._unit.info,
            times=FrameTimes(
                captured_at_ns=captured_at_ns,
                started_at_ns=started_at_ns,
                finished_at_ns=finished_at_ns,
            ),
            verdict=DeadlineVerdict.MISSED if is_late else DeadlineVerdict.MET,
            dropped_before_count=dropped_before_count,
        )
        self._count(record)
        return record

    # @need-ids: SRS_HOLO_003
    def require_sound(self) -> None:
        """Raise the error that put the step out of work; call it after the graph has ended.

        Raises:
            TrocarError: The first error of the unit other than a failed inference.
        """
        if self._failure is not None:
            raise self._failure

    # @need-ids: SRS_HOLO_004
    def _raw_frame(self, message: Mapping[str, object]) -> RawFrame:
        """Return the frame as it came, with an index and a time that a record can name."""
        numbers: dict[str, int] = {}
        for name in ("frame_index", "captured_at_ns", "media_time_ns"):
            value = message.get(name)
            if value is not None:
                numbers[name] = _natural(name, value)
        missing = [name for name in ("frame_index", "captured_at_ns") if name not in numbers]
        if missing or message.get("pixels") is None:
            raise ContractError(
                f"expected a message with pixels, frame_index and captured_at_ns,"
                f" got {sorted(message)}",
                advice=_ADVICE_MESSAGE,
            )
        return RawFrame(
            pixels=_host_array(message["pixels"]),
            frame_index=numbers["frame_index"],
            captured_at_ns=numbers["captured_at_ns"],
            media_time_ns=numbers.get("media_time_ns"),
            source_id=self._config.source_id,
        )

    # @need-ids: SRS_HOLO_002
    def _gap_before(self, frame_index: int) -> int:
        """Return how many frames the queue before this step has dropped since the last message."""
        gap = max(0, frame_index - self._next_index)
        self._next_index = max(self._next_index, frame_index + 1)
        self._dropped_count += gap
        return gap

    def _outcome(self, raw: RawFrame, now_ns: int) -> Finding | Withheld:
        """Return the unit's answer, or why it was not asked."""
        admitted = admit(raw)
        if isinstance(admitted, Withheld):
            return admitted
        if admitted.captured_at_ns > now_ns:
            detail = f"acquired at {admitted.captured_at_ns} ns, seen at {now_ns} ns"
            return Withheld(
                frame_index=raw.frame_index, reason=Reason.CLOCK_BACKWARDS, detail=detail
            )
        return self._health.check(admitted) or self._infer(admitted)

    # @need-ids: SRS_HOLO_003
    def _infer(self, frame: Frame) -> Finding | Withheld:
        """Ask the unit; after an error that is not of one frame it is not asked again."""
        if self._failure is not None:
            detail = f"{self._failure.code} at frame {self._failed_at}; the unit is out of work"
            return _failed(frame, detail)
        try:
            outcome = self._unit.run(frame, now_ns=self._clock.now_ns())
            if not isinstance(outcome, Withheld):
                size_px = (frame.width_px, frame.height_px)
                is_same = outcome.frame_size_px == size_px
                require(is_same, f"finding for {outcome.frame_size_px} px under {size_px} px")
        except InferenceError as exc:
            self._log.warning("inference_failed", frame_index=frame.frame_index, **exc.context)
            return _failed(frame, exc.problem)
        except TrocarError as exc:
            self._failure, self._failed_at = exc, frame.frame_index
            self._log.error("unit_out_of_work", code=exc.code, problem=exc.problem)
            return _failed(frame, f"{exc.code}: {exc.problem}")
        return outcome

    def _count(self, record: FrameRecord) -> None:
        """Count one record."""
        self._received_count += 1
        self._late_count += record.verdict is DeadlineVerdict.MISSED
        if isinstance(record.outcome, Withheld):
            self._withheld_counts[record.outcome.reason] += 1


def _failed(frame: Frame, detail: str) -> Withheld:
    """Return the answer for a frame on which the unit failed."""
    return Withheld(frame_index=frame.frame_index, reason=Reason.INFERENCE_FAILED, detail=detail)


def _natural(name: str, value: object) -> int:
    """Return a number from 0; NumPy's integers are welcome, truth values and fractions are not."""
    number = -1
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
    if number < 0:
        raise ContractError(
            f"expected {name} as an integer from 0, got {value!r:.80}", advice=_ADVICE_MESSAGE
        )
    return number


def _host_array(pixels: object) -> NDArray[Any]:
    """Return the pixels as an array, without a copy where they lie in host memory.

    Raises:
        ContractError: They lie in the memory of a GPU.
    """
    on_host = hasattr(pixels, "__array_interface__") or hasattr(pixels, "__array__")
    if not on_host:
        raise ContractError(
            f"expected pixels as an array in host memory, got {type(pixels).__name__}",
            advice=_ADVICE_MEMORY,
        )
    return np.asarray(pixels)
