"""How smooth a loss is in y_pred: jumps, kinks, and where they are.

A composition of continuous operations is continuous: only branches can jump, and have
to be shown to meet. Kinks are searched for; where that finds no points, or takes too
many steps, one may lie there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lossgen.analysis.alone import meets_alone
from lossgen.analysis.batches import as_written, batches_as_samples
from lossgen.analysis.breaks import Break, breaks_at
from lossgen.analysis.guards import Guard, guards, is_switching
from lossgen.analysis.loci import is_solved, name_of, solved_names
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.slopes import is_sampled, range_text
from lossgen.analysis.spelling import spell
from lossgen.calculus.steps import OutOfStepsError, Steps, limited
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Apply, Role, depends_on, walk
from lossgen.ir.loss import Kink, Loss, Smoothness, Variable

MAX_STEPS = 250_000


@dataclass(frozen=True)
class Verdict:
    """How smooth a loss is, and why not smoother."""

    smoothness: Smoothness
    kinks: tuple[Kink, ...]


def classify(loss: Loss, report: Report) -> Verdict:
    """Find the kinks and jumps of a loss, and report them."""
    breaks: dict[str, Break] = {}
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


def _all_breaks(loss: Loss, report: Report) -> Iterator[Break]:
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
    branching = {guard.node for guard, _ in searches if guard.branching}
    meeting: dict[Apply, bool] = {}
    for count, (guard, variable) in enumerate(searches):
        steps = Steps(left // (len(searches) - count))
        found: list[Break] = []
        try:
            with limited(steps):
                for item in breaks_at(loss, guard, variable, report):
                    if item is None:
                        raise _NotShownError
                    found.append(item)
        except (_NotShownError, OutOfStepsError) as error:
            reason = "not every point of it is known"
            if isinstance(error, OutOfStepsError):
                reason = f"looking for its points took more than {steps.limit:,} steps"
            if guard.branching and guard.node not in meeting:
                share = MAX_STEPS // len(branching)
                meeting[guard.node] = _meets(loss, guard.node, share)
            jumping = guard.branching and not meeting[guard.node]
            found.extend(_possible(guard, variable, found, reason, jumping=jumping))
        left -= min(steps.used, int(steps.limit))
        yield from (item for item in found if item.kink.order or guard.branching)


def _meets(loss: Loss, node: Apply, steps: int) -> bool:
    """Whether branches are shown to meet by themselves, within some steps."""
    try:
        with limited(Steps(steps)):
            return meets_alone(loss, node)
    except OutOfStepsError:
        return False


def _anywhere(loss: Loss) -> Iterator[Break]:
    """The operations that may have a kink, or jump, where they change formulas."""
    for node in walk(loss.expression):
        if is_switching(node) and depends_on(node, Role.Y_PRED):
            at = f"{spell(node)} changes from one formula to another"
            reason = f"looking for its points took more than {MAX_STEPS:,} steps"
            yield Break(Kink(at, None, None, int(node.op != "where"), node), reason)


class _NotShownError(Exception):
    """Not every point of a locus is known."""


def _possible(
    guard: Guard,
    variable: Variable,
    found: list[Break],
    reason: str,
    *,
    jumping: bool,
) -> Iterator[Break]:
    """The kink or jump that may lie where a guard is 0, unless all is known by name."""
    at, order = name_of(guard), int(not jumping)
    if jumping:
        known = any(item.kink.order == 0 for item in found)
    else:
        known = _are_all(guard, variable, {item.kink.at for item in found})
    if not known:
        yield Break(Kink(at, None, None, order, guard.node), reason)


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


def _joined(one: Break, other: Break) -> Break:
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


# Words --------------------------------------------------------------------------------


def _report_jump(
    item: Break, places: list[str], accepted: bool, report: Report
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


def _report_kink(item: Break, report: Report) -> None:
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


def _jump_text(item: Break) -> str:
    kink = item.kink
    if item.isolated is not None:
        beside = "just inside" if item.at_end else "on both sides"
        return f"at {item.witness} it is {item.isolated}, and {kink.left} {beside}"
    if item.at_end:
        return f"just inside of {item.witness} it is {kink.left}"
    return (
        f"at {item.witness} it is {kink.left} on the left and {kink.right} on the right"
    )


def _report_unproved(item: Break, accepted: bool, report: Report) -> None:
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
