"""Points at the closed ends of a prediction's domain where a guard is 0.

``where(y_pred >= 2, 5, y_pred**2)`` jumps at 2, if nowhere else; and what is computed
at an end itself hides what happens beside it: ``where(y_pred > 0, log(y_pred), 0)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.expansions import TOLERANCE, Expansion, germs
from lossgen.analysis.guards import Guard
from lossgen.analysis.limits import Divergence, approach
from lossgen.analysis.loci import DIGITS, Locus
from lossgen.analysis.places import last_lengths, moved_to_ends
from lossgen.analysis.ranges import domain_interval
from lossgen.analysis.samples import Sample, generic, satisfying, special
from lossgen.analysis.spelling import spell_equal
from lossgen.analysis.unseen import is_reduced
from lossgen.calculus.evaluate import Evaluation, UndecidedError, Undefined
from lossgen.calculus.jets import MAX_ORDER, Ties
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Number, substitute
from lossgen.ir.loss import Loss, Variable

_ROWS = 10
_SPECIAL_ROWS = 48
_ON_IT = mpf(10) ** -30

Beside = Expansion | Divergence
"""What a loss does beside a point, seen from the inside of the domain."""


def at_closed_ends_of(
    loss: Loss, guard: Guard, variable: Variable
) -> Iterator[tuple[Locus, Beside]]:
    """Ends at which a branching guard is 0, with what the loss does just before."""
    for end, side in _closed_ends(variable):
        if not _may_vanish(guard, variable, end):
            continue
        for sample in _samples(loss):
            place = _at_end(loss, guard, variable, sample, end)
            beside = None if place is None else _from_inside(loss, place, side)
            if place is not None and beside is not None:
                yield place, beside


def _closed_ends(variable: Variable) -> Iterator[tuple[Fraction, int]]:
    """The ends that belong to the domain, each with the way to its inside."""
    domain = variable.domain
    if domain.kind is not DomainKind.INTERVAL:
        return  # a simplex is open
    values = domain_interval(domain)
    if isinstance(values.lower, Fraction) and not values.lower_open:
        yield values.lower, 1
    if isinstance(values.upper, Fraction) and not values.upper_open:
        yield values.upper, -1


def _may_vanish(guard: Guard, variable: Variable, end: Fraction) -> bool:
    """Whether the ranges admit the guard to be 0 at an end."""
    if is_reduced(guard.difference, variable.symbol):
        return True
    there = substitute(guard.difference, {variable.symbol: Number(end)})
    return guard.ranges.of(there).contains(Fraction(0))


def _samples(loss: Loss) -> Iterator[Sample]:
    last = last_lengths(loss)[-1]
    drawn = generic(loss, last=last, rows=_ROWS)
    if drawn is not None:
        yield drawn
        moved = moved_to_ends(loss, drawn, combined=True)
        if moved is not None:
            yield moved
    round_numbers = special(loss, last=last, rows=_SPECIAL_ROWS)
    if round_numbers is not None:
        yield round_numbers


def _at_end(
    loss: Loss, guard: Guard, variable: Variable, sample: Sample, end: Fraction
) -> Locus | None:
    """The rows with the first element at an end, as far as the guard is 0 there."""
    array = sample.environment[variable.name].copy()
    for row in array:
        row.flat[0] = end
    placed = satisfying(loss, sample.moved(variable.name, array))
    if not placed.rows:
        return None
    with mp.workdps(DIGITS):
        gaps = Evaluation(placed.environment).value(guard.difference)
    gaps = np.broadcast_to(gaps, (placed.rows, *gaps.shape[1:]))
    firsts = [np.asarray(row, dtype=object).flat[0] for row in gaps]
    zero = [not isinstance(x, Undefined) and abs(x) < _ON_IT for x in firsts]
    if not any(zero):
        return None
    kept = placed.only(np.array(zero))
    name = spell_equal(variable.symbol, Number(end))
    return Locus(name, variable, kept, guard.difference, Number(end))


def _from_inside(loss: Loss, place: Locus, side: int) -> Beside | None:
    for order in (1, MAX_ORDER):  # where(y_pred**2 <= 0, …) needs the second derivative
        ties = Ties(TOLERANCE, decisive=order < MAX_ORDER)
        try:
            inner = germs(loss, place, place.sample, side, order, ties=ties)
        except UndecidedError:
            continue
        except Undefined:
            break
        return Expansion(place.sample, order, inner, inner)
    return approach(loss, place, (side, side))
