"""Claims about a loss: refuted by a point, proved by ranges, or left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.curvature import is_convex
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import Sample, generic, satisfying, typical_length
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import TWO, Apply, Expr, Role, rebuild, sub, substitute
from lossgen.ir.loss import Loss, Property

_DIGITS = 30
_ZERO = mpf(10) ** -20
_ROWS = 12
_SALTS = (0, 1, 2)
_SPECS_NAMES = (
    "nonnegative",
    "zero_at_target",
    "convex",
    "symmetric",
    "bounded_gradient",
    "mean_consistent",
    "proper",
)


def examine(loss: Loss, report: Report) -> tuple[Property, ...]:
    """What becomes of each property; claims of the spec that fail are reported."""
    claims = {text.value: text for text in loss.spec.properties}
    found = []
    for name in _SPECS_NAMES:
        if name not in claims and name not in _ALWAYS:
            continue
        result = _EXAMINERS[name](loss) if name in _EXAMINERS else _undecided(name)
        found.append(result)
        if name in claims:
            _report(result, claims[name].span(), report)
    return tuple(found)


_ALWAYS = ("nonnegative", "zero_at_target", "convex", "symmetric")


def _report(result: Property, span: Any, report: Report) -> None:
    if result.status == "refuted":
        report.add(
            "LG410",
            f"the loss is not {_ADJECTIVES.get(result.name, result.name)}",
            span,
            notes=(result.detail,) if result.detail else (),
        )
    elif result.status == "unknown":
        report.add(
            "LG411",
            f"`{result.name}` is neither proved nor refuted",
            span,
            notes=(result.detail,) if result.detail else (),
        )


_ADJECTIVES = {"zero_at_target": "zero at the target"}


def _undecided(name: str) -> Property:
    return Property(name, "unknown", "no test of it is built in")


# Nonnegative --------------------------------------------------------------------------


def _nonnegative(loss: Loss) -> Property:
    if is_nonnegative(loss.expression, Ranges.of_loss(loss)):
        return Property("nonnegative", "proved")
    for sample in _samples(loss):
        values = _values(loss.expression, sample)
        for row, value in enumerate(values):
            if value is not None and value < -_ZERO:
                place = sample.describe(row, tuple(sample.environment))
                return Property(
                    "nonnegative", "refuted", f"at {place} it is {mp.nstr(value, 6)}"
                )
    return Property("nonnegative", "unknown", "no counterexample at random points")


# Zero at the target -------------------------------------------------------------------


def _zero_at_target(loss: Loss) -> Property:
    name = "zero_at_target"
    pairs = _pairs(loss)
    if pairs is None:
        return Property(name, "unknown", "y_true and y_pred do not correspond")
    merged = substitute(
        loss.expression,
        {loss.variable(p).symbol: loss.variable(t).symbol for p, t in pairs},
    )
    if Ranges.of_loss(loss).of(merged).point == 0:
        return Property(name, "proved")
    for sample in _samples(loss):
        moved = {**sample.environment}
        for predicted, true in pairs:
            if moved[true].shape != moved[predicted].shape:
                return Property(name, "unknown", "the shapes differ")
            moved[predicted] = _into_domain(loss, predicted, moved[true])
        sample = Sample(moved, sample.rows, sample.last)
        for row, value in enumerate(_values(loss.expression, sample)):
            if value is not None and abs(value) > mpf(10) ** -10:
                place = sample.describe(row, tuple(true for _, true in pairs))
                return Property(
                    name,
                    "refuted",
                    f"where y_pred = y_true and {place} it is {mp.nstr(value, 6)}",
                )
    return Property(name, "unknown", "it is 0 at random points")


def _into_domain(loss: Loss, name: str, values: Any) -> Any:
    """The values, those at an open end moved inside by next to nothing."""
    domain = loss.variable(name).domain
    result = np.empty(values.shape, dtype=object)
    with mp.workdps(_DIGITS):
        step = mpf(10) ** -25
        for index, value in np.ndenumerate(values):
            exact = mp.mpmathify(value)
            if domain.lower.open and exact <= domain.lower.approx:
                exact = domain.lower.approx + step
            elif domain.upper.open and exact >= domain.upper.approx:
                exact = domain.upper.approx - step
            result[index] = exact
    return result


def _pairs(loss: Loss) -> list[tuple[str, str]] | None:
    """Each component of y_pred with its counterpart in y_true."""
    names = {item.name for item in loss.of_role(Role.Y_TRUE)}
    pairs = [
        (item.name, item.name.replace("y_pred", "y_true", 1))
        for item in loss.of_role(Role.Y_PRED)
    ]
    return pairs if all(true in names for _, true in pairs) else None


# Convex -------------------------------------------------------------------------------


def _convex(loss: Loss) -> Property:
    if is_convex(loss):
        return Property("convex", "proved")
    for sample in _samples(loss):
        for salt in (5, 6):
            found = _concave_row(loss, sample, salt)
            if found is not None:
                row, bend = found
                place = sample.describe(row, tuple(sample.environment))
                detail = f"at {place} a second derivative is {mp.nstr(bend, 6)}"
                return Property("convex", "refuted", detail)
    return Property("convex", "unknown", "no counterexample at random points")


def _concave_row(loss: Loss, sample: Sample, salt: int) -> tuple[int, Any] | None:
    directions = {
        item.name: np.array(
            [((7 * k * salt) % 11) - 5 or 3 for k in range(1, size + 1)], dtype=int
        ).reshape(sample.environment[item.name].shape)
        for item in loss.of_role(Role.Y_PRED)
        for size in (sample.environment[item.name].size,)
    }
    try:
        series = germ(
            loss.expression, sample.environment, directions, order=2, digits=_DIGITS
        )
    except Undefined:
        return None
    for row, bend in enumerate(_row_extremes(series[2], sample.rows)):
        if bend < -(mpf(10) ** -15):
            return row, bend
    return None


# Symmetric ----------------------------------------------------------------------------


def _symmetric(loss: Loss) -> Property:
    name = "symmetric"
    pairs = _pairs(loss)
    if pairs is None:
        return Property(name, "unknown", "y_true and y_pred do not correspond")
    swap: dict[Expr, Expr] = {}
    for predicted, true in pairs:
        p, t = loss.variable(predicted).symbol, loss.variable(true).symbol
        swap[p], swap[t] = t, p
    swapped = substitute(loss.expression, swap)
    ranges = Ranges.of_loss(loss)
    one, other = (_sign_free(item, ranges) for item in (loss.expression, swapped))
    if one == other or ranges.of(sub(one, other)).point == 0:
        return Property(name, "proved")
    for sample in _samples(loss):
        both = zip(
            _values(loss.expression, sample), _values(swapped, sample), strict=True
        )
        for row, (one, other) in enumerate(both):
            if one is None or other is None:
                continue
            if abs(one - other) > _ZERO * (1 + abs(one)):
                place = sample.describe(row, tuple(sample.environment))
                detail = f"at {place} it is {mp.nstr(one, 6)}, and {mp.nstr(other, 6)} "
                return Property(name, "refuted", detail + "with the two swapped")
    return Property(name, "unknown", "no counterexample at random points")


_EVEN = ("abs", "cosh", "log_cosh", "square", "norm", "i0e", "cos")


def _sign_free(expr: Expr, ranges: Ranges) -> Expr:
    """The expression with the arguments of even functions in one form of the two."""

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Apply):
            return node
        even = node.op in _EVEN or (node.op == "pow" and node.args[1] == TWO)
        if not even:
            return node
        polynomial = ranges.polynomial(node.args[0])
        leading = min(polynomial, default=())
        if polynomial.get(leading, 0) < 0:
            polynomial = {key: -value for key, value in polynomial.items()}
        argument = ranges.expression(polynomial)
        return Apply(node.op, (argument, *node.args[1:]), node.axis)

    return rebuild(expr, visit)


_EXAMINERS: dict[str, Callable[[Loss], Property]] = {
    "nonnegative": _nonnegative,
    "zero_at_target": _zero_at_target,
    "convex": _convex,
    "symmetric": _symmetric,
}


# Points -------------------------------------------------------------------------------


def _samples(loss: Loss) -> Iterator[Sample]:
    for salt in _SALTS:
        sample = generic(loss, last=typical_length(loss), rows=_ROWS, salt=50 + salt)
        if sample is not None:
            yield satisfying(loss, sample)


def _values(expr: Expr, sample: Sample) -> list[Any]:
    """The smallest element per row, or the largest in size; None where undefined."""
    try:
        values = evaluate(expr, sample.environment, digits=_DIGITS)
    except Undefined:
        return [None] * sample.rows
    return _row_extremes(values, sample.rows)


def _row_extremes(values: Any, rows: int) -> list[Any]:
    """Per row the smallest element, unless another is further from 0."""
    if not values.ndim or values.shape[0] != rows:
        values = np.broadcast_to(values, (rows, *values.shape[1:]))
    result = []
    for row in values:
        items = list(np.asarray(row, dtype=object).flat)
        low = min(items)
        result.append(low if low < 0 else max(items))
    return result
