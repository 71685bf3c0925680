"""The three ways to compute a loss that are compared: lossgen, Keras, by hand."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lossgen.calculus.arrays import Array
from lossgen.ir.expr import Apply, Axis, Constant, Expr, Number, Role, Symbol, walk
from lossgen.ir.loss import Loss
from lossgen.oracle.samples import Batch

Subject = Callable[[Any, Any], Any]
"""From y_true and y_pred to the values of the samples."""

_K = keras.losses

BUILT_IN: dict[str, Subject] = {
    "binary_crossentropy": _K.binary_crossentropy,
    "binary_crossentropy from logits": functools.partial(
        _K.binary_crossentropy, from_logits=True
    ),
    "binary_focal": functools.partial(
        _K.binary_focal_crossentropy,
        apply_class_balancing=True,
    ),
    "binary_focal from logits": functools.partial(
        _K.binary_focal_crossentropy,
        apply_class_balancing=True,
        from_logits=True,
    ),
    "categorical_crossentropy": _K.categorical_crossentropy,
    "categorical_crossentropy from logits": functools.partial(
        _K.categorical_crossentropy, from_logits=True
    ),
    "hinge": _K.hinge,
    "huber": _K.huber,
    "kullback_leibler": _K.kl_divergence,
    "log_cosh_error": _K.log_cosh,
    "mean_absolute_error": _K.mean_absolute_error,
    "mean_squared_error": _K.mean_squared_error,
    "poisson": _K.poisson,
    "sparse_categorical_crossentropy": _K.sparse_categorical_crossentropy,
    "sparse_categorical_crossentropy from logits": functools.partial(
        _K.sparse_categorical_crossentropy, from_logits=True
    ),
}
"""The built-in that computes the same as a spec, by the name of the spec."""


def computed(
    subject: Subject, y_true: Array, y_pred: Array, *, xla: bool
) -> tuple[Array, Array]:
    """Values and gradient of their sum, as float64 arrays."""

    def run(target: tf.Tensor, prediction: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            values = subject(target, prediction)
        gradient = tape.gradient(values, prediction)
        return values, tf.zeros_like(prediction) if gradient is None else gradient

    if xla:
        run = tf.function(run, jit_compile=True, autograph=False)
    found = run(tf.constant(y_true), tf.constant(y_pred))
    values, gradient = (np.asarray(item, dtype=np.float64) for item in found)
    return values, gradient


def tensors(loss: Loss, batch: Batch, dtype: str) -> tuple[Array, Array]:
    """y_true and y_pred as they are passed in, channels joined on the last axis."""
    found = []
    for role in (Role.Y_TRUE, Role.Y_PRED):
        parts = [batch.inputs[item.name] for item in loss.of_role(role)]
        if parts:
            found.append(np.concatenate(parts, axis=-1).astype(dtype))
    y_true, y_pred = found if len(found) == 2 else (np.zeros_like(found[0]), found[0])
    if loss.spec.y_true.sparse:
        y_true = np.argmax(y_true, axis=-1).astype(dtype)
    return y_true, y_pred


def naive(
    loss: Loss, formula: Expr, parameters: Mapping[str, Array], dtype: str
) -> Subject:
    """The formula typed into TensorFlow as it stands, averaged over the last axis."""

    def subject(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        known: dict[Expr, Any] = {}
        symbols = _split(loss, y_true, y_pred)
        for name, value in parameters.items():
            symbols[name] = tf.constant(value, dtype)
        for node in walk(formula):
            known[node] = _typed(node, known, symbols, dtype)
        result = known[formula]
        if result.shape.rank and result.shape[0] == y_pred.shape[0]:
            axes = list(range(1, result.shape.rank))
            return tf.reduce_mean(result, axis=axes)
        return tf.repeat(tf.reduce_mean(result), y_pred.shape[0])

    return subject


def _split(loss: Loss, y_true: tf.Tensor, y_pred: tf.Tensor) -> dict[str, Any]:
    symbols: dict[str, Any] = {}
    for role, tensor in ((Role.Y_TRUE, y_true), (Role.Y_PRED, y_pred)):
        items = loss.of_role(role)
        if role is Role.Y_TRUE and loss.spec.y_true.sparse:
            tensor = tf.one_hot(
                tf.cast(tensor, tf.int32), y_pred.shape[-1], dtype=y_pred.dtype
            )
        for item, part in zip(
            items, tf.split(tensor, max(1, len(items)), -1), strict=False
        ):
            symbols[item.name] = part
    return symbols


def _typed(
    node: Expr, known: dict[Expr, Any], symbols: dict[str, Any], dtype: str
) -> Any:
    if isinstance(node, Number):
        return tf.constant(float(Fraction(node.value)), dtype)
    if isinstance(node, Constant):
        return tf.constant(np.pi if node.name == "pi" else np.e, dtype)
    if isinstance(node, Symbol):
        return symbols[node.name]
    assert isinstance(node, Apply)
    arguments = [known[arg] for arg in node.args]
    if node.axis is None:
        return _ELEMENTWISE[node.op](*arguments)
    rank = max(item.shape.rank for item in symbols.values())
    axes = {
        Axis.LAST: [-1],
        Axis.SAMPLE: list(range(1, rank)),
        Axis.SPATIAL: list(range(1, rank - 1)),
        Axis.BATCH: [0],
    }[node.axis]
    return _ALONG[node.op](arguments[0], axes)


def _folded(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda *items: functools.reduce(function, items)


_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": _folded(operator.add),
    "mul": _folded(operator.mul),
    "neg": operator.neg,
    "div": operator.truediv,
    "pow": operator.pow,
    "exp": tf.exp,
    "expm1": tf.math.expm1,
    "log": tf.math.log,
    "log1p": tf.math.log1p,
    "sqrt": tf.sqrt,
    "square": tf.square,
    "sin": tf.sin,
    "cos": tf.cos,
    "tanh": tf.tanh,
    "sinh": tf.sinh,
    "cosh": tf.cosh,
    "atan": tf.atan,
    "asinh": tf.asinh,
    "sigmoid": tf.sigmoid,
    "log_sigmoid": tf.math.log_sigmoid,
    "softplus": tf.nn.softplus,
    "log_cosh": lambda u: tf.math.log(tf.cosh(u)),
    "logaddexp": lambda u, v: tf.math.log(tf.exp(u) + tf.exp(v)),
    "erf": tf.math.erf,
    "erfc": tf.math.erfc,
    "normal_cdf": lambda u: (1 + tf.math.erf(u / 2**0.5)) / 2,
    "normal_logcdf": lambda u: tf.math.log((1 + tf.math.erf(u / 2**0.5)) / 2),
    "lgamma": tf.math.lgamma,
    "digamma": tf.math.digamma,
    "i0e": tf.math.bessel_i0e,
    "xlogy": tf.math.xlogy,
    "xlog1py": tf.math.xlog1py,
    "stop_gradient": tf.stop_gradient,
    "abs": tf.abs,
    "max": _folded(tf.maximum),
    "min": _folded(tf.minimum),
    "relu": tf.nn.relu,
    "clip": tf.clip_by_value,
    "where": tf.where,
    "sign": tf.sign,
    "floor": tf.floor,
    "is_finite": tf.math.is_finite,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": tf.equal,
    "ne": tf.not_equal,
    "and": _folded(tf.logical_and),
    "or": _folded(tf.logical_or),
    "not": tf.logical_not,
}

_ALONG: dict[str, Callable[[Any, list[int]], Any]] = {
    "sum": lambda u, a: tf.reduce_sum(u, a, keepdims=True),
    "mean": lambda u, a: tf.reduce_mean(u, a, keepdims=True),
    "amax": lambda u, a: tf.reduce_max(u, a, keepdims=True),
    "amin": lambda u, a: tf.reduce_min(u, a, keepdims=True),
    "logsumexp": lambda u, a: tf.math.log(tf.reduce_sum(tf.exp(u), a, keepdims=True)),
    "norm": lambda u, a: tf.norm(u, axis=a, keepdims=True),
    "softmax": lambda u, a: tf.exp(u) / tf.reduce_sum(tf.exp(u), a, keepdims=True),
    "log_softmax": lambda u, a: tf.nn.log_softmax(u, a[0]),
    "l2_normalize": tf.math.l2_normalize,
    "cumsum": lambda u, a: tf.cumsum(u, a[0]),
}
