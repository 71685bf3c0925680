"""The batches of samples that a generated test compares values and gradients at.

They are float32 numbers, inside of the guards, satisfy the assumptions, and have values
and slopes of a size that float32 can hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossgen.analysis.orderings import ordered
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.expr import Apply, Axis, Expr, Number, Role, walk
from lossgen.ir.loss import Loss
from lossgen.ir.program import Reach
from lossgen.ir.reference import (
    ALL_THE_SAME,
    CLOSE_TO_TARGETS,
    FURTHER_PARAMETERS,
    OTHER_PARAMETERS,
    TRAINING,
    WHOLE_DOMAIN,
)
from lossgen.oracle import points
from lossgen.oracle.ends import held
from lossgen.oracle.evaluation import Formula, environment, floats, kept_by
from lossgen.oracle.samples import Batch, axes_of, rounded, sample, together
from lossgen.oracle.shares import evenly_shared

LARGEST = 1e30
"""Of values and slopes; leaves room for sums in float32."""

SAME = 1e-12
"""Relative distance up to which two slopes are one."""

_ROWS = 12
_BEYOND = 6  # samples beyond the sizes for which nothing overflows
_ENOUGH = 4
_ATTEMPTS = 20
_FEW_ROWS = 6  # where the cost grows with the square: batches and long last axes
_LONG = 8
_DIGITS = 40
_REAL_LOGITS = 12.0
_SPREAD = 1e6  # of the elements of a sample that are reduced together


def drawn_batches(
    formula: Formula, sizes: Reach, *, logits: bool
) -> Iterator[tuple[str, Batch]]:
    """The batches of samples that some are found for, by name."""
    has_defaults = any(item.default is not None for item in formula.loss.parameters)
    for name, (seed, defaults) in _DRAWN.items():
        drawn = (
            _drawn(formula, seed, defaults, logits=logits, at_kinks=at_kinks)
            for at_kinks in (False, True)
        )
        batch = next(filter(None, drawn), None) if defaults or has_defaults else None
        if batch is not None:
            yield name, batch
            if name == TRAINING:
                close = _close_to_targets(formula, batch)
                if close is not None:
                    yield CLOSE_TO_TARGETS, close
                same = _all_the_same(formula, batch)
                if same is not None:
                    yield ALL_THE_SAME, same
                anywhere = _anywhere(formula, sizes, logits=logits)
                if anywhere is not None:
                    yield WHOLE_DOMAIN, anywhere


_DRAWN = {
    TRAINING: (1, True),
    FURTHER_PARAMETERS: (3, False),
    OTHER_PARAMETERS: (2, False),
}
"""The seed of each, and whether parameters that have a default take it."""


def _close_to_targets(formula: Formula, batch: Batch) -> Batch | None:
    """A batch with predictions within some percent of their targets.

    None but for losses of a whole batch: of others some samples are so anyway.
    """
    targets = formula.loss.of_role(Role.Y_TRUE)
    predictions = formula.loss.of_role(Role.Y_PRED)
    shapes = {batch.inputs[item.name].shape for item in (*targets, *predictions)}
    counts = {len(targets), len(predictions), len(shapes)}
    if not formula.tied or counts != {1}:
        return None
    (target,), (prediction,) = targets, predictions
    drawn = batch.inputs[target.name]
    percent = np.resize([1, -2, 3, -1, 2], drawn.size).reshape(drawn.shape)
    moved = np.vectorize(rounded, otypes=[float])(drawn * (1 + percent / 100))
    if not all(prediction.domain.contains(item) for item in moved.flat):
        return None
    close = replace(batch, inputs={**batch.inputs, prediction.name: moved})
    return close if _fits(formula, close) else None


def _all_the_same(formula: Formula, batch: Batch) -> Batch | None:
    """A batch of zeros, or of ones, where the loss is smooth.

    None but for losses of a whole batch, whose variance may be in the way.
    """
    loss = formula.loss
    if not formula.tied or loss.mask is not None:
        return None
    domains = [item.domain for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)]
    if any(domain.along_last_axis for domain in domains):
        return None
    for number in (0.0, 1.0):
        if not all(domain.contains(number) for domain in domains):
            continue
        inputs = {
            name: np.full(array.shape, number) for name, array in batch.inputs.items()
        }
        same = replace(batch, inputs=inputs)
        if _fits(formula, same):
            _, right, left = formula.both_sides(same, _DIGITS)
            return same if np.array_equal(floats(right), floats(left)) else None
    return None


def _anywhere(formula: Formula, sizes: Reach, *, logits: bool) -> Batch | None:
    """Samples from all over the domain: all magnitudes, corners, close to targets."""
    loss = formula.loss
    if formula.tied:
        drawn = _points(loss, sizes, logits=logits)
        masked = (_with_masked_labels(loss, part) for part in drawn)
        return next((part for part in masked if _fits(formula, part)), None)
    (inside,) = _points(loss, sizes, logits=logits)
    # Where it may overflow; samples at which it does are left out later.
    (anywhere,) = _points(loss, (), logits=logits)
    chosen = ((inside, _ROWS), (_beyond(anywhere, sizes), _BEYOND))
    parts = [
        _first_usable(formula, batch, count) for batch, count in chosen if batch.rows
    ]
    shared = evenly_shared(loss, inside, _FEW_ROWS)
    if shared is not None:
        parts.append(_first_usable(formula, shared, _FEW_ROWS))
    kept = together(parts)
    return kept if kept.rows > 1 else None


def _beyond(batch: Batch, sizes: Reach) -> Batch:
    """The samples with an input that is at least twice as large as ``sizes`` say."""
    larger: Array = np.zeros(batch.rows, dtype=bool)
    largest = dict(sizes)
    for name, array in batch.inputs.items():
        exceeds = np.abs(array) > 2 * largest.get(name, np.inf)
        larger |= exceeds.reshape(batch.rows, -1).any(axis=1)
    return batch.only(larger)


def _points(loss: Loss, sizes: Reach, *, logits: bool) -> Iterator[Batch]:
    for batch in points.batches(
        loss, 8 * _ROWS, "float32", logits=logits, seed=2, sizes=sizes
    ):
        yield replace(batch, inputs=ordered(loss, batch.inputs))


def _first_usable(formula: Formula, batch: Batch, count: int) -> Batch:
    """The first samples that are allowed and can be compared."""
    loss = formula.loss
    kept = not_held(formula, batch)
    if axes_of(loss):
        kept &= _moderate(batch)
    if not kept.any():
        return batch.only(kept)
    batch = _with_masked_labels(loss, batch.only(kept))
    rows = np.arange(batch.rows)
    found: Array = np.zeros(batch.rows, dtype=bool)
    for start in range(0, batch.rows, 2 * _ROWS):
        part = (rows >= start) & (rows < start + 2 * _ROWS)
        found[part] = _which_usable(formula, batch.only(part))
        if found.sum() >= count:
            break
    return batch.only(found & (np.cumsum(found) <= count))


def _moderate(batch: Batch) -> Array:
    """The samples none of whose elements makes the others vanish beside it."""
    kept: Array = np.ones(batch.rows, dtype=bool)
    for array in batch.inputs.values():
        sizes = np.abs(array.reshape(batch.rows, -1))
        inside = (sizes == 0) | ((sizes > 1 / _SPREAD) & (sizes < _SPREAD))
        kept &= inside.all(axis=1)
    return kept


def _drawn(
    formula: Formula, seed: int, defaults: bool, *, logits: bool, at_kinks: bool
) -> Batch | None:
    """A batch with enough usable samples, or the best of several attempts.

    ``at_kinks`` admits samples that have different slopes on the two sides: of some
    losses, such as distances of running sums that all end at 1, there are no others.
    """
    loss, best = formula.loss, None
    long = any(isinstance(v.size, int) and v.size > _LONG for v in loss.variables)
    rows = _FEW_ROWS if formula.tied or long or not defaults else _ROWS
    for attempt in range(_ATTEMPTS):
        batch = sample(loss, rows, seed + 10 * attempt, defaults=defaults)
        batch = batch.only(not_held(formula, batch))
        batch = _with_masked_labels(loss, batch)
        if logits:
            batch = _as_logits(loss, batch)
        found = usable(formula, batch, at_kinks)
        if best is None or found.rows > best.rows:
            best = found
        if best.rows >= _ENOUGH:
            break
    return best if best is not None and best.rows >= 2 else None


def not_held(formula: Formula, batch: Batch) -> Array:
    """The samples whose predictions no guard holds."""
    inside: Array = np.ones(batch.rows, dtype=bool)
    for guard in formula.guards:
        array = batch.inputs[guard.prediction.name]
        inside &= (array == held(guard, array)).reshape(batch.rows, -1).all(axis=1)
    return inside


def _with_masked_labels(loss: Loss, batch: Batch) -> Batch:
    """Give every fourth element a label that the mask drops, if one is found."""
    if loss.mask is None:
        return batch
    if loss.spec.y_true.sparse:
        return replace(batch, mask=kept_by(loss.mask, batch))  # it has to stay one-hot
    nodes = list(walk(loss.mask))
    numbers = [float(n.value) for n in nodes if isinstance(n, Number)]
    # What a NaN makes of others along an axis is up to the backend.
    along = any(isinstance(n, Apply) and n.axis is not None for n in nodes)
    others = (0.0, -1.0) if along else (math.nan, 0.0, -1.0)
    for value in (*numbers, *(-n for n in numbers), *others):
        inputs = dict(batch.inputs)
        for item in loss.of_role(Role.Y_TRUE):
            inputs[item.name] = inputs[item.name].copy()
            inputs[item.name].reshape(-1)[1::4] = value
        kept = kept_by(loss.mask, Batch(inputs, batch.parameters))
        for name in (item.name for item in loss.of_role(Role.Y_TRUE)):
            if kept.shape == inputs[name].shape:
                # What is kept is a label of the domain.
                inputs[name] = np.where(kept, batch.inputs[name], inputs[name])
        kept = kept_by(loss.mask, Batch(inputs, batch.parameters))
        if not kept.all():
            return Batch(inputs, batch.parameters, kept)
    return batch


def _as_logits(loss: Loss, batch: Batch) -> Batch:
    """Replace probabilities by logits, spread from -12 to 12."""
    (name,) = (item.name for item in loss.of_role(Role.Y_PRED))
    drawn = batch.inputs[name]
    logits = np.vectorize(lambda p: rounded(_REAL_LOGITS * (2 * p - 1)), otypes=[float])
    return replace(batch, inputs={**batch.inputs, name: logits(drawn)})


# Which samples are usable ----------------------------------------------------------


def usable(formula: Formula, batch: Batch, at_kinks: bool = False) -> Batch:
    """The samples that are allowed and can be compared."""
    return batch.only(_which_usable(formula, batch, at_kinks))


def _fits(formula: Formula, batch: Batch) -> bool:
    """Whether all samples of a batch are usable, and none is beyond a guard."""
    inside = not_held(formula, batch)
    return bool((inside & _which_usable(formula, batch)).all())


def _which_usable(formula: Formula, batch: Batch, at_kinks: bool = False) -> Array:
    """Which samples are."""
    allowed = permitted(formula.loss, batch)
    if allowed.any():
        allowed[allowed] = _comparable(formula, batch.only(allowed), at_kinks)
    return allowed


def permitted(loss: Loss, batch: Batch) -> Array:
    """The samples that satisfy the assumptions and have a label that counts."""
    keep = _is_labelled(loss, batch)
    for condition in loss.assume:
        keep &= _where_held(condition, batch, Axis.BATCH in axes_of(loss))
    return keep


def _where_held(condition: Expr, batch: Batch, tied: bool) -> Array:
    """The samples of which all that is kept satisfies a condition.

    None does where its sides have no value.
    """
    try:
        held = evaluate(condition, environment(batch), mask=batch.mask)
    except Undefined:
        # Too large to be written down: at one sample, maybe not at all of them.
        rows = np.arange(batch.rows)
        if tied or len(rows) == 1:
            return np.zeros(len(rows), dtype=bool)
        alone = [_where_held(condition, batch.only(rows == row), tied) for row in rows]
        return np.concatenate(alone)
    if batch.mask is not None and held.ndim == batch.mask.ndim:
        gone = tuple(axis for axis, length in enumerate(held.shape) if length == 1)
        held = held | ~batch.mask.any(axis=gone, keepdims=True)
    return _all_per_row(held, batch.rows)


def _comparable(formula: Formula, batch: Batch, at_kinks: bool) -> Array:
    """The samples with value and slope of moderate size, the same on both sides.

    ``at_kinks`` allows that the slopes on both sides differ.
    """
    try:
        values, right, left = map(floats, formula.sides(batch, _DIGITS))
    except Undefined:
        # Too large to be written down: at one sample, maybe not at all of them.
        rows = np.arange(batch.rows)
        if formula.tied or len(rows) == 1:
            return np.zeros(len(rows), dtype=bool)
        singles = [batch.only(rows == row) for row in rows]
        alone = [_comparable(formula, single, at_kinks) for single in singles]
        return np.concatenate(alone)
    small = (np.abs(left) < LARGEST) & (np.abs(right) < LARGEST)
    with np.errstate(invalid="ignore"):  # infinities, which are not small
        same = at_kinks | (np.abs(right - left) <= SAME * (1 + np.abs(right)))
    fits = _all_per_row(np.abs(values) < LARGEST, batch.rows)
    return fits & _all_per_row(same & small, batch.rows)


def _is_labelled(loss: Loss, batch: Batch) -> Array:
    """Which samples hold no class index that means "ignore this"."""
    ignore = loss.spec.y_true.ignore
    if ignore is None:
        return np.ones(batch.rows, dtype=bool)
    (name,) = (item.name for item in loss.of_role(Role.Y_TRUE))
    ignored = np.argmax(batch.inputs[name], axis=-1) == ignore
    return np.asarray(~ignored.reshape(len(ignored), -1).any(axis=1))


def _all_per_row(held: Array, rows: int) -> Array:
    held = np.asarray(held, dtype=bool)
    if held.ndim == 0 or held.shape[0] != rows:
        return np.full(rows, bool(held.all()))
    return np.asarray(held.reshape(rows, -1).all(axis=1))
