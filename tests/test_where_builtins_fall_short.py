"""Where losses of Keras itself are wrong, the generated ones are right.

Expected values are worked out with mpmath or by arithmetic; nothing is asserted of
Keras, which may improve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf
from mpmath import mp, mpf

XLA = pytest.mark.parametrize("xla", [False, True])


def computed(
    loss: Callable[..., Any], y_true: Any, y_pred: Any, xla: bool, **options: Any
) -> tuple[Any, Any]:
    """Values and gradient, in float32."""

    @tf.function(jit_compile=xla, autograph=False)
    def run(target: tf.Tensor, prediction: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = loss(target, prediction, **options)
        return values, tape.gradient(values, prediction)

    values, gradient = run(
        tf.constant(y_true, tf.float32), tf.constant(y_pred, tf.float32)
    )
    return values.numpy(), gradient.numpy()


@XLA
def test_a_confident_error_has_its_gradient(xla: bool) -> None:
    loss = generating.function("binary_crossentropy")
    p = np.float32(1e-8)
    values, gradient = computed(loss, [[1.0]], [[p]], xla)
    assert values == pytest.approx(-np.log(float(p)), rel=1e-6)
    assert gradient == pytest.approx(-1 / float(p), rel=1e-6)


@XLA
@pytest.mark.parametrize("x", [1e-30, 1e-10, 1e-4, -1e-4, 1.0, 50.0])
def test_log_cosh_of_a_small_residual(x: float, xla: bool) -> None:
    loss = generating.function("log_cosh_error")
    values, _ = computed(loss, [[0.0]], [[x]], xla)
    with mp.workdps(100):
        exact = float(mp.log(mp.cosh(mpf(float(np.float32(x))))))
    assert values == pytest.approx(exact, rel=1e-6, abs=2e-38)


@XLA
def test_categorical_focal_of_a_saturated_error(xla: bool) -> None:
    loss = generating.function("categorical_focal")
    logits = (-20.0, 0.0, -1.0)

    def focal(*z: Any) -> Any:
        p = mp.exp(z[0]) / mp.fsum(map(mp.exp, z))
        return -mpf("0.25") * (1 - p) ** 2 * mp.log(p)

    values, gradient = computed(
        loss, [[1.0, 0.0, 0.0]], [logits], xla, from_logits=True
    )
    orders = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    with mp.workdps(40):
        slopes = [float(mp.diff(focal, logits, order)) for order in orders]
        exact = float(focal(*map(mpf, logits)))
    assert exact == pytest.approx(5.078, abs=1e-3)
    assert values == pytest.approx(exact, rel=1e-6)
    assert gradient[0] == pytest.approx(slopes, rel=1e-6)


@XLA
def test_binary_focal_with_a_small_exponent_at_its_target(xla: bool) -> None:
    """The slope of -(1 - p)**0.5*log(p) goes to 0 as p goes to 1."""
    loss = generating.function("binary_focal")
    values, gradient = computed(loss, [[1.0]], [[1.0]], xla, gamma=0.5)
    assert values == pytest.approx(0.0, abs=1e-7)
    assert gradient == pytest.approx(0.0, abs=1e-3)


@XLA
def test_cosine_of_a_zero_vector(xla: bool) -> None:
    loss = generating.function("cosine_similarity")
    rows = [[0.0, 0.0], [3.0, 4.0]]
    values, gradient = computed(loss, [[1.0, 2.0], [0.0, 0.0]], rows, xla)
    np.testing.assert_array_equal(values, [0.0, 0.0])
    # -y_true/eps where y_pred is 0, and 0 where y_true is
    np.testing.assert_allclose(gradient, [[-1e7, -2e7], [0, 0]], rtol=1e-6)


@XLA
def test_tversky_weighs_false_positives_with_alpha(xla: bool) -> None:
    loss = generating.function("tversky")
    # One hit of 0.5, false positives of 0.25 and a false negative of 0.5.
    values, _ = computed(loss, [[1.0, 0.0]], [[0.5, 0.25]], xla)
    assert values == pytest.approx(1 - 0.5 / (0.5 + 0.3 * 0.25 + 0.7 * 0.5), rel=1e-6)


@XLA
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_class_indices_are_not_broadcast(shape: tuple[int, ...], xla: bool) -> None:
    loss = generating.function("generalized_crossentropy")
    rows = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.25, 0.5, 0.25]])
    values, _ = computed(loss, np.reshape([0, 1, 2], shape), rows, xla)
    expected = (1 - np.sqrt([0.5, 0.75, 0.25])) / 0.5
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_half_precision_at_the_target() -> None:
    loss = generating.loss_class("binary_crossentropy")(dtype="float16")
    # The value at the guard point, one unit in the last place of float32 below 1.
    at_point = -math.log1p(-(2.0**-24))
    value = float(loss(tf.constant([[1.0]]), tf.constant([[1.0]])))
    assert value == pytest.approx(at_point, rel=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("logit", [-100.0, -30.0, 30.0, 100.0])
def test_a_saturated_head_learns_as_from_logits(logit: float, policy: str) -> None:
    """The slope of the loss by the logit is sigmoid(logit) - y_true."""
    loss_class = generating.loss_class("binary_crossentropy")
    y_true = tf.constant([[0.0], [1.0]])
    found = []
    for activation, loss in (
        ("sigmoid", loss_class()),
        (None, loss_class(from_logits=True)),
    ):
        layer = keras.layers.Dense(1, activation, dtype=policy)
        layer.build((None, 1))
        layer.set_weights([np.array([[logit]]), np.zeros(1)])
        with tf.GradientTape() as tape:
            value = loss(y_true, layer(tf.ones((2, 1))))
        found.append((value, tape.gradient(value, layer.trainable_variables)[0]))
    (value, slope), (value_from_logits, slope_from_logits) = found
    probability = 1 / (1 + np.exp(-logit))
    exact = (abs(logit) + 2 * np.log1p(np.exp(-abs(logit)))) / 2
    np.testing.assert_allclose(value, exact, rtol=1e-6)
    np.testing.assert_allclose(value_from_logits, exact, rtol=1e-6)
    np.testing.assert_allclose(slope[0, 0], probability - 0.5, rtol=1e-3)
    np.testing.assert_array_equal(slope, slope_from_logits)
