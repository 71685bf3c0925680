"""Values and gradients of a loss on a batch, as Keras would get them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.calculus.arrays import Array, object_array
from lossgen.calculus.evaluate import (
    Evaluation,
    Rounding,
    Undefined,
    evaluate,
    germ,
)
from lossgen.calculus.jets import EXACT, Ties
from lossgen.calculus.reverse import TiedError, value_and_gradient
from lossgen.ir.expr import Apply, Axis, Expr, Role, substitute, walk
from lossgen.ir.extent import FULL, Extent, extents
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Guard
from lossgen.oracle.samples import Batch, axes_of, together

_FEW_DIGITS = 40


@dataclass(frozen=True)
class Formula:
    """An expression of a loss: the author's, or a rewritten one.

    Values are returned in the shape that the generated function gives them; elements
    that a mask drops are None. ``guards`` tell where predictions are held.
    """

    loss: Loss
    expression: Expr
    guards: tuple[Guard, ...] = ()

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

    def where_defined(
        self, batches: Sequence[Batch], digits: int
    ) -> list[tuple[Array, Array] | None]:
        """What `evaluated` gives for each of several batches, None where it is nothing.

        Samples that do not depend on one another are evaluated together: for many it
        takes little longer than for one.
        """
        if len(batches) > 1 and not self.tied and self._by_sample:
            try:
                found = self.evaluated(together(batches), digits)
            except Undefined:
                middle = len(batches) // 2
                halves = (batches[:middle], batches[middle:])
                return [
                    item for half in halves for item in self.where_defined(half, digits)
                ]
            ends = np.cumsum([batch.rows for batch in batches])[:-1]
            values, gradients = (np.split(array, ends) for array in found)
            return list(zip(values, gradients, strict=True))
        return [self._evaluated_if_defined(batch, digits) for batch in batches]

    def _evaluated_if_defined(
        self, batch: Batch, digits: int
    ) -> tuple[Array, Array] | None:
        try:
            return self.evaluated(batch, digits)
        except Undefined:
            return None

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

    def off_edges(self, batch: Batch) -> Batch:
        """The samples at which no branch is on its edge; all if none is left."""
        try:
            self._swept(batch, _FEW_DIGITS, None)
        except (TiedError, Undefined) as error:
            if isinstance(error, TiedError) and error.samples.size == batch.rows:
                rest = batch.only(~error.samples)
                return rest if rest.rows > 1 else batch
        return batch

    def stays_finite(
        self, batch: Batch, digits: int, rounding: Rounding, largest: float = np.inf
    ) -> Array:
        """The samples at which value and gradient, rounded, are below ``largest``."""
        try:
            results = self._swept(batch, digits, rounding)
        except (TiedError, Undefined) as error:
            # At one sample, maybe not at all of them.
            rows = np.arange(batch.rows)
            if not self.tied and len(rows) > 1:
                parts = [batch.only(rows == row) for row in rows]
                found = [
                    self.stays_finite(part, digits, rounding, largest) for part in parts
                ]
                return np.concatenate(found)
            # One side of an edge may hide what overflows on the way to it.
            if isinstance(error, Undefined) or self._overflows(batch, digits, rounding):
                return np.zeros(len(rows), dtype=bool)
            results = self.evaluated(batch, digits, rounding=rounding)
        sizes = [np.abs(floats(item)).reshape(batch.rows, -1) for item in results]
        return np.asarray((np.concatenate(sizes, axis=1) < largest).all(axis=1))

    def _overflows(self, batch: Batch, digits: int, rounding: Rounding) -> bool:
        """Whether an intermediate result is infinite, or has no value."""
        with mp.workdps(digits):
            run = Evaluation(environment(batch), batch.mask, rounding=rounding)
            items = [x for node in walk(self.expression) for x in run.value(node).flat]
        numbers = [item for item in items if isinstance(item, mp.mpf)]
        undefined = any(isinstance(item, Undefined) for item in items)
        return undefined or not all(map(mp.isfinite, numbers))

    def curvatures(
        self,
        batch: Batch,
        digits: int,
        rounding: Rounding | None = None,
        side: int = 1,
    ) -> Array:
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
                side * np.where(steps % 2, steps, -steps), array.shape
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
                rounding=rounding,
            )[2]
            weights = self._weights(found, batch.rows)
            pairs = zip(found.flat, weights.flat, strict=True)
            parts = [mp.zero if w is None else w * item for item, w in pairs]
            samples = 1 if self.tied else batch.rows
            terms = np.array(parts, dtype=object).reshape(samples, -1)
            return np.asarray(terms.sum(axis=1))

    def parameter_slopes(
        self, batch: Batch, digits: int, rounding: Rounding | None = None
    ) -> dict[str, Array]:
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
                rounding=rounding,
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
        contents = None if rounding is not None else _contents(batch)
        if contents is None:
            return self._swept_anew(batch, digits, rounding)
        shared, samples = contents
        known = self._known.setdefault((digits, shared), {})
        if self.tied or not self._by_sample:
            whole = b"".join(samples)
            if whole not in known:
                known[whole] = self._swept_anew(batch, digits, None)
            values, gradient = known[whole]
            return values.copy(), gradient.copy()
        new = np.array([sample not in known for sample in samples])
        if new.any():
            try:
                values, gradient = self._swept_anew(batch.only(new), digits, None)
            except TiedError as error:
                new[new] = error.samples
                raise TiedError(new) from None
            for k, row in enumerate(np.flatnonzero(new)):
                known[samples[row]] = values[k : k + 1], gradient[k : k + 1]
        found = [known[sample] for sample in samples]
        values, gradient = map(np.concatenate, zip(*found, strict=True))
        return values, gradient

    @cached_property
    def _known(self) -> dict[_Shared, dict[bytes, tuple[Array, Array]]]:
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
        shape = batch.inputs[variable.name].shape
        result = np.empty(shape, dtype=object)
        for index in np.ndindex(shape):
            result[index] = self.slope(
                variable, index, batch, digits, side=side, rounding=rounding
            )
        return result

    def slope(
        self,
        variable: Variable,
        index: tuple[int, ...],
        batch: Batch,
        digits: int,
        *,
        side: int = 1,
        ties: Ties = EXACT,
        rounding: Rounding | None = None,
    ) -> Any:
        """The derivative by one element, seen from a side.

        Args:
            variable: One of y_pred.
            index: The element.
            batch: The samples.
            digits: Decimal digits to work with.
            side: 1 or -1.
            ties: Says what operations do that are on an edge.
            rounding: As for `value_and_gradient`.

        Raises:
            Undefined: If it does not exist.
        """
        with mp.workdps(digits):
            direction = np.zeros(batch.inputs[variable.name].shape)
            direction[index] = side
            slopes = germ(
                self.expression,
                environment(batch),
                {variable.name: direction},
                mask=batch.mask,
                digits=digits,
                ties=ties,
                rounding=rounding,
            )[1]
            weights = self._weights(slopes, batch.rows)
            pairs = zip(slopes.flat, weights.flat, strict=True)
            parts = [slope * weight for slope, weight in pairs if weight is not None]
            return side * sum(parts, mp.zero)

    def _weights(self, found: Array, rows: int) -> Array:
        """How much each element of the formula adds to the sum of what is returned."""
        padded = _padded(found)
        kept = bytes(item is not None for item in padded.flat)
        copies = 1 if self._by_sample else rows
        shares = _shares(padded.shape, kept, self._averaged(padded), copies, mp.prec)
        return np.asarray(shares.reshape(found.shape))

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


_Shared = tuple[object, ...]


def _contents(batch: Batch) -> tuple[_Shared, list[bytes]] | None:
    """What all samples share, and each sample; None where numbers have more digits."""
    arrays = {**batch.inputs, **batch.parameters}
    if batch.mask is not None:
        arrays["mask"] = batch.mask
    if any(array.dtype == object for array in arrays.values()):
        return None
    shared: list[object] = []
    columns: list[Array] = []
    for name, array in arrays.items():
        if batch.by_sample(array):
            shared.append((name, array.shape[1:]))
            flat = np.ascontiguousarray(array).reshape(batch.rows, -1)
            columns.append(flat.view(np.uint8))
        else:
            shared.append((name, array.shape, array.tobytes()))
    return tuple(shared), [row.tobytes() for row in np.concatenate(columns, axis=1)]


@lru_cache(maxsize=2**10)
def _shares(
    shape: tuple[int, ...],
    kept: bytes,
    axes: tuple[int, ...],
    copies: int,
    _precision: int,
) -> Array:
    """What each element adds to a mean over axes of those that are kept.

    They are asked for with each evaluation, and are the same for most.
    """
    present = np.frombuffer(kept, dtype=bool).reshape(shape)
    counts = np.broadcast_to(present.sum(axis=axes, keepdims=True), shape)
    share = {count: mp.mpf(copies) / count for count in set(counts[present].tolist())}
    pairs = zip(present.flat, counts.flat, strict=True)
    shares = object_array([share[n] if here else None for here, n in pairs], shape)
    shares.setflags(write=False)
    return shares


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
        result[index] = sum(kept) / len(kept) if kept else None
    return result
