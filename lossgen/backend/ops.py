"""What each operation is in TensorFlow: a row an operation.

A template names the arguments by position, ``{0}``, ``{1}``. ``tight`` arguments are
printed with parentheses where they are sums or products (``{0}**2``); all others stand
alone between commas. A name with a leading underscore is a helper that the module
template supplies.
"""

from __future__ import annotations

from lossgen.ir.functions import FUNCTIONS, LOWERED

CALLS: dict[str, str] = {
    "exp": "tf.exp({0})",
    "expm1": "tf.math.expm1({0})",
    "log": "tf.math.log({0})",
    "log1p": "tf.math.log1p({0})",
    "sqrt": "tf.sqrt({0})",
    "square": "tf.square({0})",
    "sin": "tf.sin({0})",
    "cos": "tf.cos({0})",
    "tanh": "_tanh({0})",
    "sinh": "tf.sinh({0})",
    "cosh": "tf.cosh({0})",
    "atan": "tf.atan({0})",
    "asinh": "tf.asinh({0})",
    "acos": "_acos({0})",
    "sigmoid": "_sigmoid({0})",
    "log_sigmoid": "tf.math.log_sigmoid({0})",
    "softplus": "tf.nn.softplus({0})",
    "log_cosh": "_log_cosh({0})",
    "log1p_square": "_log1p_square({0})",
    "log_difference": "_log_difference({0}, {1})",
    "log1p_difference": "_log1p_difference({0}, {1})",
    "log1pmx": "_log1pmx({0})",
    "expm1mx": "_expm1mx({0})",
    "with_slopes": "_with_slopes({0}, {pairs})",
    "exp_tilted": "_exp_tilted({0}, {1})",
    "powm1": "_powm1({0}, {1})",
    "pow1pm1": "_pow1pm1({0}, {1})",
    "geman_mcclure": "_geman_mcclure({0})",
    "kl_div": "_kl_div({0}, {1})",
    "itakura_saito": "_itakura_saito({0}, {1})",
    "lgamma_difference": "_lgamma_difference({0}, {1})",
    "digamma_difference": "_digamma_difference({0}, {1})",
    "log_beta": "_log_beta({0}, {1})",
    "log_multiset": "_log_multiset({0}, {1})",
    "poisson_peak": "_poisson_peak({0})",
    "log_beta_excess": "_log_beta_excess({0}, {1})",
    "negative_binomial": "_negative_binomial({0}, {1}, {2})",
    "tweedie": "_tweedie({0}, {1}, {2})",
    "log_i0e": "_log_i0e({0})",
    "log_i0": "_log_i0({0})",
    "logaddexp": "_logaddexp({0}, {1})",
    "erf": "tf.math.erf({0})",
    "erfc": "tf.math.erfc({0})",
    "normal_cdf": "_normal_cdf({0})",
    "normal_logcdf": "_normal_logcdf({0})",
    "lgamma": "_lgamma({0})",
    "digamma": "_digamma({0})",
    "trigamma": "_trigamma({0})",
    "i0e": "tf.math.bessel_i0e({0})",
    "i1e": "tf.math.bessel_i1e({0})",
    "xlogy": "tf.math.xlogy({0}, {1})",
    "xlog1py": "tf.math.xlog1py({0}, {1})",
    "stop_gradient": "tf.stop_gradient({0})",
    "abs": "tf.abs({0})",
    "max": "tf.maximum({0}, {1})",
    "min": "tf.minimum({0}, {1})",
    "relu": "tf.nn.relu({0})",
    "clip": "tf.clip_by_value({0}, {1}, {2})",
    "where": "tf.where({0}, {1}, {2})",
    "sign": "tf.sign({0})",
    "floor": "tf.floor({0})",
    "is_finite": "tf.math.is_finite({0})",
    "sum": "tf.reduce_sum({0}, {axis})",
    "mean": "tf.reduce_mean({0}, {axis})",
    "amax": "tf.reduce_max({0}, {axis})",
    "amin": "tf.reduce_min({0}, {axis})",
    "logsumexp": "tf.reduce_logsumexp({0}, {axis})",
    "norm": "_norm({0}, {axis})",
    "any": "tf.reduce_any({0}, {axis})",
    "filled": "_filled({0}, {axis})",
    "count": "tf.math.count_nonzero({0}, {axis}, dtype={dtype})",
    "softmax": "_softmax({0}, {axis})",
    "log_softmax": "_log_softmax({0}, {axis})",
    "log1m_softmax": "_log1m_softmax({0})",
    "l2_normalize": "_l2_normalize({0}, {axis})",
    "cumsum": "tf.cumsum({0}, {axis})",
    "logcumsumexp": "_logcumsumexp({0}, {axis})",
    "guarded": "tf.grad_pass_through(lambda {0}: {1})({0})",
    "ones_like": "tf.ones_like({0})",
    "take": "_picked({0}, {1})",
    "above": "_above({0}, {dtype})",
    "below": "_below({0}, {dtype})",
    "lowest": "{dtype}.min",
    "highest": "{dtype}.max",
    "eq": "tf.equal({0}, {1})",
    "ne": "tf.not_equal({0}, {1})",
    "not": "~{0}",
}

SEVERAL_AXES: dict[str, str] = {
    "softmax": "_softmax_over({0}, {axis})",
    "log_softmax": "_log_softmax_over({0}, {axis})",
    "cumsum": "_cumsum_over({0}, {axis})",
    "logcumsumexp": "_logcumsumexp_over({0}, {axis})",
}
"""Operations that are another function along several axes."""

INFIX: dict[str, tuple[str, int]] = {
    "or": (" | ", 2),
    "and": (" & ", 3),
    "lt": (" < ", 1),
    "le": (" <= ", 1),
    "gt": (" > ", 1),
    "ge": (" >= ", 1),
    "add": (" + ", 4),
    "mul": (" * ", 5),
    "div": (" / ", 5),
    "neg": ("-", 6),
    "pow": ("**", 7),
}
"""Operators and how tightly they bind in Python."""

_NOT_PRINTED = {"select", "flat"}  # gone before lowering ends, or printed around


def unprintable() -> set[str]:
    """The operations without a row; a test keeps this empty."""
    known = {*CALLS, *INFIX, *_NOT_PRINTED}
    return {*FUNCTIONS, *LOWERED} - known
