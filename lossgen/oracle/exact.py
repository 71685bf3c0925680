"""Exact values and gradients of an author's formula, and how well conditioned they are.

mpmath evaluates the tree as it was written; nothing of the rewriting has a part in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mpmath import mp, mpf

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined
from lossgen.ir.expr import Apply, Role, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Variable
from lossgen.oracle.evaluation import Formula, cells
from lossgen.oracle.samples import Batch, together

_DIGITS = 100
_MAX_DIGITS = 2000
_AGREEMENT = mpf(10) ** -20
_NO_FLOAT = mpf(10) ** -330  # rounds to 0 in every type
_STEP = mpf(2) ** -150
_SMOOTHLY = 4  # how many roundings of the inputs a gradient changes by, but for kinks
_KINKED = frozenset(row.op for row in FUNCTIONS.values() if row.kind is Kind.KINKED) | {
    "amax",
    "amin",
    "norm",
}


@dataclass(frozen=True)
class Exact:
    """Value and gradient of the samples that have them.

    ``low`` and ``high`` are the ends of the gradients that are right: they differ at a
    kink, and so close to one that a rounding of the inputs alone leads across.
    ``value_condition`` and ``gradient_condition`` are ``sum(|x_i*df/dx_i|)`` over the
    inputs that are not labels.
    """

    batch: Batch
    value: Array
    low: Array
    high: Array
    value_condition: Array
    gradient_condition: Array

    def rows(self) -> Iterator[Exact]:
        """The samples one by one."""
        for row in range(self.batch.rows):
            yield self.only(np.arange(self.batch.rows) == row)

    def only(self, rows: Array) -> Exact:
        """Some of the samples."""
        arrays = (getattr(self, name)[rows] for name in _ARRAYS)
        return Exact(self.batch.only(rows), *arrays)


_ARRAYS = ("value", "low", "high", "value_condition", "gradient_condition")


@dataclass(frozen=True)
class Settled:
    """A reference without conditions, and the digits that settled it.

    ``plain`` has conditions of 0; errors that are measured by it come out no smaller.
    ``right`` is the gradient on the right of kinks.
    """

    plain: Exact
    right: Array
    digits: int

    def only(self, rows: Array) -> Settled:
        """Some of the samples."""
        return Settled(self.plain.only(rows), self.right[rows], self.digits)


def exact(formula: Formula, batch: Batch, unit: float) -> Exact | None:
    """The reference for a batch, without the samples that have none.

    Args:
        formula: The author's formula.
        batch: Samples of it.
        unit: One unit in the last place of a number just above 1, in the type that the
            loss is computed in.

    Returns:
        None if no sample has a value and a gradient.
    """
    parts = [conditioned(formula, part, unit) for part in settled(formula, batch)]
    return combined(parts) if parts else None


def settled(formula: Formula, batch: Batch, most: int | None = None) -> list[Settled]:
    """The same in parts, without the conditions, which cost several times as much.

    Each part has digits of its own. Samples that ``most`` digits do not settle are left
    out: most of their results are next to nothing.
    """
    by_digits: dict[int, list[Settled]] = {}
    for part in _defined(formula, batch, most):
        by_digits.setdefault(part.digits, []).append(part)
    return [
        Settled(
            combined([part.plain for part in parts]),
            np.concatenate([part.right for part in parts]),
            digits,
        )
        for digits, parts in by_digits.items()
    ]


def _defined(formula: Formula, batch: Batch, most: int | None) -> list[Settled]:
    """The reference for the samples that have one, in pieces."""
    try:
        return _settled(formula, batch, _DIGITS, most)
    except Undefined:
        if formula.tied or batch.rows == 1:
            return []
    rows = np.arange(batch.rows)
    halves = (batch.only(rows % 2 == rest) for rest in (0, 1))
    return [part for half in halves for part in _defined(formula, half, most)]


def combined(parts: Sequence[Exact]) -> Exact:
    """The samples of several references in one."""
    arrays = (
        np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS
    )
    return Exact(together([part.batch for part in parts]), *arrays)


def _settled(
    formula: Formula, batch: Batch, digits: int, most: int | None
) -> list[Settled]:
    """The reference, with more digits for the samples that need them."""
    before = formula.evaluated(batch, digits)
    value, right, left = formula.both_sides(batch, 2 * digits)
    agree = _agree(value, before[0]) & _agree(right, before[1])
    if most is None and 2 * digits > _MAX_DIGITS:
        agree[:] = True
    if formula.tied and not agree.all():
        agree[:] = False
    is_last = most is not None and 2 * digits >= most
    if not agree.any():
        return [] if is_last else _settled(formula, batch, 2 * digits, most)
    ready = _known(
        batch.only(agree), value[agree], right[agree], left[agree], 2 * digits
    )
    if agree.all() or is_last:
        return [ready]
    return [ready, *_settled(formula, batch.only(~agree), 2 * digits, most)]


def _known(
    batch: Batch, value: Array, right: Array, left: Array, digits: int
) -> Settled:
    """Values, and gradients from either side, as found with so many digits."""
    nothing = (np.full(item.shape, mpf(0)) for item in (value, right))
    low, high = np.minimum(left, right), np.maximum(left, right)
    return Settled(Exact(batch, value, low, high, *nothing), right, digits)


def conditioned(formula: Formula, part: Settled, unit: float) -> Exact:
    """What `settled` gives, with its conditions and the gradients beyond close kinks.

    Args:
        formula: The author's formula.
        part: One of the parts, or some samples of it.
        unit: See `exact`.
    """
    batch, digits, value = part.plain.batch, part.digits, part.plain.value
    low, high = part.plain.low, part.plain.high
    conditions = _conditions(formula, batch, digits, value, part.right)
    if any(isinstance(n, Apply) and n.op in _KINKED for n in walk(formula.expression)):
        for beyond in _across(formula, batch, digits, unit):
            apart = np.maximum(low - beyond, beyond - high)
            leads_across = apart > _SMOOTHLY * unit * (conditions[1] + abs(beyond))
            low = np.where(leads_across, np.minimum(low, beyond), low)
            high = np.where(leads_across, np.maximum(high, beyond), high)
    return Exact(batch, value, low, high, *conditions)


def _agree(new: Array, old: Array) -> Array:
    """In which samples two precisions give the same, the higher one in ``new``.

    What is exactly 0 never does: what is left of its terms shrinks with the precision.
    """
    apart = abs(new - old) > _AGREEMENT * np.maximum(abs(new), abs(old))
    apart &= abs(new) > _NO_FLOAT
    rows = np.asarray(apart, dtype=bool).reshape(len(new), -1)
    return np.asarray(~rows.any(axis=1))


def _across(formula: Formula, batch: Batch, digits: int, unit: float) -> list[Array]:
    """Gradients on either side of each input, not as far as the next number."""
    moved = []
    with mp.workdps(digits):
        for variable in formula.loss.of_role(Role.Y_TRUE, Role.Y_PRED):
            array = batch.inputs[variable.name]
            movable = ~_counts_as_exact(variable, array)
            for step in (unit / 4, -unit / 4):
                beyond = array.astype(object) * np.where(movable, 1 + mpf(step), mpf(1))
                inputs = {**batch.inputs, variable.name: beyond}
                moved.append(replace(batch, inputs=inputs))
    found = formula.where_defined(moved, digits)
    return [results[1] for results in found if results is not None]


def _conditions(
    formula: Formula, batch: Batch, digits: int, value: Array, gradient: Array
) -> tuple[Array, Array]:
    """``sum(|x_i*df/dx_i|)`` of value and gradient, by one-sided differences."""
    totals = [np.zeros(value.shape, object), np.zeros(gradient.shape, object)]
    directions = list(_directions(formula, batch))
    outwards = [_beside(batch, *direction, _STEP, digits) for direction in directions]
    found = formula.where_defined(outwards, digits)
    for direction, results in zip(directions, found, strict=True):
        if results is None:  # at an end
            inwards = _beside(batch, *direction, -_STEP, digits)
            (results,) = formula.where_defined([inwards], digits)
        if results is None:
            continue  # it is the only point
        for total, new, old in zip(totals, results, (value, gradient), strict=True):
            total += abs(new - old) / _STEP
    return totals[0], totals[1]


_Direction = tuple[str, tuple[object, ...], Array]
"""The name of an input, the index of elements, and which of those are uncertain."""


def _directions(formula: Formula, batch: Batch) -> Iterator[_Direction]:
    for variable in formula.loss.of_role(Role.Y_TRUE, Role.Y_PRED):
        array = batch.inputs[variable.name]
        for index in cells(array, formula.tied):
            uncertain = ~_counts_as_exact(variable, array[index])
            if uncertain.any():
                yield variable.name, index, uncertain


def _counts_as_exact(variable: Variable, values: Array) -> Array:
    """Where these are labels: 0 and ±1 are what they seem.

    A target that may be any number is none, whatever its value: that a residual has
    been rounded cannot be told from a rounding of the target.
    """
    domain = variable.domain
    if domain.labels or domain.kind.value in ("count", "one_hot"):
        return np.ones(np.shape(values), dtype=bool)
    bounded = np.isfinite(domain.lower.approx) or np.isfinite(domain.upper.approx)
    label = variable.role is Role.Y_TRUE and bounded
    return np.asarray(label & np.isin(values, (-1.0, 0.0, 1.0)))


def _beside(
    batch: Batch,
    name: str,
    index: tuple[object, ...],
    uncertain: Array,
    step: mpf,
    digits: int,
) -> Batch:
    """The batch with some elements of an input moved by a share of them."""
    with mp.workdps(digits):
        shifted = np.vectorize(mpf, otypes=[object])(batch.inputs[name])
        shifted[index] = shifted[index] * np.where(uncertain, 1 + step, mpf(1))
    return replace(batch, inputs={**batch.inputs, name: shifted})
