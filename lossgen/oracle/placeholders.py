"""Values that can stand in for dropped elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lossgen.analysis.orderings import ordered
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.ir.expr import Role
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import VARIED, Placeholders
from lossgen.oracle.evaluation import environment
from lossgen.oracle.samples import sample, sample_shape

_CANDIDATES = (0.0, 0.5, 1.0, -1.0, 0.25, 2.0, -0.5, 1.5, 10.0, -10.0)


class NoPlaceholderError(ValueError):
    """No input that could stand in for a dropped one has a finite loss and gradient."""

    help = (
        "add a small constant to what is 0 there, such as a denominator, or widen the "
        "domains"
    )


def placeholders(loss: Loss) -> Placeholders:
    """Constants at which the loss and its gradient are finite.

    An element that a mask or a zero weight drops is computed with them, so that
    whatever it held cannot make NaN of its gradient. A label that the label mask keeps
    comes before others: a sample of weight 0 counts in a mean.

    Where no constants will do, as for a correlation, the elements vary.

    Raises:
        NoPlaceholderError: If none of the candidates will do.
    """
    targets = _candidates(loss.of_role(Role.Y_TRUE))
    predictions = _candidates(loss.of_role(Role.Y_PRED))
    for y_true in sorted(targets or [0.0], key=lambda label: not _counts(loss, label)):
        for y_pred in predictions:
            found = Placeholders(y_true, y_pred, _counts(loss, y_true))
            for item in (found, _in_order(loss, found)):
                if item is not None and _is_finite(loss, item):
                    return item
    varied = Placeholders(0.5, 0.5, varied=True)
    if _may_vary(loss) and _is_finite(loss, varied):
        return varied
    raise NoPlaceholderError(
        "neither equal inputs nor unequal ones were found at which the loss and its "
        "gradient are finite; samples that are masked or of weight 0 need some"
    )


def _may_vary(loss: Loss) -> bool:
    """Whether each tensor may hold any numbers near 1/2."""
    items = loss.of_role(Role.Y_TRUE, Role.Y_PRED)
    low, high = 0.5 - VARIED, 0.5 + VARIED
    return (
        loss.mask is None
        and not any(item.channel for item in items)
        and not any(item.domain.labels or item.domain.along_last_axis for item in items)
        and all(item.domain.contains(x) for item in items for x in (low, 0.5, high))
    )


def _counts(loss: Loss, label: float) -> bool:
    """Whether the label mask keeps a sample, or a part of it, with that label alone."""
    if loss.spec.y_true.ignore is not None:
        return label != loss.spec.y_true.ignore
    if loss.mask is None:
        return True
    batch = sample(loss, 1, 0, defaults=True)
    targets = loss.of_role(Role.Y_TRUE)
    inputs = {v.name: np.full(sample_shape(loss, v, 1), label) for v in targets}
    found = evaluate(loss.mask, environment(replace(batch, inputs=inputs)))
    return bool(np.asarray(found, dtype=bool).any())


def _candidates(variables: Sequence[Variable]) -> list[float]:
    middles = [
        (v.domain.lower.approx + v.domain.upper.approx) / 2
        for v in variables
        if v.domain.lower.value is not None and v.domain.upper.value is not None
    ]
    return [
        value
        for value in (*_CANDIDATES, *middles)
        if all(item.domain.contains(value) for item in variables)
    ]


def _in_order(loss: Loss, found: Placeholders) -> Placeholders | None:
    """Different values for channels that are assumed to be in an order."""
    items = loss.of_role(Role.Y_TRUE, Role.Y_PRED)
    if not loss.assume or not all(isinstance(item.size, int) for item in items):
        return None
    values = ordered(loss, {item.name: np.array([found.of(item)]) for item in items})
    return replace(found, channels={name: float(x[0]) for name, x in values.items()})


def _filled(found: Placeholders, item: Variable, shape: tuple[int, ...]) -> Array:
    """What stands in for a whole batch."""
    if not found.varied:
        return np.full(shape, found.of(item))
    place = np.arange(np.prod(shape)).reshape(shape)
    phase = 0.0 if item.role is Role.Y_TRUE else 1.0
    return np.asarray(found.of(item) + VARIED * np.cos(place + phase))


def _is_finite(loss: Loss, found: Placeholders) -> bool:
    rows = 3 if found.varied else 1
    batch = sample(loss, rows, 0, defaults=True)
    inputs = {
        item.name: _filled(found, item, sample_shape(loss, item, rows))
        for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)
    }
    moving = {item.name: 1 for item in loss.of_role(Role.Y_PRED)}
    try:
        germ(loss.expression, {**inputs, **batch.parameters}, moving)
    except Undefined:
        return False
    return True
