"""Zeros by the intermediate value theorem, at points that no short decimal names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.samples import Sample, generic, satisfying, witnesses
from lossgen.analysis.witness import Witness
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Expr, Role
from lossgen.ir.loss import Loss

_DIGITS = 40
_BISECTIONS = 110
_ZERO = mpf(10) ** -25
_ROWS = 40
_MAX_PATHS = 6
_MOVING = (Role.Y_PRED, Role.Y_TRUE, Role.PARAMETER)


def find_crossing(
    loss: Loss, node: Apply, subject: Expr, guards: tuple[Expr, ...]
) -> Witness | None:
    """A point between two others at which an expression has opposite signs.

    Args:
        loss: Says where the inputs come from.
        node: The operation that cannot do with 0.
        subject: The argument in question.
        guards: What must be true for the operation to be computed.
    """
    for path in _paths(loss, subject, guards):
        sample = _zero_on(path, subject)
        if sample is None or not satisfying(loss, sample).rows:
            continue
        if all(_first(guard, sample) is True for guard in guards):
            arguments = tuple(_first(arg, sample) for arg in node.args)
            return Witness(sample, 0, Undefined(node, arguments), crossing=True)
    return None


_Path = Callable[[Any], Sample]
"""From 0 to 1, points on a line from where the expression is negative to positive."""


def _paths(loss: Loss, subject: Expr, guards: tuple[Expr, ...]) -> Iterator[_Path]:
    count = 0
    for sample in _points(loss):
        rows = [
            sample.only(np.arange(sample.rows) == row) for row in range(sample.rows)
        ]
        signs = [_sign(subject, guards, row) for row in rows]
        below, above = (
            [r for r, s in zip(rows, signs, strict=True) if s == k] for k in (-1, 1)
        )
        for start, end in product(below, above):
            path = _line(loss, start, end)
            if _sign(subject, guards, path(mpf(1))) == 1:
                yield path
                count += 1
            if count == _MAX_PATHS:
                return


def _points(loss: Loss) -> Iterator[Sample]:
    single = generic(loss, last=1, rows=_ROWS)
    if single is not None:
        yield single
    yield from witnesses(loss)
    several = generic(loss, last=2, rows=_ROWS)
    if several is not None:
        yield several


def _sign(expr: Expr, guards: tuple[Expr, ...], sample: Sample) -> int:
    """The sign of the first element, 0 where a guard is false."""
    if not all(_first(guard, sample) is True for guard in guards):
        return 0
    value = _first(expr, sample)
    if value is None or isinstance(value, Undefined):
        return 0
    return int(mp.sign(value))


def _first(expr: Expr, sample: Sample) -> Any:
    with mp.workdps(_DIGITS):
        return Evaluation(sample.environment).value(expr).flat[0]


def _line(loss: Loss, start: Sample, end: Sample) -> _Path:
    """What is continuous moves; labels and counts stay as they are at the start."""
    moving = [
        item.name
        for item in loss.of_role(*_MOVING)
        if item.domain.kind
        not in (DomainKind.COUNT, DomainKind.FINITE, DomainKind.ONE_HOT)
    ]

    def at(place: Any) -> Sample:
        environment = dict(start.environment)
        with mp.workdps(_DIGITS):
            for name in moving:
                one, other = (
                    np.vectorize(mp.mpmathify, otypes=[object])(item.environment[name])
                    for item in (start, end)
                )
                # Arithmetic on an array without axes leaves a bare number.
                between = one + (other - one) * place
                environment[name] = np.asarray(between, dtype=object)
        return replace(start, environment=environment)

    return at


def _zero_on(path: _Path, subject: Expr) -> Sample | None:
    """Where the sign changes, unless the expression jumps or has a pole there."""
    low, high = mpf(0), mpf(1)
    with mp.workdps(_DIGITS):
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            value = _first(subject, path(middle))
            if value is None or isinstance(value, Undefined):
                return None
            if value > 0:
                high = middle
            else:
                low = middle
        scale = max(abs(_first(subject, path(end))) for end in (mpf(0), mpf(1)))
        found = path(high)
        return found if abs(_first(subject, found)) < _ZERO * scale else None
