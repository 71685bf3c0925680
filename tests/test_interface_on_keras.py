"""How losses are handed to Keras: as functions, with weights, parameters, no target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf

Y_TRUE = np.array([[1.0, 2.0], [0.0, -1.0]], np.float32)
Y_PRED = np.array([[0.5, 2.5], [1.0, 1.0]], np.float32)
SQUARES = np.array([[0.25, 0.25], [1.0, 4.0]])  # of the differences
LABELS = np.array([1, 0])
SHARES = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
INFORMATION = -np.log([0.75, 0.5])  # of the shares of the labels


def model(loss: Any, units: int = 1) -> keras.Model:
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    net.compile("sgd", loss=loss)
    return net


# One number for every class -----------------------------------------------------------


def test_a_single_number_counts_for_every_class() -> None:
    function = generating.function("weighted_by_default")
    for w, factor in (({}, 2.0), ({"w": 3.0}, 3.0), ({"w": tf.Variable(5.0)}, 5.0)):
        wanted = factor * SQUARES.mean(-1)
        np.testing.assert_allclose(function(Y_TRUE, Y_PRED, **w), wanted, rtol=1e-6)
        loss = generating.loss_class("weighted_by_default")(**w)
        np.testing.assert_allclose(loss(Y_TRUE, Y_PRED), wanted.mean(), rtol=1e-6)
        again = type(loss).from_config(loss.get_config())
        assert again(Y_TRUE, Y_PRED) == loss(Y_TRUE, Y_PRED)
    listed = function(Y_TRUE, Y_PRED, w=[1.0, 3.0])
    np.testing.assert_allclose(listed, (SQUARES * [1, 3]).mean(-1), rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_a_single_number_is_picked_for_every_label(jit: bool) -> None:
    function = generating.function("picked_by_default")
    run = tf.function(function, jit_compile=jit)
    np.testing.assert_allclose(run(LABELS, SHARES), 2 * INFORMATION, rtol=1e-6)
    number = run(LABELS, SHARES, w=tf.constant(3.0))
    np.testing.assert_allclose(number, 3 * INFORMATION, rtol=1e-6)
    listed = run(LABELS, SHARES, w=tf.constant([1.0, 3.0]))
    np.testing.assert_allclose(listed, [3, 1] * INFORMATION, rtol=1e-6)


def test_a_single_number_has_a_gradient() -> None:
    w = tf.Variable(5.0)
    with tf.GradientTape() as tape:
        values = generating.function("weighted_by_default")(Y_TRUE, Y_PRED, w=w)
    np.testing.assert_allclose(tape.gradient(values, w), SQUARES.mean(-1).sum())


def test_a_dict_of_class_weights_is_refused_with_the_list_to_pass() -> None:
    weights = {1: 2.0, 0: 1.0}
    for call in (
        lambda: generating.function("weighted_by_default")(Y_TRUE, Y_PRED, w=weights),
        lambda: generating.loss_class("weighted_by_default")(w=weights),
    ):
        with pytest.raises(ValueError, match=r"w is a list .*: pass \[1\.0, 2\.0\]\."):
            call()


def test_other_lengths_are_refused() -> None:
    function = generating.function("weighted_by_default")
    for wrong in ([1.0, 2.0, 3.0], [[1.0]]):
        with pytest.raises(ValueError, match="w has shape"):
            function(Y_TRUE, Y_PRED, w=wrong)
    with pytest.raises(ValueError, match="w must be of rank 1, not 2"):
        generating.loss_class("weighted_by_default")(w=[[1.0]])


# Weights whose rank shows late --------------------------------------------------------


def test_weights_of_several_ranks_one_after_the_other() -> None:
    """Keras then leaves the rank of the weights open when it traces."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4, 3)).astype("float32")
    y = rng.normal(size=(6, 4, 1)).astype("float32")
    net = keras.Sequential([keras.Input((4, 3)), keras.layers.Dense(1)])
    net.compile("sgd", loss=generating.loss_class("mean_absolute_error")())
    wanted = abs(net.predict(x, verbose=0) - y).mean()
    for weights in (np.ones(6), np.ones((6, 4)), np.ones((6, 1)), np.ones((6, 4, 1))):
        found = net.evaluate(x, y, sample_weight=weights, verbose=0)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    half = np.arange(6) % 2.0
    found = net.evaluate(x, y, sample_weight=half, verbose=0)
    errors = abs(net.predict(x, verbose=0) - y).mean((1, 2))
    np.testing.assert_allclose(found, (errors * half).mean(), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_weights_of_unknown_rank(jit: bool) -> None:
    loss = generating.loss_class("mean_absolute_error")()

    def run(y_true: Any, y_pred: Any, weights: Any) -> Any:
        return loss(y_true, y_pred, sample_weight=weights)

    signature = [tf.TensorSpec([2, 2]), tf.TensorSpec([2, 2]), tf.TensorSpec(None)]
    traced = tf.function(run, input_signature=signature, jit_compile=jit)
    errors = np.sqrt(SQUARES).mean(-1)
    for weights in ([2.0, 0.0], [[2.0], [0.0]]):
        found = traced(Y_TRUE, Y_PRED, tf.constant(weights))
        np.testing.assert_allclose(found, (errors * [2, 0]).mean(), rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        traced(Y_TRUE, Y_PRED, tf.ones([2, 2]))


# Functions as losses ------------------------------------------------------------------


def test_a_model_compiled_with_the_function_is_saved_and_loaded(tmp_path: Path) -> None:
    x = np.array([[0.5, 1.0, -1.0], [2.0, 0.0, 1.0]], np.float32)
    y = np.array([[1.0], [2.0]], np.float32)
    for name in ("mean_absolute_error", "weighted_by_default"):
        net = model(generating.function(name))
        before = net.evaluate(x, y, verbose=0)
        path = tmp_path / f"{name}.keras"
        net.save(path)
        assert keras.saving.load_model(path).evaluate(x, y, verbose=0) == before


def test_function_and_class_are_registered_apart() -> None:
    function = generating.function("mean_absolute_error")
    cls = generating.loss_class("mean_absolute_error")
    names = [keras.saving.get_registered_name(item) for item in (function, cls)]
    assert names == ["lossgen>mean_absolute_error", "lossgen>MeanAbsoluteError"]
    assert keras.saving.get_registered_object(names[0]) is function
    assert keras.saving.get_registered_object(names[1]) is cls


def test_a_function_with_required_parameters_is_not_registered() -> None:
    function = generating.function("weighted_categorical_crossentropy")
    name = keras.saving.get_registered_name(function)
    assert keras.saving.get_registered_object(name) is None
    with pytest.raises(TypeError, match="class_weights"):
        function(Y_TRUE, SHARES)


# No target ----------------------------------------------------------------------------


def test_a_loss_without_a_target_takes_zeros() -> None:
    function = generating.function("entropy_only")
    assert "`fit` wants one: pass zeros" in " ".join((function.__doc__ or "").split())
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    net.compile("sgd", loss=generating.loss_class("entropy_only")())
    x = np.ones((4, 3), np.float32)
    before = net.evaluate(x, np.zeros(4), verbose=0)
    net.fit(x, np.zeros(4), epochs=3, verbose=0)
    assert net.evaluate(x, np.zeros(4), verbose=0) < before
