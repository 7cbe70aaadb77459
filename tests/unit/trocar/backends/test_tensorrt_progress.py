"""Nested phases become one share that never falls."""

from __future__ import annotations

import pytest

from trocar.backends.tensorrt_progress import BuildPhases, BuildProgress


@pytest.mark.verifies("SRS_TRT_002", "UNIT_TRT_PROGRESS", extent="full", technique="requirement")
def test_share_counts_what_is_done_inside_a_step() -> None:
    """Half of the first of two steps is a quarter of the whole."""
    phases = BuildPhases()
    assert phases.now() == BuildProgress("starting", 0)
    phases.start("outer", 2)
    phases.start("inner", 4)
    for step, percent in enumerate((12, 25, 37, 50)):
        assert phases.step("inner", step)
        assert phases.now() == BuildProgress("inner", percent)
    phases.finish("inner")
    assert phases.step("outer", 0)
    assert phases.now() == BuildProgress("outer", 50)


@pytest.mark.verifies("SRS_TRT_002", extent="partial", technique="boundary")
def test_share_never_falls_and_is_whole_only_when_the_engine_is_there() -> None:
    """Phases are opened again for the next part of a network, and some have no step at all."""
    phases = BuildPhases()
    phases.start("outer", 1)
    phases.step("outer", 0)
    assert phases.now().percent == 99
    phases.start("again", 0)
    phases.step("again", 0)
    assert phases.now().percent == 99
    assert phases.complete() == BuildProgress("engine built", 100)


@pytest.mark.verifies("SRS_TRT_002", extent="partial", technique="fault_injection")
def test_steps_out_of_place_change_nothing() -> None:
    """A library may report a step of a phase that it has closed, twice, or beyond the last."""
    phases = BuildPhases()
    phases.finish("unknown")
    assert phases.step("unknown", 3)
    assert phases.now() == BuildProgress("starting", 0)
    phases.start("outer", 4)
    phases.step("outer", 2)
    phases.step("outer", 0)
    assert phases.now().percent == 75
    phases.step("outer", 400)
    assert phases.now().percent == 99


@pytest.mark.verifies("SRS_TRT_002", extent="partial", technique="requirement")
def test_step_after_cancel_asks_for_the_end() -> None:
    """This is how the library is told."""
    phases = BuildPhases()
    phases.start("outer", 2)
    phases.cancel()
    assert not phases.step("outer", 0)
