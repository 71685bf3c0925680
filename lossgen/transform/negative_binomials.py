"""The negative logarithm of a negative binomial probability, however it is written.

By its mean or the mean's logarithm, by its size, its dispersion or the logarithm of
either, in any order, with or without the factorial of the count: where a sum has the
gamma functions of one, what is left of it by the definition says whether it is one. The
operation in its place keeps the digits where a large count is close to its mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from lossgen.analysis.identities import Quotients, Ratio
from lossgen.analysis.polynomials import MAX_TERMS, TooManyTermsError, atoms_of
from lossgen.analysis.proofs import is_positive
from lossgen.analysis.ranges import Ranges
from lossgen.ir.definitions import defined
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    apply,
    depends_on,
    div,
    mul,
    neg,
    sub,
    walk,
)

_LOGARITHMS = (
    *("log", "log1p", "logaddexp", "softplus", "log_sigmoid", "xlogy", "xlog1py"),
)

_REACH = Number(Fraction(80))
"""Exponents up to which exponentials, and products of a few, are finite in float32."""


def negative_binomial(node: Apply, ranges: Ranges) -> Expr | None:
    """A sum with the operation in place of its terms; None if it is no such sum."""
    if node.op != "add" or not any(
        isinstance(part, Apply) and part.op in ("lgamma", "log_multiset")
        for part in walk(node)
    ):
        return None
    reading = _Reading(node, ranges)
    return next((found for found in reading.found()), None)


class _Reading:
    """The terms of a sum, as polynomials over logarithms and gamma functions."""

    def __init__(self, node: Apply, ranges: Ranges) -> None:
        self._ranges = ranges
        self._quotients = Quotients(ranges)
        self._terms = list(_terms(node))
        self._ratios = [self._ratio(defined(term)) for term in self._terms]

    def found(self) -> Iterator[Expr]:
        """The sum with one in place of terms, for each way to read it."""
        for sign, size, count in self._sizes():
            for mean in self._means(size):
                other = self._without(sign, size, count, mean)
                if other is not None:
                    found = self._in_range(count, size, mean)
                    yield add(other, found if sign > 0 else neg(found))

    def _in_range(self, count: Expr, size: Expr, mean: Expr) -> Expr:
        """The operation; one without exponentials where these leave float32."""
        near = Apply("negative_binomial", (count, size, mean))
        conditions = [
            Apply("lt", (apply("abs", number.children[0]), _REACH))
            for number in (size, mean)
            if _op(number) == "exp" and not self._is_bounded(number.children[0])
        ]
        if not conditions:
            return near
        inside = Apply("and", tuple(conditions)) if conditions[1:] else conditions[0]
        gap = sub(_log(mean), _log(size))
        far = add(
            mul(size, apply("softplus", gap)),
            mul(count, apply("softplus", neg(gap))),
            neg(Apply("log_multiset", (size, count))),
        )
        # As given slopes, of which there are none, it is not rewritten once more.
        return Apply("where", (inside, near, Apply("with_slopes", (far,))))

    def _is_bounded(self, exponent: Expr) -> bool:
        values = self._ranges.of(exponent)
        return -_REACH.value < values.lower and values.upper < _REACH.value

    def _ratio(self, expr: Expr) -> Ratio | None:
        try:
            return self._quotients.of(expr)
        except TooManyTermsError:
            return None

    def _sizes(self) -> Iterator[tuple[int, Expr, Expr]]:
        """Sign, size and count, by ``lgamma(size) - lgamma(size + count)``."""
        gammas = [
            (value, arg)
            for ratio in self._ratios
            for key, value in (ratio[0] if ratio else {}).items()
            for arg in self._argument(key)
        ]
        for sign, size in gammas:
            for other, whole in gammas:
                if abs(sign) == 1 and other == -sign:
                    count = self._simple(sub(whole, size))
                    if self._is_count(count):
                        yield int(sign), size, count

    def _argument(self, key: tuple[tuple[int, int], ...]) -> Iterator[Expr]:
        if len(key) == 1 and key[0][1] == 1:
            node = self._ranges.atom(key[0][0])
            if isinstance(node, Apply) and node.op == "lgamma":
                yield node.args[0]

    def _is_count(self, expr: Expr) -> bool:
        if not isinstance(expr, Symbol) or expr.role is not Role.Y_TRUE:
            return False
        domain = self._ranges.loss.variable(expr.name).domain
        whole = all(v >= 0 and v.denominator == 1 for v in domain.labels)
        return domain.kind is DomainKind.COUNT or (bool(domain.labels) and whole)

    def _means(self, size: Expr) -> list[Expr]:
        """What may be the mean, by the arguments of the logarithms."""
        found: dict[Expr, None] = {}
        for term in self._terms:
            for node in walk(term):
                if isinstance(node, Apply) and node.op in _LOGARITHMS:
                    for mean in _candidates(node, size):
                        found.setdefault(self._simple(mean))
        return [mean for mean in found if is_positive(mean, self._ranges)]

    def _simple(self, expr: Expr) -> Expr:
        try:
            return self._quotients.terms(expr)
        except TooManyTermsError:
            return expr

    def _without(self, sign: int, size: Expr, count: Expr, mean: Expr) -> Expr | None:
        """What the sum has besides, None if its logarithms are not those of one."""
        one = defined(Apply("negative_binomial", (count, size, mean)))
        atoms = self._logarithms(self._ratio(one))
        rest = [neg(one) if sign > 0 else one]
        others: list[Expr] = []
        for term, ratio in zip(self._terms, self._ratios, strict=True):
            shared = atoms & self._logarithms(ratio)
            (rest if shared else others).append(term)
        factorial = self._left([Apply("lgamma", (add(count, ONE),))])
        if not self._has_sum(atoms) or self._left(rest) - factorial:
            return None
        for term in tuple(others):
            # What has no logarithm, as the mean may be an exponential.
            if self._size([*rest, term]) < self._size(rest):
                rest.append(term)
                others.remove(term)
        return add(*others, self._simple(defined(add(*rest))))

    def _has_sum(self, atoms: set[Expr]) -> bool:
        """Whether the sum of size and mean has its logarithm among the terms."""
        present = {a for ratio in self._ratios for a in self._logarithms(ratio)}
        return any(
            _op(node) == "log" and _op(node.children[0]) == "add"
            for node in atoms & present
        )

    def _left(self, terms: list[Expr]) -> set[Expr]:
        ratio = self._ratio(defined(add(*terms)))
        return {ZERO} if ratio is None else self._logarithms(ratio)

    def _size(self, terms: list[Expr]) -> int:
        ratio = self._ratio(defined(add(*terms)))
        return sum(map(len, ratio)) if ratio else MAX_TERMS

    def _logarithms(self, ratio: Ratio | None) -> set[Expr]:
        """The logarithms and gamma functions of inputs."""
        indices = {index for part in ratio or () for index in atoms_of(part)}
        nodes = map(self._ranges.atom, sorted(indices))
        return {node for node in nodes if _is_logarithm(node)}


def _log(expr: Expr) -> Expr:
    return expr.children[0] if _op(expr) == "exp" else apply("log", expr)


def _op(node: Expr) -> str:
    return node.op if isinstance(node, Apply) else ""


def _is_logarithm(node: Expr) -> bool:
    inputs = (Role.Y_TRUE, Role.Y_PRED, Role.PARAMETER, Role.DERIVED)
    return isinstance(node, Apply) and (
        node.op in ("log", "lgamma") and depends_on(node, *inputs)
    )


def _terms(node: Apply) -> Iterator[Expr]:
    """The terms of a sum, those of differences one by one."""
    for term in node.args:
        inner = term.args[0] if isinstance(term, Apply) and term.op == "neg" else term
        if not isinstance(inner, Apply) or inner.op != "add":
            yield term
            continue
        for part in _terms(inner):
            yield part if inner is term else neg(part)


def _candidates(node: Apply, size: Expr) -> Iterator[Expr]:
    """Means with which a logarithm would be that of a negative binomial."""
    if node.op in ("logaddexp", "softplus", "log_sigmoid"):
        for arg in node.args:
            power = apply("exp", arg)
            yield from (power, mul(size, power), div(size, power))
        return
    arg = node.args[-1]
    yield arg
    if node.op in ("log1p", "xlog1py"):
        yield from (mul(size, arg), div(size, arg))
        return
    yield sub(arg, size)
    if isinstance(arg, Apply) and arg.op == "div":
        yield from (sub(part, size) for part in arg.args)
        yield from arg.args
