"""How smooth a loss is in y_pred: jumps, kinks, and where they are.

At points of each locus, the loss is expanded from either side; the first coefficient
that differs is the order of the break. Germs see what the branches do together, which
no single branch shows: ``max(x, 0) - x*y + log1p(exp(-abs(x)))`` is smooth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.cells import points_in, unseen
from lossgen.analysis.guards import (
    DIGITS,
    Guard,
    Locus,
    compared,
    guards,
    is_solved,
    loci,
    loci_anywhere,
)
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import (
    Sample,
    distant,
    generic,
    number_text,
    shortest,
    typical_length,
    uses_axis,
)
from lossgen.analysis.spelling import spell, spell_symbol
from lossgen.calculus.evaluate import Evaluation, Undefined, evaluate, germ
from lossgen.calculus.jets import MAX_ORDER, Jet
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Apply, Axis, Expr, Role, sub, substitute, walk
from lossgen.ir.loss import Kink, Loss, Smoothness, Variable

_ROWS = 10
_DISTANT_ROWS = 8
_SALTS = (1, 2, 3)  # further points where the first ones miss the locus
_EQUAL = mpf(10) ** -20
_TOLERANCE = mpf(10) ** -25


@dataclass(frozen=True)
class Verdict:
    """How smooth a loss is, and why not smoother."""

    smoothness: Smoothness
    kinks: tuple[Kink, ...]


def classify(loss: Loss, report: Report) -> Verdict:
    """Find every kink and jump of a loss, and report them."""
    breaks: dict[str, _Break] = {}
    for guard in guards(loss.expression, Ranges.of_loss(loss)):
        for variable in loss.of_role(Role.Y_PRED):
            if variable.symbol in set(walk(guard.difference)):
                for item in _breaks(loss, guard, variable, report):
                    known = breaks.get(item.kink.at)
                    if known is None or item.kink.order < known.kink.order:
                        breaks[item.kink.at] = item
    accepted = loss.spec.smoothness == Smoothness.DISCONTINUOUS.value
    for item in breaks.values():
        _report_break(item, accepted, report)
    verdict = _worst(item.kink.order for item in breaks.values())
    _compare_with_demand(loss, verdict, report)
    kinks = tuple(item.kink for item in breaks.values() if item.kink.order <= 1)
    return Verdict(verdict, kinks)


@dataclass(frozen=True)
class _Break:
    """A kink or jump, and a point where it shows."""

    kink: Kink
    witness: str
    isolated: str | None = None  # the value at the point, where the two sides agree


def _worst(orders: Iterator[int]) -> Smoothness:
    lowest = min(orders, default=None)
    if lowest is None:
        return Smoothness.SMOOTH
    ranks = {0: Smoothness.DISCONTINUOUS, 1: Smoothness.CONTINUOUS}
    return ranks.get(lowest, Smoothness.C1)


# Breaks -------------------------------------------------------------------------------


def _breaks(
    loss: Loss, guard: Guard, variable: Variable, report: Report
) -> Iterator[_Break]:
    places = _places(loss, guard, variable)
    if places is None:
        if guard.branching:
            _report_unproved(guard, report)
        elif guard.node.op == "norm":
            at = f"{spell(guard.node)} = 0"
            yield _Break(Kink(at, "-1", "1", 1, guard.node), at)
        return
    jumps = False
    for found in _found(loss, guard, variable, places):
        jumps = jumps or found.kink.order == 0
        yield found
    proved = not guard.branching or is_solved(guard, variable) or _meet(loss, guard)
    if not jumps and not proved:
        _report_unproved(guard, report)


def _found(
    loss: Loss, guard: Guard, variable: Variable, places: tuple[Locus, ...]
) -> Iterator[_Break]:
    """The breaks at known points, and in the cells that none of these lies in."""
    samples = _samples(loss)
    for place in places:
        found = _break_at(loss, guard, place)
        if found is not None:
            yield found
    for cell, place in unseen(loss, guard, variable, places):
        known = points_in(loss, guard, cell, place, samples)
        if known is not None:
            found = _break_at(loss, guard, known)
        else:
            pinned = replace(loss, expression=cell.pinned(loss.expression))
            found = _break_at(pinned, guard, place)
        if found is not None:
            yield found


def _meet(loss: Loss, guard: Guard) -> bool:
    """Whether two branches agree wherever the sides of their condition do.

    On the locus one side can be written for the other; if that makes the difference of
    the branches vanish at points in general position, it vanishes.
    """
    condition, then, otherwise = guard.node.args
    sample = generic(loss, last=_lengths(loss)[-1], rows=_ROWS)
    if sample is None:
        return False
    for left, right in compared(condition):
        if sub(left, right) != guard.difference:
            continue
        for side, other in ((left, right), (right, left)):
            gap = substitute(sub(then, otherwise), {side: other})
            try:
                values = evaluate(gap, sample.environment, digits=DIGITS)
            except Undefined:
                continue
            if all(abs(value) < _EQUAL for value in values.flat):
                return True
    return False


def _places(loss: Loss, guard: Guard, variable: Variable) -> tuple[Locus, ...] | None:
    """The pieces of a guard's zero set; None where none was found and one may exist."""
    found: dict[str, Locus] = {}
    known = False
    for last in _lengths(loss):
        for salt in (0, *_SALTS):
            sample = generic(loss, last=last, rows=_ROWS, salt=salt)
            if sample is None:
                continue
            places = loci(guard, variable, sample)
            known = known or places is not None
            for count, place in enumerate(places or ()):
                found.setdefault(f"{place.name} {count} {last}", place)
            if places:
                break
    if not found and guard.reachable:
        # None inside the domain at these points, but there may be at others.
        for sample in _samples(loss):
            places = loci(guard, variable, sample) or loci_anywhere(
                guard, variable, sample
            )
            for place in places:
                found.setdefault(place.name, place)
    return tuple(found.values()) if known else None


def _samples(loss: Loss) -> tuple[Sample, ...]:
    """Points to look for cells at: ordinary ones, and some of all magnitudes."""
    last = _lengths(loss)[-1]
    drawn = (
        generic(loss, last=last, rows=_ROWS),
        distant(loss, last=last, rows=_DISTANT_ROWS),
    )
    return tuple(sample for sample in drawn if sample is not None)


def _lengths(loss: Loss) -> tuple[int, ...]:
    """Lengths of the last axis to look at.

    Of several elements the largest hides the kinks of the others; a single one shows
    its own.
    """
    hides = any(
        isinstance(node, Apply) and node.op in ("amax", "amin")
        for node in walk(loss.expression)
    )
    typical, least = typical_length(loss), shortest(loss)
    return (least, typical) if hides and least < typical else (typical,)


def _break_at(loss: Loss, guard: Guard, place: Locus) -> _Break | None:
    """The lowest derivative that differs between the two sides, if one does."""
    for order in range(MAX_ORDER, 0, -1):
        sides = _both_sides(loss, place, order)
        if sides is not None:
            break
    else:
        return None
    left, right, sample = sides
    isolated = _isolated(loss, guard, place, sample, left, right)
    if isolated is not None:
        return isolated
    # An infinite higher derivative is no break of the lower ones, but no smoothness.
    orders = [_first_difference(a, b) for a, b in zip(left, right, strict=True)]
    differing = [item for item in orders if item is not None]
    if not differing:
        if order == MAX_ORDER:
            return None
        differing = [order + 1]
    lowest = min(differing)
    row = orders.index(lowest) if lowest in orders else 0
    shown = min(lowest, order)
    texts = [
        (
            _number(side[row][0])
            if lowest == 0
            else _slope_text(loss, sample, [item[shown] for item in side])
        )
        for side in (left, right)
    ]
    kink = Kink(
        at=place.name,
        left=texts[0],
        right=texts[1],
        order=lowest,
        node=guard.node,
    )
    names = tuple(
        item.name
        for item in loss.variables
        if item.symbol in set(walk(loss.expression))
    )
    return _Break(kink, sample.describe(row, names))


def _isolated(
    loss: Loss,
    guard: Guard,
    place: Locus,
    sample: Sample,
    left: _Side,
    right: _Side,
) -> _Break | None:
    """A value on the locus itself that neither side leads to."""
    try:
        there = _germs(loss, place, sample, 0, 1)
    except Undefined:
        return None
    for row, sides in enumerate(zip(left, there, right, strict=True)):
        before, at, after = (side[:1] for side in sides)
        if _first_difference(before, after) is None and (
            _first_difference(before, at) is not None
        ):
            shown = [_number(item[0]) for item in (before, after)]
            kink = Kink(place.name, shown[0], shown[1], 0, guard.node)
            names = tuple(item.name for item in loss.variables)
            return _Break(kink, sample.describe(row, names), _number(at[0]))
    return None


_Side = list[tuple[Any, ...]]


def _both_sides(
    loss: Loss, place: Locus, order: int
) -> tuple[_Side, _Side, Sample] | None:
    """Value and derivatives per row from the left and the right, where they exist."""
    sample = place.sample
    try:
        left, right = (_germs(loss, place, sample, s, order) for s in (-1, 1))
    except Undefined:
        if order > 1:
            return None
        kept = [row for row in range(sample.rows) if _exists(loss, place, row, order)]
        if not kept:
            return None
        sample = sample.only(np.isin(np.arange(sample.rows), kept))
        left, right = (_germs(loss, place, sample, s, order) for s in (-1, 1))
    return left, right, sample


def _exists(loss: Loss, place: Locus, row: int, order: int) -> bool:
    sample = place.sample.only(np.arange(place.sample.rows) == row)
    try:
        for sign in (-1, 1):
            _germs(loss, place, sample, sign, order)
    except Undefined:
        return False
    return True


def _germs(loss: Loss, place: Locus, sample: Sample, sign: int, order: int) -> _Side:
    """Per row, the derivatives along the variable's first element, seen from a side.

    For a sign of 0 the point itself, as a germ, so that the tolerance applies to it.
    """
    name = place.variable.name
    if not sign:
        still = _standing(sample.environment[name])
        sample = replace(sample, environment={**sample.environment, name: still})
    direction = np.zeros(sample.environment[name].shape, dtype=int)
    tied = uses_axis(loss.expression, Axis.BATCH)
    for row in direction[:1] if tied else direction:
        row.flat[0] = sign
    values = germ(
        loss.expression,
        sample.environment,
        {name: direction},
        order=order,
        digits=DIGITS,
        tolerance=_TOLERANCE,
    )
    with mp.workdps(DIGITS):
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


def _first_difference(left: Sequence[Any], right: Sequence[Any]) -> int | None:
    for k, (a, b) in enumerate(zip(left, right, strict=True)):
        if abs(a - b) > _EQUAL * (1 + abs(a) + abs(b)):
            return k
    return None


# Words --------------------------------------------------------------------------------


def _slope_text(loss: Loss, sample: Sample, slopes: list[Any]) -> str:
    """A one-sided derivative: a number, or a short formula that fits at every point."""
    with mp.workdps(DIGITS):
        if all(abs(item - slopes[0]) < _EQUAL for item in slopes):
            return _number(slopes[0])
        inputs = Evaluation(sample.environment)
        for expr, text in _candidates(loss):
            for sign, spelt in ((1, text), (-1, f"-{text}")):
                if _fits(inputs.value(expr), [sign * item for item in slopes]):
                    return spelt
    low, high = min(slopes), max(slopes)
    return f"{_number(low)} … {_number(high)}"


def _candidates(loss: Loss) -> Iterator[tuple[Expr, str]]:
    for variable in loss.of_role(Role.PARAMETER, Role.Y_TRUE):
        name = spell_symbol(variable.name)
        symbol = variable.symbol
        one = Apply("div", (symbol, symbol))
        yield symbol, name
        yield Apply("add", (one, Apply("neg", (symbol,)))), f"(1 - {name})"
        yield Apply("add", (one, symbol)), f"(1 + {name})"
        yield Apply("div", (one, symbol)), f"1/{name}"
        yield Apply("add", (symbol, symbol)), f"2*{name}"
    symbols = [item.symbol for item in loss.of_role(Role.PARAMETER)][:4]
    for a, b in permutations(symbols, 2):
        quotient = Apply("div", (a, b))
        yield quotient, spell(quotient)
        beyond = Apply("div", (a, Apply("add", (a, b))))
        yield beyond, spell(beyond)


def _fits(values: Any, slopes: list[Any]) -> bool:
    if not values.ndim or values.shape[0] != len(slopes):
        return False
    firsts = [np.asarray(row, dtype=object).flat[0] for row in values]
    if any(isinstance(item, Undefined) for item in firsts):
        return False
    return all(abs(a - b) < _EQUAL for a, b in zip(firsts, slopes, strict=True))


def _number(value: Any) -> str:
    if abs(value) < _EQUAL:
        return "0"
    return number_text(Fraction(mp.nstr(value, 8)))


def _report_break(item: _Break, accepted: bool, report: Report) -> None:
    kink = item.kink
    span = kink.node.span
    if kink.order == 0:
        report.add(
            "LG412" if accepted else "LG401",
            f"the loss jumps at {kink.at}",
            span,
            notes=(_jump_text(item),),
            help=(
                None
                if accepted
                else "make the branches meet, or accept the jump with "
                "`smoothness: discontinuous`"
            ),
        )
    elif kink.order == 1:
        report.add(
            "LG402",
            f"kink at {kink.at}",
            span,
            notes=(
                f"the derivative is {kink.left} on the left and {kink.right} on the "
                "right",
            ),
        )


def _jump_text(item: _Break) -> str:
    kink = item.kink
    if item.isolated is not None:
        return f"at {item.witness} it is {item.isolated}, and {kink.left} on both sides"
    return (
        f"at {item.witness} it is {kink.left} on the left and {kink.right} on the right"
    )


def _report_unproved(guard: Guard, report: Report) -> None:
    report.add(
        "LG406",
        "cannot show that the branches meet",
        guard.node.span,
        notes=(f"not every point is known where {spell(guard.difference)} is 0",),
        help="write the condition so that it can be solved for y_pred",
    )


def _compare_with_demand(loss: Loss, verdict: Smoothness, report: Report) -> None:
    demand = Smoothness(loss.spec.smoothness)
    if verdict.rank > demand.rank and verdict is not Smoothness.DISCONTINUOUS:
        report.add(
            "LG405",
            f"the loss is {verdict.value}, and `smoothness` asks for {demand.value}",
            loss.spec.smoothness_span or loss.expression.span,
            help=f"write `smoothness: {verdict.value}`, or remove the kinks",
        )
