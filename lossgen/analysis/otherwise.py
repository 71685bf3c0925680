"""Points of a locus without a formula, or a single element to search along.

A label may be what the rest of the difference is. Else the points are between others,
on which the guard has opposite signs: a sum of many elements reaches a threshold, or an
element of a running sum does, where no single element brings it there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.bracketing import roots_along
from lossgen.analysis.guards import Guard
from lossgen.analysis.loci import DIGITS, Locus, inside, name_of
from lossgen.analysis.samples import (
    Sample,
    generic,
    satisfying,
    special,
    typical_length,
    uses_axis,
)
from lossgen.analysis.unseen import is_reduced
from lossgen.analysis.zeros import solve
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Axis, Role
from lossgen.ir.loss import Loss, Variable

_LENGTHS = (3, 6, 12, 24)
_ROWS = 8
_SPECIAL_ROWS = 24
_POINTS = 4
_FEW_DIGITS = 20
_CLOSE = mpf(10) ** -30
_BESIDE = mpf(10) ** -12


def located_otherwise(loss: Loss, guard: Guard, variable: Variable) -> Locus | None:
    """Points at which a guard is 0, if some are found."""
    found = _by_label(loss, guard, variable)
    if found is None and _may_be_between(loss, guard, variable):
        found = _between(loss, guard, variable)
    if found is None:
        return None
    return Locus(name_of(guard), variable, found, guard.difference)


def _by_label(loss: Loss, guard: Guard, variable: Variable) -> Sample | None:
    """Points with a label or a parameter that the guard is solved for."""
    if guard.node.op in ("amax", "amin"):
        return None
    sample = generic(loss, last=typical_length(loss), rows=_ROWS)
    for item in loss.of_role(Role.Y_TRUE, Role.PARAMETER):
        root = solve(guard.difference, item.symbol, guard.ranges)
        if root is None or sample is None or item.domain.labels:
            continue
        with mp.workdps(DIGITS):
            values = Evaluation(sample.environment).value(root)
        array = sample.environment[item.name]
        if values.shape != array.shape or not array.ndim:
            continue
        kept = np.array([_belongs(item, list(row.flat)) for row in values])
        if kept.any():
            found = satisfying(loss, sample.moved(item.name, values).only(kept))
            found = _crossed(guard, variable, found, 0)
            if found.rows:
                return found
    return None


def _belongs(variable: Variable, row: list[Any]) -> bool:
    """Whether a row of values lies in a domain."""
    if any(isinstance(item, Undefined) for item in row):
        return False
    kind = variable.domain.kind
    if kind is DomainKind.SIMPLEX:
        return all(item > 0 for item in row) and abs(sum(row) - 1) < _CLOSE
    return kind is DomainKind.INTERVAL and all(inside(variable, item) for item in row)


def _may_be_between(loss: Loss, guard: Guard, variable: Variable) -> bool:
    """Whether it takes a single element of the difference to be 0, of a reduction."""
    return (
        guard.node.op not in ("amax", "amin", "norm")
        and is_reduced(guard.difference, variable.symbol)
        and not uses_axis(loss.expression, Axis.BATCH)
    )


def _between(loss: Loss, guard: Guard, variable: Variable) -> Sample | None:
    """Points between two others at which an element has opposite signs."""
    for last in (typical_length(loss), *_LENGTHS):
        ordinary = generic(loss, last=last, rows=_ROWS)
        extreme = special(loss, last=last, rows=_SPECIAL_ROWS)
        if ordinary is None or extreme is None:
            continue
        gaps = [_gaps(guard, sample) for sample in (ordinary, extreme)]
        for element in range(min(len(row) for table in gaps for row in table)):
            columns = [[row[element] for row in table] for table in gaps]
            pairs = _opposite(*columns)
            if not pairs:
                continue
            ends = [
                _chosen(sample, [pair[k] for pair in pairs])
                for k, sample in enumerate((ordinary, extreme))
            ]
            found = _crossing(loss, guard, variable, ends[0], ends[1], element)
            if found.rows:
                return found
    return None


def _gaps(guard: Guard, sample: Sample, digits: int = _FEW_DIGITS) -> list[list[Any]]:
    """Per row, the elements of the guard's difference."""
    with mp.workdps(digits):
        gaps = Evaluation(sample.environment).value(guard.difference)
    gaps = np.broadcast_to(gaps, (sample.rows, *gaps.shape[1:]))
    return [list(np.asarray(row, dtype=object).flat) for row in gaps]


def _opposite(ordinary: list[Any], extreme: list[Any]) -> list[tuple[int, int]]:
    """Pairs of rows of two samples in which a number has opposite signs."""
    ends = {
        sign: [k for k, item in enumerate(extreme) if _sign(item) == sign]
        for sign in (-1, 1)
    }
    pairs = [
        (row, ends[-_sign(item)][row % len(ends[-_sign(item)])])
        for row, item in enumerate(ordinary)
        if _sign(item) and ends[-_sign(item)]
    ]
    return pairs[:_POINTS]


def _sign(item: Any) -> int:
    return 0 if isinstance(item, Undefined) else int(mp.sign(item))


def _chosen(sample: Sample, rows: list[int]) -> Sample:
    """Some rows of a sample, in the order given."""
    environment = {
        name: array[rows] if array.ndim and len(array) == sample.rows else array
        for name, array in sample.environment.items()
    }
    return Sample(environment, len(rows), sample.last)


def _crossing(
    loss: Loss,
    guard: Guard,
    variable: Variable,
    start: Sample,
    end: Sample,
    element: int,
) -> Sample:
    """In each row the point on the way from start to end at which the guard is 0."""

    def values(shares: list[Any], digits: int) -> list[Any]:
        found = _gaps(guard, _mixed(loss, start, end, shares), digits)
        firsts = [row[element] for row in found]
        return [None if isinstance(item, Undefined) else item for item in firsts]

    grid = [mpf(0), mpf(1)]
    shares = next(roots_along(grid, start.rows, values, DIGITS), None)
    if shares is None:  # with more digits there is no change of sign
        return start.only(np.zeros(start.rows, dtype=bool))
    sample = _mixed(loss, start, end, shares)
    firsts = [row.flat[0] for row in sample.environment[variable.name]]
    kept = [
        gap is not None and abs(gap) < _CLOSE and inside(variable, first)
        for gap, first in zip(values(shares, DIGITS), firsts, strict=True)
    ]
    found = satisfying(loss, sample.only(np.array(kept)))
    return _crossed(guard, variable, found, element)


def _crossed(guard: Guard, variable: Variable, found: Sample, element: int) -> Sample:
    """The points at which the first prediction leads across the locus.

    In ``max(sum(y_pred, axis=batch), y_pred)`` a sample's own prediction moves both
    sides alike, and shows no kink; that of another sample does.
    """
    if not found.rows:
        return found
    sides = []
    for step in (-_BESIDE, _BESIDE):
        moved = _numbers(found.environment[variable.name])
        for row in moved:
            row.flat[0] += step
        gaps = _gaps(guard, found.moved(variable.name, moved), DIGITS)
        sides.append([_sign(row[element]) for row in gaps])
    kept = [left * right < 0 for left, right in zip(*sides, strict=True)]
    return found.only(np.array(kept, dtype=bool))


def _mixed(loss: Loss, start: Sample, end: Sample, shares: list[Any]) -> Sample:
    """What is continuous moves a share of the way; labels stay as at the start."""
    environment = dict(start.environment)
    with mp.workdps(DIGITS):
        for item in loss.variables:
            one, other = (x.environment[item.name] for x in (start, end))
            if item.domain.labels or item.domain.kind in _STANDING or not one.ndim:
                continue
            shape = (-1, *(1,) * (one.ndim - 1))
            part: Array = np.array(shares, dtype=object).reshape(shape)
            one, other = (_numbers(array) for array in (one, other))
            environment[item.name] = one + (other - one) * part
    return Sample(environment, start.rows, start.last)


_STANDING = (DomainKind.COUNT, DomainKind.FINITE, DomainKind.ONE_HOT)


def _numbers(array: Array) -> Array:
    result: Array = np.vectorize(mp.mpmathify, otypes=[object])(array)
    return result
