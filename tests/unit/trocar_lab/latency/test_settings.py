"""Plan and schedule are functions of the settings."""

from __future__ import annotations

import pytest

from trocar_lab.latency.settings import Arm, RecordSettings, plan_runs

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="property")


def test_plan_holds_every_run_once_in_an_order_of_the_seed() -> None:
    """Arms are mixed, so that a slow drift of the machine does not fall on one of them."""
    first, again, other = (plan_runs(RecordSettings(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {run.name for run in first} == {f"{a.value}-{n:02d}" for a in Arm for n in range(1, 6)}
    assert len(first) == 20
    assert [run.arm for run in first] != sorted(run.arm for run in first)


def test_only_the_idle_gap_arm_is_cut_into_stretches() -> None:
    """The stretches cover each frame once."""
    settings = RecordSettings(frame_count=700, stretch=300)
    assert settings.stretches(Arm.IDLE) == ((0, 700),)
    assert settings.stretches(Arm.IDLE_GAP) == ((0, 300), (300, 300), (600, 100))


def test_schedule_does_not_drift() -> None:
    """A rate that does not divide a second keeps its mean."""
    settings = RecordSettings(fps=30)
    assert settings.offset_ns(30) == 1_000_000_000
    assert settings.offset_ns(1) == 33_333_333
    assert settings.offset_ns(300_000) == 10_000_000_000_000
