"""Where the gradient of a loss is exactly 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.guards import Guard, guards
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import (
    Sample,
    generic,
    satisfying,
    typical_length,
    uses_axis,
)
from lossgen.analysis.spelling import spell_relation, spell_symbol
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Apply, Axis, Expr, Role
from lossgen.ir.loss import Loss, Variable

_ROWS = 10
_DIGITS = 30
_ZERO = mpf(10) ** -22
_SPREADS = (1, 1, 4, 12)


def find_flat_regions(loss: Loss, report: Report) -> None:
    """Report where no gradient reaches y_pred: everywhere, or on part of the domain."""
    for variable in loss.of_role(Role.Y_PRED):
        _inspect(loss, variable, report)


@dataclass(frozen=True)
class _Slopes:
    """The slope in each row of one draw of y_pred; the data is the same in each."""

    sample: Sample
    slopes: tuple[Any, ...]


def _inspect(loss: Loss, variable: Variable, report: Report) -> None:
    # Without a branch the loss is analytic: flat nowhere or everywhere.
    branches = guards(loss.expression, Ranges.of_loss(loss))
    draws = list(_draws(loss, variable, _SPREADS if branches else _SPREADS[:2]))
    slopes = [slope for draw in draws for slope in draw.slopes]
    if not slopes:
        return
    name = spell_symbol(variable.name)
    if all(abs(slope) < _ZERO for slope in slopes):
        _report_dead(loss, variable, draws, name, report)
        return
    flat = _flat_rows(draws) if branches else []
    if flat:
        draw, row = flat[0]
        where = _description(loss, draws) or draw.sample.describe(
            row, tuple(draw.sample.environment)
        )
        report.add(
            "LG407",
            f"the gradient is 0 on part of the domain of {name}",
            loss.expression.span,
            notes=(f"for instance where {where}",),
        )


def _report_dead(
    loss: Loss, variable: Variable, draws: list[_Slopes], name: str, report: Report
) -> None:
    if _is_independent(loss, variable, draws):
        report.add(
            "LG404",
            f"the loss does not depend on {name}",
            loss.expression.span,
            notes=("its value stays the same at random points",),
        )
        return
    report.add(
        "LG403",
        f"the gradient with respect to {name} is 0 almost everywhere",
        loss.expression.span,
        notes=("nothing can be learnt from it",),
    )


def _is_independent(loss: Loss, variable: Variable, draws: list[_Slopes]) -> bool:
    """Whether the value stays the same when only this variable changes."""
    base = draws[0].sample.environment
    first = evaluate(loss.expression, base, digits=_DIGITS)
    for draw in draws[1:]:
        other = {**base, variable.name: draw.sample.environment[variable.name]}
        try:
            second = evaluate(loss.expression, other, digits=_DIGITS)
        except Undefined:
            continue
        pairs = zip(first.flat, second.flat, strict=True)
        if any(abs(a - b) > _ZERO * (1 + abs(a)) for a, b in pairs):
            return False
    return True


def _flat_rows(draws: list[_Slopes]) -> list[tuple[_Slopes, int]]:
    """Rows without slope whose data has a slope elsewhere.

    Where a label switches a term off for every prediction, nothing is flat: the loss
    does not look at that prediction.
    """
    alive = {
        row
        for draw in draws
        for row, slope in enumerate(draw.slopes)
        if abs(slope) >= _ZERO
    }
    return [
        (draw, row)
        for draw in draws
        for row, slope in enumerate(draw.slopes)
        if slope == 0 and row in alive
    ]


# Draws --------------------------------------------------------------------------------


def _draws(
    loss: Loss, variable: Variable, spreads: tuple[int, ...]
) -> Iterator[_Slopes]:
    """The same data with several predictions, the later ones further out."""
    base = generic(loss, last=typical_length(loss), rows=_ROWS)
    if base is None:
        return
    predicted = [item.name for item in loss.of_role(Role.Y_PRED)]
    for salt, spread in enumerate(spreads):
        other = generic(loss, last=base.last, rows=_ROWS, salt=100 + salt)
        if other is None or other.rows != base.rows:
            continue
        moved = {
            name: _spread(loss.variable(name), other.environment[name], spread)
            for name in predicted
        }
        sample = replace(base, environment={**base.environment, **moved})
        if satisfying(loss, sample).rows != base.rows:
            continue
        found = _slopes(loss, variable, sample)
        if found is not None:
            yield found


def _spread(variable: Variable, array: Any, factor: int) -> Any:
    unbounded = variable.domain.lower.value is None and (
        variable.domain.upper.value is None
    )
    return array * Fraction(factor) if unbounded else array


def _slopes(loss: Loss, variable: Variable, sample: Sample) -> _Slopes | None:
    """Per row, the largest slope along a few directions.

    The second derivative counts as well: a minimum is no region.
    """
    shape = sample.environment[variable.name].shape
    tied = uses_axis(loss.expression, Axis.BATCH)
    found: list[list[Any]] = []
    for scale in (1, 3):
        direction = np.zeros(shape, dtype=int)
        for row in direction[:1] if tied else direction:
            row[...] = (np.arange(row.size) % 5 * scale + 1).reshape(row.shape)
        try:
            _, *slopes = germ(
                loss.expression,
                sample.environment,
                {variable.name: direction},
                order=2 if scale == 1 else 1,
                digits=_DIGITS,
            )
        except Undefined:
            return None
        found.extend(_largest_by_row(slope, sample.rows) for slope in slopes)
    largest = tuple(max(items) for items in zip(*found, strict=True))
    return _Slopes(sample, largest)


def _largest_by_row(array: Any, rows: int) -> list[Any]:
    if not array.ndim or array.shape[0] != rows:
        return [max(abs(item) for item in array.flat)]
    return [
        max(abs(item) for item in np.asarray(row, dtype=object).flat) for row in array
    ]


# Words --------------------------------------------------------------------------------


def _description(loss: Loss, draws: list[_Slopes]) -> str | None:
    """A guard whose sign tells the flat rows from the others."""
    for guard in guards(loss.expression, Ranges.of_loss(loss)):
        for difference, text in _sides(guard):
            if all(_agrees(difference, draw) for draw in draws):
                return text
    return None


def _sides(guard: Guard) -> Iterator[tuple[Expr, str]]:
    difference = guard.difference
    yield difference, spell_relation(difference, ">")
    yield Apply("neg", (difference,)), spell_relation(difference, "<")


def _agrees(difference: Expr, draw: _Slopes) -> bool:
    with mp.workdps(_DIGITS):
        try:
            values = evaluate(difference, draw.sample.environment, digits=_DIGITS)
        except Undefined:
            return False
    if not values.ndim or values.shape[0] != len(draw.slopes):
        return False
    for row, slope in zip(values, draw.slopes, strict=True):
        flat = all(item > 0 for item in np.asarray(row, dtype=object).flat)
        if flat != (slope == 0):
            return False
    return True
