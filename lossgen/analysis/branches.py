"""The formulas without branches that a loss consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lossgen.analysis.ranges import Ranges
from lossgen.calculus.steps import spend
from lossgen.ir.expr import ZERO, Apply, Expr, neg, substitute, tree_size

_MAX_FORMULAS = 64


class TooManyBranchesError(ArithmeticError):
    """A loss has more combinations of branches than are worth the while."""


def formulas(expr: Expr, ranges: Ranges) -> tuple[Expr, ...]:
    """Expressions without ``where``, ``abs``, ``max`` and the like.

    Each is what the expression amounts to where some conditions hold; combinations that
    contradict one another as far as the ranges tell are left out. Within a reduction
    all elements take the same branch.

    Raises:
        TooManyBranchesError: If there are too many combinations.
    """
    found: dict[Expr, None] = {}
    open_ = [(expr, ranges)]
    while open_:
        current, known = open_.pop()
        spend(tree_size(current))
        node = _first_choice(current)
        if node is None:
            found[current] = None
            continue
        for condition, choice in _ALTERNATIVES[node.op](node):
            within = known.given(condition, True)
            if not within.contradictory:
                open_.append((substitute(current, {node: choice}), within))
        if len(found) + len(open_) > _MAX_FORMULAS:
            raise TooManyBranchesError
    return tuple(found)


def _first_choice(expr: Expr) -> Apply | None:
    """An outermost node that switches between formulas."""
    seen: set[Expr] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if not isinstance(node, Apply) or node in seen:
            continue
        if node.op in _ALTERNATIVES:
            return node
        seen.add(node)
        stack.extend(reversed(node.args))
    return None


_Alternatives = Iterator[tuple[Expr, Expr]]
"""Conditions, and what a node is where they hold."""


def _where(node: Apply) -> _Alternatives:
    condition, then, otherwise = node.args
    yield condition, then
    yield Apply("not", (condition,)), otherwise


def _abs(node: Apply) -> _Alternatives:
    (arg,) = node.args
    yield Apply("ge", (arg, ZERO)), arg
    yield Apply("le", (arg, ZERO)), neg(arg)


def _relu(node: Apply) -> _Alternatives:
    (arg,) = node.args
    yield Apply("ge", (arg, ZERO)), arg
    yield Apply("le", (arg, ZERO)), ZERO


def _clip(node: Apply) -> _Alternatives:
    value, low, high = node.args
    above, below = Apply("ge", (value, low)), Apply("le", (value, high))
    yield Apply("and", (above, below)), value
    yield Apply("and", (Apply("le", (value, low)), Apply("le", (low, high)))), low
    # The upper end wins over a lower one above it.
    yield Apply("or", (Apply("ge", (value, high)), Apply("ge", (low, high)))), high


def _extreme(order: str) -> Callable[[Apply], _Alternatives]:
    def alternatives(node: Apply) -> _Alternatives:
        for arg in dict.fromkeys(node.args):
            others = (other for other in node.args if other != arg)
            yield (
                Apply("and", tuple(Apply(order, (arg, other)) for other in others)),
                arg,
            )

    return alternatives


_ALTERNATIVES: dict[str, Callable[[Apply], _Alternatives]] = {
    "where": _where,
    "abs": _abs,
    "relu": _relu,
    "clip": _clip,
    "max": _extreme("ge"),
    "min": _extreme("le"),
}
