"""What every generated loss owes Keras, checked for each module of a table."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf
from contract_cases import (
    BINARY,
    BY_NAME,
    CASES,
    NOISE,
    ONE_HOT,
    REAL,
    Case,
    N,
    focal,
    sigmoid,
    softmax,
)


def only(condition: Callable[[Case], Any]) -> Any:
    """Parametrises over the cases for which `condition` holds."""
    chosen = [case for case in CASES if condition(case)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


every = only(lambda case: True)
MODES = [{}, {"jit_compile": True}]


def close(actual: Any, expected: Any, rtol: float = 2e-5) -> None:
    np.testing.assert_allclose(
        np.asarray(actual, float), expected, rtol=rtol, atol=rtol / 10
    )


def f32(array: Any) -> np.ndarray:
    return np.asarray(array, np.float32)


def value_and_gradient(loss: Any, t: Any, p: Any, w: Any = None, mask: Any = None):
    p = tf.constant(p)
    with tf.GradientTape() as tape:
        tape.watch(p)
        if mask is not None:
            p_masked = tf.identity(p)
            p_masked._keras_mask = tf.constant(mask)
        else:
            p_masked = p
        value = loss(t, p_masked, sample_weight=w)
    return value.numpy(), tape.gradient(value, p).numpy()


# Values.


@every
def test_values_are_those_of_the_formula_and_never_a_scalar(case: Case) -> None:
    values = case.function(case.y_true, f32(case.y_pred), **case.params)
    expected = case.values(case.y_true, case.y_pred)
    assert values.shape == expected.shape
    assert values.shape.rank >= 1
    close(values, expected)
    close(case.loss().call(case.y_true, f32(case.y_pred)), expected)


@every
def test_sequences(case: Case) -> None:
    t, p = case.sequence(5)
    values = case.function(t, f32(p), **case.params)
    close(values, case.values(t, p))
    close(case.loss()(t, f32(p)), case.mean(t, p))


@every
def test_class_reduces_over_what_is_kept(case: Case) -> None:
    t, p = case.y_true, f32(case.y_pred)
    expected = case.values(t, p)
    close(case.loss()(t, p), case.mean(t, p))
    close(case.loss(reduction="sum")(t, p), expected.sum())
    close(case.loss(reduction=None)(t, p), expected)


@every
def test_eager_graph_and_xla_agree(case: Case) -> None:
    t, p = f32(case.y_true), f32(case.y_pred)
    loss = case.loss()
    expected = value_and_gradient(loss, t, p)
    for options in MODES:
        for dynamic in (False, True):

            def step(t: Any, p: Any) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(p)
                    value = loss(t, p)
                return value, tape.gradient(value, p)

            signature = [
                tf.TensorSpec([None] * x.ndim if dynamic else x.shape) for x in (t, p)
            ]
            compiled = tf.function(step, input_signature=signature, **options)
            for actual, wanted in zip(compiled(t, p), expected, strict=True):
                close(actual, wanted)


@every
def test_gradient_is_that_of_the_formula(case: Case) -> None:
    p = np.asarray(case.y_pred, float)
    _, gradient = value_and_gradient(case.loss(dtype="float64"), case.y_true, p)
    for index in np.ndindex(p.shape):
        step = np.zeros_like(p)
        step[index] = 1e-6
        rise = case.mean(case.y_true, p + step) - case.mean(case.y_true, p - step)
        close(gradient[index], rise / 2e-6, 1e-5)


@every
def test_second_order_is_finite(case: Case) -> None:
    p = tf.constant(f32(case.y_pred))
    with tf.GradientTape() as outer:
        outer.watch(p)
        with tf.GradientTape() as inner:
            inner.watch(p)
            value = case.loss()(case.y_true, p)
        gradient = inner.gradient(value, p)
    second = outer.gradient(gradient, p)
    assert second is None or np.isfinite(second.numpy()).all()


@every
def test_jacobian_and_forward_mode(case: Case) -> None:
    p = tf.constant(np.asarray(case.y_pred, float))
    direction = tf.constant(np.random.default_rng(4).normal(size=p.shape))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(p)
        values = case.function(case.y_true, p, **case.params)
    jacobian = tape.jacobian(values, p).numpy()
    total = jacobian.sum(tuple(range(values.shape.rank)))
    close(total, tape.gradient(values, p), 1e-12)
    with tf.autodiff.ForwardAccumulator(p, direction) as forward:
        values = case.function(case.y_true, p, **case.params)
    change = np.tensordot(jacobian, direction, axes=p.shape.rank)
    close(forward.jvp(values), change, 1e-12)
    moved = [p + sign * 1e-6 * direction for sign in (1, -1)]
    up, down = (case.function(case.y_true, x, **case.params) for x in moved)
    close(change, (up - down) / 2e-6, 1e-5)


# Types.


@every
@pytest.mark.parametrize("dtype", ["int32", "bool", "float64"])
def test_types_of_labels(case: Case, dtype: str) -> None:
    t = tf.cast(case.y_true, tf.as_dtype(dtype))
    expected = case.mean(t.numpy(), case.y_pred)
    close(case.loss()(t, f32(case.y_pred)), expected, 1e-4)
    values = case.function(t, f32(case.y_pred), **case.params)
    close(values, case.values(t.numpy(), case.y_pred), 1e-4)


@every
@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_types_of_predictions(case: Case, dtype: str) -> None:
    p = tf.cast(case.y_pred, tf.as_dtype(dtype))
    seen = tf.cast(p, tf.float64).numpy()
    values = case.function(case.y_true, p, **case.params)
    assert values.dtype == ("float64" if dtype == "float64" else "float32")
    close(values, case.values(case.y_true, seen), 1e-13 if dtype == "float64" else 2e-5)
    close(case.loss()(case.y_true, p), case.mean(case.y_true, seen))


@every
def test_dtype_of_the_class(case: Case) -> None:
    t, p = case.y_true, case.y_pred
    assert case.loss().dtype == "float32"
    double = case.loss(dtype="float64")(t, p)
    assert double.dtype == "float64"
    # Before 3.15, Keras divides the weights of a mask in float32.
    close(double, case.mean(t, p), 1e-7 if case.kept else 1e-13)
    close(case.loss(dtype="float16")(t, p), case.mean(t, p), 2e-2)


def test_parameters_do_not_pass_through_float32() -> None:
    case = BY_NAME["binary_focal"]
    for alpha in (0.1, np.float64(0.1), tf.constant(0.1, tf.float64), np.array(0.1)):
        loss = case.loss(alpha=alpha, dtype="float64")
        expected = focal(BINARY, sigmoid(NOISE), alpha=0.1).mean()
        close(loss(case.y_true, case.y_pred), expected, 1e-14)


# Shapes.


@only(lambda case: case.elementwise)
def test_a_trailing_1_may_come_or_go(case: Case) -> None:
    t, p = case.y_true[:, 0], f32(case.y_pred[:, 0])
    expected = case.values(t[:, None], p[:, None])
    for labels in (t, t[:, None]):
        for predictions in (p, p[:, None]):
            values = case.function(labels, predictions, **case.params)
            assert values.shape == expected.shape
            close(values, expected)
            loss = case.loss()(labels, predictions)
            close(loss, case.mean(t[:, None], p[:, None]))
    deep = case.function(case.y_true, f32(case.y_pred)[..., None], **case.params)
    close(deep, case.values(case.y_true[..., None], case.y_pred[..., None]))
    flat = case.function(case.y_true[..., None], f32(case.y_pred), **case.params)
    close(flat, case.values(case.y_true, case.y_pred))


def mismatches(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    t, p = f32(case.y_true), f32(case.y_pred)
    pairs = [(t[:1], p), (t[:3], p), (np.repeat(t, 2, 0), p)]
    if t.ndim > 1:
        pairs += [(np.repeat(t, 2, 1), p), (np.stack([t, t]), p)]
    if case.elementwise:
        pairs += [(t[:, :1], p), (t, p[:, :1]), (t.T, p), (t[:, 0], p)]
    return pairs


@every
def test_mismatches_raise_at_once(case: Case) -> None:
    for t, p in mismatches(case):
        for call in (lambda t, p: case.function(t, p, **case.params), case.loss()):
            with pytest.raises(ValueError, match=re.escape(str(t.shape))) as error:
                call(t, p)
            if case.elementwise:
                assert str(p.shape) in str(error.value)
            with pytest.raises(ValueError, match="shape"):
                tf.function(call).get_concrete_function(tf.constant(t), tf.constant(p))


@every
@pytest.mark.parametrize("options", MODES, ids=["graph", "xla"])
def test_mismatches_raise_when_the_graph_runs(case: Case, options: Any) -> None:
    loss = case.loss()
    for t, p in mismatches(case):
        for known in (0,) if options else (0, 1):
            # The last `known` axes are static; those may be refused on tracing.
            signature = [
                tf.TensorSpec(
                    [None] * (x.ndim - known) + list(x.shape)[x.ndim - known :]
                )
                for x in (t, p)
                if known < x.ndim
            ]
            if len(signature) < 2:
                continue
            with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
                tf.function(loss, input_signature=signature, **options)(t, p)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        *((size, None) for size in (0.0, 1e-30, 1.0, 1e10, 1e18, 1e24)),
        *((size, {}) for size in (0.0, 1.0, 1e18)),
        # XLA squares 1e-6/size**2 for the slope of a quotient by it.
        *((size, {"jit_compile": True}) for size in (0.0, 1.0, 1e6)),
    ],
)
def test_concordance_of_constants_is_that_of_nothing(size: float, options: Any) -> None:
    """Variances and covariance are 0, and what is left of 1 - 2*0/smooth is 1."""
    y = tf.constant(np.full((4, 2), size, "float32"))

    def value_and_gradient(y_pred: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = generating.function("concordance")(y, y_pred)
        return value, tape.gradient(value, y_pred)

    run = value_and_gradient
    if options is not None:
        run = tf.function(value_and_gradient, **options)
    value, gradient = run(y)
    np.testing.assert_array_equal(value, np.ones(4))
    np.testing.assert_array_equal(gradient, np.zeros((4, 2)))


@pytest.mark.parametrize("name", ["gaussian_nll", "mixture_density_nll"])
def test_predictions_without_an_axis_of_channels_are_refused(name: str) -> None:
    for call in (generating.function(name), generating.loss_class(name)()):
        with pytest.raises(ValueError, match=r"axis of channels, .* \(4,\)"):
            call(np.zeros(4, "float32"), np.zeros(4, "float32"))


@every
def test_ragged_and_sparse_are_refused(case: Case) -> None:
    t, p = f32(case.y_true), f32(case.y_pred)
    ragged = tf.ragged.constant([[1.0, 2.0], [3.0], [1.0], [2.0]])
    thin = tf.sparse.from_dense(p)
    for call in (lambda t, p: case.function(t, p, **case.params), case.loss()):
        for strange in (ragged, thin):
            for pair in ((strange, p), (t, strange)):
                with pytest.raises(TypeError, match="must be dense"):
                    call(*pair)


# Weights and masks.


@every
def test_one_weight_for_each_row(case: Case) -> None:
    t, p = case.y_true, f32(case.y_pred)
    w = np.array([0.5, 2.0, 1.0, 3.0])
    shape = case.values(t, p).shape
    spread = w.reshape([N] + [1] * (len(shape) - 1))
    for weights in (w, w[:, None], f32(w), tf.constant(w), w.tolist()):
        close(case.loss()(t, p, sample_weight=weights), case.mean(t, p, spread))
    expected = (case.values(t, p) * spread).sum() / (
        np.broadcast_to(spread, shape) * case.counted(t, shape)
    ).sum()
    loss = case.loss(reduction="mean_with_sample_weight")
    close(loss(t, p, sample_weight=w), expected)
    close(case.loss()(t, p, sample_weight=2), case.mean(t, p, 2))


@every
def test_weights_of_unknown_shape(case: Case) -> None:
    t, p = case.y_true, f32(case.y_pred)
    w = np.array([0.5, 0.0, 1.0, 3.0])
    if case.returns == "batch":
        w[1] = 2.0
    spread = w.reshape([N] + [1] * (case.values(t, p).ndim - 1))
    for weights in (w, w[:, None]):
        signature = [tf.TensorSpec([None] * x.ndim) for x in (t, p, weights)]
        step = tf.function(case.loss(), input_signature=signature, jit_compile=True)
        close(step(f32(t), p, f32(weights)), case.mean(t, p, spread))
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            step(f32(t), p, f32(weights[:3]))


@only(lambda case: case.returns in ("rows", "elements"))
@pytest.mark.parametrize("steps", [N, 5])
def test_weights_of_sequences(case: Case, steps: int) -> None:
    t, p = case.sequence(steps)
    shape = case.values(t, p).shape
    rows = np.array([0.5, 2.0, 1.0, 3.0])
    cells = np.arange(1.0, 1 + N * steps).reshape(N, steps)
    for weights in (rows, rows[:, None], cells, cells[..., None]):
        spread = weights.reshape([N, -1] + [1] * (len(shape) - 2))
        close(case.loss()(t, f32(p), weights), case.mean(t, p, spread))
    for wrong in (np.ones(N + 2), np.ones((N, steps + 1)), np.ones((N, steps, 7))):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            case.loss()(t, f32(p), wrong)


@only(lambda case: case.returns in ("samples", "batch"))
def test_values_of_samples_take_no_finer_weights_or_masks(case: Case) -> None:
    t, p = case.sequence(5)
    with pytest.raises(ValueError, match="sample_weight"):
        case.loss()(t, f32(p), np.ones((N, 5)))
    masked = tf.constant(f32(p))
    masked._keras_mask = tf.ones((N, 5), tf.bool)
    with pytest.raises(ValueError, match="mask"):
        case.loss()(t, masked)


def spoil(case: Case, t: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Makes the second row senseless."""
    t, p = t.astype(np.float32), p.astype(np.float32)
    t[1] = 99 if case.indices else np.nan
    p[1] = np.nan
    return t, p


@every
@pytest.mark.parametrize("kind", ["weight", "both"])
def test_dropped_rows_may_hold_anything(case: Case, kind: str) -> None:
    t, p = case.y_true, f32(case.y_pred)
    keep = np.array([True, False, True, True])
    mask = None if kind == "weight" else keep
    value, gradient = value_and_gradient(
        case.loss(), *spoil(case, t, p), f32(keep), mask
    )
    expected = case.values(t, p)
    counted = case.counted(t, expected.shape)
    if case.returns == "batch":
        expected = np.full(N, case.values(t[keep], p[keep])[0])
    rows = keep.reshape([N] + [1] * (expected.ndim - 1)) & np.ones(expected.shape, bool)
    total = (expected * counted * rows).sum()
    spoiled = case.counted(spoil(case, t, p)[0], expected.shape)
    close(value, total / (spoiled & rows if mask is not None else spoiled).sum())
    assert np.isfinite(gradient).all()
    assert (gradient[1] == 0).all()
    assert gradient.any()


@every
def test_nothing_kept_gives_0(case: Case) -> None:
    t, p = spoil(case, case.y_true, case.y_pred)
    for w, mask in ((np.zeros(N), None), (None, np.zeros(N, bool))):
        for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
            loss = case.loss(reduction=reduction)
            value, gradient = value_and_gradient(loss, t, p, w, mask)
            assert value == 0
            assert not gradient.any()


@only(lambda case: case.kept)
def test_masked_labels_alone(case: Case) -> None:
    t = np.full_like(case.y_true, -1, dtype=float)
    if case.name == "masked_relative_error":
        t[:] = np.nan
    p = np.full_like(case.y_pred, np.nan)
    value, gradient = value_and_gradient(case.loss(), t, f32(p))
    assert value == 0
    assert not gradient.any()


@only(lambda case: case.returns in ("rows", "elements"))
def test_mask_of_steps(case: Case) -> None:
    t, p = case.sequence(N)
    mask = np.tril(np.ones((N, N), bool))
    expected = case.values(t, p)
    rows = mask.reshape([N, N] + [1] * (expected.ndim - 2))
    rows = rows & case.counted(t, expected.shape)
    loss = case.loss()

    @tf.function(jit_compile=True)
    def step(t: Any, p: Any, mask: Any) -> Any:
        p = tf.identity(p)
        p._keras_mask = mask
        return loss(t, p)

    close(step(f32(t), f32(p), mask), (expected * rows).sum() / rows.sum())


@only(lambda case: case.elementwise and case.returns in ("rows", "elements"))
def test_masks_from_an_embedding(case: Case) -> None:
    ids = np.array([[1, 2, 0, 0], [3, 1, 2, 0], [1, 0, 0, 0], [2, 2, 3, 1]])
    activation = case.activation or "tanh"
    model = keras.Sequential(
        [
            keras.layers.Embedding(4, 3, mask_zero=True),
            keras.layers.Dense(1, activation=activation),
        ]
    )
    p = model.predict(ids, verbose=0)
    t = case.sequence(N)[0][..., 0]
    for labels in (t, t[..., None]):
        model.compile("sgd", case.loss())
        expected = case.values(t[..., None], p)
        mask = (ids > 0).reshape([N, N] + [1] * (expected.ndim - 2))
        mask = mask & case.counted(t[..., None], expected.shape)
        actual = model.evaluate(ids, labels, verbose=0)
        close(actual, (expected * mask).sum() / mask.sum(), 1e-4)


# Logits.


@only(lambda case: case.activation)
def test_logits(case: Case) -> None:
    forward = {"sigmoid": sigmoid, "softmax": softmax}[case.activation]
    z = f32(3 * NOISE)
    expected = case.mean(case.y_true, forward(z.astype(float)))
    close(case.loss(from_logits=True)(case.y_true, z), expected)
    p = getattr(keras.activations, case.activation)(tf.constant(z))
    close(case.loss()(case.y_true, p), expected)


@only(lambda case: case.activation)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_saturated_head_still_learns(case: Case, dtype: str) -> None:
    z = np.array([[30, -30, -30], [-30, 30, -30], [-30, 30, 30], [30, -30, -30]])
    t = {"sigmoid": 1 - (z > 0), "softmax": np.eye(3)[[1, 0, 0, 1]]}[case.activation]
    if case.indices:
        t = np.array([1, 0, 0, 1])
    forward = {"sigmoid": sigmoid, "softmax": softmax}[case.activation]
    expected = case.values(t, forward(z.astype(float)))
    for w in (None, [1.0, 1.0, 0.0, 1.0]):
        logits = tf.constant(z, tf.as_dtype(dtype))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            p = getattr(keras.activations, case.activation)(logits)
            p._keras_mask = tf.constant([True, True, False, True])
            value = case.loss()(t, p, sample_weight=w)
        close(value, expected[[0, 1, 3]].mean(), 1e-4)
        assert p._keras_logits is logits
        assert p.dtype == dtype
        gradient = tape.gradient(value, logits).numpy()
        assert np.isfinite(gradient).all()
        assert gradient[[0, 1, 3]].any(-1).all()
        assert not gradient[2].any()


@only(lambda case: case.activation)
@pytest.mark.parametrize("options", [None, *MODES], ids=["eager", "graph", "xla"])
def test_ends_of_the_domain(case: Case, options: Any) -> None:
    loss = case.loss(reduction="sum")

    def step(t: Any, p: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(p)
            value = loss(t, p)
        return value, tape.gradient(value, p)

    run = step if options is None else tf.function(step, **options)
    for p in (0.0, 1.0, 1e-18, 1e-30, 1 - 2.0**-24, -0.5, 1.5):
        value, gradient = run(
            tf.constant(f32(case.y_true)), tf.fill(case.y_pred.shape, np.float32(p))
        )
        assert np.isfinite(value)
        assert np.isfinite(gradient.numpy()).all()


def test_focal_beyond_the_guard() -> None:
    case = BY_NAME["binary_focal"]
    t = tf.ones((1, 1))
    for p in (0.0, -1e-20, -3e-18):
        value, gradient = value_and_gradient(
            case.loss(gamma=0.0, alpha=1.0), t, f32([[p]])
        )
        close(value, -np.log(1e-18))
        close(gradient, -1e18)


# Indices.


@only(lambda case: case.indices)
def test_indices_out_of_range(case: Case) -> None:
    for wrong in (3, -2, 7, np.nan):
        t, p = f32([2, 0, wrong, 1]), f32(case.y_pred)
        for call in (case.loss(), tf.function(case.loss())):
            with pytest.raises(tf.errors.InvalidArgumentError):
                call(t, p)
        compiled = tf.function(case.loss(reduction=None), jit_compile=True)
        finite = np.isfinite(compiled(t, p).numpy())
        assert finite.tolist() == [True, True, False, True]
        value = case.loss()(t, p, sample_weight=[1, 1, 0, 1])
        assert np.isfinite(value)


@only(lambda case: case.indices)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_indices(case: Case, dtype: str) -> None:
    p = f32(softmax(np.linspace(-1, 1, 3000))[None])
    value = case.loss(dtype=dtype)(np.array([2999]), p)
    close(value, -np.log(p[0, 2999]), 1e-5)


# Parameters.


@only(lambda case: case.bad)
def test_parameters_outside_their_domain_are_refused(case: Case) -> None:
    for name, values in case.bad.items():
        for value in values:
            with pytest.raises(ValueError, match=name):
                case.loss(**{name: value})


@only(lambda case: case.bad)
@pytest.mark.parametrize(
    "kind", [tf.Variable, keras.Variable, tf.constant, np.asarray, np.float32]
)
def test_kinds_of_parameters(case: Case, kind: Any) -> None:
    defaults = {**case.loss().get_config(), **case.params}
    params = {name: kind(f32(defaults[name])) for name in case.bad}
    loss = case.loss(**params)
    close(loss(case.y_true, f32(case.y_pred)), case.mean(case.y_true, case.y_pred))
    config = loss.get_config()
    for name in params:
        close(config[name], defaults[name])
    assert json.loads(json.dumps(config)) == config


@only(lambda case: case.bad)
@pytest.mark.parametrize("options", MODES, ids=["graph", "xla"])
def test_variables_take_effect_without_a_retrace(case: Case, options: Any) -> None:
    defaults = {**case.loss().get_config(), **case.params}
    t, p = f32(case.y_true), f32(case.y_pred)
    for name in case.bad:
        variable = tf.Variable(f32(defaults[name]))
        loss = case.loss(**{name: variable})
        step = tf.function(loss, **options)
        step(t, p)
        with tf.GradientTape() as tape:
            value = loss(t, p)
        assert tape.gradient(value, variable) is not None
        variable.assign(0.5 * variable)
        changed = np.asarray(defaults[name]) / 2
        expected = case.values(t, p, **{name: changed}).mean()
        close(step(t, p), expected)
        assert step.experimental_get_tracing_count() == 1


def test_class_weights_of_another_length_are_refused() -> None:
    case = BY_NAME["weighted_categorical_crossentropy"]
    for weights in ([1.0], [1.0, 2.0]):
        with pytest.raises(ValueError, match="class_weights"):
            case.loss(class_weights=weights)(ONE_HOT, softmax(NOISE))


def test_element_mask_must_broadcast_to_the_predictions() -> None:
    for mask in (np.ones((2, N, 3)), np.ones(2)):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            BY_NAME["mean_absolute_error_with_mask"].loss(mask=mask)(REAL, f32(NOISE))


@every
def test_labels_get_no_gradient(case: Case) -> None:
    t = tf.constant(f32(case.y_true))
    with tf.GradientTape() as tape:
        tape.watch(t)
        value = case.loss()(t, f32(case.y_pred))
    gradient = tape.gradient(value, t)
    assert gradient is None or not gradient.numpy().any()


# Keras.


@every
def test_config(case: Case) -> None:
    assert issubclass(case.cls, keras.losses.Loss)
    assert keras.saving.get_registered_name(case.cls) == f"lossgen>{case.cls.__name__}"
    loss = case.loss(dtype="float64", reduction="sum", name="mine")
    config = loss.get_config()
    assert config["dtype"] == "float64"
    assert config["reduction"] == "sum"
    assert config["name"] == "mine"
    assert case.loss().name == case.name
    assert set(case.params) <= set(config)
    assert json.loads(json.dumps(config)) == config
    t, p = case.y_true, case.y_pred
    copies = [
        case.cls.from_config(config),
        keras.losses.deserialize(keras.losses.serialize(loss)),
        pickle.loads(pickle.dumps(loss)),
        copy.deepcopy(loss),
    ]
    for other in copies:
        assert type(other) is case.cls
        assert other.get_config() == config
        assert other(t, p) == loss(t, p)


def model_for(case: Case) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.layers.Input((5,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(case.y_pred.shape[-1], activation=case.activation),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), loss=case.loss(), metrics=[case.loss()])
    return model


def data_for(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return f32(np.random.default_rng(1).normal(size=(N, 5))), f32(case.y_true)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


RELOAD = """
import importlib, json, sys
import keras, numpy as np
folder, names = sys.argv[1], sys.argv[2:]
for name in names:
    importlib.import_module(name)
    model = keras.models.load_model(f"{folder}/{name}.keras")
    data = np.load(f"{folder}/{name}.npz")
    result = model.evaluate(data["x"], data["y"], verbose=0, return_dict=True)
    print("RESULT", json.dumps([name, result, model.loss.get_config()]))
"""


def test_fit_metric_and_reload_in_a_fresh_process(saved: Path) -> None:
    results = {}
    for case in CASES:
        model = model_for(case)
        x, y = data_for(case)
        before = model.evaluate(x, y, verbose=0, return_dict=True)
        history = model.fit(x, y, epochs=12, batch_size=N, verbose=0)
        after = model.evaluate(x, y, verbose=0, return_dict=True)
        assert np.isfinite(history.history["loss"]).all()
        assert after["loss"] < before["loss"], case.name
        close(after[case.name], after["loss"])
        model.save(saved / f"{case.name}.keras")
        np.savez(saved / f"{case.name}.npz", x=x, y=y)
        results[case.name] = [after, model.loss.get_config()]
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, str(saved), *results],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(generating.FOLDER)},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    loaded = {name: rest for name, *rest in (json.loads(x[7:]) for x in lines)}
    assert loaded == results


def test_dict_of_losses_and_export(tmp_path: Path) -> None:
    x, _ = data_for(BY_NAME["mean_squared_error"])
    inputs = keras.Input((5,))
    outputs = {
        "a": keras.layers.Dense(3, name="a")(inputs),
        "b": keras.layers.Dense(3, activation="sigmoid", name="b")(inputs),
    }
    model = keras.Model(inputs, outputs)
    masked, focal_case = BY_NAME["masked_mean_absolute_error"], BY_NAME["binary_focal"]
    losses = {"a": masked.loss(), "b": focal_case.loss()}
    model.compile("sgd", losses, loss_weights={"a": 1.0, "b": 0.5})
    y = {"a": f32(masked.y_true), "b": f32(BINARY)}
    model.fit(x, y, sample_weight={"a": np.ones(N), "b": np.ones(N)}, verbose=0)
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    p = model.predict(x, verbose=0)
    close(result["a_loss"], masked.mean(y["a"], p["a"]))
    close(result["b_loss"], focal_case.mean(y["b"], p["b"]))
    close(result["loss"], result["a_loss"] + 0.5 * result["b_loss"])
    model.export(tmp_path / "exported", verbose=False)
    restored = tf.saved_model.load(tmp_path / "exported")
    served = restored.serve(tf.constant(x))
    close(served["b"], p["b"])


def test_class_weight_and_xla_in_fit() -> None:
    x, _ = data_for(BY_NAME["mean_squared_error"])
    case = BY_NAME["sparse_categorical_crossentropy"]
    for jit in (False, True):
        model = model_for(case)
        model.compile("sgd", case.loss(), jit_compile=jit)
        y = np.array([0, 1, 2, 1])
        expected = case.values(y, model.predict(x, verbose=0)) @ [1, 2, 4, 2] / N
        history = model.fit(
            x, y, class_weight={0: 1, 1: 2, 2: 4}, batch_size=N, verbose=0
        )
        close(history.history["loss"][0], expected, 1e-4)


REPLICAS = """
import importlib, sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
rng = np.random.default_rng(0)
x = rng.normal(size=(8, 5)).astype("float32")
y = (rng.random((8, 3)) < 0.5).astype("float32")
w = rng.random(8).astype("float32")
strategies = [tf.distribute.get_strategy(),
              tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])]
for name in sys.argv[1:]:
    cls = getattr(importlib.import_module(name), name.title().replace("_", ""))
    fits, loops = [], []
    for strategy in strategies:
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((5,)),
                                      keras.layers.Dense(3, activation="sigmoid")])
            model.compile(keras.optimizers.SGD(0.1), cls())
            loss = cls(reduction=None)
        def replica(x, y):
            with tf.GradientTape() as tape:
                values = tf.nn.compute_average_loss(
                    loss(y, model(x)), global_batch_size=8)
            return tape.gradient(values, model.trainable_variables[0])
        @tf.function
        def step(x, y):
            return strategy.reduce("SUM", strategy.run(replica, args=(x, y)), axis=None)
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
        batch = next(iter(strategy.experimental_distribute_dataset(data)))
        loops.append(np.array(step(*batch)))
        history = model.fit(x, y, sample_weight=w, batch_size=8, epochs=2,
                            shuffle=False, verbose=0)
        fits.append([*history.history["loss"], *model.get_weights()[0].ravel()])
    np.testing.assert_allclose(fits[0], fits[1], rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(loops[0], loops[1], rtol=1e-5, atol=1e-6, err_msg=name)
"""


def test_two_replicas_equal_one() -> None:
    names = ["mean_squared_error", "dice"]
    for name in names:
        generating.generate(name)
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(generating.FOLDER)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
