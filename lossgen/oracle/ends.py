"""Samples at the ends of the domain and beyond them.

There a loss has to stay finite. Of a prediction beyond a guard point it has the value
and the slope of that point; both come from the author's formula.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Expr, Role
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Guard
from lossgen.ir.reference import EndRow
from lossgen.oracle.evaluation import Formula, floats, kept_by
from lossgen.oracle.samples import Batch, ends, joined, nested, rounded, sample
from lossgen.oracle.tolerance import EPSILON, of_operations, tolerance

_INSIDE = 1e-6
_LARGEST = 1e37  # leaves room for sums on the way
_DIGITS = 40
_COUNTS = (0.0, 2.0)


def end_samples(
    formula: Formula, computed: Expr, parameters: Mapping[str, Array]
) -> tuple[EndRow, ...]:
    """Samples whose prediction is at an end of the domain, most in every component.

    Args:
        formula: The author's formula, from which value and gradient come.
        computed: The form of it that the generated code computes.
        parameters: The values of the parameters.
    """
    loss = formula.loss
    if loss.varies_by_element:
        return ()  # the parameter has one value for each element of the cases
    drawn = replace(sample(loss, 1, 3, defaults=True), parameters=parameters)
    found = (
        _row(formula, Formula(loss, computed), moved)
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


def _row(formula: Formula, computed: Formula, batch: Batch) -> EndRow | None:
    """None where value or slope, if need be at the guard point, are too large."""
    loss, inputs = formula.loss, dict(batch.inputs)
    for guard in formula.guards:
        name = guard.prediction.name
        inputs[name] = held(guard, inputs[name])
    inside = replace(batch, inputs=inputs)
    try:
        values, right, left = formula.both_sides(inside, _DIGITS)
        exact = floats(values), floats(right)
        off_values, off_slopes = of_operations(formula, computed, inside, exact)
    except Undefined:
        return None
    if any((np.abs(item) >= _LARGEST).any() for item in (*exact, floats(left))):
        return None
    value, slope = exact
    off = off_values.sum() + EPSILON * np.abs(value).sum()
    known = not formula.tied and bool((right == left).all())
    total = float(value.sum()) if known else 0.0
    return EndRow(
        y_true=joined(loss, batch, Role.Y_TRUE, 0),
        y_pred=joined(loss, batch, Role.Y_PRED, 0),
        total=total,
        total_tolerance=_allowed(total, off, known),
        gradient=nested(slope[0]),
        gradient_tolerance=nested(np.vectorize(_allowed)(slope, off_slopes, known)[0]),
    )


def _allowed(value: float, off: float, known: bool) -> float:
    found = tolerance(value, off) if known else np.inf
    assert isinstance(found, float)
    return found


def held(guard: Guard, array: Array) -> Array:
    """The prediction, or the guard point that it lies beyond, in float32."""
    if guard.low is not None:
        array = np.maximum(array, in_float32(guard.low))
    if guard.high is not None:
        array = np.minimum(array, in_float32(guard.high))
    return array


def in_float32(point: Expr) -> float:
    """A guard point as a float32 number."""
    if isinstance(point, Apply) and point.op in _TOWARDS:
        end = np.float32(_constant(point.args[0]))
        return float(np.nextafter(end, np.float32(_TOWARDS[point.op])))
    return rounded(_constant(point))


def _constant(expr: Expr) -> float:
    return float(evaluate(expr, {}).flat[0])


_TOWARDS = {"above": np.inf, "below": -np.inf}
