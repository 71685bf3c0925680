"""Every size that a spec declares is compared when the loss runs.

The losses are those of ``tests/cases/good/declared_sizes.yaml``.
"""

from __future__ import annotations

from typing import Any

import generating
import numpy as np
import pytest
import tensorflow as tf

FITTING = {
    "policy_gradient": ((2, 4), (2, 3)),
    "pair_of_targets": ((2, 6), (2, 7)),
    "declared_length": ((2, 4), (2, 4)),
    "sized_scores": ((2,), (2, 4)),
    "quantiles": ((2, 1), (2, 5)),
}
"""Shapes of y_true and y_pred."""

MISMATCHED = [
    ("policy_gradient", (1, 2), (1, 3)),
    ("policy_gradient", (1, 5), (1, 3)),
    ("pair_of_targets", (2, 6), (2, 5)),
    ("pair_of_targets", (2, 5), (2, 7)),
    ("pair_of_targets", (2, 6), (2, 6)),
    ("declared_length", (2, 3), (2, 3)),
    ("declared_length", (2, 3), (2, 4)),
    ("declared_length", (2, 4), (2, 1)),
    ("sized_scores", (2,), (2, 5)),
]


def run(name: str, mode: str, true: Any, pred: Any) -> Any:
    function = generating.function(name)
    if name == "quantiles":
        level = tf.constant([0.1, 0.2, 0.5, 0.8, 0.9])
        function = lambda t, p: generating.function(name)(t, p, level=level)  # noqa: E731
    if mode != "eager":
        unknown = [tf.TensorSpec([None] * len(shape)) for shape in (true, pred)]
        function = tf.function(
            function,
            input_signature=unknown if "unknown" in mode else None,
            jit_compile="xla" in mode,
        )
    return function(tf.zeros(true), tf.ones(pred))


MODES = ("eager", "graph", "unknown", "xla", "unknown in xla")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FITTING)
def test_lengths_that_fit(name: str, mode: str) -> None:
    assert np.isfinite(run(name, mode, *FITTING[name]).numpy()).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "true", "pred"), MISMATCHED)
def test_lengths_that_do_not_fit(name: str, true: Any, pred: Any, mode: str) -> None:
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        run(name, mode, true, pred)


def test_the_message_names_both() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\).*\(1, 4\)"):
        run("policy_gradient", "eager", (1, 2), (1, 3))
