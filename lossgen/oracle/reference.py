"""Reference values of a loss and its gradient, from the author's own formula.

Everything is evaluated by mpmath on the tree as it was written; rewriting has no part
in it. The precision is doubled until two results agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.ir.expr import Apply, Axis, Expr, Number, Role, substitute, walk
from lossgen.ir.extent import FULL, extents
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.reference import (
    Nested,
    ReferenceCase,
    ReferenceRow,
    ReferenceTable,
)
from lossgen.oracle.roundoff import Roundoff
from lossgen.oracle.samples import Array, Batch, axes_of, ends, rounded, sample

_ROWS = 12
_ENOUGH = 4
_ATTEMPTS = 20
_TIED_ROWS = 6  # where the whole batch is one value, the cost grows with the square
_DIGITS = 40
_MAX_DIGITS = 2560
_AGREEMENT = 1e-20
_ULPS = 16
_RUNS = 2
_EPSILON = 2.0**-23
_TINY = 2.0**-126  # below it float32 flushes to 0
_REAL_LOGITS = 12.0
_GUARD = 1e-18
_LARGEST = 1e30  # leaves room for sums and products on the way


class NoSamplesError(ValueError):
    """No sample of the domain satisfies the assumptions."""


class PrecisionError(ArithmeticError):
    """Two precisions did not agree before the limit was reached."""


def reference(
    loss: Loss, computed: Expr, computed_from_logits: Expr | None
) -> ReferenceTable:
    """Compute the table that the generated test compares with.

    Args:
        loss: The author's formula, from which the values come.
        computed: The form of it that the generated code computes, which has a part in
            the tolerances only: no code can do better than its own rounding.
        computed_from_logits: The same for logits, or None.

    Raises:
        NoSamplesError: If no sample satisfies the assumptions.
        PrecisionError: If no precision up to 2,560 digits settles a value.
    """
    cases = _cases(loss, computed, logits=False)
    logits: tuple[ReferenceCase, ...] = ()
    if computed_from_logits is not None:
        logits = _cases(loss, computed_from_logits, logits=True)
    return ReferenceTable(cases, logits, _ends(loss))


def _cases(loss: Loss, computed: Expr, *, logits: bool) -> tuple[ReferenceCase, ...]:
    seeds = [(1, True)]
    if any(item.default is not None for item in loss.parameters):
        seeds.append((2, False))
    found = []
    for seed, defaults in seeds:
        case = _drawn(loss, computed, seed, defaults=defaults, logits=logits)
        if case is not None:
            found.append(case.table())
    if not found:
        raise NoSamplesError("no sample was found that satisfies the assumptions")
    return tuple(found)


def _drawn(
    loss: Loss, computed: Expr, seed: int, *, defaults: bool, logits: bool
) -> _Case | None:
    """A batch with enough usable samples, or the best of several attempts."""
    rows = _TIED_ROWS if Axis.BATCH in axes_of(loss) else _ROWS
    best: _Case | None = None
    for attempt in range(_ATTEMPTS):
        batch = sample(loss, rows, seed + 10 * attempt, defaults=defaults)
        batch = _with_masked_labels(loss, batch)
        if logits:
            batch = _as_logits(loss, batch)
        case = _Case(loss, batch, computed, logits)
        if best is None or case.rows > best.rows:
            best = case
        if best.rows >= _ENOUGH:
            break
    return best if best is not None and best.rows >= 2 else None


def _with_masked_labels(loss: Loss, batch: Batch) -> Batch:
    """Give every fourth element a label that the mask drops, if one is found."""
    if loss.mask is None:
        return batch
    numbers = [float(n.value) for n in walk(loss.mask) if isinstance(n, Number)]
    for value in (*numbers, *(-n for n in numbers), math.nan, 0.0, -1.0):
        inputs = dict(batch.inputs)
        for item in loss.of_role(Role.Y_TRUE):
            inputs[item.name] = inputs[item.name].copy()
            inputs[item.name].reshape(-1)[1::4] = value
        found = Batch(inputs, batch.parameters, None)
        kept = _mask(loss, found)
        if kept is not None and not kept.all():
            return found
    return batch


def _as_logits(loss: Loss, batch: Batch) -> Batch:
    """Replace probabilities by logits, spread from -12 to 12."""
    (name,) = (item.name for item in loss.of_role(Role.Y_PRED))
    drawn = batch.inputs[name]
    logits = np.vectorize(lambda p: rounded(_REAL_LOGITS * (2 * p - 1)), otypes=[float])
    return Batch({**batch.inputs, name: logits(drawn)}, batch.parameters, batch.mask)


class _Case:
    """One batch under evaluation."""

    def __init__(self, loss: Loss, batch: Batch, computed: Expr, logits: bool) -> None:
        self.loss = loss
        self.computed = computed
        self.batch = batch
        self.expression = _with_logits(loss) if logits else loss.expression
        self.mask = _mask(loss, batch)
        self.extent = extents(loss, loss.expression)[loss.expression]
        self.tied = Axis.BATCH in axes_of(loss)
        self.rounding: Roundoff | None = None
        self._keep(self._allowed())
        if not self.tied and self.rows:
            self._keep(self._off_kinks())

    @property
    def rows(self) -> int:
        """The number of usable samples."""
        return _row_count(self.batch)

    def table(self) -> ReferenceCase:
        """Evaluate the usable samples."""
        values, slopes = self._settled()
        moved_values, moved_slopes = self._sensitivity()
        noisy_values, noisy_slopes = self._roundoff()
        rows = []
        for row in range(len(values)):
            rows.append(
                ReferenceRow(
                    y_true=_join(self.loss, self.batch, Role.Y_TRUE, row),
                    y_pred=_join(self.loss, self.batch, Role.Y_PRED, row),
                    value=_nested(values[row]),
                    value_tolerance=_tolerance(
                        values[row], moved_values[row], noisy_values[row]
                    ),
                    gradient=_nested(slopes[row]),
                    gradient_tolerance=_tolerance(
                        slopes[row], moved_slopes[row], noisy_slopes[row]
                    ),
                )
            )
        names = {item.name for item in self.loss.parameters}
        parameters = {
            name: _nested(value)
            for name, value in self.batch.parameters.items()
            if name in names
        }
        return ReferenceCase(parameters, tuple(rows))

    def _keep(self, keep: Array) -> None:
        inputs = {name: value[keep] for name, value in self.batch.inputs.items()}
        self.batch = Batch(inputs, self.batch.parameters, None)
        self.mask = _mask(self.loss, self.batch)

    def _allowed(self) -> Array:
        """The samples that satisfy the assumptions and have a label that counts."""
        keep = _is_labelled(self.loss, self.batch)
        for condition in self.loss.assume:
            held = evaluate(condition, self._environment(self.batch.inputs))
            keep &= _all_per_row(held, len(keep))
        return keep

    def _off_kinks(self) -> Array:
        """The samples where both sides have the same gradient."""
        right = _floats(self._gradient(self.batch.inputs, _DIGITS, +1))
        left = _floats(self._gradient(self.batch.inputs, _DIGITS, -1))
        same = np.abs(right - left) <= 1e-12 * (1 + np.abs(right))
        return _all_per_row(same, self.rows)

    def _settled(self) -> tuple[Array, Array]:
        digits = _DIGITS
        previous = self._evaluated(digits)
        while digits < _MAX_DIGITS:
            digits *= 2
            current = self._evaluated(digits)
            if all(_agree(a, b) for a, b in zip(previous, current, strict=True)):
                return current
            previous = current
        raise PrecisionError(f"{_MAX_DIGITS} digits do not settle the reference values")

    def _evaluated(self, digits: int) -> tuple[Array, Array]:
        inputs = self.batch.inputs
        return self._values(inputs, digits), self._gradient(inputs, digits, +1)

    def _sensitivity(self) -> tuple[Array, Array]:
        """How far value and gradient move when each input moves by its rounding."""
        inputs = self.batch.inputs
        value, slope = (_floats(found) for found in self._evaluated(_DIGITS))
        moved_value, moved_slope = np.zeros(value.shape), np.zeros(slope.shape)
        for variable in self.loss.of_role(Role.Y_TRUE, Role.Y_PRED):
            if _is_exact(variable):
                continue
            array = inputs[variable.name]
            for cell in np.ndindex(array.shape if self.tied else array.shape[1:]):
                index = cell if self.tied else (slice(None), *cell)
                shifted = array.copy()
                shifted[index] *= 1 + _EPSILON
                other = {**inputs, variable.name: shifted}
                moved_value += np.abs(_floats(self._values(other, _DIGITS)) - value)
                new = self._gradient(other, _DIGITS, +1)
                moved_slope += np.abs(_floats(new) - slope)
        return moved_value, moved_slope

    def _roundoff(self) -> tuple[Array, Array]:
        """How far off the computed form is when every operation rounds."""
        inputs = self.batch.inputs
        value = _floats(self._values(inputs, _DIGITS))
        slope = _floats(self._gradient(inputs, _DIGITS, +1))
        off_value, off_slope = np.zeros(value.shape), np.zeros(slope.shape)
        exact, self.expression = self.expression, self.computed
        for seed in range(_RUNS):
            self.rounding = Roundoff(seed)
            try:
                new_value = _floats(self._values(inputs, _DIGITS))
                new_slope = _floats(self._gradient(inputs, _DIGITS, +1))
            except Undefined:
                continue  # rounding took an argument out of its domain
            off_value = np.maximum(off_value, np.abs(new_value - value))
            off_slope = np.maximum(off_slope, np.abs(new_slope - slope))
        self.expression, self.rounding = exact, None
        return off_value, off_slope

    def _environment(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        return {**inputs, **self.batch.parameters}

    def _values(self, inputs: Mapping[str, Array], digits: int) -> Array:
        with mp.workdps(digits):
            found = evaluate(
                self.expression,
                self._environment(inputs),
                mask=self.mask,
                digits=digits,
                rounding=self.rounding,
            )
            return self._returned(found, _row_count(self.batch))

    def _returned(self, found: Array, rows: int) -> Array:
        """What Keras gets: see "What comes back" of the language."""
        found = found.reshape((1,) * (2 - found.ndim) + found.shape)
        if "batch" not in self.extent:
            kept = [item for item in found.flat if item is not None]
            return np.array([sum(kept) / len(kept)] * rows, dtype=object)
        if self.mask is not None and self.extent == FULL:
            return found
        axes = (-1,) if "spatial" in self.extent else tuple(range(1, found.ndim))
        return _mean(found, axes)

    def _gradient(self, inputs: Mapping[str, Array], digits: int, side: int) -> Array:
        """The gradient of the sum of all values, channels joined on the last axis."""
        parts = [
            self._partial(variable, inputs, digits, side)
            for variable in self.loss.of_role(Role.Y_PRED)
        ]
        return np.concatenate(parts, axis=-1)

    def _partial(
        self, variable: Variable, inputs: Mapping[str, Array], digits: int, side: int
    ) -> Array:
        array = inputs[variable.name]
        rows = _row_count(self.batch)
        result = np.empty(array.shape, dtype=object)
        for cell in np.ndindex(array.shape if self.tied else array.shape[1:]):
            index = cell if self.tied else (slice(None), *cell)
            direction = np.zeros(array.shape)
            direction[index] = side
            with mp.workdps(digits):
                slopes = germ(
                    self.expression,
                    self._environment(inputs),
                    {variable.name: direction},
                    mask=self.mask,
                    digits=digits,
                    rounding=self.rounding,
                )[1]
                per_row = self._returned(slopes, rows)
                total = _row_sums(per_row) * side
                result[index] = sum(total) if self.tied else total
        return result


def _with_logits(loss: Loss) -> Expr:
    """The author's formula with the link function written out."""
    (y_pred,) = (item.symbol for item in loss.of_role(Role.Y_PRED))
    axis = Axis.LAST if loss.spec.y_pred.logits == "softmax" else None
    head = Apply(loss.spec.y_pred.logits or "", (y_pred,), axis)
    return substitute(loss.expression, {y_pred: head})


def _mask(loss: Loss, batch: Batch) -> Array | None:
    if loss.mask is None:
        return None
    found = evaluate(loss.mask, {**batch.inputs, **batch.parameters})
    return np.asarray(found, dtype=bool)


def _is_labelled(loss: Loss, batch: Batch) -> Array:
    """Which samples hold no class index that means "ignore this"."""
    ignore = loss.spec.y_true.ignore
    if ignore is None:
        return np.ones(_row_count(batch), dtype=bool)
    (name,) = (item.name for item in loss.of_role(Role.Y_TRUE))
    ignored = np.argmax(batch.inputs[name], axis=-1) == ignore
    return np.asarray(~ignored.reshape(len(ignored), -1).any(axis=1))


def _is_exact(variable: Variable) -> bool:
    domain = variable.domain
    return bool(domain.labels) or domain.kind.value in ("count", "one_hot")


def _is_representable(loss: Loss, variable: Variable, batch: Batch) -> bool:
    """Whether value and slope, if need be at the guard point, are float32 numbers."""
    domain = variable.domain
    epsilon = loss.spec.epsilon or _GUARD
    inside = dict(batch.inputs)
    for bound, inward in ((domain.lower, 1.0), (domain.upper, -1.0)):
        if bound.value is not None and bound.open:
            limit = bound.approx + inward * max(epsilon, abs(bound.approx) * _EPSILON)
            clip = np.maximum if inward > 0 else np.minimum
            inside[variable.name] = clip(inside[variable.name], limit)
    try:
        found = germ(
            loss.expression, {**inside, **batch.parameters}, {variable.name: 1}
        )
    except Undefined:
        return False
    return all(abs(item) < _LARGEST for part in found for item in part.flat)


def _row_count(batch: Batch) -> int:
    return int(next(iter(batch.inputs.values())).shape[0])


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


def _all_per_row(held: Array, rows: int) -> Array:
    held = np.asarray(held, dtype=bool)
    if held.ndim == 0 or held.shape[0] != rows:
        return np.full(rows, bool(held.all()))
    return np.asarray(held.reshape(rows, -1).all(axis=1))


def _floats(values: Array) -> Array:
    numbers = [0.0 if value is None else float(value) for value in values.flat]
    array: Array = np.array(numbers).reshape(values.shape)
    return array


def _agree(left: Array, right: Array) -> bool:
    for a, b in zip(left.flat, right.flat, strict=True):
        if a is None or b is None:
            continue
        if abs(a - b) > _AGREEMENT * max(abs(a), abs(b)):
            return False
    return True


def _tolerance(value: Any, moved: Any, noise: Any) -> Nested:
    """16 units in the last place, and as many roundings of inputs and operations."""
    if np.ndim(value):
        triples = zip(value, moved, noise, strict=True)
        return tuple(_tolerance(v, m, n) for v, m, n in triples)
    if value is None:
        return 0.0
    unit = max(abs(float(value)), _TINY) * _EPSILON
    return float(f"{_ULPS * (unit + float(moved) + float(noise)):.2e}")


def _nested(value: Any) -> Nested:
    if np.ndim(value):
        return tuple(_nested(item) for item in value)
    return 0.0 if value is None else float(value)


def _join(loss: Loss, batch: Batch, role: Role, row: int) -> Nested:
    """One sample of a tensor, its channels one after the other."""
    parts = [batch.inputs[item.name][row] for item in loss.of_role(role)]
    if role is Role.Y_TRUE and loss.spec.y_true.sparse:
        return _nested(np.argmax(parts[0], axis=-1).astype(float))
    return _nested(np.concatenate(parts, axis=-1)) if parts else (0.0,)


def _ends(loss: Loss) -> tuple[tuple[Nested, Nested], ...]:
    """Samples whose prediction is at an end of the domain in every component."""
    if any(item.shape == "elements" for item in loss.parameters):
        return ()  # the parameter has one value for each element of the cases
    epsilon = loss.spec.epsilon or 1e-6
    batch = sample(loss, 1, 3, defaults=True)
    rows = []
    for variable in loss.of_role(Role.Y_PRED):
        for point in ends(variable.domain, epsilon):
            array = np.full(batch.inputs[variable.name].shape, point)
            moved = Batch(
                {**batch.inputs, variable.name: array}, batch.parameters, None
            )
            rows.append(
                (_join(loss, moved, Role.Y_TRUE, 0), _join(loss, moved, Role.Y_PRED, 0))
            )
    return tuple(rows)
