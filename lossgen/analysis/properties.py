"""Claims about a loss: refuted by a point, proved by ranges, or left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.consistency import prove_mean_consistent, prove_proper
from lossgen.analysis.convexity import bends_upwards
from lossgen.analysis.curvature import is_convex_in
from lossgen.analysis.expectations import refute_mean_consistent, refute_proper
from lossgen.analysis.identities import vanishes
from lossgen.analysis.minima import is_never_negative, is_zero
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.samples import (
    Sample,
    generic,
    satisfying,
    typical_length,
    uses_axis,
)
from lossgen.analysis.steepness import (
    bound_gradient_by_any_parameters,
    bound_gradient_by_parameters,
    bound_gradient_roughly,
    prove_bounded_gradient,
    refute_bounded_gradient,
    search_bounded_gradient,
)
from lossgen.analysis.summands import at_label, pair, summand
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.calculus.steps import OutOfStepsError, Steps, limited
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Axis, Expr, Number, Role, sub, substitute
from lossgen.ir.loss import Loss, Property, Smoothness

_DIGITS = 30
_ZERO = mpf(10) ** -20
_ROWS = 12
_SALTS = (0, 1, 2)
_STEPS = 15_000
_EXHAUSTED_ATTEMPTS = 3  # a loss too involved for these is so for the others, too
_STEPS_OF_A_CLAIM = 120_000


def examine(loss: Loss, smoothness: Smoothness, report: Report) -> tuple[Property, ...]:
    """What becomes of each property; claims of the spec that fail are reported.

    Each attempt to decide one has an allowance of steps of its own: what is too
    involved to be decided stays open, and refuses no loss.
    """
    claims = {text.value: text for text in loss.spec.properties}
    found = []
    for name in _ATTEMPTS:
        if name not in claims and not _is_of_interest(name, loss):
            continue
        limit = _STEPS_OF_A_CLAIM if name in claims else _STEPS
        result = _decided(name, loss, smoothness, limit)
        found.append(result)
        if name in claims:
            _report(result, claims[name].span(), report)
    return tuple(found)


def _decided(name: str, loss: Loss, smoothness: Smoothness, limit: int) -> Property:
    """The result of the first attempt that ends with one, or what was left open."""
    exhausted = Property(name, "unknown", f"it is not decided in {limit:,} steps")
    result = None
    left = _EXHAUSTED_ATTEMPTS
    for attempt in _ATTEMPTS[name]:
        try:
            with limited(Steps(limit)):
                result = attempt(loss, smoothness)
        except OutOfStepsError:
            result, left = exhausted, left - 1
            if not left:
                break
        if result is not None and result.status != "unknown":
            return result
    return result or exhausted


def _is_of_interest(name: str, loss: Loss) -> bool:
    """Whether a property is examined though it is not claimed."""
    if name == "mean_consistent":
        return pair(loss) is not None
    if name == "proper":
        return pair(loss) is not None and all(
            item.domain.along_last_axis
            or (item.domain.lower.approx >= 0 and item.domain.upper.approx <= 1)
            for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)
        )
    return True


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


_ADJECTIVES = {
    "zero_at_target": "zero at the target",
    "bounded_gradient": "of bounded gradient",
    "mean_consistent": "consistent for the mean",
}


# Nonnegative --------------------------------------------------------------------------


def _nonnegative(loss: Loss, _: Smoothness) -> Property:
    name = "nonnegative"
    if is_nonnegative(loss.expression, Ranges.of_loss(loss)):
        return Property(name, "proved")
    for sample in _samples(loss):
        values = _values(loss.expression, sample)
        for row, value in enumerate(values):
            if value is not None and value < -_ZERO:
                place = sample.describe(row, tuple(sample.environment))
                return Property(
                    name, "refuted", f"at {place} it is {mp.nstr(value, 6)}"
                )
    return Property(name, "unknown", "no counterexample at random points")


def _nonnegative_at_minima(loss: Loss, smoothness: Smoothness) -> Property | None:
    if is_never_negative(loss, continuous=_is_continuous(smoothness)):
        return Property("nonnegative", "proved")
    return None


# Zero at the target -------------------------------------------------------------------


def _zero_at_target(loss: Loss, _: Smoothness) -> Property:
    name = "zero_at_target"
    pairs = _pairs(loss)
    if pairs is None:
        return Property(name, "unknown", "y_true and y_pred do not correspond")
    both = [(loss.variable(p).symbol, loss.variable(t).symbol) for p, t in pairs]
    merged = (
        substitute(loss.expression, dict(both)),
        substitute(loss.expression, {true: predicted for predicted, true in both}),
    )
    ranges = Ranges.of_loss(loss)
    # What both are lies in both domains; either may tell more.
    if any(is_zero(item, ranges) for item in merged) or _is_zero_at_labels(loss):
        return Property(name, "proved")
    for sample in _samples(loss):
        moved = {**sample.environment}
        for predicted, true in pairs:
            if moved[true].shape != moved[predicted].shape:
                return Property(name, "unknown", "the shapes differ")
            moved[predicted] = _into_domain(loss, predicted, moved[true])
        sample = replace(sample, environment=moved)
        for row, value in enumerate(_values(loss.expression, sample)):
            if value is not None and abs(value) > mpf(10) ** -10:
                place = sample.describe(row, tuple(true for _, true in pairs))
                return Property(
                    name,
                    "refuted",
                    f"where y_pred = y_true and {place} it is {mp.nstr(value, 6)}",
                )
    return Property(name, "unknown", "it is 0 at random points")


def _is_zero_at_labels(loss: Loss) -> bool:
    """The same for each of finitely many labels, where all are predictions as well."""
    part, found = summand(loss), pair(loss)
    if part is None or found is None:
        return False
    true, predicted = found
    targets, values = (loss.variable(item.name).domain for item in found)
    inside = domain_interval(values)
    return bool(targets.values) and all(
        inside.contains(label)
        and is_zero(
            at_label(
                at_label(part.expression, true, Number(label)), predicted, Number(label)
            ),
            part.ranges,
        )
        for label in targets.values
    )


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


def _convex(loss: Loss, smoothness: Smoothness) -> Property:
    if is_convex_in(loss.expression, Ranges.of_loss(loss)):
        return Property("convex", "proved")
    for sample in _samples(loss):
        for salt in (5, 6):
            found = _concave_row(loss, sample, salt)
            if found is not None:
                row, bend = found
                place = sample.describe(row, tuple(sample.environment))
                detail = f"at {place} a second derivative is {mp.nstr(bend, 6)}"
                return Property("convex", "refuted", detail)
    if bends_upwards(loss, smoothness):
        return Property("convex", "proved")
    for sample in _samples(loss):
        chord = _above_its_chord(loss, sample)
        if chord is not None:
            return Property("convex", "refuted", chord)
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


def _above_its_chord(loss: Loss, sample: Sample) -> str | None:
    """A row where the loss half-way to the next is above the mean of both."""
    ends, middle = dict(sample.environment), dict(sample.environment)
    for item in loss.of_role(Role.Y_PRED):
        array = sample.environment[item.name]
        ends[item.name] = np.roll(array, 1, axis=0)
        middle[item.name] = (array + ends[item.name]) / 2
    far = replace(sample, environment=ends)
    half = replace(sample, environment=middle)
    if satisfying(loss, half).rows != sample.rows:
        return None
    found = [_totals(loss, item) for item in (sample, far, half)]
    if any(item is None for item in found):
        return None
    for row, (a, b, between) in enumerate(zip(*(f or [] for f in found), strict=True)):
        if between > (a + b) / 2 + mpf(10) ** -12 * (1 + abs(a) + abs(b)):
            names = tuple(sample.environment)
            predicted = tuple(item.name for item in loss.of_role(Role.Y_PRED))
            return (
                f"at {half.describe(row, names)} it is {mp.nstr(between, 6)}, and "
                f"{mp.nstr(a, 6)} and {mp.nstr(b, 6)} at the ends "
                f"{sample.describe(row, predicted)} and {far.describe(row, predicted)}"
            )
    return None


def _totals(loss: Loss, sample: Sample) -> list[Any] | None:
    """The sum of the loss over each row."""
    if uses_axis(loss.expression, Axis.BATCH):
        return None
    try:
        values = evaluate(loss.expression, sample.environment, digits=_DIGITS)
    except Undefined:
        return None
    values = np.broadcast_to(values, (sample.rows, *values.shape[1:]))
    return [sum(np.asarray(row, dtype=object).flat) for row in values]


# Symmetric ----------------------------------------------------------------------------


def _symmetric(loss: Loss, _: Smoothness) -> Property:
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
    gap = sub(loss.expression, swapped)
    if vanishes(gap, ranges):
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
    if is_zero(gap, ranges):
        return Property(name, "proved")
    return Property(name, "unknown", "no counterexample at random points")


# What the gradient and the expectation tell -------------------------------------------


def _is_continuous(smoothness: Smoothness) -> bool:
    return smoothness.rank <= Smoothness.CONTINUOUS.rank


_Attempt = Callable[[Loss, Smoothness], Property | None]


def _at_any_smoothness(decide: Callable[[Loss], Property | None]) -> _Attempt:
    return lambda loss, _: decide(loss)


def _if_continuous(prove: Callable[..., Property | None]) -> _Attempt:
    return lambda loss, smoothness: prove(loss, continuous=_is_continuous(smoothness))


_ATTEMPTS: dict[str, tuple[_Attempt, ...]] = {
    "nonnegative": (_nonnegative, _nonnegative_at_minima),
    "zero_at_target": (_zero_at_target,),
    "convex": (_convex,),
    "symmetric": (_symmetric,),
    "bounded_gradient": (
        _at_any_smoothness(prove_bounded_gradient),
        _at_any_smoothness(refute_bounded_gradient),
        _at_any_smoothness(bound_gradient_by_parameters),
        _at_any_smoothness(search_bounded_gradient),
        _at_any_smoothness(bound_gradient_by_any_parameters),
        _at_any_smoothness(bound_gradient_roughly),
    ),
    "mean_consistent": (
        _if_continuous(prove_mean_consistent),
        _at_any_smoothness(refute_mean_consistent),
    ),
    "proper": (
        _if_continuous(prove_proper),
        _at_any_smoothness(refute_proper),
    ),
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
