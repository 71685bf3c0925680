"""Generated code keeps its digits in special functions, and in their derivatives.

Expected are the formulas of ``tests/cases/good/special.yaml``, written out here for
mpmath; the derivatives are those of the textbooks.
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


def psi(order: int, x: mpf) -> mpf:
    return mp.psi(order, x)


def rising(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    value = mp.loggamma((p + 1) / 2) - mp.loggamma(p / 2)
    slope = (psi(0, (p + 1) / 2) - psi(0, p / 2)) / 2
    return value, slope, (psi(1, (p + 1) / 2) - psi(1, p / 2)) / 4


def multisets(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    value = mp.loggamma(t + p) - mp.loggamma(p) - mp.loggamma(t + 1)
    return value, psi(0, t + p) - psi(0, p), psi(1, t + p) - psi(1, p)


def log_gamma(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return mp.loggamma(p) - t, psi(0, p), psi(1, p)


def full_poisson(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    value = p - t * mp.log(p) + mp.loggamma(t + 1)
    return value, (p - t) / p, t / p**2


def ratio(x: mpf) -> mpf:
    return mp.besseli(1, x) / mp.besseli(0, x)


def concentration(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    a = ratio(p)
    return mp.log(mp.besseli(0, p)) - p - t, a - 1, 1 - a / p - a * a


def bessel(t: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    a = ratio(p)
    return mp.log(mp.besseli(0, p)) - t, a, 1 - a / p - a * a


def tweedie(t: mpf, p: mpf, k: float = 1.5) -> tuple[mpf, mpf, mpf]:
    start = t ** (2 - k) / ((1 - k) * (2 - k)) if t else mpf(0)
    value = start - t * p ** (1 - k) / (1 - k) + p ** (2 - k) / (2 - k)
    return 2 * value, 2 * (p - t) / p**k, 2 * (p + k * (t - p)) / p ** (k + 1)


NEAR_3 = [3.0, 2.9999, 3.00001, 2.5, 3.9, 5.0, 0.3, 18.0, 23.0, 1e-6, 1e9]

POSITIVE = [1e-15, 1e-3, 0.3, 0.9, 1.4, 1.47, 2.1, 3.9, 7.5, 11.9, 40.0, 1e3, 1e6, 1e12]
ANGULAR = [1e-12, 1e-3, 0.4, 0.99, 1.5, 2.1, 7.0, 15.9, 16.1, 31.0, 33.0, 500.0]

CASES: dict[str, tuple[Formula, float, list[float]]] = {
    "log_rising": (rising, 0.0, POSITIVE),
    "log_of_multisets": (multisets, 7.0, POSITIVE),
    "log_gamma": (log_gamma, 0.0, POSITIVE),
    "full_poisson": (full_poisson, 1e4, [1.0, 9e3, 9999.0, 1e4, 10001.0, 1e6]),
    "compound_poisson_deviance": (tweedie, 3.0, NEAR_3),
    "concentration": (concentration, 0.0, ANGULAR),
    "bessel": (bessel, 0.0, ANGULAR + [-x for x in ANGULAR]),
}


def derivatives(name: str, target: Any, rows: Any, xla: bool) -> list[Any]:
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

    return [item.numpy() for item in run(tf.constant(target), tf.constant(rows))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_and_derivatives(name: str, xla: bool, dtype: str) -> None:
    formula, label, predictions = CASES[name]
    rows = np.array(predictions, dtype)[:, np.newaxis]
    value, slope, bend = derivatives(name, np.full_like(rows, label), rows, xla)
    unit = float(np.finfo(dtype).eps)
    with mp.workdps(60):
        for index, row in enumerate(rows[:, 0]):
            expected = formula(mpf(label), mpf(float(row)))
            found = (value[index], slope[index, 0], bend[index, 0])
            for order, exact in enumerate(expected):
                # The condition of an input counts; see docs of the accuracy benchmark.
                allowed = (8 if order < 2 else 64) * unit * float(abs(exact))
                if order < 2:
                    allowed += 8 * unit * float(abs(row * expected[order + 1]))
                else:
                    allowed += 64 * unit * float(abs(expected[1]) / row**2) * abs(row)
                got = float(found[order])
                assert abs(got - float(exact)) <= allowed, (order, row, got, exact)


def gradient(name: str, target: Any, rows: Any, xla: bool) -> list[Any]:
    """Value, and slopes by the channels of the prediction."""
    function = generating.function(name)

    @tf.function(jit_compile=xla)
    def run(t: tf.Tensor, p: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch(p)
            value = function(t, p)
        return value, tape.gradient(value, p)

    return [item.numpy() for item in run(tf.constant(target), tf.constant(rows))]


SHAPES = [(1e-12, 3.0), (0.4, 0.4), (1.0, 1.0), (2.5, 1e6), (30.0, 40.0), (1e9, 2e9)]


def beta_slopes(a: mpf, b: mpf, y: mpf) -> tuple[mpf, mpf, mpf]:
    value = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    value -= (a - 1) * mp.log(y) + (b - 1) * mp.log1p(-y)
    whole = psi(0, a + b)
    by_a = psi(0, a) - whole - mp.log(y)
    return value, by_a, psi(0, b) - whole - mp.log1p(-y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("xla", [False, True])
def test_beta_likelihood(xla: bool, dtype: str) -> None:
    """Shapes from tiny to large."""
    rows = np.array(SHAPES, dtype)
    label = np.full((len(rows), 1), 0.25, dtype)
    value, slopes = gradient("beta_nll_of_shapes", label, rows, xla)
    unit = float(np.finfo(dtype).eps)
    with mp.workdps(60):
        for row, got, found in zip(rows, value, slopes, strict=True):
            a, b = mpf(float(row[0])), mpf(float(row[1]))
            exact, by_a, by_b = beta_slopes(a, b, mpf(0.25))
            scale = abs(exact) + abs(a * by_a) + abs(b * by_b) + abs(a) + abs(b)
            assert abs(got - exact) <= 8 * unit * scale, (row, got, exact)
            bend = max(a * psi(1, a), b * psi(1, b), 1)
            for slope, wanted in zip(found, (by_a, by_b), strict=True):
                assert abs(slope - wanted) <= 8 * unit * (abs(wanted) + bend)


COUNTS = [
    *((0.0, 3.0, 2.0), (0.0, 1e-8, 1e9), (1.0, 1e-6, 4.0), (1.0, 3.0, 0.01)),
    *((7.0, 7.0, 5.0), (7.0, 6.9999, 1e9), (1e4, 1e4, 30.0), (1e4, 1.0, 1.0)),
    *((12000.0, 11999.0, 1e8), (3.0, 1e9, 1e-3)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("xla", [False, True])
def test_negative_binomial_likelihood(xla: bool, dtype: str) -> None:
    """Counts close to their mean and far from it, sizes from tiny to large."""
    table = np.array(COUNTS, dtype)
    value, slopes = gradient("full_negative_binomial", table[:, :1], table[:, 1:], xla)
    unit = float(np.finfo(dtype).eps)
    with mp.workdps(60):
        for (t, m, r), got, found in zip(table, value, slopes, strict=True):
            t, m, r = mpf(float(t)), mpf(float(m)), mpf(float(r))
            exact = mp.loggamma(r) + mp.loggamma(t + 1) - mp.loggamma(t + r)
            exact -= r * mp.log(r / (r + m)) + t * mp.log(m / (r + m))
            by_m = r / (r + m) * (1 - t / m)
            by_r = psi(0, r) - psi(0, t + r) + mp.log1p(m / r) + (t - m) / (r + m)
            allowed = 24 * unit * (abs(exact) + abs(m * by_m) + abs(r * by_r))
            assert abs(got - exact) <= allowed, (t, m, r)
            bend = r / (r + m) ** 2 * (1 - t / m) + r * t / m**2 / (r + m)
            assert abs(found[0] - by_m) <= 8 * unit * (abs(by_m) + m * abs(bend))
            bend = r * (psi(1, r) - psi(1, t + r) - m / r / (r + m))
            bend = (
                abs(bend - r * (t - m) / (r + m) ** 2) + m * abs(t - m) / (r + m) ** 2
            )
            assert abs(found[1] - by_r) <= 24 * unit * (abs(by_r) + bend), (t, m, r)


BETAS = [
    *((0.25, 0.25, 1e12), (0.25, 0.2501, 1e6), (0.25, 0.7, 3.0), (0.25, 0.3, 0.01)),
    *((1e-6, 2e-6, 100.0), (0.999, 0.99, 50.0)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("xla", [False, True])
def test_beta_likelihood_of_mean(xla: bool, dtype: str) -> None:
    """Labels close to the mean of a narrow distribution."""
    table = np.array(BETAS, dtype)
    value, slopes = gradient("beta_of_mean", table[:, :1], table[:, 1:], xla)
    unit = float(np.finfo(dtype).eps)
    with mp.workdps(60):
        for (t, m, p), got, found in zip(table, value, slopes, strict=True):
            t, m, p = mpf(float(t)), mpf(float(m)), mpf(float(p))
            a, b = m * p, (1 - m) * p
            exact, by_a, by_b = beta_slopes(a, b, t)
            by_m, by_p = p * (by_a - by_b), m * by_a + (1 - m) * by_b
            allowed = 8 * unit * (abs(exact) + abs(m * by_m) + abs(p * by_p))
            assert abs(got - exact) <= allowed, (t, m, p)
            spread = p * p * (psi(1, a) + psi(1, b))
            gap = abs(by_a - by_b + a * psi(1, a) - b * psi(1, b))
            bend = m * spread + p * gap
            assert abs(found[0] - by_m) <= 8 * unit * (abs(by_m) + bend), (t, m, p)
            bend = p * abs(m**2 * psi(1, a) + (1 - m) ** 2 * psi(1, b) - psi(1, p))
            assert abs(found[1] - by_p) <= 8 * unit * (abs(by_p) + bend + m * gap), (
                t,
                m,
                p,
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("k", [1.0005, 1.01, 1.3, 1.5, 1.7, 1.99, 1.99876, 1.99999])
def test_tweedie_deviance_of_any_power(k: float, xla: bool, dtype: str) -> None:
    """For powers near 1 and 2 the textbook form divides small differences by 0."""
    function = generating.function("compound_poisson_deviance")
    power = np.array(k, dtype)
    labels = np.array([0.0, 1e-4, 0.15, 0.9, 3.0, 40.0, 1e4], dtype)
    means = np.array([1e-3, 0.02, 0.5, 1.0, 2.3, 7.5, 900.0], dtype)
    y_true, y_pred = (np.reshape(x, (-1, 1)) for x in np.meshgrid(labels, means))
    compute = tf.function(lambda t, p: function(t, p, k=power), jit_compile=xla)
    found = np.float64(compute(y_true, y_pred))
    unit = float(np.finfo(dtype).eps)
    with mp.workdps(60):
        exponent = mpf(float(power))
        a, b = 2 - exponent, 1 - exponent
        for t, p, got in zip(y_true.flat, y_pred.flat, found, strict=True):
            y, mu = mpf(float(t)), mpf(float(p))
            exact = 2 * (y**a / (a * b) - y * mu**b / b + mu**a / a)
            moved = 2 * abs(mu - y) * mu**b  # what a rounding of the mean changes
            assert abs(got - exact) <= 8 * unit * (exact + moved), (t, p)


@pytest.mark.parametrize("xla", [False, True])
def test_a_tweedie_power_has_a_gradient(xla: bool) -> None:
    """Against differences of the formula, close to the label and far from it."""
    function = generating.function("compound_poisson_deviance")
    labels, rows = [3.0, 3.0, 3.0, 0.0], [2.9, 5.0, 40.0, 1.5]

    @tf.function(jit_compile=xla)
    def run(k: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(k)
            target = tf.constant([[item] for item in labels])
            value = function(target, tf.constant([[item] for item in rows]), k=k)
        return tape.jacobian(value, k)

    slopes = np.reshape(run(tf.constant(1.25)), -1)
    with mp.workdps(40):
        for got, t, p in zip(slopes, labels, rows, strict=True):
            t, p = mpf(t), mpf(np.float32(p).item())
            wanted = mp.diff(lambda k, t=t, p=p: tweedie(t, p, k)[0], mpf(1.25))
            assert abs(got - wanted) <= 1e-5 * abs(wanted)


@pytest.mark.parametrize("xla", [False, True])
def test_a_parameter_has_a_gradient(xla: bool) -> None:
    """The slope by a shared concentration is A(kappa) - cos(d)."""
    function = generating.function("shared_concentration")

    @tf.function(jit_compile=xla)
    def run(kappa: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(kappa)
            value = function([[0.0], [0.0]], tf.constant([[0.1], [2.0]]), kappa=kappa)
        return tape.jacobian(value, kappa)

    slopes = np.reshape(run(tf.constant(3.0)), -1)
    expected = [float(ratio(mpf(3))) - np.cos(d) for d in (0.1, 2.0)]
    np.testing.assert_allclose(slopes, expected, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_forward_mode_and_jacobian(name: str) -> None:
    """Both agree with the gradient."""
    _, label, predictions = CASES[name]
    rows = tf.constant(np.array(predictions, "float64")[:, np.newaxis])
    target = tf.fill(rows.shape, tf.constant(label, tf.float64))
    function = generating.function(name)
    _, slope, _ = derivatives(name, target.numpy(), rows.numpy(), False)
    with tf.autodiff.ForwardAccumulator(rows, tf.ones_like(rows)) as accumulator:
        value = function(target, rows)
    np.testing.assert_allclose(accumulator.jvp(value), slope[:, 0], rtol=1e-12)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        value = function(target, rows)
    jacobian = tape.jacobian(value, rows)[..., 0]
    np.testing.assert_allclose(np.diag(jacobian), slope[:, 0], rtol=1e-12)


def test_graph_and_symbolic_batch() -> None:
    """A batch whose size is not known when the graph is made."""
    function = generating.function("log_of_multisets")
    shape = tf.TensorSpec([None, 1], tf.float32)
    run = tf.function(function, input_signature=[shape, shape])
    found = run([[3.0], [0.0]], [[2.0], [5.0]])
    # log of the number of multisets: C(4, 3) and C(4, 0).
    np.testing.assert_allclose(found, [np.log(4), 0.0], rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    ("name", "label", "prediction"),
    [
        ("distance", [0.0, 0.0], [np.nan, 1.0]),
        ("sample_distance", [np.nan, 0.0], [0.0, 1.0]),
        ("log_of_multisets", [np.nan], [2.0]),
        ("full_negative_binomial", [np.nan], [2.0, 3.0]),
        ("full_poisson", [np.nan], [2.0]),
    ],
)
def test_what_is_no_number_does_not_count_as_0(
    name: str, label: list[float], prediction: list[float], xla: bool
) -> None:
    rows = [np.array([row], np.float32) for row in (label, prediction)]
    run = tf.function(generating.function(name), jit_compile=xla)
    assert np.isnan(run(*rows)).all()
