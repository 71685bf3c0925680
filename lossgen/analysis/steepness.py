"""Whether the derivative of a loss by each element of y_pred is bounded, and by what.

The bound is one on the value of an element, or of a sample where elements are summed or
act on one another; a mean over an axis of elementwise values makes it smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.divergence import divergence
from lossgen.analysis.envelopes import Envelopes
from lossgen.analysis.gradients import Gradient, gradient
from lossgen.analysis.identities import simplified
from lossgen.analysis.intervals import EMPTY, Interval, hull, intersect, readable
from lossgen.analysis.minima import on_all_pieces
from lossgen.analysis.pieces import TooManyPiecesError, pieces
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import Sample, distant, generic, typical_length
from lossgen.analysis.scales import largest_slope
from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import Undefined, evaluate
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
from lossgen.ir.loss import Loss, Property

_NAME = "bounded_gradient"
_ROWS = 12
_DIGITS = 30
_ATTEMPTS = 4
_SCALES = (Fraction(1, 2), Fraction(1), Fraction(2))
_LOOSE = 1.05
_CLOSE = 0.75


def prove_bounded_gradient(loss: Loss) -> Property | None:
    """Proof that the derivative by y_pred is bounded, by a number close to it."""
    found = gradient(loss)
    bound = None if found is None else _bound_by_range(found)
    if found is None or bound is None or _is_loose(bound, found):
        return None
    return _proved(Number(bound))


def search_bounded_gradient(loss: Loss) -> Property | None:
    """Proof by branch and bound, where the derivative is a function of one variable."""
    found = gradient(loss)
    return None if found is None or found.coupled else _proved(largest_slope(found))


def refute_bounded_gradient(loss: Loss) -> Property | None:
    """Search for an end where the derivative by y_pred exceeds all bounds."""
    found = gradient(loss)
    detail = None if found is None else divergence(found)
    return None if detail is None else Property(_NAME, "refuted", detail)


def bound_gradient_by_parameters(loss: Loss) -> Property | None:
    """Proof that the derivative by y_pred is within a formula, and gets close to it."""
    found = gradient(loss)
    return None if found is None else _proved(_bound_by_parameters(found, _CLOSE))


def bound_gradient_by_any_parameters(loss: Loss) -> Property | None:
    """Proof that the derivative by y_pred is within a short formula in parameters."""
    found = gradient(loss)
    return None if found is None else _proved(_bound_by_parameters(found, 0))


def bound_gradient_roughly(loss: Loss) -> Property:
    """Proof that the derivative by y_pred is bounded, by whatever comes out."""
    found = gradient(loss)
    if found is None:
        return Property(_NAME, "unknown", "the samples act on one another")
    bound = _bound_by_range(found)
    result = _proved(_bound_by_envelope(found) if bound is None else Number(bound))
    return result or Property(_NAME, "unknown", "no bound was found, and no divergence")


def _proved(bound: Expr | None) -> Property | None:
    if bound is None:
        return None
    text = spell(bound)
    return Property(_NAME, "proved", f"at most {text} in size", text)


# By ranges ----------------------------------------------------------------------------


def _bound_by_range(found: Gradient) -> Fraction | None:
    if found.slopes is None:
        return None
    around = EMPTY
    for slope in found.slopes:
        around = hull(around, _range(slope, found.ranges))
    low, high = around.lower, around.upper
    if isinstance(low, Fraction) and isinstance(high, Fraction):
        return readable(max(abs(low), abs(high)))
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


def _is_loose(bound: Fraction, found: Gradient) -> bool:
    """Whether the derivatives at random points stay clearly below the bound."""
    sizes = [size for _, row in _measured(found) for size in row]
    return not found.coupled and (not sizes or float(bound) > _LOOSE * max(sizes))


def _bound_by_envelope(found: Gradient) -> Expr | None:
    if found.slopes is None:
        return None
    envelopes = Envelopes(found.ranges)
    sizes = [envelopes.size(slope) for slope in found.slopes]
    known = [simplified(size, found.ranges) for size in sizes if size is not None]
    return envelopes.largest(known) if len(known) == len(sizes) else None


# By formulas in the parameters --------------------------------------------------------


def _bound_by_parameters(found: Gradient, closeness: float) -> Expr | None:
    if found.slopes is None:
        return None
    for bound in _candidates(found, closeness)[:_ATTEMPTS]:
        if all(_is_within(slope, bound, found.ranges) for slope in found.slopes):
            return bound
    return None


def _is_within(slope: Expr, bound: Expr, ranges: Ranges) -> bool:
    def within(part: Expr, inner: Ranges) -> bool:
        sides = sub(bound, part), sum_of(bound, part)
        forms = (sides, tuple(simplified(side, inner) for side in sides))
        if any(all(is_nonnegative(side, inner) for side in form) for form in forms):
            return True
        squares = sub(apply("square", bound), apply("square", part))
        return is_nonnegative(simplified(squares, inner), inner)

    return on_all_pieces(slope, ranges, within)


def _candidates(found: Gradient, closeness: float) -> list[Expr]:
    """Short formulas in the parameters that hold at random points, the least first.

    Somewhere the derivative is to be so large a part of the formula.
    """
    names = [item for item in found.loss.parameters if item.shape == "scalar"]
    bases: list[Expr] = [item.symbol for item in names]
    bases += [div(ONE, item.symbol) for item in names]
    bases += [div(a.symbol, b.symbol) for a, b in permutations(names, 2)]
    bases += [
        mul(a.symbol, b.symbol) for k, a in enumerate(names) for b in names[k + 1 :]
    ]
    formulas = [mul(Number(scale), base) for base in bases for scale in _SCALES]
    formulas += [Apply("max", (ONE, base)) for base in bases]
    formulas += [ONE, TWO]
    measured = list(_measured(found))
    if not measured:
        return []
    kept = []
    for index, formula in enumerate(formulas):
        excess, part = _excess(formula, measured)
        if excess is not None and part >= closeness:
            kept.append((excess, index, formula))
    return [formula for _, _, formula in sorted(kept, key=lambda item: item[:2])]


def _measured(found: Gradient) -> Iterator[tuple[Sample, list[Any]]]:
    """The size of the derivative in each row of a few samples."""
    loss = found.loss
    last = typical_length(loss)
    for sample in (
        generic(loss, last=last, rows=_ROWS, salt=80),
        distant(loss, last=last, rows=_ROWS),
    ):
        if sample is None:
            continue
        for variable in loss.of_role(Role.Y_PRED):
            sizes = found.sizes(sample, variable, _DIGITS)
            if sizes is not None:
                yield sample, sizes


def _excess(formula: Expr, measured: list[tuple[Sample, list[Any]]]) -> tuple[Any, Any]:
    """What a formula adds up to, None where it is below a derivative.

    And the largest part of it that a derivative is.
    """
    total = part = mpf(0)
    with mp.workdps(_DIGITS):
        for sample, sizes in measured:
            try:
                values = evaluate(formula, sample.environment, digits=_DIGITS)
            except Undefined:
                return None, part
            bounds = np.broadcast_to(values, (sample.rows, *values.shape[1:]))
            for row, size in zip(bounds, sizes, strict=True):
                limit = min(np.asarray(row, dtype=object).flat)
                if size > limit * (1 + mpf(10) ** -15):
                    return None, part
                part = max(part, size / limit) if limit else mpf(1)
                total += limit
    return total, part
