"""Values and gradients of a loss on a batch, as Keras would get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.calculus.evaluate import evaluate, germ
from lossgen.ir.expr import Apply, Axis, Expr, Role, walk
from lossgen.ir.extent import FULL, extents
from lossgen.ir.loss import Loss, Variable
from lossgen.oracle.roundoff import Roundoff
from lossgen.oracle.samples import Array, Batch, axes_of


@dataclass(frozen=True)
class Formula:
    """An expression of a loss: the author's, or a rewritten one.

    Values are returned in the shape that the generated function gives them; elements
    that a mask drops are None.
    """

    loss: Loss
    expression: Expr

    @property
    def tied(self) -> bool:
        """Whether the samples of a batch depend on one another."""
        return Axis.BATCH in axes_of(self.loss)

    def evaluated(
        self, batch: Batch, digits: int, rounding: Roundoff | None = None
    ) -> tuple[Array, Array]:
        """Values, and the gradient of their sum by y_pred."""
        return (
            self.values(batch, digits, rounding),
            self.gradient(batch, digits, rounding=rounding),
        )

    def values(
        self, batch: Batch, digits: int, rounding: Roundoff | None = None
    ) -> Array:
        """The values of the samples."""
        with mp.workdps(digits):
            found = evaluate(
                self.expression,
                environment(batch),
                mask=batch.mask,
                digits=digits,
                rounding=rounding,
            )
            return self._returned(found, batch.rows)

    def gradient(
        self,
        batch: Batch,
        digits: int,
        *,
        side: int = 1,
        rounding: Roundoff | None = None,
    ) -> Array:
        """The gradient of the sum of all values, channels joined on the last axis.

        ``side`` is 1 or -1: from which side kinks are looked at.
        """
        parts = [
            self._partial(variable, batch, digits, side, rounding)
            for variable in self.loss.of_role(Role.Y_PRED)
        ]
        return np.concatenate(parts, axis=-1)

    def _partial(
        self,
        variable: Variable,
        batch: Batch,
        digits: int,
        side: int,
        rounding: Roundoff | None,
    ) -> Array:
        array = batch.inputs[variable.name]

        def slopes(direction: Array) -> Array:
            return germ(
                self.expression,
                environment(batch),
                {variable.name: direction},
                mask=batch.mask,
                digits=digits,
                rounding=rounding,
            )[1]

        with mp.workdps(digits):
            if not any(isinstance(n, Apply) and n.axis for n in walk(self.expression)):
                alone = slopes(np.full(array.shape, side))
                if alone.shape == array.shape:
                    return self._shares(alone) * side
            result = np.empty(array.shape, dtype=object)
            for index in cells(array, self.tied):
                direction = np.zeros(array.shape)
                direction[index] = side
                found = self._returned(slopes(direction), batch.rows)
                total = _row_sums(found) * side
                result[index] = sum(total) if self.tied else total
        return result

    def _shares(self, slopes: Array) -> Array:
        """What each element adds to the sum of all values, where none meets another."""
        count = 1 if self.loss.mask is not None else slopes.shape[-1]
        result = np.empty(slopes.shape, dtype=object)
        for index, item in np.ndenumerate(slopes):
            result[index] = mp.zero if item is None else item / count
        return result

    def _returned(self, found: Array, rows: int) -> Array:
        """What Keras gets: see "What comes back" of the language."""
        found = found.reshape((1,) * (2 - found.ndim) + found.shape)
        extent = extents(self.loss, self.loss.expression)[self.loss.expression]
        if "batch" not in extent:
            kept = [item for item in found.flat if item is not None]
            return np.array([sum(kept) / len(kept)] * rows, dtype=object)
        if self.loss.mask is not None and extent == FULL:
            return found
        axes = (-1,) if "spatial" in extent else tuple(range(1, found.ndim))
        return _mean(found, axes)


def environment(batch: Batch) -> Mapping[str, Any]:
    """Inputs and parameters by name."""
    return {**batch.inputs, **batch.parameters}


def cells(array: Array, tied: bool) -> list[tuple[Any, ...]]:
    """Indices to vary one by one; all samples at once where they are independent."""
    if tied:
        return list(np.ndindex(array.shape))
    return [(slice(None), *cell) for cell in np.ndindex(array.shape[1:])]


def floats(values: Array) -> Array:
    """As float64, with 0 for dropped elements."""
    numbers = [0.0 if value is None else float(value) for value in values.flat]
    array: Array = np.array(numbers).reshape(values.shape)
    return array


def _mean(found: Array, axes: tuple[int, ...]) -> Array:
    moved = np.moveaxis(found, axes, range(-len(axes), 0))
    outer = moved.shape[: moved.ndim - len(axes)]
    rows = moved.reshape((*outer, -1))
    result = np.empty(outer, dtype=object)
    for index in np.ndindex(outer):
        kept = [item for item in rows[index] if item is not None]
        result[index] = sum(kept) / len(kept) if kept else mp.zero
    return result


def _row_sums(values: Array) -> Array:
    result = np.empty(values.shape[0], dtype=object)
    for row in range(values.shape[0]):
        items = np.atleast_1d(values[row]).flat
        result[row] = sum((i for i in items if i is not None), mp.zero)
    return result
