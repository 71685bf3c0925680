"""Which rewrite rules a loss is better off with.

All rules state equalities; what rounding makes of the two sides is measured. A rule is
kept unless the loss is more accurate without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from lossgen.ir.accuracy import Accuracy, Declined, Measure
from lossgen.ir.expr import Expr, Role, Symbol
from lossgen.ir.loss import Loss
from lossgen.transform.closed_form import has_slopes, with_slopes
from lossgen.transform.stabilize import Rewriter, stabilizer


@dataclass(frozen=True)
class Selection:
    """What rewrites a loss, and the rules that it does without.

    ``form`` is the loss rewritten, with its slopes in closed form where these are more
    accurate than those of reverse mode.
    """

    rewrite: Rewriter
    form: Expr
    declined: tuple[Declined, ...]


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
    off = without
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
    return Selection(rewrite, form, tuple(declined))


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
