"""How smooth a loss is in y_pred: jumps, kinks, and where they are.

At points of each locus, the loss is expanded from either side; the first coefficient
that differs is the order of the break. Germs see what the branches do together, which
no single branch shows: ``max(x, 0) - x*y + log1p(exp(-abs(x)))`` is smooth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lossgen.analysis.cells import points_in, unseen
from lossgen.analysis.expansions import (
    EQUAL,
    Expansion,
    expand,
    first_difference,
    value_at,
)
from lossgen.analysis.guards import (
    DIGITS,
    Guard,
    Locus,
    compared,
    guards,
    is_solved,
)
from lossgen.analysis.places import last_lengths, places_of, samples_of
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import (
    generic,
)
from lossgen.analysis.slopes import rounded, slope_text
from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.calculus.jets import MAX_ORDER
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Role, sub, substitute, walk
from lossgen.ir.loss import Kink, Loss, Smoothness, Variable

_ROWS = 10


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
    places = places_of(loss, guard, variable)
    if places is None:
        if guard.branching:
            _report_unproved(guard, report)
        elif guard.node.op == "norm":
            at = f"{spell(guard.node)} = 0"
            yield _Break(Kink(at, "-1", "1", "0", 1, guard.node), at)
        return
    jumps = False
    for found in _found(loss, guard, variable, places, report):
        jumps = jumps or found.kink.order == 0
        yield found
    proved = not guard.branching or is_solved(guard, variable) or _meet(loss, guard)
    if not jumps and not proved:
        _report_unproved(guard, report)


def _found(
    loss: Loss,
    guard: Guard,
    variable: Variable,
    places: tuple[Locus, ...],
    report: Report,
) -> Iterator[_Break]:
    """The breaks at known points, and in the cells that none of these lies in."""
    for place in places:
        expansion = expand(loss, place)
        found = expansion and _break_at(loss, guard, place, expansion)
        if found:
            yield found
    for cell, place in unseen(loss, guard, variable, places):
        pinned = replace(loss, expression=cell.pinned(loss.expression))
        expansion = expand(pinned, place)
        found = expansion and _break_at(pinned, guard, place, expansion)
        if expansion and not found:
            continue
        known = points_in(loss, guard, cell, place, samples_of(loss))
        expansion = expand(loss, known) if known else None
        if known and expansion:
            found = _break_at(loss, guard, known, expansion)
        if found and (known or found.kink.order):
            yield found
        elif found or not expansion:
            _report_unproved(guard, report)


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


def _break_at(
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
    texts = [
        (
            rounded(side[row][0])
            if lowest == 0
            else slope_text(loss, expansion.sample, [item[shown] for item in side])
        )
        for side in (expansion.left, expansion.right)
    ]
    kink = Kink(
        at=place.name,
        left=texts[0],
        right=texts[1],
        gradient=slope_text(loss, expansion.sample, expansion.gradient()),
        order=lowest,
        node=guard.node,
    )
    names = tuple(
        item.name
        for item in loss.variables
        if item.symbol in set(walk(loss.expression))
    )
    return _Break(kink, expansion.sample.describe(row, names))


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
            kink = Kink(place.name, shown[0], shown[1], "0", 0, guard.node)
            names = tuple(item.name for item in loss.variables)
            witness = expansion.sample.describe(row, names)
            return _Break(kink, witness, rounded(at[0]))
    return None


# Words --------------------------------------------------------------------------------


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
