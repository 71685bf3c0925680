"""Probes of what a module says of itself, and of the arguments that it takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lossgen.ir.domain import Domain
from mutating.points import WIDE, Array, Inputs, Points
from mutating.probing import Calls, Probe, caught, keywords_of, small


def of_configuration(inputs: Inputs) -> Iterator[Probe]:
    """Defaults, configurations, and what is made of them."""
    calls = Calls(inputs)
    given = dict(inputs.parameter_sets[-1])

    def defaults(module: ModuleType) -> Any:
        return [
            [
                (p.name, str(p.kind), p.default)
                for p in inspect.signature(f).parameters.values()
            ]
            for f in (
                getattr(module, inputs.loss.name),
                getattr(module, inputs.loss.class_name).__init__,
            )
        ]

    yield Probe("defaults", "the defaults are those of the spec", defaults)
    others: list[dict[str, Any]] = [
        {},
        {"name": "renamed"},
        {"reduction": "sum"},
        {"reduction": None},
        {"dtype": "float64"},
        {"dtype": "bfloat16"},
    ]
    if inputs.has_logits:
        others.append({"from_logits": True})
    for other in others:

        def config(module: ModuleType, other: dict[str, Any] = other) -> Any:
            loss = calls.made(module, **given, **other)
            config = loss.get_config()
            stored = keras.saving.serialize_keras_object(loss)
            again = keras.saving.deserialize_keras_object(stored)
            return {
                "get_config": config,
                "types": {key: type(value).__name__ for key, value in config.items()},
                "serialized": str(stored),
                "deserialized": (again.get_config(), again.dtype),
            }

        what = ", ".join(f"{key}={value!r}" for key, value in other.items()) or "none"
        test = f"the configuration, and what is made of it, arguments given: {what}"
        yield Probe(test, test, config)


def of_parameters(inputs: Inputs) -> Iterator[Probe]:
    """Parameters in and outside their domains, of all kinds."""
    calls = Calls(inputs)
    points = small(inputs, "float32")
    values: list[Any] = [
        *(-1.0, -0.005, 0.0, 0.005, 0.5, 0.995, 1.0, 1.005, 1.5, 2.0, 1e30),
        *(float("inf"), -float("inf"), float("nan"), 1, True, [0.5], [0.5, 0.5, 0.5]),
        *(
            [1.0, 1.0, 1.0],
            [-1.0, 1.0, 1.0],
            [[1.0, 1.0, 1.0]],
            [1.0, float("nan"), 1.0],
        ),
    ]
    kinds: dict[str, Callable[[Any], Any]] = {
        "as it is": lambda value: value,
        "as a float64 tensor": lambda value: tf.constant(value, tf.float64),
        "as a float32 variable": lambda value: tf.Variable(value, dtype=tf.float32),
        "as an array": np.asarray,
    }
    for variable in inputs.loss.parameters:
        name = variable.name
        for kind, convert in kinds.items():

            def run(
                module: ModuleType,
                name: str = name,
                domain: Domain = variable.domain,
                convert: Callable[[Any], Any] = convert,
            ) -> Any:
                known = points.parameters.get(name, 1.0)
                found = {}
                for value in (known, *values):
                    given = {**points.parameters, name: convert(value)}
                    made = functools.partial(calls.made, module, **given)
                    found[repr(value)] = caught(
                        module, functools.partial(_configured, made)
                    )
                    # What comes of other values than these is not said.
                    if value is known or (
                        np.ndim(value) == 0 and domain.contains(value)
                    ):
                        computed = _computed(module, calls, points, given)
                        found[f"values at {value!r}"] = computed
                return found

            test = f"{name} {kind}: values in and outside its domain"
            yield Probe(test, test, run)

        def unknown(module: ModuleType, name: str = name) -> Any:
            given = dict(points.parameters)
            traced = tf.function(
                lambda value: calls.made(module, **{**given, name: value})(
                    *map(tf.constant, points.batches[0])
                ),
                autograph=False,
            )
            value = tf.constant(given.get(name, 1.0), tf.float32)
            shape = tf.TensorSpec(None, tf.float32)

            def of_unknown_rank() -> Any:
                return traced.get_concrete_function(shape)(value)

            return traced(value), caught(module, of_unknown_rank)

        test = f"{name} as a tensor that only the running graph knows"
        yield Probe(test, test, unknown)


def _configured(made: Callable[[], Any]) -> Any:
    return made().get_config()


def _called(made: Callable[[], Any], pair: list[tf.Tensor]) -> Any:
    return made()(*pair)


def _computed(
    module: ModuleType, calls: Calls, points: Points, given: dict[str, Any]
) -> dict[str, Any]:
    """What function and class make of parameters in both types."""
    found = {}
    for dtype in ("float32", "float64"):
        pair = [tf.cast(part, dtype) for part in points.batches[0]]
        function = functools.partial(calls.function(module), *pair, **given)
        made = functools.partial(calls.made, module, **given, dtype=dtype)
        found[f"the function in {dtype}"] = caught(module, function)
        found[f"the class in {dtype}"] = caught(
            module, functools.partial(_called, made, pair)
        )
    return found


def of_shapes(inputs: Inputs) -> Iterator[Probe]:
    """Shapes and kinds of arguments, good and bad."""
    narrow, wide = (small(inputs, "float32", wide=wide) for wide in (False, True))
    yield from _of_shapes(inputs, narrow, "")
    if wide.what == WIDE:
        yield from _of_shapes(inputs, wide, f", {WIDE}")


def _of_shapes(inputs: Inputs, points: Points, width: str) -> Iterator[Probe]:
    calls = Calls(inputs)
    (y_true, y_pred), keywords = points.batches[0], keywords_of(points)
    pairs = arguments(y_true, y_pred)
    if inputs.loss.spec.y_true.sparse:
        for what, wrong in (("too large", 100), ("negative", -100), ("between", 0.5)):
            pairs[f"indices, some {what}"] = functools.partial(
                _with_first, y_true, wrong, y_pred
            )
    for name, pair in pairs.items():

        def run(module: ModuleType, pair: Callable[[], Any] = pair) -> Any:
            function = caught(
                module, lambda: calls.function(module)(*pair(), **keywords)
            )
            loss = calls.made(module, **points.parameters, reduction=None)
            weights = np.ones(len(y_pred), np.float32)
            return {
                "the function": function,
                "the class": caught(module, lambda: loss(*pair())),
                "the class with weights": caught(
                    module, lambda: loss(*pair(), weights)
                ),
            }

        yield Probe(name + width, f"y_true and y_pred are {name}{width}", run)


def _with_first(y_true: Array, first: float, y_pred: Array) -> tuple[Array, Array]:
    """The arguments with one label replaced."""
    labels = y_true.copy()
    labels[1] = first
    return labels, y_pred


def arguments(y_true: Array, y_pred: Array) -> dict[str, Callable[[], Any]]:
    """Pairs of arguments that a loss takes or refuses, by what they are."""
    short, last = y_true[:-1], y_true[..., :1]

    def ragged(array: Array) -> Any:
        return tf.RaggedTensor.from_tensor(tf.constant(array.reshape(len(array), -1)))

    def sparse(array: Array) -> Any:
        return tf.sparse.from_dense(tf.constant(array.reshape(len(array), -1)))

    return {
        "arrays": lambda: (y_true, y_pred),
        "lists": lambda: (y_true.tolist(), y_pred.tolist()),
        "of float64 and float32": lambda: (y_true.astype("float64"), y_pred),
        "of float32 and float64": lambda: (y_true, y_pred.astype("float64")),
        "of float16 and float32": lambda: (y_true.astype("float16"), y_pred),
        "of bfloat16 both": lambda: (
            tf.cast(y_true, tf.bfloat16),
            tf.cast(y_pred, tf.bfloat16),
        ),
        "whole numbers and floats": lambda: (np.rint(y_true).astype("int32"), y_pred),
        "floats and whole numbers": lambda: (y_true, np.rint(y_pred).astype("int32")),
        "true or false, and floats": lambda: (y_true > 0.5, y_pred),
        "of rank 1 and 2": lambda: (
            y_true[..., 0] if y_true.ndim > 1 else y_true,
            y_pred,
        ),
        "of rank 2 and 1": lambda: (y_true, y_pred[..., 0]),
        "of rank 1 both": lambda: (y_true.reshape(-1), y_pred.reshape(-1)),
        "with a trailing 1 too many": lambda: (y_true[..., np.newaxis], y_pred),
        "with two trailing 1 too many": lambda: (y_true[..., None, None], y_pred),
        "with a leading 1 too many": lambda: (y_true[np.newaxis], y_pred),
        "of rank 3": lambda: (
            y_true.reshape(-1, 2, *y_true.shape[1:]),
            y_pred.reshape(-1, 2, *y_pred.shape[1:]),
        ),
        "of rank 3, labels with a trailing 1": lambda: (
            y_true.reshape(-1, 2, *y_true.shape[1:])[..., np.newaxis],
            y_pred.reshape(-1, 2, *y_pred.shape[1:]),
        ),
        "of rank 3, labels of rank 2": lambda: (
            y_true.reshape(-1, 2, *y_true.shape[1:])[..., 0],
            y_pred.reshape(-1, 2, *y_pred.shape[1:]),
        ),
        "of rank 4": lambda: (
            y_true.reshape(-1, 1, 2, *y_true.shape[1:]),
            y_pred.reshape(-1, 1, 2, *y_pred.shape[1:]),
        ),
        "one sample": lambda: (y_true[:1], y_pred[:1]),
        "no sample": lambda: (y_true[:0], y_pred[:0]),
        "of different lengths": lambda: (short, y_pred),
        "of lengths 1 and more": lambda: (y_true[:1], y_pred),
        "of lengths more and 1": lambda: (y_true, y_pred[:1]),
        "of different widths": lambda: (np.concatenate([last] * 5, -1), y_pred),
        "wide, and narrow": lambda: (y_true, np.concatenate([y_pred] * 5, -1)),
        "numbers": lambda: (1.0, 1.0),
        "an array and a number": lambda: (y_true, 1.0),
        "a number and an array": lambda: (1.0, y_pred),
        "None and an array": lambda: (None, y_pred),
        "ragged and dense": lambda: (ragged(y_true), y_pred),
        "dense and ragged": lambda: (y_true, ragged(y_pred)),
        "sparse and dense": lambda: (sparse(y_true), y_pred),
        "dense and sparse": lambda: (y_true, sparse(y_pred)),
        "variables": lambda: (tf.Variable(y_true), tf.Variable(y_pred)),
        "of Keras's variables": lambda: (
            keras.Variable(y_true),
            keras.Variable(y_pred),
        ),
    }
