"""The breaks of a loss where a guard is 0: jumps, kinks and breaks of higher order.

At points of each locus the loss is expanded from either side; the first coefficient
that differs is the order of the break. Germs see what operations do together, which no
single one shows: ``max(x, 0) - x*y + log1p(exp(-abs(x)))`` is smooth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from mpmath import mp

from lossgen.analysis.cells import Cell
from lossgen.analysis.closed import at_closed_ends_of
from lossgen.analysis.expansions import (
    EQUAL,
    Expansion,
    expand,
    first_difference,
    value_at,
)
from lossgen.analysis.guards import Guard, compared
from lossgen.analysis.limits import Divergence, approach
from lossgen.analysis.loci import DIGITS, Locus, inside, is_solved
from lossgen.analysis.places import last_lengths, places_of, samples_of
from lossgen.analysis.samples import generic
from lossgen.analysis.search import points_in
from lossgen.analysis.slopes import rounded, slope_text
from lossgen.analysis.unseen import unseen
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.calculus.jets import MAX_ORDER
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import sub, substitute, symbols
from lossgen.ir.loss import Kink, Loss, Variable

_ROWS = 10
_HITS = 4  # points of a cell that are looked at where a break should show


@dataclass(frozen=True)
class Break:
    """A kink or jump, and a point where it shows, or why none is known.

    ``slopes`` are those on the left and on the right, at all points of it.
    """

    kink: Kink
    witness: str
    slopes: tuple[list[Any], list[Any]] | None = None
    isolated: str | None = None  # the value at the point, where the two sides agree
    at_end: bool = False  # of the domain: there is one side
    infinite: bool = False


def breaks_at(
    loss: Loss, guard: Guard, variable: Variable, report: Report
) -> Iterator[Break | None]:
    """The breaks along one variable; None where not every point is known."""
    jumps = False
    if guard.branching:
        for found in _break_at_end(loss, guard, variable, report):
            jumps = True
            yield found
    places = places_of(loss, guard, variable)
    if places is None and not guard.branching:
        yield None
        return
    for item in _found(loss, guard, variable, places or (), report):
        jumps = jumps or (item is not None and item.kink.order == 0)
        yield item
    if not guard.branching or jumps:
        return
    if places is None or not (is_solved(guard, variable) or _meet(loss, guard)):
        yield None


def _found(
    loss: Loss,
    guard: Guard,
    variable: Variable,
    places: tuple[Locus, ...],
    report: Report,
) -> Iterator[Break | None]:
    """The breaks at known points, and in the cells that none of these lies in."""
    for place in places:
        yield from _break_at(loss, guard, place, report)
    searched: dict[tuple[Cell, str], bool] = {}
    for cell, place in unseen(loss, guard, variable, places):
        key = cell, place.name
        if searched.get(key):
            continue
        pinned = replace(loss, expression=cell.pinned(loss.expression))
        expansion = expand(pinned, place)
        found = (
            None if expansion is None else _compared(pinned, guard, place, expansion)
        )
        if expansion is not None and found is None:
            continue
        if key not in searched:
            hits = points_in(loss, guard, cell, place, samples_of(loss))
            located: list[Locus] = []
            for hit in islice(hits, 1 if found is None else _HITS):
                located.append(hit)
                shown = tuple(_break_at(loss, guard, hit, report))
                yield from shown
                if shown:
                    break
            searched[key] = bool(located)
            if located and (shown or found is None or not _vanishes(pinned, located)):
                continue
        if found is not None and found.kink.order:
            yield found
        elif not searched[key]:
            yield None


def _vanishes(pinned: Loss, located: list[Locus]) -> bool:
    """Whether a break of one formula is too small to be seen at some points of it.

    One term of ``log_softmax`` may outweigh the others beyond all digits.
    """
    expansions = (expand(pinned, place) for place in located)
    return all(item is not None and item.agrees for item in expansions)


def _break_at(
    loss: Loss, guard: Guard, place: Locus, report: Report
) -> Iterator[Break | None]:
    """What happens to a loss at the points of a locus."""
    found = expand(loss, place) or approach(loss, place)
    if isinstance(found, Expansion) and found.dropped is not None:
        others = replace(place, sample=found.dropped)
        beside = approach(loss, others)
        if beside is not None:
            yield from _shown(loss, guard, others, beside, report)
    if found is None:
        yield None
    else:
        yield from _shown(loss, guard, place, found, report)


def _shown(
    loss: Loss,
    guard: Guard,
    place: Locus,
    found: Expansion | Divergence,
    report: Report,
) -> Iterator[Break | None]:
    """The break that an expansion at the points of a locus shows, if it does."""
    if isinstance(found, Expansion):
        item = _compared(loss, guard, place, found)
        if item is not None and item.kink.order == 0 and not _is_inside(place):
            yield None
        elif item is not None:
            yield item
    else:
        yield from _infinite(loss, guard, place, found, report)


def _is_inside(place: Locus) -> bool:
    """Whether a point of a locus is one of the domain: others are no witnesses."""
    array = place.sample.environment[place.variable.name]
    return any(inside(place.variable, row.flat[0]) for row in array)


def _infinite(
    loss: Loss, guard: Guard, place: Locus, found: Divergence, report: Report
) -> Iterator[Break]:
    """Where the loss or its slope is infinite beside a locus."""
    if found.order:
        _report_infinite_slope(guard, place, report)
    else:
        kink = Kink(place.name, _limit(found.left), _limit(found.right), 0, guard.node)
        witness = place.sample.describe(found.row, _inputs(loss))
        yield Break(kink, witness, infinite=True)


def _break_at_end(
    loss: Loss, guard: Guard, variable: Variable, report: Report
) -> Iterator[Break]:
    """What happens at the closed ends of a domain, where a guard is 0 there."""
    found: set[str] = set()
    for place, beside in at_closed_ends_of(loss, guard, variable):
        if place.name in found:
            continue
        if isinstance(beside, Divergence):
            items = list(_infinite(loss, guard, place, beside, report))
            found.add(place.name)
        else:
            item = _isolated(loss, guard, place, beside)
            items = [] if item is None else [item]
        for item in items:
            found.add(place.name)
            yield replace(item, at_end=True)


def _limit(value: Any) -> str:
    if mp.isinf(value):
        return "oo" if value > 0 else "-oo"
    return rounded(value)


def _meet(loss: Loss, guard: Guard) -> bool:
    """Whether two branches agree wherever the sides of their condition do.

    On the locus one side can be written for the other; if that makes the difference of
    the branches vanish at points in general position, it vanishes.
    """
    condition, then, otherwise = guard.node.args
    sample = generic(loss, last=last_lengths(loss)[-1], rows=_ROWS)
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
            if all(abs(value) < EQUAL for value in values.flat):
                return True
    return False


def _compared(
    loss: Loss, guard: Guard, place: Locus, expansion: Expansion
) -> Break | None:
    """The lowest derivative that differs between the two sides, if one does."""
    isolated = _isolated(loss, guard, place, expansion)
    if isolated is not None:
        return isolated
    orders = expansion.differences()
    differing = [item for item in orders if item is not None]
    if not differing:
        if expansion.order == MAX_ORDER:
            return None
        # Higher derivatives are infinite: no break of the lower ones, nor smooth.
        differing = [expansion.order + 1]
    lowest = min(differing)
    row = orders.index(lowest) if lowest in orders else 0
    shown = min(lowest, expansion.order)
    left, right = (
        [item[shown] for item in side] for side in (expansion.left, expansion.right)
    )
    texts = [
        rounded(slopes[row])
        if lowest == 0
        else slope_text(loss, expansion.sample, slopes)
        for slopes in (left, right)
    ]
    kink = Kink(
        at=place.name,
        left=texts[0],
        right=texts[1],
        order=lowest,
        node=guard.node,
    )
    witness = expansion.sample.describe(row, _inputs(loss))
    return Break(kink, witness, (left, right))


def _inputs(loss: Loss) -> tuple[str, ...]:
    """The names of the inputs that a loss depends on."""
    found = set(symbols(loss.expression))
    return tuple(item.name for item in loss.variables if item.symbol in found)


def _isolated(
    loss: Loss, guard: Guard, place: Locus, expansion: Expansion
) -> Break | None:
    """A value on the locus itself that neither side leads to."""
    there = value_at(loss, place, expansion.sample)
    if there is None:
        return None
    triples = zip(expansion.left, there, expansion.right, strict=True)
    for row, sides in enumerate(triples):
        before, at, after = (side[:1] for side in sides)
        if first_difference(before, after) is None and (
            first_difference(before, at) is not None
        ):
            shown = [rounded(item[0]) for item in (before, after)]
            kink = Kink(place.name, shown[0], shown[1], 0, guard.node)
            witness = expansion.sample.describe(row, _inputs(loss))
            return Break(kink, witness, isolated=rounded(at[0]))
    return None


def _report_infinite_slope(guard: Guard, place: Locus, report: Report) -> None:
    report.add(
        "LG308",
        f"the derivative is infinite at {place.name}",
        guard.node.span,
        help="let the slopes of the branches stay finite where they meet",
    )
