"""Arguments of ``lgamma`` that are a sum of others, written as that sum.

``lgamma((nu + 1)/2) - lgamma(nu/2)`` becomes ``lgamma(nu/2 + 1/2) - lgamma(nu/2)``, and
``lgamma(phi)`` beside ``lgamma(mu*phi) + lgamma((1 - mu)*phi)`` that of the sum of
their arguments: the rewrite rules then see what the terms have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from lossgen.analysis.polynomials import TooManyTermsError, plus
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import Ranges
from lossgen.ir.expr import Apply, Expr, add, neg

_MAX_TERMS = 12


def aligned(node: Expr, ranges: Ranges) -> Expr:
    """A sum in which arguments of ``lgamma`` are written as sums of others.

    Args:
        node: Any expression.
        ranges: Those of the loss.
    """
    if not isinstance(node, Apply) or node.op != "add":
        return node
    positive, negative = _arguments(node, 1), _arguments(node, -1)
    if not positive or not negative or len(positive) + len(negative) > _MAX_TERMS:
        return node
    terms = []
    for term in node.args:
        for others, sign in ((negative, 1), (positive, -1)):
            arg = _argument(term, sign)
            if arg is not None:
                found = _sum_of(arg, others, ranges)
                lgamma = Apply("lgamma", (found or arg,))
                term = lgamma if sign > 0 else neg(lgamma)
        terms.append(term)
    return Apply("add", tuple(terms))


def _argument(term: Expr, sign: int) -> Expr | None:
    """``u`` where a term is ``lgamma(u)``, or ``-lgamma(u)``."""
    if not isinstance(term, Apply):
        return None
    if sign < 0:
        return _argument(term.args[0], 1) if term.op == "neg" else None
    return term.args[0] if term.op == "lgamma" else None


def _arguments(node: Apply, sign: int) -> list[Expr]:
    found = (_argument(term, sign) for term in node.args)
    return [arg for arg in found if arg is not None]


def _sum_of(arg: Expr, others: list[Expr], ranges: Ranges) -> Expr | None:
    """A sum that an argument is equal to and that starts with one of the others."""
    try:
        return next(_sums(arg, others, ranges), None)
    except TooManyTermsError:
        return None


def _sums(arg: Expr, others: list[Expr], ranges: Ranges) -> Iterator[Expr]:
    whole = ranges.polynomial(arg)
    for left, right in combinations(others, 2):
        parts = plus(ranges.polynomial(left), ranges.polynomial(right))
        if not plus(whole, parts, -1):
            yield add(left, right)
    for other in others:
        rest = plus(whole, ranges.polynomial(other), -1)
        if rest and len(rest) < max(len(whole), 2):
            step = ranges.expression(rest)
            if is_nonnegative(step, ranges):
                yield add(other, step)
