"""Generated losses compute what their formulas say, all over the language."""

from __future__ import annotations

from typing import Any

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf
from language_cases import BRANCHES, BY_NAME, FORMULAS, Formula

MODES: dict[str, Any] = {"graph": {}, "xla": {"jit_compile": True}}


def labelled(formulas: list[Formula]) -> Any:
    return pytest.mark.parametrize("formula", formulas, ids=lambda item: item.name)


def value_and_gradient(formula: Formula, y_true: Any, y_pred: Any, mode: str) -> Any:
    """The values, the gradient of their sum, and the mask."""

    def run(y_true: Any, y_pred: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            values = formula.function(y_true, y_pred, **formula.params)
        mask = getattr(values, "_keras_mask", tf.ones_like(values, tf.bool))
        return values, tape.gradient(values, y_pred), mask

    if mode != "eager":
        run = tf.function(run, **MODES[mode])
    target = tf.constant(0.0) if y_true is None else tf.constant(y_true)
    return [tensor.numpy() for tensor in run(target, tf.constant(y_pred))]


def difference_quotient(formula: Formula, y_pred: Any, step: float = 1e-6) -> Any:
    slope = np.zeros_like(y_pred)
    for index in np.ndindex(y_pred.shape):
        move = np.zeros_like(y_pred)
        move[index] = step * max(1, abs(y_pred[index]))
        rise = formula.expected(y_pred + move) - formula.expected(y_pred - move)
        slope[index] = rise.sum() / (2 * move[index])
    return slope


@labelled(FORMULAS)
def test_value_and_gradient(formula: Formula) -> None:
    expected = formula.expected(formula.y_pred)
    slope = difference_quotient(formula, formula.y_pred)
    assert np.isfinite(expected).all()
    assert np.isfinite(slope).all()
    for mode in ("eager", "xla"):
        values, gradient, mask = value_and_gradient(
            formula, formula.y_true, formula.y_pred, mode
        )
        assert values.dtype == np.float64
        assert values.shape == expected.shape
        np.testing.assert_allclose(values, expected, 1e-6, 1e-9, err_msg=mode)
        np.testing.assert_allclose(gradient, slope, 1e-5, 2e-7, err_msg=mode)
        kept = np.ones(values.shape, bool) if formula.kept is None else formula.kept
        np.testing.assert_array_equal(mask, kept)


@labelled(FORMULAS)
def test_float32(formula: Formula) -> None:
    y_true = formula.y_true
    if y_true is not None and np.asarray(y_true).dtype == float:
        y_true = np.asarray(y_true, np.float32)
    y_pred = formula.y_pred.astype(np.float32)
    expected = formula.expected(formula.y_pred)
    slope = difference_quotient(formula, formula.y_pred)
    values, gradient, _ = value_and_gradient(formula, y_true, y_pred, "graph")
    assert values.dtype == np.float32
    scale = max(1, abs(expected).max())
    np.testing.assert_allclose(values, expected, 2e-5, 1e-5 * scale)
    scale = max(1, abs(slope).max())
    np.testing.assert_allclose(gradient, slope, 1e-4, 1e-5 * scale)


@labelled(FORMULAS)
def test_class_averages_over_what_is_kept(formula: Formula) -> None:
    expected = formula.expected(formula.y_pred)
    kept = np.ones(expected.shape, bool) if formula.kept is None else formula.kept
    target = 0.0 if formula.y_true is None else formula.y_true
    loss = formula.loss(dtype="float64")
    value = loss(target, formula.y_pred)
    np.testing.assert_allclose(value, expected.sum() / kept.sum(), rtol=1e-6)
    again = type(loss).from_config(loss.get_config())
    assert again(target, formula.y_pred) == value


@labelled(FORMULAS)
def test_dropped_rows_may_hold_nan(formula: Formula) -> None:
    y_pred = formula.y_pred.copy()
    y_pred[0] = np.nan
    weights = np.array([0.0, 1.0, 1.0, 1.0])
    target = 0.0 if formula.y_true is None else formula.y_true
    prediction = tf.constant(y_pred)
    loss = formula.loss(dtype="float64", reduction="sum")
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(target, prediction, sample_weight=weights)
    gradient = tape.gradient(value, prediction).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[0].any()
    if "batch" in formula.name:
        rest = formula.loss(dtype="float64", reduction="sum")
        expected = rest(target[1:], formula.y_pred[1:])
    else:
        expected = formula.expected(formula.y_pred)[1:].sum()
    np.testing.assert_allclose(value, expected, rtol=1e-6)


# Labels ---------------------------------------------------------------------------


def test_only_a_target_with_gradient_gets_one() -> None:
    for name, wanted in (("soft_targets", True), ("earth_mover", False)):
        formula = BY_NAME[name]
        target = tf.constant(formula.y_true)
        with tf.GradientTape() as tape:
            tape.watch(target)
            values = formula.function(target, formula.y_pred)
        gradient = tape.gradient(values, target)
        assert (gradient is not None) == wanted, name
    formula = BY_NAME["soft_targets"]
    target = tf.constant(formula.y_true)
    with tf.GradientTape() as tape:
        tape.watch(target)
        values = formula.function(target, formula.y_pred)
    logits = formula.y_pred
    total = np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(tape.gradient(values, target), total - logits)


@pytest.mark.parametrize("target", [None, "anything", [1, 2], float("nan")])
def test_an_unused_target_is_never_looked_at(target: Any) -> None:
    formula = BY_NAME["entropy_only"]
    values = formula.function(target, formula.y_pred)
    np.testing.assert_allclose(values, formula.expected(formula.y_pred))


@pytest.mark.parametrize("name", ["sparse_focal", "sparse_brier", "sparse_class_dice"])
def test_indices_outside_the_classes_never_pass(name: str) -> None:
    formula = BY_NAME[name]
    for wrong in (3, -7):
        y_true = np.array(formula.y_true)
        y_true[0] = wrong
        with pytest.raises(tf.errors.InvalidArgumentError):
            formula.function(y_true, formula.y_pred)
        compiled = tf.function(formula.function, jit_compile=True)
        values = compiled(tf.constant(y_true), tf.constant(formula.y_pred)).numpy()
        assert np.isnan(values[0]).all()
        assert np.isfinite(values[1:]).all()


@pytest.mark.parametrize("name", ["plain_sparse", "sparse_brier", "sparse_scores"])
def test_indices_may_have_a_trailing_1(name: str) -> None:
    formula = BY_NAME[name]
    expected = formula.expected(formula.y_pred)
    for dtype in (np.int32, np.float32):
        y_true = np.asarray(formula.y_true, dtype)[..., None]
        values = formula.function(y_true, formula.y_pred, **formula.params)
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_logits_of_a_masked_loss() -> None:
    formula = BY_NAME["masked_probabilities"]
    logits = np.log(formula.y_pred) - np.log1p(-formula.y_pred)
    values = formula.function(formula.y_true, logits, from_logits=True)
    np.testing.assert_allclose(values, formula.expected(formula.y_pred), rtol=1e-6)


# Sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "true", "pred"),
    [
        ("shared_size", 3, 5),
        ("shared_size", 2, 6),
        ("broadcast_target", 2, 3),
        ("box_and_class", 7, 6),
        ("unequal_sizes", 3, 4),
        ("per_class_scale", 1, 3),
        ("survival", 2, 3),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name: str, true: int, pred: int) -> None:
    function = generating.function(name)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        function(np.ones((4, true)), np.ones((4, pred)))
    dynamic = [tf.TensorSpec([None, None], tf.float64)] * 2
    for options in MODES.values():
        traced = tf.function(function, input_signature=dynamic, **options)
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            traced(np.ones((4, true)), np.ones((4, pred)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name",
    [
        "shared_size",
        "size_around_a_scalar",
        "size_told_by_the_target",
        "mask_of_a_sized_channel",
    ],
)
def test_channels_of_unknown_length(name: str, mode: str) -> None:
    formula = BY_NAME[name]

    def run(y_true: Any, y_pred: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            values = formula.function(y_true, y_pred)
        return values, tape.gradient(values, y_pred)

    dynamic = [tf.TensorSpec([None, None], tf.float64)] * 2
    traced = tf.function(run, input_signature=dynamic, **MODES[mode])
    values, gradient = traced(formula.y_true, formula.y_pred)
    np.testing.assert_allclose(values, formula.expected(formula.y_pred), 1e-9)
    slope = difference_quotient(formula, formula.y_pred)
    np.testing.assert_allclose(gradient, slope, 1e-5, 2e-7)


# Parameters -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, np.asarray, tf.constant, tf.Variable])
@pytest.mark.parametrize("name", ["class_scaled", "weight_map"])
def test_tensor_parameters(name: str, kind: Any) -> None:
    formula = BY_NAME[name]
    (parameter,) = set(formula.loss().get_config()) & {"scale", "weight"}
    scales = np.array([3.0, 0.25, 1.0])
    values = formula.function(
        formula.y_true, formula.y_pred, **{parameter: kind(scales)}
    )
    errors = formula.y_true - formula.y_pred
    if name == "class_scaled":
        expected = (scales * errors**2).sum(-1)
    else:
        expected = (scales * abs(errors)).mean(-1)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
def test_variables_get_gradients_and_take_effect(options: Any) -> None:
    formula = BY_NAME["class_scaled"]
    scale = tf.Variable([1.0, 2.0, 3.0], dtype=tf.float64)
    loss = formula.loss(scale=scale, dtype="float64", reduction="sum")

    @tf.function(**options)
    def step() -> Any:
        with tf.GradientTape() as tape:
            value = loss(formula.y_true, formula.y_pred)
        return value, tape.gradient(value, scale)

    squares = (formula.y_true - formula.y_pred) ** 2
    for values in ([1.0, 2.0, 3.0], [0.5, 0.0, 4.0]):
        scale.assign(values)
        value, gradient = step()
        np.testing.assert_allclose(value, (squares * values).sum())
        np.testing.assert_allclose(gradient, squares.sum(0))
    assert step.experimental_get_tracing_count() == 1


def test_parameters_without_default_are_required() -> None:
    formula = BY_NAME["required_rate"]
    with pytest.raises(TypeError, match="rate"):
        formula.function(formula.y_true, formula.y_pred)
    with pytest.raises(TypeError, match="rate"):
        generating.loss_class("required_rate")()


# Branches and guards --------------------------------------------------------------


@labelled(BRANCHES)
def test_an_untaken_branch_spoils_nothing(formula: Formula) -> None:
    """Far on either side, where the other branch is infinite or undefined."""
    far = np.array([[-1e3, 0.0, 1e3], [-90.0, 1.0, 90.0]])
    y_true = np.ones_like(far)
    for mode in ("eager", *MODES):
        values, gradient, _ = value_and_gradient(formula, y_true, far, mode)
        assert np.isfinite(values).all()
        assert np.isfinite(gradient).all()
        single = value_and_gradient(
            formula, y_true.astype(np.float32), far.astype(np.float32), mode
        )
        assert np.isfinite(single[0]).all()
        assert np.isfinite(single[1]).all()


EPS = np.finfo(np.float64).eps

# The loss, an end of its domain, the guard point, and how far beyond it may go.
GUARDED = [
    ("guarded_below", 0.0, 1e-18, 1e-18),
    ("guarded_above", 1.0, 1 - EPS / 2, 1e-15),
    ("guarded_both", 0.0, 1e-18, 1e-18),
    ("guarded_both", 1.0, 1 - EPS / 2, 1e-15),
    ("guarded_epsilon", 0.0, 1e-3, 0.1),
    ("guarded_epsilon", 1.0, 1 - 1e-3, 0.1),
    ("guarded_circle", 0.0, 1e-18, 1e-18),
    ("guarded_circle", 2 * np.pi, np.nextafter(2 * np.pi, 0), 1e-14),
    ("positive_scale", 0.0, 3.5e-16, 1e-16),
    ("guarded_reciprocal", 0.0, 2.5e-16, 1e-16),
    ("guarded_power", 0.0, 1e-9, 1e-8),
    ("guarded_reduction", 0.0, 0.01, 0.1),
]


@pytest.mark.parametrize(("name", "end", "guard", "reach"), GUARDED)
@pytest.mark.parametrize("mode", ["eager", *MODES])
def test_beyond_the_guard_value_and_slopes_are_those_at_it(
    name: str, end: float, guard: float, reach: float, mode: str
) -> None:
    formula = BY_NAME[name]
    outward = np.sign(end - guard)

    def at(target: Any, moving: Any) -> Any:
        """Value, slope and second derivative by the guarded component."""
        with tf.GradientTape() as outer:
            outer.watch(moving)
            with tf.GradientTape() as tape:
                tape.watch(moving)
                beside = tf.zeros_like(moving)
                channels = [beside, moving] if name == "positive_scale" else [moving]
                values = formula.function(target, tf.concat(channels, axis=-1))
            slopes = tape.gradient(values, moving)
        return values, slopes[:, 0], outer.gradient(slopes, moving)[:, 0]

    if mode != "eager":
        at = tf.function(at, **MODES[mode])
    points = guard + outward * reach * np.array([-1e-7, 0.0, 0.5, 1.0, 4.0])
    if end == 0:
        points[0] = guard * (1 + 1e-9)  # just inside
    target = tf.constant(np.full((len(points), 1), 0.7))
    found = [item.numpy() for item in at(target, tf.constant(points[:, None]))]
    for item in found:
        assert np.isfinite(item).all()
        np.testing.assert_allclose(item[2:], item[1], rtol=1e-12)
        if end == 0:
            np.testing.assert_allclose(item[0], item[1], rtol=1e-7)


@pytest.mark.parametrize(("name", "end", "guard", "reach"), GUARDED)
@pytest.mark.parametrize("mode", ["eager", "xla"])
def test_everything_is_finite_at_guarded_ends(
    name: str, end: float, guard: float, reach: float, mode: str
) -> None:
    formula = BY_NAME[name]
    beyond = end + np.sign(end - guard) * reach
    points = np.array([end, beyond, guard, np.float32(end) + 0.1 * (guard - end)])

    def run(y_true: Any, y_pred: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            values = formula.function(y_true, y_pred)
        return values, tape.gradient(values, y_pred)

    if mode != "eager":
        run = tf.function(run, **MODES[mode])
    for dtype in (np.float64, np.float32):
        y_pred = points.astype(dtype)[:, None]
        if name == "positive_scale":
            y_pred = np.concatenate([np.zeros_like(y_pred), y_pred], -1)
        y_true = np.full((len(points), 1), 0.7, dtype)
        value, slope = run(tf.constant(y_true), tf.constant(y_pred))
        assert np.isfinite(value).all()
        assert np.isfinite(slope).all()


def test_names_of_modules_and_classes() -> None:
    for formula in FORMULAS:
        cls = generating.loss_class(formula.name)
        registered = keras.saving.get_registered_name(cls)
        assert registered == f"lossgen>{generating.class_name(formula.name)}"


def test_a_norm_that_is_0_meets_a_guard() -> None:
    """Where predictions equal their targets the slope of the norm is 0, not 0/0."""
    function = generating.function("masked_norms")
    labels = tf.constant([[2.0, 1.375], [2.0, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch(labels)
        values = function(labels, labels)
        total = tf.reduce_sum(values)
    # What is left is the distance of the direction from the label.
    lengths = np.linalg.norm(labels, axis=1, keepdims=True)
    expected = np.square(labels / lengths - labels).sum(axis=1)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert np.isfinite(tape.gradient(total, labels)).all()


def test_weights_of_0_count_in_the_mean_of_what_labels_keep() -> None:
    loss = generating.loss_class("sparse_scores")()  # ignores class 0
    scores = tf.constant([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0], [2.0, 0.0, 0.0]])
    labels = tf.constant([1, 2, 0])
    first = np.log(np.exp(1.0) + np.exp(2.0) + np.exp(0.5)) - 2.0
    found = loss(labels, scores, sample_weight=[1.0, 0.0, 1.0])
    np.testing.assert_allclose(found, first / 2, rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
def test_softmax_over_several_axes_keeps_its_digits(xla: bool) -> None:
    """With one score far above the others the terms of its slope cancel."""
    function = generating.function("spatial_crossentropy")
    scores = np.array([[[[5613.0], [5599.5]], [[5598.0], [5597.25]]]], np.float32)
    labels = np.array([[[[1193.75], [0.25]], [[0.0], [0.5]]]], np.float32)

    @tf.function(jit_compile=xla)
    def slope(p: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(p)
            total = tf.reduce_sum(function(labels, p))
        return tape.gradient(total, p)

    powers = np.exp(np.float64(scores) - 5613)
    # Of the largest: what its share lacks of 1, times all labels, less other labels.
    lacking = powers.ravel()[1:].sum() / powers.sum()
    total = np.float64(labels).sum()
    expected = total - 1193.75 - total * lacking
    found = slope(tf.constant(scores)).numpy().ravel()
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
