"""Samples at the ends of the domain, where a loss has to stay finite."""

from __future__ import annotations

import numpy as np

from lossgen.calculus.evaluate import Undefined, germ
from lossgen.ir.expr import Role
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.reference import Nested
from lossgen.oracle.evaluation import environment
from lossgen.oracle.samples import Batch, ends, joined, sample
from lossgen.oracle.tolerance import EPSILON

_GUARD = 1e-18
_INSIDE = 1e-6
_LARGEST = 1e30  # leaves room for sums and products on the way


def end_samples(loss: Loss) -> tuple[tuple[Nested, Nested], ...]:
    """Samples whose prediction is at an end of the domain in every component."""
    if any(item.shape == "elements" for item in loss.parameters):
        return ()  # the parameter has one value for each element of the cases
    batch = sample(loss, 1, 3, defaults=True)
    rows = []
    for variable in loss.of_role(Role.Y_PRED):
        for point in ends(variable.domain, loss.spec.epsilon or _INSIDE):
            array = np.full(batch.inputs[variable.name].shape, point)
            inputs = {**batch.inputs, variable.name: array}
            moved = Batch(inputs, batch.parameters)
            if _is_representable(loss, variable, moved):
                y_true = joined(loss, moved, Role.Y_TRUE, 0)
                rows.append((y_true, joined(loss, moved, Role.Y_PRED, 0)))
    return tuple(rows)


def _is_representable(loss: Loss, variable: Variable, batch: Batch) -> bool:
    """Whether value and slope, if need be at the guard point, are float32 numbers."""
    domain = variable.domain
    epsilon = loss.spec.epsilon or _GUARD
    inside = dict(environment(batch))
    for bound, inward in ((domain.lower, 1.0), (domain.upper, -1.0)):
        if bound.value is not None and bound.open:
            limit = bound.approx + inward * max(epsilon, abs(bound.approx) * EPSILON)
            clip = np.maximum if inward > 0 else np.minimum
            inside[variable.name] = clip(inside[variable.name], limit)
    try:
        found = germ(loss.expression, inside, {variable.name: 1})
    except Undefined:
        return False
    return all(abs(item) < _LARGEST for part in found for item in part.flat)
