"""Value and gradient at open ends, whatever the order of the pole.

Expected values are the formulas of ``tests/cases/good/poles.yaml``, written out here
for mpmath, and their derivatives by hand, at the guard point that the code names.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf
from mpmath import mp, mpf


def points(function: Any, name: str = "y_pred") -> list[float]:
    """The guard points of a prediction, in the order of the code."""
    code = " ".join(inspect.getsource(function).split())
    call = rf"tf\.(?:maximum|minimum|clip_by_value)\( ?{name}, (.*?) ?\) ?\)\("
    (found,) = re.findall(call, code)
    return [float(text) for text in found.split(", ") if "_below" not in text]


def evaluated(function: Any, y_true: Any, y_pred: Any, dtype: str, xla: bool) -> Any:
    @tf.function(jit_compile=xla)
    def run(target: tf.Tensor, prediction: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = function(target, prediction)
        return values, tape.gradient(values, prediction)

    found = run(tf.constant(y_true, dtype), tf.constant(y_pred, dtype))
    return [item.numpy() for item in found]


# The loss, the prediction at the end, others at moderate size, and its value and slope
# by hand, as functions of the point.
ENDS = [
    (
        "gaussian_of_scale",
        "scale",
        lambda g: [0.5, g],
        2.0,
        lambda g: mp.log(g) + mpf(1.5) ** 2 / g**2 / 2,
        lambda g: 1 / g - mpf(1.5) ** 2 / g**3,
    ),
    (
        "squared_reciprocal",
        "y_pred",
        lambda g: [g],
        3.0,
        lambda g: 3 / g**2,
        lambda g: -6 / g**3,
    ),
    (
        "student_t_of_scale",
        "scale",
        lambda g: [0.5, g, 2.0],
        2.0,
        lambda g: (
            mp.log(g)
            + mpf(1.5) * mp.log(1 + (mpf(1.5) / g) ** 2 / 2)
            + mp.log(2) / 2
            - mp.loggamma(1.5)
        ),
        lambda g: 1 / g - 3 * mpf(1.5) ** 2 / g / (2 * g**2 + mpf(1.5) ** 2),
    ),
    (
        "weibull_of_order_3",
        "y_pred",
        lambda g: [g],
        2.0,
        lambda g: 3 * mp.log(g) - 2 * mp.log(2) + 8 / g**3,
        lambda g: 3 / g - 24 / g**4,
    ),
    (
        "zero_inflated_lognormal",
        "scale",
        lambda g: [0.5, 0.5, g],
        2.0,
        lambda g: mp.log(2) + mp.log(g) + (mp.log(2) - mpf(0.5)) ** 2 / g**2 / 2,
        lambda g: 1 / g - (mp.log(2) - mpf(0.5)) ** 2 / g**3,
    ),
    (
        "cubed_odds",
        "y_pred",
        lambda g: [g],
        0.5,
        lambda g: 1 / (2 * (1 - g)) ** 3,
        lambda g: 3 / 8 / (1 - g) ** 4,
    ),
]
NAMES = [row[0] for row in ENDS]


@pytest.mark.parametrize("row", ENDS, ids=NAMES)
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_beyond_the_point_value_and_slope_are_those_of_the_formula_at_it(
    row: Any, xla: bool, dtype: str
) -> None:
    loss, prediction, placed, y_true, value, slope = row
    function = generating.function(loss, chosen=True)
    upper = loss == "cubed_odds"
    below_one = float(1 - np.finfo(dtype).epsneg)
    point = below_one if upper else points(function, prediction)[0]
    ends = [1.0, 1.5] if upper else [0.0, -0.5, 1e-30]
    rows = [placed(end) for end in ends]
    values, slopes = evaluated(function, [[y_true]] * len(rows), rows, dtype, xla)
    index = rows[0].index(ends[0])
    with mp.workdps(40):
        g = mpf(float(np.dtype(dtype).type(point)))
        np.testing.assert_allclose(values, float(value(g)), rtol=1e-5)
        np.testing.assert_allclose(slopes[:, index], float(slope(g)), rtol=1e-5)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("row", ENDS[:-1], ids=NAMES[:-1])
@pytest.mark.parametrize("xla", [False, True])
def test_a_64th_of_the_point_would_be_too_close(row: Any, xla: bool) -> None:
    """With the other inputs as large as the point is found for."""
    loss, prediction, *_ = row
    module = generating.module(loss, chosen=True)
    function = getattr(module, loss)
    (point,) = points(function, prediction)[:1]
    source = inspect.getsource(module)
    closer: dict[str, Any] = {"__name__": f"closer_{loss}"}
    clip = rf"(tf\.maximum\(\s*{prediction},\s*){point!r}"
    changed, count = re.subn(clip, rf"\g<1>{point / 64!r}", source)
    assert count == 1
    # Registered under its name once already.
    changed = re.sub(r"@keras.saving.register_keras_serializable\(.*?\)\n", "", changed)
    exec(compile(changed, loss, "exec"), closer)  # noqa: S102 (generated just now)
    y_true, y_pred = LARGE[loss]
    for item in evaluated(function, y_true, y_pred, "float32", xla):
        assert np.isfinite(item).all()
    found = evaluated(closer[loss], y_true, y_pred, "float32", xla)
    assert not all(np.isfinite(item).all() for item in found)


LARGE = {
    "gaussian_of_scale": ([[1e4], [-1e4]], [[-1e4, 0.0], [1e4, 0.0]]),
    "squared_reciprocal": ([[1e4], [-1e4]], [[0.0], [0.0]]),
    "student_t_of_scale": ([[1e4], [1e4]], [[-1e4, 0.0, 1e4], [-1e4, 0.0, 1.0]]),
    "weibull_of_order_3": ([[1e4], [1.0]], [[0.0], [0.0]]),
    "zero_inflated_lognormal": ([[1e4], [1.0]], [[0.5, -1e4, 0.0], [0.5, 1e4, 0.0]]),
}
"""Targets and predictions as large as the points are found for."""


def test_a_scale_from_a_relu_can_be_fitted() -> None:
    """Half of its outputs are 0, where the slope by the scale is large."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    heads = [
        keras.layers.Dense(1)(hidden),
        keras.layers.Dense(1, activation="relu")(hidden),
    ]
    model = keras.Model(inputs, keras.layers.Concatenate()(heads))
    loss = generating.module("gaussian_of_scale", chosen=True).GaussianOfScale()
    model.compile(keras.optimizers.Adam(), loss=loss)
    history = model.fit(x, x[:, :1], epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


# Where there is no pole ---------------------------------------------------------------


def source(name: str) -> str:
    return inspect.getsource(generating.function(name, chosen=True))


def test_what_is_defined_everywhere_has_no_guard() -> None:
    assert "grad_pass_through" not in source("square_of_open_interval")


def test_what_is_defined_at_the_end_is_held_there() -> None:
    for name in ("power_at_the_end", "overlap_of_regions"):
        assert source(name).count("grad_pass_through") == 1
        assert points(generating.function(name, chosen=True)) == [0.0]
    function = generating.function("power_at_the_end", chosen=True)
    rows = [[0.0], [-0.25], [0.25]]
    values, slopes = evaluated(function, [[0.5]] * 3, rows, "float32", False)
    np.testing.assert_allclose(values, [0.25, 0.25, (1 / 32 - 0.5) ** 2], rtol=1e-6)
    expected = [[0.0], [0.0], [2 * (1 / 32 - 0.5) * 2.5 / 8]]
    np.testing.assert_allclose(slopes, expected, rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
def test_near_a_removable_singularity_digits_are_kept(xla: bool) -> None:
    """The slope at 0 is 0; without the guard it would be of the size of 1e10."""
    function = generating.function("sinc_distance", chosen=True)
    rows = [[0.0], [1e-18], [1e-9], [-0.5]]
    values, slopes = evaluated(function, [[0.25]] * 4, rows, "float32", xla)
    np.testing.assert_allclose(values, 0.75**2, rtol=1e-5)
    assert np.abs(slopes).max() < 1e-2


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_forward_mode_inside_the_guard(mode: str) -> None:
    """Beyond it, the derivative is that of the clip: a known limit."""
    function = generating.function("gaussian_of_scale", chosen=True)

    def run(target: tf.Tensor, prediction: tf.Tensor, direction: tf.Tensor) -> Any:
        with tf.autodiff.ForwardAccumulator(prediction, direction) as accumulator:
            values = function(target, prediction)
        return accumulator.jvp(values)

    if mode == "graph":
        run = tf.function(run)
    found = run(
        tf.constant([[2.0]], tf.float64),
        tf.constant([[0.5, 0.75]], tf.float64),
        tf.constant([[0.0, 1.0]], tf.float64),
    )
    np.testing.assert_allclose(found, [1 / 0.75 - 1.5**2 / 0.75**3], rtol=1e-12)
