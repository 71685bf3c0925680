"""Where the gradient of a loss is exactly 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.branches import TooManyBranchesError, formulas
from lossgen.analysis.guards import Guard, guards
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import (
    Sample,
    generic,
    satisfying,
    typical_length,
    uses_axis,
)
from lossgen.analysis.spelling import spell_relation, spell_symbol
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Apply, Axis, Expr, Role, symbols, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss, Variable

_ROWS = 10
_FEW_DIGITS = 24
_MANY_DIGITS = 150
_SPREADS = (1, 1, 4, 12)
_CLOSE = Fraction(1, 1000)  # where a steep function has not levelled off yet


def find_flat_regions(loss: Loss, report: Report) -> bool:
    """Report where no gradient reaches y_pred: everywhere, or on part of the domain.

    Returns:
        Whether each component of y_pred that is not fixed has a gradient somewhere.
    """
    moving = [
        item
        for item in loss.of_role(Role.Y_PRED)
        if carries(loss.expression, item) or not _is_stopped(loss, item)
    ]
    # Of several components some may be targets: those that the author keeps fixed.
    inspected = moving or loss.of_role(Role.Y_PRED)
    alive = [_inspect(loss, item, report) for item in inspected]
    return all(alive)


def _is_stopped(loss: Loss, variable: Variable) -> bool:
    """Whether it stands under ``stop_gradient``."""
    return any(
        isinstance(node, Apply)
        and node.op == "stop_gradient"
        and variable.symbol in symbols(node)
        for node in walk(loss.expression)
    )


@dataclass(frozen=True)
class _Slopes:
    """The slope in each row of one draw of y_pred; the data is the same in each."""

    sample: Sample
    slopes: tuple[Any, ...]


def _inspect(loss: Loss, variable: Variable, report: Report) -> bool:
    # Without a branch the loss is analytic: flat nowhere or everywhere.
    branches = guards(loss.expression, Ranges.of_loss(loss))
    draws = []
    for sample in _draws(loss, _SPREADS if branches else _SPREADS[:1]):
        slopes = _slopes(loss.expression, variable, sample, _FEW_DIGITS)
        if slopes is not None:
            draws.append(_Slopes(sample, slopes))
    if not draws:
        return True
    if not any(slope for draw in draws for slope in draw.slopes):
        samples = [draw.sample for draw in draws]
        samples += _draws(loss, (_CLOSE,), salt=200)
        # Of two elements a correlation is 1 or -1, whatever they are.
        longer = [*_draws(loss, (1,), last=typical_length(loss) + 1)]
        pieces = _pieces(loss)
        if not any(_is_alive(piece, variable, samples + longer) for piece in pieces):
            _report_dead(loss, variable, pieces, samples, report)
            return False
    if branches:
        _report_flat_part(loss, variable, draws, report)
    return True


def _report_flat_part(
    loss: Loss, variable: Variable, draws: list[_Slopes], report: Report
) -> None:
    flat = _flat_rows(draws)
    if not flat:
        return
    draw, row = flat[0]
    where = _description(loss, draws) or draw.sample.describe(
        row, tuple(draw.sample.environment)
    )
    report.add(
        "LG407",
        f"the gradient is 0 on part of the domain of {spell_symbol(variable.name)}",
        loss.expression.span,
        notes=(f"for instance where {where}",),
    )


def _report_dead(
    loss: Loss,
    variable: Variable,
    pieces: tuple[Expr, ...],
    samples: list[Sample],
    report: Report,
) -> None:
    name = spell_symbol(variable.name)
    if _is_independent(loss, variable, pieces, samples):
        report.add(
            "LG404",
            f"the loss does not depend on {name}",
            loss.expression.span,
            notes=("its value stays the same whatever the prediction",),
            help=f"let {name} stand in a term that no other cancels, or remove it",
        )
        return
    stopped = any(
        isinstance(node, Apply) and node.op == "stop_gradient"
        for node in walk(loss.expression)
    )
    report.add(
        "LG403",
        f"the gradient with respect to {name} is 0 almost everywhere",
        loss.expression.span,
        notes=("nothing can be learnt from it",),
        help=(
            "leave a part that depends on y_pred outside stop_gradient"
            if stopped
            else "replace the step by a smooth or sloping function: sigmoid, softplus, "
            "relu"
        ),
    )


def _pieces(loss: Loss) -> tuple[Expr, ...]:
    try:
        return formulas(loss.expression, Ranges.of_loss(loss))
    except TooManyBranchesError:
        return (loss.expression,)


def _is_alive(piece: Expr, variable: Variable, samples: list[Sample]) -> bool:
    """Whether a formula has a slope; one that nowhere can be evaluated may have."""
    if not carries(piece, variable):
        return False
    defined = False
    for sample in samples:
        for part in (sample, *_single_rows(sample)):
            slopes = _slopes(piece, variable, part, _MANY_DIGITS)
            if slopes is not None:
                defined = True
                if any(slopes):
                    return True
                break
    return not defined


def _single_rows(sample: Sample) -> Iterator[Sample]:
    for row in range(sample.rows):
        yield sample.only(np.arange(sample.rows) == row)


def carries(expr: Expr, variable: Variable) -> bool:
    """Whether a derivative with respect to a variable passes through an expression."""
    if not isinstance(expr, Apply):
        return expr == variable.symbol
    if expr.op == "stop_gradient" or FUNCTIONS[expr.op].kind in _WITHOUT_DERIVATIVE:
        return False
    args = expr.args[1:] if expr.op == "where" else expr.args
    return any(carries(arg, variable) for arg in args)


_WITHOUT_DERIVATIVE = (Kind.DATA, Kind.COMPARISON, Kind.LOGIC)


def _is_independent(
    loss: Loss, variable: Variable, pieces: tuple[Expr, ...], samples: list[Sample]
) -> bool:
    """Whether the value stays the same when only this variable changes."""
    base = samples[0].environment
    environments = [
        {**base, variable.name: sample.environment[variable.name]} for sample in samples
    ]
    values = [
        found
        for expr in dict.fromkeys((loss.expression, *pieces))
        for environment in environments
        if (found := _values(expr, environment)) is not None
    ]
    few, many = values[0]
    return not any(
        _is_settled(a - b, c - d)
        for others in values[1:]
        for a, b, c, d in zip(*_alike(few, others[0], many, others[1]), strict=True)
    )


def _values(expr: Expr, environment: Mapping[str, Any]) -> tuple[Any, Any] | None:
    try:
        return (
            evaluate(expr, environment, digits=_FEW_DIGITS),
            evaluate(expr, environment, digits=_MANY_DIGITS),
        )
    except Undefined:
        return None


def _alike(*arrays: Any) -> Iterator[Iterator[Any]]:
    return (array.flat for array in np.broadcast_arrays(*arrays))


def _is_settled(few: Any, many: Any) -> bool:
    """Whether a number is not 0, from its values to few and to many digits.

    What is left of a cancellation shrinks as digits are added, however large or small
    the terms are; a number stays.
    """
    with mp.workdps(_MANY_DIGITS):
        return bool(many) and abs(few - many) < abs(many) / 1000


def _flat_rows(draws: list[_Slopes]) -> list[tuple[_Slopes, int]]:
    """Rows without slope whose data has a slope elsewhere.

    Where a label switches a term off for every prediction, nothing is flat: the loss
    does not look at that prediction. If no draw has a slope, all of them are flat, as
    another branch has one.
    """
    alive = {
        row for draw in draws for row, slope in enumerate(draw.slopes) if slope
    } or set(range(len(draws[0].slopes)))
    return [
        (draw, row)
        for draw in draws
        for row, slope in enumerate(draw.slopes)
        if not slope and row in alive
    ]


# Draws --------------------------------------------------------------------------------


def _draws(
    loss: Loss,
    spreads: tuple[int | Fraction, ...],
    *,
    last: int | None = None,
    salt: int = 100,
) -> Iterator[Sample]:
    """The same data with several predictions, further out or closer to 0."""
    base = generic(loss, last=last or typical_length(loss), rows=_ROWS)
    if base is None:
        return
    predicted = [item.name for item in loss.of_role(Role.Y_PRED)]
    for number, spread in enumerate(spreads, salt):
        other = generic(loss, last=base.last, rows=_ROWS, salt=number)
        if other is None or other.rows != base.rows:
            continue
        moved = {
            name: _spread(loss.variable(name), other.environment[name], spread)
            for name in predicted
        }
        sample = replace(base, environment={**base.environment, **moved})
        if satisfying(loss, sample).rows == base.rows:
            yield sample


def _spread(variable: Variable, array: Any, factor: int | Fraction) -> Any:
    unbounded = variable.domain.lower.value is None and (
        variable.domain.upper.value is None
    )
    return array * factor if unbounded else array


def _slopes(
    expr: Expr, variable: Variable, sample: Sample, digits: int
) -> tuple[Any, ...] | None:
    """Per row, the largest slope along one direction; 0 where it is rounding."""
    few = _germs(expr, variable, sample, digits)
    if few is None:
        return None
    sizes = [max(map(abs, row)) for row in few]
    nonzero = [row for row, size in enumerate(sizes) if size]
    if not nonzero:
        return tuple(sizes)
    # What is rounding is the smallest: if that one stays, so do the others.
    least = min(nonzero, key=lambda row: sizes[row])
    if len(few) == sample.rows and _confirmed(
        expr, variable, sample.only(np.arange(sample.rows) == least), digits, few[least]
    ):
        return tuple(sizes)
    many = _germs(expr, variable, sample, 2 * digits)
    if many is None:
        return None
    return tuple(_settled_size(*pair) for pair in zip(few, many, strict=True))


def _confirmed(
    expr: Expr, variable: Variable, row: Sample, digits: int, few: list[Any]
) -> bool:
    many = _germs(expr, variable, row, 2 * digits)
    return many is not None and bool(_settled_size(few, many[0]))


def _settled_size(few: list[Any], many: list[Any]) -> Any:
    pairs = zip(few, many, strict=True)
    return max(abs(b) if _is_settled(a, b) else mpf(0) for a, b in pairs)


def _germs(
    expr: Expr, variable: Variable, sample: Sample, digits: int
) -> list[list[Any]] | None:
    """The slopes in each row."""
    array = sample.environment[variable.name]
    direction = np.zeros(array.shape, dtype=int)
    tied = uses_axis(expr, Axis.BATCH)
    for row in direction[:1] if tied else direction:
        row[...] = (np.arange(row.size) % 5 * 7 + 11).reshape(row.shape)
    try:
        _, slopes = germ(
            expr, sample.environment, {variable.name: direction}, digits=digits
        )
    except Undefined:
        return None
    return _by_row(slopes, sample.rows)


def _by_row(array: Any, rows: int) -> list[list[Any]]:
    if not array.ndim or array.shape[0] != rows:
        return [list(array.flat)]
    return [list(np.asarray(row, dtype=object).flat) for row in array]


# Words --------------------------------------------------------------------------------


def _description(loss: Loss, draws: list[_Slopes]) -> str | None:
    """A guard whose sign tells the flat rows from the others."""
    for guard in guards(loss.expression, Ranges.of_loss(loss)):
        for difference, text in _sides(guard):
            if all(_agrees(difference, draw) for draw in draws):
                return text
    return None


def _sides(guard: Guard) -> Iterator[tuple[Expr, str]]:
    difference = guard.difference
    yield difference, spell_relation(difference, ">")
    yield Apply("neg", (difference,)), spell_relation(difference, "<")


def _agrees(difference: Expr, draw: _Slopes) -> bool:
    with mp.workdps(_FEW_DIGITS):
        try:
            values = evaluate(difference, draw.sample.environment, digits=_FEW_DIGITS)
        except Undefined:
            return False
    if not values.ndim or values.shape[0] != len(draw.slopes):
        return False
    for row, slope in zip(values, draw.slopes, strict=True):
        flat = all(item > 0 for item in np.asarray(row, dtype=object).flat)
        if flat == bool(slope):
            return False
    return True
