"""The account of every frame that a source has delivered: answered, or dropped with its reason."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from trocar.contracts.errors import SinkError, require
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import LEDGER_LENGTH_MAX

__all__ = ["DropLedger", "DropReason", "DroppedFrame", "LedgerTotals"]


class DropReason(StrEnum):
    """Why a frame was not answered."""

    DISPLACED = "displaced"
    """A newer frame came before the unit was free: a missed deadline."""

    STOPPED = "stopped"
    """It was waiting when the run ended."""


_REASONS = tuple(DropReason)


@dataclass(frozen=True, slots=True)
class DroppedFrame:
    """One line of the ledger.

    Attributes:
        frame_index: The frame.
        captured_at_ns: When it was acquired [ns].
        reason: Why it was not answered.
    """

    frame_index: int
    captured_at_ns: int
    reason: DropReason


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Sums of the ledger.

    Attributes:
        received_count: Frames that the source delivered.
        processed_count: Frames that were answered, by a finding or by the reason for none.
        displaced_count: Frames dropped for a newer one.
        stopped_count: Frames that waited when the run ended.
        unlisted_count: Dropped frames beyond the length of the list.
    """

    received_count: int
    processed_count: int
    displaced_count: int
    stopped_count: int
    unlisted_count: int

    @property
    def dropped_count(self) -> int:
        """Frames that were not answered."""
        return self.displaced_count + self.stopped_count


# @need-ids: SRS_STREAM_002, RCM_LEDGER_001
class DropLedger:
    """Thread-safe account of a run; lists ``length_max`` dropped frames and counts the rest."""

    def __init__(self, *, length_max: int = LEDGER_LENGTH_MAX) -> None:
        require(length_max > 0, f"ledger of {length_max} lines asked for")
        self._lock = threading.Lock()
        self._length_max = length_max
        self._frame_indices = array("q")
        self._captured_at_ns = array("q")
        self._reasons = array("B")
        self._received_count = 0
        self._processed_count = 0
        self._dropped_counts = [0] * len(_REASONS)

    def receive(self) -> None:
        """Count one frame that the source delivered."""
        with self._lock:
            self._received_count += 1

    def process(self) -> None:
        """Count one frame that was answered."""
        with self._lock:
            self._processed_count += 1

    def drop(self, raw: RawFrame, reason: DropReason) -> None:
        """Enter one frame that is not going to be answered."""
        number = _REASONS.index(reason)
        with self._lock:
            self._dropped_counts[number] += 1
            if len(self._reasons) < self._length_max:
                self._frame_indices.append(raw.frame_index)
                self._captured_at_ns.append(raw.captured_at_ns)
                self._reasons.append(number)

    def totals(self) -> LedgerTotals:
        """Return the sums so far."""
        with self._lock:
            displaced_count, stopped_count = self._dropped_counts
            return LedgerTotals(
                received_count=self._received_count,
                processed_count=self._processed_count,
                displaced_count=displaced_count,
                stopped_count=stopped_count,
                unlisted_count=displaced_count + stopped_count - len(self._reasons),
            )

    def dropped_frames(self) -> Iterator[DroppedFrame]:
        """Yield the dropped frames in the order in which they were entered."""
        with self._lock:
            rows = list(zip(self._frame_indices, self._captured_at_ns, self._reasons, strict=True))
        for frame_index, captured_at_ns, number in rows:
            yield DroppedFrame(frame_index, captured_at_ns, _REASONS[number])

    # @need-ids: SRS_STREAM_002
    def require_balanced(self) -> None:
        """Check that every frame is accounted for.

        Raises:
            InvariantError: received is not processed + dropped.
        """
        totals = self.totals()
        require(
            totals.received_count == totals.processed_count + totals.dropped_count,
            f"{totals.received_count} frames received, but {totals.processed_count} answered and"
            f" {totals.dropped_count} dropped",
        )

    def save(self, path: Path) -> None:
        """Write the list as CSV; a comment at its end counts the frames that are not listed.

        Raises:
            SinkError: The file cannot be written.
        """
        lines = ["frame_index,captured_at_ns,reason"]
        lines += [f"{d.frame_index},{d.captured_at_ns},{d.reason}" for d in self.dropped_frames()]
        lines.append(f"# unlisted,{self.totals().unlisted_count}")
        try:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as exc:
            raise SinkError(
                f"the ledger of dropped frames could not be written to {path}: {exc.strerror}",
                advice="free disk space or choose another output folder",
            ) from exc
