"""One-sided derivatives in words: a number, or a short formula that fits."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.analysis.expansions import EQUAL
from lossgen.analysis.loci import DIGITS
from lossgen.analysis.samples import Sample, number_text
from lossgen.analysis.spelling import spell, spell_symbol
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.expr import Apply, Expr, Role
from lossgen.ir.loss import Loss

_SHORT = 5  # characters of a number that is not one of many
_DENOMINATOR = 12  # of what a formula is multiplied by
_MAGNITUDE = 100  # binary; beyond, a fraction would have needlessly many digits


def slope_text(loss: Loss, sample: Sample, slopes: list[Any]) -> str:
    """A one-sided derivative: a number, or a short formula that fits at every point."""
    with mp.workdps(DIGITS):
        # One point does not tell a constant from what happens to be there.
        constant = len(slopes) > 1 or abs(slopes[0] * 100 % 1) < EQUAL
        if constant and all(abs(item - slopes[0]) < EQUAL for item in slopes):
            return rounded(slopes[0])
        inputs = Evaluation(sample.environment)
        for expr, text in _candidates(loss):
            factor = _factor(inputs.value(expr), slopes)
            if factor is not None:
                return _multiple(factor, text)
    return range_text(slopes)


def range_text(slopes: list[Any]) -> str:
    """Derivatives that the data decides: the least and the largest."""
    return f"{rounded(min(slopes))} … {rounded(max(slopes))}"


def is_sampled(text: str) -> bool:
    """Whether slopes in words are those of some points, and say little of others."""
    ends = text.split(" … ")
    return len(ends) > 1 and any(len(end.lstrip("-")) > _SHORT for end in ends)


def _candidates(loss: Loss) -> Iterator[tuple[Expr, str]]:
    for variable in loss.of_role(Role.PARAMETER, Role.Y_TRUE):
        name = spell_symbol(variable.name)
        symbol = variable.symbol
        unit = Apply("div", (symbol, symbol))
        yield symbol, name
        yield Apply("add", (unit, Apply("neg", (symbol,)))), f"(1 - {name})"
        yield Apply("add", (unit, symbol)), f"(1 + {name})"
        yield Apply("div", (unit, symbol)), f"1/{name}"
        size = Apply("abs", (symbol,))
        yield size, f"abs({name})"
        yield Apply("div", (unit, size)), f"1/abs({name})"
    for one, other in permutations(loss.of_role(Role.PARAMETER)[:4], 2):
        if "scalar" not in (one.shape, other.shape) and one.size != other.size:
            continue  # of axes of different lengths
        a, b = one.symbol, other.symbol
        quotient = Apply("div", (a, b))
        yield quotient, spell(quotient)
        beyond = Apply("div", (a, Apply("add", (a, b))))
        yield beyond, spell(beyond)


def _factor(values: Any, slopes: list[Any]) -> Fraction | None:
    """The number by which values are to be multiplied to be the slopes."""
    if not values.ndim or values.shape[0] != len(slopes):
        return None
    firsts = [np.asarray(row, dtype=object).flat[0] for row in values]
    if any(isinstance(item, Undefined) or not item for item in firsts):
        return None
    ratio = slopes[0] / firsts[0]
    factor = Fraction(mp.nstr(ratio, 12)).limit_denominator(_DENOMINATOR)
    pairs = zip(firsts, slopes, strict=True)
    if not factor or any(
        abs(mp.mpmathify(factor) * a - b) > EQUAL * (1 + abs(b)) for a, b in pairs
    ):
        return None
    # At one point, many numbers are a multiple of another.
    return factor if len(slopes) > 1 or abs(factor) == 1 else None


def _multiple(factor: Fraction, text: str) -> str:
    sign, size = ("-" if factor < 0 else ""), abs(factor)
    if size == 1:
        return f"{sign}{text}"
    number = number_text(size) if size.denominator == 1 else f"{size}"
    if text.startswith("1/"):
        return f"{sign}{number}{text[1:]}"
    return f"{sign}{number}*{text}"


def rounded(value: Any) -> str:
    """A computed number as a reader would write it."""
    if abs(value) < EQUAL:
        return "0"
    large = mp.mag(value) > _MAGNITUDE
    return number_text(value if large else Fraction(mp.nstr(value, 8)))
