"""Synthetic soaks: every file as a recording leaves it, with memory and frames of choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulators.latency_bundles import (
    DIGEST,
    WALL_OFFSET_NS,
    AgeMs,
    platform_of,
    rows_of,
    twenty_ms,
)
from simulators.unit import UNIT_INFO
from trocar import RESEARCH_NOTICE
from trocar.contracts.limits import NS_PER_S
from trocar_lab.latency.clocks import ClockReading
from trocar_lab.latency.frame_table import write_table
from trocar_lab.latency.manifest import CodeIdentity, InputIdentity, UnitFacts
from trocar_lab.latency.record import write_sums
from trocar_lab.latency.settings import LOG_NAME, MANIFEST_NAME, Arm, RecordSettings
from trocar_lab.latency.soak_plan import (
    SOAK_REQUIREMENT_IDS,
    SOAK_RUN,
    SOAK_SCHEMA,
    RunCounts,
    SoakFacts,
    SoakManifest,
    SoakPlan,
)
from trocar_lab.latency.telemetry import Telemetry, to_csv

__all__ = ["SoakShape", "plan_of", "telemetry_of", "write_soak"]

MIB: Final = 2**20
_ORIGIN_NS: Final = 1_000 * NS_PER_S

RssMib = Callable[[float], float]
"""Resident memory at a time since the first frame [s] -> [MiB]."""


def _flat(time_s: float) -> float:
    """Return the same memory at every time."""
    del time_s
    return 400.0


@dataclass(frozen=True)
class SoakShape:
    """What a soak looks like.

    Attributes:
        warm_up_s: Warm-up [s].
        timed_s: Time after it [s].
        rss_mib: Course of memory.
        age_ms: Age of each frame; None where it was dropped.
        line_count_error: Lines by which the device's record differs.
        received_error: Frames by which the device's account differs.
    """

    warm_up_s: int = 180
    timed_s: int = 3600
    rss_mib: RssMib = _flat
    age_ms: AgeMs = twenty_ms
    line_count_error: int = 0
    received_error: int = 0


def plan_of(shape: SoakShape) -> SoakPlan:
    """Return the plan of a soak at one frame a second."""
    settings = RecordSettings(
        unit=UNIT_INFO.unit,
        fps=1,
        frame_count=shape.warm_up_s + shape.timed_s,
        arms=(Arm.IDLE,),
        run_count=1,
    )
    return SoakPlan(settings=settings, warm_up_s=shape.warm_up_s, timed_s=shape.timed_s)


def telemetry_of(shape: SoakShape) -> list[Telemetry]:
    """Return a sample each second, from before the first frame to after the last."""
    count = shape.warm_up_s + shape.timed_s
    return [
        Telemetry(
            monotonic_ns=_ORIGIN_NS + second * NS_PER_S,
            wall_ns=_ORIGIN_NS + second * NS_PER_S + WALL_OFFSET_NS,
            load_1m=0.5,
            cpu_mhz_min=2000.0,
            cpu_mhz_max=2000.0,
            gpu_mhz=None,
            temperature_c_max=50.0,
            throttle_count=0.0,
            rss_bytes=shape.rss_mib(float(second)) * MIB,
        )
        for second in range(-1, count + 2)
    ]


def write_soak(folder: Path, shape: SoakShape) -> Path:
    """Write a whole soak; return its folder."""
    folder.mkdir()
    plan = plan_of(shape)
    settings = plan.settings
    rows = rows_of(
        settings,
        origin_ns=_ORIGIN_NS,
        first=0,
        count=settings.frame_count,
        age_ms=shape.age_ms,
    )
    write_table(folder / SOAK_RUN.frames_name, rows)
    (folder / SOAK_RUN.telemetry_name).write_bytes(to_csv(telemetry_of(shape)))
    dropped_count = sum(row.is_dropped for row in rows)
    answered_count = len(rows) - dropped_count
    received_count = len(rows) + shape.received_error
    manifest = SoakManifest(
        schema_name=SOAK_SCHEMA,
        schema_version=1,
        notice=RESEARCH_NOTICE,
        requirement_ids=SOAK_REQUIREMENT_IDS,
        plan=plan,
        code=_code(),
        platform=platform_of(),
        operator="test",
        started_at="2026-01-01T00:00:00.000+00:00",
        ended_at="2026-01-01T01:03:00.000+00:00",
        clock_at_start=ClockReading(monotonic_ns=0, wall_ns=WALL_OFFSET_NS),
        clock_at_end=ClockReading(monotonic_ns=1, wall_ns=WALL_OFFSET_NS + 1),
        facts=SoakFacts(
            units=(UnitFacts(info=UNIT_INFO, model_sha256=DIGEST, reference_difference_max=0.0),),
            input=_input(),
            open_ns=1,
            counts=RunCounts(
                ended_because="source_ended",
                received_count=received_count,
                answered_count=answered_count,
                displaced_count=dropped_count,
                undelivered_count=0,
                unlisted_drop_count=0,
            ),
            record_line_count=answered_count + shape.line_count_error,
        ),
    )
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    (folder / LOG_NAME).write_text(json.dumps({"event": "soak_complete"}) + "\n", encoding="utf-8")
    write_sums(folder)
    return folder


def _code() -> CodeIdentity:
    """Return the identity of some code."""
    return CodeIdentity(
        commit="a" * 40,
        is_dirty=False,
        device_version="0.1.0",
        device_sha256=DIGEST,
        wheel_sha256=None,
        python="3.11",
        packages={},
    )


def _input() -> InputIdentity:
    """Return the identity of some pictures."""
    return InputIdentity(
        kind="texture",
        name="texture seed 1",
        file_sha256=None,
        pictures_sha256=DIGEST,
        picture_count=24,
    )
