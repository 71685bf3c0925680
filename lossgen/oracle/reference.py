"""Reference values of a loss and its gradient, from the author's own formula.

Everything is evaluated by mpmath on the tree as it was written; rewriting has no part
in it. The precision is doubled until two results agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import UndecidedError, Undefined
from lossgen.calculus.reverse import TiedError
from lossgen.ir.expr import Expr, Role
from lossgen.ir.loss import Loss
from lossgen.ir.program import Guard, Reach
from lossgen.ir.reference import (
    BESIDE_KINKS,
    CASES,
    WHOLE_DOMAIN,
    ParameterSlopes,
    ReferenceCase,
    ReferenceRow,
    ReferenceTable,
)
from lossgen.oracle.drawing import LARGEST, SAME, drawn_batches, usable
from lossgen.oracle.ends import end_samples
from lossgen.oracle.evaluation import Formula, floats, kept_by, on_logits
from lossgen.oracle.float_formats import FLOAT32
from lossgen.oracle.kinks import beside_kinks, points_on_kinks
from lossgen.oracle.samples import Batch, joined, nested
from lossgen.oracle.tolerance import EPSILON, deviations, in_double, tolerance

_DIGITS = 40
_MAX_DIGITS = 2560
_AGREEMENT = 1e-20


class NoSamplesError(ValueError):
    """No sample satisfies the assumptions and has a value that can be compared."""


class PrecisionError(ArithmeticError):
    """Two precisions did not agree before the limit was reached."""


def reference(
    loss: Loss,
    computed: Expr,
    computed_from_logits: Expr | None,
    guards: tuple[Guard, ...] = (),
    sizes: Reach = (),
) -> ReferenceTable:
    """Compute the table that the generated test compares with.

    Args:
        loss: The author's formula, from which the values come.
        computed: The form of it that the generated code computes, which has a part in
            the tolerances only: no code can do better than its own rounding.
        computed_from_logits: The same for logits, or None.
        guards: Where predictions are held, which are not logits.
        sizes: How large inputs may be, where their domains do not say.

    Raises:
        NoSamplesError: If no sample satisfies the assumptions and has value and
            gradient that float32 can hold.
        PrecisionError: If no precision up to 2,560 digits settles a value.
    """
    formula = Formula(loss, loss.expression, guards)
    batches = dict(drawn_batches(formula, sizes, logits=False))
    if not batches:
        raise NoSamplesError(
            "no sample was found that satisfies the assumptions, with value and "
            f"gradient below {LARGEST:g}"
        )
    on_kinks = tuple(points_on_kinks(loss))
    beside = beside_kinks(loss, on_kinks)
    if beside is not None:
        if loss.mask is not None:
            beside = replace(beside, mask=kept_by(loss.mask, beside))
        beside = usable(formula, beside)
        if beside.rows > 1:
            batches = {BESIDE_KINKS: beside, **batches}
    written = Formula(loss, computed)
    cases = _cases(formula, written, batches)
    logits: tuple[ReferenceCase, ...] = ()
    logits_slopes: ParameterSlopes = {}
    if computed_from_logits is not None:
        by_logits = Formula(loss, on_logits(loss))
        written_from_logits = Formula(loss, computed_from_logits)
        drawn = dict(drawn_batches(by_logits, sizes, logits=True))
        logits = _cases(by_logits, written_from_logits, drawn)
        logits_slopes = _parameter_slopes(
            by_logits, written_from_logits, drawn[_last(logits)]
        )
    return ReferenceTable(
        cases,
        logits,
        end_samples(formula, computed, batches[cases[0].name].parameters),
        tuple(point.row for point in on_kinks),
        _curvatures(formula, written, batches[cases[0].name]),
        _parameter_slopes(formula, written, batches[_last(cases)]),
        logits_slopes,
    )


def _cases(
    formula: Formula, computed: Formula, batches: Mapping[str, Batch]
) -> tuple[ReferenceCase, ...]:
    """The cases in the order of the tests: training first, other parameters last."""
    names = [name for name in CASES if name in batches]
    cases = (_case(formula, computed, batches[name], name) for name in names)
    # Of the samples from all over the domain few or none may be left.
    return tuple(case for case in cases if len(case.rows) > 1)


def _last(cases: tuple[ReferenceCase, ...]) -> str:
    """The name of the last case of which no sample was left out."""
    return [case.name for case in cases if case.name != WHOLE_DOMAIN][-1]


def _curvatures(
    formula: Formula, computed: Formula, batch: Batch
) -> tuple[tuple[float, float], ...]:
    try:
        exact = formula.curvatures(batch, _DIGITS)
        (allowed,) = in_double(
            lambda rounding: [computed.curvatures(batch, _DIGITS, rounding)], [exact]
        )
    except (Undefined, UndecidedError):
        return ()
    return tuple(zip(map(float, exact), map(float, allowed), strict=True))


def _parameter_slopes(
    formula: Formula, computed: Formula, batch: Batch
) -> ParameterSlopes:
    if not formula.loss.parameters:
        return {}
    try:
        slopes = formula.parameter_slopes(batch, _DIGITS)
        allowed = in_double(
            lambda rounding: [
                *computed.parameter_slopes(batch, _DIGITS, rounding).values()
            ],
            [*slopes.values()],
        )
    except (Undefined, TiedError):
        return {}
    return {
        name: (nested(slope), nested(off))
        for (name, slope), off in zip(slopes.items(), allowed, strict=True)
    }


def _case(
    formula: Formula, computed: Formula, batch: Batch, name: str
) -> ReferenceCase:
    """Evaluate a batch.

    At a kink the gradient is to lie between the slopes of the two sides. From all over
    the domain, what has no digits that can be compared has to be finite.
    """
    loss = formula.loss
    values, right, left = _settled(formula, batch)
    apart = np.abs(floats(right) - floats(left))
    apart[apart <= SAME * (1 + np.abs(floats(right)))] = 0
    slopes = np.where(apart > 0, (left + right) / 2, right)
    off = deviations(formula, computed, batch)
    off_values, off_slopes = off.total
    used: Array = np.ones(batch.rows, dtype=bool)
    if name == WHOLE_DOMAIN:
        accurate = off.accurate(batch.rows)
        used = computed.stays_finite(batch, _DIGITS, FLOAT32)
        if formula.tied and not accurate.all():
            used[:] = False
        for item in (off_values, off_slopes):
            item[~accurate] = np.inf
    # What rounding makes of the side of a kink is within the margin.
    off_slopes = np.where(apart > 0, EPSILON * apart, off_slopes)
    dropped: Array = np.zeros(batch.rows, dtype=bool)
    if batch.mask is not None and not formula.tied:
        dropped = np.asarray(~batch.mask.reshape(batch.rows, -1).any(axis=1))
    rows = tuple(
        ReferenceRow(
            y_true=joined(loss, batch, Role.Y_TRUE, row),
            y_pred=joined(loss, batch, Role.Y_PRED, row),
            value=nested(values[row]),
            # What is dropped is exactly 0.
            value_tolerance=nested(np.zeros(np.shape(values[row])))
            if dropped[row]
            else tolerance(values[row], off_values[row]),
            gradient=nested(slopes[row]),
            gradient_tolerance=tolerance(slopes[row], off_slopes[row], apart[row] / 2),
        )
        for row in range(batch.rows)
        if used[row]
    )
    left_over = batch.only(used).parameters
    parameters = {item.name: nested(left_over[item.name]) for item in loss.parameters}
    return ReferenceCase(parameters, rows, bool((apart > 0).any()), name)


# Precision ------------------------------------------------------------------------


def _settled(formula: Formula, batch: Batch) -> tuple[Array, Array, Array]:
    """Values and gradients, once twice the digits change nothing."""
    digits = _DIGITS
    *previous, left = formula.sides(batch, digits)
    while digits < _MAX_DIGITS:
        digits *= 2
        current = list(formula.evaluated(batch, digits))
        if all(_agree(a, b) for a, b in zip(previous, current, strict=True)):
            values, right = current
            return values, right, right if formula.tied else left
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
