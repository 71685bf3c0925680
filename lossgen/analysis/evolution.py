"""Points at which several conditions hold, by differential evolution."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.cells import Cell
from lossgen.analysis.intervals import Interval
from lossgen.analysis.loci import Locus
from lossgen.analysis.ranges import domain_interval
from lossgen.analysis.samples import Sample, generic, satisfying, uses_axis
from lossgen.analysis.unseen import interior
from lossgen.analysis.zeros import zeros
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Axis, Expr, Number, neg, sub
from lossgen.ir.loss import Loss, Variable

_SEED = 20240301
_ROWS = 16
_GENERATIONS = 24
_STAGNANT = 4  # generations without a better point, after which there is none
_ENOUGH = 3  # rows that tell a constant from what depends on the data
_PARENTS = 3
_FACTOR = Fraction(7, 10)
_CROSSOVER = 0.7
_DECIMALS = 6
_DIGITS = 20
_NOWHERE = mpf("-inf")
_NEARLY_ZERO = Number(Fraction(1, 10**12))


def evolved(loss: Loss, cell: Cell, place: Locus) -> Iterator[Sample]:
    """Points whose moves onto a locus bring them into a cell, if any are found.

    The population is driven towards where the conditions hold: what is maximized is
    the least of the margins by which they do.
    """
    drawn = generic(loss, last=place.sample.last, rows=_ROWS, salt=_SEED)
    tied = uses_axis(loss.expression, Axis.BATCH)
    if place.root is None or drawn is None or drawn.rest is not None or tied:
        return
    if drawn.rows <= _PARENTS:
        return
    conditions = (*cell.inside, *interior(place), *loss.assume)
    if len(zeros(place.difference)) > 1:
        # The root of one formula is none of the others'.
        conditions = (*conditions, vanishing(place.difference))
    margins = [_margin(item) for item in conditions]
    generator = random.Random(_SEED)
    heights = _heights(margins, place, drawn)
    stagnant = 0
    for _ in range(_GENERATIONS):
        enough = sum(height > 0 for height in heights) >= _ENOUGH
        if enough or stagnant == _STAGNANT:
            break
        trial = _bred(loss, drawn, generator)
        risen = _heights(margins, place, trial)
        better = np.array([a > b for a, b in zip(risen, heights, strict=True)])
        stagnant = 0 if max(risen) > max(heights) else stagnant + 1
        drawn = _chosen(drawn, trial, better)
        heights = [max(pair) for pair in zip(risen, heights, strict=True)]
    kept = drawn.only(np.array([height > 0 for height in heights]))
    if kept.rows:
        kept = satisfying(loss, kept)
    if kept.rows:
        yield kept


def vanishing(difference: Expr) -> Expr:
    """The condition that an expression is 0, but for rounding."""
    return Apply("lt", (Apply("abs", (difference,)), _NEARLY_ZERO))


def _margin(condition: Expr) -> Expr:
    """Positive where a condition holds, and larger farther from where it does not."""
    assert isinstance(condition, Apply)
    args = condition.args
    if condition.op == "not":
        return neg(_margin(args[0]))
    if condition.op in ("and", "or"):
        combine = "min" if condition.op == "and" else "max"
        return Apply(combine, tuple(_margin(arg) for arg in args))
    left, right = args
    if condition.op in ("lt", "le"):
        return sub(right, left)
    if condition.op in ("gt", "ge"):
        return sub(left, right)
    apart = Apply("abs", (sub(left, right),))
    return apart if condition.op == "ne" else neg(apart)


def _heights(margins: list[Expr], place: Locus, sample: Sample) -> list[Any]:
    """Per row, the least of the margins on the locus."""
    name = place.variable.name
    assert place.root is not None
    with mp.workdps(_DIGITS):
        roots = _first(Evaluation(sample.environment).value(place.root), sample.rows)
        moved = sample.environment[name].copy()
        for row, root in zip(moved, roots, strict=True):
            row.flat[0] = 0 if isinstance(root, Undefined) else root
        evaluation = Evaluation({**sample.environment, name: moved})
        columns = [_first(evaluation.value(item), sample.rows) for item in margins]
    return [
        _NOWHERE
        if any(isinstance(item, Undefined) for item in row)
        else min(row[1:], default=_NOWHERE)
        for row in zip(roots, *columns, strict=True)
    ]


def _first(values: Array, rows: int) -> list[Any]:
    """The first element of each row."""
    if not values.ndim or values.shape[0] != rows:
        return [values.flat[0]] * rows
    return [row.flat[0] for row in values.reshape(rows, -1)]


def _bred(loss: Loss, sample: Sample, generator: random.Random) -> Sample:
    """For each row another, made of three that are drawn."""
    environment = {name: array.copy() for name, array in sample.environment.items()}
    for row in range(sample.rows):
        parents = generator.sample(range(sample.rows), _PARENTS)
        for variable in loss.variables:
            array = environment[variable.name]
            if array.ndim and generator.random() < _CROSSOVER:
                rows = [sample.environment[variable.name][item] for item in parents]
                array[row] = _mixed(variable, *rows)
    return Sample(environment, sample.rows, sample.last)


def _mixed(variable: Variable, base: Array, one: Array, other: Array) -> Array:
    """A row of an input, where it is one of numbers that may be mixed."""
    domain = variable.domain
    if domain.labels or domain.kind in (DomainKind.COUNT, DomainKind.ONE_HOT):
        return base
    moved = base + _FACTOR * (one - other)
    if domain.along_last_axis:
        return moved if all(0 < item < 1 for item in moved.flat) else base
    values = domain_interval(domain)
    pairs = zip(base.flat, moved.flat, strict=True)
    inside = [round(_bounced(*pair, values), _DECIMALS) for pair in pairs]
    rounded = np.array(inside, dtype=object).reshape(moved.shape)
    return rounded if all(values.contains(item) for item in rounded.flat) else base


def _bounced(base: Any, moved: Any, values: Interval) -> Any:
    """A number, or halfway to the end of the domain that it is beyond."""
    for end, beyond in (
        (values.lower, moved < values.lower),
        (values.upper, moved > values.upper),
    ):
        if beyond:
            return (base + end) / 2
    return moved


def _chosen(one: Sample, other: Sample, second: Array) -> Sample:
    """The rows of one sample, or of the other where ``second`` is true."""
    environment = {}
    for name, array in one.environment.items():
        environment[name] = array.copy()
        if array.ndim:
            environment[name][second] = other.environment[name][second]
    return Sample(environment, one.rows, one.last)
