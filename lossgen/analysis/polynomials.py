"""Polynomials over opaque subexpressions, and their ranges over boxes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import inf

from lossgen.analysis.intervals import (
    EMPTY,
    NONNEGATIVE,
    POSITIVE,
    Interval,
    add,
    exactly,
    hull,
    intersect,
    multiply,
    power,
)
from lossgen.calculus.steps import spend

Monomial = tuple[tuple[int, int], ...]
"""(atom, exponent) pairs in ascending order of atoms; the empty one is 1."""

Polynomial = Mapping[Monomial, Fraction]
"""Coefficients, none of them 0."""

MAX_TERMS = 48
_MAX_DEGREE = 16
_MAX_SPLITS = 7
_STEPS_OF_A_RANGE = 22

ONE: Monomial = ()


class TooManyTermsError(ArithmeticError):
    """A polynomial became larger than is worth the while."""


def constant(value: Fraction) -> Polynomial:
    """A constant polynomial."""
    return {ONE: value} if value else {}


def atom(index: int) -> Polynomial:
    """The polynomial of one atom."""
    return {((index, 1),): Fraction(1)}


def plus(left: Polynomial, right: Polynomial, scale: int | Fraction = 1) -> Polynomial:
    """``left + scale*right``."""
    spend(len(left) + len(right))
    result = dict(left)
    for monomial, coefficient in right.items():
        total = result.get(monomial, Fraction(0)) + scale * coefficient
        if total:
            result[monomial] = total
        else:
            result.pop(monomial, None)
    return _checked(result)


def times(
    left: Polynomial, right: Polynomial, idempotent: frozenset[int] = frozenset()
) -> Polynomial:
    """``left * right``; the square of an idempotent atom is the atom itself."""
    if len(left) * len(right) > 4 * MAX_TERMS:
        raise TooManyTermsError
    spend(len(left) * len(right))
    result: dict[Monomial, Fraction] = {}
    for a, x in left.items():
        for b, y in right.items():
            monomial = _product(a, b, idempotent)
            total = result.get(monomial, Fraction(0)) + x * y
            if total:
                result[monomial] = total
            else:
                result.pop(monomial, None)
    return _checked(result)


def atoms_of(polynomial: Polynomial) -> tuple[int, ...]:
    """The atoms in ascending order."""
    return tuple(sorted({index for key in polynomial for index, _ in key}))


def canonical(polynomial: Polynomial) -> tuple[Polynomial, Fraction, Fraction]:
    """``scale*form + offset``, where the form's first coefficient is 1."""
    offset = polynomial.get(ONE, Fraction(0))
    rest = {key: value for key, value in sorted(polynomial.items()) if key != ONE}
    if not rest:
        return {}, Fraction(1), offset
    scale = next(iter(rest.values()))
    return {key: value / scale for key, value in rest.items()}, scale, offset


def range_over(polynomial: Polynomial, box: Mapping[int, Interval]) -> Interval:
    """An interval around the values over a box of atoms.

    Parts that share no atom are taken apart. A quadratic of one atom is exact; for the
    rest, powers count as atoms of their own, and a function that is affine in each atom
    takes its extremes at the vertices.
    """
    spend(_STEPS_OF_A_RANGE)
    total = exactly(polynomial.get(ONE, Fraction(0)))
    for part in _components(polynomial):
        atoms = atoms_of(part)
        if any(box[index].empty for index in atoms):
            return EMPTY
        result = _by_vertices(part, box)
        if len(atoms) == 1 and max(key[0][1] for key in part) == 2:
            result = intersect(result, _quadratic(part, box[atoms[0]]))
        total = add(total, result)
    return total


def _checked(polynomial: dict[Monomial, Fraction]) -> Polynomial:
    if len(polynomial) > MAX_TERMS:
        raise TooManyTermsError
    for key, value in polynomial.items():
        if sum(exponent for _, exponent in key) > _MAX_DEGREE:
            raise TooManyTermsError
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2048:
            raise TooManyTermsError
    return polynomial


def _product(left: Monomial, right: Monomial, idempotent: frozenset[int]) -> Monomial:
    exponents = dict(left)
    for index, exponent in right:
        exponents[index] = exponents.get(index, 0) + exponent
    return tuple(
        (index, 1 if index in idempotent else exponent)
        for index, exponent in sorted(exponents.items())
    )


def _components(polynomial: Polynomial) -> list[Polynomial]:
    """The parts that share no atom, without the constant."""
    groups: list[tuple[set[int], dict[Monomial, Fraction]]] = []
    for key, value in sorted(polynomial.items()):
        if key == ONE:
            continue
        indices = {index for index, _ in key}
        merged = {key: value}
        apart = []
        for group in groups:
            if group[0] & indices:
                indices |= group[0]
                merged = {**group[1], **merged}
            else:
                apart.append(group)
        groups = [*apart, (indices, merged)]
    return [part for _, part in groups]


def _quadratic(polynomial: Polynomial, values: Interval) -> Interval:
    """``a*x**2 + b*x`` exactly, by completing the square."""
    (index,) = atoms_of(polynomial)
    a = polynomial[((index, 2),)]
    b = polynomial.get(((index, 1),), Fraction(0))
    shift = b / (2 * a)
    square = power(add(values, exactly(shift)), exactly(2))
    return add(multiply(exactly(a), square), exactly(-a * shift * shift))


Factor = tuple[int, int]
"""A power of an atom, (atom, exponent), which counts as an atom of its own."""

_Affine = Mapping[tuple[Factor, ...], Fraction]


def _by_vertices(polynomial: Polynomial, box: Mapping[int, Interval]) -> Interval:
    factors = sorted({factor for key in polynomial for factor in key})
    ranges = {
        (index, exponent): power(box[index], exactly(exponent))
        for index, exponent in factors
    }
    bounded = [factor for factor in factors if _bounded(ranges[factor])]
    # Closed ends first: an open end that remains keeps the strict inequality.
    bounded.sort(key=lambda factor: (_openness(ranges[factor]), factor))
    unbounded = [factor for factor in factors if factor not in bounded]
    order = bounded[:_MAX_SPLITS] + unbounded + bounded[_MAX_SPLITS:]
    return _affine_range(polynomial, order, len(bounded[:_MAX_SPLITS]), ranges)


def _bounded(values: Interval) -> bool:
    return values.lower != -inf and values.upper != inf


def _openness(values: Interval) -> int:
    return int(values.lower_open) + int(values.upper_open)


def _affine_range(
    polynomial: _Affine,
    order: list[Factor],
    splits: int,
    ranges: Mapping[Factor, Interval],
) -> Interval:
    spend(2 * (1 + len(polynomial)))
    if not order:
        return exactly(polynomial.get((), Fraction(0)))
    factor, rest = order[0], order[1:]
    without = {key: value for key, value in polynomial.items() if factor not in key}
    slope = {
        tuple(item for item in key if item != factor): value
        for key, value in polynomial.items()
        if factor in key
    }
    values = ranges[factor]
    if not slope:
        return _affine_range(without, rest, splits - 1, ranges)

    def at(end: Fraction) -> Interval:
        moved = _sum(without, slope, end)
        return _affine_range(moved, rest, splits - 1, ranges)

    if splits > 0:
        low, high = Fraction(values.lower), Fraction(values.upper)
        if low == high:
            return at(low)
        return _between(at(low), at(high), values)
    growth = _affine_range(slope, rest, splits - 1, ranges)
    result = add(
        _affine_range(without, rest, splits - 1, ranges), multiply(growth, values)
    )
    if isinstance(values.lower, Fraction) and values.lower != 0:
        beyond = POSITIVE if values.lower_open else NONNEGATIVE
        shifted = add(at(values.lower), multiply(growth, beyond))
        result = intersect(result, shifted)
    if isinstance(values.upper, Fraction):
        beyond = POSITIVE if values.upper_open else NONNEGATIVE
        back = multiply(exactly(-1), beyond)
        result = intersect(result, add(at(values.upper), multiply(growth, back)))
    return result


def _sum(left: _Affine, right: _Affine, scale: Fraction) -> _Affine:
    if not scale:
        return left
    result = dict(left)
    for key, value in right.items():
        moved = value if scale == 1 else scale * value
        result[key] = result[key] + moved if key in result else moved
    return result


def _between(low: Interval, high: Interval, values: Interval) -> Interval:
    """The values between two faces of the box.

    A bound is attained only on a face that belongs to the box, or where both faces
    attain it.
    """
    if low.empty or high.empty:
        return hull(low, high)
    around = hull(low, high)
    lower_closed = _attained(
        around.lower,
        (low.lower, low.lower_open or values.lower_open),
        (high.lower, high.lower_open or values.upper_open),
    ) or (low.lower == high.lower and not (low.lower_open or high.lower_open))
    upper_closed = _attained(
        around.upper,
        (low.upper, low.upper_open or values.lower_open),
        (high.upper, high.upper_open or values.upper_open),
    ) or (low.upper == high.upper and not (low.upper_open or high.upper_open))
    return Interval(around.lower, around.upper, not lower_closed, not upper_closed)


def _attained(bound: object, *faces: tuple[object, bool]) -> bool:
    return any(end == bound and not opened for end, opened in faces)
