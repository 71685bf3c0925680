"""The three ways to compute a loss that are compared: lossgen, Keras, by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from interpreter import interpreted, per_sample

from lossgen.calculus.arrays import Array
from lossgen.ir.expr import Expr, Role
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
        symbols = _split(loss, y_true, y_pred)
        for name, value in parameters.items():
            symbols[name] = tf.constant(value, dtype)
        return per_sample(interpreted(formula, symbols), y_pred.shape[0])

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
