"""A loss expanded from both sides of a point on a locus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.loci import DIGITS, Locus
from lossgen.analysis.samples import Sample, uses_axis
from lossgen.calculus.evaluate import UndecidedError, Undefined, germ
from lossgen.calculus.jets import MAX_ORDER, Jet, Ties
from lossgen.ir.expr import Axis
from lossgen.ir.loss import Loss

EQUAL = mpf(10) ** -20
"""Numbers that differ by less, relative to their size, are taken as equal."""

TOLERANCE = mpf(10) ** -25
"""As above, where branches are chosen."""

_TIES = Ties(TOLERANCE)
_LOW_ORDER = 3
_FEW = 2  # rows that are looked at in high orders

Side = list[tuple[Any, ...]]
"""Per row, the value and the derivatives from one side."""


@dataclass(frozen=True)
class Expansion:
    """Value and derivatives, up to an order, from the left and from the right.

    ``dropped`` are rows that have no first derivative from one of the sides.
    """

    sample: Sample
    order: int
    left: Side
    right: Side
    dropped: Sample | None = None

    def differences(self) -> list[int | None]:
        """Per row, the lowest derivative that differs between the two sides."""
        pairs = zip(self.left, self.right, strict=True)
        return [first_difference(*pair) for pair in pairs]

    @property
    def agrees(self) -> bool:
        """Whether the two sides are the same as far as they are known."""
        return all(item is None for item in self.differences())


def expand(loss: Loss, place: Locus) -> Expansion | None:
    """Expand a loss at the points of a locus, as far as its derivatives exist.

    The first derivative, where it agrees higher ones, and the highest at few points, or
    at all where a condition whose sides are equal leaves open what the lower ones are.

    Returns:
        The expansion; None if there is not even a first derivative at any point.
    """
    points = place.sample
    found: Expansion | None = None
    for highest in (1, _LOW_ORDER, MAX_ORDER):
        if highest == MAX_ORDER and found is not None:
            points = points.only(np.arange(points.rows) < _FEW)
        try:
            found = _as_far_as_known(loss, place, points, highest, found)
        except UndecidedError:
            continue  # higher derivatives tell which branch is taken
        if found is None or found.order < highest or not found.agrees:
            break
    return found


def _as_far_as_known(
    loss: Loss, place: Locus, points: Sample, highest: int, found: Expansion | None
) -> Expansion | None:
    """The expansion to the highest order there is, or the one that is known."""
    for order in range(highest, found.order if found else 0, -1):
        higher = _both_sides(loss, place, points, order)
        if higher is not None:
            return higher
    return found


def value_at(loss: Loss, place: Locus, sample: Sample) -> Side | None:
    """The value on the locus itself, as a germ, so that the tolerance applies to it."""
    name = place.variable.name
    as_germs = sample.moved(name, _standing(sample.environment[name]))
    for points in (as_germs, sample):  # sqrt(y_pred) has a value at 0, but no germ
        try:
            return germs(loss, place, points, 0, 1)
        except Undefined:
            continue
    return None


def slopes_by_value(loss: Loss, place: Locus) -> list[Any]:
    """Per row, the slope that derivatives taken operation by operation give.

    Raises:
        Undefined: If an operation has none.
    """
    ties = Ties(TOLERANCE, by_value=True)
    return [row[1] for row in germs(loss, place, place.sample, 1, 1, ties=ties)]


def first_difference(left: Sequence[Any], right: Sequence[Any]) -> int | None:
    """The first index at which two sequences of derivatives differ."""
    for k, (a, b) in enumerate(zip(left, right, strict=True)):
        if abs(a - b) > EQUAL * (1 + abs(a) + abs(b)):
            return k
    return None


def _both_sides(
    loss: Loss, place: Locus, sample: Sample, order: int
) -> Expansion | None:
    # At the highest order, what has not been told apart is taken as equal.
    ties = Ties(TOLERANCE, decisive=order < MAX_ORDER)

    def both(points: Sample) -> tuple[Side, Side]:
        left, right = (
            germs(loss, place, points, sign, order, ties=ties) for sign in (-1, 1)
        )
        return left, right

    def exists(row: int) -> bool:
        try:
            both(place.sample.only(np.arange(place.sample.rows) == row))
        except Undefined:
            return False
        return True

    try:
        left, right = both(sample)
    except Undefined:
        if order > 1:
            return None
        kept = np.array([exists(row) for row in range(sample.rows)])
        if not kept.any():
            return None
        left, right = both(sample.only(kept))
        return Expansion(sample.only(kept), order, left, right, sample.only(~kept))
    return Expansion(sample, order, left, right)


def germs(
    loss: Loss,
    place: Locus,
    sample: Sample,
    sign: int,
    order: int,
    digits: int = DIGITS,
    *,
    ties: Ties = _TIES,
) -> Side:
    """Per row, the derivatives along the variable's first element, seen from a side.

    Raises:
        Undefined: If a value or a derivative does not exist.
        UndecidedError: As for `germ`: the order is too low to choose a branch.
    """
    name = place.variable.name
    direction = np.zeros(sample.environment[name].shape, dtype=int)
    tied = uses_axis(loss.expression, Axis.BATCH)
    for row in direction[:1] if tied else direction:
        row.flat[0] = sign
    values = germ(
        loss.expression,
        sample.environment,
        {name: direction},
        order=order,
        digits=digits,
        ties=ties,
    )
    with mp.workdps(digits):
        totals = [_row_totals(item, sample.rows, tied) for item in values]
        signed = [[total * sign**k for total in row] for k, row in enumerate(totals)]
    return list(zip(*signed, strict=True))


def _standing(array: Any) -> Any:
    result = np.empty(array.shape, dtype=object)
    with mp.workdps(DIGITS):
        for index, item in np.ndenumerate(array):
            result[index] = Jet((mp.mpmathify(item), mpf(0)))
    return result


def _row_totals(values: Any, rows: int, tied: bool) -> list[Any]:
    if tied or not values.ndim or values.shape[0] != rows:
        return [sum(values.flat, mpf(0))]
    return [sum(np.asarray(row, dtype=object).flat, mpf(0)) for row in values]
