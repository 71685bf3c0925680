"""Derivatives on either side of a kink, as formulas."""

from __future__ import annotations

from lossgen.analysis.proofs import is_nonnegative, is_zero
from lossgen.analysis.ranges import Ranges
from lossgen.calculus.differentiate import directional_derivative
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    Symbol,
    add,
    apply,
    mul,
    neg,
    number,
    sub,
    substitute,
    symbols,
    walk,
)
from lossgen.ir.functions import CONDITIONS, FUNCTIONS, LOWERED, Kind

_MAX_CONDITIONS = 3
_COMPARISONS = frozenset(
    op for op, row in FUNCTIONS.items() if row.kind is Kind.COMPARISON
)


def least_slope(expr: Expr, symbol: Symbol, root: Expr, ranges: Ranges) -> Expr | None:
    """The number between the two one-sided derivatives that is closest to 0.

    Args:
        expr: What to differentiate; elementwise in ``symbol``.
        symbol: What to differentiate by.
        root: Where.
        ranges: Those of the loss.

    Returns:
        A formula without ``symbol``; None if it has too many cases, or operations that
        a spec cannot call.
    """
    left, right = (_Side(symbol, root, side, ranges).slope(expr) for side in (-1, 1))
    conditions = _conditions(left, right)
    if len(conditions) > _MAX_CONDITIONS or _has_lowered(left, right):
        return None
    return _least(left, right, conditions, ranges)


# One side -----------------------------------------------------------------------------


class _Side:
    """The limit from one side of a point."""

    def __init__(self, symbol: Symbol, root: Expr, sign: int, ranges: Ranges) -> None:
        self._symbol, self._root = symbol, root
        self._sign, self._ranges = number(sign), ranges

    def slope(self, expr: Expr) -> Expr:
        """The limit of the derivative of an expression."""
        direction = {self._symbol: ONE}
        derivative = directional_derivative(expr, direction, self._ranges.loss)
        limits: dict[Expr, Expr] = {}
        for node in walk(derivative):
            limits[node] = self._limit(node, limits)
        polynomial = self._ranges.polynomial(limits[derivative])
        return self._ranges.expression(polynomial)

    def _limit(self, node: Expr, limits: dict[Expr, Expr]) -> Expr:
        if node == self._symbol:
            return self._root
        if not isinstance(node, Apply):
            return node
        args = tuple(limits[arg] for arg in node.args)
        if node.op == "sign" and is_zero(args[0], self._ranges):
            args = (self._change(node.args[0]),)
        if node.op in _COMPARISONS and is_zero(sub(*args), self._ranges):
            args = (self._change(sub(*node.args)), ZERO)
        return _folded(apply(node.op, *args, axis=node.axis), self._ranges)

    def _change(self, difference: Expr) -> Expr:
        """What has the sign of an expression that vanishes at the point."""
        if self._symbol not in symbols(difference):
            return difference
        return mul(self._sign, self.slope(difference))


def _folded(node: Expr, ranges: Ranges) -> Expr:
    """A node without choices that are known, or as a number."""
    if not isinstance(node, Apply) or node.op in CONDITIONS:
        return node
    if node.op == "neg":
        return neg(_folded(node.args[0], ranges))
    if node.op == "where":
        condition, then, otherwise = node.args
        if ranges.given(condition, False).contradictory:
            return then
        if ranges.given(condition, True).contradictory:
            return otherwise
    if node.op == "sign":
        node = _odd(node)
    elif node.op == "mul":
        node = _absolute(node)
    point = ranges.of(node).point
    return node if point is None else Number(point)


def _odd(sign: Apply) -> Expr:
    """``-sign(u)`` for ``sign(-u)``."""
    (arg,) = sign.args
    if isinstance(arg, Apply) and arg.op == "neg":
        return neg(Apply("sign", arg.args))
    return sign


def _absolute(product: Apply) -> Expr:
    """A product with ``u*sign(u)`` written as ``abs(u)``."""
    for factor in product.args:
        if isinstance(factor, Apply) and factor.op == "sign":
            (arg,) = factor.args
            if arg in product.args:
                others = [item for item in product.args if item not in (factor, arg)]
                return mul(Apply("abs", (arg,)), *others)
    return product


# The least of two slopes --------------------------------------------------------------


def _conditions(*exprs: Expr) -> tuple[Expr, ...]:
    """What the choices in expressions hang on."""
    found: dict[Expr, None] = {}
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Apply) and node.op == "where":
                found.setdefault(node.args[0])
    return tuple(found)


def _has_lowered(*exprs: Expr) -> bool:
    nodes = (node for expr in exprs for node in walk(expr))
    return any(isinstance(node, Apply) and node.op in LOWERED for node in nodes)


def _least(
    left: Expr, right: Expr, conditions: tuple[Expr, ...], ranges: Ranges
) -> Expr:
    if conditions:
        condition, *others = conditions
        cases = [
            _least(
                _decided(left, condition, truth),
                _decided(right, condition, truth),
                tuple(others),
                ranges.given(condition, truth),
            )
            for truth in (True, False)
            if not ranges.given(condition, truth).contradictory
        ]
        if len(cases) == 2 and cases[0] != cases[1]:
            return Apply("where", (condition, *cases))
        return cases[0] if cases else ZERO
    if is_nonnegative(sub(right, left), ranges):
        low, high = left, right
    elif is_nonnegative(sub(left, right), ranges):
        low, high = right, left
    else:
        low, high = Apply("min", (left, right)), Apply("max", (left, right))
    return add(_positive(low, ranges), _negative(high, ranges))


def _decided(expr: Expr, condition: Expr, truth: bool) -> Expr:
    """An expression where the truth of a condition is known."""
    chosen: dict[Expr, Expr] = {
        node: node.args[1 if truth else 2]
        for node in walk(expr)
        if isinstance(node, Apply) and node.op == "where" and node.args[0] == condition
    }
    return substitute(expr, chosen)


def _positive(expr: Expr, ranges: Ranges) -> Expr:
    """``max(expr, 0)``."""
    if is_nonnegative(expr, ranges):
        return expr
    if is_nonnegative(neg(expr), ranges):
        return ZERO
    return Apply("relu", (expr,))


def _negative(expr: Expr, ranges: Ranges) -> Expr:
    """``min(expr, 0)``."""
    if is_nonnegative(neg(expr), ranges):
        return expr
    if is_nonnegative(expr, ranges):
        return ZERO
    return Apply("min", (expr, ZERO))
