"""Generated code keeps its digits where the terms of a loss cancel.

Expected are the formulas of ``tests/cases/good/cancellation.yaml``, written out here
for mpmath at 200 digits; first and second derivatives are worked out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import generating
import numpy as np
import pytest
import tensorflow as tf
from mpmath import mp, mpf

Formula = Callable[[mpf, mpf], tuple[mpf, mpf, mpf]]
"""From label and prediction to value, slope and second derivative."""


def fair(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    r = abs(p - t)
    return r - mp.log1p(r), (p - t) / (1 + r), 1 / (1 + r) ** 2


def linex(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return mp.expm1(p - t) - (p - t), mp.expm1(p - t), mp.exp(p - t)


def bowl(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    d, a = p - t, mpf(1) / 4
    base = 1 + d * d
    second = 2 * a * base ** (a - 1) + 4 * a * (a - 1) * d * d * base ** (a - 2)
    return base**a - 1, 2 * a * d * base ** (a - 1), second


def cubed_gap(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return 1 - (1 - p) ** 3, 3 * (1 - p) ** 2, -6 * (1 - p)


def saturating(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    d = p - t
    base = 1 + d * d
    return d * d / base, 2 * d / base**2, (2 - 6 * d * d) / base**3


def count_deviance(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    entropy = t * mp.log(t / p) if t else mpf(0)
    return entropy - t + p, (p - t) / p, t / p**2


def spectral(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return t / p - mp.log(t / p) - 1, (p - t) / p**2, (2 * t - p) / p**3


def log_cosh(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    d = p - t
    return mp.log(mp.cosh(d)), mp.tanh(d), mp.sech(d) ** 2


def hyperbola(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    d = p - t
    root = mp.sqrt(1 + d * d)
    return root - 1, d / root, 1 / root**3


def turned(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return 1 - mp.cos(p - t), mp.sin(p - t), mp.cos(p - t)


def log_rate(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return mp.exp(p) - t * p, mp.exp(p) - t, mp.exp(p)


def log_excess(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    d = mp.log((1 + p) / (1 + t))
    return d * d, 2 * d / (1 + p), 2 * (1 - d) / (1 + p) ** 2


def log_gap(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    d = mp.log(p / t)
    return d * d, 2 * d / p, 2 * (1 - d) / p**2


def capped_deviance(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    deviance, slope, bend = count_deviance(t, p)
    return (deviance, slope, bend) if deviance < 2 else (mpf(2), mpf(0), mpf(0))


RESIDUALS = [1e-12, -1e-7, 1e-4, 0.02, -0.3, 0.45, 0.55, 0.9, -1.1, 2.5, -7.0, 12.0]
SHARES = [1e-12, 1e-4, 0.02, 0.3, 0.45, 0.55, 0.9, 0.999]
FAR = [1e3, -1e5, 1e9, 1e12]
LARGE = 2.0**59
FROM_LARGE = [0.0, 1e-6, 1.0, 7000.0, *(LARGE * (1 + k / 2**12) for k in range(-9, 9))]
NEAR_ONE = [0.1, 0.49, 0.51, 0.75, 0.999, 1.0, 1.0001, 1.3, 1.99, 2.01, 30.0]

CASES: dict[str, tuple[Formula, float, list[float]]] = {
    "fair_loss": (fair, 0.0, RESIDUALS + FAR),
    "linex_loss": (linex, 0.0, RESIDUALS),
    "bowl": (bowl, 0.0, RESIDUALS + FAR),
    "cubed_gap": (cubed_gap, 0.0, SHARES),
    "saturating_square": (saturating, 0.0, RESIDUALS + FAR),
    "count_deviance": (count_deviance, 1.0, NEAR_ONE),
    "spectral_deviance": (spectral, 1.0, NEAR_ONE),
    "smooth_absolute": (log_cosh, 0.0, RESIDUALS),
    "hyperbola": (hyperbola, 0.0, RESIDUALS + FAR),
    "turned": (turned, 0.0, RESIDUALS),
    "log_excess": (log_excess, LARGE, FROM_LARGE),
    "log_gap": (log_gap, LARGE, FROM_LARGE[1:]),
    "capped_deviance": (capped_deviance, 1.0, NEAR_ONE),
    "log_rate": (log_rate, 1.0, [*RESIDUALS, -40.0, 60.0]),
}


def computed(name: str, target: Any, rows: Any, xla: bool) -> list[Any]:
    """Value, slope and second derivative by the prediction."""
    function = generating.function(name)

    @tf.function(jit_compile=xla)
    def run(t: tf.Tensor, p: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as outer:
            outer.watch(p)
            with tf.GradientTape() as inner:
                inner.watch(p)
                value = function(t, p)
            slope = inner.gradient(value, p)
        return value, slope, outer.gradient(slope, p)

    found = run(tf.constant(target), tf.constant(rows))
    return [np.reshape(item, -1) for item in found]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_and_derivatives(name: str, xla: bool, dtype: str) -> None:
    formula, label, predictions = CASES[name]
    rows = np.array(predictions, dtype)[:, np.newaxis]
    found = computed(name, np.full_like(rows, label), rows, xla)
    unit = float(np.finfo(dtype).eps)
    with mp.workdps(200):
        for index, row in enumerate(rows):
            expected = formula(mpf(label), mpf(float(row[0])))
            for order, exact in enumerate(expected):
                # The condition of an input counts; see docs of the accuracy benchmark.
                size = float(abs(exact))
                allowed = (8 if order < 2 else 32) * unit * size
                if order < 2:
                    allowed += 8 * unit * float(abs(row[0] * expected[order + 1]))
                else:
                    allowed += 32 * unit
                got = float(found[order][index])
                assert abs(got - float(exact)) <= allowed, (order, row, got, exact)


@pytest.mark.parametrize("xla", [False, True])
def test_a_count_of_0_has_a_deviance(xla: bool) -> None:
    """With no event the deviance is the mean itself."""
    rows = np.array([[1e-3], [1.0], [50.0]], np.float32)
    value, slope, bend = computed("count_deviance", np.zeros_like(rows), rows, xla)
    np.testing.assert_allclose(value, rows[:, 0], rtol=1e-6)
    np.testing.assert_allclose(slope, 1.0)
    np.testing.assert_allclose(bend, 0.0)


@pytest.mark.parametrize("xla", [False, True])
def test_an_exponent_has_a_gradient(xla: bool) -> None:
    """The slope of b**p - 1 by p is b**p*log(b)."""
    function = generating.function("bowl")

    @tf.function(jit_compile=xla)
    def run(exponent: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(exponent)
            value = function([[0.0], [0.0]], tf.constant([[1e-2], [3.0]]), p=exponent)
        return tape.jacobian(value, exponent)

    slopes = np.reshape(run(tf.constant(0.25)), -1)
    expected = [b**0.25 * np.log1p(b - 1) for b in (1 + 1e-4, 10.0)]
    np.testing.assert_allclose(slopes, expected, rtol=1e-4)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    ("name", "label", "prediction"),
    [
        ("spectral_deviance", 4e-30, 1e18),
        ("count_deviance", 4e-30, 1e18),
    ],
)
def test_a_ratio_that_underflows_spoils_nothing(
    name: str, label: float, prediction: float, xla: bool
) -> None:
    target, rows = np.float32([[label]]), np.float32([[prediction]])
    value, slope, _ = computed(name, target, rows, xla)
    with mp.workdps(200):
        exact = CASES[name][0](mpf(float(target[0, 0])), mpf(float(rows[0, 0])))
        np.testing.assert_allclose(value, float(exact[0]), rtol=1e-5)
        np.testing.assert_allclose(slope, float(exact[1]), rtol=1e-5, atol=1e-37)
