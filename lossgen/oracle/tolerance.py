"""How far a computed value may be from the reference.

The scale is condition-aware: a unit in the last place of the result, and what a
rounding of each input changes. To that comes what the roundings of the computed form
cost, since no code can do better than its own operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined
from lossgen.ir.expr import (
    ONE,
    Apply,
    Constant,
    Expr,
    Number,
    Role,
    div,
    mul,
    rebuild_as_written,
)
from lossgen.ir.loss import Variable
from lossgen.ir.reference import Nested
from lossgen.oracle.evaluation import Formula, cells, floats
from lossgen.oracle.roundoff import Roundoff
from lossgen.oracle.samples import LONG, PERIOD, Batch

EPSILON = 2.0**-23
"""One unit in the last place of a float32 number just above 1."""

_ULPS = 16
_ACCURATE = 8
_RUNS = 4
_GROUPS = 16  # inputs of a sample that are moved together, where there are more
_DIGITS = 40
_TINY = 2.0**-126  # below it float32 flushes to 0, which is right, too
_DOUBLE = 2.0**-29  # a unit of float64 in those of float32


@dataclass(frozen=True)
class Deviations:
    """What roundings change, of values and of gradient: of inputs, and of operations.

    ``exact`` are values and gradient themselves.
    """

    exact: list[Array]
    by_inputs: list[Array]
    by_operations: list[Array]

    @property
    def total(self) -> list[Array]:
        """Both together."""
        pairs = zip(self.by_inputs, self.by_operations, strict=True)
        return [moved + noise for moved, noise in pairs]

    def accurate(self, rows: int) -> Array:
        """In which samples there are digits to be had, and the operations keep them."""
        kept: Array = np.ones(rows, dtype=bool)
        for exact, moved, noise in zip(
            self.exact, self.by_inputs, self.by_operations, strict=True
        ):
            size = np.maximum(np.abs(exact), _TINY)
            near = noise <= np.maximum(_ACCURATE * (EPSILON * size + moved), _TINY)
            near &= _ULPS * (moved + noise) <= size
            kept &= near.reshape(len(noise), -1).all(axis=1)
        return kept


def deviations(formula: Formula, computed: Formula, batch: Batch) -> Deviations:
    """What one rounding of everything changes in values and gradient.

    Args:
        formula: The author's formula.
        computed: The form that the generated code computes.
        batch: The samples.
    """
    exact = [floats(found) for found in formula.evaluated(batch, _DIGITS)]
    by_inputs = _sensitivity(formula, batch, exact)
    for moved, by_parameters in zip(
        by_inputs, _by_parameters(formula, batch, exact), strict=True
    ):
        moved += by_parameters
    return Deviations(exact, by_inputs, _of_operations(computed, batch, exact))


def of_operations(
    formula: Formula, computed: Formula, batch: Batch, exact: Sequence[Array]
) -> list[Array]:
    """The same for inputs that are not rounded: of parameters and operations alone."""
    pairs = zip(
        _by_parameters(formula, batch, exact),
        _of_operations(computed, batch, exact),
        strict=True,
    )
    return [moved + noise for moved, noise in pairs]


def in_double(
    found: Callable[[Roundoff], Sequence[Array]], exact: Sequence[Array]
) -> list[Array]:
    """What 16 roundings of operations change in float64, inputs being exact.

    Args:
        found: Computes the numbers, with the roundings of a run.
        exact: What they are.
    """
    noise = _roundoff(found, [floats(array) for array in exact])
    return [_ULPS * _DOUBLE * off for off in noise]


def tolerance(value: Any, deviation: Any, margin: Any = 0.0) -> Nested:
    """16 units in the last place, and as many roundings of inputs and operations.

    ``margin`` comes on top, where more than one value is right.
    """
    if np.ndim(value):
        margins = np.broadcast_to(margin, np.shape(value))
        rows = zip(value, deviation, margins, strict=True)
        return tuple(tolerance(*row) for row in rows)
    if value is None:
        return 0.0
    size = abs(float(value))
    allowed = _ULPS * (max(size, _TINY) * EPSILON + float(deviation))
    if allowed == math.inf:
        return allowed
    if 0 < size < _TINY:
        allowed = max(allowed, _TINY)
    return float(f"{allowed + float(margin):.1e}")


def _sensitivity(formula: Formula, batch: Batch, exact: list[Array]) -> list[Array]:
    """How far value and gradient move when each input moves by its rounding."""
    moved = [np.zeros(found.shape) for found in exact]
    directions = list(_directions(formula, batch))
    up = [_shifted(batch, *direction, EPSILON) for direction in directions]
    found = formula.where_defined(up, _DIGITS)
    for direction, results in zip(directions, found, strict=True):
        if results is None:  # at the upper end of the domain
            down = _shifted(batch, *direction, -EPSILON)
            (results,) = formula.where_defined([down], _DIGITS)
        if results is None:
            continue  # it is the only point
        for total, new, old in zip(moved, results, exact, strict=True):
            total += np.abs(floats(new) - old)
    return moved


def _by_parameters(
    formula: Formula, batch: Batch, exact: Sequence[Array]
) -> list[Array]:
    """How far they move when parameters are rounded to float32, which is no error."""
    rounded = {
        name: np.float64(np.float32(value)) for name, value in batch.parameters.items()
    }
    found = formula.evaluated(Batch(batch.inputs, rounded, batch.mask), _DIGITS)
    pairs = zip(found, exact, strict=True)
    return [np.abs(floats(new) - old) for new, old in pairs]


_Index = tuple[Any, ...]


def _directions(
    formula: Formula, batch: Batch
) -> Iterator[tuple[Variable, list[_Index]]]:
    """The elements of inputs that are moved together."""
    for variable in formula.loss.of_role(Role.Y_TRUE, Role.Y_PRED):
        if not _is_exact(variable):
            array = batch.inputs[variable.name]
            for group in _groups(cells(array, formula.tied), array.shape[-1]):
                yield variable, group


def _groups(indices: list[_Index], last: int) -> list[list[_Index]]:
    """Neighbours are never moved together, repeated elements always."""
    if last > LONG:
        return [[i for i in indices if i[-1] % PERIOD == k] for k in range(PERIOD)]
    return [indices[k::_GROUPS] for k in range(min(_GROUPS, len(indices)))]


def _shifted(
    batch: Batch, variable: Variable, indices: Sequence[_Index], step: float
) -> Batch:
    """The batch with some elements moved by a share of them."""
    shifted = batch.inputs[variable.name].copy()
    for index in indices:
        shifted[index] *= 1 + step
    return replace(batch, inputs={**batch.inputs, variable.name: shifted})


def _of_operations(
    computed: Formula, batch: Batch, exact: Sequence[Array]
) -> list[Array]:
    """How far off the computed form is when every operation rounds."""
    steps = rebuild_as_written(computed.expression, _steps)
    rounded = replace(computed, expression=steps)
    several = batch.rows > 1 and not computed.tied
    try:
        return _roundoff(
            lambda rounding: rounded.evaluated(batch, _DIGITS, rounding=rounding),
            exact,
            needed=_RUNS if several else 1,
        )
    except Undefined:
        if not several:
            return [np.full(array.shape, np.inf) for array in exact]
    rows = np.arange(batch.rows)
    alone = [
        _of_operations(
            computed, batch.only(rows == row), [a[rows == row] for a in exact]
        )
        for row in rows
    ]
    return [np.concatenate(parts) for parts in zip(*alone, strict=True)]


def _roundoff(
    found: Callable[[Roundoff], Sequence[Array]],
    exact: Sequence[Array],
    needed: int = 1,
) -> list[Array]:
    """How far off what a few runs find is.

    Raises:
        Undefined: If rounding takes an argument out of its domain in so many runs that
            fewer are left than are needed.
    """
    off = [np.zeros(array.shape) for array in exact]
    failed = 0
    for seed in range(_RUNS):
        try:
            run = found(Roundoff(seed))
        except Undefined:
            failed += 1
            if _RUNS - failed < needed:
                raise
            continue
        off = [
            np.maximum(worst, _distance(floats(new), old))
            for worst, new, old in zip(off, run, exact, strict=True)
        ]
    return off


def _distance(found: Array, exact: Array) -> Array:
    """How far numbers are apart; nothing is known of one that is infinite or NaN."""
    return np.where(np.isfinite(found), np.abs(found - exact), np.inf)


def _steps(node: Expr) -> Expr:
    """An operation as the several that its helper function is made of.

    A constant that float32 does not hold is a result that is rounded, too.
    """
    if isinstance(node, Apply) and node.op == "l2_normalize":
        (arg,) = node.args
        return mul(arg, div(ONE, Apply("norm", (arg,), node.axis)))
    if isinstance(node, Apply) and node.op == "div":
        return _quotient(*node.args)
    if isinstance(node, Constant) or (
        isinstance(node, Number) and _in_float32(node.value) != node.value
    ):
        return Apply("mul", (node, ONE))
    return node


def _in_float32(value: Fraction) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(float(value)))


def _quotient(top: Expr, bottom: Expr) -> Expr:
    """What XLA computes of it and of its slopes: of quotients in it, products."""
    if inner := _parts(top):
        over, under = inner
        node = Apply("div", (over, Apply("mul", (under, bottom))))
    elif inner := _parts(bottom):
        over, under = inner
        node = Apply("div", (Apply("mul", (top, under)), over))
    else:
        node = Apply("div", (top, bottom))
    by_top = Apply("div", (ONE, bottom))
    by_bottom = Apply("neg", (Apply("div", (top, Apply("mul", (bottom, bottom)))),))
    return Apply("with_slopes", (node, top, by_top, bottom, by_bottom))


def _parts(expr: Expr) -> tuple[Expr, Expr] | None:
    """Of a quotient as `_quotient` writes it."""
    if isinstance(expr, Apply) and expr.op == "with_slopes" and len(expr.args) == 5:
        _, top, by_top, bottom, _ = expr.args
        if by_top == Apply("div", (ONE, bottom)):
            return top, bottom
    return None


def _is_exact(variable: Variable) -> bool:
    """Whether it holds labels or counts, which float32 does not round."""
    domain = variable.domain
    return bool(domain.labels) or domain.kind.value in ("count", "one_hot")
