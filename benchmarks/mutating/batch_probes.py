"""Probes of weights, masks and reductions, and of graphs that do not know shapes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from mutating.points import Array, Inputs, Points
from mutating.probing import Calls, Probe, caught, keywords_of, small


def of_weights(inputs: Inputs) -> Iterator[Probe]:
    """Reductions, types, weights and masks, with NaN where nothing counts."""
    calls = Calls(inputs)
    for logits in (False, True) if inputs.has_logits else (False,):
        points = small(inputs, "float32", logits, wide=True)
        rows = len(points.batches[0][1])
        for name, setting in settings(rows).items():
            for arguments_ in setting_arguments(name):

                def run(
                    module: ModuleType,
                    setting: Setting = setting,
                    given: dict[str, Any] = arguments_,
                    points: Points = points,
                ) -> Any:
                    loss = calls.made(module, **points.parameters, **given)
                    return _weighted(module, loss, points, setting)

                what = (
                    ", ".join(f"{k}={v!r}" for k, v in arguments_.items()) or "defaults"
                )
                form = ", logits attached" if logits else ""
                test = f"the class with {name}{form}; {what}"
                yield Probe(test, test, run)


@dataclass(frozen=True)
class Setting:
    """Weights and a mask for a batch; ``spoilt`` samples hold NaN."""

    weights: Any = None
    mask: Any = None
    spoilt: tuple[int, ...] = ()
    spoilt_labels: bool = False
    by_value: bool = False


def settings(rows: int) -> dict[str, Setting]:
    """Weights and masks of a batch, good and bad, by what they are."""
    ones = np.ones(rows, np.float32)
    weights = np.linspace(0.5, 3, rows).astype("float32")
    zero = weights.copy()
    zero[[0, -1]] = 0
    kept = zero > 0
    dropped = (0, rows - 1)
    other = np.arange(rows) % 2 == 0
    return {
        "neither weights nor mask": Setting(),
        "weights": Setting(weights),
        "weights of 0 at NaN": Setting(zero, None, dropped),
        "weights of 0 at NaN in y_true too": Setting(zero, None, dropped, True),
        "weights with a trailing 1": Setting(zero[:, None], None, dropped),
        "weights of two axes": Setting(np.stack([zero, zero], -1), None, dropped),
        "weights of two trailing 1": Setting(zero[:, None, None], None, dropped),
        "one weight": Setting(np.float32(2.0)),
        "weights as a list": Setting(zero.tolist(), None, dropped),
        "weights in float64": Setting(zero.astype("float64"), None, dropped),
        "whole weights": Setting(np.arange(rows), None, (0,)),
        "true or false as weights": Setting(kept, None, dropped),
        "weights all 0": Setting(0 * ones, None, tuple(range(rows))),
        "negative weights": Setting(-weights),
        "too few weights": Setting(weights[:-1]),
        "weights for every value": Setting(zero, None, dropped, by_value=True),
        "a mask": Setting(None, kept),
        "a mask at NaN": Setting(None, kept, dropped),
        "a mask at NaN in y_true too": Setting(None, kept, dropped, True),
        "a mask with a trailing 1": Setting(None, kept[:, None], dropped),
        "a mask of two axes": Setting(None, np.stack([kept, kept], -1), dropped),
        "a mask of 0 and 1": Setting(None, kept.astype("float32"), dropped),
        "a mask of whole numbers": Setting(None, kept.astype("int32"), dropped),
        "a mask of nothing": Setting(None, kept & False, tuple(range(rows))),
        "a mask for every value": Setting(None, kept, dropped, by_value=True),
        "a mask that is too short": Setting(None, kept[:-1]),
        "a mask and weights": Setting(weights, other, (1,)),
        "a mask and weights of 0": Setting(zero, other, (0, 1, rows - 1)),
    }


def setting_arguments(name: str) -> list[dict[str, Any]]:
    """Reductions and types that a setting is tried with."""
    plain: list[dict[str, Any]] = [{}, {"reduction": None}, {"reduction": "sum"}]
    if name in ("neither weights nor mask", "a mask and weights of 0"):
        types = ("float64", "float16", "bfloat16")
        return [
            *plain,
            {"reduction": "mean_with_sample_weight"},
            *({"dtype": dtype} for dtype in types),
        ]
    return plain


def _weighted(module: ModuleType, loss: Any, points: Points, setting: Setting) -> Any:
    found = []
    for y_true, y_pred in points.batches:
        y_true, y_pred = y_true.copy(), y_pred.copy()
        y_pred[list(setting.spoilt)] = np.nan
        if setting.spoilt_labels:
            y_true[list(setting.spoilt)] = np.nan

        def work(y_true: Array = y_true, y_pred: Array = y_pred) -> Any:
            prediction = tf.constant(y_pred)
            with tf.GradientTape() as tape:
                tape.watch(prediction)
                given = tf.identity(prediction)
                if points.logits:
                    given = tf.sigmoid(prediction)
                    given._keras_logits = tf.identity(prediction)
                weights = setting.weights
                if setting.by_value and weights is not None:
                    weights = np.broadcast_to(weights[:, None], y_pred.shape)
                if setting.mask is not None:
                    mask = setting.mask
                    if setting.by_value:
                        mask = np.broadcast_to(mask[:, None], y_pred.shape)
                    given._keras_mask = tf.constant(mask)
                value = loss(y_true, given, sample_weight=weights)
            return value, tape.gradient(value, prediction)

        found.append(caught(module, work))
    return found


def of_graphs(inputs: Inputs) -> Iterator[Probe]:
    """Graphs that do not know the shapes, with good and bad arguments at run time."""
    calls = Calls(inputs)
    points = small(inputs, "float32", wide=True)
    y_true, y_pred = points.batches[0]
    if inputs.loss.varies_by_element:
        return
    shapes: dict[str, tuple[Any, Any]] = {
        "unknown lengths": ((None, *y_true.shape[1:]), (None, *y_pred.shape[1:])),
        "unknown shapes": ((None,) * y_true.ndim, (None,) * y_pred.ndim),
        "unknown shapes, labels with a trailing 1": (
            (None,) * y_true.ndim + (1,),
            (None,) * y_pred.ndim,
        ),
        "unknown shapes, labels with one axis more": (
            (None,) * (y_true.ndim + 1),
            (None,) * y_pred.ndim,
        ),
        "an unknown rank of y_true": (None, y_pred.shape),
        "an unknown rank of y_pred": (y_true.shape, None),
    }
    for name, pair in shapes.items():
        for compiled in (False, True) if name in _COMPILED else (False,):

            def run(
                module: ModuleType,
                pair: tuple[Any, Any] = pair,
                compiled: bool = compiled,
            ) -> Any:
                return _traced(module, calls, points, pair, compiled)

            test = f"graphs with {name}{', compiled by XLA' if compiled else ''}"
            yield Probe(test, test, run)


_COMPILED = ("unknown shapes", "unknown shapes, labels with one axis more")


def _traced(
    module: ModuleType,
    calls: Calls,
    points: Points,
    shapes: tuple[Any, Any],
    compiled: bool,
) -> Any:
    y_true, y_pred = points.batches[0]
    more = shapes[0] is not None and len(shapes[0]) > y_true.ndim
    y_true = y_true[..., np.newaxis] if more else y_true
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    keywords = keywords_of(points)

    def of_function(target: Any, prediction: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = calls.function(module)(target, prediction, **keywords)
        return values, tape.gradient(values, prediction)

    def of_class(target: Any, prediction: Any, weights: Any) -> Any:
        loss = calls.made(module, **points.parameters, reduction="sum")
        return loss(target, prediction, sample_weight=weights)

    def of_masked(target: Any, prediction: Any, weights: Any) -> Any:
        prediction = tf.identity(prediction)
        prediction._keras_mask = weights > 0.5
        return calls.made(module, **points.parameters)(target, prediction)

    weights = np.linspace(0, 1, len(y_pred)).astype("float32")
    pairs = {
        "good": (y_true, y_pred),
        "of different lengths": (y_true[:-1], y_pred),
        "of lengths 1 and more": (y_true[:1], y_pred),
        "of different widths": (np.concatenate([y_true] * 2, -1), y_pred),
        "with a label of 100": (
            np.where(
                np.arange(y_true.size).reshape(y_true.shape) == 1,
                np.float32(100),
                y_true,
            ),
            y_pred,
        ),
    }
    found = {}
    unranked, ranked = (
        tf.TensorSpec(None, tf.float32),
        tf.TensorSpec([None], tf.float32),
    )
    for what, function, extra, spec in (
        ("the function", of_function, (), ()),
        ("the class, weights of rank 1", of_class, (weights,), (ranked,)),
        ("the class, weights of unknown rank", of_class, (weights,), (unranked,)),
        ("the class, a mask of unknown rank", of_masked, (weights,), (unranked,)),
        ("the class, a mask of rank 1", of_masked, (weights,), (ranked,)),
    )[: 2 if compiled else None]:
        traced = tf.function(
            function,
            input_signature=[*specs, *spec],
            jit_compile=compiled,
            autograph=False,
        )
        for name, pair in pairs.items():
            given = map(tf.constant, (*pair, *extra))
            work = functools.partial(traced, *given)
            found[f"{what}, arguments {name}"] = caught(module, work)
    return found
