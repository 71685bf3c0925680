"""Whether the derivative of a loss by each component of y_pred is bounded, and by what.

The bound is one on the value of an element, or of a sample where elements are summed;
a mean over an axis makes it smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.identities import simplified
from lossgen.analysis.intervals import EMPTY, Interval, hull, intersect
from lossgen.analysis.minima import on_all_pieces
from lossgen.analysis.pieces import TooManyPiecesError, pieces
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import (
    Sample,
    distant,
    generic,
    satisfying,
    typical_length,
)
from lossgen.analysis.spelling import spell, spell_symbol
from lossgen.analysis.summands import RESIDUAL, Summand, in_residual, summand
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.ir.expr import (
    ONE,
    TWO,
    Apply,
    Expr,
    Number,
    Role,
    apply,
    div,
    mul,
    sub,
)
from lossgen.ir.expr import add as sum_of
from lossgen.ir.loss import Loss, Property, Variable

_NAME = "bounded_gradient"
_ROWS = 12
_DIGITS = 30
_FAR_ROWS = 4
_FAR_DIGITS = 99
_DISTANCES = (10, 20, 40)  # decimal digits
_GROWTH = mpf("1.3")
_HUGE = mpf(10) ** 100
_ATTEMPTS = 4
_SCALES = (Fraction(1, 2), Fraction(1), Fraction(2))


def prove_bounded_gradient(loss: Loss) -> Property | None:
    """Proof that the derivative by y_pred is bounded, by a number."""
    part = summand(loss)
    if part is None:
        return None
    return _proved(_bound_by_range(_slopes(part), part.ranges))


def refute_bounded_gradient(loss: Loss) -> Property | None:
    """Search for an end where the derivative by y_pred exceeds all bounds."""
    part = summand(loss)
    detail = None if part is None else _divergence(part)
    return None if detail is None else Property(_NAME, "refuted", detail)


def bound_gradient_by_parameters(loss: Loss) -> Property:
    """Proof that the derivative by y_pred is within a formula in the parameters."""
    part = summand(loss)
    if part is None:
        return Property(_NAME, "unknown", "the elements act on one another")
    found = _proved(_bound_by_parameters(_slopes(part), part))
    return found or Property(_NAME, "unknown", "no bound was found, and no divergence")


def _slopes(part: Summand) -> list[Expr]:
    """The derivatives of an element, by the residual if y_pred stands in no other."""
    residual = in_residual(part)
    if residual is not None:
        return [part.slope(RESIDUAL, residual)]
    return [part.slope(item.symbol) for item in part.loss.of_role(Role.Y_PRED)]


def _proved(bound: Expr | None) -> Property | None:
    if bound is None:
        return None
    text = spell(bound)
    return Property(_NAME, "proved", f"at most {text} in size", text)


# Proofs -------------------------------------------------------------------------------


def _bound_by_range(slopes: list[Expr], ranges: Ranges) -> Expr | None:
    around = EMPTY
    for slope in slopes:
        around = hull(around, _range(slope, ranges))
    low, high = around.lower, around.upper
    if isinstance(low, Fraction) and isinstance(high, Fraction):
        return Number(_tidy(max(abs(low), abs(high))))
    return None


def _bound_by_parameters(slopes: list[Expr], part: Summand) -> Expr | None:
    for bound in _candidates(part)[:_ATTEMPTS]:
        if all(_is_within(slope, bound, part.ranges) for slope in slopes):
            return bound
    return None


def _range(slope: Expr, ranges: Ranges) -> Interval:
    try:
        found = pieces(slope, ranges)
    except TooManyPiecesError:
        return ranges.of(slope)
    around = EMPTY
    for part, inner in found:
        both = intersect(inner.of(part), inner.of(simplified(part, inner)))
        around = hull(around, both)
    return around


def _tidy(size: Fraction) -> Fraction:
    """The number, or a short decimal above it."""
    if 1000 % size.denominator == 0 and size.numerator <= 10**6:
        return size
    scale = Fraction(10) ** (3 - len(str(int(size)))) if size >= 1 else Fraction(1000)
    return -((-size * scale).__floor__()) / scale


def _is_within(slope: Expr, bound: Expr, ranges: Ranges) -> bool:
    def within(part: Expr, inner: Ranges) -> bool:
        sides = sub(bound, part), sum_of(bound, part)
        forms = (sides, tuple(simplified(side, inner) for side in sides))
        if any(all(is_nonnegative(side, inner) for side in form) for form in forms):
            return True
        squares = sub(apply("square", bound), apply("square", part))
        return is_nonnegative(simplified(squares, inner), inner)

    return on_all_pieces(slope, ranges, within)


def _candidates(part: Summand) -> list[Expr]:
    """Short formulas in the parameters that hold at random points, the least first."""
    names = [item for item in part.loss.parameters if item.shape == "scalar"]
    bases: list[Expr] = [item.symbol for item in names]
    bases += [div(ONE, item.symbol) for item in names]
    bases += [div(a.symbol, b.symbol) for a, b in permutations(names, 2)]
    bases += [
        mul(a.symbol, b.symbol) for k, a in enumerate(names) for b in names[k + 1 :]
    ]
    formulas = [mul(Number(scale), base) for base in bases for scale in _SCALES]
    formulas += [Apply("max", (ONE, base)) for base in bases]
    formulas += [ONE, TWO]
    measured = list(_measured(part))
    if not measured:
        return []
    found = []
    for index, formula in enumerate(formulas):
        excess = _excess(formula, measured)
        if excess is not None:
            found.append((excess, index, formula))
    return [formula for _, _, formula in sorted(found, key=lambda item: item[:2])]


def _measured(part: Summand) -> Iterator[tuple[Sample, list[Any]]]:
    """The size of the derivative in each row of a few samples."""
    loss = part.loss
    last = typical_length(loss)
    for sample in (
        generic(loss, last=last, rows=_ROWS, salt=80),
        distant(loss, last=last, rows=_ROWS),
    ):
        for variable in loss.of_role(Role.Y_PRED) if sample is not None else ():
            assert sample is not None
            sizes = _sizes(part.expression, sample, variable, _DIGITS)
            if sizes is not None:
                yield sample, sizes


def _excess(formula: Expr, measured: list[tuple[Sample, list[Any]]]) -> Any:
    """By how much a formula is above the derivatives; None where it is below one."""
    total = mpf(0)
    with mp.workdps(_DIGITS):
        for sample, sizes in measured:
            try:
                values = evaluate(formula, sample.environment, digits=_DIGITS)
            except Undefined:
                return None
            bounds = np.broadcast_to(values, (sample.rows, *values.shape[1:]))
            for row, size in zip(bounds, sizes, strict=True):
                limit = min(np.asarray(row, dtype=object).flat)
                if size > limit * (1 + mpf(10) ** -15):
                    return None
                total += limit
    return total


def _sizes(
    expr: Expr, sample: Sample, variable: Variable, digits: int
) -> list[Any] | None:
    """Per row, the largest derivative of an element by its own component."""
    direction = np.ones(sample.environment[variable.name].shape, dtype=int)
    try:
        slopes = germ(
            expr, sample.environment, {variable.name: direction}, digits=digits
        )[1]
    except Undefined:
        return None
    slopes = np.broadcast_to(slopes, (sample.rows, *slopes.shape[1:]))
    with mp.workdps(digits):
        return [
            max(abs(item) for item in np.asarray(row, dtype=object).flat)
            for row in slopes
        ]


# Counterexamples ----------------------------------------------------------------------


def _divergence(part: Summand) -> str | None:
    """An input on whose way to an end the derivative exceeds all bounds."""
    loss = part.loss
    sample = generic(loss, last=typical_length(loss), rows=_FAR_ROWS, salt=90)
    if sample is None:
        return None
    for moving in loss.of_role(Role.Y_PRED, Role.Y_TRUE):
        if moving.domain.labels or (
            moving.domain.along_last_axis and (moving.role is Role.Y_TRUE)
        ):
            continue
        for end, towards in _ends(moving):
            for variable in loss.of_role(Role.Y_PRED):
                detail = _diverges(part, sample, moving, variable, end, towards)
                if detail is not None:
                    return detail
    return None


def _ends(variable: Variable) -> Iterator[tuple[Expr | None, int]]:
    """Infinite and open ends, with the direction towards them."""
    for bound, towards in ((variable.domain.lower, -1), (variable.domain.upper, 1)):
        if bound.value is None or bound.open:
            yield bound.value, towards


def _diverges(
    part: Summand,
    sample: Sample,
    moving: Variable,
    variable: Variable,
    end: Expr | None,
    towards: int,
) -> str | None:
    series = []
    for digits in (3, *_DISTANCES):
        moved = _moved(sample, moving, end, towards, digits)
        if satisfying(part.loss, moved).rows != sample.rows:
            return None
        sizes = _sizes(part.expression, moved, variable, _FAR_DIGITS)
        if sizes is None and digits > 3:
            break  # too large to be written down
        series.append(sizes)
    with mp.workdps(_FAR_DIGITS):
        for row in range(sample.rows):
            place = _exceeding([sizes and sizes[row] for sizes in series])
            if place is not None:
                digits, size = (3, *_DISTANCES)[place], (series[place] or [])[row]
                return _divergence_text(
                    sample, moving, variable, end, towards, digits, row, size
                )
    return None


def _exceeding(sizes: list[Any]) -> int | None:
    """Which of the sizes shows that there is no bound, if they do."""
    if sizes[0] is not None and sizes[0] > _HUGE:
        return 0
    if len(sizes) <= len(_DISTANCES):
        return None
    near, nearer, nearest = sizes[1:]
    grows = near > 5 and nearer > near * _GROWTH and nearest > nearer * _GROWTH
    return 1 if grows else None


def _moved(
    sample: Sample, moving: Variable, end: Expr | None, towards: int, digits: int
) -> Sample:
    """Each row's first element of an input at a place close to an end."""
    array = sample.environment[moving.name].copy()
    with mp.workdps(_FAR_DIGITS):
        if end is None:
            place = towards * mpf(10) ** digits
        else:
            exact = evaluate(end, {}, digits=_FAR_DIGITS).flat[0]
            place = exact - towards * mpf(10) ** -digits
        for row in array:
            row.flat[0] = place
    return sample.moved(moving.name, array)


def _divergence_text(
    sample: Sample,
    moving: Variable,
    variable: Variable,
    end: Expr | None,
    towards: int,
    digits: int,
    row: int,
    size: Any,
) -> str:
    name = spell_symbol(moving.name)
    if end is None:
        limit = "oo" if towards > 0 else "-oo"
        place = f"{name} = {'-' if towards < 0 else ''}1e+{digits}"
    else:
        limit = spell(end)
        place = f"{name} = {limit} {'-' if towards > 0 else '+'} 1e-{digits}"
    others = tuple(key for key in sample.environment if key != moving.name)
    return (
        f"the derivative by {spell_symbol(variable.name)} grows without bound as "
        f"{name} goes to {limit}: at {place}, {sample.describe(row, others)} its size "
        f"is {mp.nstr(size, 6)}"
    )
