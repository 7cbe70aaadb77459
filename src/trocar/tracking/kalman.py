"""Constant-velocity filter of one coordinate, with the time between frames as it was.

A box has four coordinates (centre, width, height). With noise that is independent between them,
the filter of eight states falls apart into four of two states each; these are written out in
scalars, which costs microseconds where small matrices cost tens of them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Axis", "begin", "correct", "predict"]


class Axis(NamedTuple):
    """What is known of one coordinate: its value, its rate, and how sure that is.

    Attributes:
        value: The coordinate [px].
        rate: Its change [px/s].
        var_value: Variance of the value [px^2].
        cov: Covariance of value and rate [px^2/s].
        var_rate: Variance of the rate [px^2/s^2].
    """

    value: float
    rate: float
    var_value: float
    cov: float
    var_rate: float


def begin(measured: float, *, var_measured: float, var_rate: float) -> Axis:
    """Return what is known after the first measurement: the place, and nothing of the rate.

    Args:
        measured: The coordinate [px].
        var_measured: Variance of the measurement [px^2], above 0.
        var_rate: Variance of the rate that must be reckoned with [px^2/s^2].
    """
    return Axis(measured, 0.0, var_measured, 0.0, var_rate)


def predict(axis: Axis, dt_s: float, *, acceleration_psd: float) -> Axis:
    """Return what is known some time later, with no measurement meanwhile.

    Args:
        axis: What was known.
        dt_s: Time that has passed [s], at least 0.
        acceleration_psd: Power spectral density of the white acceleration [px^2/s^3].

    Source:
        Bar-Shalom, Li, Kirubarajan 2001, Estimation with Applications to Tracking and Navigation,
        section 6.2.2 (continuous white noise acceleration model), doi 10.1002/0471221279.
    """
    value, rate, var_value, cov, var_rate = axis
    # F P F' with F = [[1, dt], [0, 1]], and Q = psd * [[dt^3/3, dt^2/2], [dt^2/2, dt]].
    noise = acceleration_psd * dt_s
    return Axis(
        value + rate * dt_s,
        rate,
        var_value + dt_s * (2.0 * cov + dt_s * (var_rate + noise / 3.0)),
        cov + dt_s * (var_rate + 0.5 * noise),
        var_rate + noise,
    )


def correct(axis: Axis, measured: float, *, var_measured: float) -> Axis:
    """Return what is known after a measurement.

    The variances are updated in Joseph's form, which keeps them positive under rounding.

    Args:
        axis: What was known.
        measured: The coordinate [px].
        var_measured: Variance of the measurement [px^2], above 0.

    Source:
        Bar-Shalom, Li, Kirubarajan 2001, section 5.2.6 (Joseph form of the covariance update).
    """
    value, rate, var_value, cov, var_rate = axis
    innovation = measured - value
    total = var_value + var_measured
    gain, gain_rate = var_value / total, cov / total
    rest = 1.0 - gain
    # (I - K H) P (I - K H)' + K R K', written out.
    return Axis(
        value + gain * innovation,
        rate + gain_rate * innovation,
        rest * rest * var_value + gain * gain * var_measured,
        rest * (cov - gain_rate * var_value) + gain * gain_rate * var_measured,
        var_rate - 2.0 * gain_rate * cov + gain_rate * gain_rate * (var_value + var_measured),
    )
