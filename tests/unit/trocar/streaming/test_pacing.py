"""Waiting for a frame's time ends at once when the run is stopped."""

from __future__ import annotations

import pytest

from simulators.clock import FakeClock
from trocar.contracts.limits import NS_PER_MS, SLEEP_SLICE_MS_MAX
from trocar.streaming.pacing import undecodable, wait_until


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="boundary")
def test_waits_in_slices_until_the_very_time() -> None:
    """A pause of ten seconds between frames must not hold up Ctrl-C for ten seconds."""
    clock = FakeClock(0)
    assert wait_until(120 * NS_PER_MS, clock=clock, stop=lambda: False)
    slice_ns = SLEEP_SLICE_MS_MAX * NS_PER_MS
    assert clock.slept_until_ns == [slice_ns, 2 * slice_ns, 120 * NS_PER_MS]


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="requirement")
def test_stop_ends_the_wait() -> None:
    """A stopped run does not wait for a frame that it will not answer."""
    clock = FakeClock(0)
    assert not wait_until(NS_PER_MS, clock=clock, stop=lambda: True)
    assert clock.slept_until_ns == []


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="requirement")
def test_stand_in_has_no_pixels() -> None:
    """Nobody who does not know the stand-in can take it for a picture."""
    raw = undecodable("cut off", frame_index=3, captured_at_ns=1, source_id="a")
    assert raw.pixels.size == 0
    assert (raw.frame_index, raw.problem, raw.media_time_ns) == (3, "cut off", None)
