"""The formula of a loss as it was typed, operation by operation in TensorFlow.

It shares nothing with what derives and rewrites formulas: labels are one-hot, nothing
is guarded, and what a mask drops is left out of each operation along an axis.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any

import numpy as np
import tensorflow as tf

from lossgen.ir.expr import Apply, Axis, Expr, Number, Symbol, walk


def interpreted(
    formula: Expr, symbols: Mapping[str, Any], kept: Any = None, watch: Any = None
) -> Any:
    """The value of a formula; an axis that was collapsed has length 1.

    Args:
        formula: The parsed tree.
        symbols: Tensors of one rank by the names of their channels, and parameters.
        kept: Where elements take part, in the shape of the tensors; None is everywhere.
        watch: Is shown each operation, its arguments and its result.
    """
    rank = max(tensor.shape.rank for tensor in symbols.values())
    known: dict[Expr, Any] = {}
    for node in walk(formula):
        if isinstance(node, Symbol):
            known[node] = symbols[node.name]
        elif isinstance(node, Apply):
            arguments = [known[arg] for arg in node.args]
            known[node] = _applied(node, arguments, rank, kept)
            if watch is not None:
                watch(node, arguments, known[node])
        else:
            value = node.value if isinstance(node, Number) else getattr(np, node.name)
            known[node] = tf.constant(float(value), tf.float64)
    return known[formula]


def per_sample(result: Any, rows: int, kept: Any = None, elements: bool = False) -> Any:
    """What Keras is given: a value for each sample, or for each row within one.

    Args:
        result: What `interpreted` gave.
        rows: The number of samples.
        kept: The same as there.
        elements: Whether a loss of all elements keeps its last axis.
    """
    axes = list(range(result.shape.rank))
    if result.shape[0] == 1:
        return tf.repeat(tf.reshape(_mean(result, axes, kept), [1]), rows)
    by_row = any(length > 1 for length in result.shape[1:-1])
    if elements and (by_row or len(axes) == 2) and result.shape[-1] > 1:
        return result
    gone = axes[-1:] if by_row else axes[1:]
    return tf.squeeze(_mean(result, gone, kept), gone)


def numbered(axis: Axis, rank: int) -> list[int]:
    """The numbers of the axes that ``axis=`` runs over."""
    first = {Axis.BATCH: 0, Axis.LAST: rank - 1}.get(axis, 1)
    end = {Axis.BATCH: 1, Axis.SPATIAL: rank - 1}.get(axis, rank)
    return list(range(first, end))


def _applied(node: Apply, arguments: list[Any], rank: int, kept: Any) -> Any:
    if node.axis is None:
        return _ELEMENTWISE[node.op](*arguments)
    axes = numbered(node.axis, rank)
    (tensor,) = arguments
    tensor = tf.reshape(tensor, [1] * (rank - tensor.shape.rank) + tensor.shape)
    if node.op == "mean":
        return _mean(tensor, axes, kept)
    here = _along(kept, tensor, axes)
    fill = {"amin": 1e300, **dict.fromkeys(_HIGHEST, -1e300)}.get(node.op, 0.0)
    found = _ALONG[node.op](tf.where(here, tensor, fill), axes)
    if found.shape != here.shape:
        return found
    # What is dropped is left out further on, and must be no pole until then.
    return tf.where(here, found, -0.5 if node.op.startswith("log") else 0.5)


def _along(kept: Any, like: Any, axes: list[int]) -> Any:
    """Where a tensor is kept along axes; where nothing is, everything is."""
    if kept is None:
        return tf.ones_like(like, tf.bool)
    gone = [axis for axis, length in enumerate(like.shape) if length == 1]
    here = tf.reduce_any(kept, gone, keepdims=True) | tf.zeros_like(like, tf.bool)
    return here | ~tf.reduce_any(here, axes, keepdims=True)


def _mean(tensor: Any, axes: list[int], kept: Any) -> Any:
    here = _along(kept, tensor, axes)
    total = _sum(tf.where(here, tensor, 0.0), axes)
    return total / _sum(tf.cast(here, tensor.dtype), axes)


def _cumsum(u: Any, axes: list[int]) -> Any:
    shape = [*u.shape[: axes[0]], -1, *u.shape[axes[-1] + 1 :]]
    return tf.reshape(tf.cumsum(tf.reshape(u, shape), axes[0]), u.shape)


_HIGHEST = ("amax", "logsumexp", "logcumsumexp", "softmax", "log_softmax")
_MATH = (
    "exp expm1 log log1p sqrt square sin cos tanh sinh cosh atan asinh acos sigmoid erf"
    " erfc log_sigmoid softplus lgamma digamma xlogy xlog1py abs sign floor is_finite"
)
_OPERATORS = "lt le gt ge eq ne neg pow"
_sum = partial(tf.reduce_sum, keepdims=True)

_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: getattr(tf.math, name) for name in _MATH.split()},
    **{name: getattr(operator, name) for name in _OPERATORS.split()},
    **{name: getattr(tf, name) for name in ("stop_gradient", "where", "ones_like")},
    "add": lambda *u: reduce(operator.add, u),
    "mul": lambda *u: reduce(operator.mul, u),
    "div": operator.truediv,
    "log_cosh": lambda u: tf.math.log(tf.cosh(u)),
    "logaddexp": lambda u, v: tf.math.log(tf.exp(u) + tf.exp(v)),
    "normal_cdf": lambda u: tf.math.erfc(-u / 2**0.5) / 2,
    "normal_logcdf": lambda u: tf.math.log(tf.math.erfc(-u / 2**0.5) / 2),
    "i0e": tf.math.bessel_i0e,
    "max": lambda *u: reduce(tf.maximum, u),
    "min": lambda *u: reduce(tf.minimum, u),
    "relu": tf.nn.relu,
    "clip": tf.clip_by_value,
    "and": lambda *u: reduce(tf.logical_and, u),
    "or": lambda *u: reduce(tf.logical_or, u),
    "not": tf.logical_not,
}
_ALONG: dict[str, Callable[[Any, list[int]], Any]] = {
    "sum": _sum,
    "amax": partial(tf.reduce_max, keepdims=True),
    "amin": partial(tf.reduce_min, keepdims=True),
    "logsumexp": lambda u, a: tf.math.log(_sum(tf.exp(u), a)),
    "norm": lambda u, a: tf.sqrt(_sum(u * u, a)),
    "softmax": lambda u, a: tf.exp(u) / _sum(tf.exp(u), a),
    "log_softmax": lambda u, a: u - tf.math.log(_sum(tf.exp(u), a)),
    "l2_normalize": lambda u, a: u / tf.sqrt(_sum(u * u, a)),
    "cumsum": _cumsum,
    # All that has been summed up may have been dropped.
    "logcumsumexp": lambda u, a: tf.math.log(_cumsum(tf.exp(u), a) + 1e-100),
}
