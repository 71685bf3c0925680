"""A mask beside class indices: it speaks of the one-hot rows that they stand for.

Class 1 is not allowed. Of probabilities the loss is ``-log(p)`` of the label, of logits
the same with a softmax over the allowed classes alone.
"""

from math import exp, log

import generating
import numpy as np
import pytest
import tensorflow as tf

NAME = "entropy_of_allowed_classes"
PROBABILITIES = [[0.5, 0.25, 0.25], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]
LABELS = [0.0, 2.0, 1.0, -1.0]


def evaluated(mode, labels, predictions, **arguments):
    function = generating.function(NAME)

    def run(target, prediction):
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = function(target, prediction, **arguments)
        return values, tape.gradient(values, prediction)

    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    values, slopes = run(tf.constant(labels), tf.constant(predictions))
    return values.numpy(), slopes.numpy()


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("trailing", [False, True])
def test_probabilities(mode, trailing):
    labels = [[label] for label in LABELS] if trailing else LABELS
    values, slopes = evaluated(mode, labels, PROBABILITIES)
    # The label 1 is not allowed and picks nothing; -1 is ignored.
    np.testing.assert_allclose(values, [log(2), -log(0.6), 0, 0], rtol=1e-6)
    expected = np.zeros((4, 3))
    expected[0, 0], expected[1, 2] = -1 / 0.5, -1 / 0.6
    np.testing.assert_allclose(slopes, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_logits(mode):
    logits = [[1.0, 50.0, -1.0], [0.5, -2.0, 2.0]]
    values, slopes = evaluated(mode, [0.0, 2.0], logits, from_logits=True)
    first = exp(1) / (exp(1) + exp(-1))
    last = exp(2) / (exp(0.5) + exp(2))
    np.testing.assert_allclose(values, [-log(first), -log(last)], rtol=1e-5)
    expected = [[first - 1, 0, 1 - first], [1 - last, 0, last - 1]]
    np.testing.assert_allclose(slopes, expected, rtol=1e-5)


def test_all_classes_allowed():
    values, _ = evaluated("eager", LABELS, PROBABILITIES, allowed=[1.0, 1.0, 1.0])
    np.testing.assert_allclose(values, [log(2), -log(0.6), log(2), 0], rtol=1e-6)


def test_a_batch_with_steps():
    labels, predictions = np.float32([LABELS] * 2), np.float32([PROBABILITIES] * 2)
    values, _ = evaluated("eager", labels, predictions)
    assert values.shape == (2, 4)
    np.testing.assert_allclose(values[1], [log(2), -log(0.6), 0, 0], rtol=1e-6)


def test_samples_that_keras_drops_may_hold_anything():
    loss = generating.loss_class(NAME)(reduction="sum")
    labels = np.float32([0, 99, np.nan])
    predictions = np.float32([PROBABILITIES[0], [np.nan] * 3, [np.nan] * 3])
    weights = np.float32([1, 0, 0])
    prediction = tf.constant(predictions)
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(labels, prediction, sample_weight=weights)
    slopes = tape.gradient(value, prediction).numpy()
    assert value.numpy() == pytest.approx(log(2))
    np.testing.assert_allclose(slopes, [[-2, 0, 0], [0, 0, 0], [0, 0, 0]], rtol=1e-6)
