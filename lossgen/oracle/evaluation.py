"""Values and gradients of a loss on a batch, as Keras would get them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Rounding, evaluate, germ
from lossgen.calculus.reverse import TiedError, value_and_gradient
from lossgen.ir.expr import Apply, Axis, Expr, Role, substitute
from lossgen.ir.extent import FULL, Extent, extents
from lossgen.ir.loss import Loss, Variable
from lossgen.oracle.samples import Batch, axes_of


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
        self,
        batch: Batch,
        digits: int,
        *,
        side: int = 1,
        rounding: Rounding | None = None,
    ) -> tuple[Array, Array]:
        """The values, and the gradient of their sum by y_pred.

        Channels are joined on the last axis. ``side`` is 1 or -1: from which side kinks
        are looked at.
        """
        try:
            return self._swept(batch, digits, rounding)
        except TiedError as error:
            edges = error
        if not self.tied and batch.rows > 1:
            found, gradients = _apart(
                edges,
                batch,
                lambda part: self.evaluated(part, digits, side=side, rounding=rounding),
            )
            return found, gradients
        partials = [
            self._one_sided(variable, batch, digits, side, rounding)
            for variable in self.loss.of_role(Role.Y_PRED)
        ]
        values = self.values(batch, digits, rounding)
        return values, np.concatenate(partials, axis=-1)

    def both_sides(self, batch: Batch, digits: int) -> tuple[Array, Array, Array]:
        """The values, and the gradients on the right and on the left of kinks.

        They are the same array where no branch is on its edge.
        """
        try:
            values, gradient = self._swept(batch, digits, None)
            return values, gradient, gradient
        except TiedError as error:
            edges = error
        if not self.tied and batch.rows > 1:
            values, right, left = _apart(
                edges, batch, lambda part: self.both_sides(part, digits)
            )
            return values, right, left
        values, right = self.evaluated(batch, digits)
        return values, right, self.gradient(batch, digits, side=-1)

    def sides(self, batch: Batch, digits: int) -> tuple[Array, Array, Array]:
        """The same, but on the right alone where samples are tied."""
        if self.tied:
            values, gradient = self.evaluated(batch, digits)
            return values, gradient, gradient
        return self.both_sides(batch, digits)

    def curvatures(self, batch: Batch, digits: int) -> Array:
        """Second derivatives of each sample's values along 1, -2, 3, … of y_pred.

        Where samples are tied it is one, of the sum of all values.

        Raises:
            Undefined: If one of them does not exist.
        """
        directions, start = {}, 0
        for variable in self.loss.of_role(Role.Y_PRED):
            array = batch.inputs[variable.name]
            steps = 1 + np.arange(start, start + array.shape[-1])
            directions[variable.name] = np.broadcast_to(
                np.where(steps % 2, steps, -steps), array.shape
            )
            start += array.shape[-1]
        with mp.workdps(digits):
            found = germ(
                self.expression,
                environment(batch),
                directions,
                order=2,
                mask=batch.mask,
                digits=digits,
            )[2]
            weights = self._weights(found, batch.rows)
            pairs = zip(found.flat, weights.flat, strict=True)
            parts = [mp.zero if w is None else w * item for item, w in pairs]
            samples = 1 if self.tied else batch.rows
            terms = np.array(parts, dtype=object).reshape(samples, -1)
            return np.asarray(terms.sum(axis=1))

    def parameter_slopes(self, batch: Batch, digits: int) -> dict[str, Array]:
        """The derivatives of the sum of all values by the parameters.

        Raises:
            TiedError: If a branch is on its edge.
            Undefined: If one of them does not exist.
        """
        with mp.workdps(digits):
            _, partials = value_and_gradient(
                self.expression,
                environment(batch),
                [item.name for item in self.loss.parameters],
                lambda found: self._weights(found, batch.rows),
                mask=batch.mask,
                digits=digits,
            )
        return partials

    def values(
        self, batch: Batch, digits: int, rounding: Rounding | None = None
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

    def gradient(self, batch: Batch, digits: int, *, side: int = 1) -> Array:
        """The gradient of the sum of all values; see `evaluated`."""
        return self.evaluated(batch, digits, side=side)[1]

    def _swept(
        self, batch: Batch, digits: int, rounding: Rounding | None
    ) -> tuple[Array, Array]:
        key = None if rounding is not None else _contents(batch)
        if key is None:
            return self._swept_anew(batch, digits, rounding)
        known = self._known
        if (digits, key) not in known:
            known[digits, key] = self._swept_anew(batch, digits, None)
            for array in known[digits, key]:
                array.setflags(write=False)  # it is given out again
        return known[digits, key]

    @cached_property
    def _known(self) -> dict[tuple[int, _Contents], tuple[Array, Array]]:
        """Exact results: whether samples can be used is asked before they are."""
        return {}

    def _swept_anew(
        self, batch: Batch, digits: int, rounding: Rounding | None
    ) -> tuple[Array, Array]:
        names = [variable.name for variable in self.loss.of_role(Role.Y_PRED)]
        with mp.workdps(digits):
            found, partials = value_and_gradient(
                self.expression,
                environment(batch),
                names,
                lambda found: self._weights(found, batch.rows),
                mask=batch.mask,
                digits=digits,
                rounding=rounding,
            )
            values = self._returned(found, batch.rows)
        return values, np.concatenate([partials[name] for name in names], axis=-1)

    def _one_sided(
        self,
        variable: Variable,
        batch: Batch,
        digits: int,
        side: int,
        rounding: Rounding | None,
    ) -> Array:
        """The derivatives by one variable, element by element."""
        array = batch.inputs[variable.name]
        result = np.empty(array.shape, dtype=object)
        with mp.workdps(digits):
            for index in np.ndindex(array.shape):
                direction = np.zeros(array.shape)
                direction[index] = side
                slopes = germ(
                    self.expression,
                    environment(batch),
                    {variable.name: direction},
                    mask=batch.mask,
                    digits=digits,
                    rounding=rounding,
                )[1]
                weights = self._weights(slopes, batch.rows)
                pairs = zip(slopes.flat, weights.flat, strict=True)
                result[index] = side * sum(
                    (slope * weight for slope, weight in pairs if weight is not None),
                    mp.zero,
                )
        return result

    def _weights(self, found: Array, rows: int) -> Array:
        """How much each element of the formula adds to the sum of what is returned."""
        padded = _padded(found)
        present = [item is not None for item in padded.flat]
        kept = np.array(present).reshape(padded.shape)
        counts = kept.sum(axis=self._averaged(padded), keepdims=True)
        copies = mp.mpf(1 if self._by_sample else rows)
        shares = np.empty(counts.shape, dtype=object)
        for count in np.unique(counts):
            shares[counts == count] = copies / max(int(count), 1)
        weights: Array = np.broadcast_to(shares, padded.shape).copy()
        weights[~kept] = None
        return np.asarray(weights.reshape(found.shape))

    def _returned(self, found: Array, rows: int) -> Array:
        """What Keras gets: see "What comes back" of the language."""
        padded = _padded(found)
        axes = self._averaged(padded)
        means = _mean(padded, axes) if axes else padded
        return means if self._by_sample else np.repeat(means, rows)

    @cached_property
    def _extent(self) -> Extent:
        return extents(self.loss, self.loss.expression)[self.loss.expression]

    @property
    def _by_sample(self) -> bool:
        return "batch" in self._extent

    def _averaged(self, padded: Array) -> tuple[int, ...]:
        """The axes that what is returned is the mean over."""
        if not self._by_sample:
            return tuple(range(padded.ndim))
        if self.loss.mask is not None and self._extent == FULL:
            return ()
        return (-1,) if "spatial" in self._extent else tuple(range(1, padded.ndim))


_Contents = tuple[tuple[str, tuple[int, ...], bytes], ...]


def _contents(batch: Batch) -> _Contents | None:
    """What makes two batches the same; None where numbers have more digits."""
    arrays = {**batch.inputs, **batch.parameters}
    if batch.mask is not None:
        arrays["mask"] = batch.mask
    found = [(name, np.asarray(array)) for name, array in arrays.items()]
    if any(array.dtype == object for _, array in found):
        return None
    return tuple((name, array.shape, array.tobytes()) for name, array in found)


def _apart(
    edges: TiedError, batch: Batch, evaluate: Callable[[Batch], tuple[Array, ...]]
) -> list[Array]:
    """What a function finds, with each sample that is on an edge by itself."""
    rows = np.arange(batch.rows)
    tied = np.broadcast_to(edges.samples, rows.shape)
    groups = [~tied, *(rows == row for row in rows[tied])]
    groups = [group for group in groups if group.any()]
    parts = [evaluate(batch.only(group)) for group in groups]
    order = np.argsort(np.concatenate([rows[group] for group in groups]))
    return [np.concatenate(found)[order] for found in zip(*parts, strict=True)]


def _padded(found: Array) -> Array:
    return np.asarray(found.reshape((1,) * (2 - found.ndim) + found.shape))


def on_logits(loss: Loss) -> Expr:
    """The author's formula with the link function written out."""
    (y_pred,) = (item.symbol for item in loss.of_role(Role.Y_PRED))
    axis = Axis.LAST if loss.spec.y_pred.logits == "softmax" else None
    head = Apply(loss.spec.y_pred.logits or "", (y_pred,), axis)
    return substitute(loss.expression, {y_pred: head})


def environment(batch: Batch) -> Mapping[str, Any]:
    """Inputs and parameters by name."""
    return {**batch.inputs, **batch.parameters}


def kept_by(mask: Expr, batch: Batch) -> Array:
    """Where the label mask is true, sample by sample."""
    found = evaluate(mask, environment(batch))
    rank = next(iter(batch.inputs.values())).ndim
    shape = np.broadcast_shapes(found.shape, (batch.rows, *(1,) * (rank - 1)))
    return np.asarray(np.broadcast_to(found, shape), dtype=bool)


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
