"""Seeded worlds of faults: each frame is answered once, for itself, or withheld with the reason."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from simulators.faults import Fault, FaultyWorld, Planned
from simulators.scripted_run import ScriptedRun
from simulators.source import ListSource
from trocar.contracts.findings import PolypMask
from trocar.contracts.outcome import Withheld
from trocar.contracts.record import FrameRecord
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig

SEEDS: Final = range(24)
NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _run(world: FaultyWorld, path: Path) -> ScriptedRun:
    """Run the real unit through a world; nothing may be raised."""
    run = ScriptedRun(
        ListSource(world.items()), world.unit(), clock=world.clock, sinks=[JsonlSink(path)]
    )
    run.go()
    return run


def _require_answer(world: FaultyWorld, planned: Planned, record: FrameRecord) -> None:
    """Check one record against what must become of its frame."""
    assert record.frame_index == planned.raw.frame_index, planned.fault
    outcome = record.outcome
    if planned.reason is not None:
        assert isinstance(outcome, Withheld), planned.fault
        assert outcome.reason is planned.reason, planned.fault
        return
    assert isinstance(outcome, PolypMask), (planned.fault, outcome)
    rows, columns = np.nonzero(outcome.mask.pixels)
    middle = (float(rows.mean()) + 0.5, float(columns.mean()) + 0.5)
    assert middle == pytest.approx(world.place_of(planned.shows_index), abs=0.6), planned.fault


@pytest.mark.verifies(
    "SRS_STREAM_005", "SRS_STREAM_009", extent="full", technique="fault_injection"
)
@pytest.mark.verifies(
    "SRS_OUTCOME_001", "SRS_POLYP_005", extent="full", technique="fault_injection"
)
@pytest.mark.controls("RCM_ADMIT_001", "RCM_QUALITY_001", "RCM_NONFINITE_001", "RCM_ORDER_001")
@pytest.mark.controls("RCM_FROZEN_001", "RCM_STALE_001")
@pytest.mark.proves_effect(
    "RCM_FRAMEID_001",
    measure="frames whose mask is that of another frame, in 24 seeded worlds of 19 kinds of fault",
    acceptance="none",
)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_frame_gets_its_own_answer_or_the_right_reason(seed: int, tmp_path: Path) -> None:
    """Whatever came before it: no fault may spoil the frame after it."""
    world = FaultyWorld(seed)
    run = _run(world, tmp_path / "r.jsonl")
    records = run.sink.records
    assert len(records) == len(world.planned)
    for planned, record in zip(world.planned, records, strict=True):
        _require_answer(world, planned, record)
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line["frame_index"] for line in lines] == [record.frame_index for record in records]


@pytest.mark.verifies("SRS_STREAM_002", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_LEDGER_001")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_account_adds_up_and_a_lost_frame_leaves_a_gap(seed: int, tmp_path: Path) -> None:
    """What the source never delivered is not in the account, but its number is missing."""
    world = FaultyWorld(seed)
    run = _run(world, tmp_path / "r.jsonl")
    (summary,) = run.ends
    reasons = Counter(one.reason for one in world.planned if one.reason is not None)
    assert summary.received_count == summary.answered_count == len(world.planned)
    assert dict(summary.withheld_counts) == dict(reasons)
    assert summary.finding_count == len(world.planned) - reasons.total()
    seen = {record.frame_index for record in run.sink.records}
    assert world.lost_indices
    assert not seen & set(world.lost_indices)


@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="equivalence")
def test_every_kind_of_fault_occurs() -> None:
    """A fault that no world contains is a fault that nobody has looked at."""
    for seed in SEEDS:
        world = FaultyWorld(seed)
        kinds = {one.fault for one in world.planned}
        assert kinds | {Fault.LOST} == set(Fault)
        assert world.lost_indices


@pytest.mark.verifies("SRS_STREAM_002", extent="partial", technique="equivalence")
def test_the_same_seed_is_the_same_world(tmp_path: Path) -> None:
    """A failure can be played again, to the byte."""
    lines = []
    for name in ("a", "b"):
        _run(FaultyWorld(7), tmp_path / name)
        lines.append((tmp_path / name).read_bytes())
    assert lines[0] == lines[1]


@pytest.mark.verifies("SRS_STREAM_003", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_DEADLINE_001")
def test_step_of_the_wall_clock_moves_nothing(tmp_path: Path) -> None:
    """Ages and verdicts are monotonic; only begin and end of the summary have a date."""
    lines, dates = [], []
    for name, ends_at in (("still", NOON), ("back", NOON - timedelta(days=1))):
        world = FaultyWorld(3)
        wall = iter((NOON, ends_at))
        summary = run_stream(
            ListSource(world.items()),
            [world.unit()],
            [JsonlSink(tmp_path / name)],
            clock=world.clock,
            config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
            stop=lambda: False,
            wall_clock=wall.__next__,
        )
        lines.append((tmp_path / name).read_bytes())
        dates.append((summary.started_at, summary.ended_at, summary.duration_ms))
    assert lines[0] == lines[1]
    assert dates[1][1] < dates[1][0]
    assert dates[0][2] == dates[1][2]
