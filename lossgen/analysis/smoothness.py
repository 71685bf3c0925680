"""How smooth a loss is in y_pred: jumps, kinks, and where they are.

A composition of continuous operations is continuous: only branches can jump, and have
to be shown to meet. Kinks are searched for: at points of each locus, the loss is
expanded from either side; the first coefficient that differs is the order of the break.
Germs see what operations do together, which no single one shows:
``max(x, 0) - x*y + log1p(exp(-abs(x)))`` is smooth. A search that finds no points, or
takes too many steps, leaves a kink that may lie there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from mpmath import mp

from lossgen.analysis.batches import as_written, batches_as_samples
from lossgen.analysis.cells import Cell
from lossgen.analysis.closed import at_closed_ends_of
from lossgen.analysis.expansions import (
    EQUAL,
    Expansion,
    expand,
    first_difference,
    value_at,
)
from lossgen.analysis.guards import Guard, compared, guards, is_switching
from lossgen.analysis.limits import Divergence, approach
from lossgen.analysis.loci import (
    DIGITS,
    Locus,
    inside,
    is_solved,
    name_of,
    solved_names,
)
from lossgen.analysis.places import last_lengths, places_of, samples_of
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import (
    generic,
)
from lossgen.analysis.search import points_in
from lossgen.analysis.slopes import is_sampled, range_text, rounded, slope_text
from lossgen.analysis.spelling import spell
from lossgen.analysis.unseen import unseen
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.calculus.jets import MAX_ORDER
from lossgen.calculus.steps import OutOfStepsError, Steps, limited
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Apply, Role, depends_on, sub, substitute, symbols, walk
from lossgen.ir.loss import Kink, Loss, Smoothness, Variable

MAX_STEPS = 250_000
_ROWS = 10
_HITS = 4  # points of a cell that are looked at where a break should show


@dataclass(frozen=True)
class Verdict:
    """How smooth a loss is, and why not smoother."""

    smoothness: Smoothness
    kinks: tuple[Kink, ...]


def classify(loss: Loss, report: Report) -> Verdict:
    """Find the kinks and jumps of a loss, and report them."""
    breaks: dict[str, _Break] = {}
    loss = batches_as_samples(loss)
    for item in _all_breaks(loss, report):
        at = as_written(item.kink.at, loss)
        item = replace(item, kink=replace(item.kink, at=at))
        known = breaks.get(at)
        if known is None or item.kink.order < known.kink.order:
            breaks[at] = item
        elif item.kink.order == known.kink.order == 1:
            breaks[at] = _joined(known, item)
    accepted = loss.spec.smoothness == Smoothness.DISCONTINUOUS.value
    jumping: dict[Apply, list[str]] = {}
    for item in breaks.values():
        if item.kink.order == 0 and item.kink.left is not None:
            jumping.setdefault(item.kink.node, []).append(item.kink.at)
    for item in breaks.values():
        places = jumping.get(item.kink.node, [item.kink.at])
        if item.kink.order:
            _report_kink(item, report)
        elif item.kink.left is None:
            _report_unproved(item, accepted, report)
        elif item.kink.at == places[0]:
            _report_jump(item, places, accepted, report)
    kinks = tuple(item.kink for item in breaks.values() if item.kink.order <= 1)
    verdict = _worst(item.kink.order for item in breaks.values())
    _compare_with_demand(loss, verdict, kinks, report)
    return Verdict(verdict, kinks)


def _all_breaks(loss: Loss, report: Report) -> Iterator[_Break]:
    """The breaks by each guard, which has a share of the steps.

    Where the search comes to no end, what is to be continuous by its operations may
    have a kink; branches that are not shown to meet are an error.
    """
    try:
        with limited(Steps(MAX_STEPS)):
            searches = [
                (guard, variable)
                for guard in guards(loss.expression, Ranges.of_loss(loss))
                for variable in loss.of_role(Role.Y_PRED)
                if variable.symbol in set(walk(guard.difference))
            ]
    except OutOfStepsError:
        yield from _anywhere(loss)
        return
    left = MAX_STEPS
    for count, (guard, variable) in enumerate(searches):
        steps = Steps(left // (len(searches) - count))
        found: list[_Break] = []
        try:
            with limited(steps):
                for item in _breaks(loss, guard, variable, report):
                    if item is None:
                        raise _NotShownError
                    found.append(item)
        except (_NotShownError, OutOfStepsError) as error:
            reason = "not every point of it is known"
            if isinstance(error, OutOfStepsError):
                reason = f"looking for its points took more than {steps.limit:,} steps"
            found.extend(_possible(guard, variable, found, reason))
        left -= min(steps.used, int(steps.limit))
        yield from (item for item in found if item.kink.order or guard.branching)


def _anywhere(loss: Loss) -> Iterator[_Break]:
    """The operations that may have a kink, or jump, where they change formulas."""
    for node in walk(loss.expression):
        if is_switching(node) and depends_on(node, Role.Y_PRED):
            at = f"{spell(node)} changes from one formula to another"
            reason = f"looking for its points took more than {MAX_STEPS:,} steps"
            yield _Break(Kink(at, None, None, int(node.op != "where"), node), reason)


class _NotShownError(Exception):
    """Not every point of a locus is known."""


def _possible(
    guard: Guard, variable: Variable, found: list[_Break], reason: str
) -> Iterator[_Break]:
    """The kink or jump that may lie where a guard is 0, unless all is known by name."""
    at, order = name_of(guard), int(not guard.branching)
    if guard.branching:
        known = any(item.kink.order == 0 for item in found)
    else:
        known = _are_all(guard, variable, {item.kink.at for item in found})
    if not known:
        yield _Break(Kink(at, None, None, order, guard.node), reason)


def _are_all(guard: Guard, variable: Variable, names: set[str]) -> bool:
    """Whether a guard is 0 nowhere but at places that are known by name."""
    if not names:
        return False
    try:
        with limited(Steps(MAX_STEPS)):
            solved = is_solved(guard, variable)
            return solved and solved_names(guard, variable) <= names
    except OutOfStepsError:
        return False


@dataclass(frozen=True)
class _Break:
    """A kink or jump, and a point where it shows, or why none is known.

    ``slopes`` are those on the left and on the right, at all points of it.
    """

    kink: Kink
    witness: str
    slopes: tuple[list[Any], list[Any]] | None = None
    isolated: str | None = None  # the value at the point, where the two sides agree
    at_end: bool = False  # of the domain: there is one side
    infinite: bool = False


def _joined(one: _Break, other: _Break) -> _Break:
    """The same kink at further points."""
    if one.slopes is None or other.slopes is None:
        return one if other.slopes is None else other
    left, right = zip(one.slopes, other.slopes, strict=True)
    kink = replace(
        one.kink,
        left=_common(one.kink.left, other.kink.left, left),
        right=_common(one.kink.right, other.kink.right, right),
    )
    slopes = [*left[0], *left[1]], [*right[0], *right[1]]
    return replace(one, kink=kink, slopes=slopes)


def _common(
    one: str | None, other: str | None, slopes: tuple[list[Any], list[Any]]
) -> str | None:
    return one if one == other else range_text([*slopes[0], *slopes[1]])


def _worst(orders: Iterator[int]) -> Smoothness:
    lowest = min(orders, default=None)
    if lowest is None:
        return Smoothness.SMOOTH
    ranks = {0: Smoothness.DISCONTINUOUS, 1: Smoothness.CONTINUOUS}
    return ranks.get(lowest, Smoothness.C1)


# Breaks -------------------------------------------------------------------------------


def _breaks(
    loss: Loss, guard: Guard, variable: Variable, report: Report
) -> Iterator[_Break | None]:
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
) -> Iterator[_Break | None]:
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
) -> Iterator[_Break | None]:
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
) -> Iterator[_Break | None]:
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
) -> Iterator[_Break]:
    """Where the loss or its slope is infinite beside a locus."""
    if found.order:
        _report_infinite_slope(guard, place, report)
    else:
        kink = Kink(place.name, _limit(found.left), _limit(found.right), 0, guard.node)
        witness = place.sample.describe(found.row, _inputs(loss))
        yield _Break(kink, witness, infinite=True)


def _break_at_end(
    loss: Loss, guard: Guard, variable: Variable, report: Report
) -> Iterator[_Break]:
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
) -> _Break | None:
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
    return _Break(kink, witness, (left, right))


def _inputs(loss: Loss) -> tuple[str, ...]:
    """The names of the inputs that a loss depends on."""
    found = set(symbols(loss.expression))
    return tuple(item.name for item in loss.variables if item.symbol in found)


def _isolated(
    loss: Loss, guard: Guard, place: Locus, expansion: Expansion
) -> _Break | None:
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
            return _Break(kink, witness, isolated=rounded(at[0]))
    return None


# Words --------------------------------------------------------------------------------


def _report_jump(
    item: _Break, places: list[str], accepted: bool, report: Report
) -> None:
    """One diagnostic for all the places where the branches of a node do not meet."""
    way_out = (
        "let the other branch take over before the loss becomes infinite"
        if item.infinite
        else "make the branches meet, or accept the jump with "
        "`smoothness: discontinuous`"
    )
    accepted = accepted and not item.infinite
    what = "is infinite" if item.infinite else "jumps"
    report.add(
        "LG412" if accepted else "LG401",
        f"the loss {what} at {' and at '.join(places)}",
        item.kink.node.span,
        notes=(_jump_text(item),),
        help=None if accepted else way_out,
    )


def _report_kink(item: _Break, report: Report) -> None:
    kink = item.kink
    if kink.order > 1:
        return
    if kink.left is None:
        report.add(
            "LG402",
            f"a kink may lie where {kink.at}",
            kink.node.span,
            notes=(f"the loss is continuous there; {item.witness}",),
        )
        return
    sides = f"{kink.left} on the left and {kink.right} on the right"
    what = f"the derivative is {sides}"
    if is_sampled(kink.left) or is_sampled(kink.right or ""):
        what = f"the data decide about the derivative: at some points it is {sides}"
    report.add("LG402", f"kink at {kink.at}", kink.node.span, notes=(what,))


def _jump_text(item: _Break) -> str:
    kink = item.kink
    if item.isolated is not None:
        beside = "just inside" if item.at_end else "on both sides"
        return f"at {item.witness} it is {item.isolated}, and {kink.left} {beside}"
    if item.at_end:
        return f"just inside of {item.witness} it is {kink.left}"
    return (
        f"at {item.witness} it is {kink.left} on the left and {kink.right} on the right"
    )


def _report_infinite_slope(guard: Guard, place: Locus, report: Report) -> None:
    report.add(
        "LG308",
        f"the derivative is infinite at {place.name}",
        guard.node.span,
        help="let the slopes of the branches stay finite where they meet",
    )


def _report_unproved(item: _Break, accepted: bool, report: Report) -> None:
    """Branches that may not meet: an error, unless the spec accepts jumps."""
    if accepted:
        message, way_out = f"the loss may jump where {item.kink.at}", None
    else:
        message = f"cannot show that the branches meet where {item.kink.at}"
        way_out = (
            "write them with `max`, `min`, `relu` or `clip`, which cannot jump; or "
            "exclude under `assume` where they differ; or accept a jump with "
            "`smoothness: discontinuous`"
        )
    report.add(
        "LG412" if accepted else "LG406",
        message,
        item.kink.node.span,
        notes=(item.witness,),
        help=way_out,
    )


def _compare_with_demand(
    loss: Loss, verdict: Smoothness, kinks: tuple[Kink, ...], report: Report
) -> None:
    demand = Smoothness(loss.spec.smoothness)
    if verdict.rank <= demand.rank or verdict is Smoothness.DISCONTINUOUS:
        return
    possible = [kink.at for kink in kinks if kink.left is None]
    message = f"the loss is {verdict.value}, and `smoothness` asks for {demand.value}"
    if kinks and len(possible) == len(kinks):
        message = f"the loss is not shown to be {demand.value}, as `smoothness` asks"
    report.add(
        "LG405",
        message,
        loss.spec.smoothness_span or loss.expression.span,
        notes=tuple(f"a kink may lie where {at}" for at in possible),
        help=f"write `smoothness: {verdict.value}`, or remove the kinks",
    )
