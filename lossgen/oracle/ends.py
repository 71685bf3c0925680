"""Samples at the ends of the domain and beyond them.

There a loss has to stay finite, and it goes on linearly from the guard point ``g``:
as ``f(g) + f'(g)*(p - g)``. Where that lies is said here once more, as the language has
it: what the generated code is compared with is not taken from what makes the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined
from lossgen.ir.domain import Bound, DomainKind
from lossgen.ir.expr import Expr, Role
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.reference import EndRow
from lossgen.oracle.evaluation import Formula, floats, kept_by
from lossgen.oracle.samples import Batch, ends, joined, nested, rounded, sample
from lossgen.oracle.tolerance import EPSILON, of_operations, tolerance

_GUARD = 1e-18
_INSIDE = 1e-6
_LARGEST = 1e30  # leaves room for sums and products on the way
_DIGITS = 40
_COUNTS = (0.0, 2.0)


def end_samples(
    loss: Loss, computed: Expr, parameters: Mapping[str, Array]
) -> tuple[EndRow, ...]:
    """Samples whose prediction is at an end of the domain, most in every component.

    Args:
        loss: The author's formula, from which value and gradient come.
        computed: The form of it that the generated code computes.
        parameters: The values of the parameters.
    """
    if loss.varies_by_element:
        return ()  # the parameter has one value for each element of the cases
    drawn = replace(sample(loss, 1, 3, defaults=True), parameters=parameters)
    formulas = Formula(loss, loss.expression), Formula(loss, computed)
    found = (
        _row(*formulas, variable, moved)
        for variable in loss.of_role(Role.Y_PRED)
        for labelled in _with_labels(loss, drawn)
        for batch in (_with_mask(loss, labelled),)
        for moved in _moved(loss, variable, batch)
    )
    return tuple(row for row in found if row is not None)


def _with_labels(loss: Loss, batch: Batch) -> Iterator[Batch]:
    """The batch with two labels, if there are few or they count; with its own else."""
    targets = loss.of_role(Role.Y_TRUE)
    for index in (0, -1) if any(map(_labels, targets)) else (0,):
        inputs = dict(batch.inputs)
        for variable in targets:
            array = batch.inputs[variable.name].copy()
            if variable.domain.kind is DomainKind.ONE_HOT:
                array[...] = np.arange(array.shape[-1]) == 0
            elif labels := _labels(variable):
                array[...] = labels[index]
            inputs[variable.name] = array
        yield replace(batch, inputs=inputs)


def _with_mask(loss: Loss, batch: Batch) -> Batch:
    """The batch with what the label mask keeps of it."""
    if loss.mask is None:
        return batch
    return replace(batch, mask=kept_by(loss.mask, batch))


def _labels(variable: Variable) -> tuple[float, ...]:
    domain = variable.domain
    if domain.kind is DomainKind.COUNT:
        return _COUNTS
    return () if domain.along_last_axis else tuple(map(float, domain.labels))


def _moved(loss: Loss, variable: Variable, batch: Batch) -> Iterator[Batch]:
    """The batch with a prediction at the ends, just inside, and beyond open ones."""
    array = batch.inputs[variable.name]
    points: list[Array] = []
    if variable.domain.kind is DomainKind.SIMPLEX:
        emptied = array.copy()
        emptied[..., 1] += emptied[..., 0]
        emptied[..., 0] = 0
        points.append(np.vectorize(rounded, otypes=[float])(emptied))
    for point in ends(variable.domain, loss.spec.epsilon or _INSIDE):
        points.append(np.full(array.shape, point))
    for moved in points:
        yield replace(batch, inputs={**batch.inputs, variable.name: moved})


def _row(
    formula: Formula, computed: Formula, variable: Variable, batch: Batch
) -> EndRow | None:
    """None where value or slope, if need be at the guard point, are too large."""
    loss, given = formula.loss, batch.inputs[variable.name]
    held = guarded(variable, given, loss.spec.epsilon)
    inside = replace(batch, inputs={**batch.inputs, variable.name: held})
    try:
        values, right, left = formula.both_sides(inside, _DIGITS)
        exact = floats(values), floats(right)
        off_values, off_slopes = of_operations(formula, computed, inside, exact)
    except Undefined:
        return None
    if any((np.abs(item) >= _LARGEST).any() for item in (*exact, floats(left))):
        return None
    value, slope = exact
    beyond = np.concatenate(
        [
            (given if item is variable else batch.inputs[item.name])
            - inside.inputs[item.name]
            for item in loss.of_role(Role.Y_PRED)
        ],
        axis=-1,
    )
    change = slope * beyond
    size = np.abs(value).sum() + np.abs(change).sum()
    off = off_values.sum() + (off_slopes * np.abs(beyond)).sum() + EPSILON * size
    # From beyond a guard point, the slopes of other elements are their own business.
    known = (beyond != 0) | (beyond == 0).all()
    known &= not formula.tied and bool((right == left).all())
    total = float(value.sum() + change.sum()) if known.any() else 0.0
    return EndRow(
        y_true=joined(loss, batch, Role.Y_TRUE, 0),
        y_pred=joined(loss, batch, Role.Y_PRED, 0),
        total=total,
        total_tolerance=_allowed(total, off, known.any()),
        gradient=nested(np.where(known, slope, 0.0)[0]),
        gradient_tolerance=nested(np.vectorize(_allowed)(slope, off_slopes, known)[0]),
    )


def _allowed(value: float, off: float, known: bool) -> float:
    found = tolerance(value, off) if known else np.inf
    assert isinstance(found, float)
    return found


def guarded(variable: Variable, array: Array, epsilon: float | None) -> Array:
    """The prediction, or the guard point that it lies beyond, in float32."""
    domain = variable.domain
    for bound, inward in ((domain.lower, 1.0), (domain.upper, -1.0)):
        if bound.value is not None and bound.open:
            clip = np.maximum if inward > 0 else np.minimum
            array = clip(array, _guard_point(bound, inward, epsilon))
    return array


def _guard_point(bound: Bound, inward: float, epsilon: float | None) -> float:
    if epsilon is not None:
        return rounded(bound.approx + inward * epsilon)
    if bound.rational == 0:
        return rounded(inward * _GUARD)
    return float(np.nextafter(np.float32(bound.approx), np.float32(inward * np.inf)))
