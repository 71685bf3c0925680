"""Harmless values of inputs."""

from __future__ import annotations

from fractions import Fraction

from lossgen.ir.expr import ZERO, Expr, Number
from lossgen.ir.loss import Variable


def inner_point(variable: Variable) -> Expr:
    """A number of moderate size inside of a domain."""
    if variable.domain.labels:
        return Number(variable.domain.labels[0])
    low, high = variable.domain.lower, variable.domain.upper
    if low.value is not None and high.value is not None:
        return Number(Fraction(repr((low.approx + high.approx) / 2)))
    if low.value is not None:
        return Number(Fraction(repr(low.approx + 1)))
    return ZERO if high.value is None else Number(Fraction(repr(high.approx - 1)))
