"""The filter of one coordinate agrees with the filter in matrices, and stays sound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trocar.tracking.kalman import Axis, begin, correct, predict

START = Axis(value=100.0, rate=-20.0, var_value=9.0, cov=4.0, var_rate=50.0)


def _matrices(axis: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return state and covariance as arrays."""
    covariance = np.array([[axis.var_value, axis.cov], [axis.cov, axis.var_rate]])
    return np.array([axis.value, axis.rate]), covariance


def _same(axis: Axis, state: NDArray[np.float64], covariance: NDArray[np.float64]) -> bool:
    """Return whether a state is that of the matrices."""
    ours = _matrices(axis)
    return bool(np.allclose(ours[0], state, rtol=1e-9) and np.allclose(ours[1], covariance))


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
@pytest.mark.parametrize("dt_s", [0.0, 0.01, 0.04, 0.5, 2.0])
def test_prediction_is_that_of_the_textbook(dt_s: float) -> None:
    """F x and F P F' + Q of the continuous white noise acceleration model."""
    state, covariance = _matrices(START)
    move = np.array([[1.0, dt_s], [0.0, 1.0]])
    noise = 7.0 * np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    moved = predict(START, dt_s, acceleration_psd=7.0)
    assert _same(moved, move @ state, move @ covariance @ move.T + noise)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
@pytest.mark.parametrize("measured", [100.0, 90.0, 300.0])
@pytest.mark.parametrize("var_measured", [0.01, 4.0, 1e6])
def test_correction_is_that_of_the_textbook(measured: float, var_measured: float) -> None:
    """Gain P H' / (H P H' + R); covariance in the short form, which is equal in exact numbers."""
    state, covariance = _matrices(START)
    gain = covariance[:, 0] / (covariance[0, 0] + var_measured)
    expected = (np.eye(2) - np.outer(gain, [1.0, 0.0])) @ covariance
    found = correct(START, measured, var_measured=var_measured)
    assert _same(found, state + gain * (measured - state[0]), expected)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
def test_beginning_knows_the_place_and_nothing_of_the_rate() -> None:
    """A rate of 0 with its own variance, and no link between both."""
    assert begin(12.0, var_measured=3.0, var_rate=400.0) == Axis(12.0, 0.0, 3.0, 0.0, 400.0)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="equivalence")
def test_one_long_step_is_two_short_ones() -> None:
    """A dropped frame must not change what is known: only the time that passed counts."""
    once = predict(START, 0.08, acceleration_psd=7.0)
    twice = predict(predict(START, 0.03, acceleration_psd=7.0), 0.05, acceleration_psd=7.0)
    assert once == pytest.approx(twice)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="property")
@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(1e-6, 60.0), st.floats(-1e4, 1e4), st.booleans()), max_size=60
    ),
    noise=st.floats(1e-6, 1e6),
    psd=st.floats(1e-6, 1e8),
)
def test_variances_stay_positive(
    steps: list[tuple[float, float, bool]], noise: float, psd: float
) -> None:
    """After any row of steps the covariance is one: finite, positive, no correlation above 1."""
    axis = begin(0.0, var_measured=noise, var_rate=psd)
    for dt_s, measured, is_seen in steps:
        axis = predict(axis, dt_s, acceleration_psd=psd)
        if is_seen:
            axis = correct(axis, measured, var_measured=noise)
        assert all(math.isfinite(number) for number in axis)
        assert axis.var_value > 0.0
        assert axis.var_rate > 0.0
        assert axis.cov**2 <= axis.var_value * axis.var_rate * (1.0 + 1e-6)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
def test_steady_motion_is_followed_without_lag() -> None:
    """At a constant speed the estimate is on the place, and the speed is found."""
    axis = begin(0.0, var_measured=1.0, var_rate=1e4)
    for frame in range(1, 200):
        axis = predict(axis, 0.04, acceleration_psd=1.0)
        axis = correct(axis, 3.0 * frame, var_measured=1.0)
    assert axis.value == pytest.approx(3.0 * 199, abs=1e-3)
    assert axis.rate == pytest.approx(75.0, rel=1e-3)
