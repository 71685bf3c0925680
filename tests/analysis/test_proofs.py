"""Polynomials are factored and shortened as SymPy does it."""

import random
from fractions import Fraction

import pytest
import sympy

from lossgen.analysis import polynomials
from lossgen.analysis.proofs import factorized, without_common_divisor

ATOMS = sympy.symbols("a0:3")


def random_polynomial(generator):
    """One to three terms in three atoms; it may be 0."""
    return {
        tuple(
            (k, generator.randint(1, 2)) for k in range(3) if generator.random() < 0.4
        ): (Fraction(generator.choice([-2, -1, 1, 2, 3]), generator.choice([1, 2])))
        for _ in range(generator.randint(1, 3))
    }


def as_poly(polynomial):
    terms = (
        sympy.Rational(value.numerator, value.denominator)
        * sympy.Mul(*(ATOMS[k] ** n for k, n in monomial))
        for monomial, value in polynomial.items()
    )
    return sympy.Poly(sympy.Add(*terms), *ATOMS, domain=sympy.QQ)


@pytest.mark.parametrize("seed", range(200))
def test_a_fraction_in_lowest_terms(seed):
    generator = random.Random(seed)
    top, bottom = (random_polynomial(generator) for _ in range(2))
    if seed % 2:
        common = random_polynomial(generator)
        top, bottom = (polynomials.times(item, common) for item in (top, bottom))
    above, below = (as_poly(item) for item in without_common_divisor(top, bottom))
    assert above * as_poly(bottom) == below * as_poly(top)
    assert above.gcd(below).is_ground


@pytest.mark.parametrize("seed", range(200))
def test_factors(seed):
    generator = random.Random(seed)
    polynomial = random_polynomial(generator)
    if seed % 2:
        polynomial = polynomials.times(polynomial, random_polynomial(generator))
    constant, found = factorized(tuple(sorted(polynomial.items())))
    product = as_poly({(): constant})
    for factor, exponent in found:
        factor = as_poly(dict(factor))
        assert factor.is_ground or factor.is_irreducible
        product *= factor**exponent
    assert product == as_poly(polynomial)
