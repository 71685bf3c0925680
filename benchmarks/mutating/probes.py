"""What a module does that can be told from outside, probe by probe.

A probe calls a module and returns what there is to compare: arrays, plain values, or
the error that was raised. Each says what a test has to do to see a difference.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mutating.points import Array, Inputs, Points

ROWS = 6
"""The samples of a probe that is about shapes, weights or masks."""


@dataclass(frozen=True)
class Probe:
    """Something to do with a module, and what a test would have to do."""

    name: str
    test: str
    run: Callable[[ModuleType], Any]
    count: int = 0


def probes(inputs: Inputs) -> Iterator[Probe]:
    """All probes of a loss, those that tell most first."""
    yield from _of_values(inputs)
    yield from _of_contract(inputs)
    yield from _of_class(inputs)
    yield from _of_graphs(inputs)
    yield from _of_gradients(inputs)


def caught(module: ModuleType, work: Callable[[], Any]) -> Any:
    """The result of work, or the error; its words where the module raised it."""
    try:
        return _plain(work())
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        own = trace and trace.tb_frame.f_code.co_filename == module.__file__
        return ("raises", type(error).__name__, str(error) if own else "")


def _plain(value: Any) -> Any:
    """Tensors as arrays, with the mask that is attached to them."""
    if isinstance(value, (tf.Tensor, tf.Variable)):
        mask = getattr(value, "_keras_mask", None)
        return value.numpy() if mask is None else (value.numpy(), mask.numpy())
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value


class Calls:
    """How the function and the class of a loss are called."""

    def __init__(self, inputs: Inputs) -> None:
        """Know the names, and whether y_true is asked for."""
        self.loss = inputs.loss
        self.unused = bool(inputs.loss.spec.y_true.unused)

    def function(self, module: ModuleType) -> Callable[..., Any]:
        """The function of the loss."""
        function: Callable[..., Any] = getattr(module, self.loss.name)
        if self.unused:
            return lambda _, y_pred, **keywords: function(None, y_pred, **keywords)
        return function

    def made(self, module: ModuleType, **arguments: Any) -> Any:
        """An instance of the class of the loss."""
        return getattr(module, self.loss.class_name)(**arguments)


def _keywords(points: Points) -> dict[str, Any]:
    keywords = dict(points.parameters)
    return {**keywords, "from_logits": True} if points.logits else keywords


def _of_values(inputs: Inputs) -> Iterator[Probe]:
    """Values and gradients by both arguments, eagerly."""
    calls = Calls(inputs)
    for points in inputs.points:
        form = "from logits" if points.logits else "of predictions"

        def run(module: ModuleType, points: Points = points) -> Any:
            found = []
            for y_true, y_pred in points.batches:
                target, prediction = tf.constant(y_true), tf.constant(y_pred)
                with tf.GradientTape(persistent=True) as tape:
                    tape.watch((target, prediction))
                    values = calls.function(module)(
                        target, prediction, **_keywords(points)
                    )
                by_pred, by_true = tape.gradient(values, (prediction, target))
                found.append(
                    {
                        "the value": values,
                        "the gradient by y_pred": by_pred,
                        "the gradient by y_true": by_true,
                    }
                )
            return found

        test = f"values and gradients in {points.dtype} {form}: {points.what}"
        yield Probe(test, test, run, points.count)


def _small(inputs: Inputs, dtype: str, logits: bool = False) -> Points:
    """A few samples, in one batch, of training's sizes."""
    for points in inputs.points:
        if points.dtype == dtype and points.logits == logits:
            y_true, y_pred = points.batches[0]
            # Every other sample is of the sizes that training meets.
            rows = slice(0, 2 * ROWS, 2) if len(y_pred) > ROWS else slice(None)
            if inputs.per_element:
                rows = slice(None)
            pair = (y_true[rows], y_pred[rows])
            return Points(points.what, points.parameters, dtype, logits, (pair,))
    raise ValueError(f"no points in {dtype}")


def _of_contract(inputs: Inputs) -> Iterator[Probe]:
    """What the module says of itself, and what it refuses."""
    yield from _of_configuration(inputs)
    yield from _of_parameters(inputs)
    yield from _of_shapes(inputs)


def _of_configuration(inputs: Inputs) -> Iterator[Probe]:
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


def _of_parameters(inputs: Inputs) -> Iterator[Probe]:
    calls = Calls(inputs)
    points = _small(inputs, "float32")
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
                convert: Callable[[Any], Any] = convert,
            ) -> Any:
                known = points.parameters.get(name, 1.0)
                return {
                    repr(value): _accepted(
                        module,
                        calls,
                        points,
                        {**points.parameters, name: convert(value)},
                    )
                    for value in (known, *values)
                }

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


def _accepted(
    module: ModuleType, calls: Calls, points: Points, given: dict[str, Any]
) -> dict[str, Any]:
    """What comes of parameters: a configuration and values, or errors."""
    found = {
        "get_config": caught(module, lambda: calls.made(module, **given).get_config())
    }
    for dtype in ("float32", "float64"):
        pair = [tf.cast(part, dtype) for part in points.batches[0]]
        function = functools.partial(calls.function(module), *pair, **given)
        found[f"the function in {dtype}"] = caught(module, function)
        made = functools.partial(calls.made, module, **given, dtype=dtype)
        found[f"the class in {dtype}"] = caught(module, lambda m=made, p=pair: m()(*p))
    return found


def _of_shapes(inputs: Inputs) -> Iterator[Probe]:
    """Shapes and kinds of arguments, good and bad."""
    calls = Calls(inputs)
    points = _small(inputs, "float32")
    (y_true, y_pred), keywords = points.batches[0], _keywords(points)
    for name, pair in arguments(y_true, y_pred).items():

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

        yield Probe(name, f"y_true and y_pred are {name}", run)


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


def _of_class(inputs: Inputs) -> Iterator[Probe]:
    """Reductions, types, weights and masks, with NaN where nothing counts."""
    calls = Calls(inputs)
    for logits in (False, True) if inputs.has_logits else (False,):
        points = _small(inputs, "float32", logits)
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


def _of_graphs(inputs: Inputs) -> Iterator[Probe]:
    """Graphs that do not know the shapes, with good and bad arguments at run time."""
    calls = Calls(inputs)
    points = _small(inputs, "float32")
    y_true, y_pred = points.batches[0]
    if inputs.per_element:
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
        for compiled in (False, True):

            def run(
                module: ModuleType,
                pair: tuple[Any, Any] = pair,
                compiled: bool = compiled,
            ) -> Any:
                return _traced(module, calls, points, pair, compiled)

            test = f"graphs with {name}{', compiled by XLA' if compiled else ''}"
            yield Probe(test, test, run)


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
    keywords = _keywords(points)

    def of_function(target: Any, prediction: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = calls.function(module)(target, prediction, **keywords)
        return values, tape.gradient(values, prediction)

    def of_class(target: Any, prediction: Any, weights: Any) -> Any:
        loss = calls.made(module, **points.parameters, reduction="sum")
        return loss(target, prediction, sample_weight=weights)

    weights = np.linspace(0, 1, len(y_pred)).astype("float32")
    pairs = {
        "good": (y_true, y_pred),
        "of different lengths": (y_true[:-1], y_pred),
        "of lengths 1 and more": (y_true[:1], y_pred),
        "of different widths": (np.concatenate([y_true] * 2, -1), y_pred),
    }
    found = {}
    unranked, ranked = (
        tf.TensorSpec(None, tf.float32),
        tf.TensorSpec([None], tf.float32),
    )
    for what, function, extra, spec in (
        ("the function", of_function, (), ()),
        ("the class, weights of unknown rank", of_class, (weights,), (unranked,)),
        ("the class, weights of rank 1", of_class, (weights,), (ranked,)),
    ):
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
    found = []
    for y_true, y_pred in points.batches:
        prediction = tf.constant(y_pred)
        parameters = {
            key: tf.constant(value, y_pred.dtype)
            for key, value in points.parameters.items()
        }
        keywords = {**_keywords(points), **parameters}
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([prediction, *parameters.values()])
            with tf.GradientTape() as inner:
                inner.watch(prediction)
                values = function(tf.constant(y_true), prediction, **keywords)
            slope = inner.gradient(values, prediction)
        again = None if slope is None else outer.gradient(slope, prediction)
        found.append(
            {
                "by parameters": outer.gradient(values, parameters),
                "twice by y_pred": again,
            }
        )
    return found
