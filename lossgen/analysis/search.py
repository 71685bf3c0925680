"""Points of a locus that lie in a cell, by a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.analysis.cells import Cell
from lossgen.analysis.guards import Guard, compared
from lossgen.analysis.loci import DIGITS, Locus, inside, loci
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.samples import Sample, satisfying
from lossgen.analysis.unseen import interior, on_root, touched, truth_at
from lossgen.analysis.zeros import roots, solve, zeros
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.expr import (
    ONE,
    Expr,
    Number,
    Role,
    Symbol,
    depends_on,
    sub,
    substitute,
    walk,
)
from lossgen.ir.loss import Loss, Variable

_OFFSETS = tuple(
    Fraction(*item) for item in ((1, 7), (-1, 7), (13, 11), (-13, 11), (0, 1))
)
_BETWEEN = Fraction(1, 3)
_MAX_VERTICES = 8


def points_in(
    loss: Loss, guard: Guard, cell: Cell, place: Locus, samples: tuple[Sample, ...]
) -> Iterator[Locus]:
    """Points of a locus of which some lie in a cell, as a search finds them."""
    for moved in _candidates(loss, guard, cell, place, samples):
        for located in loci(guard, place.variable, moved) or ():
            if located.name == place.name and (
                not cell.conditions or touched(cell, truth_at([cell], located))
            ):
                yield located


def _candidates(
    loss: Loss, guard: Guard, cell: Cell, place: Locus, samples: tuple[Sample, ...]
) -> Iterator[Sample]:
    for sample in samples:
        yield sample
        yield from _towards(loss, guard, cell, place, sample)


def points_inside(
    loss: Loss, guard: Guard, place: Locus, samples: tuple[Sample, ...]
) -> Locus | None:
    """Points of a locus within the prediction's domain, if a search finds any."""
    cell = Cell(tuple(interior(place)), ())
    return next(points_in(loss, guard, cell, place, samples), None)


def _towards(
    loss: Loss, guard: Guard, cell: Cell, place: Locus, sample: Sample
) -> Iterator[Sample]:
    """Samples in which one input was moved to where a condition of the cell begins.

    Or between the edges of two, or of one and the domain, which may be close.
    """
    moved = [on_root(condition, place) for condition in cell.conditions]
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
        ends = _finite_ends(variable) if edges else ()
        for edge, other in (*combinations(edges, 2), *product(edges, ends)):
            width = sub(other, edge)
            yield from _beside(loss, variable, edge, width, sample, (_BETWEEN,))


def _finite_ends(variable: Variable) -> tuple[Expr, ...]:
    values = domain_interval(variable.domain)
    ends = (values.lower, values.upper)
    return tuple(Number(end) for end in ends if isinstance(end, Fraction))


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


def vertices(
    loss: Loss, guard: Guard, variable: Variable, samples: tuple[Sample, ...]
) -> Iterator[Sample]:
    """Points with a label or a parameter moved to where two pieces of a locus meet.

    A condition on ``min(u, v)`` or ``abs(u) + abs(v)`` may hold there alone.
    """
    pieces = zeros(guard.difference)
    if len(pieces) < 2:
        return
    edges: dict[tuple[Variable, Expr], None] = {}
    for piece in pieces:
        for root in roots(piece, variable.symbol, guard.ranges) or ():
            for other in pieces:
                gap = substitute(other, {variable.symbol: root})
                for moved in loss.of_role(Role.Y_TRUE, Role.PARAMETER):
                    edge = _edge(gap, moved.symbol, guard.ranges)
                    if edge is not None and len(edges) < _MAX_VERTICES:
                        edges[moved, edge] = None
    for sample in samples:
        for moved, edge in edges:
            yield from _beside(loss, moved, edge, ONE, sample, (Fraction(0),))


def _belongs(variable: Variable, value: Any) -> bool:
    """Whether a value lies in a domain, at a closed end for instance."""
    values = domain_interval(variable.domain)
    ends = ((values.lower, values.lower_open), (values.upper, values.upper_open))
    return inside(variable, value) or any(
        isinstance(end, Fraction) and not is_open and value == mp.mpmathify(end)
        for end, is_open in ends
    )


def _kept(variable: Variable, sample: Sample, moved: Array) -> Sample:
    """The sample with an input replaced, where that stays inside its domain."""
    placed = sample.moved(variable.name, moved)
    allowed: Array = np.array([_belongs(variable, item) for item in moved.flat])
    if not moved.ndim:
        return placed if allowed.all() else replace(placed, rows=0)
    by_row: Array = allowed.reshape(sample.rows, -1)
    return placed.only(np.asarray(by_row.all(axis=1)))
