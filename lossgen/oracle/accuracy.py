"""How accurate a form of a loss is in emulated float32 arithmetic.

Every operation of the form and of its reverse sweep is rounded correctly to 24 bits;
subnormal results are flushed, and what overflows has no value. That is what TensorFlow
computes but for the errors of its own functions, and it is the same on every machine.

The error of a result is ``|result - exact|/(ulp(exact) + unit*sum(|x_i*df/dx_i|))``
over the inputs that are not labels: what a rounding of the inputs alone would change
counts as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np
from mpmath import mp, mpf

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined
from lossgen.calculus.steps import Steps, limited
from lossgen.ir.accuracy import Accuracy, worst
from lossgen.ir.expr import Expr
from lossgen.ir.loss import Loss
from lossgen.oracle.evaluation import Formula, on_logits
from lossgen.oracle.exact import Exact, Settled, combined, conditioned, settled
from lossgen.oracle.float_formats import FLOAT32, Format
from lossgen.oracle.points import batches
from lossgen.oracle.samples import Batch

_DIGITS = 60
_POINTS = 60
_TOGETHER = 8  # samples, which cost less than as many one by one


class Measured:
    """Measures forms of a loss, on points of its domain."""

    def __init__(
        self,
        loss: Loss,
        *,
        logits: bool,
        bounds: bool = False,
        steps: Steps | None = None,
    ) -> None:
        """Prepare; points are drawn when the first form is measured.

        Args:
            loss: The author's formula, which is the reference.
            logits: Whether the forms take logits.
            bounds: Whether an upper bound will do for forms that are good. It is given
                until the first form that is not good, so that what is compared is
                exact.
            steps: What forms may be measured with; no limit by default.
        """
        expression = on_logits(loss) if logits else loss.expression
        self.formula, self.logits = Formula(loss, expression), logits
        self._bounded, self._steps = bounds, steps or Steps(inf)
        self._good: set[Expr] = set()

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.formula.loss

    @cached_property
    def parts(self) -> list[Part]:
        """The points, with what is exact there."""
        drawn = batches(self.loss, _POINTS, "float32", logits=self.logits)
        return parts_of(self.formula, drawn)

    def __call__(self, form: Expr) -> Accuracy:
        """The accuracy of a form.

        Raises:
            OutOfStepsError: If no steps are left.
        """
        with limited(self._steps):
            return self._measured(form)

    def _measured(self, form: Expr) -> Accuracy:
        rewritten = Formula(self.loss, form)
        if self._bounded:
            bound = _bound(rewritten, self.parts)
            if bound is not None:
                self._good.add(form)
                return bound
            self._bounded = False
        return worst(_worst(rewritten, part) for part in self.parts)

    def is_known_as_good(self, form: Expr) -> bool:
        """Whether a form was measured, and is good enough at all points."""
        return form in self._good


def parts_of(
    formula: Formula, batches: Iterable[Batch], most: int | None = None
) -> list[Part]:
    """The samples that have a reference, by what settles it; see `settled`."""
    return [
        Part(formula, part)
        for batch in batches
        for part in settled(formula, batch, most)
    ]


class Part:
    """A reference whose conditions are computed at the samples that need them."""

    def __init__(self, formula: Formula, reference: Settled) -> None:
        """Compute no condition yet."""
        self._formula, self._reference = formula, reference
        self.plain = reference.plain
        self._known: dict[int, Exact] = {}

    def only(self, rows: Array) -> Part:
        """Some of the samples."""
        return Part(self._formula, self._reference.only(rows))

    def conditioned(self, rows: Sequence[int]) -> Exact:
        """Some samples with their conditions; all of them where they are tied."""
        if self._formula.tied:
            return self._all
        new = sorted(set(rows) - self._known.keys())
        if new:
            wanted = np.isin(np.arange(self.plain.batch.rows), new)
            part = self._reference.only(wanted)
            found = conditioned(self._formula, part, FLOAT32.unit).rows()
            self._known.update(zip(new, found, strict=True))
        return combined([self._known[row] for row in rows])

    @cached_property
    def _all(self) -> Exact:
        return conditioned(self._formula, self._reference, FLOAT32.unit)


def _bound(form: Formula, parts: list[Part]) -> Accuracy | None:
    """A bound of the errors of a good form; None for one that is not good.

    What is good in plain ulps is good in condition-aware ones: conditions are needed at
    the other points only. Of those the worst comes first, since it often decides.
    """
    found: list[Accuracy] = []
    for part in parts:
        plain = each(form, part.plain)
        found += (item for item in plain if item.good)
        poor = [row for row in _worst_first(plain) if not plain[row].good]
        for rows in (poor[:1], poor[1:]):
            closer = each(form, part.conditioned(rows)) if rows else []
            if not worst(closer).good:
                return None
            found += closer
    return worst(found)


def _worst(form: Formula, part: Part) -> Accuracy:
    """The largest errors.

    A condition makes an error no larger: the samples whose plain errors are below what
    others have with theirs need none.
    """
    plain = each(form, part.plain)
    largest = Accuracy(0.0, 0.0, 0)
    left = _worst_first(plain)
    while left:
        rows, left = left[:_TOGETHER], left[_TOGETHER:]
        largest = worst((largest, *each(form, part.conditioned(rows))))
        left = [row for row in left if _may_exceed(plain[row], largest)]
    return largest


def _worst_first(plain: Sequence[Accuracy]) -> list[int]:
    rows = range(len(plain))
    return sorted(rows, key=lambda row: (plain[row].wrong, plain[row].bits))[::-1]


def _may_exceed(plain: Accuracy, largest: Accuracy) -> bool:
    exceeds = plain.value > largest.value or plain.gradient > largest.gradient
    return plain.wrong > 0 or exceeds


def each(form: Formula, reference: Exact) -> list[Accuracy]:
    """The accuracy at what `points_of` gives, with all evaluated together if may be."""
    points = list(points_of(reference, form))
    if len(points) > 1:
        try:
            value, gradient = form.evaluated(reference.batch, _DIGITS, rounding=FLOAT32)
        except Undefined:
            pass  # at one of them, maybe not at all
        else:
            return [
                _accuracy((value[row : row + 1], gradient[row : row + 1]), point)
                for row, point in enumerate(points)
            ]
    return [accuracy_at(form, point) for point in points]


def points_of(reference: Exact, form: Formula) -> Iterator[Exact]:
    """The samples one by one, or all of them where they depend on one another."""
    return iter((reference,)) if form.tied else reference.rows()


def accuracy_at(form: Formula, point: Exact) -> Accuracy:
    """How accurate a form is at what `points_of` gives."""
    try:
        found = form.evaluated(point.batch, _DIGITS, rounding=FLOAT32)
    except Undefined:
        return Accuracy(0.0, 0.0, point.value.size + point.low.size)
    return _accuracy(found, point)


def _accuracy(found: tuple[Array, Array], point: Exact) -> Accuracy:
    value, gradient = errors_of(found, point, FLOAT32)
    return Accuracy(value.largest, gradient.largest, value.wrong + gradient.wrong)


@dataclass(frozen=True)
class Errors:
    """The errors of results, infinite where one is wrongly NaN or infinite.

    ``zeros`` marks results that are 0 and should not be.
    """

    sizes: Array
    zeros: Array

    @property
    def largest(self) -> float:
        """The largest error that is finite."""
        return float(self.sizes[np.isfinite(self.sizes)].max(initial=0.0))

    @property
    def wrong(self) -> int:
        """How many results are wrongly NaN, infinite or 0."""
        return int((~np.isfinite(self.sizes) | self.zeros).sum())


def errors_of(
    found: tuple[Array, Array],
    reference: Exact,
    like: Format,
    like_gradient: Format | None = None,
) -> tuple[Errors, Errors]:
    """The errors of value and gradient.

    Args:
        found: What was computed.
        reference: What is exact.
        like: The format that it was computed in.
        like_gradient: That of the gradient, which is the one of y_pred, if another.
    """
    value, gradient = found
    exact_value = reference.value
    return (
        _errors(value, exact_value, exact_value, reference.value_condition, like),
        _errors(
            gradient,
            reference.low,
            reference.high,
            reference.gradient_condition,
            like_gradient or like,
        ),
    )


def _errors(
    found: Array, low: Array, high: Array, condition: Array, like: Format
) -> Errors:
    found = found.reshape(low.shape)
    sizes = np.zeros(low.shape)
    zeros = np.zeros(low.shape, dtype=bool)
    for index in np.ndindex(low.shape):
        result, least, most = mpf(found[index]), low[index], high[index]
        nearest = min(max(result, least), most) if mp.isfinite(result) else least
        blur = like.unit * condition[index]
        overflows = abs(nearest) * (1 + 4 * like.unit) + blur >= like.huge
        if not mp.isfinite(result):
            right = overflows and result * nearest > 0
            sizes[index] = 0.0 if right else np.inf
            continue
        if abs(result) <= like.tiny and abs(nearest) < 2 * like.tiny:
            continue  # flushed, which is right
        size = min(max(abs(nearest), mpf(like.tiny)), like.huge)
        ulp = mpf(2) ** (mp.mag(size) - 1) * like.unit
        sizes[index] = float(min(abs(result - nearest) / (ulp + blur), mpf(10) ** 300))
        zeros[index] = not result and blur < abs(nearest)
    return Errors(sizes, zeros)
