"""The cells of a loss: regions where each operation keeps to one of its formulas.

Random points on a locus show the cells that are large; `unseen` tells which others may
touch it. Formulas without branches are analytic: what they do at points in general
position they do everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import combinations, product

from lossgen.analysis.guards import Guard
from lossgen.calculus.steps import spend
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    neg,
    replace_nodes,
    sub,
    walk,
)


@dataclass(frozen=True)
class Cell:
    """Where an operation keeps to one formula.

    ``conditions`` are those of the operation and of the branches around it;
    ``formulas`` what each of these is inside, the outermost first. A cell is ``joint``
    if no formula says anything unless all conditions hold together.
    """

    conditions: tuple[Expr, ...]
    formulas: tuple[tuple[Apply, Expr], ...]
    joint: bool = False

    def pinned(self, expr: Expr) -> Expr:
        """An expression with the operations held to their formulas of this cell."""
        for node, formula in self.formulas:
            expr = replace_nodes(expr, {node: formula})
        return expr

    @cached_property
    def inside(self) -> tuple[Expr, ...]:
        """The conditions, with the operations held to their formulas."""
        return tuple(self.pinned(condition) for condition in self.conditions)

    def within(self, inner: Cell) -> Cell:
        """Where an operation inside of those of this cell keeps to one as well."""
        return Cell(
            (*self.conditions, *inner.conditions), (*self.formulas, *inner.formulas)
        )


_EVERYWHERE = Cell((), ())


def cells(expr: Expr) -> tuple[Cell, ...]:
    """A cell for each formula of each operation that has several."""
    return tuple(dict.fromkeys(_cells(expr, Cell((), ()))))


def _cells(expr: Expr, around: Cell) -> Iterator[Cell]:
    if not isinstance(expr, Apply):
        return
    choices = _CHOICES.get(expr.op)
    inside = [
        Cell((*around.conditions, condition), (*around.formulas, (expr, formula)))
        for condition, formula in (choices(expr) if choices else ())
    ]
    yield from inside
    if expr.op == "where":
        yield from _cells(expr.args[0], around)
        for branch, cell in zip(expr.args[1:], inside, strict=True):
            yield from _cells(branch, cell)
        return
    for arg in expr.args:
        yield from _cells(arg, around)


_Choice = tuple[Expr, Expr]
"""A condition, and the formula where it holds."""


def above(left: Expr, right: Expr) -> Expr:
    """The condition that one side is larger."""
    return Apply("gt", (left, right))


def _absolute(node: Apply) -> Iterator[_Choice]:
    (arg,) = node.args
    yield above(arg, ZERO), arg
    yield above(ZERO, arg), neg(arg)


def _relu(node: Apply) -> Iterator[_Choice]:
    (arg,) = node.args
    yield above(arg, ZERO), arg
    yield above(ZERO, arg), ZERO


def _sign(node: Apply) -> Iterator[_Choice]:
    (arg,) = node.args
    yield above(arg, ZERO), ONE
    yield above(ZERO, arg), neg(ONE)


def _clip(node: Apply) -> Iterator[_Choice]:
    value, low, high = node.args
    yield both(above(low, value), above(high, low)), low
    yield both(above(value, low), above(high, value)), value
    yield Apply("or", (above(value, high), above(low, high))), high


def _extreme(node: Apply) -> Iterator[_Choice]:
    for arg in node.args:
        others = [item for item in node.args if item != arg]
        pairs = [(arg, item) if node.op == "max" else (item, arg) for item in others]
        if pairs:
            yield both(*(above(*pair) for pair in pairs)), arg


def _where(node: Apply) -> Iterator[_Choice]:
    condition, then, otherwise = node.args
    yield condition, then
    yield Apply("not", (condition,)), otherwise


def both(*conditions: Expr) -> Expr:
    """All conditions as one."""
    return conditions[0] if len(conditions) == 1 else Apply("and", conditions)


_CHOICES: dict[str, Callable[[Apply], Iterator[_Choice]]] = {
    "abs": _absolute,
    "relu": _relu,
    "sign": _sign,
    "clip": _clip,
    "max": _extreme,
    "min": _extreme,
    "where": _where,
}

# Where a guard is in force ------------------------------------------------------------


def in_force(expr: Expr, guard: Guard) -> tuple[Cell, ...]:
    """The cells in which a guard changes the value of an expression.

    There the operations around that of the guard choose it, each of them, and it
    chooses between the two sides of the guard. Points that meet some of the conditions
    each do not show what happens where all of them hold.
    """
    ties = tuple(_tied(guard)) or (_EVERYWHERE,)
    found = (
        replace(around.within(tie), joint=True)
        for around in _around(expr, guard.node)
        for tie in ties
    )
    return tuple(dict.fromkeys(cell for cell in found if cell.conditions))


def _around(expr: Expr, node: Apply) -> Iterator[Cell]:
    """For each occurrence of a node, where the operations around it choose it."""
    spend(1)
    if expr == node:
        yield _EVERYWHERE
        return
    if not isinstance(expr, Apply) or node not in set(walk(expr)):
        return
    choices = _CHOICES.get(expr.op) if expr.op != "abs" else None
    if choices is not None:
        for condition, formula in choices(expr):
            here = Cell((condition,), ((expr, formula),))
            for inner in _around(formula, node):
                yield here.within(inner)
        return
    for count, arg in enumerate(expr.args):
        others = (*expr.args[:count], *expr.args[count + 1 :])
        for inner in _around(arg, node):
            for outer in _nonzero(others) if expr.op in _PRODUCTS else (_EVERYWHERE,):
                yield outer.within(inner)


_PRODUCTS = ("mul", "div", "xlogy", "xlog1py")


def _nonzero(args: tuple[Expr, ...]) -> Iterator[Cell]:
    """Where factors that may be 0 in a whole region are not."""
    switched = []
    for factor in (factor for arg in args for factor in _factors(arg)):
        choices = _CHOICES.get(factor.op)
        cases = tuple(choices(factor)) if choices else ()
        alive = [
            Cell((condition,), ((factor, formula),))
            for condition, formula in cases
            if formula != ZERO
        ]
        if len(alive) < len(cases):
            switched.append(alive)
    for chosen in product(*switched):
        yield reduce(Cell.within, chosen, _EVERYWHERE)


def _factors(expr: Expr) -> Iterator[Apply]:
    """Operations that an expression is 0 with."""
    if not isinstance(expr, Apply):
        return
    if expr.op == "mul":
        for arg in expr.args:
            yield from _factors(arg)
    elif expr.op in ("neg", "square", "sqrt", "div", "pow"):
        yield from _factors(expr.args[0])
    else:
        yield expr


def _tied(guard: Guard) -> Iterator[Cell]:
    """Where the two arguments that a guard compares decide what the operation is."""
    node = guard.node
    if node.op == "clip":
        yield from _tied_ends(node, guard.difference)
        return
    if node.op == "where":
        yield from _decisive(node, guard.difference)
        return
    distinct = tuple(dict.fromkeys(node.args))
    if node.op not in ("max", "min") or len(distinct) < 3:
        return
    for pair in combinations(distinct, 2):
        if sub(*pair) == guard.difference:
            rest = [item for item in distinct if item not in pair]
            over = [(pair[0], item) for item in rest]
            ordered = over if node.op == "max" else [(b, a) for a, b in over]
            condition = both(*(above(*item) for item in ordered))
            yield Cell((condition,), ((node, Apply(node.op, pair)),))


def _tied_ends(node: Apply, difference: Expr) -> Iterator[Cell]:
    """As above for ``clip``, which is ``min(max(value, low), high)``."""
    value, low, high = node.args
    decided = {
        sub(value, low): (above(high, value), Apply("max", (value, low))),
        sub(value, high): (above(value, low), Apply("min", (value, high))),
        sub(low, high): (above(low, value), Apply("min", (low, high))),
    }
    condition, formula = decided[difference]
    yield Cell((condition,), ((node, formula),))


def _decisive(node: Apply, difference: Expr) -> Iterator[Cell]:
    """As above for ``where``: one of several comparisons decides."""
    condition, then, otherwise = node.args
    for others, alone in _comparison(condition, difference):
        if others:
            yield Cell(
                (both(*others),), ((node, Apply("where", (alone, then, otherwise))),)
            )


def _comparison(
    condition: Expr, difference: Expr
) -> Iterator[tuple[tuple[Expr, ...], Expr]]:
    """What holds where a comparison decides a condition, and what remains of that."""
    if not isinstance(condition, Apply):
        return
    if condition.op not in ("and", "or", "not"):
        if sub(*condition.args) == difference:
            yield (), condition
        return
    for count, arg in enumerate(condition.args):
        rest = (*condition.args[:count], *condition.args[count + 1 :])
        if condition.op == "or":
            rest = tuple(Apply("not", (item,)) for item in rest)
        for others, alone in _comparison(arg, difference):
            yield (
                (*rest, *others),
                (Apply("not", (alone,)) if condition.op == "not" else alone),
            )
