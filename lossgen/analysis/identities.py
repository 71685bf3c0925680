"""Equalities of expressions: both sides as quotients of polynomials.

Functions are written with few others (``sigmoid`` with ``exp``, ``log1p`` with
``log``), exponentials and logarithms of sums are taken apart, roots are reduced. What
becomes 0 is 0 wherever the expression is defined; the converse need not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from math import isqrt

from lossgen.analysis import polynomials
from lossgen.analysis.polynomials import Polynomial, TooManyTermsError
from lossgen.analysis.proofs import (
    is_nonnegative,
    is_positive,
    without_common_divisor,
)
from lossgen.analysis.ranges import Ranges
from lossgen.calculus.steps import spend
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Expr,
    Number,
    add,
    apply,
    div,
    mul,
    neg,
    number,
    power,
    sub,
)

Ratio = tuple[Polynomial, Polynomial]
"""Numerator and denominator."""


class NoQuotientError(TooManyTermsError):
    """A division by what is identically 0."""


_STEPS_OF_A_NODE = 4
_STEPS_OF_A_DIVISOR = 2
_MAX_POWER = 8
_HALF = Number(Fraction(1, 2))
_ONE: Polynomial = polynomials.constant(Fraction(1))


def vanishes(expr: Expr, ranges: Ranges) -> bool:
    """Whether an expression is proved to be 0 wherever it is defined."""
    try:
        top, _ = Quotients(ranges).of(expr)
    except TooManyTermsError:
        return False
    return not top


def simplified(expr: Expr, ranges: Ranges) -> Expr:
    """The expression as one quotient; itself where that is too involved."""
    try:
        return Quotients(ranges).expression(expr)
    except TooManyTermsError:
        return expr


def terms(expr: Expr, ranges: Ranges) -> Expr:
    """As `simplified`; a quotient by a single term is one term by term."""
    try:
        return Quotients(ranges).terms(expr)
    except TooManyTermsError:
        return expr


class Quotients:
    """Expressions as quotients of polynomials, under the facts of some ranges."""

    def __init__(self, ranges: Ranges) -> None:
        """Start without any."""
        self._ranges = ranges
        self._known: dict[Expr, Ratio] = {}

    def of(self, expr: Expr) -> Ratio:
        """Numerator and denominator.

        Raises:
            TooManyTermsError: If they are too involved.
        """
        if expr not in self._known:
            spend(_STEPS_OF_A_NODE)
            self._known[expr] = self._visit(expr)
        return self._known[expr]

    def expression(self, expr: Expr) -> Expr:
        """The quotient spelt out.

        Raises:
            TooManyTermsError: If it is too involved.
        """
        return self._spelt(self.of(expr))

    def terms(self, expr: Expr) -> Expr:
        """The quotient as a sum of quotients, if its divisor is one term.

        Raises:
            TooManyTermsError: If it is too involved.
        """
        top, bottom = self.of(expr)
        if len(bottom) != 1:
            return self._spelt((top, bottom))
        ((divisor, scale),) = bottom.items()
        found = [
            (_exponents(monomial, divisor), value / scale)
            for monomial, value in sorted(top.items())
        ]
        shared = _shared([exponents for exponents, _ in found])
        rest = (self._term(_less(item, shared), value) for item, value in found)
        return mul(self._term(shared, Fraction(1)), add(*rest))

    def _term(self, exponents: Mapping[int, int], coefficient: Fraction) -> Expr:
        """One term; exponentials are joined, as those of parts may overflow."""
        above: list[Expr] = [number(coefficient)]
        below: list[Expr] = []
        exponential: list[Expr] = []
        for index, exponent in sorted(exponents.items()):
            node = self._ranges.atom(index)
            if isinstance(node, Apply) and node.op == "exp":
                exponential.append(mul(number(exponent), node.args[0]))
            else:
                side = above if exponent > 0 else below
                side.append(power(node, number(abs(exponent))))
        if exponential:
            above.append(apply("exp", add(*exponential)))
        return div(mul(*above), mul(*below))

    def _spelt(self, ratio: Ratio) -> Expr:
        top, bottom = (self._ranges.expression(part) for part in ratio)
        return div(top, bottom)

    def _visit(self, expr: Expr) -> Ratio:
        if not isinstance(expr, Apply):
            return self._atom(expr)
        rule = _RULES.get(expr.op)
        if rule is not None:
            return rule(self, expr)
        rewrite = _REWRITES.get(expr.op)
        if rewrite is not None:
            return self.of(rewrite(*expr.args))
        if expr.axis is not None:
            return self._along_axis(expr)
        args = tuple(self._argument(arg) for arg in expr.args)
        return self._atom(Apply(expr.op, args, expr.axis))

    def _argument(self, expr: Expr) -> Expr:
        return self.expression(expr) if isinstance(expr, Apply) else expr

    def _atom(self, expr: Expr) -> Ratio:
        return self._ranges.polynomial(expr), _ONE

    def _along_axis(self, expr: Apply) -> Ratio:
        inner = Quotients(self._ranges.inside(expr.axis))
        top, bottom = inner.of(expr.args[0])
        if expr.op not in ("sum", "mean"):
            return self._atom(Apply(expr.op, (inner._spelt((top, bottom)),), expr.axis))
        # Linear: term by term.
        total: Ratio = ({}, _ONE)
        for monomial, coefficient in sorted(top.items()):
            term = inner._spelt(({monomial: Fraction(1)}, bottom))
            ratio = self._atom(Apply(expr.op, (term,), expr.axis))
            scaled = {key: coefficient * value for key, value in ratio[0].items()}
            total = self._plus(total, (scaled, ratio[1]))
        return total

    # Arithmetic -------------------------------------------------------------------

    def _plus(self, left: Ratio, right: Ratio) -> Ratio:
        if left[1] == right[1]:
            return polynomials.plus(left[0], right[0]), left[1]
        top = polynomials.plus(
            self._product(left[0], right[1]), self._product(right[0], left[1])
        )
        return _shortened(top, self._product(left[1], right[1]))

    def _times(self, left: Ratio, right: Ratio) -> Ratio:
        return _shortened(
            self._product(left[0], right[0]), self._product(left[1], right[1])
        )

    def _product(self, left: Polynomial, right: Polynomial) -> Polynomial:
        return self._reduced(polynomials.times(left, right))

    def _reduced(self, polynomial: Polynomial) -> Polynomial:
        """Squares of square roots, as what the root is taken of."""
        total: Polynomial = {}
        changed = False
        for monomial, coefficient in polynomial.items():
            term: Polynomial = {
                tuple(
                    (index, exponent % 2)
                    if self._radicand(index)
                    else (index, exponent)
                    for index, exponent in monomial
                    if not (self._radicand(index) and exponent % 2 == 0)
                ): coefficient
            }
            for index, exponent in monomial:
                radicand = self._radicand(index)
                if radicand is not None and exponent > 1:
                    changed = True
                    inner = self._ranges.polynomial(radicand)
                    for _ in range(exponent // 2):
                        term = polynomials.times(term, inner)
            total = polynomials.plus(total, term)
        return self._reduced(total) if changed else polynomial

    def _radicand(self, index: int) -> Expr | None:
        node = self._ranges.atom(index)
        if isinstance(node, Apply) and node.op == "sqrt":
            return node.args[0]
        return None

    def _add(self, expr: Apply) -> Ratio:
        return reduce(self._plus, (self.of(arg) for arg in expr.args))

    def _neg(self, expr: Apply) -> Ratio:
        top, bottom = self.of(expr.args[0])
        return polynomials.plus({}, top, -1), bottom

    def _mul(self, expr: Apply) -> Ratio:
        return reduce(self._times, (self.of(arg) for arg in expr.args))

    def _div(self, expr: Apply) -> Ratio:
        top, bottom = self.of(expr.args[1])
        if not top:
            raise NoQuotientError
        return self._times(self.of(expr.args[0]), (bottom, top))

    def _square(self, expr: Apply) -> Ratio:
        ratio = self.of(expr.args[0])
        return self._times(ratio, ratio)

    # Powers and roots -------------------------------------------------------------

    def _pow(self, expr: Apply) -> Ratio:
        base, exponent = expr.args
        if isinstance(exponent, Number) and exponent.value.denominator == 1:
            return self._whole_power(self.of(base), int(exponent.value))
        if exponent == _HALF:
            return self._root(base)
        if not self.of(base)[0] and is_positive(exponent, self._ranges):
            return {}, _ONE
        top, bottom = self.of(exponent)
        below = bottom.get(polynomials.ONE)
        if len(bottom) != 1 or below is None or not is_positive(base, self._ranges):
            return self._atom(
                Apply("pow", (self._argument(base), self._spelt((top, bottom))))
            )
        inner, result = self._argument(base), (_ONE, _ONE)
        for monomial, value in sorted(top.items()):
            coefficient = value / below
            if monomial == polynomials.ONE:
                times, rest = coefficient.__floor__(), coefficient % 1
                result = self._times(result, self._whole_power(self.of(base), times))
                if rest:
                    atom = self._atom(Apply("pow", (inner, Number(rest))))
                    result = self._times(result, atom)
                continue
            unit = {monomial: Fraction(1, coefficient.denominator)}
            atom = self._atom(Apply("pow", (inner, self._ranges.expression(unit))))
            factor = self._whole_power(atom, coefficient.numerator)
            result = self._times(result, factor)
        return result

    def _whole_power(self, ratio: Ratio, exponent: int) -> Ratio:
        if abs(exponent) > _MAX_POWER:
            raise TooManyTermsError
        if exponent < 0:
            if not ratio[0]:
                raise NoQuotientError
            ratio = ratio[1], ratio[0]
        return reduce(self._times, [ratio] * abs(exponent), (_ONE, _ONE))

    def _sqrt(self, expr: Apply) -> Ratio:
        return self._root(expr.args[0])

    def _root(self, arg: Expr) -> Ratio:
        top, bottom = self.of(arg)
        if not top:
            return {}, _ONE
        if bottom == _ONE and set(top) == {polynomials.ONE}:
            exact = _rational_root(top[polynomials.ONE])
            if exact is not None:
                return {polynomials.ONE: exact}, _ONE
        below = self._ranges.expression(bottom)
        if bottom != _ONE and not is_positive(below, self._ranges):
            return self._atom(Apply("sqrt", (self._spelt((top, bottom)),)))
        # sqrt(u/v) is sqrt(u*v)/v for positive v.
        radicand = self._ranges.expression(self._product(top, bottom))
        return self._atom(Apply("sqrt", (radicand,)))[0], bottom

    # Exponentials and logarithms --------------------------------------------------

    def _exp(self, expr: Apply) -> Ratio:
        top, bottom = self.of(expr.args[0])
        if not top:
            return _ONE, _ONE
        if set(bottom) != {polynomials.ONE}:
            if top[min(top)] < 0:
                positive = self._spelt((polynomials.plus({}, top, -1), bottom))
                return _ONE, self._atom(Apply("exp", (positive,)))[0]
            return self._atom(Apply("exp", (self._spelt((top, bottom)),)))
        result: Ratio = (_ONE, _ONE)
        for monomial, value in sorted(top.items()):
            coefficient = value / bottom[polynomials.ONE]
            unit = {monomial: Fraction(1, coefficient.denominator)}
            base = self._exponential_of(self._ranges.expression(unit))
            factor = self._whole_power(base, coefficient.numerator)
            result = self._times(result, factor)
        return result

    def _exponential_of(self, unit: Expr) -> Ratio:
        if isinstance(unit, Apply) and unit.op == "log":
            return self.of(unit.args[0])
        return self._atom(Apply("exp", (unit,)))

    def _log(self, expr: Apply) -> Ratio:
        top, bottom = self.of(expr.args[0])
        parts = [self._log_of(top), self._log_of(bottom)]
        if parts[0] is None or parts[1] is None:
            return self._atom(Apply("log", (self._spelt((top, bottom)),)))
        return self._plus(parts[0], self._neg_ratio(parts[1]))

    @staticmethod
    def _neg_ratio(ratio: Ratio) -> Ratio:
        return polynomials.plus({}, ratio[0], -1), ratio[1]

    def _log_of(self, polynomial: Polynomial) -> Ratio | None:
        """The logarithm of a polynomial that is positive, or None."""
        scale = abs(polynomial[min(polynomial)]) if polynomial else Fraction(0)
        result = self._log_of_number(scale)
        if len(polynomial) != 1:
            rest = {key: value / scale for key, value in polynomial.items()}
            whole = self._ranges.expression(rest)
            if result is None or not is_positive(whole, self._ranges):
                return None
            return self._plus(result, self._atom(Apply("log", (whole,))))
        ((monomial, coefficient),) = polynomial.items()
        for index, exponent in monomial:
            node = self._ranges.atom(index)
            if result is None or not self._ranges.of(node).positive:
                return None
            log = self._log_of_atom(node)
            scaled = {key: value * exponent for key, value in log[0].items()}
            result = self._plus(result, (scaled, log[1]))
        return result if coefficient > 0 else None

    def _log_of_atom(self, node: Expr) -> Ratio:
        if isinstance(node, Apply) and node.op == "exp":
            return self.of(node.args[0])
        if isinstance(node, Apply) and node.op == "pow":
            return self._times(
                self.of(node.args[1]), self.of(apply("log", node.args[0]))
            )
        return self._atom(Apply("log", (node,)))

    def _log_of_number(self, value: Fraction) -> Ratio | None:
        if value <= 0:
            return None
        result: Polynomial = {}
        for part, sign in ((value.numerator, 1), (value.denominator, -1)):
            if part > 1:
                log = self._ranges.polynomial(Apply("log", (number(part),)))
                result = polynomials.plus(result, log, sign)
        return result, _ONE

    # Even functions ---------------------------------------------------------------

    def _abs(self, expr: Apply) -> Ratio:
        (arg,) = expr.args
        if is_nonnegative(arg, self._ranges):
            return self.of(arg)
        if is_nonnegative(neg(arg), self._ranges):
            return self._neg_ratio(self.of(arg))
        return self._even(expr)

    def _even(self, expr: Apply) -> Ratio:
        """An even function, its argument in one form of the two."""
        top, bottom = self.of(expr.args[0])
        if top and top[min(top)] < 0:
            top = polynomials.plus({}, top, -1)
        return self._atom(Apply(expr.op, (self._spelt((top, bottom)),), expr.axis))


def _rational_root(square: Fraction) -> Fraction | None:
    """The square root of a number, if it is a fraction."""
    root = Fraction(isqrt(abs(square.numerator)), isqrt(square.denominator))
    return root if root**2 == square else None


def _shortened(top: Polynomial, bottom: Polynomial) -> Ratio:
    """Without the number and the powers of atoms that all terms have in common."""
    if not top:
        return {}, _ONE
    common = reduce(_common, (*top, *bottom))
    scale = bottom[min(bottom)]
    top, bottom = _divided(top, common, scale), _divided(bottom, common, scale)
    if min(len(top), len(bottom)) > 1:
        spend(_STEPS_OF_A_DIVISOR * len(top) * len(bottom))
        top, bottom = without_common_divisor(top, bottom)
    return top, bottom


def _common(
    left: polynomials.Monomial, right: polynomials.Monomial
) -> polynomials.Monomial:
    other = dict(right)
    return tuple(
        (index, min(exponent, other[index]))
        for index, exponent in left
        if index in other
    )


def _divided(
    polynomial: Polynomial, common: polynomials.Monomial, scale: Fraction
) -> Polynomial:
    shared = dict(common)
    return {
        tuple(
            (index, exponent - shared.get(index, 0))
            for index, exponent in monomial
            if exponent > shared.get(index, 0)
        ): value / scale
        for monomial, value in polynomial.items()
    }


def _exponents(
    monomial: polynomials.Monomial, divisor: polynomials.Monomial
) -> dict[int, int]:
    """Those of a quotient of two monomials, negative ones included."""
    return _less(dict(monomial), dict(divisor))


def _less(left: Mapping[int, int], right: Mapping[int, int]) -> dict[int, int]:
    indices = sorted({*left, *right})
    found = {index: left.get(index, 0) - right.get(index, 0) for index in indices}
    return {index: exponent for index, exponent in found.items() if exponent}


def _shared(terms: list[dict[int, int]]) -> dict[int, int]:
    """The factors and divisors that all terms have."""
    found: dict[int, int] = {}
    for index in sorted({index for term in terms for index in term}):
        exponents = [term.get(index, 0) for term in terms]
        if min(exponents) > 0:
            found[index] = min(exponents)
        elif max(exponents) < 0:
            found[index] = max(exponents)
    return found


def _exponential(arg: Expr) -> Expr:
    return apply("exp", arg)


def _twice(arg: Expr) -> Expr:
    return _exponential(mul(TWO, arg))


_REWRITES: dict[str, Callable[..., Expr]] = {
    "expm1": lambda u: sub(_exponential(u), ONE),
    "log1p": lambda u: apply("log", add(ONE, u)),
    "sigmoid": lambda u: div(ONE, add(ONE, _exponential(neg(u)))),
    "tanh": lambda u: div(sub(_twice(u), ONE), add(_twice(u), ONE)),
    "sinh": lambda u: div(sub(_exponential(u), _exponential(neg(u))), TWO),
    "cosh": lambda u: div(add(_exponential(u), _exponential(neg(u))), TWO),
    "softplus": lambda u: apply("log", add(ONE, _exponential(u))),
    "log_sigmoid": lambda u: neg(apply("log", add(ONE, _exponential(neg(u))))),
    "log_cosh": lambda u: apply("log", apply("cosh", u)),
    "logaddexp": lambda u, v: apply("log", add(_exponential(u), _exponential(v))),
    "xlogy": lambda u, v: ZERO if u == ZERO else mul(u, apply("log", v)),
    "xlog1py": lambda u, v: ZERO if u == ZERO else mul(u, apply("log", add(ONE, v))),
    "relu": lambda u: apply("max", u, ZERO),
}

_RULES: dict[str, Callable[[Quotients, Apply], Ratio]] = {
    "add": Quotients._add,
    "neg": Quotients._neg,
    "mul": Quotients._mul,
    "div": Quotients._div,
    "square": Quotients._square,
    "pow": Quotients._pow,
    "sqrt": Quotients._sqrt,
    "exp": Quotients._exp,
    "log": Quotients._log,
    "abs": Quotients._abs,
    "cos": Quotients._even,
    "i0e": Quotients._even,
    "norm": Quotients._even,
}
