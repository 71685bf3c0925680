"""What a module does that can be told from outside, probe by probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from mutating.argument_probes import of_configuration, of_parameters, of_shapes
from mutating.batch_probes import of_graphs, of_weights
from mutating.points import Inputs, Points
from mutating.probing import Calls, Probe, caught, keywords_of

_FEW_BATCHES = 20
_EAGER_BATCHES = 2
_COMPILED = {
    "float32": ("the whole domain", "large logits"),
    "float64": ("the whole domain",),
}
"""The points that are worth a compilation, which takes longer than all others."""


def probes(inputs: Inputs) -> Iterator[Probe]:
    """All probes of a loss, those that tell most first."""
    yield from _of_values(inputs)
    yield from of_configuration(inputs)
    yield from of_parameters(inputs)
    yield from of_shapes(inputs)
    yield from of_weights(inputs)
    yield from of_graphs(inputs)
    yield from _of_compiled(inputs)
    yield from _of_gradients(inputs)


def _of_values(inputs: Inputs) -> Iterator[Probe]:
    """Values and gradients by both arguments."""
    calls = Calls(inputs)
    for points in inputs.points:
        form = "from logits" if points.logits else "of predictions"

        def run(module: ModuleType, points: Points = points) -> Any:
            function, keywords = calls.function(module), keywords_of(points)
            work = partial(_first, function, keywords=keywords)
            return _each(work, points.batches)

        test = f"values and gradients in {points.dtype} {form}: {points.what}"
        yield Probe(test, test, run, points.count)


def _each(work: Callable[..., Any], batches: Sequence[tuple[Any, Any]]) -> list[Any]:
    """Eager results, but for most of many batches the same from a graph.

    Without the optimizer of graphs it runs the same kernels in a tenth of the time.
    """
    found = [work(*map(tf.constant, pair)) for pair in batches[:_EAGER_BATCHES]]
    traced = tf.function(work, autograph=False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        rest = batches[_EAGER_BATCHES:]
        return found + [traced(*map(tf.constant, pair)) for pair in rest]
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def _first(
    function: Callable[..., Any],
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    *,
    keywords: dict[str, Any],
) -> dict[str, Any]:
    """Values, and the gradients of their sum."""
    with tf.GradientTape() as tape:
        tape.watch((y_true, y_pred))
        values = function(y_true, y_pred, **keywords)
    by_pred, by_true = tape.gradient(values, (y_pred, y_true))
    return {
        "the value": values,
        "the gradient by y_pred": by_pred,
        "the gradient by y_true": by_true,
    }


def _of_compiled(inputs: Inputs) -> Iterator[Probe]:
    """Values and gradients as XLA computes them."""
    calls = Calls(inputs)
    for points in inputs.points:
        if points.what not in _COMPILED.get(points.dtype, ()):
            continue
        if not _are_equal(points.parameters, inputs.points[0].parameters):
            continue

        def run(module: ModuleType, points: Points = points) -> Any:
            function, keywords = calls.function(module), keywords_of(points)
            compiled = tf.function(
                lambda target, prediction: _first(
                    function, target, prediction, keywords=keywords
                ),
                jit_compile=True,
                autograph=False,
            )
            few = points.batches[:_FEW_BATCHES]
            return [compiled(*map(tf.constant, pair)) for pair in few]

        form = "from logits" if points.logits else "of predictions"
        test = f"values and gradients in {points.dtype} {form}, compiled by XLA: "
        yield Probe(test + points.what, test + points.what, run)


def _are_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether parameters, arrays among them, are the same."""
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )


def _of_gradients(inputs: Inputs) -> Iterator[Probe]:
    """Second derivatives, and gradients by parameters."""
    calls = Calls(inputs)
    for dtype in ("float32", "float64"):
        for logits in (False, True) if inputs.has_logits else (False,):
            points = next(
                item
                for item in inputs.points
                if item.dtype == dtype and item.logits == logits
            )

            def run(module: ModuleType, points: Points = points) -> Any:
                return caught(module, lambda: _second(calls.function(module), points))

            form = "from logits" if logits else "of predictions"
            test = f"second derivatives in {dtype} {form}"
            yield Probe(test, test, run)


def _second(function: Callable[..., Any], points: Points) -> Any:
    def work(y_true: tf.Tensor, y_pred: tf.Tensor) -> dict[str, Any]:
        parameters = {
            key: tf.constant(value, y_pred.dtype)
            for key, value in points.parameters.items()
        }
        keywords = {**keywords_of(points), **parameters}
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([y_pred, *parameters.values()])
            with tf.GradientTape() as inner:
                inner.watch(y_pred)
                values = function(y_true, y_pred, **keywords)
            slope = inner.gradient(values, y_pred)
        again = None if slope is None else outer.gradient(slope, y_pred)
        return {
            "by parameters": outer.gradient(values, parameters),
            "twice by y_pred": again,
        }

    return _each(work, points.batches[:_FEW_BATCHES])
