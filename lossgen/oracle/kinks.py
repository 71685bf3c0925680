"""Points on the kinks of a loss, and the slopes that its operations may give there.

Only points that float32 arithmetic hits exactly are of use: multiples of 1/8, on kinks
that such numbers lead to by arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count, product
from typing import Any

import numpy as np
from mpmath import mpf

from lossgen.analysis.guards import Guard, guards
from lossgen.analysis.loci import Locus, loci
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import Sample, generic, satisfying, typical_length
from lossgen.calculus.arrays import Array, along_rows
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.calculus.jets import Ties
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Role, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.reference import KinkRow
from lossgen.oracle.evaluation import Formula, environment
from lossgen.oracle.samples import Batch, joined, nested

_ROWS = 16
_EACH = 2  # points on each kink
_GRID = 8
_FINEST = 1024
_DIGITS = 60
_TIED = mpf(10) ** -25
_MAX_TIES = 6
_APART, _NOTHING = 1e-3, 1e-6  # slopes closer than that tell nothing in float32
_ROUNDING = frozenset(
    op
    for op, row in FUNCTIONS.items()
    if row.kind in (Kind.SMOOTH, Kind.ALONG) and op not in ("square", "stop_gradient")
) | {"mean", "logsumexp", "pow"}


_BESIDE = 2.0**-8  # less than what 1 % of a threshold is, and exact


@dataclass(frozen=True)
class KinkPoint:
    """A sample on a kink: as a row of the table, and as a batch of one.

    ``name`` is that of the prediction whose first element is on the kink.
    """

    row: KinkRow
    batch: Batch
    name: str


def points_on_kinks(loss: Loss) -> Iterator[KinkPoint]:
    """Points where operations change formulas, two on each kink where there are.

    Args:
        loss: The author's formula.
    """
    sample = None if Formula(loss, loss.expression).tied else _short(loss)
    if sample is None:
        return
    seen: set[str] = set()
    for guard in guards(loss.expression, Ranges.of_loss(loss)):
        if not _is_exact(guard):
            continue
        for variable in loss.of_role(Role.Y_PRED):
            for place in loci(guard, variable, sample) or ():
                if place.name not in seen:
                    seen.add(place.name)
                    for row, batch in _rows(loss, place):
                        yield KinkPoint(row, batch, variable.name)


def beside_kinks(loss: Loss, points: tuple[KinkPoint, ...]) -> Batch | None:
    """The points moved a little to either side, as one batch."""
    moved = [
        replace(point.batch, inputs={**point.batch.inputs, point.name: array})
        for point in points
        for array in _moved(loss.variable(point.name), point.batch.inputs[point.name])
    ]
    alike = [item for item in moved if _is_stackable(loss, item, moved[0])]
    return _stacked(loss, alike) if len(alike) > 1 else None


def _moved(variable: Variable, array: Array) -> Iterator[Array]:
    for step in (-_BESIDE, _BESIDE):
        result = array.copy()
        result.flat[0] += step
        if variable.domain.contains(float(result.flat[0])):
            yield result


def _is_stackable(loss: Loss, one: Batch, other: Batch) -> bool:
    """Whether two batches have the parameters of all samples in common."""
    return all(
        item.shape == "elements"
        or np.array_equal(one.parameters[item.name], other.parameters[item.name])
        for item in loss.parameters
    )


def _stacked(loss: Loss, batches: list[Batch]) -> Batch:
    first = batches[0]
    elements = {item.name for item in loss.parameters if item.shape == "elements"}
    inputs = {
        name: np.concatenate([item.inputs[name] for item in batches])
        for name in first.inputs
    }
    parameters = {
        name: np.concatenate([item.parameters[name] for item in batches])
        if name in elements
        else array
        for name, array in first.parameters.items()
    }
    return Batch(inputs, parameters)


def _is_exact(guard: Guard) -> bool:
    """Whether computing a guard rounds nothing for short numbers."""
    nodes = (n for n in walk(guard.difference) if isinstance(n, Apply))
    return guard.node.op not in ("amax", "amin") and not any(
        n.op in _ROUNDING for n in nodes
    )


# Short numbers ------------------------------------------------------------------------


def _short(loss: Loss) -> Sample | None:
    """Points of the domain whose inputs are multiples of 1/8."""
    drawn = generic(loss, last=typical_length(loss), rows=_ROWS)
    if drawn is None:
        return None
    environment = dict(drawn.environment)
    for variable in loss.of_role(Role.Y_TRUE, Role.Y_PRED, Role.PARAMETER):
        array = environment[variable.name]
        if variable.domain.along_last_axis:
            return None
        if variable.domain.labels or variable.domain.kind is DomainKind.COUNT:
            continue
        if variable.role is Role.PARAMETER and variable.shape != "elements":
            array = np.asarray(np.broadcast_to(array[:1], array.shape))
        numbers = [_nearest(variable, item) for item in array.flat]
        if None in numbers:
            return None
        environment[variable.name] = _shaped(numbers, array.shape)
    found = satisfying(loss, replace(drawn, environment=environment))
    return found if found.rows else None


def _nearest(variable: Variable, value: Fraction) -> Fraction | None:
    """A multiple of 1/8 next to a value in a domain; not 0, an end of many."""
    middle = round(value * _GRID)
    near = (Fraction(middle + k, _GRID) for k in (0, 1, -1) if middle + k)
    return next((item for item in near if variable.domain.contains(float(item))), None)


def _shaped(numbers: list[Fraction | None], shape: tuple[int, ...]) -> Array:
    result: Array = np.empty(shape, dtype=object)
    result.reshape(-1)[:] = numbers
    return result


# Rows ---------------------------------------------------------------------------------


def _rows(loss: Loss, place: Locus) -> Iterator[tuple[KinkRow, Batch]]:
    formula = Formula(loss, loss.expression)
    element = _element(loss, place)
    numbers = np.arange(place.sample.rows)
    batches = (_batch(loss, place.sample.only(numbers == row)) for row in numbers)
    count = 0
    for batch in batches:
        if batch is None or count == _EACH:
            continue
        try:
            slopes = _slopes(formula, place.variable, batch)
        except Undefined:
            continue
        if slopes is None:
            continue
        count += 1
        parameters = {
            item.name: nested(batch.parameters[item.name]) for item in loss.parameters
        }
        row = KinkRow(
            parameters=parameters,
            y_true=joined(loss, batch, Role.Y_TRUE, 0),
            y_pred=joined(loss, batch, Role.Y_PRED, 0),
            element=element,
            low=float(slopes[0]),
            high=float(slopes[1]),
        )
        yield row, batch


def _slopes(
    formula: Formula, variable: Variable, batch: Batch
) -> tuple[Any, Any] | None:
    """The least and the largest slope that is right; None where nothing is to be told.

    Where the sides of the whole loss agree it is theirs, however the operations lean:
    pieces meet smoothly there, unless several elements share an extreme.
    """
    index = (0,) * batch.inputs[variable.name].ndim
    sides = [
        formula.slope(variable, index, batch, _DIGITS, side=side) for side in (-1, 1)
    ]
    leaning = _leaning_slopes(formula, variable, batch)
    if not _apart(leaning):
        return None
    smooth = not _apart(sides) and not _shares_an_extreme(formula, batch)
    return _ends(sides if smooth else [*sides, *leaning])


def _shares_an_extreme(formula: Formula, batch: Batch) -> bool:
    """Whether several elements are the largest or the smallest of a row."""
    run = Evaluation(environment(batch), batch.mask)
    for node in walk(formula.expression):
        if isinstance(node, Apply) and node.op in ("amax", "amin"):
            assert node.axis is not None
            rows, _ = along_rows(run.value(node.args[0]), node.axis, run.rank)
            for row in rows.reshape(-1, rows.shape[-1]):
                kept = sorted(item for item in row if item is not None)
                pair = kept[-2:] if node.op == "amax" else kept[:2]
                if len(pair) == 2 and pair[0] == pair[1]:
                    return True
    return False


def _leaning_slopes(formula: Formula, variable: Variable, batch: Batch) -> list[Any]:
    """The slopes if each operation that is on an edge takes one side or the other.

    Each operation has a part in the slope once: between these lies all that the chain
    rule makes of one-sided slopes.
    """
    index = (0,) * batch.inputs[variable.name].ndim

    def leaning(signs: Iterable[int]) -> Any:
        taken = iter(signs)
        ties = Ties(_TIED, by_value=True, lean=lambda: next(taken, 1))
        return formula.slope(variable, index, batch, _DIGITS, ties=ties)

    endless = count()
    first = leaning(1 for _ in endless)
    met = next(endless)
    if met > _MAX_TIES:
        return [first]
    return [leaning(signs) for signs in product((-1, 1), repeat=met)]


def _ends(slopes: list[Any]) -> tuple[Any, Any]:
    return min(slopes), max(slopes)


def _apart(slopes: list[Any]) -> bool:
    low, high = _ends(slopes)
    return bool(high - low > _APART * (abs(low) + abs(high)) + _NOTHING)


def _element(loss: Loss, place: Locus) -> int:
    """Where the element that is at the kink stands in y_pred, flattened."""
    offset = 0
    for variable in loss.of_role(Role.Y_PRED):
        if variable == place.variable:
            break
        offset += place.sample.environment[variable.name].shape[-1]
    return offset


def _batch(loss: Loss, sample: Sample) -> Batch | None:
    """One row of a sample as the generated code takes it, if its numbers are short."""
    inputs: dict[str, Array] = {}
    parameters: dict[str, Array] = {}
    for variable in loss.variables:
        array = sample.environment[variable.name]
        if not all(_is_short(item) for item in array.flat):
            return None
        numbers = np.array([float(item) for item in array.flat]).reshape(array.shape)
        if variable.role is Role.SIZE:
            parameters[variable.name] = numbers
        elif variable.role in (Role.Y_TRUE, Role.Y_PRED):
            inputs[variable.name] = numbers
        elif variable.shape == "scalar":
            parameters[variable.name] = numbers.reshape(-1)[0]
        elif variable.shape == "last":
            parameters[variable.name] = numbers.reshape(-1, numbers.shape[-1])[0]
        else:
            parameters[variable.name] = numbers
    return Batch(inputs, parameters)


def _is_short(value: Any) -> bool:
    return bool(abs(value) < _FINEST and value * _FINEST == int(value * _FINEST))
