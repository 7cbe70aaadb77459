"""Synthetic latency bundles: every file as a recording leaves it, with ages of choice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trocar import RESEARCH_NOTICE
from trocar.contracts.limits import NS_PER_MS, NS_PER_S
from trocar.contracts.record import BackendInfo, UnitInfo
from trocar_lab.latency.clocks import ClockReading
from trocar_lab.latency.frame_table import DROPPED, FrameRow, read_table, write_table
from trocar_lab.latency.manifest import (
    SCHEMA_NAME,
    SCHEMA_VERSION,
    TIME_DEFINITIONS,
    BundleManifest,
    CodeIdentity,
    InputIdentity,
    RunFacts,
)
from trocar_lab.latency.record import write_sums
from trocar_lab.latency.settings import (
    LOG_NAME,
    MANIFEST_NAME,
    REQUIREMENT_IDS,
    Arm,
    PlannedRun,
    RecordSettings,
    plan_runs,
)
from trocar_lab.latency.telemetry import Telemetry, to_csv
from trocar_lab.provenance.platform_record import PlatformRecord

DIGEST = "0" * 64
WALL_OFFSET_NS = 1_700_000_000 * NS_PER_S
RUN_SPAN_NS = 100_000 * NS_PER_S

AgeMs = Callable[[int], float | None]
"""Age of the result of each timed frame [ms]; None where it was dropped."""


def twenty_ms(frame_index: int) -> float | None:
    """Return one age for every frame."""
    del frame_index
    return 20.0


def settings_of(**changes: object) -> RecordSettings:
    """Return settings that the budget of a surrogate accepts, with some changed."""
    return RecordSettings.model_validate({"arms": (Arm.IDLE,), "frame_count": 600, **changes})


def platform_of(**changes: object) -> PlatformRecord:
    """Return the record of a surrogate."""
    facts: dict[str, object] = {
        "platform_class": "surrogate",
        "tegra_release": "",
        "board_model": "",
        "machine": "x86_64",
        "cpu_model": "Test CPU",
        "cpu_count": 2,
        "memory_bytes": 1,
        "kernel": "6",
        "is_realtime_kernel": False,
        "governors": (),
        "isolated_cpus": "",
        "boot_words": (),
        "rt_runtime_us": "950000",
        "scheduler": "other priority 0 nice 0",
        "affinity": (0, 1),
        "tools": {},
    }
    return PlatformRecord.model_validate({**facts, **changes})


def agx_platform() -> PlatformRecord:
    """Return the record of a Clara AGX class module."""
    return platform_of(
        platform_class="agx",
        machine="aarch64",
        tegra_release="# R35 (release), REVISION: 4.1",
        board_model="NVIDIA IGX Orin Developer Kit",
    )


def rows_of(
    settings: RecordSettings, *, origin_ns: int, first: int, count: int, age_ms: AgeMs
) -> list[FrameRow]:
    """Return one stretch of frames; a late one holds up those after it."""
    rows = []
    free_ns = 0
    for number in range(count):
        index = first + number
        t0_ns = origin_ns + settings.offset_ns(number)
        age = age_ms(index)
        if age is None:
            rows.append(FrameRow(index, t0_ns, None, None, None, DROPPED, "displaced", DROPPED))
            continue
        wanted_ns = t0_ns + round(age * NS_PER_MS)
        t1_ns = max(t0_ns, wanted_ns - 10 * NS_PER_MS, free_ns)
        t2_ns = max(wanted_ns, t1_ns)
        free_ns = t2_ns
        verdict = "met" if t2_ns - t0_ns <= settings.deadline_ms * NS_PER_MS else "missed"
        rows.append(FrameRow(index, t0_ns, t1_ns, t2_ns, t2_ns, "polyp_mask", "", verdict))
    return rows


def write_bundle(
    folder: Path,
    settings: RecordSettings,
    *,
    age_ms: AgeMs = twenty_ms,
    platform: PlatformRecord | None = None,
    is_dirty: bool = False,
) -> Path:
    """Write a whole bundle; return its folder."""
    folder.mkdir()
    plan = plan_runs(settings)
    for number, run in enumerate(plan, start=1):
        _write_run(folder, run, settings, begin_ns=number * RUN_SPAN_NS, age_ms=age_ms)
    end_ns = (len(plan) + 1) * RUN_SPAN_NS
    manifest = BundleManifest(
        schema_name=SCHEMA_NAME,
        schema_version=SCHEMA_VERSION,
        notice=RESEARCH_NOTICE,
        requirement_ids=REQUIREMENT_IDS,
        settings=settings,
        plan=plan,
        code=_code(is_dirty=is_dirty),
        platform=platform or platform_of(),
        operator="test",
        started_at="2026-01-01T00:00:00.000+00:00",
        ended_at="2026-01-01T01:00:00.000+00:00",
        clock_at_start=ClockReading(monotonic_ns=0, wall_ns=WALL_OFFSET_NS),
        clock_at_end=ClockReading(monotonic_ns=end_ns, wall_ns=end_ns + WALL_OFFSET_NS),
        time_definitions=TIME_DEFINITIONS,
        runs=tuple(_facts(run) for run in plan),
    )
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    events: list[dict[str, object]] = [{"event": "bundle_started"}]
    for run in plan:
        events += [
            {"event": "run_started", "run": run.name},
            {"event": "run_ended", "run": run.name, "exit_code": 0},
        ]
    events.append({"event": "bundle_complete"})
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / LOG_NAME).write_text(lines, encoding="utf-8")
    write_sums(folder)
    return folder


def edit_rows(path: Path, edit: Callable[[list[FrameRow]], Sequence[FrameRow]]) -> None:
    """Change the rows of a table and write fresh sums, as a careful forger would."""
    write_table(path, list(edit(read_table(path))))
    write_sums(path.parent)


def edit_json(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file and write fresh sums."""
    parsed = json.loads(path.read_text(encoding="utf-8"))
    edit(parsed)
    path.write_text(json.dumps(parsed), encoding="utf-8")
    write_sums(path.parent)


def _write_run(
    folder: Path, run: PlannedRun, settings: RecordSettings, *, begin_ns: int, age_ms: AgeMs
) -> None:
    """Write the raw files of one run."""
    warm_count = 1 + 3 * settings.warm_up_block
    warm_up = rows_of(settings, origin_ns=begin_ns, first=0, count=warm_count, age_ms=twenty_ms)
    write_table(folder / run.warm_up_name, warm_up)
    begin_ns = warm_up[-1].t0_ns + NS_PER_S
    rows: list[FrameRow] = []
    for first, count in settings.stretches(run.arm):
        rows += rows_of(settings, origin_ns=begin_ns, first=first, count=count, age_ms=age_ms)
        begin_ns = rows[-1].t0_ns + settings.gap_s * NS_PER_S
    write_table(folder / run.frames_name, rows)
    times_ns = range(warm_up[0].t0_ns - NS_PER_S, rows[-1].t0_ns + 10 * NS_PER_S, NS_PER_S // 2)
    samples = [
        Telemetry(
            monotonic_ns=time_ns,
            wall_ns=time_ns + WALL_OFFSET_NS,
            load_1m=0.5,
            cpu_mhz_min=2000.0,
            cpu_mhz_max=2000.0,
            gpu_mhz=None,
            temperature_c_max=50.0,
            throttle_count=7.0,
            rss_bytes=1e8,
        )
        for time_ns in times_ns
    ]
    (folder / run.telemetry_name).write_bytes(to_csv(samples))


def _code(*, is_dirty: bool) -> CodeIdentity:
    """Return the identity of some code."""
    return CodeIdentity(
        commit="a" * 40,
        is_dirty=is_dirty,
        device_version="0.1.0",
        device_sha256=DIGEST,
        wheel_sha256=None,
        python="3.11",
        packages={},
    )


def _facts(run: PlannedRun) -> RunFacts:
    """Return the facts of one run."""
    backend = BackendInfo(
        engine="engine 1", provider="CPUExecutionProvider", precision="fp32", thread_count=2
    )
    return RunFacts(
        run=run,
        unit=UnitInfo(
            unit="polyp_segmentation",
            unit_version="0.1.0",
            pack_id="tiny 0.0.1",
            pack_digest=DIGEST,
            backend=backend,
        ),
        model_sha256=DIGEST,
        engine_cache_sha256=None,
        input=InputIdentity(
            kind="texture",
            name="texture seed 1",
            file_sha256=None,
            pictures_sha256=DIGEST,
            picture_count=24,
        ),
        open_ns=1,
        reference_difference_max=0.0,
        load="nothing else was started",
    )
