"""Convexity in y_pred, by the rules of disciplined convex programming."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from lossgen.analysis.ranges import Ranges
from lossgen.ir.expr import Apply, Expr, Number, Role, depends_on


class Curvature(Enum):
    """How a formula bends in y_pred."""

    CONSTANT = "constant"
    AFFINE = "affine"
    CONVEX = "convex"
    CONCAVE = "concave"
    UNKNOWN = "unknown"


_AFFINE = (Curvature.CONSTANT, Curvature.AFFINE)
_CONVEX = (*_AFFINE, Curvature.CONVEX)
_CONCAVE = (*_AFFINE, Curvature.CONCAVE)


def is_convex_in(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be convex, jointly in all of y_pred."""
    return curvature(expr, ranges) in _CONVEX


def curvature(expr: Expr, ranges: Ranges) -> Curvature:
    """How an expression bends in y_pred, as far as the rules tell."""
    if not depends_on(expr, Role.Y_PRED):
        return Curvature.CONSTANT
    if not isinstance(expr, Apply):
        return Curvature.AFFINE
    inner = ranges.inside(expr.axis)
    rule = _RULES.get(expr.op)
    if rule is not None:
        return rule(expr, inner)
    bends = [curvature(arg, inner) for arg in expr.args]
    if expr.op in _CONVEX_INCREASING and all(item in _CONVEX for item in bends):
        return Curvature.CONVEX
    if expr.op in _CONCAVE_INCREASING and all(item in _CONCAVE for item in bends):
        return Curvature.CONCAVE
    if expr.op in _CONVEX_OTHERWISE and all(item in _AFFINE for item in bends):
        return Curvature.CONVEX
    return Curvature.UNKNOWN


_CONVEX_INCREASING = (
    "exp",
    "expm1",
    "softplus",
    "relu",
    "max",
    "logsumexp",
    "logcumsumexp",
    "amax",
    "logaddexp",
)
_CONCAVE_INCREASING = (
    "log",
    "log1p",
    "sqrt",
    "log_sigmoid",
    "normal_logcdf",
    "min",
    "amin",
)
_CONVEX_OTHERWISE = ("cosh", "log_cosh", "lgamma")


def _flipped(bend: Curvature) -> Curvature:
    swap = {
        Curvature.CONVEX: Curvature.CONCAVE,
        Curvature.CONCAVE: Curvature.CONVEX,
    }
    return swap.get(bend, bend)


def _sum(expr: Apply, ranges: Ranges) -> Curvature:
    bends = [curvature(arg, ranges) for arg in expr.args]
    for group, result in (
        ((Curvature.CONSTANT,), Curvature.CONSTANT),
        (_AFFINE, Curvature.AFFINE),
        (_CONVEX, Curvature.CONVEX),
        (_CONCAVE, Curvature.CONCAVE),
    ):
        if all(item in group for item in bends):
            return result
    return Curvature.UNKNOWN


def _negative(expr: Apply, ranges: Ranges) -> Curvature:
    return _flipped(curvature(expr.args[0], ranges))


def _product(expr: Apply, ranges: Ranges) -> Curvature:
    """One factor that moves, times factors of known sign."""
    moving = [arg for arg in expr.args if depends_on(arg, Role.Y_PRED)]
    if len(moving) == 2 and moving[0] == moving[1]:
        return _even_power(moving[0], ranges)
    if len(moving) != 1:
        return Curvature.UNKNOWN
    bend = curvature(moving[0], ranges)
    for arg in expr.args:
        if arg is not moving[0]:
            bend = _scaled(bend, arg, ranges)
    return bend


def _scaled(bend: Curvature, factor: Expr, ranges: Ranges) -> Curvature:
    values = ranges.of(factor)
    if values.nonnegative or bend in _AFFINE:
        return bend
    return _flipped(bend) if values.upper <= 0 else Curvature.UNKNOWN


def _quotient(expr: Apply, ranges: Ranges) -> Curvature:
    top, bottom = expr.args
    if not depends_on(bottom, Role.Y_PRED):
        return _scaled(curvature(top, ranges), bottom, ranges)
    if not depends_on(top, Role.Y_PRED) and ranges.of(bottom).positive:
        # The reciprocal is convex and decreasing.
        bend = curvature(bottom, ranges)
        if bend in _CONCAVE:
            return _scaled(Curvature.CONVEX, top, ranges)
    return Curvature.UNKNOWN


def _power(expr: Apply, ranges: Ranges) -> Curvature:
    base, exponent = expr.args
    if depends_on(exponent, Role.Y_PRED):
        return Curvature.UNKNOWN
    if isinstance(exponent, Number) and exponent.value in (2, 4, 6, 8):
        return _even_power(base, ranges)
    values, bend = ranges.of(exponent), curvature(base, ranges)
    if not ranges.of(base).nonnegative:
        return Curvature.UNKNOWN
    if values.lower >= 1 and bend in _CONVEX:
        return Curvature.CONVEX
    if values.lower >= 0 and values.upper <= 1 and bend in _CONCAVE:
        return Curvature.CONCAVE
    if values.upper <= 0 and bend in _CONCAVE:
        return Curvature.CONVEX
    return Curvature.UNKNOWN


def _even_power(base: Expr, ranges: Ranges) -> Curvature:
    bend = curvature(base, ranges)
    if bend in _AFFINE or (bend is Curvature.CONVEX and ranges.of(base).nonnegative):
        return Curvature.CONVEX
    if bend is Curvature.CONCAVE and ranges.of(base).upper <= 0:
        return Curvature.CONVEX
    return Curvature.UNKNOWN


def _square(expr: Apply, ranges: Ranges) -> Curvature:
    return _even_power(expr.args[0], ranges)


def _size(expr: Apply, ranges: Ranges) -> Curvature:
    bend, values = curvature(expr.args[0], ranges), ranges.of(expr.args[0])
    if bend in _AFFINE or (bend is Curvature.CONVEX and values.nonnegative):
        return Curvature.CONVEX
    return Curvature.UNKNOWN


def _linear(expr: Apply, ranges: Ranges) -> Curvature:
    return curvature(expr.args[0], ranges)


def _log_softmax(expr: Apply, ranges: Ranges) -> Curvature:
    affine = curvature(expr.args[0], ranges) in _AFFINE
    return Curvature.CONCAVE if affine else Curvature.UNKNOWN


_RULES: dict[str, Callable[[Apply, Ranges], Curvature]] = {
    "add": _sum,
    "neg": _negative,
    "mul": _product,
    "div": _quotient,
    "pow": _power,
    "square": _square,
    "abs": _size,
    "norm": _size,
    "sum": _linear,
    "mean": _linear,
    "cumsum": _linear,
    "log_softmax": _log_softmax,
}
