"""The manifest of a bundle: what was recorded, with which code, where, by whom and when."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.record import Sha256Hex, UnitInfo
from trocar_lab.latency.clocks import ClockReading
from trocar_lab.latency.settings import PlannedRun, RecordSettings
from trocar_lab.provenance.platform_record import PlatformRecord

SCHEMA_NAME: Final = "trocar.latency_bundle"
SCHEMA_VERSION: Final = 1

TIME_DEFINITIONS: Final = {
    "t0_ns": "acquisition: the scheduled arrival of the frame at the open-loop source",
    "t1_ns": "the scheduler took the frame for the unit",
    "t2_ns": (
        "the computation was complete: the backend's call is synchronous and returns host memory,"
        " on a GPU too"
    ),
    "t3_ns": "the record was in the hands of the receiver",
    "age": "t3_ns - t0_ns; a dropped frame has none and is a miss",
    "service": "t3_ns - t1_ns",
    "not_covered": (
        "camera, capture, display: glass-to-glass delay needs a light sensor or a counter in the"
        " picture"
    ),
}


class InputIdentity(Contract):
    """Pictures of the source.

    Attributes:
        kind: ``clip`` or ``texture``.
        name: File name of the clip, or the seed.
        file_sha256: Digest of the clip's file, or None.
        pictures_sha256: Digest over the pixels that were shown.
        picture_count: Number of pictures, shown in turn.
    """

    kind: str
    name: str
    file_sha256: Sha256Hex | None
    pictures_sha256: Sha256Hex
    picture_count: int = Field(ge=2)


class CodeIdentity(Contract):
    """Code under test.

    Attributes:
        commit: Git commit, or empty without a repository.
        is_dirty: Whether the tree differed from the commit; None without a repository.
        device_version: Version of the device.
        device_sha256: Digest over every file of the installed device.
        wheel_sha256: Digest of the wheel it was installed from, where known.
        python: Version of Python.
        packages: Versions of the packages that can change a result.
    """

    commit: str
    is_dirty: bool | None
    device_version: str
    device_sha256: Sha256Hex
    wheel_sha256: Sha256Hex | None
    python: str
    packages: dict[str, str]


class UnitFacts(Contract):
    """One unit that ran.

    Attributes:
        info: Provenance of every result.
        model_sha256: Digest of the model file, or None for a unit without a model.
        reference_difference_max: Largest difference from the reference case, or None without one.
    """

    info: UnitInfo
    model_sha256: Sha256Hex | None
    reference_difference_max: float | None = Field(ge=0.0)


class RunFacts(Contract):
    """What a worker reports of its run, besides the raw tables.

    Attributes:
        run: The run.
        unit: Provenance of every result.
        model_sha256: Digest of the model file, or None for a unit without a model.
        engine_cache_sha256: Digest of the engine's cache, or None where there is none.
        input: Pictures.
        open_ns: Time to verify the pack, start the engine and replay the reference case [ns].
        reference_difference_max: Largest difference from the reference case, or None without one.
        load: What else ran, in words.
        beside: Units that answered for the same frames.
    """

    run: PlannedRun
    unit: UnitInfo
    model_sha256: Sha256Hex | None
    engine_cache_sha256: Sha256Hex | None
    input: InputIdentity
    open_ns: int = Field(ge=0)
    reference_difference_max: float | None = Field(ge=0.0)
    load: str
    beside: tuple[UnitFacts, ...] = ()


class BundleManifest(Contract):
    """The manifest; it holds no statistic, because each is computed from the raw files.

    Attributes:
        schema_name: Name of this format.
        schema_version: Its version.
        notice: Research notice.
        requirement_ids: Requirements that the bundle speaks to.
        settings: What was asked for.
        plan: Every run in the order in which it took place.
        code: Code under test.
        platform: The machine.
        operator: Who recorded it.
        started_at: Wall-clock time of the begin, ISO 8601 with zone.
        ended_at: The same of the end.
        clock_at_start: Both clocks at the begin.
        clock_at_end: Both clocks at the end.
        time_definitions: What each time means.
        runs: Facts of each run, in the order of the plan.
    """

    schema_name: Literal["trocar.latency_bundle"]
    schema_version: Literal[1]
    notice: str
    requirement_ids: tuple[str, ...]
    settings: RecordSettings
    plan: tuple[PlannedRun, ...] = Field(min_length=1)
    code: CodeIdentity
    platform: PlatformRecord
    operator: str = Field(min_length=1, max_length=200)
    started_at: str
    ended_at: str
    clock_at_start: ClockReading
    clock_at_end: ClockReading
    time_definitions: dict[str, str]
    runs: tuple[RunFacts, ...]
