"""What a recording is asked for, and the names of what it leaves."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import Final

from pydantic import Field

from trocar.backends.choices import Engine, Precision
from trocar.backends.request import BackendRequest
from trocar.contracts.base import Contract
from trocar.contracts.limits import (
    DEADLINE_MS_DEFAULT,
    FRAME_SIDE_PX_MAX,
    FRAME_SIDE_PX_MIN,
    NS_PER_S,
    THREAD_COUNT_MAX,
)

MANIFEST_NAME: Final = "manifest.json"
SUMS_NAME: Final = "SHA256SUMS"
LOG_NAME: Final = "log.jsonl"
REQUIREMENT_IDS: Final = ("SYS_LATENCY_001", "SRS_LATENCY_001", "SYS_POLYP_002")


class Arm(StrEnum):
    """What else the machine does while frames are timed."""

    IDLE = "idle"
    SECOND_INSTANCE = "second-instance"
    CPU_STRESS = "cpu-stress"
    IDLE_GAP = "idle-gap"


class RecordSettings(Contract):
    """Settings of one bundle.

    Attributes:
        unit: Unit under test.
        units_beside: Units that answer for the same frames after it; a frame is answered when all
            have answered.
        engine: Engine and provider.
        precision: Precision of the arithmetic.
        thread_count: Threads inside one call.
        frame_count: Timed frames of each run.
        fps: Rate of the open-loop source [frames/s].
        height_px: Height of a frame.
        width_px: Width of a frame.
        deadline_ms: Age above which a frame is a miss [ms].
        arms: Arms to record.
        run_count: Fresh processes of each arm.
        warm_up_frame_count: Least number of frames before the timed ones.
        warm_up_block: Frames in one block of the stability rule.
        warm_up_block_count_max: Blocks after which a run goes on although it is not stable.
        gap_s: Pause between two stretches of the idle-gap arm [s].
        stretch: Frames in one stretch of the idle-gap arm.
        seed: Seed of arm order and texture.
    """

    unit: str = "polyp_segmentation"
    units_beside: tuple[str, ...] = ()
    engine: Engine = Engine.ONNXRUNTIME_CPU
    precision: Precision = Precision.FP32
    thread_count: int = Field(default=2, ge=1, le=THREAD_COUNT_MAX)
    frame_count: int = Field(default=3000, ge=10, le=10_000_000)
    fps: int = Field(default=30, ge=1, le=1000)
    height_px: int = Field(default=1080, ge=FRAME_SIDE_PX_MIN, le=FRAME_SIDE_PX_MAX)
    width_px: int = Field(default=1920, ge=FRAME_SIDE_PX_MIN, le=FRAME_SIDE_PX_MAX)
    deadline_ms: int = Field(default=DEADLINE_MS_DEFAULT, ge=1, le=60_000)
    arms: tuple[Arm, ...] = Field(default=tuple(Arm), min_length=1)
    run_count: int = Field(default=5, ge=1, le=99)
    warm_up_frame_count: int = Field(default=500, ge=1, le=100_000)
    warm_up_block: int = Field(default=300, ge=2, le=10_000)
    warm_up_block_count_max: int = Field(default=10, ge=3, le=1000)
    gap_s: int = Field(default=10, ge=1, le=600)
    stretch: int = Field(default=300, ge=2, le=100_000)
    seed: int = Field(default=1, ge=0)

    @property
    def units(self) -> tuple[str, ...]:
        """Every unit, in the order in which they answer."""
        return (self.unit, *self.units_beside)

    @property
    def workload(self) -> str:
        """What the limits are looked up by: the units joined by ``+``."""
        return "+".join(self.units)

    def request(self) -> BackendRequest:
        """Return the engine that every unit is opened with."""
        return BackendRequest(
            engine=self.engine, precision=self.precision, thread_count=self.thread_count
        )

    def stretches(self, arm: Arm) -> tuple[tuple[int, int], ...]:
        """Return (first frame, number of frames) of each uninterrupted stretch of a run."""
        length = self.stretch if arm is Arm.IDLE_GAP else self.frame_count
        firsts = range(0, self.frame_count, length)
        return tuple((first, min(length, self.frame_count - first)) for first in firsts)

    def offset_ns(self, count: int) -> int:
        """Return the scheduled time of the ``count``-th frame after a stretch's first one [ns]."""
        return count * NS_PER_S // self.fps


class PlannedRun(Contract):
    """One run: its arm and its number from 1."""

    arm: Arm
    run_number: int = Field(ge=1)

    @property
    def name(self) -> str:
        """Stem of the run's files."""
        return f"{self.arm.value}-{self.run_number:02d}"

    @property
    def frames_name(self) -> str:
        """File of the timed frames."""
        return f"frames-{self.name}.csv.gz"

    @property
    def warm_up_name(self) -> str:
        """File of the cold frame and the warm-up."""
        return f"warmup-{self.name}.csv.gz"

    @property
    def telemetry_name(self) -> str:
        """File of the machine's state."""
        return f"telemetry-{self.name}.csv"

    @property
    def files(self) -> tuple[str, str, str]:
        """Every file of the run."""
        return self.frames_name, self.warm_up_name, self.telemetry_name


def plan_runs(settings: RecordSettings) -> tuple[PlannedRun, ...]:
    """Return every run in a random order that the seed fixes."""
    runs = [
        PlannedRun(arm=arm, run_number=number)
        for number in range(1, settings.run_count + 1)
        for arm in dict.fromkeys(settings.arms)
    ]
    random.Random(settings.seed).shuffle(runs)  # noqa: S311 - order of runs, not a secret
    return tuple(runs)
