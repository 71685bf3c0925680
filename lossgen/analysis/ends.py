"""Open ends of y_pred's domain at which a loss or its derivative is infinite."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.samples import Sample, at_closed_ends, generic, typical_length
from lossgen.analysis.spelling import spell, spell_symbol
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Expr, Role
from lossgen.ir.loss import Loss, Variable

_ROWS = 6
_DISTANCES = ((20, 49), (40, 120), (80, 120))  # digits between point and end; in use
_LARGE = 5
_GROWTH = mpf("1.3")


def infinite_ends(loss: Loss, report: Report) -> tuple[str, ...]:
    """The ends, as ``y_pred = 0``; each is reported."""
    found = []
    for variable in loss.of_role(Role.Y_PRED):
        for end, side in _open_ends(variable):
            what = _what_diverges(loss, variable, end, side)
            if what is not None:
                place = f"{spell_symbol(variable.name)} = {spell(end)}"
                found.append(place)
                report.add(
                    "LG409",
                    f"{what} is infinite at the open end {place}",
                    loss.expression.span,
                    notes=(
                        "the generated code has the value and the gradient just inside",
                    ),
                )
    return tuple(found)


def _open_ends(variable: Variable) -> Iterator[tuple[Expr, int]]:
    domain = variable.domain
    for bound, side in ((domain.lower, 1), (domain.upper, -1)):
        if bound.value is not None and bound.open:
            yield bound.value, side


def _what_diverges(loss: Loss, variable: Variable, end: Expr, side: int) -> str | None:
    sample = generic(loss, last=typical_length(loss), rows=_ROWS)
    if sample is None:
        return None
    sample = at_closed_ends(loss, sample, Role.Y_TRUE)
    if not sample.rows:
        return None
    series: list[_Near | None] = []
    for distance, digits in _DISTANCES:
        series.append(_near(loss, variable, sample, (end, side), distance, digits))
        if not any(_diverges(series, order) for order in (0, 1)):
            return None
    return "the loss" if _diverges(series, 0) else "the derivative"


_Near = tuple[list[Any], list[Any]]
"""The size of value and slope per row."""


def _near(
    loss: Loss,
    variable: Variable,
    sample: Sample,
    place: tuple[Expr, int],
    distance: int,
    digits: int,
) -> _Near | None:
    """Value and slope per row at 10**-distance from an end, on one side of it."""
    end, side = place
    array = sample.environment[variable.name].copy()
    direction = np.zeros(array.shape, dtype=int)
    exact = evaluate(end, {}, digits=digits).flat[0]
    with mp.workdps(digits):
        near = exact + side * mpf(10) ** -distance
    for row, slope in zip(array, direction, strict=True):
        row.flat[0] = near
        slope.flat[0] = 1
    try:
        value, slope = germ(
            loss.expression,
            {**sample.environment, variable.name: array},
            {variable.name: direction},
            digits=digits,
        )
    except Undefined:
        return None
    return _by_row(value), _by_row(slope)


def _by_row(array: Any) -> list[Any]:
    return [
        max(abs(item) for item in np.asarray(row, dtype=object).flat)
        for row in (array if array.ndim else [array])
    ]


def _diverges(series: list[_Near | None], order: int) -> bool:
    """Whether some row grows each time the end is approached further."""
    points = [item[order] for item in series if item is not None]
    if len(points) < len(series):
        return True
    return any(
        row[0] > _LARGE and all(b > a * _GROWTH for a, b in pairwise(row))
        for row in zip(*points, strict=True)
    )
