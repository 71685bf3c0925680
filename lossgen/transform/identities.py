"""Identities that a search may apply: one row an equality.

Unlike the rules of `rules`, they are not improvements as such: most read both ways, and
what they make of a loss is measured. Both sides are equal wherever both are defined and
the variables that a row lists are positive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from lossgen.analysis.spelling import spell
from lossgen.ir.expr import (
    ONE,
    TWO,
    Apply,
    Expr,
    Number,
    Symbol,
    add,
    apply,
    div,
    mul,
    neg,
    power,
    sub,
    symbols,
)
from lossgen.transform.patterns import REST, instantiate, matches, wildcard

U, V, W, X = wildcard("u"), wildcard("v"), wildcard("w"), wildcard("x")

_READINGS = 8
"""In how many ways one row is read into one expression."""


@dataclass(frozen=True)
class Identity:
    """An equality, read from left to right and, with ``both``, back as well."""

    left: Expr
    right: Expr
    both: bool = True
    positive: tuple[Symbol, ...] = ()

    def __str__(self) -> str:
        left, right = (spell(side).replace("?", "") for side in (self.left, self.right))
        return f"{left} in one function" if left == right else f"{left} = {right}"


def rewritings(node: Expr) -> Iterator[tuple[Identity, Expr]]:
    """What one identity makes of an expression at its root, each with the identity."""
    yield from _rewritings(node)
    if isinstance(node, Apply) and node.op == "add":
        # A row on `u - v` is one on `v - u` as well.
        for identity, new in _rewritings(add(*(neg(term) for term in node.args))):
            yield identity, neg(new)


def _rewritings(node: Expr) -> Iterator[tuple[Identity, Expr]]:
    for identity, pattern, replacement in _DIRECTED:
        for bindings in islice(matches(pattern, node), _READINGS):
            yield identity, instantiate(replacement, bindings)


def _directed(identity: Identity) -> Iterator[tuple[Identity, Expr, Expr]]:
    sides = [(identity.left, identity.right)]
    # What the other side does not bind cannot be made up.
    if identity.both and set(symbols(identity.left)) <= set(symbols(identity.right)):
        sides.append((identity.right, identity.left))
    for pattern, replacement in sides:
        if not isinstance(pattern, Apply):
            continue  # a variable alone, which would be everything
        if pattern.op == "add":
            yield identity, add(pattern, REST), add(replacement, REST)
            continue
        yield identity, pattern, replacement
        if pattern.op == "mul" and not isinstance(pattern.args[-1], Symbol):
            # In a product REST stands for one factor or more.
            yield identity, mul(pattern, REST), mul(replacement, REST)


def _f(op: str, *args: Expr) -> Expr:
    return apply(op, *args)


def _sq(arg: Expr) -> Expr:
    return apply("square", arg)


def _exp(arg: Expr) -> Expr:
    return apply("exp", arg)


def _log(arg: Expr) -> Expr:
    return apply("log", arg)


def _sqrt(arg: Expr) -> Expr:
    return apply("sqrt", arg)


def _half(arg: Expr) -> Expr:
    return div(arg, TWO)


_MINUS_ONE = Number(Fraction(-1))
_HALF = Number(Fraction(1, 2))

IDENTITIES: tuple[Identity, ...] = (
    # Differences: what cancels is divided out, or comes first.
    Identity(sub(_exp(U), ONE), _f("expm1", U)),
    Identity(sub(mul(V, _exp(U)), V), mul(V, _f("expm1", U))),
    Identity(sub(_exp(U), _exp(V)), mul(_exp(V), _f("expm1", sub(U, V)))),
    Identity(sub(_f("expm1", U), _f("expm1", V)), sub(_exp(U), _exp(V))),
    Identity(_log(U), _f("log1p", sub(U, ONE))),
    Identity(_log(add(ONE, U)), _f("log1p", U)),
    Identity(sub(_log(U), _log(V)), _log(div(U, V)), positive=(U, V)),
    Identity(sub(_log(U), _log(V)), _f("log1p", div(sub(U, V), V)), positive=(U, V)),
    Identity(_log(div(U, V)), _f("log1p", div(sub(U, V), V))),
    Identity(_log(add(U, V)), add(_log(U), _f("log1p", div(V, U))), positive=(U,)),
    Identity(
        sub(_f("log1p", U), _f("log1p", V)),
        _f("log1p", div(sub(U, V), add(ONE, V))),
        both=False,
    ),
    Identity(sub(_f("log1p", U), U), _f("log1pmx", U), both=False),
    Identity(sub(_exp(U), U), add(_f("expm1mx", U), ONE), both=False),
    Identity(sub(power(add(ONE, U), V), ONE), _f("pow1pm1", U, V), both=False),
    Identity(sub(power(U, V), ONE), _f("expm1", mul(V, _log(U))), positive=(U,)),
    Identity(
        sub(power(U, V), power(W, V)),
        mul(power(W, V), _f("expm1", mul(V, _log(div(U, W))))),
        positive=(U, W),
    ),
    Identity(
        sub(power(U, V), power(U, W)),
        mul(power(U, W), _f("expm1", mul(sub(V, W), _log(U)))),
        positive=(U,),
    ),
    Identity(
        add(_f("xlogy", U, div(U, V)), neg(U), V),
        _f("kl_div", U, V),
        both=False,
        positive=(U, V),
    ),
    Identity(
        sub(div(U, V), _log(div(U, V))),
        add(_f("itakura_saito", U, V), ONE),
        both=False,
        positive=(U, V),
    ),
    Identity(
        sub(_sqrt(U), _sqrt(V)), div(sub(U, V), add(_sqrt(U), _sqrt(V))), both=False
    ),
    Identity(sub(_sqrt(U), V), div(sub(U, _sq(V)), add(_sqrt(U), V)), both=False),
    Identity(sub(_sq(U), _sq(V)), mul(sub(U, V), add(U, V))),
    Identity(sub(ONE, div(U, V)), div(sub(V, U), V)),
    Identity(sub(ONE, div(U, add(U, V))), div(V, add(U, V))),
    Identity(sub(div(ONE, U), div(ONE, V)), div(sub(V, U), mul(U, V))),
    Identity(sub(div(W, U), div(W, V)), div(mul(W, sub(V, U)), mul(U, V))),
    Identity(sub(ONE, _f("cos", U)), mul(TWO, _sq(_f("sin", _half(U))))),
    Identity(sub(V, mul(V, _f("cos", U))), mul(TWO, V, _sq(_f("sin", _half(U))))),
    Identity(
        sub(_f("cos", U), _f("cos", V)),
        mul(TWO, _f("sin", _half(add(U, V))), _f("sin", _half(sub(V, U)))),
        both=False,
    ),
    Identity(
        sub(_f("sin", U), _f("sin", V)),
        mul(TWO, _f("cos", _half(add(U, V))), _f("sin", _half(sub(U, V)))),
        both=False,
    ),
    Identity(
        sub(_f("atan", U), _f("atan", V)),
        _f("atan", div(sub(U, V), add(ONE, mul(U, V)))),
        both=False,
        positive=(U, V),
    ),
    Identity(sub(_f("cosh", U), ONE), mul(TWO, _sq(_f("sinh", _half(U))))),
    Identity(sub(ONE, _f("erf", U)), _f("erfc", U)),
    Identity(sub(ONE, _f("erfc", U)), _f("erf", U)),
    # Factors, fractions, squares.
    Identity(add(mul(U, V), mul(U, W)), mul(U, add(V, W))),
    Identity(add(U, mul(U, V)), mul(U, add(ONE, V)), both=False),
    Identity(add(div(U, W), div(V, W)), div(add(U, V), W)),
    Identity(add(U, div(V, W)), div(add(mul(U, W), V), W)),
    Identity(div(mul(U, V), W), mul(U, div(V, W))),
    Identity(div(div(U, V), W), div(U, mul(V, W))),
    Identity(div(U, div(V, W)), div(mul(U, W), V)),
    Identity(div(U, add(U, V)), div(ONE, add(ONE, div(V, U))), both=False),
    Identity(_sq(mul(U, V)), mul(_sq(U), _sq(V))),
    Identity(_sq(div(U, V)), div(_sq(U), _sq(V))),
    Identity(_sq(_sqrt(U)), U, both=False),
    Identity(_sqrt(_sq(U)), _f("abs", U), both=False),
    Identity(_sqrt(mul(U, V)), mul(_sqrt(U), _sqrt(V)), positive=(U, V)),
    Identity(_sqrt(div(U, V)), div(_sqrt(U), _sqrt(V)), positive=(U, V)),
    Identity(
        _sqrt(add(_sq(U), V)),
        mul(_f("abs", U), _sqrt(add(ONE, div(V, _sq(U))))),
        both=False,
    ),
    Identity(
        _sqrt(add(_sq(U), _sq(V))),
        mul(_f("abs", U), _sqrt(add(ONE, _sq(div(V, U))))),
        both=False,
    ),
    Identity(_f("log1p", _sq(U)), _f("log1p_square", U), both=False),
    Identity(
        _f("log1p_square", div(U, V)),
        _f("softplus", mul(TWO, sub(_log(_f("abs", U)), _log(V)))),
        both=False,
        positive=(V,),
    ),
    Identity(_log(_f("abs", div(U, V))), sub(_log(_f("abs", U)), _log(_f("abs", V)))),
    Identity(_f("abs", div(U, V)), div(_f("abs", U), _f("abs", V))),
    Identity(_f("abs", mul(U, V)), mul(_f("abs", U), _f("abs", V))),
    # Exponentials and logarithms.
    Identity(_exp(add(U, V)), mul(_exp(U), _exp(V))),
    Identity(div(_exp(U), _exp(V)), _exp(sub(U, V))),
    Identity(div(ONE, _exp(U)), _exp(neg(U))),
    Identity(div(V, _exp(U)), mul(V, _exp(neg(U)))),
    Identity(_sq(_exp(U)), _exp(mul(TWO, U))),
    Identity(_exp(_log(U)), U, both=False),
    Identity(_log(_exp(U)), U, both=False),
    Identity(_exp(mul(V, _log(U))), power(U, V), positive=(U,)),
    Identity(_exp(_f("log1p", U)), add(ONE, U), both=False),
    Identity(_log(mul(U, V)), add(_log(U), _log(V)), positive=(U, V)),
    Identity(_log(div(ONE, U)), neg(_log(U))),
    Identity(_log(power(U, V)), mul(V, _log(U)), positive=(U,)),
    Identity(_log(_sqrt(U)), _half(_log(U))),
    Identity(_log(_sq(U)), mul(TWO, _log(_f("abs", U)))),
    Identity(_f("xlogy", U, V), mul(U, _log(V))),
    Identity(_f("xlogy", U, add(ONE, V)), _f("xlog1py", U, V)),
    # Powers.
    Identity(power(U, add(V, W)), mul(power(U, V), power(U, W)), positive=(U,)),
    Identity(power(U, sub(V, W)), div(power(U, V), power(U, W)), positive=(U,)),
    Identity(mul(U, power(U, V)), power(U, add(ONE, V)), positive=(U,)),
    Identity(power(U, neg(V)), div(ONE, power(U, V))),
    Identity(power(mul(U, W), V), mul(power(U, V), power(W, V)), positive=(U, W)),
    Identity(power(div(U, W), V), div(power(U, V), power(W, V)), positive=(U, W)),
    Identity(power(power(U, V), W), power(U, mul(V, W)), positive=(U,)),
    Identity(power(add(ONE, U), V), _exp(mul(V, _f("log1p", U)))),
    # Logistic and hyperbolic functions.
    Identity(_log(add(ONE, _exp(U))), _f("softplus", U)),
    Identity(_f("log1p", _exp(U)), _f("softplus", U)),
    Identity(_f("softplus", U), add(U, _f("softplus", neg(U)))),
    Identity(_f("log_sigmoid", U), neg(_f("softplus", neg(U)))),
    Identity(_log(_f("sigmoid", U)), _f("log_sigmoid", U)),
    Identity(_f("sigmoid", U), div(ONE, add(ONE, _exp(neg(U))))),
    Identity(_f("sigmoid", U), div(_exp(U), add(ONE, _exp(U)))),
    Identity(sub(ONE, _f("sigmoid", U)), _f("sigmoid", neg(U))),
    Identity(sub(_f("sigmoid", U), _HALF), _half(_f("tanh", _half(U)))),
    Identity(sub(ONE, _f("tanh", U)), mul(TWO, _f("sigmoid", mul(_MINUS_ONE, TWO, U)))),
    Identity(_f("tanh", U), div(_f("sinh", U), _f("cosh", U))),
    Identity(
        _f("tanh", U),
        div(_f("expm1", mul(TWO, U)), add(TWO, _f("expm1", mul(TWO, U)))),
    ),
    Identity(sub(_exp(U), _exp(neg(U))), mul(TWO, _f("sinh", U))),
    Identity(add(_exp(U), _exp(neg(U))), mul(TWO, _f("cosh", U))),
    Identity(_log(add(_exp(U), _exp(V))), _f("logaddexp", U, V)),
    Identity(
        _f("logaddexp", U, V),
        add(
            _f("max", U, V),
            _f("softplus", neg(_f("abs", sub(U, V)))),
        ),
    ),
    Identity(_log(_f("cosh", U)), _f("log_cosh", U)),
    Identity(
        add(_f("softplus", U), _f("softplus", neg(U))),
        add(mul(TWO, _f("log_cosh", _half(U))), mul(TWO, _log(TWO))),
    ),
    Identity(
        add(U, mul(TWO, _f("softplus", neg(U)))),
        add(mul(TWO, _f("log_cosh", _half(U))), mul(TWO, _log(TWO))),
    ),
    Identity(
        add(U, _f("softplus", mul(_MINUS_ONE, TWO, U))),
        add(_f("log_cosh", U), _log(TWO)),
    ),
    # Special functions.
    Identity(_f("lgamma", add(ONE, U)), add(_f("lgamma", U), _log(U)), positive=(U,)),
    Identity(
        sub(_f("lgamma", add(U, ONE)), _f("lgamma", U)),
        _log(U),
        both=False,
        positive=(U,),
    ),
    Identity(_f("normal_cdf", U), _half(_f("erfc", neg(div(U, _sqrt(TWO)))))),
    Identity(_log(_f("normal_cdf", U)), _f("normal_logcdf", U)),
    Identity(sub(ONE, _f("normal_cdf", U)), _f("normal_cdf", neg(U))),
)

_DIRECTED = tuple(item for row in IDENTITIES for item in _directed(row))
