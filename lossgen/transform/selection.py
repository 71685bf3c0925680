"""Which rewrite rules a loss is better off with.

All rules state equalities; what rounding makes of the two sides is measured. A rule is
kept unless the loss is more accurate without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import inf
from sys import maxsize

from lossgen.calculus.steps import OutOfStepsError
from lossgen.ir.accuracy import Accuracy, Declined, Measure
from lossgen.ir.expr import Expr, Role, Symbol
from lossgen.ir.loss import Loss
from lossgen.transform.closed_form import has_slopes, with_slopes
from lossgen.transform.stabilize import Rewriter, stabilizer


@dataclass(frozen=True)
class Selection:
    """What rewrites a loss, and the rules that it does without.

    ``form`` is the loss rewritten, with its slopes in closed form where these are more
    accurate than those of reverse mode. ``is_unfinished`` says that the steps ran out
    before all forms were measured: it is the best of those that were.
    """

    rewrite: Rewriter
    form: Expr
    declined: tuple[Declined, ...]
    is_unfinished: bool = False


class _Patient:
    """A measure by which what there are no steps left for is as poor as can be."""

    def __init__(self, measure: Measure) -> None:
        self._measure, self.is_spent = measure, False

    def __call__(self, form: Expr) -> Accuracy:
        if not self.is_spent:
            try:
                return self._measure(form)
            except OutOfStepsError:
                self.is_spent = True
        return Accuracy(inf, inf, maxsize)


def selected(
    loss: Loss,
    expr: Expr,
    measure: Measure | None,
    fired: dict[str, None],
    without: frozenset[str] = frozenset(),
) -> Selection:
    """Decline the rules that make an expression less accurate.

    A form that is good enough is taken as it is. If none is, slopes in closed form are
    tried.

    Args:
        loss: Declares the domains.
        expr: The loss, or its form that takes logits.
        measure: Measures a form; None keeps all rules.
        fired: Takes the names of the rules that are used, in order.
        without: The names of rules that are not to be used.
    """
    declined: list[Declined] = []
    patient = None if measure is None else _Patient(measure)
    measure, off = patient, without
    tried: dict[str, None] = {}
    form = stabilizer(loss, tried, without)(expr)
    accuracy = None
    if measure is not None and (tried or has_slopes(expr)):
        accuracy = measure(form)
        while not accuracy.good:
            found = _without_one(loss, expr, form, accuracy, off, measure)
            if found is None:
                break
            accuracy, form, item = found
            declined.append(item)
            off |= {item.rule}
    rewrite = stabilizer(loss, fired, off)
    form = rewrite(expr)
    if measure is not None and accuracy is not None and has_slopes(expr):
        form = _sloped(loss, expr, form, rewrite, accuracy, measure)
    is_unfinished = patient is not None and patient.is_spent
    return Selection(rewrite, form, tuple(declined), is_unfinished)


def _sloped(
    loss: Loss,
    expr: Expr,
    form: Expr,
    rewrite: Rewriter,
    accuracy: Accuracy,
    measure: Measure,
) -> Expr:
    """The form with slopes in closed form by the inputs where these are better."""
    best: Expr = form
    chosen: dict[Symbol, bool] = {}
    predictions = [item.symbol for item in loss.of_role(Role.Y_PRED)]
    for symbol, multiplied_out in product(predictions, (False, True)):
        if accuracy.good:
            break
        trial = {**chosen, symbol: multiplied_out}
        sloped = with_slopes(form, expr, loss, rewrite, trial)
        found = measure(sloped)
        if found.beats(accuracy):
            best, chosen, accuracy = sloped, trial, found
    return best


def _without_one(
    loss: Loss,
    expr: Expr,
    form: Expr,
    accuracy: Accuracy,
    without: frozenset[str],
    measure: Measure,
) -> tuple[Accuracy, Expr, Declined] | None:
    """The form that is most accurate without a further rule, if one is better."""
    fired: dict[str, None] = {}
    stabilizer(loss, fired, without)(expr)
    best: tuple[Accuracy, Expr, Declined] | None = None
    for rule in fired:
        other = stabilizer(loss, {}, without | {rule})(expr)
        if other == form:
            continue
        found = measure(other)
        if found.beats(accuracy if best is None else best[0]):
            best = found, other, Declined(rule, accuracy, found)
    return best
