"""Convexity of a loss by its second derivative."""

from __future__ import annotations

from lossgen.analysis.identities import simplified
from lossgen.analysis.minima import label_cases, never_negative
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.summands import (
    RESIDUAL,
    Summand,
    in_residual,
    is_differentiable,
    summand,
)
from lossgen.ir.expr import Expr, Role, Symbol
from lossgen.ir.loss import Loss, Smoothness


def bends_upwards(loss: Loss, smoothness: Smoothness) -> bool:
    """Whether a loss is proved to be convex, jointly in all of y_pred.

    A sum of functions of one component each is convex where each is; one whose
    derivative is continuous is, where the second is not negative on any piece.
    """
    part, predicted = summand(loss), loss.of_role(Role.Y_PRED)
    if part is None or len(predicted) != 1 or smoothness.rank > Smoothness.C1.rank:
        return False
    if not is_differentiable(part.expression):
        return False
    symbol = predicted[0].symbol
    residual = in_residual(part)
    if residual is not None:
        return _bends(part, residual, RESIDUAL, part.ranges)
    targets = loss.of_role(Role.Y_TRUE)
    cases = [(part.expression, part.ranges)]
    if len(targets) == 1:
        found = label_cases(part, part.expression, targets[0].symbol)
        cases = [(expr, ranges) for expr, ranges, _ in found]
    return all(_bends(part, expr, symbol, ranges) for expr, ranges in cases)


def _bends(part: Summand, expr: Expr, symbol: Symbol, ranges: Ranges) -> bool:
    slope = simplified(part.slope(symbol, expr), ranges)
    return is_differentiable(slope) and never_negative(
        part.slope(symbol, slope), ranges
    )
