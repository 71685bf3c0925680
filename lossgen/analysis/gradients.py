"""The derivative of a loss by one element of y_pred, as a formula and in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import Sample, uses_axis
from lossgen.analysis.summands import RESIDUAL, in_residual, summand
from lossgen.calculus.evaluate import Undefined, germ
from lossgen.calculus.partials import NoPartialError, partial_derivative
from lossgen.ir.expr import Apply, Axis, Expr, Role
from lossgen.ir.extent import extents
from lossgen.ir.loss import Loss, Variable


@dataclass(frozen=True)
class Gradient:
    """How the value of an element, or of a sample, moves with one element of y_pred.

    Where elements act on one another it is the value of the sample. ``slopes`` has the
    derivative by each component of y_pred, or by the residual where nothing else
    stands in it; None where it is not to be had as a formula. ``ranges`` hold for the
    element at hand.
    """

    loss: Loss
    expression: Expr
    slopes: tuple[Expr, ...] | None
    ranges: Ranges
    coupled: bool

    def sizes(
        self, sample: Sample, variable: Variable, digits: int
    ) -> list[Any] | None:
        """Per row, the largest derivative by an element found; None if undefined."""
        direction = np.zeros(sample.environment[variable.name].shape, dtype=int)
        if self.coupled:
            direction.reshape(sample.rows, -1)[:, 0] = 1
        else:
            direction[...] = 1
        return self._sizes(sample.environment, {variable.name: direction}, digits)

    def _sizes(
        self, environment: Mapping[str, Any], direction: Mapping[str, Any], digits: int
    ) -> list[Any] | None:
        try:
            slopes = germ(self.expression, environment, direction, digits=digits)[1]
        except Undefined:
            return None
        rows = len(next(iter(direction.values())))
        slopes = np.broadcast_to(slopes, (rows, *slopes.shape[1:]))
        with mp.workdps(digits):
            return [
                abs(mp.fsum(row.flat)) if self.coupled else max(map(abs, row.flat))
                for row in slopes
            ]


def gradient(loss: Loss) -> Gradient | None:
    """The gradient; None where samples act on one another."""
    part = summand(loss)
    predicted = loss.of_role(Role.Y_PRED)
    if part is not None:
        residual = in_residual(part)
        slopes = (
            tuple(part.slope(item.symbol) for item in predicted)
            if residual is None
            else (part.slope(RESIDUAL, residual),)
        )
        return Gradient(loss, part.expression, slopes, part.ranges, coupled=False)
    if uses_axis(loss.expression, Axis.BATCH):
        return None
    value = loss.expression
    if "last" in extents(loss, value)[value]:
        value = Apply("mean", (value,), Axis.LAST)
    return Gradient(loss, value, _partials(value, loss), Ranges.of_loss(loss), True)


def _partials(value: Expr, loss: Loss) -> tuple[Expr, ...] | None:
    if _may_broadcast(loss):
        return None
    try:
        return tuple(
            partial_derivative(value, item.symbol, loss)
            for item in loss.of_role(Role.Y_PRED)
        )
    except NoPartialError:
        return None


def _may_broadcast(loss: Loss) -> bool:
    """Whether one element of y_pred may stand next to several of another input.

    An undeclared size next to a declared one is equal to it, or 1.
    """
    sizes = {
        item.size
        for item in loss.variables
        if item.role is not Role.SIZE and item.shape != "scalar"
    }
    return len(sizes) > 1 and any(
        item.size in (None, 1) for item in loss.of_role(Role.Y_PRED)
    )
