"""Ranges whose ends are formulas in the parameters.

Where a parameter may be arbitrarily close to 0, such as a smoothing constant in a
divisor, no number bounds what depends on it; a formula in the parameter does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from lossgen.analysis.intervals import Interval, is_increasing
from lossgen.analysis.polynomials import Monomial, Polynomial
from lossgen.analysis.proofs import is_nonnegative, is_positive
from lossgen.analysis.ranges import Ranges
from lossgen.calculus.steps import spend
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Expr,
    Number,
    Role,
    add,
    apply,
    depends_on,
    div,
    mul,
    neg,
    power,
    sub,
)
from lossgen.ir.extent import SCALAR

_STEPS_OF_A_NODE = 6


@dataclass(frozen=True)
class Envelope:
    """What an expression is nowhere below, and nowhere above; None if not known."""

    lower: Expr | None
    upper: Expr | None

    @property
    def finite(self) -> bool:
        """Whether both ends are known."""
        return self.lower is not None and self.upper is not None


class Envelopes:
    """The envelopes of expressions over the declared domains."""

    def __init__(self, ranges: Ranges) -> None:
        """Take the ranges over the declared domains."""
        self._ranges = ranges
        self._known: dict[Expr, Envelope] = {}

    def of(self, expr: Expr) -> Envelope:
        """The envelope of an expression."""
        if expr not in self._known:
            spend(_STEPS_OF_A_NODE)
            self._known[expr] = self._compute(expr)
        return self._known[expr]

    def size(self, expr: Expr) -> Expr | None:
        """A formula in the parameters that the size of an expression is within."""
        return self._reach(self.of(expr))

    def largest(self, formulas: Iterable[Expr]) -> Expr:
        """The largest of some formulas in the parameters, one of them if possible."""
        return self._extreme(tuple(formulas), "max")

    def _extreme(self, formulas: tuple[Expr, ...], op: str) -> Expr:
        kept: list[Expr] = []
        for formula in formulas:
            if not any(self._beats(other, formula, op) for other in kept):
                kept = [item for item in kept if not self._beats(formula, item, op)]
                kept.append(formula)
        return kept[0] if len(kept) == 1 else Apply(op, tuple(kept))

    def _beats(self, one: Expr, other: Expr, op: str) -> bool:
        gap = sub(one, other) if op == "max" else sub(other, one)
        return is_nonnegative(gap, self._ranges)

    # Structure --------------------------------------------------------------------

    def _compute(self, expr: Expr) -> Envelope:
        values = self._ranges.of(expr)
        numbers = _numbers(values)
        if values.empty:
            return Envelope(ZERO, ZERO)
        if self._is_constant(expr):
            return Envelope(expr, expr)
        if numbers.finite or not isinstance(expr, Apply):
            return numbers
        found = self._structural(expr)
        return Envelope(
            self._better(found.lower, numbers.lower, "max"),
            self._better(found.upper, numbers.upper, "min"),
        )

    def _better(self, one: Expr | None, other: Expr | None, op: str) -> Expr | None:
        """The narrower of two ends; the second one if neither is known to be."""
        if one is None or other is None:
            return other if one is None else one
        return one if self._beats(one, other, op) else other

    def _is_constant(self, expr: Expr) -> bool:
        tensors = depends_on(expr, Role.Y_TRUE, Role.Y_PRED, Role.DERIVED, Role.SIZE)
        return not tensors and self._ranges.extent(expr) == SCALAR

    def _structural(self, expr: Apply) -> Envelope:
        rule = _RULES.get(expr.op)
        if rule is not None:
            return rule(self, expr)
        if expr.axis is None and is_increasing(expr.op):
            inner = self.of(expr.args[0])
            return Envelope(
                *(end and self._at(expr.op, end) for end in (inner.lower, inner.upper))
            )
        return _UNKNOWN

    def _at(self, op: str, end: Expr) -> Expr | None:
        """An operation at an end of its argument, unless it has a pole there."""
        found = apply(op, end)
        values = _numbers(self._ranges.of(found))
        is_pole = isinstance(end, Number) and not values.finite
        return None if is_pole else found

    def _sum(self, expr: Apply) -> Envelope:
        """What the parameters contribute, and the rest as one range."""
        fixed: dict[Monomial, Fraction] = {}
        rest: dict[Monomial, Fraction] = {}
        for monomial, value in self._ranges.polynomial(expr).items():
            atoms = (self._ranges.atom(index) for index, _ in monomial)
            constant = all(self._is_constant(atom) for atom in atoms)
            (fixed if constant else rest)[monomial] = value
        offset, values = self._ranges.expression(fixed), self._numbers(rest)
        parts = [self.of(arg) for arg in expr.args]
        lower = _total(part.lower for part in parts)
        upper = _total(part.upper for part in parts)
        return Envelope(
            lower if values.lower is None else add(offset, values.lower),
            upper if values.upper is None else add(offset, values.upper),
        )

    def _numbers(self, polynomial: Polynomial) -> Envelope:
        return _numbers(self._ranges.of_polynomial(polynomial))

    def _negative(self, expr: Apply) -> Envelope:
        return _negated(self.of(expr.args[0]))

    def _product(self, expr: Apply) -> Envelope:
        return reduce(self._times, (self.of(arg) for arg in expr.args))

    def _quotient(self, expr: Apply) -> Envelope:
        top, bottom = expr.args
        return self._times(self.of(top), self._reciprocal(self.of(bottom)))

    def _reciprocal(self, values: Envelope) -> Envelope:
        if values.upper is not None and is_positive(neg(values.upper), self._ranges):
            return _negated(self._reciprocal(_negated(values)))
        if values.lower is None or not is_positive(values.lower, self._ranges):
            return _UNKNOWN
        lower = ZERO if values.upper is None else div(ONE, values.upper)
        return Envelope(lower, div(ONE, values.lower))

    def _power(self, expr: Apply) -> Envelope:
        base, exponent = self.of(expr.args[0]), expr.args[1]
        if not self._is_constant(exponent) or not self._rises(base):
            return _UNKNOWN
        if is_nonnegative(exponent, self._ranges):
            return Envelope(
                *(end and power(end, exponent) for end in (base.lower, base.upper))
            )
        if is_nonnegative(neg(exponent), self._ranges):
            inverse = self._reciprocal(base)
            return Envelope(
                *(
                    end and power(end, neg(exponent))
                    for end in (inverse.lower, inverse.upper)
                )
            )
        return _UNKNOWN

    def _square(self, expr: Apply) -> Envelope:
        size = self.size(expr.args[0])
        return Envelope(ZERO, size and power(size, TWO))

    def _absolute(self, expr: Apply) -> Envelope:
        return Envelope(ZERO, self.size(expr.args[0]))

    def _branches(self, expr: Apply) -> Envelope:
        condition, *branches = expr.args
        parts = [
            Envelopes(self._ranges.given(condition, truth)).of(branch)
            for truth, branch in zip((True, False), branches, strict=True)
        ]
        ends = [
            (item.lower, item.upper)
            for item in parts
            if item.lower is not None and item.upper is not None
        ]
        if len(ends) < len(parts):
            return _UNKNOWN
        return Envelope(
            self._extreme(tuple(low for low, _ in ends), "min"),
            self._extreme(tuple(high for _, high in ends), "max"),
        )

    def _element(self, expr: Apply) -> Envelope:
        return Envelopes(self._ranges.inside(expr.axis)).of(expr.args[0])

    def _times(self, left: Envelope, right: Envelope) -> Envelope:
        for one, other in ((left, right), (right, left)):
            if self._falls(one):
                return _negated(self._times(_negated(one), other))
        if self._rises(left) and self._rises(right):
            lower = _both(left.lower, right.lower)
            return Envelope(lower, _both(left.upper, right.upper))
        for one, other in ((left, right), (right, left)):
            if self._rises(one):
                upper = one.upper
                return Envelope(_both(upper, other.lower), _both(upper, other.upper))
        reach = _both(self._reach(left), self._reach(right))
        return Envelope(reach and neg(reach), reach)

    def _rises(self, values: Envelope) -> bool:
        """Whether nothing is below 0."""
        return values.lower is not None and is_nonnegative(values.lower, self._ranges)

    def _falls(self, values: Envelope) -> bool:
        """Whether nothing is above 0."""
        return values.upper is not None and is_nonnegative(
            neg(values.upper), self._ranges
        )

    def _reach(self, values: Envelope) -> Expr | None:
        if values.lower is None or values.upper is None:
            return None
        return self._extreme((neg(values.lower), values.upper), "max")


_UNKNOWN = Envelope(None, None)


def _numbers(values: Interval) -> Envelope:
    return Envelope(
        *(
            Number(end) if isinstance(end, Fraction) else None
            for end in (values.lower, values.upper)
        )
    )


def _negated(values: Envelope) -> Envelope:
    return Envelope(
        values.upper and neg(values.upper), values.lower and neg(values.lower)
    )


def _both(left: Expr | None, right: Expr | None) -> Expr | None:
    return None if left is None or right is None else mul(left, right)


def _total(ends: Iterable[Expr | None]) -> Expr | None:
    known = list(ends)
    return None if None in known else add(*(end for end in known if end is not None))


_RULES: dict[str, Callable[[Envelopes, Apply], Envelope]] = {
    "add": Envelopes._sum,
    "neg": Envelopes._negative,
    "mul": Envelopes._product,
    "div": Envelopes._quotient,
    "pow": Envelopes._power,
    "square": Envelopes._square,
    "abs": Envelopes._absolute,
    "where": Envelopes._branches,
    "mean": Envelopes._element,
    "amax": Envelopes._element,
    "amin": Envelopes._element,
}
