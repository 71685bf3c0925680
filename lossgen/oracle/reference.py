"""Reference values of a loss and its gradient, from the author's own formula.

Everything is evaluated by mpmath on the tree as it was written; rewriting has no part
in it. The precision is doubled until two results agree.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import Apply, Axis, Expr, Number, Role, substitute, walk
from lossgen.ir.loss import Loss
from lossgen.ir.reference import ReferenceCase, ReferenceRow, ReferenceTable
from lossgen.oracle.ends import end_samples
from lossgen.oracle.evaluation import Formula, environment, floats
from lossgen.oracle.samples import Array, Batch, joined, nested, rounded, sample
from lossgen.oracle.tolerance import deviations, tolerance

_ROWS = 12
_ENOUGH = 4
_ATTEMPTS = 20
_TIED_ROWS = 6  # where the whole batch is one value, the cost grows with the square
_DIGITS = 40
_MAX_DIGITS = 2560
_AGREEMENT = 1e-20
_REAL_LOGITS = 12.0


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
    return ReferenceTable(cases, logits, end_samples(loss))


def _cases(loss: Loss, computed: Expr, *, logits: bool) -> tuple[ReferenceCase, ...]:
    formula = Formula(loss, _with_logits(loss) if logits else loss.expression)
    seeds = [(1, True)]
    if any(item.default is not None for item in loss.parameters):
        seeds.append((2, False))
    found = []
    for seed, defaults in seeds:
        batch = _drawn(formula, seed, defaults=defaults, logits=logits)
        if batch is not None:
            found.append(_case(formula, Formula(loss, computed), batch))
    if not found:
        raise NoSamplesError("no sample was found that satisfies the assumptions")
    return tuple(found)


def _case(formula: Formula, computed: Formula, batch: Batch) -> ReferenceCase:
    """Evaluate a batch."""
    loss = formula.loss
    values, slopes = _settled(formula, batch)
    off_values, off_slopes = deviations(formula, computed, batch)
    rows = tuple(
        ReferenceRow(
            y_true=joined(loss, batch, Role.Y_TRUE, row),
            y_pred=joined(loss, batch, Role.Y_PRED, row),
            value=nested(values[row]),
            value_tolerance=tolerance(values[row], off_values[row]),
            gradient=nested(slopes[row]),
            gradient_tolerance=tolerance(slopes[row], off_slopes[row]),
        )
        for row in range(batch.rows)
    )
    parameters = {
        item.name: nested(batch.parameters[item.name]) for item in loss.parameters
    }
    return ReferenceCase(parameters, rows)


# Samples --------------------------------------------------------------------------


def _drawn(
    formula: Formula, seed: int, *, defaults: bool, logits: bool
) -> Batch | None:
    """A batch with enough usable samples, or the best of several attempts."""
    loss, best = formula.loss, None
    rows = _TIED_ROWS if formula.tied else _ROWS
    for attempt in range(_ATTEMPTS):
        batch = sample(loss, rows, seed + 10 * attempt, defaults=defaults)
        batch = _with_masked_labels(loss, batch)
        if logits:
            batch = _as_logits(loss, batch)
        usable = batch.only(_allowed(loss, batch))
        if not formula.tied and usable.rows:
            usable = usable.only(_off_kinks(formula, usable))
        if best is None or usable.rows > best.rows:
            best = usable
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
        found = Batch(inputs, batch.parameters)
        kept = np.asarray(evaluate(loss.mask, environment(found)), dtype=bool)
        if not kept.all():
            return Batch(inputs, batch.parameters, kept)
    return batch


def _as_logits(loss: Loss, batch: Batch) -> Batch:
    """Replace probabilities by logits, spread from -12 to 12."""
    (name,) = (item.name for item in loss.of_role(Role.Y_PRED))
    drawn = batch.inputs[name]
    logits = np.vectorize(lambda p: rounded(_REAL_LOGITS * (2 * p - 1)), otypes=[float])
    return replace(batch, inputs={**batch.inputs, name: logits(drawn)})


def _with_logits(loss: Loss) -> Expr:
    """The author's formula with the link function written out."""
    (y_pred,) = (item.symbol for item in loss.of_role(Role.Y_PRED))
    axis = Axis.LAST if loss.spec.y_pred.logits == "softmax" else None
    head = Apply(loss.spec.y_pred.logits or "", (y_pred,), axis)
    return substitute(loss.expression, {y_pred: head})


def _allowed(loss: Loss, batch: Batch) -> Array:
    """The samples that satisfy the assumptions and have a label that counts."""
    keep = _is_labelled(loss, batch)
    for condition in loss.assume:
        held = evaluate(condition, environment(batch))
        keep &= _all_per_row(held, batch.rows)
    return keep


def _off_kinks(formula: Formula, batch: Batch) -> Array:
    """The samples where both sides have the same gradient."""
    right = floats(formula.gradient(batch, _DIGITS))
    left = floats(formula.gradient(batch, _DIGITS, side=-1))
    same = np.abs(right - left) <= 1e-12 * (1 + np.abs(right))
    return _all_per_row(same, batch.rows)


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


# Precision ------------------------------------------------------------------------


def _settled(formula: Formula, batch: Batch) -> tuple[Array, Array]:
    """Values and gradient, once twice the digits change nothing."""
    digits = _DIGITS
    previous = formula.evaluated(batch, digits)
    while digits < _MAX_DIGITS:
        digits *= 2
        current = formula.evaluated(batch, digits)
        if all(_agree(a, b) for a, b in zip(previous, current, strict=True)):
            return current
        previous = current
    name = formula.loss.name
    raise PrecisionError(f"{name}: {_MAX_DIGITS} digits do not settle it")


def _agree(left: Array, right: Array) -> bool:
    for a, b in zip(left.flat, right.flat, strict=True):
        if a is None or b is None:
            continue
        if abs(a - b) > _AGREEMENT * max(abs(a), abs(b)):
            return False
    return True
