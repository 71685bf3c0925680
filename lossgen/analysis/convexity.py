"""Convexity of a loss by its second derivative, and by its slopes at the kinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossgen.analysis.identities import simplified
from lossgen.analysis.minima import label_cases, never_negative
from lossgen.analysis.proofs import is_nonzero, is_positive
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.summands import (
    RESIDUAL,
    Summand,
    in_residual,
    is_differentiable,
    summand,
)
from lossgen.analysis.zeros import roots, zeros
from lossgen.ir.expr import (
    ZERO,
    Apply,
    Expr,
    Role,
    Symbol,
    neg,
    replace_nodes,
    sub,
    substitute,
    walk,
)
from lossgen.ir.loss import Loss, Smoothness


def bends_upwards(loss: Loss, smoothness: Smoothness) -> bool:
    """Whether a loss is proved to be convex, jointly in all of y_pred.

    A sum of functions of one component each is convex where each is; a continuous one
    is, where the second derivative is not negative on any piece and the first does not
    fall at any kink.
    """
    part, predicted = summand(loss), loss.of_role(Role.Y_PRED)
    if part is None or len(predicted) != 1:
        return False
    if smoothness is Smoothness.DISCONTINUOUS:
        return False
    kinked = smoothness is Smoothness.CONTINUOUS
    if not is_differentiable(part.expression):
        return False
    symbol = predicted[0].symbol
    residual = in_residual(part)
    if residual is not None:
        return _bends(part, residual, RESIDUAL, part.ranges, kinked)
    targets = loss.of_role(Role.Y_TRUE)
    cases = [(part.expression, part.ranges)]
    if len(targets) == 1:
        found = label_cases(part, part.expression, targets[0].symbol)
        cases = [(expr, ranges) for expr, ranges, _ in found]
    return all(_bends(part, expr, symbol, ranges, kinked) for expr, ranges in cases)


def _bends(
    part: Summand, expr: Expr, symbol: Symbol, ranges: Ranges, kinked: bool
) -> bool:
    slope = simplified(part.slope(symbol, expr), ranges)
    return (
        is_differentiable(slope)
        and never_negative(part.slope(symbol, slope), ranges)
        and (not kinked or _slope_never_falls(part, expr, symbol, ranges))
    )


# Kinks --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Switch:
    """A node that is one formula where a difference is negative, one where positive."""

    node: Apply
    difference: Expr
    below: Expr
    above: Expr


def _slope_never_falls(
    part: Summand, expr: Expr, symbol: Symbol, ranges: Ranges
) -> bool:
    """Whether the slope is proved to rise or stay wherever an operation switches.

    Each switch is looked at where no other one happens.
    """
    switches = _switches(expr, symbol)
    if switches is None:
        return False
    for switch in switches:
        for piece in zeros(switch.difference):
            if symbol not in set(walk(piece)):
                continue
            for root in roots(piece, symbol, ranges) or (None,):
                if root is None or not _rises(
                    part, expr, symbol, ranges, switch, switches, root
                ):
                    return False
    return True


def _rises(
    part: Summand,
    expr: Expr,
    symbol: Symbol,
    ranges: Ranges,
    switch: _Switch,
    switches: list[_Switch],
    root: Expr,
) -> bool:
    """Whether the slope is larger on the right of a root of a switch, or the same."""

    def there(value: Expr) -> Expr:
        return substitute(value, {symbol: root})

    others = (item.difference for item in switches if item.node != switch.node)
    if not all(is_nonzero(there(item), ranges) for item in others):
        return False
    velocity = there(part.slope(symbol, switch.difference))
    if is_positive(velocity, ranges):
        left, right = switch.below, switch.above
    elif is_positive(neg(velocity), ranges):
        left, right = switch.above, switch.below
    else:
        return False
    before, after = (
        part.slope(symbol, replace_nodes(expr, {switch.node: formula}))
        for formula in (left, right)
    )
    return never_negative(there(sub(after, before)), ranges)


def _switches(expr: Expr, symbol: Symbol) -> list[_Switch] | None:
    """The switches along a symbol; None where an operation is of another kind."""
    found: list[_Switch] = []
    for node in walk(expr):
        if not isinstance(node, Apply) or symbol not in set(walk(node)):
            continue
        if node.op in _SIDES:
            switch = _SIDES[node.op](node)
            if switch is None:
                return None
            if symbol in set(walk(switch.difference)):
                found.append(switch)
        elif node.op in _OTHERS or not _is_analytic(node):
            return None
    return found


def _is_analytic(node: Apply) -> bool:
    """Whether a power is a whole one, so that nothing happens where its base is 0."""
    if node.op != "pow":
        return True
    value = getattr(node.args[1], "value", None)
    return value is not None and value.denominator == 1


def _extreme(node: Apply) -> _Switch | None:
    if len(node.args) != 2:
        return None
    first, second = node.args
    sides = (second, first) if node.op == "max" else (first, second)
    return _Switch(node, sub(first, second), *sides)


def _where(node: Apply) -> _Switch | None:
    condition, then, otherwise = node.args
    if not isinstance(condition, Apply) or condition.op not in ("lt", "le", "gt", "ge"):
        return None
    less = condition.op in ("lt", "le")
    sides = (then, otherwise) if less else (otherwise, then)
    return _Switch(node, sub(*condition.args), *sides)


_SIDES: dict[str, Callable[[Apply], _Switch | None]] = {
    "abs": lambda node: _Switch(node, node.args[0], neg(node.args[0]), node.args[0]),
    "relu": lambda node: _Switch(node, node.args[0], ZERO, node.args[0]),
    "max": _extreme,
    "min": _extreme,
    "where": _where,
}
_OTHERS = ("clip", "i0e", "norm", "amax", "amin", "and", "or", "not")
