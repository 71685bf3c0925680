"""Where the form that is emitted goes wrong in float32, and how far it does not.

A build that says nothing is read as "this is right": what is not is told, with a point,
what comes out, what would be right, and the operation that loses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from math import floor, isfinite, log10

import numpy as np
from mpmath import mp, mpf

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined
from lossgen.ir.accuracy import Accuracy
from lossgen.ir.expr import Expr, Role
from lossgen.ir.program import Guard
from lossgen.oracle.accuracy import (
    Measured,
    Part,
    each,
    errors_of,
    parts_of,
    points_of,
)
from lossgen.oracle.drawing import not_held, permitted
from lossgen.oracle.evaluation import Formula, kept_by
from lossgen.oracle.exact import Exact
from lossgen.oracle.float_formats import FLOAT32
from lossgen.oracle.points import of_one_size, unbounded
from lossgen.oracle.samples import Batch

BAR = 64.0
"""The error in condition-aware ulps from which on digits are lost."""

EXACT_BAR = 16.0
"""The error up to which a result is exact to rounding: what generated tests allow."""

LARGEST = 1e4
"""Up to which size of the inputs wrong results are told."""

_FAR = 1e18
_NOTHING = 1e-30
_SMALLEST = 1e-6
_LARGEST_RESULT = 1e37  # leaves room for sums on the way
_MOST_DIGITS = 400  # what cancels further is less than _NOTHING
_MAX_CONDITIONS = 720  # each element of a sample has one
_MORE_POINTS = 24
_DIGITS = 60
_MAX_ELEMENTS = 12  # of a point that is made shorter


class Kind(Enum):
    """What may be wrong with a result."""

    NOT_FINITE = "not finite"
    ZERO = "zero"
    DIGITS = "digits"


@dataclass(frozen=True)
class Alarm:
    """A result that is wrong.

    ``element`` is the index of the result in what is returned, or in y_pred where it is
    a slope; ``found`` is None where an operation has no value on the way. ``size`` is
    the largest of the inputs that may be of any size.
    """

    kind: Kind
    point: Exact
    is_slope: bool
    element: tuple[int, ...]
    found: mpf | None
    right: mpf
    error: float
    size: float

    @property
    def is_vanishing(self) -> bool:
        """Whether what is right is next to nothing."""
        return bool(abs(self.right) < _NOTHING)

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Values before slopes, what is seen at once, and small inputs first."""
        return self.is_slope, self.is_vanishing, self.size


@dataclass(frozen=True)
class Examination:
    """What is wrong with a form, and how large the inputs may be for it to be exact.

    ``reach`` is None where no size is small enough.
    """

    alarms: tuple[Alarm, ...]
    reach: float | None


def examine(
    measure: Measured, form: Expr, guards: tuple[Guard, ...] = ()
) -> Examination:
    """Look for points at which a form goes wrong.

    Args:
        measure: Has the points that the form was chosen by.
        form: What is emitted.
        guards: Where predictions are held; beyond is another value.
    """
    computed = Formula(measure.loss, form, guards)
    parts = [] if measure.is_known_as_good(form) else measure.parts
    drawn = of_one_size(
        measure.loss, _MORE_POINTS, "float32", logits=measure.logits, largest=LARGEST
    )
    found = _found(
        measure, computed, (*parts, *parts_of(measure.formula, drawn, _MOST_DIGITS))
    )
    chosen: list[Alarm] = []
    for kind in Kind:
        near = [a for a in found if a.kind is kind and _is_told(a)]
        if near:
            first = min(near, key=lambda item: item.rank)
            chosen.append(_shortened(measure, computed, first))
    return Examination(tuple(chosen), _reach(measure, computed, found))


def _is_told(alarm: Alarm) -> bool:
    """Whether it is worth a warning.

    That digits are lost is no news where the inputs are smaller than those of training.
    """
    if alarm.size > LARGEST or (alarm.kind is Kind.DIGITS and alarm.error <= BAR):
        return False
    sizes = np.concatenate(
        [abs(a).reshape(-1) for a in alarm.point.batch.inputs.values()]
    )
    typical = bool(sizes[sizes > 0].min(initial=1.0) >= _SMALLEST)
    return typical or alarm.kind is Kind.NOT_FINITE


def _found(measure: Measured, computed: Formula, parts: Iterable[Part]) -> list[Alarm]:
    """What is wrong at the samples of some parts.

    Conditions cost most; of many elements the worst samples alone get theirs.
    """
    suspects: list[tuple[Accuracy, Part, int]] = []
    for whole in parts:
        rows = _counts(computed, whole.plain.batch)
        if rows.any():
            part = whole if rows.all() else whole.only(rows)
            plain = each(computed, part.plain)
            suspects += ((item, part, k) for k, item in enumerate(plain))
    suspects = [item for item in suspects if _is_poor(item[0])]
    suspects.sort(key=lambda item: (item[0].wrong, item[0].bits), reverse=True)
    affordable: dict[Part, list[int]] = {}
    elements = 0
    for _, part, row in suspects:
        affordable.setdefault(part, []).append(row)
        inputs = part.plain.batch.inputs.values()
        size = sum(array.size for array in inputs)
        elements += size if computed.tied else size // part.plain.batch.rows
        if elements > _MAX_CONDITIONS:
            break
    return [
        alarm
        for part, chosen in affordable.items()
        for point in points_of(part.conditioned(chosen), computed)
        for alarm in _alarms(measure, computed, point)
    ]


def _counts(computed: Formula, batch: Batch) -> Array:
    """The samples that count: within assumptions and guards, kept by the mask."""
    loss = computed.loss
    rows = permitted(loss, batch) & not_held(computed, batch)
    if loss.mask is not None:
        kept = kept_by(loss.mask, batch)
        rows &= kept.reshape(batch.rows, -1).all(axis=1)
    return rows & rows.all() if computed.tied else rows


def _is_poor(accuracy: Accuracy) -> bool:
    return bool(accuracy.wrong) or max(accuracy.value, accuracy.gradient) > EXACT_BAR


def _alarms(measure: Measured, computed: Formula, point: Exact) -> Iterator[Alarm]:
    """What is wrong at a point, values first."""
    size = _size(measure, point.batch)
    if any(abs(right) >= _LARGEST_RESULT for right in point.value.flat):
        return  # what float32 cannot hold has no slope either
    try:
        found = computed.evaluated(point.batch, _DIGITS, rounding=FLOAT32)
    except Undefined:
        yield from _without_value(point, size)
        return
    errors = errors_of(found, point, FLOAT32)
    exactly = point.value, point.low
    for is_slope, results in enumerate(found):
        sizes, rights = errors[is_slope].sizes, exactly[is_slope]
        for index in np.ndindex(rights.shape):
            kind = _kind(sizes[index], errors[is_slope].zeros[index])
            result, right = mpf(results.reshape(rights.shape)[index]), rights[index]
            if kind is not None and _matters(result, right):
                error = float(sizes[index])
                yield Alarm(
                    kind, point, bool(is_slope), index, result, right, error, size
                )


def _without_value(point: Exact, size: float) -> Iterator[Alarm]:
    """What is wrong where an operation has no value on the way."""
    kind = Kind.NOT_FINITE
    for is_slope, rights in enumerate((point.value, point.low)):
        for index in np.ndindex(rights.shape):
            right = rights[index]
            if _matters(mp.inf, right):
                yield Alarm(
                    kind, point, bool(is_slope), index, None, right, np.inf, size
                )


def _kind(error: float, is_zero: bool) -> Kind | None:
    if not isfinite(error):
        return Kind.NOT_FINITE
    if is_zero:
        return Kind.ZERO
    return Kind.DIGITS if error > EXACT_BAR else None


def _matters(found: mpf, right: mpf) -> bool:
    """Whether a wrong result is worth a word.

    None is where float32 cannot hold what is right, or where both are so small that
    nothing is learned from them, and products on the way are flushed.
    """
    tiny = mp.isfinite(found) and max(abs(right), abs(found)) < _NOTHING
    return bool(abs(right) < _LARGEST_RESULT and not tiny)


def _size(measure: Measured, batch: Batch) -> float:
    names = [item.name for item in unbounded(measure.loss, logits=measure.logits)]
    return max((float(abs(batch.inputs[name]).max()) for name in names), default=0.0)


# Short points -----------------------------------------------------------------------


def _shortened(measure: Measured, computed: Formula, alarm: Alarm) -> Alarm:
    """The same at a point that is written with fewer digits, if it is wrong there."""
    batch = alarm.point.batch
    elements = sum(array.size for array in batch.inputs.values())
    if computed.tied or elements > _MAX_ELEMENTS:
        return alarm
    for digits in (1, 2, 3):
        shorter = _rounded(measure, batch, digits)
        same = _same_kind(measure, computed, shorter, alarm)
        told = [item for item in same if _is_told(item)]
        found = min(told, key=lambda item: item.rank, default=alarm)
        if told and found.is_vanishing <= alarm.is_vanishing:
            return found
    return alarm


def _same_kind(
    measure: Measured, computed: Formula, batch: Batch, alarm: Alarm
) -> list[Alarm]:
    """What is wrong at a point in the same way."""
    found = _found(measure, computed, parts_of(measure.formula, [batch], _MOST_DIGITS))
    same = alarm.kind, alarm.is_slope
    return [item for item in found if (item.kind, item.is_slope) == same]


def _rounded(measure: Measured, batch: Batch, digits: int) -> Batch:
    """The point with inputs of few digits, as far as they stay in their domains."""
    inputs = dict(batch.inputs)
    for name, array in batch.inputs.items():
        variable = measure.loss.variable(name)
        as_logits = measure.logits and variable in unbounded(measure.loss, logits=True)
        if variable.domain.along_last_axis and not as_logits:
            continue
        short = np.vectorize(lambda x: float(np.float32(f"{x:.{digits}g}")))(array)
        inside = as_logits | np.vectorize(variable.domain.contains)(short)
        inputs[name] = np.where(inside, short, array)
    return replace(batch, inputs=inputs)


# Reach ------------------------------------------------------------------------------


def _reach(
    measure: Measured, computed: Formula, found: Iterable[Alarm]
) -> float | None:
    """A size, 1, 2 or 5 times a power of ten, up to which nothing wrong was found."""
    wrong = min(found, key=lambda item: item.size, default=None)
    if wrong is None:
        return _FAR
    for factor in (0.1, 0.5, 0.8):
        closer = [wrong]
        while closer:
            wrong = closer[0]
            if wrong.size <= 1:
                return None
            smaller = _scaled(measure, wrong.point.batch, factor)
            same = _same_kind(measure, computed, smaller, wrong)
            closer = [item for item in same if item.size < wrong.size]
    return _round_below(0.8 * wrong.size)


def _round_below(size: float) -> float:
    """The largest of 1, 2 and 5 times powers of ten that is no larger."""
    power = float(10 ** floor(log10(size)))
    return max(step * power for step in (1, 2, 5) if step * power <= size)


def _scaled(measure: Measured, batch: Batch, factor: float) -> Batch:
    """The point with smaller inputs, as far as they stay in their domains."""
    inputs = dict(batch.inputs)
    for item in unbounded(measure.loss, logits=measure.logits):
        as_logits = measure.logits and item.role is Role.Y_PRED
        moved = np.float64(np.float32(inputs[item.name] * factor))
        inside = as_logits | np.vectorize(item.domain.contains)(moved)
        inputs[item.name] = np.where(inside, moved, inputs[item.name])
    return replace(batch, inputs=inputs)
