"""Keep a component that adds nothing to a mixture from spoiling its gradient.

``logsumexp(u)`` gives a component far below the largest the weight 0; where u itself
overflows, its gradient is 0 times infinity. Such a component is computed at harmless
inputs instead, and then replaced by its value, which passes no gradient on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from fractions import Fraction
from itertools import combinations

from lossgen.analysis.overflow import stays_finite
from lossgen.ir.expr import (
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    rebuild_as_written,
    symbols,
    walk,
)
from lossgen.ir.loss import Loss
from lossgen.transform.inner_points import inner_point
from lossgen.transform.naming import COUNTS

_REACH = 1e18
_NEGLIGIBLE = Number(Fraction(-750))  # exp of it is 0, in float64 too


def protect_components(expr: Expr, loss: Loss, names: dict[Expr, str]) -> Expr:
    """Make the gradient of each ``logsumexp`` finite where its value is.

    Args:
        expr: The loss, or a part of it.
        loss: Declares the inputs.
        names: Takes names for what is new.
    """

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Apply) or node.op != "logsumexp":
            return node
        (arg,) = node.args
        if any(symbol.role is Role.DERIVED for symbol in symbols(arg)):
            return node  # a guard holds what the components are made of
        if stays_finite(arg, loss, _REACH):
            return node
        held = Apply("stop_gradient", (arg,))
        limit = add(Apply("amax", (held,), node.axis), _NEGLIGIBLE)
        counts = Apply("ge", (held, limit))
        safe = _safe(arg, counts, loss)
        if safe is None:
            return node
        names[held], names[counts], names[safe] = "fixed", COUNTS, "safe"
        return Apply("logsumexp", (Apply("where", (counts, safe, held)),), node.axis)

    return rebuild_as_written(expr, visit)


def _safe(arg: Expr, counts: Expr, loss: Loss) -> Expr | None:
    """The components at harmless values of as few inputs as need be."""

    def harmless(symbol: Symbol) -> Expr:
        return inner_point(loss.variable(symbol.name))

    def held(symbol: Symbol) -> Expr:
        return Apply("where", (counts, symbol, harmless(symbol)))

    inputs = [s for s in symbols(arg) if s.role in (Role.Y_TRUE, Role.Y_PRED)]
    for number in range(1, len(inputs) + 1):
        for chosen in combinations(inputs, number):
            if stays_finite(_replaced(arg, chosen, harmless), loss, _REACH):
                return _replaced(arg, chosen, held)
    return None


def _replaced(
    expr: Expr, chosen: Collection[Symbol], value: Callable[[Symbol], Expr]
) -> Expr:
    """The expression with other inputs, but for what works along an axis.

    An input that is itself a term of the sum stays: it and its slope are finite.
    """
    if isinstance(expr, Apply) and expr.op in ("add", "neg"):
        args = tuple(
            arg if arg in chosen else _replaced(arg, chosen, value) for arg in expr.args
        )
        return Apply(expr.op, args)
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        if isinstance(node, Apply) and node.axis is None:
            done[node] = Apply(node.op, tuple(done[arg] for arg in node.args))
        elif isinstance(node, Symbol) and node in chosen:
            done[node] = value(node)
        else:
            done[node] = node
    return done[expr]
