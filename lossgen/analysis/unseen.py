"""Cells that may touch a locus although no point of it is known to lie in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.cells import Cell, above, both, cells, in_force
from lossgen.analysis.guards import Guard
from lossgen.analysis.loci import DIGITS, Locus, by_label
from lossgen.analysis.pieces import has_branches
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.summands import is_differentiable
from lossgen.calculus.arrays import Array
from lossgen.calculus.differentiate import directional_derivative
from lossgen.calculus.evaluate import Evaluation, ray
from lossgen.calculus.jets import Ties
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    Symbol,
    mul,
    replace_nodes,
    substitute,
    walk,
)
from lossgen.ir.functions import LOWERED
from lossgen.ir.loss import Loss, Variable

_TIES = Ties(mpf(10) ** -25)


def unseen(
    loss: Loss, guard: Guard, variable: Variable, places: tuple[Locus, ...]
) -> Iterator[tuple[Cell, Locus]]:
    """Cells that may touch a locus although no point of it is known to lie in them."""
    candidates = [cell for cell in cells(loss.expression) if _other(cell, guard)]
    candidates.extend(in_force(loss.expression, guard))
    for alike in _by_root(places):
        place, truth = alike[0], _where_crossed(guard, candidates, alike)
        for cell in candidates:
            if not touched(cell, truth) and _possible(cell, guard, place):
                yield _missing(cell, truth), place


def _where_crossed(guard: Guard, candidates: list[Cell], places: list[Locus]) -> Truth:
    """As `truth_at_any`, at points where the guard changes its sign, if there are any.

    Where ``a`` is 0, ``max(y_pred, 1/2)`` meets ``sigmoid(a)`` over a whole region, and
    what happens there tells nothing of other points of that locus. Without branches a
    difference is 0 over no region.
    """
    if guard.node.op in _BY_ELEMENT or not has_branches(guard.difference):
        return truth_at_any(candidates, places)
    signs = [
        Cell((above(*sides),), ())
        for sides in ((guard.difference, ZERO), (ZERO, guard.difference))
    ]
    truth = truth_at_any([*candidates, *signs], places)
    rising, falling = (truth[cell.conditions[0]] for cell in signs)
    crossed: list[bool] = []
    for place in places:
        start, middle = len(crossed), len(crossed) + place.sample.rows
        for row in range(start, middle):
            after = row + place.sample.rows
            crossed.append(
                (rising[row] and falling[after]) or (falling[row] and rising[after])
            )
        crossed += crossed[start:middle]
    if not any(crossed):
        return truth
    return {
        item: tuple(value for value, kept in zip(values, crossed, strict=True) if kept)
        for item, values in truth.items()
    }


def turned(
    guard: Guard, variable: Variable, places: tuple[Locus, ...]
) -> Iterator[tuple[Cell, Locus]]:
    """Where a guard rises through 0, or falls, though at no known point of a locus.

    There the two sides of the locus are swapped.
    """
    candidates = list(_turned(guard, variable))
    names = dict.fromkeys(place.name for place in places) if candidates else ()
    for name in names:
        alike = [place for place in places if place.name == name]
        place, truth = alike[0], truth_at_any(candidates, alike)
        for cell in candidates:
            if not touched(cell, truth) and _possible(cell, guard, place):
                yield cell, place


def _by_root(places: tuple[Locus, ...]) -> list[list[Locus]]:
    """Points of the same solved piece together; a searched one may be of many."""
    groups: dict[tuple[str, int], list[Locus]] = {}
    for count, place in enumerate(places):
        key = (place.name, -1 if place.root is not None else count)
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _missing(cell: Cell, truth: Truth) -> Cell:
    """The cell without the formulas that hold at points of the locus anyway."""
    pairs = zip(cell.conditions, cell.formulas, strict=True)
    holds = all if cell.joint else any
    kept = [formula for condition, formula in pairs if not holds(truth[condition])]
    return replace(cell, formulas=tuple(kept) or cell.formulas[-1:])


def _turned(guard: Guard, variable: Variable) -> Iterator[Cell]:
    """Where a guard rises through 0, and where it falls: the two sides are swapped."""
    symbol, difference = variable.symbol, guard.difference
    if guard.node.op in _BY_ELEMENT or not is_differentiable(difference):
        return
    if is_reduced(difference, symbol):
        return
    slope = directional_derivative(difference, {symbol: ONE}, guard.ranges.loss)
    factors = slope.args if isinstance(slope, Apply) and slope.op == "mul" else (slope,)
    open_ = [factor for factor in factors if _may_change_sign(factor, guard.ranges)]
    sign = mul(*open_)
    if open_ and not any(_is_lowered(node) for node in walk(sign)):
        for sides in ((sign, ZERO), (ZERO, sign)):
            yield Cell((above(*sides),), ())


_BY_ELEMENT = ("amax", "amin", "norm")


def _is_lowered(node: Expr) -> bool:
    """Whether an operation occurs in derivatives only, and is not computed here."""
    return isinstance(node, Apply) and node.op in LOWERED


def _may_change_sign(expr: Expr, ranges: Ranges) -> bool:
    values = ranges.of(expr)
    return values.lower < 0 < values.upper


def is_reduced(expr: Expr, symbol: Symbol) -> bool:
    """Whether there is a reduction of a symbol: other elements of it matter."""
    return any(
        isinstance(node, Apply) and node.axis is not None and symbol in set(walk(node))
        for node in walk(expr)
    )


def _other(cell: Cell, guard: Guard) -> bool:
    """Whether a cell tells more than on which side of the guard a point is."""
    node, _ = cell.formulas[-1]
    return node != guard.node and node not in set(walk(guard.difference))


Truth = dict[Expr, tuple[bool, ...]]
"""For each condition, whether it holds: in each row from the left, then the right."""


def truth_at_any(candidates: list[Cell], places: list[Locus]) -> Truth:
    """As below, at the points of several loci."""
    truths = [truth_at(candidates, place) for place in places]
    return {
        item: tuple(value for truth in truths for value in truth[item])
        for item in truths[0]
    }


def truth_at(candidates: list[Cell], place: Locus) -> Truth:
    """Which conditions of some cells hold beside the points of a locus."""
    name, sample = place.variable.name, place.sample
    found: dict[Expr, tuple[bool, ...]] = {}
    direction = np.zeros(sample.environment[name].shape, dtype=int)
    for sign in (-1, 1):
        for row in direction:
            row.flat[0] = sign
        with mp.workdps(DIGITS):
            moving = ray(sample.environment[name], direction, 1)
            environment = {**sample.environment, name: moving}
            values = Evaluation(environment, ties=_TIES)
            for cell in candidates:
                for condition in cell.conditions:
                    if len(found.get(condition, ())) != (sign + 3) // 2 * sample.rows:
                        rows = _first_of_rows(values.value(condition), sample.rows)
                        found[condition] = (*found.get(condition, ()), *rows)
    return found


def touched(cell: Cell, truth: Truth) -> bool:
    """Whether a point of the locus lies in the cell or at its edge."""
    columns = zip(*(truth[item] for item in cell.conditions), strict=True)
    return any(all(column) for column in columns)


def _first_of_rows(values: Array, rows: int) -> list[bool]:
    """Whether the condition holds at the first element of each row."""
    if not values.ndim or values.shape[0] != rows:
        return [values.flat[0] is True] * rows
    return [row.flat[0] is True for row in values.reshape(rows, -1)]


def _possible(cell: Cell, guard: Guard, place: Locus) -> bool:
    """Whether the ranges admit a point of a locus in a cell."""
    known = list(_met(cell, guard, place))
    if not known:
        return True
    known.extend(interior(place))
    if place.root is None and guard.node.op not in _BY_ELEMENT:
        known.append(Apply("eq", (guard.difference, ZERO)))
    return any(
        not guard.ranges.given(case, True).of(ONE).empty
        for case in by_label(both(*known), guard.ranges.loss)
    )


def _met(cell: Cell, guard: Guard, place: Locus) -> Iterator[Expr]:
    """What holds at a point of a locus that lies in a cell or at its edge.

    Along the prediction, that is: what does not depend on it holds at the point itself.
    """
    tie = _tie(cell, guard)
    for condition in cell.inside:
        closed: Expr | None = condition
        if place.variable.symbol in set(walk(condition)):
            closed = _closure(condition, True)
        if closed is not None:
            closed = replace_nodes(closed, tie)
        moved = None if closed is None else on_root(closed, place)
        if moved is not None:
            yield moved


def _tie(cell: Cell, guard: Guard) -> dict[Expr, Expr]:
    """What the operation of a guard is on its locus, both sides being equal there."""
    node = guard.node
    if node.op in ("abs", "relu"):
        return {node: ZERO}
    tied: Expr = node
    if cell.formulas and cell.formulas[-1][0] == node:
        tied = cell.formulas[-1][1]
    if isinstance(tied, Apply) and tied.op in ("max", "min"):
        first, *others = dict.fromkeys(tied.args)
        if len(others) == 1:
            return {tied: first}
    return {}


def interior(place: Locus) -> Iterator[Expr]:
    """That the points of a locus lie within the ends of the prediction's domain."""
    if place.root is not None:
        values = domain_interval(place.variable.domain)
        if isinstance(values.lower, Fraction):
            yield above(place.root, Number(values.lower))
        if isinstance(values.upper, Fraction):
            yield above(Number(values.upper), place.root)


def _closure(condition: Expr, truth: bool) -> Expr | None:
    """What holds inside a condition and at its edges; None if that is everything."""
    if not isinstance(condition, Apply):
        return None
    if condition.op == "not":
        return _closure(condition.args[0], not truth)
    if condition.op in ("and", "or"):
        parts = [_closure(arg, truth) for arg in condition.args]
        known = tuple(part for part in parts if part is not None)
        if (condition.op == "and") is truth:
            return both(*known) if known else None
        return Apply("or", known) if len(known) == len(parts) else None
    op = _CLOSED.get((condition.op, truth))
    return Apply(op, condition.args) if op else None


_CLOSED = {
    ("lt", True): "le",
    ("le", True): "le",
    ("gt", True): "ge",
    ("ge", True): "ge",
    ("eq", True): "eq",
    ("lt", False): "ge",
    ("le", False): "ge",
    ("gt", False): "le",
    ("ge", False): "le",
    ("ne", False): "eq",
}


def on_root(expr: Expr, place: Locus) -> Expr | None:
    """An expression on a locus; None where what other elements are matters, too."""
    symbol = place.variable.symbol
    if place.root is None or symbol not in set(walk(expr)):
        return expr
    reduced = is_reduced(expr, symbol)
    return None if reduced else substitute(expr, {symbol: place.root})
