"""The smooth pieces of an expression, each with the facts that hold on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lossgen.analysis.ranges import Ranges
from lossgen.calculus.steps import spend
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Symbol,
    neg,
    number,
    substitute,
    walk,
)

MAX_PIECES = 24
_STEPS_OF_A_PIECE = 10

Piece = tuple[Expr, Ranges]


class TooManyPiecesError(ArithmeticError):
    """An expression has more pieces than are worth the while."""


def pieces(expr: Expr, ranges: Ranges) -> list[Piece]:
    """The pieces; together, with their ends, they cover what the ranges allow.

    Branches inside a reduction stay: they differ from element to element.

    Raises:
        TooManyPiecesError: If there are too many.
    """
    found: list[Piece] = []
    for piece in _split(expr, ranges):
        found.append(piece)
        if len(found) > MAX_PIECES:
            raise TooManyPiecesError
    return found


def has_branches(expr: Expr) -> bool:
    """Whether an expression has more than one piece."""
    return _branching(expr) is not None


def _split(expr: Expr, ranges: Ranges) -> Iterator[Piece]:
    spend(_STEPS_OF_A_PIECE)
    node = _branching(expr)
    if node is None:
        yield expr, ranges
        return
    for replacement, facts in _options(node):
        inner = ranges
        for condition, truth in facts:
            inner = inner.given(condition, truth)
        if not inner.of(ONE).empty:
            yield from _split(substitute(expr, {node: replacement}), inner)


def _branching(expr: Expr) -> Apply | None:
    """The first operation with branches, outside reductions; arguments come first."""
    inside = {
        part
        for node in walk(expr)
        if isinstance(node, Apply) and node.axis is not None
        for part in walk(node.args[0])
        if not isinstance(part, Symbol)
    }
    for node in walk(expr):
        if isinstance(node, Apply) and node.op in _BRANCHING and node not in inside:
            return node
    return None


_BRANCHING = ("abs", "sign", "relu", "max", "min", "clip", "where")

_Option = tuple[Expr, tuple[tuple[Expr, bool], ...]]


def _options(node: Apply) -> Iterator[_Option]:
    """What the operation becomes, and under which facts."""
    if node.op == "where":
        condition, then, otherwise = node.args
        yield then, ((condition, True),)
        yield otherwise, ((condition, False),)
    elif node.op in ("max", "min"):
        yield from _extremum(node)
    elif node.op == "clip":
        value, low, high = node.args
        yield (
            value,
            ((Apply("ge", (value, low)), True), (Apply("le", (value, high)), True)),
        )
        crossing = Apply("gt", (low, high))
        yield low, ((Apply("lt", (value, low)), True), (crossing, False))
        yield high, ((Apply("gt", (value, high)), True),)
        # The upper end wins over a lower one above it.
        yield high, ((crossing, True),)
    else:
        (arg,) = node.args
        above, below = Apply("gt", (arg, ZERO)), Apply("lt", (arg, ZERO))
        positive, negative = _SIGNED[node.op](arg)
        yield positive, ((above, True),)
        yield negative, ((below, True),)
        yield ZERO, ((Apply("eq", (arg, ZERO)), True),)


_SIGNED: dict[str, Callable[[Expr], tuple[Expr, Expr]]] = {
    "abs": lambda arg: (arg, neg(arg)),
    "relu": lambda arg: (arg, ZERO),
    "sign": lambda arg: (ONE, number(-1)),
}


def _extremum(node: Apply) -> Iterator[_Option]:
    compare = "ge" if node.op == "max" else "le"
    for index, arg in enumerate(node.args):
        others = (*node.args[:index], *node.args[index + 1 :])
        yield arg, tuple((Apply(compare, (arg, other)), True) for other in others)
