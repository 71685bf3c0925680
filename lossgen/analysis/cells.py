"""The cells of a loss: regions where each operation keeps to one of its formulas.

Random points on a locus show the cells that are large. Whether others touch it, and
what the loss does there, is found by a search for points inside them; where that finds
none, by holding an operation to the formula of the cell, wherever the point is.
Formulas without branches are analytic: what they do at points in general position they
do everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.guards import Guard, compared
from lossgen.analysis.loci import DIGITS, Locus, by_label, inside, loci
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.samples import Sample, satisfying
from lossgen.analysis.zeros import solve
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation, Undefined, evaluate, ray
from lossgen.calculus.jets import Ties
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    depends_on,
    neg,
    replace_nodes,
    sub,
    substitute,
    walk,
)
from lossgen.ir.loss import Loss, Variable

_TIES = Ties(mpf(10) ** -25)
_OFFSETS = tuple(
    Fraction(*item) for item in ((1, 7), (-1, 7), (13, 11), (-13, 11), (0, 1))
)
_BETWEEN = Fraction(1, 3)


@dataclass(frozen=True)
class Cell:
    """Where an operation keeps to one formula.

    ``conditions`` are those of the operation and of the branches around it;
    ``formulas`` what each of these is inside, the outermost first.
    """

    conditions: tuple[Expr, ...]
    formulas: tuple[tuple[Apply, Expr], ...]

    def pinned(self, expr: Expr) -> Expr:
        """An expression with the operations held to their formulas of this cell."""
        for node, formula in self.formulas:
            expr = replace_nodes(expr, {node: formula})
        return expr


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


def _above(left: Expr, right: Expr) -> Expr:
    return Apply("gt", (left, right))


def _absolute(node: Apply) -> Iterator[_Choice]:
    (arg,) = node.args
    yield _above(arg, ZERO), arg
    yield _above(ZERO, arg), neg(arg)


def _relu(node: Apply) -> Iterator[_Choice]:
    (arg,) = node.args
    yield _above(arg, ZERO), arg
    yield _above(ZERO, arg), ZERO


def _clip(node: Apply) -> Iterator[_Choice]:
    value, low, high = node.args
    yield _both(_above(low, value), _above(high, low)), low
    yield _both(_above(value, low), _above(high, value)), value
    yield Apply("or", (_above(value, high), _above(low, high))), high


def _extreme(node: Apply) -> Iterator[_Choice]:
    for arg in node.args:
        others = [item for item in node.args if item != arg]
        pairs = [(arg, item) if node.op == "max" else (item, arg) for item in others]
        if pairs:
            yield _both(*(_above(*pair) for pair in pairs)), arg


def _where(node: Apply) -> Iterator[_Choice]:
    condition, then, otherwise = node.args
    yield condition, then
    yield Apply("not", (condition,)), otherwise


def _both(*conditions: Expr) -> Expr:
    return conditions[0] if len(conditions) == 1 else Apply("and", conditions)


_CHOICES: dict[str, Callable[[Apply], Iterator[_Choice]]] = {
    "abs": _absolute,
    "relu": _relu,
    "clip": _clip,
    "max": _extreme,
    "min": _extreme,
    "where": _where,
}

# Cells that no point lies in ----------------------------------------------------------


def unseen(
    loss: Loss, guard: Guard, variable: Variable, places: tuple[Locus, ...]
) -> Iterator[tuple[Cell, Locus]]:
    """Cells that may touch a locus although no point of it is known to lie in them."""
    candidates = [cell for cell in cells(loss.expression) if _other(cell, guard)]
    candidates.extend(_tied(guard))
    for place in places:
        truth = _truth(candidates, place)
        for cell in candidates:
            if not _touched(cell, truth) and _possible(cell, guard, place):
                yield _missing(cell, truth), place


def _missing(cell: Cell, truth: _Truth) -> Cell:
    """The cell without the formulas that hold at points of the locus anyway."""
    pairs = zip(cell.conditions, cell.formulas, strict=True)
    kept = [formula for condition, formula in pairs if not any(truth[condition])]
    return replace(cell, formulas=tuple(kept) or cell.formulas[-1:])


def _other(cell: Cell, guard: Guard) -> bool:
    """Whether a cell tells more than on which side of the guard a point is."""
    node, _ = cell.formulas[-1]
    return node != guard.node and node not in set(walk(guard.difference))


def _tied(guard: Guard) -> Iterator[Cell]:
    """Where the two arguments that a guard compares decide what the operation is."""
    node = guard.node
    if node.op == "clip":
        yield from _tied_ends(node, guard.difference)
        return
    distinct = tuple(dict.fromkeys(node.args))
    if node.op not in ("max", "min") or len(distinct) < 3:
        return
    for pair in combinations(distinct, 2):
        if sub(*pair) == guard.difference:
            rest = [item for item in distinct if item not in pair]
            over = [(pair[0], item) for item in rest]
            ordered = over if node.op == "max" else [(b, a) for a, b in over]
            condition = _both(*(_above(*item) for item in ordered))
            yield Cell((condition,), ((node, Apply(node.op, pair)),))


def _tied_ends(node: Apply, difference: Expr) -> Iterator[Cell]:
    """As above for ``clip``, which is ``min(max(value, low), high)``."""
    value, low, high = node.args
    decided = {
        sub(value, low): (_above(high, value), Apply("max", (value, low))),
        sub(value, high): (_above(value, low), Apply("min", (value, high))),
        sub(low, high): (_above(low, value), Apply("min", (low, high))),
    }
    condition, formula = decided[difference]
    yield Cell((condition,), ((node, formula),))


_Truth = dict[Expr, tuple[bool, ...]]
"""For each condition, whether it holds: in each row from the left, then the right."""


def _truth(candidates: list[Cell], place: Locus) -> _Truth:
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


def _touched(cell: Cell, truth: _Truth) -> bool:
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
    closed = (_closure(condition, True) for condition in cell.conditions)
    moved = [_on_root(item, place) for item in closed if item is not None]
    known = [item for item in moved if item is not None]
    if not known:
        return True
    known.extend(_interior(place))
    return any(
        not guard.ranges.given(case, True).of(ONE).empty
        for case in by_label(_both(*known), guard.ranges.loss)
    )


def _interior(place: Locus) -> Iterator[Expr]:
    """That the points of a locus lie within the ends of the prediction's domain."""
    if place.root is not None:
        values = domain_interval(place.variable.domain)
        if isinstance(values.lower, Fraction):
            yield _above(place.root, Number(values.lower))
        if isinstance(values.upper, Fraction):
            yield _above(Number(values.upper), place.root)


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
            return _both(*known) if known else None
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


def _on_root(expr: Expr, place: Locus) -> Expr | None:
    """An expression on a locus, where it depends on the element at hand alone."""
    symbol = place.variable.symbol
    if symbol not in set(walk(expr)):
        return expr
    reduced = any(
        isinstance(node, Apply) and node.axis is not None and symbol in set(walk(node))
        for node in walk(expr)
    )
    if reduced or place.root is None:
        return None
    return substitute(expr, {symbol: place.root})


# Points in a cell ---------------------------------------------------------------------


def points_in(
    loss: Loss, guard: Guard, cell: Cell, place: Locus, samples: tuple[Sample, ...]
) -> Locus | None:
    """Points of a locus that lie in a cell, if a search finds any."""
    for sample in samples:
        for moved in (sample, *_towards(loss, guard, cell, place, sample)):
            for found in loci(guard, place.variable, moved) or ():
                if found.name == place.name and _touched(cell, _truth([cell], found)):
                    return found
    return None


def points_inside(
    loss: Loss, guard: Guard, place: Locus, samples: tuple[Sample, ...]
) -> Locus | None:
    """Points of a locus within the prediction's domain, if a search finds any."""
    return points_in(loss, guard, Cell(tuple(_interior(place)), ()), place, samples)


def _towards(
    loss: Loss, guard: Guard, cell: Cell, place: Locus, sample: Sample
) -> Iterator[Sample]:
    """Samples in which one input was moved to where a condition of the cell begins.

    Or between the edges of two, which may be close to one another.
    """
    moved = [_on_root(condition, place) for condition in cell.conditions]
    gaps = [
        sub(left, right)
        for condition in moved
        if condition is not None
        for left, right in compared(condition)
    ]
    for variable in loss.of_role(Role.Y_TRUE, Role.PARAMETER):
        found = (_edge(gap, variable.symbol, guard.ranges) for gap in gaps)
        edges = [edge for edge in found if edge is not None]
        for edge in edges:
            yield from _beside(loss, variable, edge, ONE, sample, _OFFSETS)
        for edge, other in combinations(edges, 2):
            width = sub(other, edge)
            yield from _beside(loss, variable, edge, width, sample, (_BETWEEN,))


def _edge(difference: Expr, symbol: Symbol, ranges: Ranges) -> Expr | None:
    if symbol not in set(walk(difference)) or depends_on(difference, Role.Y_PRED):
        return None
    return solve(difference, symbol, ranges)


def _beside(
    loss: Loss,
    variable: Variable,
    edge: Expr,
    unit: Expr,
    sample: Sample,
    offsets: tuple[Fraction, ...],
) -> Iterator[Sample]:
    """Samples with an input at some distances from an edge, measured in a unit."""
    array = sample.environment[variable.name]
    try:
        start, step = (
            evaluate(expr, sample.environment, digits=DIGITS) for expr in (edge, unit)
        )
    except Undefined:
        return
    if np.broadcast_shapes(start.shape, step.shape, array.shape) != array.shape:
        return
    for offset in offsets:
        with mp.workdps(DIGITS):
            # Not the same in each row, or a slope would pass for a constant.
            steps = [mp.mpmathify(offset * (7 + k)) / 7 for k in range(sample.rows)]
            shape = (-1, *([1] * (array.ndim - 1))) if array.ndim else ()
            apart = np.array(steps if shape else steps[0], dtype=object).reshape(shape)
            moved = np.broadcast_to(start, array.shape) + step * apart
        placed = _kept(variable, sample, np.asarray(moved, dtype=object))
        if placed.rows:
            placed = satisfying(loss, placed)
        if placed.rows:
            yield placed


def _kept(variable: Variable, sample: Sample, moved: Array) -> Sample:
    """The sample with an input replaced, where that stays inside its domain."""
    placed = sample.moved(variable.name, moved)
    allowed: Array = np.array([inside(variable, item) for item in moved.flat])
    if not moved.ndim:
        return placed if allowed.all() else replace(placed, rows=0)
    by_row: Array = allowed.reshape(sample.rows, -1)
    return placed.only(np.asarray(by_row.all(axis=1)))
