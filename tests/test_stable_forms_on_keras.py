"""Generated code of formulas that overflow, or lose digits, as they are written.

Specs are those of ``tests/cases/good/stable_forms.yaml``. Expected values are worked
out by hand, or come from mpmath on the formula as written.
"""

from __future__ import annotations

from typing import Any

import generating
import numpy as np
import pytest
import tensorflow as tf


def derivatives(
    name: str, target: Any, rows: Any, *, xla: bool = False, dtype: str = "float32"
) -> tuple[Any, Any, Any]:
    """Value, gradient and Hessian of the sum over a batch, by the prediction."""
    function = generating.function(name, chosen=True)

    @tf.function(jit_compile=xla)
    def run(t: tf.Tensor, p: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as outer:
            outer.watch(p)
            with tf.GradientTape() as inner:
                inner.watch(p)
                value = function(t, p)
            slope = inner.gradient(value, p)
        return value, slope, outer.jacobian(slope, p, experimental_use_pfor=False)

    found = run(tf.constant(target, dtype), tf.constant(rows, dtype))
    return tuple(item.numpy() for item in found)


# A wall for rewriting -----------------------------------------------------------------


@pytest.mark.parametrize("xla", [False, True])
def test_a_factor_without_gradient_stays_apart(xla: bool) -> None:
    # s*(y - p)*exp(-p) with s = exp(p/2) fixed: s*exp(-p)*(2 + y - p) is its second
    # derivative.
    value, slope, bend = derivatives("stopped_weight", [[1.5]], [[0.3]], xla=xla)
    weight = np.exp(-0.15)
    assert value == pytest.approx(1.2 * weight, rel=1e-6)
    assert slope == pytest.approx(-2.2 * weight, rel=1e-6)
    assert bend == pytest.approx(3.2 * weight, rel=1e-6)


def test_the_hessian_of_a_detached_weight_is_that_of_the_formula() -> None:
    # w = exp(s/2) is fixed in the gradient (w*(m - y)*e, w*(1 - (y - m)**2*e)/2) with
    # e = exp(-s), and in what that is differentiated to.
    m, s, y = 0.2, 0.6, 1.5
    _, slope, bend = derivatives("beta_nll", [[y]], [[m, s]])
    w, e, r = np.exp(s / 2), np.exp(-s), y - m
    expected = [[w * e, w * r * e], [w * r * e, w * r * r * e / 2]]
    assert slope[0] == pytest.approx([-w * r * e, w * (1 - r * r * e) / 2], rel=1e-6)
    assert bend[0, :, 0] == pytest.approx(np.array(expected), rel=1e-6)
