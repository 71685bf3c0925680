"""Functions that stand for a formula in other functions.

What is known of the others holds of them: domains, ranges, kinks, stable forms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lossgen.diagnostics.source import Span
from lossgen.ir.expr import TWO, Apply, Axis, Expr, number


def written_out(op: str, arg: Expr, axis: Axis | None, span: Span) -> Expr | None:
    """The formula that a call stands for, or None where it is an operation itself."""
    formula = _FORMULAS.get(op)
    return formula and _placed(formula(arg, axis), arg, span)


def standard_deviation(expr: Apply) -> Apply | None:
    """What ``std`` is taken of, in a call that leads to this formula, if one does."""
    top = expr.args[0]
    if expr.op == "div" and isinstance(top, Apply) and top.op == "norm":
        inner = top.args[0]
        if isinstance(inner, Apply) and expr == _std(inner.args[0], top.axis):
            return Apply("std", inner.args[:1], top.axis)
    return None


def _placed(expr: Expr, arg: Expr, span: Span) -> Expr:
    """The formula, where the call stands; its argument keeps its own place."""
    if expr is arg or not isinstance(expr, Apply):
        return expr
    args = tuple(_placed(item, arg, span) for item in expr.args)
    return replace(expr, args=args, span=span)


def _logarithm(base: int) -> Callable[[Expr, Axis | None], Expr]:
    divisor = Apply("log", (number(base),))
    return lambda arg, axis: Apply("div", (Apply("log", (arg,)), divisor))


def _deviation(arg: Expr, axis: Axis | None) -> Expr:
    return Apply("add", (arg, Apply("neg", (Apply("mean", (arg,), axis),))))


def _var(arg: Expr, axis: Axis | None) -> Expr:
    return Apply("mean", (Apply("pow", (_deviation(arg, axis), TWO)),), axis)


def _std(arg: Expr, axis: Axis | None) -> Expr:
    """A norm, since its gradient is 0 where all elements are equal."""
    length = Apply("sum", (Apply("ones_like", (arg,)),), axis)
    norm = Apply("norm", (_deviation(arg, axis),), axis)
    return Apply("div", (norm, Apply("sqrt", (length,))))


_FORMULAS: dict[str, Callable[[Expr, Axis | None], Expr]] = {
    "log2": _logarithm(2),
    "log10": _logarithm(10),
    "var": _var,
    "std": _std,
}
