"""Arrival is the capture time of a live picture, unless the picture is shown to have waited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trocar.contracts.limits import NS_PER_MS, NS_PER_S
from trocar.streaming.arrival import ArrivalTimes

BEGIN_NS = 7 * NS_PER_S
PERIOD_NS = 40 * NS_PER_MS
PTS_NS = 900 * NS_PER_S


@pytest.mark.verifies("SRS_LIVE_002", extent="full", technique="requirement")
def test_punctual_pictures_are_captured_when_they_arrive() -> None:
    """Media time counts from the first picture, whatever the sender's clock says."""
    times = ArrivalTimes()
    got = [times.place(BEGIN_NS + i * PERIOD_NS, PTS_NS + i * PERIOD_NS) for i in range(3)]
    assert got == [(BEGIN_NS + i * PERIOD_NS, i * PERIOD_NS) for i in range(3)]


@pytest.mark.verifies("SRS_LIVE_004", extent="partial", technique="requirement")
@pytest.mark.proves_effect(
    "RCM_LIVE_004", measure="old pictures of a burst that pass for fresh", acceptance="0"
)
def test_burst_after_a_standstill_is_old() -> None:
    """Pictures that waited two seconds arrive at once: their capture times say when they were."""
    times = ArrivalTimes()
    for i in range(25):
        times.place(BEGIN_NS + i * PERIOD_NS, PTS_NS + i * PERIOD_NS)
    burst_ns = BEGIN_NS + 75 * PERIOD_NS
    got = [times.place(burst_ns + i, PTS_NS + (25 + i) * PERIOD_NS)[0] for i in range(50)]
    assert got == [BEGIN_NS + (25 + i) * PERIOD_NS for i in range(50)]


@pytest.mark.verifies("SRS_LIVE_004", extent="partial", technique="requirement")
def test_delay_that_stays_counts_as_the_stream_again_after_two_windows() -> None:
    """A longer way through the network is not an old picture for ever, nor is a drifting clock."""
    times = ArrivalTimes()
    times.place(BEGIN_NS, PTS_NS)
    delay_ns = 100 * NS_PER_MS
    ages = []
    for i in range(1, 400):
        arrived_ns = BEGIN_NS + i * PERIOD_NS + delay_ns
        ages.append(arrived_ns - times.place(arrived_ns, PTS_NS + i * PERIOD_NS)[0])
    assert ages[0] == delay_ns
    assert ages[-1] == 0
    assert ages.index(0) * PERIOD_NS <= 10 * NS_PER_S + PERIOD_NS


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="boundary")
def test_new_connection_and_a_jump_of_the_senders_clock_begin_a_new_axis() -> None:
    """Times of another connection say nothing of this one; media time goes on by our clock."""
    times = ArrivalTimes()
    times.place(BEGIN_NS, PTS_NS)
    times.begin()
    later_ns = BEGIN_NS + 3 * NS_PER_S
    assert times.place(later_ns, 5) == (later_ns, 3 * NS_PER_S)
    jumped_ns = later_ns + PERIOD_NS
    assert times.place(jumped_ns, 999 * NS_PER_S) == (jumped_ns, 3 * NS_PER_S + PERIOD_NS)


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="requirement")
def test_stream_without_times_is_timed_by_arrival() -> None:
    """Some devices give none."""
    times = ArrivalTimes()
    assert times.place(BEGIN_NS, None) == (BEGIN_NS, 0)
    assert times.place(BEGIN_NS + 9, None) == (BEGIN_NS + 9, 9)


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="property")
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 20 * NS_PER_S),
            st.none() | st.integers(-(10**12), 10**13),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_whatever_a_sender_says_times_never_run_backwards(
    steps: list[tuple[int, int | None, bool]],
) -> None:
    """And no picture is captured after it came."""
    times = ArrivalTimes()
    now_ns, before = BEGIN_NS, (0, -1)
    for step_ns, pts_ns, is_new in steps:
        now_ns += step_ns
        if is_new:
            times.begin()
        captured_ns, media_ns = times.place(now_ns, pts_ns)
        assert before[0] <= captured_ns <= now_ns
        assert media_ns > before[1]
        before = (captured_ns, media_ns)
