"""Integer labels give what their one-hot rows give, wherever y_true stands.

Expected are the formulas of ``tests/cases/good/sparse_labels.yaml`` in numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import generating
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

LABELS = np.array([1, 0, 3, 2])
LOGITS = np.random.default_rng(3).normal(size=(4, 4))
LEVELS = np.array([[0.3], [-1.0], [0.5], [2.0]])
WEIGHTS = np.array([0.5, 1.0, 2.0, 3.0])


def entry(t: Any, of: Any) -> Any:
    return (t * of).sum(-1)


FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "cosface_min": lambda t, p: -entry(t, log_softmax(p - t, -1)),
    "above_the_others": lambda t, p: entry(
        t, (p - (p * (1 - t)).mean(-1, keepdims=True)) ** 2
    ),
    "above_the_best_other": lambda t, p: entry(
        t, (p - (p * (1 - t)).max(-1, keepdims=True)) ** 2
    ),
    "running_hits": lambda t, p: entry(t, np.cumsum(t * p**2, -1)),
    "weight_of_the_others": lambda t, p: np.exp(((1 - t) * p).sum(-1)),
    "hits_of_a_batch": lambda t, p: entry(t, (p - (t * p).mean(0)) ** 2),
    "weighted_hits": lambda t, p: -entry(t, log_softmax(p, -1)),
    "hits_and_misses": lambda t, p: entry(t, np.where(p > 0, p**2, p**3)),
    "arcface": lambda t, p: (
        -entry(
            t, log_softmax(8 * np.cos(np.arccos(np.clip(p, -0.999, 0.999)) + t / 4), -1)
        )
    ),
    "scores_beside_a_level": lambda t, p: (
        -entry(t, log_softmax(p, -1)) + ((t - p) ** 2).sum(-1) * np.exp(LEVELS[:, 0])
    ),
}


def evaluated(name: str, mode: str, labels: Any, logits: Any) -> tuple[Any, Any]:
    function = generating.function(name)
    given = {"w": WEIGHTS} if name == "weighted_hits" else {}

    def run(target: Any, prediction: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = function(target, prediction, **given)
        return values, tape.gradient(values, prediction)

    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    values, slopes = run(tf.constant(labels), tf.constant(logits))
    return values.numpy(), slopes.numpy()


def predictions(name: str) -> Any:
    if name == "scores_beside_a_level":
        return np.concatenate([LEVELS, LOGITS], axis=-1)
    return LOGITS


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("mode", ["eager", "xla"])
def test_values_are_those_of_one_hot_rows(name: str, mode: str) -> None:
    values, slopes = evaluated(name, mode, LABELS, predictions(name))
    expected = FORMULAS[name](np.eye(4)[LABELS], LOGITS)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    # One step along the diagonal, from either side.
    ahead, behind = (
        FORMULAS[name](np.eye(4)[LABELS], LOGITS * (1 + step)) for step in (1e-6, -1e-6)
    )
    along = (slopes[:, -4:] * LOGITS).sum()
    np.testing.assert_allclose(along, (ahead - behind).sum() / 2e-6, rtol=1e-6)


def test_a_margin_is_taken_off_the_label_alone() -> None:
    values, _ = evaluated("cosface_min", "eager", [1], [[0.5, 0.2, 0.1]])
    np.testing.assert_allclose(values, [1.9641569], rtol=1e-7)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("wrong", [4, -1, 7])
def test_an_index_that_is_none_is_no_zero_row(name: str, wrong: int) -> None:
    labels = np.where(np.arange(4) == 2, wrong, LABELS)
    for mode in ("eager", "graph"):
        with pytest.raises(tf.errors.InvalidArgumentError):
            evaluated(name, mode, labels, predictions(name))
    values, slopes = evaluated(name, "xla", labels, predictions(name))
    assert np.isnan(values[2])
    assert np.isnan(slopes[2]).any()
    if name != "hits_of_a_batch":
        rest = [0, 1, 3]
        assert np.isfinite(values[rest]).all()
        assert np.isfinite(slopes[rest]).all()


def test_ignored_rows_are_left_out_of_the_mean_of_a_sample() -> None:
    labels = np.array([[1, -1, 0], [-1, -1, -1]])
    logits = np.random.default_rng(5).normal(size=(2, 3, 4))
    values, slopes = evaluated("ignored_rows_of_samples", "eager", labels, logits)
    kept = logits[0, [0, 2]]
    expected = ((kept - np.eye(4)[[1, 0]]) ** 2).mean(-1) + kept.mean()
    np.testing.assert_allclose(values, [[expected[0], 0, expected[1]], [0, 0, 0]])
    assert (slopes[1] == 0).all()
    assert (slopes[0, 1] == 0).all()
