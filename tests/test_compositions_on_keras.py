"""Textbook losses that are compositions of continuous operations: they build, and give
the values worked out by hand beside them.

Specs are those of ``tests/cases/good``: ``embeddings``, ``boxes``, ``compositions``.
"""

from __future__ import annotations

from math import atan, e, exp, log, pi, sqrt

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf

UNUSED = [0.0]

# Squares of side 1/2 that share a quarter each: overlap 1/16, union 7/16, hull 9/16.
SQUARES = [0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75]
# The hull is 3/4 by 1/2: overlap 1/8, union 3/8.
SIDE_BY_SIDE = [0.0, 0.0, 0.5, 0.5], [0.25, 0.0, 0.75, 0.5]
# A box of 1/2 by 1/4 inside of the square of side 1/2, at its bottom.
ASPECT = 4 / pi**2 * (atan(1) - atan(2)) ** 2
CIOU = 1 / 2 + (1 / 8) ** 2 / (1 / 2) + ASPECT**2 / (1 / 2 + ASPECT + 1e-7)

# The loss, y_true, y_pred, the value of the one sample, and parameters.
VALUES = {
    "squared": ("triplet_squared", UNUSED, [1, 0, 0, 0, 1, 1], 0.2, {}),
    "squared, satisfied": ("triplet_squared", UNUSED, [1, 0, 0, 0, 1, 2], 0, {}),
    "norm": ("triplet_norm", UNUSED, [3, 4, 0, 0, 3, 1], 5 - 3 + 0.2, {}),
    "norm, the same": ("triplet_norm", UNUSED, [1, 1, 1, 1, 1, 1], 0.2, {}),
    "max": ("triplet_max", UNUSED, [1, 0, 0, 0, 1, 1], 0.2, {}),
    # Cosines 0.6 with the positive, 0.8 with the negative.
    "cosine": ("triplet_cosine", UNUSED, [3, 4, 2, 0, 0, 7], 0.8 - 0.6 + 0.2, {}),
    "guarded": ("triplet_cosine_guarded", UNUSED, [3, 4, 2, 0, 0, 7], 0.4, {}),
    "guarded, at 0": ("triplet_cosine_guarded", UNUSED, [0, 0, 2, 0, 0, 7], 0.2, {}),
    "alike": ("cosine_embedding", [1], [3, 4, 1, 0], 1 - 3 / 5, {}),
    "not alike": ("cosine_embedding", [-1], [3, 4, 1, 0], 3 / 5 - 0.5, {"margin": 0.5}),
    "contrastive": ("contrastive", [1], [3, 4, 0, 0], 25, {}),
    "contrastive, apart": ("contrastive", [0], [0.3, 0.4, 0, 0], 0.25, {}),
    "unit vectors": ("unit_vectors", [1, 0], [3, 4], 2 - 2 * 3 / 5, {}),
    "unit vectors, at 0": ("unit_vectors", [1, 0], [0, 0], 2, {}),
    "direction": ("direction", [2, 1], [3, 4], (6 + 4) / 5, {}),
    "direction, at 0": ("direction", [2, 1], [0, 0], 0, {}),
    "iou of corners": ("iou_of_corners", *SQUARES, 1 - 1 / 7, {}),
    "iou": ("iou", *SQUARES, 1 - 1 / 7, {}),
    "iou of neighbours": ("iou", *SIDE_BY_SIDE, 1 - 1 / 3, {}),
    "giou": ("giou", *SQUARES, 6 / 7 + 2 / 9, {}),
    "giou of neighbours": ("giou", *SIDE_BY_SIDE, 2 / 3, {}),
    "giou of valid targets": ("giou_target", *SQUARES, 6 / 7 + 2 / 9, {}),
    # A prediction without width: overlap 0, union 1/4, hull 3/4 by 1/2.
    "giou of nothing": (
        "giou_target",
        [0.0, 0.0, 0.5, 0.5],
        [0.75, 0.0, 0.75, 0.5],
        1 + (3 / 8 - 1 / 4) / (3 / 8),
        {},
    ),
    # The same squares by centre and size.
    "giou of sizes": (
        "giou_sizes",
        [0.25, 0.25, 0.5, 0.5],
        [0.5, 0.5, 0.5, 0.5],
        6 / 7 + 2 / 9,
        {},
    ),
    # The centres are 1/4 apart in each direction, the corners of the hull 3/4.
    "diou": ("diou", *SQUARES, 6 / 7 + 1 / 9, {}),
    "ciou": ("ciou", [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.25], CIOU, {}),
    # In order 1 + 4, exchanged 1/2 + 1/2; the mean of two is half of each sum.
    "in the better order": (
        "permutation_invariant",
        [0.0, 0.0, 1.0, 1.0],
        [1.0, 2.0, 0.0, 0.0],
        0.5,
        {},
    ),
    # Of two equal logits the action has log-probability -log(2), the ratio is e/2.
    "ppo": ("ppo", [1, 0, -1, 1], [0, 0], -1.2, {}),
    "ppo, a disadvantage": ("ppo", [1, 0, -1, -1], [0, 0], e / 2, {}),
    # Logarithms 0 and log(4): mean of squares log(4)**2/2, square of the mean half.
    "depth": (
        "scale_invariant_depth",
        [1, 1],
        [1, 4],
        sqrt(log(4) ** 2 / 2 - 0.85 * log(4) ** 2 / 4 + 1e-6),
        {},
    ),
    # With a mask the values of the elements come back.
    "smape": ("smape", [2, -1], [6, -2], [2 * 4 / 8, 2 * 1 / 3], {}),
    "focal": ("focal_softmax", [1, 0], [0, 0], log(2) / 4, {}),
    "focal, no focus": ("focal_softmax", [1, 0], [0, 0], log(2), {"gamma": 0}),
    "focal of the target": (
        "focal_softmax_of_target",
        [0, 1],
        [0, log(3)],
        -((1 / 4) ** 2) * log(3 / 4),
        {},
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_value_and_finite_gradient(case):
    name, y_true, y_pred, expected, parameters = VALUES[case]
    prediction = tf.constant([y_pred], tf.float32)
    target = tf.constant([y_true], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = generating.function(name)(target, prediction, **parameters)
    np.testing.assert_allclose(value, [expected], rtol=1e-5, atol=1e-7)
    assert np.isfinite(tape.gradient(value, prediction)).all()


def test_the_variance_of_a_batch():
    """A column of variance 1/4 lacks 1/2, one of variance 4 nothing."""
    batch = tf.constant([[0.0, 0.0], [1.0, 4.0]])
    value = generating.function("vicreg_variance")(tf.zeros((2, 2)), batch)
    expected = (1 - sqrt(1 / 4 + 1e-4)) / 2
    np.testing.assert_allclose(value, [expected] * 2, rtol=1e-5)


def test_ppo_takes_the_logits_for_probabilities():
    """Logits 0 and 1: the ratio is that of softmax to the old probability exp(-2)."""
    ratio = 1 / (1 + e) / exp(-2)
    target = tf.constant([[1.0, 0.0, -2.0, -1.0]])
    value = generating.function("ppo")(target, tf.constant([[0.0, 1.0]]))
    np.testing.assert_allclose(value, [max(ratio, min(ratio, 1.2))], rtol=1e-5)


def test_a_leaky_maximum_of_the_labels_stays_one_in_a_trained_model():
    loss = generating.module("leaky_labels").LeakyLabels()
    dense = keras.layers.Dense(2, kernel_initializer="identity", use_bias=False)
    model = keras.Sequential([keras.layers.Input([2]), dense])
    model.compile(loss=loss)
    y_true = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)
    y_pred = np.array([[5.0, 6.0], [-7.0, 8.0]], np.float32)
    found = model.evaluate(y_pred, y_true, batch_size=2, verbose=0)
    expected = (4**2 + 6.5**2 + 10**2 + 4**2) / 4
    np.testing.assert_allclose(found, expected, rtol=1e-6)
