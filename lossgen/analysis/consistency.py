"""What the expected loss is least at: the mean of y_true, or its probabilities.

Where the slope is affine in y_true, or y_true has two values, the expected slope at a
prediction q is ``c(q) + b(q)*(m - q)`` with m the mean. If c is 0 and b nowhere
positive, the expectation falls up to m and rises from there. On the simplex c may be
any number, since the components of y_pred sum to 1.
"""

from __future__ import annotations

from fractions import Fraction

from lossgen.analysis.expectations import (
    binary_labels,
)
from lossgen.analysis.identities import simplified, vanishes
from lossgen.analysis.minima import constant_of, is_zero, never_negative
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.summands import (
    Summand,
    assumes_on_tensors,
    at_label,
    is_differentiable,
    pair,
    summand,
)
from lossgen.calculus.differentiate import directional_derivative
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Axis,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    depends_on,
    div,
    mul,
    neg,
    rebuild,
    sub,
    substitute,
    walk,
)
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss, Property

_CERTAIN = (Fraction(0), Fraction(1))


def prove_proper(loss: Loss, *, continuous: bool) -> Property | None:
    """Proof that the expected loss is least at the true probabilities."""
    return Property("proper", "proved") if continuous and _is_proper(loss) else None


def prove_mean_consistent(loss: Loss, *, continuous: bool) -> Property | None:
    """Proof that the expected loss is least where y_pred is the mean of y_true."""
    if continuous and _is_mean_consistent(loss):
        return Property("mean_consistent", "proved")
    return None


# Proofs -------------------------------------------------------------------------------


def _is_proper(loss: Loss) -> bool:
    found = pair(loss)
    if found is None or not _is_tractable(loss):
        return False
    true, predicted = found
    domain = loss.variable(true.name).domain
    if domain.along_last_axis:
        return _is_proper_on_classes(loss, true, predicted)
    part, labels = summand(loss), binary_labels(domain)
    if part is None or labels is None:
        return False
    slopes = _slopes_at(part, true, predicted, labels)
    return _is_least_at_share(part, predicted, _CERTAIN, *slopes)


def _is_tractable(loss: Loss) -> bool:
    return is_differentiable(loss.expression) and not assumes_on_tensors(loss)


def _is_proper_on_classes(loss: Loss, true: Symbol, predicted: Symbol) -> bool:
    if not _on_simplex(loss):
        return False
    part = summand(loss)
    if part is not None:
        slopes = _slopes_at(part, true, predicted, _CERTAIN)
        return _is_least_at_share(part, predicted, _CERTAIN, *slopes)
    # One-hot labels pick the true class's own entry of y_pred.
    picked = _of_true_class(loss, true)
    if picked is None or depends_on(picked, Role.Y_TRUE):
        return False
    part = Summand(loss, picked, Ranges.of_loss(loss).inside(Axis.LAST))
    slope = part.slope(predicted)
    return _is_least_at_share(part, predicted, _CERTAIN, ZERO, slope)


def _of_true_class(loss: Loss, true: Symbol) -> Expr | None:
    """The loss of a sample as a function of the true class's entry of y_pred alone."""
    ranges = Ranges.of_loss(loss)

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Apply) or node.op != "sum":
            return node
        polynomial = ranges.polynomial(node.args[0])
        weighted = all(
            any(ranges.atom(index) == true for index, _ in key) for key in polynomial
        )
        return at_label(node.args[0], true, ONE) if weighted else node

    result = rebuild(loss.expression, visit)
    if any(isinstance(node, Apply) and node.axis for node in walk(result)):
        return None
    return result


def _is_mean_consistent(loss: Loss) -> bool:
    found, part = pair(loss), summand(loss)
    if found is None or part is None or not _is_tractable(loss):
        return False
    true, predicted = found
    domain = loss.variable(true.name).domain
    if loss.mask is not None and loss.variable(predicted.name).domain.along_last_axis:
        return False  # the mean of what is kept need not be a prediction
    if len(domain.labels) == 2:
        return _is_centred_between(part, true, predicted, domain.labels)
    return _is_centred(part, true, predicted)


def _is_centred_between(
    part: Summand, true: Symbol, predicted: Symbol, labels: tuple[Fraction, ...]
) -> bool:
    """For two labels: the mean stands for the probability of the higher one."""
    slopes = _slopes_at(part, true, predicted, labels)
    return _is_least_at_share(part, predicted, labels, *slopes)


def _slopes_at(
    part: Summand, true: Symbol, predicted: Symbol, labels: tuple[Fraction, ...]
) -> tuple[Expr, Expr]:
    low, high = (
        part.slope(predicted, at_label(part.expression, true, Number(label)))
        for label in labels
    )
    return low, high


def _is_least_at_share(
    part: Summand,
    predicted: Symbol,
    labels: tuple[Fraction, ...],
    low: Expr,
    high: Expr,
) -> bool:
    """From the slopes for the lower and the higher of two labels.

    ``labels`` are the predictions that are certain of the one and the other: between
    them the expected slope is to be 0 for the probability that the prediction stands
    for, beyond them both slopes lead back.
    """
    first, last = (Number(label) for label in labels)
    share = div(sub(predicted, first), sub(last, first))
    expected = add(mul(sub(ONE, share), low), mul(share, high))
    above = part.ranges.given(Apply("gt", (predicted, last)), True)
    below = part.ranges.given(Apply("lt", (predicted, first)), True)
    between = part.ranges.given(Apply("le", (predicted, last)), True)
    between = between.given(Apply("ge", (predicted, first)), True)
    return (
        _is_level(expected, part, between)
        and never_negative(sub(low, high), between)
        and all(never_negative(slope, above) for slope in (low, high))
        and all(never_negative(neg(slope), below) for slope in (low, high))
    )


def _is_level(slope: Expr, part: Summand, ranges: Ranges) -> bool:
    """Whether a slope keeps the prediction where it is."""
    if is_zero(slope, ranges):
        return True
    return _on_simplex(part.loss) and constant_of(slope, ranges) is not None


def _on_simplex(loss: Loss) -> bool:
    """Whether what is kept of each row of y_pred sums to 1."""
    return loss.mask is None and any(
        item.domain.kind is DomainKind.SIMPLEX for item in loss.of_role(Role.Y_PRED)
    )


def _is_centred(part: Summand, true: Symbol, predicted: Symbol) -> bool:
    slope = simplified(part.slope(predicted), part.ranges)
    if any(_branches_on(node, Role.Y_TRUE) for node in walk(slope)):
        return False
    if not is_differentiable(slope):
        return False
    by_label = directional_derivative(slope, {true: ONE}, part.loss)
    if not is_differentiable(by_label):
        return False
    bend = directional_derivative(by_label, {true: ONE}, part.loss)
    return (
        vanishes(bend, part.ranges)
        and _is_level(substitute(slope, {true: predicted}), part, part.ranges)
        and never_negative(simplified(neg(by_label), part.ranges), part.ranges)
        and _holds_at_the_ends(part, true, predicted, slope)
    )


def _branches_on(node: Expr, role: Role) -> bool:
    if not isinstance(node, Apply) or not depends_on(node, role):
        return False
    row = FUNCTIONS.get(node.op)
    return row is not None and row.kind in (Kind.KINKED, Kind.DATA, Kind.COMPARISON)


def _holds_at_the_ends(
    part: Summand, true: Symbol, predicted: Symbol, slope: Expr
) -> bool:
    """Whether a simplified slope is the slope for labels where ``xlogy`` is 0, too."""
    domain = part.loss.variable(true.name).domain
    for bound in (domain.lower, domain.upper):
        if bound.value is not None and not bound.open:
            there = at_label(part.expression, true, bound.value)
            gap = sub(part.slope(predicted, there), at_label(slope, true, bound.value))
            if not vanishes(gap, part.ranges):
                return False
    return True
