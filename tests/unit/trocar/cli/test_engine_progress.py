"""Who waits for an engine sees that it goes on, and no more lines than can be read."""

from __future__ import annotations

import pytest

from trocar.backends.tensorrt_progress import BuildProgress
from trocar.cli.engine_progress import EngineProgress


@pytest.mark.verifies("SRS_TRT_002", "UNIT_TRT_SCREEN", extent="full", technique="requirement")
def test_each_phase_and_each_five_per_cent_is_one_line() -> None:
    """The same state ten times a second is not news."""
    lines: list[str] = []
    progress = EngineProgress(lines.append)
    for percent, phase in ((0, "a"), (0, "a"), (4, "a"), (5, "a"), (6, "b"), (7, "a"), (100, "c")):
        progress(BuildProgress(phase, percent))
    assert lines == [
        *("engine:   0 % a", "engine:   5 % a", "engine:   6 % b", "engine: 100 % c"),
    ]


@pytest.mark.verifies("SRS_TRT_002", extent="partial", technique="boundary")
def test_number_of_lines_is_bounded() -> None:
    """A library that gives each layer a phase of its own."""
    lines: list[str] = []
    progress = EngineProgress(lines.append)
    for number in range(1000):
        progress(BuildProgress(f"layer {number}", 0))
    assert len(lines) == 64


@pytest.mark.verifies("SRS_TRT_002", extent="partial", technique="example")
def test_second_engine_begins_anew() -> None:
    """Two units in one run."""
    lines: list[str] = []
    progress = EngineProgress(lines.append)
    for percent, phase in ((0, "a"), (100, "b"), (0, "a")):
        progress(BuildProgress(phase, percent))
    assert lines == ["engine:   0 % a", "engine: 100 % b", "engine:   0 % a"]
