"""Where a function of one component of y_pred is least, and that it is not negative."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from lossgen.analysis.curvature import is_convex_in
from lossgen.analysis.identities import simplified, vanishes
from lossgen.analysis.pieces import TooManyPiecesError, has_branches, pieces
from lossgen.analysis.polynomials import ONE as CONSTANT_TERM
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.samples import generic, shortest
from lossgen.analysis.summands import (
    Summand,
    assumes_on_tensors,
    at_label,
    is_differentiable,
    pair,
    summand,
)
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import (
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    mul,
    neg,
    sub,
    substitute,
    walk,
)
from lossgen.ir.expr import add as sum_of
from lossgen.ir.functions import LOWERED
from lossgen.ir.loss import Loss

_ROWS = 4
_DIGITS = 30
Claim = Callable[[Expr, Ranges], bool]


def never_negative(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be nowhere below 0, piece by piece."""
    return is_nonnegative(expr, ranges) or on_all_pieces(expr, ranges, _nonnegative)


def on_all_pieces(expr: Expr, ranges: Ranges, claim: Claim) -> bool:
    """Whether a claim holds for each smooth piece of an expression."""
    try:
        return all(claim(part, inner) for part, inner in pieces(expr, ranges))
    except TooManyPiecesError:
        return False


def is_zero(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be 0, on all pieces."""
    return on_all_pieces(
        expr,
        ranges,
        lambda part, inner: inner.of(part).point == 0 or vanishes(part, inner),
    )


def _nonnegative(expr: Expr, ranges: Ranges) -> bool:
    return is_nonnegative(expr, ranges) or is_nonnegative(
        simplified(expr, ranges), ranges
    )


def is_never_negative(loss: Loss, *, continuous: bool) -> bool:
    """Whether a loss is proved to be nowhere negative.

    By its range; or because each element's part is least, and not negative, where the
    prediction equals the target. On the simplex a multiple of ``y_pred - y_true``,
    which sums to 0, may be added to each part: so Gibbs's inequality comes out.
    """
    part = summand(loss)
    if part is None:
        return never_negative(loss.expression, Ranges.of_loss(loss))
    if never_negative(part.expression, part.ranges):
        return True
    found = _located(loss)
    if found is None or not continuous or not is_differentiable(part.expression):
        return False
    true, predicted = found
    if not _target_is_prediction(loss, true, predicted):
        return False
    tilted = _tilted(part, true, predicted)
    return tilted is not None and all(
        _least_at(part, expr, inner, target, predicted)
        for expr, inner, target in label_cases(part, tilted, true)
    )


def _located(loss: Loss) -> tuple[Symbol, Symbol] | None:
    """The target, and the component of y_pred that locates it."""
    if assumes_on_tensors(loss):
        return None
    found = pair(loss)
    if found is not None:
        return found
    true = [item for item in loss.of_role(Role.Y_TRUE) if not item.channel]
    real = [
        item
        for item in loss.of_role(Role.Y_PRED)
        if item.domain.lower.value is None and item.domain.upper.value is None
    ]
    if len(true) != 1 or len(real) != 1 or true[0].size != real[0].size:
        return None
    return true[0].symbol, real[0].symbol


def _target_is_prediction(loss: Loss, true: Symbol, predicted: Symbol) -> bool:
    """Whether each target lies in the closure of y_pred's domain."""
    targets, values = (loss.variable(item.name).domain for item in (true, predicted))
    if values.kind is DomainKind.SIMPLEX:
        return targets.along_last_axis
    inner, outer = domain_interval(targets), domain_interval(values)
    return outer.lower <= inner.lower and inner.upper <= outer.upper


def _tilted(part: Summand, true: Symbol, predicted: Symbol) -> Expr | None:
    """The part with slope 0 where prediction and target agree."""
    domain = part.loss.variable(predicted.name).domain
    if domain.kind is not DomainKind.SIMPLEX:
        return part.expression
    slope = substitute(part.slope(predicted), {predicted: true})
    level = constant_of(slope, part.ranges)
    if level is None or (level and part.loss.mask is not None):
        return None  # what a mask keeps of y_pred - y_true need not sum to 0
    return sum_of(part.expression, mul(Number(level), sub(true, predicted)))


def constant_of(expr: Expr, ranges: Ranges) -> Fraction | None:
    """The number that an expression is, if it is proved to be one."""
    polynomial = ranges.polynomial(simplified(expr, ranges))
    if any(key != CONSTANT_TERM for key in polynomial):
        return None
    return polynomial.get(CONSTANT_TERM, Fraction(0))


def label_cases(
    part: Summand, expr: Expr, true: Symbol
) -> Iterator[tuple[Expr, Ranges, Expr]]:
    """The formula at the closed ends of the target's domain, and between them.

    With the ranges and the target of each.
    """
    domain = part.loss.variable(true.name).domain
    inside = part.ranges
    for bound, strict in ((domain.lower, "gt"), (domain.upper, "lt")):
        if bound.value is not None and not bound.open:
            yield at_label(expr, true, bound.value), part.ranges, bound.value
            inside = inside.given(Apply(strict, (true, bound.value)), True)
    if not inside.of(true).empty:
        yield expr, inside, true


def _least_at(
    part: Summand, expr: Expr, ranges: Ranges, target: Expr, predicted: Symbol
) -> bool:
    """Whether a formula is least where y_pred is the target, and not negative there."""
    if never_negative(expr, ranges):
        return True
    value = substitute(expr, {predicted: target})
    # Inside its domain the target is a prediction; at an end it need not be one.
    at_end = not isinstance(target, Symbol)
    if at_end and not _is_defined(part.loss, value):
        return False
    if not (is_zero(value, ranges) or never_negative(value, ranges)):
        return False
    slope = part.slope(predicted, expr)
    flat = not at_end and is_zero(substitute(slope, {predicted: target}), ranges)
    if flat and _is_convex(part, expr, slope, predicted, ranges):
        return True
    above = ranges.given(Apply("gt", (predicted, target)), True)
    below = ranges.given(Apply("lt", (predicted, target)), True)
    # Written as one quotient, p**(1 - k) - y*p**-k shows its sign.
    return any(
        never_negative(form, above) and never_negative(neg(form), below)
        for form in (slope, simplified(slope, ranges))
    )


def _is_convex(
    part: Summand, expr: Expr, slope: Expr, predicted: Symbol, ranges: Ranges
) -> bool:
    if is_convex_in(expr, ranges):
        return True
    if has_branches(expr) or not is_differentiable(slope):
        return False
    return never_negative(part.slope(predicted, slope), ranges)


def _is_defined(loss: Loss, expr: Expr) -> bool:
    """Whether a formula has a value at random points: a target may be an end."""
    sample = generic(loss, last=shortest(loss), rows=_ROWS)
    made = any(isinstance(node, Apply) and node.op in LOWERED for node in walk(expr))
    if sample is None or made:
        return False
    try:
        evaluate(expr, sample.environment, digits=_DIGITS)
    except Undefined:
        return False
    return True
