"""Points at which forms of a loss are compared, and what each form comes to there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, log2

import numpy as np
from mpmath import mp, mpf

from lossgen.calculus.arrays import mapped
from lossgen.calculus.evaluate import Evaluation, Undefined, ray
from lossgen.calculus.jets import Element, coefficients
from lossgen.ir.accuracy import Accuracy
from lossgen.ir.expr import Apply, Expr, Role, Symbol, walk
from lossgen.ir.functions import CONDITIONS
from lossgen.ir.loss import Loss
from lossgen.oracle.accuracy import accuracy_at, points_of
from lossgen.oracle.evaluation import Formula, environment, on_logits
from lossgen.oracle.exact import Exact, exact
from lossgen.oracle.float_formats import FLOAT32
from lossgen.oracle.points import batches
from lossgen.oracle.samples import Batch

_DIGITS = 200
_EQUAL_DIGITS = 500
_EQUAL = mpf(10) ** -18
_NOTHING = mpf(10) ** -200
_ALL_BITS = 64.0


class PointBench:
    """The points of some seeds, with the exact values of the author's formula there."""

    def __init__(
        self,
        loss: Loss,
        *,
        logits: bool,
        count: int,
        seeds: Sequence[int],
        defaults: bool = True,
    ) -> None:
        """Draw the points.

        Args:
            loss: The author's formula, which is the reference.
            logits: Whether the forms take logits.
            count: About how many points each seed gives.
            seeds: Same seeds, same points.
            defaults: Whether parameters that have a default take it.
        """
        self._loss = loss
        self._numbers: dict[Expr, tuple[float, ...] | None] = {}
        formula = Formula(loss, on_logits(loss) if logits else loss.expression)
        drawn = (
            batch
            for seed in seeds
            for batch in batches(
                loss, count, "float32", logits=logits, seed=seed, defaults=defaults
            )
        )
        found = (exact(formula, batch, FLOAT32.unit) for batch in drawn)
        self._points: list[Exact] = [
            part
            for item in found
            if item is not None
            for part in points_of(item, formula)
        ]

    @property
    def size(self) -> int:
        """How many points there are."""
        return len(self._points)

    def errors(
        self, form: Expr, points: Sequence[int] | None = None
    ) -> tuple[Accuracy, ...]:
        """The accuracy at each of some points, by default all."""
        formula = Formula(self._loss, form)
        chosen = range(self.size) if points is None else points
        return tuple(accuracy_at(formula, self._points[k]) for k in chosen)

    def equal(self, form: Expr) -> bool:
        """Whether value and gradient are those of the author's formula, to 18 digits.

        No rounding takes part in that.
        """
        formula = Formula(self._loss, form)
        for point in self._points:
            try:
                value, gradient = formula.evaluated(point.batch, _EQUAL_DIGITS)
            except Undefined:
                return False
            for found, low, high in (
                (value, point.value, point.value),
                (gradient, point.low, point.high),
            ):
                nearest = np.minimum(np.maximum(found.reshape(low.shape), low), high)
                gap = abs(found.reshape(low.shape) - nearest)
                if (gap > _EQUAL * abs(nearest) + _NOTHING).any():
                    return False
        return True

    def local_errors(self, form: Expr, points: Sequence[int]) -> Mapping[Expr, float]:
        """The bits that each operation loses in value or slope on exact arguments.

        The slopes are those by each prediction, all elements of which move.
        """
        largest: dict[Expr, float] = {}
        for k in points:
            for variable in self._loss.of_role(Role.Y_PRED):
                batch = self._points[k].batch
                for node, bits in local_errors(form, batch, variable.name).items():
                    largest[node] = max(largest.get(node, 0.0), bits)
        return largest

    def numbers(self, expr: Expr) -> tuple[float, ...] | None:
        """The value at each point, if it is one number."""
        if expr not in self._numbers:
            self._numbers[expr] = self._evaluated(expr)
        return self._numbers[expr]

    def _evaluated(self, expr: Expr) -> tuple[float, ...] | None:
        found: list[float] = []
        for point in self._points:
            with mp.workdps(_DIGITS):
                values = Evaluation(environment(point.batch)).value(expr)
            if values.size != 1 or not isinstance(values.item(), mpf):
                return None
            found.append(float(values.item()))
        return tuple(found) if all(map(isfinite, found)) else None


def local_errors(form: Expr, batch: Batch, name: str) -> dict[Expr, float]:
    """The bits that each operation loses in value or slope on exact arguments.

    The slope is that by all elements of one prediction.
    """
    errors: dict[Expr, float] = {}
    with mp.workdps(_DIGITS):
        moving = dict(environment(batch))
        moving[name] = ray(moving[name], 1, 1)
        run = Evaluation(moving, batch.mask)
        for node in walk(form):
            if (
                not isinstance(node, Apply)
                or node.op in CONDITIONS
                or node.op == "where"
            ):
                continue
            exactly = run.value(node)
            if any(
                _has_no_value(item) for a in node.args for item in run.value(a).flat
            ):
                continue  # in a branch that is not taken
            operands = [Symbol(str(k), Role.DERIVED) for k in range(len(node.args))]
            given = {
                operand.name: mapped(_rounded, run.value(arg))
                for operand, arg in zip(operands, node.args, strict=True)
            }
            alone = Apply(node.op, tuple(operands), node.axis)
            found = Evaluation(given, rounding=FLOAT32).value(alone)
            lost = mapped(_bits_lost, found, exactly)
            errors[node] = max(lost.flat, default=0.0)
    return errors


def _has_no_value(item: Element) -> bool:
    return item is None or isinstance(item, (bool, Undefined))


def _rounded(item: Element) -> Element:
    return FLOAT32("round", item)


def _bits_lost(found: Element, exactly: Element) -> float:
    if isinstance(exactly, Undefined):
        return 0.0
    if isinstance(found, Undefined):
        return _ALL_BITS
    lost = 0.0
    for one, other in zip(
        coefficients(found, 1), coefficients(exactly, 1), strict=True
    ):
        if abs(other) <= FLOAT32.tiny:
            continue
        if abs(other) >= FLOAT32.huge:
            return _ALL_BITS
        error = abs(one - other) / abs(other) / FLOAT32.unit
        bits = log2(1 + float(min(error, 2**62))) if mp.isfinite(one) else _ALL_BITS
        lost = max(lost, bits)
    return lost
