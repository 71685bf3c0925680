"""Sums in which one term outweighs another, as simpler sums that they are not below.

``max(a, b) - min(c, d)`` is at least ``b - d``. What two boxes share is a product of
widths ``relu(min(b, d) - max(a, c))``, each of which is at most ``b - a``: it takes no
more away than the area of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, product
from typing import TYPE_CHECKING

from lossgen.analysis.intervals import Interval
from lossgen.analysis.polynomials import Polynomial, TooManyTermsError, plus
from lossgen.calculus.steps import spend
from lossgen.ir.expr import ZERO, Apply, Expr, Number, add, mul, neg, walk

if TYPE_CHECKING:
    from lossgen.analysis.ranges import Ranges

_MAX_BOUNDS = 16
_STEPS_OF_A_BOUND = 10

Range = Callable[[Expr], Interval]

_Term = tuple[Fraction, tuple[Expr, ...]]
"""A coefficient and factors."""


def simpler_below(expr: Expr, ranges: Ranges) -> Iterator[Expr]:
    """Sums with fewer extrema that a sum is nowhere below."""
    terms = tuple(_terms(expr))
    if any(_extreme(factor) for _, factors in terms for factor in factors):
        yield from _matched(terms, ranges)
        yield from _chosen(terms)


def _terms(expr: Expr, scale: Fraction = Fraction(1)) -> Iterator[_Term]:
    if isinstance(expr, Apply) and expr.op == "add":
        for arg in expr.args:
            yield from _terms(arg, scale)
    elif isinstance(expr, Apply) and expr.op == "neg":
        yield from _terms(expr.args[0], -scale)
    elif isinstance(expr, Apply) and expr.op == "mul":
        factors: list[Expr] = []
        for factor in expr.args:
            if isinstance(factor, Number):
                scale *= factor.value
            else:
                factors.append(factor)
        yield scale, tuple(factors)
    elif isinstance(expr, Number):
        yield scale * expr.value, ()
    else:
        yield scale, (expr,)


def _extreme(expr: Expr) -> bool:
    return any(
        isinstance(node, Apply) and node.op in ("max", "min", "relu")
        for node in walk(expr)
    )


def _sum(terms: Sequence[_Term]) -> Expr:
    return add(
        *(
            mul(*factors)
            if scale == 1
            else neg(mul(*factors))
            if scale == -1
            else mul(Number(scale), *factors)
            for scale, factors in terms
            if scale
        )
    )


# One term against another -------------------------------------------------------------


def _matched(terms: tuple[_Term, ...], ranges: Ranges) -> Iterator[Expr]:
    """The sum without what a term takes away at most of others."""
    for place, (scale, factors) in enumerate(terms):
        if scale >= 0 or not all(ranges.of(x).nonnegative for x in factors):
            continue
        others = (*terms[:place], *terms[place + 1 :])
        whole = ranges.polynomial(_sum(others))
        for bound in _products_above(factors, ranges.of):
            taken = ranges.polynomial(bound)
            for other, (size, above) in enumerate(terms):
                if size > 0 and ranges.polynomial(mul(*above)) == taken:
                    shared = min(-scale, size)
                    rest = list(terms)
                    rest[place] = scale + shared, factors
                    rest[other] = size - shared, above
                    yield _sum(rest)
            if len(left := _difference(whole, taken, scale)) < len(whole):
                yield ranges.expression(left)


def _difference(whole: Polynomial, taken: Polynomial, scale: Fraction) -> Polynomial:
    try:
        return plus(whole, taken, scale)
    except TooManyTermsError:
        return whole


def _products_above(factors: tuple[Expr, ...], of: Range) -> Iterator[Expr]:
    """Products that a product of nonnegative factors is nowhere above."""
    bounds = [(factor, *_above(factor, of)) for factor in factors]
    for chosen in islice(product(*bounds), 1, _MAX_BOUNDS**2):
        spend(_STEPS_OF_A_BOUND)
        yield mul(*chosen)


def _above(expr: Expr, of: Range) -> Iterator[Expr]:
    """Expressions that another one is nowhere above."""
    if not isinstance(expr, Apply):
        return
    if expr.op == "min":
        yield from expr.args
    elif expr.op == "relu" or (
        expr.op == "max" and len(expr.args) == 2 and ZERO in expr.args
    ):
        for arg in expr.args:
            for bound in _above(arg, of):
                if of(bound).nonnegative:
                    yield bound
                else:
                    yield Apply(
                        expr.op, tuple(bound if x is arg else x for x in expr.args)
                    )
    elif expr.op in ("add", "neg"):
        yield from _chosen(tuple(_terms(expr, Fraction(-1))), Fraction(-1))


# Extrema as one of their arguments ----------------------------------------------------


def _chosen(terms: tuple[_Term, ...], sign: Fraction = Fraction(1)) -> Iterator[Expr]:
    """The sum with an argument for each maximum that is added or minimum taken away."""
    options = [tuple(_arguments(term)) for term in terms]
    if all(len(option) == 1 for option in options):
        return
    for chosen in islice(product(*options), _MAX_BOUNDS):
        spend(_STEPS_OF_A_BOUND)
        parts = [(sign * scale, factors) for scale, factors in chosen]
        yield _sum([part for each in parts for part in _terms(_sum([each]))])


def _arguments(term: _Term) -> Iterator[_Term]:
    scale, factors = term
    op = "max" if scale > 0 else "min"
    if len(factors) == 1 and isinstance(factors[0], Apply) and factors[0].op == op:
        for arg in factors[0].args:
            yield scale, (arg,)
    else:
        yield term
