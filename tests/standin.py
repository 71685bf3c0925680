"""A stand-in for TensorFlow, on arrays of mpmath's numbers.

Runs the source that the printer writes at the precision of mpmath's context, so that
what is generated can be compared with a formula to many digits.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.backend.printer import Printer
from lossgen.ir.local_names import channel_names
from lossgen.ir.loss import Loss
from lossgen.ir.program import Block

LARGE = mpf(2) ** 128


def array(value: Any) -> Any:
    """An object array of mpf."""
    return np.vectorize(mp.mpmathify, otypes=[object])(np.asarray(value))


def elementwise(function: Any, arguments: int = 1) -> Any:
    """A function of mpf, applied to every element; Python's floats are exact."""

    def applied(*items: Any) -> Any:
        return function(*(mp.mpmathify(item) for item in items))

    return np.frompyfunc(applied, arguments, 1)


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _reduction(function: Any) -> Any:
    def reduced(x: Any, axis: Any, keepdims: bool = False) -> Any:
        return function(np.asarray(x), axis=_axis(axis), keepdims=keepdims)

    return reduced


def _logsumexp(x: Any, axis: Any, keepdims: bool = False) -> Any:
    return log(np.sum(exp(x), axis=_axis(axis), keepdims=keepdims))


def _norm(x: Any, axis: Any, keepdims: bool = False) -> Any:
    return sqrt(np.sum(x * x, axis=_axis(axis), keepdims=keepdims))


def _softmax(x: Any, axis: Any) -> Any:
    return exp(x) / np.sum(exp(x), axis=_axis(axis), keepdims=True)


def _cumsum_over(x: Any, axis: list[int]) -> Any:
    rest = x.shape[axis[-1] + 1 :]
    return np.cumsum(x.reshape((x.shape[0], -1, *rest)), axis=1).reshape(x.shape)


def _logcumsumexp(x: Any, axis: int) -> Any:
    return log(np.cumsum(exp(x), axis=axis))


def _logcumsumexp_over(x: Any, axis: list[int]) -> Any:
    return log(_cumsum_over(exp(x), axis))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _xlogy(x: Any, y: Any) -> Any:
    return mpf(0) if x == 0 else x * mp.log(y)


def _log(x: Any) -> Any:
    return mp.log(x) if x > 0 else mp.nan


def _logcdf(x: Any) -> Any:
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def _picked(x: Any, labels: Any) -> Any:
    index = np.asarray(labels).astype(int)
    return np.take_along_axis(np.asarray(x), index, axis=-1)


def _neighbour(value: Any, towards: float) -> Any:
    return mpf(float(np.nextafter(np.float32(value), np.float32(towards))))


exp, log, sqrt = (elementwise(f) for f in (mp.exp, _log, mp.sqrt))

_MATH = SimpleNamespace(
    **{
        name: elementwise(getattr(mp, name))
        for name in ("expm1", "log1p", "erf", "erfc")
    },
    log=log,
    log_sigmoid=elementwise(lambda x: mp.log(_sigmoid(x))),
    bessel_i0e=elementwise(lambda x: mp.exp(-abs(x)) * mp.besseli(0, x)),
    bessel_i1e=elementwise(lambda x: mp.exp(-abs(x)) * mp.besseli(1, x)),
    xlogy=elementwise(_xlogy, 2),
    xlog1py=elementwise(lambda x, y: _xlogy(x, 1 + y), 2),
    is_finite=lambda x: np.vectorize(mp.isfinite, otypes=[bool])(x),
    count_nonzero=lambda x, axis, keepdims=False, dtype=None: array(
        np.sum(x, axis=_axis(axis), keepdims=keepdims)
    ),
)

TF = SimpleNamespace(
    **{name: elementwise(getattr(mp, name)) for name in ("sin", "cos", "sinh", "cosh")},
    atan=elementwise(mp.atan),
    asinh=elementwise(mp.asinh),
    exp=exp,
    sqrt=sqrt,
    math=_MATH,
    nn=SimpleNamespace(
        softplus=elementwise(lambda x: mp.log1p(mp.exp(x))),
        relu=elementwise(lambda x: max(x, mpf(0))),
        softmax=_softmax,
        log_softmax=lambda x, axis: log(_softmax(x, axis)),
    ),
    sigmoid=elementwise(_sigmoid),
    square=elementwise(lambda x: x * x),
    abs=elementwise(abs),
    sign=elementwise(mp.sign),
    floor=elementwise(mp.floor),
    maximum=elementwise(max, 2),
    minimum=elementwise(min, 2),
    clip_by_value=elementwise(lambda x, low, high: min(max(x, low), high), 3),
    where=np.where,
    equal=lambda x, y: np.asarray(x == y, bool),
    not_equal=lambda x, y: np.asarray(x != y, bool),
    stop_gradient=lambda x: x,
    grad_pass_through=lambda function: function,
    ones_like=lambda x: array(np.ones(np.shape(x))),
    constant=lambda x, dtype: array(x),
    cast=lambda x, dtype: array(np.asarray(x, dtype=int)),
    reduce_sum=_reduction(np.sum),
    reduce_mean=_reduction(
        lambda x, axis, keepdims: (
            np.sum(x, axis=axis, keepdims=keepdims)
            / (x.size // np.sum(x, axis=axis, keepdims=keepdims).size)
        )
    ),
    reduce_max=_reduction(np.max),
    reduce_min=_reduction(np.min),
    reduce_any=_reduction(np.any),
    reduce_logsumexp=_logsumexp,
    cumsum=lambda x, axis: np.cumsum(x, axis=axis),
)

_HELPERS = {
    "_sigmoid": elementwise(_sigmoid),
    "_softmax": _softmax,
    "_log1m_softmax": lambda x: log(1 - _softmax(x, -1)),
    "_tanh": elementwise(mp.tanh),
    "_acos": elementwise(mp.acos),
    "_log1p_square": elementwise(lambda x: mp.log1p(x * x)),
    "_log_difference": elementwise(lambda x, y: mp.log(x) - mp.log(y), 2),
    "_log1p_difference": elementwise(lambda x, y: mp.log1p(x) - mp.log1p(y), 2),
    "_log1pmx": elementwise(lambda x: mp.log1p(x) - x),
    "_expm1mx": elementwise(lambda x: mp.expm1(x) - x),
    "_pow1pm1": elementwise(lambda x, p: (1 + x) ** p - 1, 2),
    "_geman_mcclure": elementwise(lambda x: x * x / (1 + x * x)),
    "_exp_tilted": elementwise(lambda x, y: mp.exp(x) - y * x, 2),
    "_powm1": elementwise(lambda x, y: x**y - 1, 2),
    "_with_slopes": lambda value, *pairs: value,
    "_kl_div": elementwise(lambda x, y: _xlogy(x, x / y) - x + y, 2),
    "_itakura_saito": elementwise(lambda x, y: x / y - _log(x / y) - 1, 2),
    "_lgamma": elementwise(mp.loggamma),
    "_digamma": elementwise(mp.digamma),
    "_digamma_difference": elementwise(
        lambda x, d: mp.digamma(x + d) - mp.digamma(x), 2
    ),
    "_lgamma_difference": elementwise(
        lambda x, d: mp.loggamma(x + d) - mp.loggamma(x), 2
    ),
    "_log_beta": elementwise(
        lambda x, y: mp.loggamma(x) + mp.loggamma(y) - mp.loggamma(x + y), 2
    ),
    "_log_multiset": elementwise(
        lambda x, y: mp.loggamma(x + y) - mp.loggamma(x) - mp.loggamma(y + 1), 2
    ),
    "_log_beta_excess": elementwise(
        lambda x, y: (
            mp.loggamma(x)
            + mp.loggamma(y)
            - mp.loggamma(x + y)
            + x * mp.log1p(y / x)
            + y * mp.log1p(x / y)
        ),
        2,
    ),
    "_negative_binomial": elementwise(
        lambda n, r, m: (
            mp.loggamma(r)
            + mp.loggamma(n + 1)
            - mp.loggamma(n + r)
            - r * mp.log(r / (r + m))
            - _xlogy(n, m / (r + m))
        ),
        3,
    ),
    "_tweedie": elementwise(
        lambda x, y, k: (
            x ** (2 - k) / ((1 - k) * (2 - k))
            - x * y ** (1 - k) / (1 - k)
            + y ** (2 - k) / (2 - k)
        ),
        3,
    ),
    "_poisson_peak": elementwise(lambda x: mp.loggamma(x + 1) - _xlogy(x, x) + x),
    "_log_i0e": elementwise(lambda x: mp.log(mp.besseli(0, x)) - abs(x)),
    "_log_i0": elementwise(lambda x: mp.log(mp.besseli(0, x))),
    "_log_cosh": elementwise(lambda x: mp.log(mp.cosh(x))),
    "_logaddexp": elementwise(lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), 2),
    "_normal_cdf": elementwise(lambda x: mp.erfc(-x / mp.sqrt(2)) / 2),
    "_normal_logcdf": elementwise(_logcdf),
    "_trigamma": elementwise(lambda x: mp.psi(1, x)),
    "_norm": _norm,
    "_l2_normalize": lambda x, axis: x / _norm(x, axis, keepdims=True),
    "_log_softmax": lambda x, axis: log(_softmax(x, axis)),
    "_softmax_over": _softmax,
    "_log_softmax_over": lambda x, axis: log(_softmax(x, axis)),
    "_cumsum_over": _cumsum_over,
    "_logcumsumexp": _logcumsumexp,
    "_logcumsumexp_over": _logcumsumexp_over,
    "_filled": lambda x, axis: x | ~np.any(x, axis=_axis(axis), keepdims=True),
    "_picked": _picked,
    "_above": lambda value, dtype: _neighbour(value, math.inf),
    "_below": lambda value, dtype: _neighbour(value, -math.inf),
}

_DTYPE = SimpleNamespace(min=-LARGE, max=LARGE)


def run(source: str, inputs: dict[str, Any]) -> Any:
    """The value of an expression in Python source."""
    rank = max((np.ndim(value) for value in inputs.values()), default=0)
    names = {
        "tf": TF,
        "math": mp,
        "DTYPE": _DTYPE,
        "sample_axes": list(range(1, rank)),
        "spatial_axes": list(range(1, rank - 1)),
        **_HELPERS,
        **inputs,
        "__builtins__": {},
    }
    code = source.replace("y_pred.dtype", "DTYPE")
    return eval(code, names)  # noqa: S307 (printed just now)


def run_block(block: Block, loss: Loss, inputs: dict[str, Any]) -> Any:
    """The value of a block for inputs by full name, or by local name."""
    names = channel_names(loss)
    printer = Printer(names)
    known = {names.get(name, name): value for name, value in inputs.items()}
    for item in block.assignments:
        known[item.target.name] = run(printer.source(item.value), known)
    return run(printer.source(block.result), known)
