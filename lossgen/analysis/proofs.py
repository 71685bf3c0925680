"""Signs of expressions: by ranges, and once more in factored form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache, reduce
from math import prod
from typing import TYPE_CHECKING

from lossgen.analysis import polynomials
from lossgen.analysis.intervals import (
    Interval,
    add,
    exactly,
    intersect,
    multiply,
    power,
)
from lossgen.analysis.polynomials import Polynomial, TooManyTermsError
from lossgen.analysis.ranges import Ranges
from lossgen.calculus.steps import spend
from lossgen.ir.expr import Apply, Expr, Number, Role, symbols

if TYPE_CHECKING:
    from sympy import Poly

_MAX_FACTOR_TERMS = 24
_MAX_FACTOR_SIZE = 1024  # of the dense table; above, SymPy has taken minutes
_STEPS_OF_A_FACTOR = 20
_MAX_LABELS = 4


def is_positive(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be above 0."""
    return _for_each_label(
        expr, ranges, lambda r: r.of(expr).positive or _factored(expr, r).positive
    )


def is_nonnegative(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be nowhere below 0."""
    return _for_each_label(
        expr, ranges, lambda r: r.of(expr).nonnegative or _factored(expr, r).nonnegative
    )


def is_nonzero(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be nowhere 0."""
    return _for_each_label(
        expr, ranges, lambda r: r.nonzero(expr) or _factored(expr, r).nonzero
    )


def is_zero(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be 0 wherever it is defined."""
    try:
        top, _ = _quotient(expr, ranges)
    except TooManyTermsError:
        return False
    return not top


def _for_each_label(
    expr: Expr, ranges: Ranges, proved: Callable[[Ranges], bool]
) -> bool:
    """Whether a proof succeeds, if need be for each value of one label by itself."""
    if proved(ranges):
        return True
    for symbol in symbols(expr):
        if symbol.role not in (Role.Y_TRUE, Role.PARAMETER):
            continue
        labels = ranges.loss.variable(symbol.name).domain.labels
        cases = (Apply("eq", (symbol, Number(value))) for value in labels)
        if 0 < len(labels) <= _MAX_LABELS and all(
            proved(ranges.given(case, True)) for case in cases
        ):
            return True
    return False


def factors(expr: Expr, ranges: Ranges) -> tuple[Expr, ...]:
    """The factors of an expression that is a polynomial in simpler ones, or none."""
    try:
        polynomial = ranges.polynomial(expr)
    except TooManyTermsError:
        return ()
    if not _is_factorable(polynomial):
        return ()
    spend(_STEPS_OF_A_FACTOR * len(polynomial) ** 2)
    _, found = factorized(tuple(sorted(polynomial.items())))
    return tuple(ranges.expression(dict(factor)) for factor, _ in found)


def _factored(expr: Expr, ranges: Ranges) -> Interval:
    """The sign of an expression as that of its numerator times its denominator."""
    try:
        top, bottom = _quotient(expr, ranges)
    except TooManyTermsError:
        return ranges.of(expr)
    above = _by_factors(top, ranges)
    return multiply(above, _by_factors(bottom, ranges))


def _quotient(expr: Expr, ranges: Ranges) -> tuple[Polynomial, Polynomial]:
    """Numerator and denominator, over a common denominator."""
    one = polynomials.constant(Fraction(1))
    if not isinstance(expr, Apply) or expr.op not in _STEPS:
        return ranges.polynomial(expr), one
    if expr.op == "neg":
        top, bottom = _quotient(expr.args[0], ranges)
        return polynomials.plus({}, top, -1), bottom
    if expr.op in ("pow", "square"):
        times = _repetitions(expr)
        if times is None:
            return ranges.polynomial(expr), one
        return reduce(_multiply, [_quotient(expr.args[0], ranges)] * times)
    parts = [_quotient(arg, ranges) for arg in expr.args]
    if expr.op == "div":
        return _multiply(parts[0], (parts[1][1], parts[1][0]))
    return reduce(_multiply if expr.op == "mul" else _add, parts)


_STEPS = ("add", "mul", "neg", "div", "pow", "square")
_Ratio = tuple[Polynomial, Polynomial]


def _repetitions(expr: Apply) -> int | None:
    if expr.op == "square":
        return 2
    exponent = expr.args[1]
    if isinstance(exponent, Number) and exponent.value in (2, 3, 4):
        return int(exponent.value)
    return None


def _multiply(left: _Ratio, right: _Ratio) -> _Ratio:
    return (
        polynomials.times(left[0], right[0]),
        polynomials.times(left[1], right[1]),
    )


def _add(left: _Ratio, right: _Ratio) -> _Ratio:
    if left[1] == right[1]:
        return polynomials.plus(left[0], right[0]), left[1]
    return (
        polynomials.plus(
            polynomials.times(left[0], right[1]), polynomials.times(right[0], left[1])
        ),
        polynomials.times(left[1], right[1]),
    )


def _by_factors(polynomial: Polynomial, ranges: Ranges) -> Interval:
    direct = ranges.of_polynomial(polynomial)
    if direct.nonzero or not _is_factorable(polynomial):
        return direct
    result = intersect(direct, _product(polynomial, ranges))
    offset = polynomial.get(polynomials.ONE)
    if offset is None or result.nonzero:
        return result
    # A square plus a constant.
    rest = {key: value for key, value in polynomial.items() if key}
    return intersect(result, add(_product(rest, ranges), exactly(offset)))


def _is_factorable(polynomial: Polynomial) -> bool:
    """Whether factoring is worth while, and sure to end soon."""
    degrees: dict[int, int] = {}
    for monomial in polynomial:
        for index, exponent in monomial:
            degrees[index] = max(exponent, degrees.get(index, 0))
    size = prod(degree + 1 for degree in degrees.values())
    return 1 < len(polynomial) <= _MAX_FACTOR_TERMS and size <= _MAX_FACTOR_SIZE


def _product(polynomial: Polynomial, ranges: Ranges) -> Interval:
    spend(_STEPS_OF_A_FACTOR * len(polynomial) ** 2)
    scale, factors = factorized(tuple(sorted(polynomial.items())))
    result = exactly(scale)
    for factor, exponent in factors:
        values = ranges.of_polynomial(dict(factor))
        result = multiply(result, power(values, exactly(exponent)))
    return result


Terms = tuple[tuple[polynomials.Monomial, Fraction], ...]
"""A polynomial's items, sorted."""


@lru_cache(maxsize=1024)
def factorized(terms: Terms) -> tuple[Fraction, tuple[tuple[Terms, int], ...]]:
    """A constant and irreducible factors with exponents, whose product it is."""
    easy = _easy_factors(terms)
    if easy is not None:
        return Fraction(1), easy
    atoms = polynomials.atoms_of(dict(terms))
    from sympy import factor_list  # for start-up time: many losses need no factors

    content, found = factor_list(_poly(dict(terms), atoms))
    return _fraction(content), tuple(
        (_terms(factor, atoms), int(exponent)) for factor, exponent in found
    )


def _easy_factors(terms: Terms) -> tuple[tuple[Terms, int], ...] | None:
    """The factors that can be told without SymPy, whose import takes half a second."""
    common, rest = _stripped(terms)
    if len(rest) > 1 and not _is_irreducible(rest):
        return None
    alone = [(((((k, 1),), Fraction(1)),), n) for k, n in common.items()]
    return ((rest, 1), *alone)


def _stripped(terms: Terms) -> tuple[dict[int, int], Terms]:
    """The powers of atoms that are common to all terms, and the terms without them."""
    monomials = [dict(monomial) for monomial, _ in terms]
    least = {k: min(item.get(k, 0) for item in monomials) for k in monomials[0]}
    common = {k: n for k, n in least.items() if n}
    return common, _over(terms, common)


def _over(terms: Terms, divisor: Mapping[int, int]) -> Terms:
    """A polynomial divided by a monomial that is common to its terms."""
    return tuple(
        (
            tuple((k, n - divisor.get(k, 0)) for k, n in key if n > divisor.get(k, 0)),
            value,
        )
        for key, value in terms
    )


def _is_irreducible(terms: Terms) -> bool:
    """Whether a polynomial that no atom divides is seen to have no factors.

    With an atom ``x`` that occurs in one term only, and there to the first power, it is
    ``m*x + b`` with a monomial ``m``, and no divisor of ``m`` divides ``b`` (Gauss's
    lemma).
    """
    uses: dict[int, list[int]] = {}
    for key, _ in terms:
        for index, exponent in key:
            uses.setdefault(index, []).append(exponent)
    return [1] in uses.values()


def without_common_divisor(
    top: Polynomial, bottom: Polynomial
) -> tuple[Polynomial, Polynomial]:
    """A fraction in lowest terms."""
    easy = _shortened(tuple(sorted(top.items())), tuple(sorted(bottom.items())))
    if easy is not None:
        return dict(easy[0]), dict(easy[1])
    atoms = tuple(sorted({*polynomials.atoms_of(top), *polynomials.atoms_of(bottom)}))
    divisor = _poly(top, atoms).gcd(_poly(bottom, atoms))
    if divisor.is_ground:
        return top, bottom
    parts = [_poly(part, atoms).exquo(divisor) for part in (top, bottom)]
    return dict(_terms(parts[0], atoms)), dict(_terms(parts[1], atoms))


def _shortened(top: Terms, bottom: Terms) -> tuple[Terms, Terms] | None:
    """As above, where it can be told without SymPy."""
    if not top or not bottom:
        return None
    (above, first), (below, second) = _stripped(top), _stripped(bottom)
    both = {k: min(n, below[k]) for k, n in above.items() if k in below}
    if _is_coprime(first, second) or _is_coprime(second, first):
        return _over(top, both), _over(bottom, both)
    scale = first[0][1] / second[0][1]
    if first != tuple((key, scale * value) for key, value in second):
        return None
    rest = {k: n - both.get(k, 0) for k, n in below.items() if n > both.get(k, 0)}
    more = {k: n - both.get(k, 0) for k, n in above.items() if n > both.get(k, 0)}
    return _monomial(more, scale), _monomial(rest, Fraction(1))


def _is_coprime(one: Terms, other: Terms) -> bool:
    """Whether a polynomial has no factors and is none of another's, as far as seen.

    No atom divides either of them.
    """
    atoms, others = (polynomials.atoms_of(dict(item)) for item in (one, other))
    return len(one) == 1 or (_is_irreducible(one) and not {*atoms} <= {*others})


def _monomial(exponents: Mapping[int, int], scale: Fraction) -> Terms:
    return ((tuple(sorted(exponents.items())), scale),)


def _poly(polynomial: Polynomial, atoms: tuple[int, ...]) -> Poly:
    from sympy import QQ, Poly, Rational, Symbol  # as above

    symbols = [Symbol(f"a{index}") for index in atoms]
    table = {
        tuple(dict(key).get(index, 0) for index in atoms): Rational(
            value.numerator, value.denominator
        )
        for key, value in polynomial.items()
    }
    return Poly(table, *symbols, domain=QQ)


def _terms(factor: Poly, atoms: tuple[int, ...]) -> Terms:
    return tuple(
        sorted(
            (
                tuple(
                    (index, power)
                    for index, power in zip(atoms, exponents, strict=True)
                    if power
                ),
                _fraction(value),
            )
            for exponents, value in factor.terms()
        )
    )


def _fraction(value: object) -> Fraction:
    from sympy import Rational  # as above

    rational = Rational(value)
    return Fraction(int(rational.p), int(rational.q))
