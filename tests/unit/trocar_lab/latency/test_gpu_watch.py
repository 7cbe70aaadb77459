"""The state of a discrete GPU is what its tool says, as long as it says it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from trocar_lab.latency.gpu_watch import (
    NO_GPU_READING,
    TOOL,
    GpuReading,
    GpuWatch,
    reading_of,
    reasons_of,
)

pytestmark = pytest.mark.verifies("SRS_LATE_006", extent="full", technique="requirement")

WAIT_SECONDS_MAX: Final = 30.0


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        ("1410, 47, 92.31, 0x0000000000000004", GpuReading(1410.0, 47.0, 92.31, 4)),
        ("[N/A], 47, [Not Supported], [N/A]", GpuReading(None, 47.0, None, None)),
        ("no devices were found", NO_GPU_READING),
        ("", NO_GPU_READING),
    ],
)
def test_line_of_the_tool(line: str, reading: GpuReading) -> None:
    """What is not a number is not told, and never guessed."""
    assert reading_of(line) == reading


@pytest.mark.verifies("SRS_LATE_007", extent="partial", technique="equivalence")
def test_idle_is_no_throttling() -> None:
    """An idle GPU and clocks set by hand are no fault of the machine."""
    assert reasons_of(0x1 | 0x2) == []
    assert reasons_of(0x1 | 0x4 | 0x40) == ["power cap", "temperature, by the hardware"]


def test_machine_without_the_tool_gives_empty_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tool, no process, no reading."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with GpuWatch() as watch:
        assert watch.newest() == NO_GPU_READING


def test_newest_line_is_the_reading_and_the_tool_ends_with_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that prints twice: the second line counts, until it is too old."""
    tool = tmp_path / TOOL
    tool.write_text(
        "#!/bin/sh\necho '1000, 40, 50.0, 0x0'\necho '1410, 47, 92.5, 0x4'\nexec sleep 60\n",
        encoding="utf-8",
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    wanted = GpuReading(1410.0, 47.0, 92.5, 4)
    with GpuWatch() as watch:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while watch.newest() != wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        assert watch.newest() == wanted
        monkeypatch.setattr("trocar_lab.latency.gpu_watch.AGE_S_MAX", -1)
        assert watch.newest() == NO_GPU_READING
