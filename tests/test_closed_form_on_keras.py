"""Generated code with slopes in closed form: values and derivatives of every kind.

Expected is the CRPS of a Gaussian, ``s*(z*(2*cdf(z) - 1) + 2*pdf(z) - 1/sqrt(pi))``
with ``z = (t - m)/s`` (Gneiting and Raftery 2007, eq. 21), times a weight; its
derivatives are worked out by hand: with ``D = 2*cdf(z) - 1`` they are ``-D`` by m and
``2*pdf(z) - 1/sqrt(pi)`` by s.
"""

from __future__ import annotations

import importlib
from typing import Any

import generating
import numpy as np
import pytest
import tensorflow as tf
from losses import resolved
from mpmath import mp, mpf

from lossgen.analysis.check import check
from lossgen.backend.emit_module import emit_module
from lossgen.diagnostics.diagnostic import Report
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.placeholders import placeholders
from lossgen.transform.lower import lower

TEXT = """name: weighted_crps
loss: >-
  weight*sigma*(z*(2*normal_cdf(z) - 1) + sqrt(2/pi)*exp(-z**2/2) - 1/sqrt(pi))
where: {z: (y_true - mu)/sigma}
y_pred: {channels: {mu: real, sigma: positive}}
params: {weight: {default: 1.0, domain: positive}}
"""
# Targets, means and deviations.
POINTS = [
    (0.3, 0.25, 1.5),
    (1e-6, 0.0, 1.0),
    (-3.0, 40.0, 0.5),
    (1e6, -2.0, 3.0),
    (7.0, 7.0, 1e-9),
    (0.0, 5e8, 1e-6),
]


@pytest.fixture(scope="module")
def crps() -> Any:
    loss = resolved(TEXT)
    checked = check(loss, Report())
    assert checked is not None
    program = lower(checked, lambda logits: Measured(loss, logits=logits))
    source = emit_module(program, placeholders(loss), generating.OPTIONS)
    (generating.FOLDER / "weighted_crps.py").write_text(source, encoding="utf-8")
    importlib.invalidate_caches()
    assert "_with_slopes(" in source
    return importlib.import_module("weighted_crps").weighted_crps


def exact(t: float, m: float, s: float) -> tuple[mpf, mpf, mpf]:
    """The value and its derivatives by mean and deviation."""
    t, m, s = mpf(t), mpf(m), mpf(s)
    z = (t - m) / s
    centred, density = mp.erf(z / mp.sqrt(2)), mp.npdf(z)
    slope = 2 * density - 1 / mp.sqrt(mp.pi)
    return s * z * centred + s * slope, -centred, slope


def inputs(dtype: str) -> tuple[Any, Any]:
    rows = np.array(POINTS, dtype)
    return tf.constant(rows[:, :1]), tf.constant(rows[:, 1:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_value_and_gradient(crps: Any, mode: str, dtype: str) -> None:
    def run(t: Any, p: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(p)
            values = crps(t, p, weight=2.0)
        return values, tape.gradient(values, p)

    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    target, predicted = inputs(dtype)
    found = np.concatenate(
        [np.reshape(x, (len(POINTS), -1)) for x in run(target, predicted)], 1
    )
    unit = float(np.finfo(dtype).eps)
    rows = np.concatenate([target, predicted], axis=1)
    with mp.workdps(60):
        for row, results in zip(rows, found, strict=True):
            for result, expected in zip(results, exact(*map(float, row)), strict=True):
                gap = abs(result - 2 * expected)
                assert gap <= 16 * unit * abs(2 * expected)


def test_a_variable_parameter_has_its_gradient(crps: Any) -> None:
    target, predicted = inputs("float64")
    weight = tf.Variable(2.0, dtype=tf.float64)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(crps(target, predicted, weight=weight))
    expected = sum(exact(*map(float, row))[0] for row in POINTS)
    assert float(tape.gradient(total, weight)) == pytest.approx(float(expected))


@pytest.mark.parametrize("xla", [False, True])
def test_second_order_and_jacobian(crps: Any, xla: bool) -> None:
    """By m twice: 2*pdf(z)/s; by m and s: 2*z*pdf(z)/s; by s twice 2*z**2*pdf(z)/s."""

    @tf.function(jit_compile=xla)
    def hessian(t: Any, p: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(p)
            with tf.GradientTape() as inner:
                inner.watch(p)
                values = crps(t, p)
            slopes = inner.gradient(values, p)
        return outer.batch_jacobian(slopes, p)

    t, m, s = 0.3, 0.25, 1.5
    z = (t - m) / s
    density = float(mp.npdf(z))
    found = hessian(tf.constant([[t]]), tf.constant([[m, s]]))[0]
    mixed = 2 * z * density / s
    expected = [[2 * density / s, mixed], [mixed, 2 * z**2 * density / s]]
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_forward_mode(crps: Any) -> None:
    """Tangents pass through the operations of the value, whatever they cancel."""
    target, predicted = (item[:3] for item in inputs("float64"))
    ones = tf.ones_like(predicted)
    with tf.autodiff.ForwardAccumulator(predicted, ones) as accumulator:
        values = crps(target, predicted)
    expected = [float(sum(exact(*row)[1:])) for row in POINTS[:3]]
    assert np.allclose(accumulator.jvp(values), expected, rtol=1e-8)
