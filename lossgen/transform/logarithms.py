"""Logarithms of sums, products and quotients of exponentials, taken apart.

``log(w*exp(u) + exp(v))`` is ``logaddexp(u + log(w), v)``, and a logarithm of a sum
along an axis a ``logsumexp``: what overflows, or underflows to 0, is never formed. An
expression is read as ``exp(exponent)*factor``; where the exponent is not 0, its
logarithm is ``exponent + log(factor)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import reduce

from lossgen.analysis.identities import vanishes
from lossgen.analysis.proofs import is_nonnegative, is_positive
from lossgen.analysis.ranges import Ranges
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Axis,
    Expr,
    Role,
    Symbol,
    add,
    apply,
    depends_on,
    div,
    mul,
    neg,
    power,
    sub,
)

Split = tuple[Expr, Expr]
"""Exponent and factor."""

LOWEST = Apply("lowest", ())
"""The logarithm of what does not count, in place of that of 0."""

AT_ONCE: dict[str, str] = {
    "softmax": "log_softmax",
    "sigmoid": "log_sigmoid",
    "cosh": "log_cosh",
    "normal_cdf": "normal_logcdf",
}
"""Operations that have one for their logarithm."""


_OVERFLOW, _UNDERFLOW = 1e38, 1e-37
_CHOICE = (Fraction(0), Fraction(1))


def logarithm(node: Apply, ranges: Ranges) -> Expr | None:
    """A logarithm of exponentials without them; None for anything else."""
    if node.op not in ("log", "log1p", "xlogy"):
        return None
    *weight, arg = node.args
    reading = _Reading(ranges)
    if node.op == "log1p":
        return reading.softplus(arg)
    exponent, factor = reading.split(arg)
    if exponent == ZERO:
        return None
    if weight:
        (times,) = weight
        rest = ZERO if factor == ONE else apply("xlogy", times, factor)
        return add(mul(times, exponent), rest)
    return add(exponent, _log(factor))


class _Reading:
    """Reads expressions as exponentials with factors."""

    def __init__(self, ranges: Ranges, *, exp_alone: bool = False) -> None:
        self._ranges = ranges
        self._unread = frozenset(AT_ONCE if exp_alone else ())

    def is_exponential(self, expr: Expr) -> bool:
        """Whether an exponential takes part, other than as a mere number."""
        if isinstance(expr, Apply) and expr.op == "where":
            return any(self.is_exponential(branch) for branch in expr.args[1:])
        return self.split(expr)[0] != ZERO

    def split(self, expr: Expr) -> Split:
        """The expression as ``exp(exponent)*factor``, the exponent 0 if need be."""
        if not isinstance(expr, Apply) or expr.op not in _RULES.keys() - self._unread:
            return ZERO, expr
        found = _RULES[expr.op](self, expr)
        return (ZERO, expr) if found is None or found[0] == ZERO else found

    def logarithm(self, expr: Expr) -> Expr | None:
        """The logarithm of what is nowhere negative, or None."""
        if expr == ZERO:
            return LOWEST
        if isinstance(expr, Apply) and expr.op == "where":
            condition, *branches = expr.args
            then, otherwise = (self.logarithm(branch) for branch in branches)
            if then is None or otherwise is None:
                return None
            return Apply("where", (condition, then, otherwise))
        exponent, factor = self.split(expr)
        if is_positive(factor, self._ranges):
            return add(exponent, _log(factor))
        if not self._is_fixed(factor) or not is_nonnegative(factor, self._ranges):
            return None
        if not self._is_choice(factor):
            exponent = add(exponent, _log(factor))
        return Apply("where", (Apply("gt", (factor, ZERO)), exponent, LOWEST))

    def softplus(self, expr: Expr) -> Expr | None:
        """The logarithm of 1 more, where exponentials may overflow, or None."""
        plain = _Reading(self._ranges, exp_alone=True)
        if not plain.is_exponential(expr) or not self._may_leave_float32(
            add(ONE, expr)
        ):
            return None
        found = self.logarithm(expr)
        return None if found is None else apply("softplus", found)

    def _is_fixed(self, expr: Expr) -> bool:
        """Whether no gradient flows into it, so that a branch may leave it out."""
        roles = {Role.Y_PRED, Role.PARAMETER, Role.DERIVED}
        if self._ranges.loss.spec.y_true.gradient:
            roles.add(Role.Y_TRUE)
        return not depends_on(expr, *roles)

    def _is_choice(self, expr: Expr) -> bool:
        """Whether it is a label that is 0 or 1."""
        if not isinstance(expr, Symbol) or expr.role is not Role.Y_TRUE:
            return False
        return self._ranges.loss.variable(expr.name).domain.labels == _CHOICE

    def _picks(self, expr: Expr, axis: Axis | None) -> bool:
        """Whether it is a label that is 1 at one place of an axis, which counts."""
        if not isinstance(expr, Symbol) or axis is not Axis.LAST:
            return False
        loss = self._ranges.loss
        if expr.role is not Role.Y_TRUE or loss.mask is not None:
            return False
        return loss.variable(expr.name).domain.kind is DomainKind.ONE_HOT

    # Products and powers ----------------------------------------------------------

    def _product(self, expr: Apply) -> Split:
        exponents, factors = zip(*map(self.split, expr.args), strict=True)
        return add(*exponents), mul(*factors)

    def _quotient(self, expr: Apply) -> Split:
        share = self._share(*expr.args)
        if share is not None:
            return share, ONE
        (above, top), (below, bottom) = map(self.split, expr.args)
        return sub(above, below), div(top, bottom)

    def _negative(self, expr: Apply) -> Split:
        exponent, factor = self.split(expr.args[0])
        return exponent, neg(factor)

    def _power(self, expr: Apply) -> Split | None:
        base, exponent = _POWERS[expr.op](*expr.args)
        inner, factor = self.split(base)
        if factor != ONE and exponent != TWO and not is_positive(factor, self._ranges):
            return None
        rest = ONE if factor == ONE else power(factor, exponent)
        return mul(exponent, inner), rest

    # Sums -------------------------------------------------------------------------

    def _sum(self, expr: Apply) -> Split | None:
        if not self._may_leave_float32(expr):
            return None
        if not any(self.is_exponential(term) for term in expr.args):
            return None
        others = [term for term in expr.args if term != ONE]
        found = self._logarithms(others)
        if found is None:
            return None
        total = reduce(lambda left, right: apply("logaddexp", left, right), found)
        if len(others) < len(expr.args):
            return apply("softplus", total), ONE
        plain = _Reading(self._ranges, exp_alone=True)
        exponents, shares = zip(*map(plain.split, expr.args), strict=True)
        if not vanishes(add(*shares, neg(ONE)), self._ranges):
            return total, ONE
        return _close_or_far(exponents, shares, total), ONE

    def _may_leave_float32(self, expr: Expr) -> bool:
        values = self._ranges.of(expr)
        return values.upper > _OVERFLOW or values.lower < _UNDERFLOW

    def _logarithms(self, exprs: Iterable[Expr]) -> list[Expr] | None:
        found = [self.logarithm(expr) for expr in exprs]
        known = [item for item in found if item is not None]
        return known if len(known) == len(found) else None

    def _sum_along(self, expr: Apply) -> Split | None:
        (arg,) = expr.args
        if not self.is_exponential(arg):
            return None
        exponent, factor = self.split(arg)
        if self._picks(factor, expr.axis):
            return apply("sum", mul(factor, exponent), axis=expr.axis), ONE
        if _is_share(exponent, expr.axis) and self._is_fixed(factor):
            found = self._of_part(exponent.children[0], factor, expr.axis)
            if found is not None:
                return found, ONE
        found = self.logarithm(arg)
        if found is None:
            return None
        return apply("logsumexp", found, axis=expr.axis), ONE

    def _share(self, left: Expr, right: Expr) -> Expr | None:
        """The logarithm of a quotient of sums, by labels, of the same exponentials."""
        if not (isinstance(left, Apply) and isinstance(right, Apply)):
            return None
        if not (left.op == right.op == "sum" and left.axis is right.axis):
            return None
        exponent, part = self.split(left.args[0])
        if exponent == ZERO or self.split(right.args[0]) != (exponent, ONE):
            return None
        if self._picks(part, left.axis) or not self._is_fixed(part):
            return None
        return self._of_part(exponent, part, left.axis)

    def _of_part(self, u: Expr, part: Expr, axis: Axis | None) -> Expr | None:
        """The logarithm of a part of a softmax, by labels between 0 and 1.

        It may be close to 0, and is written with the rest.
        """
        inside = self.logarithm(mul(part, apply("exp", u)))
        outside = self.logarithm(mul(sub(ONE, part), apply("exp", u)))
        if inside is None or outside is None:
            return None
        if self._is_choice(part):
            outside = Apply("where", (inside.children[0], LOWEST, u))
        sums = (apply("logsumexp", item, axis=axis) for item in (outside, inside))
        return neg(apply("softplus", sub(*sums)))

    def _running_sum(self, expr: Apply) -> Split | None:
        (arg,) = expr.args
        found = self.logarithm(arg) if self.is_exponential(arg) else None
        if found is None:
            return None
        return apply("logcumsumexp", found, axis=expr.axis), ONE

    def _mean_along(self, expr: Apply) -> Split | None:
        (arg,) = expr.args
        found = self.logarithm(arg) if self.is_exponential(arg) else None
        if found is None:
            return None
        count = apply("sum", apply("ones_like", found), axis=expr.axis)
        far = sub(apply("logsumexp", found, axis=expr.axis), _log(count))
        centre = apply("mean", found, axis=expr.axis)
        excess = apply("expm1", sub(found, centre))
        near = add(centre, apply("log1p", apply("mean", excess, axis=expr.axis)))
        largest = apply("amax", found, axis=expr.axis)
        is_near = Apply("lt", (sub(largest, centre), ONE))
        return Apply("where", (is_near, near, far)), ONE


def _log(factor: Expr) -> Expr:
    return ZERO if factor == ONE else apply("log", factor)


def _is_share(exponent: Expr, axis: Axis | None) -> bool:
    """Whether it is the logarithm of a softmax along an axis."""
    return isinstance(exponent, Apply) and (
        exponent.op == "log_softmax" and exponent.axis is axis
    )


def _close_or_far(exponents: Sequence[Expr], shares: Sequence[Expr], far: Expr) -> Expr:
    """The logarithm of a mean of exponentials, which may be close to 0.

    Args:
        exponents: Those of the terms.
        shares: What they are weighted with; 1 in total.
        far: The logarithm where the exponents are far from one another.
    """
    *others, base = exponents
    gaps = [sub(exponent, base) for exponent in others]
    parts = zip(shares, gaps, strict=False)
    excess = add(*(mul(share, apply("expm1", gap)) for share, gap in parts))
    sizes = [apply("abs", gap) for gap in gaps]
    size = apply("max", *sizes) if len(sizes) > 1 else sizes[0]
    is_close = Apply("lt", (size, ONE))
    return Apply("where", (is_close, add(base, apply("log1p", excess)), far))


def _at_once(reading: _Reading, expr: Apply) -> Split:
    return Apply(AT_ONCE[expr.op], expr.args, expr.axis), ONE


_POWERS: dict[str, Callable[..., tuple[Expr, Expr]]] = {
    "pow": lambda base, exponent: (base, exponent),
    "square": lambda base: (base, TWO),
    "sqrt": lambda base: (base, div(ONE, TWO)),
}

_RULES: dict[str, Callable[[_Reading, Apply], Split | None]] = {
    "exp": lambda reading, expr: (expr.args[0], ONE),
    **dict.fromkeys(AT_ONCE, _at_once),
    "neg": _Reading._negative,
    "mul": _Reading._product,
    "div": _Reading._quotient,
    **dict.fromkeys(_POWERS, _Reading._power),
    "add": _Reading._sum,
    "sum": _Reading._sum_along,
    "mean": _Reading._mean_along,
    "cumsum": _Reading._running_sum,
}
