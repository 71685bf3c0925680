"""Inputs on whose way to an end the derivative of a loss exceeds all bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.gradients import Gradient
from lossgen.analysis.ranges import domain_interval
from lossgen.analysis.samples import Sample, generic, satisfying, typical_length
from lossgen.analysis.spelling import spell, spell_symbol
from lossgen.analysis.summands import pair
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import evaluate
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Expr, Role
from lossgen.ir.loss import Loss, Variable

_ROWS = 4
_DIGITS = 99
_DISTANCES = (3, 10, 20, 40)  # decimal digits
_GROWTH = mpf("1.3")
_LARGE = 5
_HUGE = mpf(10) ** 100
_SCALINGS = ((-1, 0), (0, -1), (-1, -1), (-1, 1), (1, 0), (0, 1), (1, 1), (1, -1))


def divergence(gradient: Gradient) -> str | None:
    """What shows that the derivative by y_pred has no bound, if anything is found."""
    loss = gradient.loss
    sample = generic(loss, last=typical_length(loss), rows=_ROWS, salt=90)
    if sample is None:
        return None
    for way in (*_to_the_ends(loss), *_towards_the_target(loss), *_scalings(loss)):
        detail = _along(way, sample, gradient)
        if detail is not None:
            return detail
    return None


@dataclass(frozen=True)
class _Way:
    """A way through the domain: the sample after so many decimal digits of it."""

    at: Callable[[Sample, int], Sample]
    tell: Callable[[Sample, int, int], tuple[str, str]]
    """Where it goes, and where one is in a row after so many digits."""


def _along(way: _Way, sample: Sample, gradient: Gradient) -> str | None:
    """What shows that a derivative diverges on the way."""
    for variable in gradient.loss.of_role(Role.Y_PRED):
        series = list(_series(way, sample, gradient, variable))
        with mp.workdps(_DIGITS):
            for row in range(sample.rows):
                place = _exceeding([sizes and sizes[row] for sizes in series])
                if place is None:
                    continue
                digits, sizes = _DISTANCES[place], series[place] or []
                end, where = way.tell(sample, digits, row)
                return (
                    f"the derivative by {spell_symbol(variable.name)} grows without "
                    f"bound as {end}: at {where} its size is {mp.nstr(sizes[row], 6)}"
                )
    return None


def _series(
    way: _Way, sample: Sample, gradient: Gradient, variable: Variable
) -> Iterator[list[Any] | None]:
    """The sizes of the derivative on the way, as long as it can be written down."""
    for digits in _DISTANCES:
        moved = way.at(sample, digits)
        if satisfying(gradient.loss, moved).rows != sample.rows:
            return
        sizes = gradient.sizes(moved, variable, _DIGITS)
        if sizes is None and digits > _DISTANCES[0]:
            return
        yield sizes


def _exceeding(sizes: list[Any]) -> int | None:
    """Which of the sizes shows that there is no bound, if they do."""
    if not sizes:
        return None
    if sizes[0] is not None and sizes[0] > _HUGE:
        return 0
    if len(sizes) < len(_DISTANCES):
        return None
    near, nearer, nearest = sizes[1:]
    grows = near > _LARGE and nearer > near * _GROWTH and nearest > nearer * _GROWTH
    return 1 if grows else None


# Ways ---------------------------------------------------------------------------------


def _to_the_ends(loss: Loss) -> Iterator[_Way]:
    """One element of an input goes to infinity, or to an open end."""
    for moving in loss.of_role(Role.Y_PRED, Role.Y_TRUE):
        if moving.domain.labels or (
            moving.domain.along_last_axis and moving.role is Role.Y_TRUE
        ):
            continue
        for bound, sign in ((moving.domain.lower, -1), (moving.domain.upper, 1)):
            if bound.value is None or bound.open:
                yield _to_an_end(moving, bound.value, sign)


def _to_an_end(moving: Variable, end: Expr | None, sign: int) -> _Way:
    name = spell_symbol(moving.name)

    def at(sample: Sample, digits: int) -> Sample:
        array = sample.environment[moving.name].copy()
        with mp.workdps(_DIGITS):
            if end is None:
                place = sign * mpf(10) ** digits
            else:
                exact = evaluate(end, {}, digits=_DIGITS).flat[0]
                place = exact - sign * mpf(10) ** -digits
            for row in array:
                if moving.domain.along_last_axis:
                    _share(row, 1 - place)
                row.flat[0] = place
        return sample.moved(moving.name, array)

    def tell(sample: Sample, digits: int, row: int) -> tuple[str, str]:
        if end is None:
            limit = "oo" if sign > 0 else "-oo"
            place = f"{name} = {'-' if sign < 0 else ''}1e+{digits}"
        else:
            limit = spell(end)
            place = f"{name} = {limit} {'-' if sign > 0 else '+'} 1e-{digits}"
        others = tuple(key for key in sample.environment if key != moving.name)
        return f"{name} goes to {limit}", f"{place}, {sample.describe(row, others)}"

    return _Way(at, tell)


def _share(row: Array, total: Any) -> None:
    """Scale all elements along the last axis but the first to a sum."""
    flat = row.reshape(-1, row.shape[-1])[0]
    rest = sum(flat[1:])
    for index in range(1, len(flat)):
        flat[index] = mp.mpmathify(flat[index]) * total / mp.mpmathify(rest)


def _towards_the_target(loss: Loss) -> Iterator[_Way]:
    """All of y_pred goes to y_true, on the straight line."""
    found = pair(loss)
    if found is None:
        return
    true, predicted = (item.name for item in found)
    if not _lies_within(loss.variable(true), loss.variable(predicted)):
        return

    def at(sample: Sample, digits: int) -> Sample:
        target, start = sample.environment[true], sample.environment[predicted]
        with mp.workdps(_DIGITS):
            step = mpf(10) ** -digits
            exact = np.vectorize(mp.mpmathify, otypes=[object])
            target, start = exact(target), exact(start)
            return sample.moved(predicted, target + step * (start - target))

    def tell(sample: Sample, digits: int, row: int) -> tuple[str, str]:
        others = tuple(key for key in sample.environment if key != predicted)
        start = sample.describe(row, (predicted,)).partition(" = ")[2]
        where = f"1e-{digits} of the way from it to {start}"
        return (
            f"{predicted} goes to {true}",
            f"{where}, {sample.describe(row, others)},",
        )

    yield _Way(at, tell)


def _lies_within(true: Variable, predicted: Variable) -> bool:
    """Whether what lies between a target and a prediction is a prediction."""
    if predicted.domain.along_last_axis:
        return true.domain.along_last_axis
    inner, outer = domain_interval(true.domain), domain_interval(predicted.domain)
    return outer.lower <= inner.lower and inner.upper <= outer.upper


def _scalings(loss: Loss) -> Iterator[_Way]:
    """All of y_pred and all of y_true go to 0, or to infinity, or stay."""
    groups = [loss.of_role(Role.Y_PRED), loss.of_role(Role.Y_TRUE)]
    fixed = [not all(map(_is_scalable, group)) for group in groups]
    for powers in _SCALINGS:
        if not any(power and stays for power, stays in zip(powers, fixed, strict=True)):
            moving = {
                item.name: power
                for group, power in zip(groups, powers, strict=True)
                for item in group
                if power
            }
            if moving:
                yield _scaling(moving)


def _is_scalable(variable: Variable) -> bool:
    """Whether positive multiples of what lies in the domain lie there as well."""
    domain = variable.domain
    whole = domain.kind is DomainKind.COUNT
    if domain.labels or domain.along_last_axis or whole:
        return False
    values = domain_interval(domain)
    return values.upper == np.inf and values.lower in (-np.inf, 0)


def _scaling(moving: dict[str, int]) -> _Way:
    def at(sample: Sample, digits: int) -> Sample:
        with mp.workdps(_DIGITS):
            for name, power in moving.items():
                factor = mpf(10) ** (power * digits)
                array = sample.environment[name]
                sample = sample.moved(name, array * factor)
        return sample

    def tell(sample: Sample, digits: int, row: int) -> tuple[str, str]:
        goals = [
            f"{spell_symbol(name)} goes to {'oo' if power > 0 else '0'}"
            for name, power in moving.items()
        ]
        return " and ".join(goals), at(sample, digits).describe(
            row, tuple(sample.environment)
        )

    return _Way(at, tell)
