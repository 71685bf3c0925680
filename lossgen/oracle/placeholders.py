"""Values that can stand in for dropped elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lossgen.analysis.orderings import ordered
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.ir.expr import Role
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Placeholders
from lossgen.oracle.evaluation import environment
from lossgen.oracle.samples import sample, sample_shape

_CANDIDATES = (0.0, 0.5, 1.0, -1.0, 0.25, 2.0, -0.5, 1.5, 10.0, -10.0)


class NoPlaceholderError(ValueError):
    """No constant input makes the loss and its gradient finite."""

    help = "widen the domains, or write the formula so that one is"


def placeholders(loss: Loss) -> Placeholders:
    """Constants at which the loss and its gradient are finite.

    An element that a mask or a zero weight drops is computed with them, so that
    whatever it held cannot make NaN of its gradient. A label that the label mask keeps
    comes before others: a sample of weight 0 counts in a mean.

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
    raise NoPlaceholderError(
        "no constant input was found at which the loss and its gradient are finite; "
        "masked samples need one"
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


def _is_finite(loss: Loss, found: Placeholders) -> bool:
    batch = sample(loss, 1, 0, defaults=True)
    inputs = {
        item.name: np.full(sample_shape(loss, item, 1), found.of(item))
        for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)
    }
    moving = {item.name: 1 for item in loss.of_role(Role.Y_PRED)}
    try:
        germ(loss.expression, {**inputs, **batch.parameters}, moving)
    except Undefined:
        return False
    return True
