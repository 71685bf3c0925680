"""Reference values of a loss and its gradient, from the author's own formula.

Everything is evaluated by mpmath on the tree as it was written; rewriting has no part
in it. The precision is doubled until two results agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from mpmath import mpf

from lossgen.analysis.spelling import spell_symbol
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import UndecidedError, Undefined
from lossgen.calculus.reverse import TiedError
from lossgen.calculus.steps import OutOfStepsError, Steps, limited
from lossgen.ir.expr import Expr, Role
from lossgen.ir.loss import Loss
from lossgen.ir.program import Guard, Reach
from lossgen.ir.reference import (
    ALL_THE_SAME,
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
_NO_FLOAT = mpf(10) ** -330  # rounds to 0 in every type

MAX_STEPS = 30_000_000
OUT_OF_STEPS = "further samples, for which no steps were left"


class NoSamplesError(ValueError):
    """No sample satisfies the assumptions and has a value that can be compared."""

    def __init__(self, left_out: tuple[str, ...]) -> None:
        """Say what became of the samples that were drawn, and what to do."""
        message = (
            "no sample was found that satisfies the assumptions, with value and "
            f"gradient below {LARGEST:g}, computed in float32 without overflow"
        )
        self.help = "check the domains and `assume`"
        if OUT_OF_STEPS in left_out:
            message = "the values for the test take too many steps to compute"
            self.help = "write the formula with fewer terms, branches or nested calls"
        elif left_out:
            message = (
                f"{_MAX_DIGITS:,} digits do not settle value and gradient at any "
                f"sample, such as at {left_out[0]}"
            )
            self.help = "simplify the formula: all digits of its terms cancel there"
        super().__init__(message)


def reference(
    loss: Loss,
    computed: Expr,
    computed_from_logits: Expr | None,
    guards: tuple[Guard, ...] = (),
    sizes: Reach = (),
    steps: int = MAX_STEPS,
) -> ReferenceTable:
    """Compute the table that the generated test compares with.

    Args:
        loss: The author's formula, from which the values come.
        computed: The form of it that the generated code computes, which has a part in
            the tolerances only: no code can do better than its own rounding.
        computed_from_logits: The same for logits, or None.
        guards: Where predictions are held, which are not logits.
        sizes: How large inputs may be, where their domains do not say.
        steps: How much work may go into the values, of each of the two forms.

    Raises:
        NoSamplesError: If no sample satisfies the assumptions and has value and
            gradient that float32 can hold and some number of digits settles.
    """
    formula = Formula(loss, loss.expression, guards)
    drawing = drawn_batches(formula, sizes, logits=False)
    batches, left_out = _settling(formula, drawing, Steps(steps))
    if not batches.keys() - {WHOLE_DOMAIN}:
        raise NoSamplesError(left_out)
    on_kinks = tuple(points_on_kinks(loss))
    beside = beside_kinks(loss, on_kinks)
    if beside is not None:
        if loss.mask is not None:
            beside = replace(beside, mask=kept_by(loss.mask, beside))
        beside = usable(formula, beside)
        kept, more = _settling(formula, [(BESIDE_KINKS, beside)], Steps(steps))
        batches, left_out = {**kept, **batches}, (*left_out, *more)
    written = Formula(loss, computed)
    cases = _cases(formula, written, batches)
    if not cases:
        raise NoSamplesError(left_out)
    logits: _Cases = []
    logits_slopes: ParameterSlopes = {}
    far_logits: tuple[float, ...] = ()
    if computed_from_logits is not None:
        by_logits = Formula(loss, on_logits(loss))
        written_from_logits = Formula(loss, computed_from_logits)
        drawing = drawn_batches(by_logits, sizes, logits=True)
        drawn, more = _settling(by_logits, drawing, Steps(steps))
        left_out = (*left_out, *more)
        if not drawn.keys() - {WHOLE_DOMAIN}:
            raise NoSamplesError(left_out)
        logits = _cases(by_logits, written_from_logits, drawn)
        if not logits:
            raise NoSamplesError(left_out)
        logits_slopes = _parameter_slopes(by_logits, written_from_logits, logits)
        far_logits = _far_logits(written_from_logits, logits[0][1])
    _, first = cases[0]
    return ReferenceTable(
        tuple(case for case, _ in cases),
        tuple(case for case, _ in logits),
        end_samples(formula, computed, first.parameters),
        tuple(point.row for point in on_kinks),
        _curvatures(formula, written, first),
        _parameter_slopes(formula, written, cases),
        logits_slopes,
        far_logits,
        left_out,
    )


_FAR_LOGITS = (-1000.0, -100.0, 0.0, 100.0, 1000.0)

_Cases = list[tuple[ReferenceCase, Batch]]
"""Cases, each with the samples of its rows."""


def _cases(formula: Formula, computed: Formula, batches: Mapping[str, Batch]) -> _Cases:
    """The cases in the order of the tests: training first, other parameters last."""
    names = [name for name in CASES if name in batches]
    cases = [_case(formula, computed, batches[name], name) for name in names]
    # Of the samples few or none may be left.
    return [(case, batch) for case, batch in cases if batch.rows > 1]


def _curvatures(
    formula: Formula, computed: Formula, batch: Batch
) -> tuple[tuple[float, float], ...]:
    try:
        exact = formula.curvatures(batch, _DIGITS)
        # Where pieces meet C1, either side will do.
        apart = abs(exact - formula.curvatures(batch, _DIGITS, side=-1))
        (noise,) = in_double(
            lambda rounding: [computed.curvatures(batch, _DIGITS, rounding)], [exact]
        )
    except (Undefined, UndecidedError):
        return ()
    allowed = noise + floats(apart)
    return tuple(zip(map(float, exact), map(float, allowed), strict=True))


def _parameter_slopes(
    formula: Formula, computed: Formula, cases: _Cases
) -> ParameterSlopes:
    moderate = [batch for case, batch in cases if case.name != WHOLE_DOMAIN]
    if not formula.loss.parameters or not moderate:
        return {}
    batch = moderate[-1]
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


def _far_logits(computed: Formula, batch: Batch) -> tuple[float, ...]:
    """Of some far numbers those that a logit may be for all results to be finite.

    At the others the loss itself is infinite, or there is a warning of it.
    """
    (name,) = (item.name for item in computed.loss.of_role(Role.Y_PRED))

    def stays_finite(logit: float) -> bool:
        moved = batch.inputs[name].copy()
        moved[:, 0] = logit
        inputs = {**batch.inputs, name: moved}
        far = replace(batch, inputs=inputs)
        return bool(computed.stays_finite(far, _DIGITS, FLOAT32).all())

    return tuple(filter(stays_finite, _FAR_LOGITS))


def _case(
    formula: Formula, computed: Formula, batch: Batch, name: str
) -> tuple[ReferenceCase, Batch]:
    """Evaluate the samples of a batch at which nothing overflows in float32.

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
    used = computed.stays_finite(batch, _DIGITS, FLOAT32)
    if name == WHOLE_DOMAIN:
        accurate = off.accurate(batch.rows)
        if formula.tied and not accurate.all():
            used[:] = False
        for item in (off_values, off_slopes):
            item[~accurate] = np.inf
    if name == ALL_THE_SAME:
        # Any element may be the one that is taken for the extreme.
        off_slopes = np.full(off_slopes.shape, off_slopes.max())
    # What rounding makes of the side of a kink is within the margin.
    off_slopes = np.where(apart > 0, EPSILON * apart, off_slopes)
    rows = tuple(
        ReferenceRow(
            y_true=joined(loss, batch, Role.Y_TRUE, row),
            y_pred=joined(loss, batch, Role.Y_PRED, row),
            value=nested(values[row]),
            value_tolerance=tolerance(values[row], off_values[row]),
            gradient=nested(slopes[row]),
            gradient_tolerance=tolerance(slopes[row], off_slopes[row], apart[row] / 2),
        )
        for row in range(batch.rows)
        if used[row]
    )
    kept = batch.only(used)
    parameters = {
        item.name: nested(kept.parameters[item.name]) for item in loss.parameters
    }
    case = ReferenceCase(parameters, rows, bool((apart[used] > 0).any()), name)
    return case, kept


# Precision ------------------------------------------------------------------------


def _settled(formula: Formula, batch: Batch) -> tuple[Array, Array, Array]:
    """Values and gradients of samples of which `_settle` says that they settle."""
    found = _digit_by_digit(formula, batch)
    _, values, right, left = next(sides for sides in found if sides[0].all())
    return values, right, left


def _settling(
    formula: Formula, drawing: Iterable[tuple[str, Batch]], steps: Steps
) -> tuple[dict[str, Batch], tuple[str, ...]]:
    """The batches with the samples that settle, and what became of the others."""
    batches: dict[str, Batch] = {}
    left_out: list[str] = []
    try:
        with limited(steps):
            for name, batch in drawing:
                if batch.rows < 2:
                    continue
                if formula.tied and name != BESIDE_KINKS:
                    # Both sides of an edge are looked at in a sample by itself alone.
                    batch = formula.off_edges(batch)
                rows = _settle(formula, batch)
                left_out += [
                    _described(batch, int(row)) for row in np.flatnonzero(~rows)
                ]
                if rows.sum() > 1:
                    batches[name] = batch.only(rows)
    except OutOfStepsError:
        left_out.append(OUT_OF_STEPS)
    return batches, tuple(left_out)


def _settle(formula: Formula, batch: Batch) -> Array:
    """The samples for which twice the digits change nothing at some number of digits.

    Where samples depend on one another it is all or none.
    """
    rows: Array = np.zeros(batch.rows, dtype=bool)
    for rows, *_ in _digit_by_digit(formula, batch):
        if rows.all():
            break
    return rows & rows.all() if formula.tied else rows


def _digit_by_digit(
    formula: Formula, batch: Batch
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Which samples are as they were with half the digits; values, both gradients."""
    digits = _DIGITS
    before = formula.sides(batch, digits)
    while digits < _MAX_DIGITS:
        digits *= 2
        now = formula.sides(batch, digits)
        pairs = zip(before, now, strict=True)
        yield np.all([_agreeing(*pair, batch.rows) for pair in pairs], axis=0), *now
        before = now


def _agreeing(left: Array, right: Array, rows: int) -> Array:
    """In which samples two precisions give the same; what is dropped is the same."""
    same = np.array(
        [
            a is None
            or b is None
            or abs(a - b) <= max(_AGREEMENT * max(abs(a), abs(b)), _NO_FLOAT)
            for a, b in zip(left.flat, right.flat, strict=True)
        ]
    )
    return np.asarray(same.reshape(rows, -1).all(axis=1))


def _described(batch: Batch, row: int) -> str:
    """A sample in words."""
    shown = (
        f"{spell_symbol(name)} = {', '.join(f'{x:.6g}' for x in array[row].flat)}"
        for name, array in batch.inputs.items()
    )
    return ", ".join(shown)
