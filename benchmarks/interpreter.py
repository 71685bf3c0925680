"""The formula of a loss as it was typed, operation by operation in TensorFlow.

It goes by the parsed tree alone and shares nothing with what derives and rewrites
formulas: labels are one-hot, nothing is guarded, and what a mask drops is left out of
each operation along an axis.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from lossgen.ir.expr import Apply, Axis, Constant, Expr, Number, Symbol, walk


def interpreted(
    formula: Expr,
    symbols: Mapping[str, Any],
    kept: Any = None,
    watch: Callable[[Apply, list[Any], Any], None] | None = None,
) -> Any:
    """The value of a formula; an axis that was collapsed has length 1.

    Args:
        formula: The parsed tree.
        symbols: Tensors of one rank by the names of their channels, and parameters.
        kept: Where elements take part, in the shape of the tensors; None is everywhere.
        watch: Is shown each operation, its arguments and its result.
    """
    rank = max(tensor.shape.rank for tensor in symbols.values())
    dtype = next(iter(symbols.values())).dtype
    known: dict[Expr, Any] = {}
    for node in walk(formula):
        if isinstance(node, Number):
            known[node] = tf.constant(float(node.value), dtype)
        elif isinstance(node, Constant):
            known[node] = tf.constant(np.pi if node.name == "pi" else np.e, dtype)
        elif isinstance(node, Symbol):
            known[node] = symbols[node.name]
        else:
            arguments = [known[arg] for arg in node.args]
            known[node] = _applied(node, arguments, rank, kept)
            if watch is not None:
                watch(node, arguments, known[node])
    return known[formula]


def per_sample(result: Any, rows: int, kept: Any = None, elements: bool = False) -> Any:
    """What Keras is given: a value for each sample, or for each row within one.

    Args:
        result: What `interpreted` gave.
        rows: The number of samples.
        kept: The same as there.
        elements: Whether a loss of all elements keeps its last axis.
    """
    inner = list(range(1, result.shape.rank))
    if not inner or result.shape[0] == 1:
        mean = _mean(result, [0, *inner][: result.shape.rank], kept)
        return tf.repeat(tf.reshape(mean, [1]), rows)
    by_row = any(result.shape[axis] > 1 for axis in inner[:-1])
    if elements and (by_row or len(inner) == 1) and result.shape[-1] > 1:
        return result
    found = _mean(result, inner[-1:] if by_row else inner, kept)
    return found[..., 0] if by_row else tf.reshape(found, [-1])


def numbered(axis: Axis, rank: int) -> list[int]:
    """The numbers of the axes that ``axis=`` runs over."""
    axes = list(range(rank))
    return {
        Axis.LAST: axes[-1:],
        Axis.SAMPLE: axes[1:],
        Axis.SPATIAL: axes[1:-1],
        Axis.BATCH: axes[:1],
    }[axis]


def _applied(node: Apply, arguments: list[Any], rank: int, kept: Any) -> Any:
    if node.axis is None:
        return _ELEMENTWISE[node.op](*arguments)
    axes = numbered(node.axis, rank)
    (tensor,) = arguments
    tensor = tf.reshape(tensor, [1] * (rank - tensor.shape.rank) + tensor.shape)
    if node.op == "mean":
        return _mean(tensor, axes, kept)
    if kept is None:
        return _ALONG[node.op](tensor, axes)
    here = _along(kept, tensor, axes)
    fill = {"amin": 1e300, **dict.fromkeys(_HIGHEST, -1e300)}.get(node.op, 0.0)
    found = _ALONG[node.op](tf.where(here, tensor, fill), axes)
    if found.shape != here.shape:
        return found
    # What is dropped is left out further on, and must be no pole until then.
    return tf.where(here, found, -0.5 if node.op.startswith("log") else 0.5)


def _along(kept: Any, like: Any, axes: list[int]) -> Any:
    """Where a tensor is kept along axes; where nothing is, everything is."""
    gone = [axis for axis, length in enumerate(like.shape) if length == 1]
    here = tf.reduce_any(kept, gone, keepdims=True) if gone else kept
    here = tf.broadcast_to(here, tf.broadcast_static_shape(here.shape, like.shape))
    return here | ~tf.reduce_any(here, axes, keepdims=True)


def _mean(tensor: Any, axes: list[int], kept: Any) -> Any:
    if kept is None:
        return tf.reduce_mean(tensor, axes, keepdims=True)
    here = _along(kept, tensor, axes)
    total = _sum(tf.where(here, tensor, 0.0), axes)
    return total / _sum(tf.cast(here, tensor.dtype), axes)


def _folded(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda *items: functools.reduce(function, items)


def _cumsum(u: Any, axes: list[int]) -> Any:
    length = int(np.prod([u.shape[axis] for axis in axes]))
    shape = [*u.shape[: axes[0]], length, *u.shape[axes[-1] + 1 :]]
    return tf.reshape(tf.cumsum(tf.reshape(u, shape), axes[0]), u.shape)


_HIGHEST = ("amax", "logsumexp", "softmax", "log_softmax")
_SAME = (
    "exp expm1 log log1p sqrt square sin cos tanh sinh cosh atan asinh sigmoid erf erfc"
    " log_sigmoid softplus lgamma digamma xlogy xlog1py abs sign floor is_finite"
)
_sum = functools.partial(tf.reduce_sum, keepdims=True)

_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: getattr(tf.math, name) for name in _SAME.split()},
    **{
        name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "neg", "pow")
    },
    **{name: getattr(tf, name) for name in ("stop_gradient", "where", "ones_like")},
    "add": _folded(operator.add),
    "mul": _folded(operator.mul),
    "div": operator.truediv,
    "log_cosh": lambda u: tf.math.log(tf.cosh(u)),
    "logaddexp": lambda u, v: tf.math.log(tf.exp(u) + tf.exp(v)),
    "normal_cdf": lambda u: tf.math.erfc(-u / 2**0.5) / 2,
    "normal_logcdf": lambda u: tf.math.log(tf.math.erfc(-u / 2**0.5) / 2),
    "i0e": tf.math.bessel_i0e,
    "max": _folded(tf.maximum),
    "min": _folded(tf.minimum),
    "relu": tf.nn.relu,
    "clip": tf.clip_by_value,
    "eq": tf.equal,
    "ne": tf.not_equal,
    "and": _folded(tf.logical_and),
    "or": _folded(tf.logical_or),
    "not": tf.logical_not,
}
_ALONG: dict[str, Callable[[Any, list[int]], Any]] = {
    "sum": _sum,
    "amax": functools.partial(tf.reduce_max, keepdims=True),
    "amin": functools.partial(tf.reduce_min, keepdims=True),
    "logsumexp": lambda u, a: tf.math.log(_sum(tf.exp(u), a)),
    "norm": lambda u, a: tf.sqrt(_sum(u * u, a)),
    "softmax": lambda u, a: tf.exp(u) / _sum(tf.exp(u), a),
    "log_softmax": lambda u, a: u - tf.math.log(_sum(tf.exp(u), a)),
    "l2_normalize": lambda u, a: u / tf.sqrt(_sum(u * u, a)),
    "cumsum": _cumsum,
}
