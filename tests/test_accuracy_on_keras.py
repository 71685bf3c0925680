"""Generated code keeps its digits where predictions are saturated, huge or tiny.

Expected are the formulas of ``tests/cases/good/saturation.yaml``, written out here for
mpmath at 60 digits; gradients are its numerical derivatives.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import generating
import numpy as np
import pytest
import tensorflow as tf
from mpmath import mp, mpf

FIRST = [1.0, 0.0, 0.0]
SATURATED = [[12.0, -3.0, 1.5], [1.5, 9.0, -7.0], [-20.0, 20.0, 0.25]]
EXTREME = [[1000.0, 0.0, -3.0], [-1000.0, 0.5, 0.25], [0.0, 100.0, 100.0]]

Row = Sequence[mpf]


def softmax(logits: Row) -> list[mpf]:
    powers = [mp.exp(logit) for logit in logits]
    return [power / mp.fsum(powers) for power in powers]


def ordinal(target: Row, logits: Row) -> mpf:
    gaps = [p - t for p, t in zip(softmax(logits), target, strict=True)]
    return mp.fsum(mp.fsum(gaps[: end + 1]) ** 2 for end in range(len(gaps)))


def one_against_the_rest(target: Row, logits: Row) -> mpf:
    terms = zip(softmax(logits), target, strict=True)
    return -mp.fsum(mp.log(p) if t else mp.log(1 - p) for p, t in terms)


def soft_focus(target: Row, logits: Row) -> mpf:
    p_t = mp.fsum(p * t for p, t in zip(softmax(logits), target, strict=True))
    return -mp.sqrt(1 - p_t) * mp.log(p_t)


def hellinger(target: Row, logits: Row) -> mpf:
    pairs = zip(softmax(logits), target, strict=True)
    return mp.fsum((mp.sqrt(p) - mp.sqrt(t)) ** 2 for p, t in pairs) / 2


def divergence(target: Row, logits: Row) -> mpf:
    pairs = zip(softmax(logits), target, strict=True)
    return mp.fsum(t * mp.log(t / p) for p, t in pairs if t)


def dice(target: Row, logits: Row) -> mpf:
    p = [1 / (1 + mp.exp(-logit)) for logit in logits]
    overlap = mp.fsum(a * b for a, b in zip(p, target, strict=True))
    return 1 - (2 * overlap + 1) / (mp.fsum([*p, *target]) + 1)


LOGITS: dict[str, tuple[Callable[[Row, Row], mpf], list[float]]] = {
    "ordinal_distance": (ordinal, FIRST),
    "one_against_the_rest": (one_against_the_rest, FIRST),
    "soft_focus": (soft_focus, FIRST),
    "hellinger_distance": (hellinger, [0.25, 0.5, 0.25]),
    "divergence_of_classes": (divergence, FIRST),
    "dice_of_logits": (dice, FIRST),
}


def computed(
    name: str, y_true: Any, y_pred: Any, xla: bool, **options: Any
) -> tuple[Any, Any]:
    function = generating.function(name)

    @tf.function(jit_compile=xla)
    def run(target: tf.Tensor, prediction: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = function(target, prediction, **options)
        return values, tape.gradient(values, prediction)

    values, slopes = run(
        tf.constant(y_true, tf.float32), tf.constant(y_pred, tf.float32)
    )
    return values.numpy(), slopes.numpy()


def gradient(formula: Callable[[Row, Row], mpf], target: Row, row: Row) -> list[mpf]:
    def along(index: int) -> Callable[[mpf], mpf]:
        return lambda x: formula(target, [*row[:index], x, *row[index + 1 :]])

    return [mp.diff(along(index), row[index]) for index in range(len(row))]


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("name", LOGITS)
def test_saturated_logits(name: str, xla: bool) -> None:
    formula, target = LOGITS[name]
    y_true = [target] * len(SATURATED)
    values, slopes = computed(name, y_true, SATURATED, xla, from_logits=True)
    with mp.workdps(60):
        for row, value, slope in zip(SATURATED, values, slopes, strict=True):
            logits = [mpf(logit) for logit in row]
            exact = float(formula(target, logits))
            assert value == pytest.approx(exact, rel=2e-5)
            expected = [float(item) for item in gradient(formula, target, logits)]
            assert slope == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("name", LOGITS)
def test_extreme_logits_are_finite(name: str, xla: bool) -> None:
    y_true = [LOGITS[name][1]] * len(EXTREME)
    values, slopes = computed(name, y_true, EXTREME, xla, from_logits=True)
    assert np.isfinite(values).all()
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("xla", [False, True])
def test_a_label_of_0_spoils_no_slope_of_a_quotient(xla: bool) -> None:
    """The slope of t*log(t/p) is -t/p, also where t is 0."""
    rows = [[0.5, 0.25, 0.25], [0.125, 0.875, 0.0]]
    _, slopes = computed("divergence_of_classes", [FIRST, FIRST], rows, xla)
    np.testing.assert_allclose(slopes, [[-2.0, 0.0, 0.0], [-8.0, 0.0, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_a_norm_is_right_whatever_its_size(size: float, xla: bool) -> None:
    """(3, 4) has the length 5 and points to (0.6, 0.8), in any unit."""
    row = np.array([[3 * size, 4 * size]], np.float32)
    values, slopes = computed("distance", np.zeros((1, 2)), row, xla)
    np.testing.assert_allclose(values, [5 * size], rtol=1e-6)
    np.testing.assert_allclose(slopes, [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
def test_a_square_of_an_overflowing_exp_has_a_slope(xla: bool) -> None:
    """1/(1 + exp(z))**2 is 0 for large z, with the slope 0, and 1 for small z."""
    rows = [[-100.0], [0.0], [60.0], [100.0]]
    values, slopes = computed("savage_loss", np.ones((4, 1)), rows, xla)
    np.testing.assert_allclose(values, [1.0, 0.25, 0.0, 0.0], atol=1e-37)
    np.testing.assert_allclose(slopes[:, 0], [0.0, -0.25, 0.0, 0.0], atol=1e-37)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_a_direction_is_right_whatever_its_length(size: float, xla: bool) -> None:
    """(3, 4)/5 and (4, 3)/5 have the product 0.96; the slope is what is across."""
    row = np.array([[3 * size, 4 * size]], np.float32)
    values, slopes = computed("cosine", [[4.0, 3.0]], row, xla)
    np.testing.assert_allclose(values, [-0.96], rtol=1e-6)
    np.testing.assert_allclose(slopes * size, [[-0.0448, 0.0336]], rtol=1e-5)


@pytest.mark.parametrize("xla", [False, True])
def test_tails_are_right_where_the_scale_is_tiny(xla: bool) -> None:
    """With r = d/scale large: 5/2*log(r**2/4) + log(scale), slopes 5/d and -4/scale."""
    distance, scale = 1000.0, 1e-17
    values, slopes = computed("heavy_tails", [[0.0]], [[distance, scale]], xla)
    expected = 5 * math.log(distance / scale / 2) + math.log(scale)
    np.testing.assert_allclose(values, [expected], rtol=1e-6)
    np.testing.assert_allclose(slopes, [[5 / distance, -4 / scale]], rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
def test_tails_have_a_slope_where_the_scale_ends(xla: bool) -> None:
    """Below 7.7e-18 that of this point; there 2e4/scale**2 is just below 2**128."""
    rows = [[50.0, 7.7e-18], [50.0, 0.0], [50.0, -1.0]]
    values, slopes = computed("heavy_tails", [[0.0]] * 3, rows, xla)
    assert np.isfinite(values).all()
    np.testing.assert_allclose(slopes[:, 1], [-4 / 7.7e-18] * 3, rtol=1e-5)


@pytest.mark.parametrize("xla", [False, True])
def test_a_saturated_tanh_has_a_slope(xla: bool) -> None:
    """tanh' is 1/cosh**2, long after tanh has become 1."""
    rows = np.array([[-20.0], [-9.5], [0.0], [0.5], [9.5], [20.0]], np.float32)
    values, slopes = computed("squashed", np.full((6, 1), 0.5), rows, xla)
    with mp.workdps(60):
        for (x,), value, (slope,) in zip(rows, values, slopes, strict=True):
            gap = mp.tanh(mpf(float(x))) - mpf(0.5)
            assert value == pytest.approx(float(gap**2), rel=1e-5)
            expected = float(2 * gap / mp.cosh(mpf(float(x))) ** 2)
            assert slope == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("xla", [False, True])
def test_a_slope_that_overflows_spoils_no_value(xla: bool) -> None:
    """y/p + log(p) is finite where its slope -y/p**2 + 1/p is not."""
    targets, rows = [[4.5e17], [1e17], [2.0]], [[1.3e-14], [1e-15], [0.5]]
    values, slopes = computed("waiting_time", targets, rows, xla)
    expected = [4.5e17 / 1.3e-14, 1e32, 4 + math.log(0.5)]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    np.testing.assert_allclose(slopes, [[-np.inf], [-np.inf], [-6.0]], rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
def test_a_slope_that_overflows_spoils_no_other_slope(xla: bool) -> None:
    """(log(v) + d**2/v)/2 has the slopes -d/v by the mean and (1/v - d**2/v**2)/2."""
    rows = np.array([[-3e9, 1e-13], [1e10, 4e-14], [0.5, 1e18], [2.0, 0.5]])
    values, slopes = computed("spread_of_gaussian", np.zeros((4, 1)), rows, xla)
    gap, variance = rows.T
    expected = (np.log(variance) + gap**2 / variance) / 2
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    by_mean = gap / variance
    by_variance = (1 / variance - (gap / variance) ** 2) / 2
    by_variance[:2] = -np.inf
    expected = np.stack([by_mean, by_variance], axis=-1)
    np.testing.assert_allclose(slopes, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "xla"])
@pytest.mark.parametrize("variance", [0.0, -0.25])
def test_beyond_the_guard_all_slopes_are_those_of_the_guard_point(
    variance: float, mode: str
) -> None:
    """By the mean, the target, the weight and the variance."""
    t, m, w = 1e-9, 3e-9, 1.5
    gap = m - t
    function = generating.function("spread_of_gaussian")
    source = inspect.getsource(function)
    (found,) = re.findall(r"tf\.maximum\(\s*variance,\s*(\S+?)\s*\)", source)
    g = float(found)
    value = (math.log(g) + gap**2 / g) / 2
    by_mean, by_variance = w * gap / g, w * (1 / g - gap**2 / g**2) / 2

    def run(target: tf.Tensor, prediction: tf.Tensor, weight: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([target, prediction, weight])
            values = function(target, prediction, w=weight)
        return values, tape.gradient(values, [target, prediction, weight])

    if mode == "xla":
        run = tf.function(run, jit_compile=True)
    values, (by_target, by_pred, by_weight) = run(
        tf.constant([[t]], tf.float32),
        tf.constant([[m, variance]], tf.float32),
        tf.constant(w, tf.float32),
    )
    np.testing.assert_allclose(values, [w * value], rtol=1e-5)
    np.testing.assert_allclose(by_pred, [[by_mean, by_variance]], rtol=1e-5)
    np.testing.assert_allclose(by_target, [[-by_mean]], rtol=1e-5)
    np.testing.assert_allclose(by_weight, value, rtol=1e-5)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("log_scale", [-50.0, -85.0, -1000.0])
def test_a_component_out_of_reach_has_the_slope_0(log_scale: float, xla: bool) -> None:
    """The other, of weight 1, has the slopes d by mean and 1 - d**2 by log_scale."""
    row = [[0.0, 0.0, 0.5, 0.0, 0.0, log_scale]]
    values, slopes = computed("mixture_density_nll", [[0.25]], row, xla)
    expected = math.log(2 * math.pi) / 2 + math.log(2) + 0.25**2 / 2
    np.testing.assert_allclose(values, [expected], rtol=1e-6)
    expected_slopes = [[-0.5, 0.5, 0.25, 0.0, 1 - 0.25**2, 0.0]]
    np.testing.assert_allclose(slopes, expected_slopes, rtol=1e-6)
