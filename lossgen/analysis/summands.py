"""What a loss adds up over the elements of a sample."""

from __future__ import annotations

from dataclasses import dataclass

from lossgen.analysis.ranges import Ranges
from lossgen.calculus.differentiate import directional_derivative
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Axis,
    Expr,
    Role,
    Symbol,
    add,
    apply,
    depends_on,
    rebuild,
    walk,
)
from lossgen.ir.functions import LOWERED
from lossgen.ir.loss import Loss


@dataclass(frozen=True)
class Summand:
    """One element's part of a loss that is a sum or a mean of such parts.

    An elementwise loss is one part. ``ranges`` holds for a single element.
    """

    loss: Loss
    expression: Expr
    ranges: Ranges

    def slope(self, symbol: Symbol, expr: Expr | None = None) -> Expr:
        """The derivative by one component of y_pred."""
        formula = self.expression if expr is None else expr
        return directional_derivative(formula, {symbol: ONE}, self.loss)


def summand(loss: Loss) -> Summand | None:
    """The part of one element; None where elements act on one another."""
    found = _inside(loss.expression)
    if found is None:
        return None
    expr, _, axis = found
    return Summand(loss, expr, Ranges.of_loss(loss).inside(axis))


RESIDUAL = Symbol("residual", Role.DERIVED)
"""``y_pred - y_true``, any real number."""


def in_residual(part: Summand) -> Expr | None:
    """The formula in the residual alone, where it is a function of nothing else."""
    found = pair(part.loss)
    if found is None or assumes_on_tensors(part.loss) or part.loss.mask is not None:
        return None
    for symbol in found:
        domain = part.loss.variable(symbol.name).domain
        if domain.lower.value is not None or domain.upper.value is not None:
            return None
    true, predicted = found

    def visit(node: Expr) -> Expr:
        if node == predicted:
            return add(RESIDUAL, true)
        if isinstance(node, Apply) and node.op in ("add", "neg"):
            return part.ranges.expression(part.ranges.polynomial(node))
        return node

    result = rebuild(part.expression, visit)
    return None if depends_on(result, Role.Y_TRUE, Role.Y_PRED) else result


def is_differentiable(expr: Expr) -> bool:
    """Whether there is a derivative to build, and it is that of the value."""
    return not any(
        isinstance(node, Apply) and node.op in _WITHOUT_DERIVATIVE
        for node in walk(expr)
    )


_WITHOUT_DERIVATIVE = ("stop_gradient", *LOWERED)


def assumes_on_tensors(loss: Loss) -> bool:
    """Whether an assumption ties y_true or y_pred, beyond their domains."""
    return any(depends_on(item, Role.Y_TRUE, Role.Y_PRED) for item in loss.assume)


def pair(loss: Loss) -> tuple[Symbol, Symbol] | None:
    """y_true and y_pred, where each is one tensor without channels."""
    true, predicted = loss.of_role(Role.Y_TRUE), loss.of_role(Role.Y_PRED)
    if len(true) != 1 or len(predicted) != 1 or true[0].size != predicted[0].size:
        return None
    if true[0].channel or predicted[0].channel:
        return None
    return true[0].symbol, predicted[0].symbol


def at_label(expr: Expr, symbol: Symbol, value: Expr) -> Expr:
    """The expression at one value of a symbol; ``xlogy(0, v)`` is 0 there."""

    def visit(node: Expr) -> Expr:
        if node == symbol:
            return value
        if isinstance(node, Apply) and node.op in _ZERO_AT_ZERO:
            return ZERO if node.args[0] == ZERO else node
        return node

    return rebuild(expr, visit)


_ZERO_AT_ZERO = ("xlogy", "xlog1py", "square", "abs", "relu", "sqrt")
_Part = tuple[Expr, str, Axis | None]


def _inside(expr: Expr) -> _Part | None:
    """The formula of one element, and the reduction that adds it up."""
    if not isinstance(expr, Apply) or not _reduces(expr):
        return expr, "", None
    if expr.op in ("sum", "mean") and not _reduces(expr.args[0]):
        return expr.args[0], expr.op, expr.axis
    if expr.op in ("neg", "mul", "div"):
        return _scaled(expr)
    return _added(expr) if expr.op == "add" else None


def _reduces(expr: Expr) -> bool:
    return any(isinstance(node, Apply) and node.axis is not None for node in walk(expr))


def _scaled(expr: Apply) -> _Part | None:
    """The one factor that reduces, times others that are the same for all elements."""
    moving = [index for index, arg in enumerate(expr.args) if _reduces(arg)]
    if len(moving) != 1 or (expr.op == "div" and moving != [0]):
        return None
    found = _inside(expr.args[moving[0]])
    others = [arg for index, arg in enumerate(expr.args) if index != moving[0]]
    if found is None or any(
        depends_on(arg, Role.Y_TRUE, Role.Y_PRED, Role.SIZE) for arg in others
    ):
        return None
    part, op, axis = found
    args = (*expr.args[: moving[0]], part, *expr.args[moving[0] + 1 :])
    return apply(expr.op, *args), op, axis


def _added(expr: Apply) -> _Part | None:
    """Reductions of one kind, added up."""
    parts = [_inside(arg) for arg in expr.args]
    kinds = {None if part is None else part[1:] for part in parts}
    if len(kinds) != 1 or None in kinds:
        return None
    found = [part for part in parts if part is not None]
    return add(*(part[0] for part in found)), found[0][1], found[0][2]
