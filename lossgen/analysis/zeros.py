"""Where an expression is 0, as formulas for one of its symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from math import prod
from typing import Any

from lossgen.analysis.polynomials import Polynomial
from lossgen.analysis.proofs import factors
from lossgen.analysis.ranges import Ranges
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Expr,
    Symbol,
    add,
    div,
    mul,
    neg,
    sub,
    walk,
)

_MAX_FORMULAS = 16


def zeros(expr: Expr) -> tuple[Expr, ...]:
    """Smooth expressions, one of which is 0 wherever the expression is."""
    if isinstance(expr, Apply):
        if expr.op == "mul":
            return _distinct(part for arg in expr.args for part in zeros(arg))
        if expr.op in ("neg", "abs", "square", "sqrt", "div", "pow"):
            return zeros(expr.args[0])
        numerator = _numerator(expr)
        if numerator is not None:
            return zeros(numerator)
    return _distinct(_formulas(expr))


def _numerator(expr: Apply) -> Expr | None:
    """The numerator of a sum over its common divisor; None where nothing is divided."""
    if expr.op != "add":
        return None
    terms = [_fraction(arg) for arg in expr.args]
    divisors = _distinct(below for _, below in terms if below != ONE)
    if not divisors:
        return None
    return add(
        *(mul(above, *(d for d in divisors if d != below)) for above, below in terms)
    )


def _fraction(term: Expr) -> tuple[Expr, Expr]:
    """A term as a numerator and a divisor."""
    if isinstance(term, Apply) and term.op == "neg":
        above, below = _fraction(term.args[0])
        return neg(above), below
    if isinstance(term, Apply) and term.op == "div":
        return term.args[0], term.args[1]
    return term, ONE


def _formulas(expr: Expr) -> tuple[Expr, ...]:
    """The smooth formulas that an expression switches between; itself if too many."""
    if not isinstance(expr, Apply) or expr.axis is not None:
        return (expr,)
    choices = _CHOICES.get(expr.op)
    if choices is not None:
        found = _distinct(p for choice in choices(expr) for p in _formulas(choice))
        return found if len(found) <= _MAX_FORMULAS else (expr,)
    parts = [_formulas(arg) for arg in expr.args]
    if all(len(part) == 1 for part in parts):
        return (expr,)
    if prod(map(len, parts)) > _MAX_FORMULAS:
        return (expr,)
    return _distinct(Apply(expr.op, args) for args in product(*parts))


def _distinct(items: Iterable[Expr]) -> tuple[Expr, ...]:
    return tuple(dict.fromkeys(items))


_CHOICES: dict[str, Callable[[Apply], tuple[Expr, ...]]] = {
    "abs": lambda node: (node.args[0], neg(node.args[0])),
    "max": lambda node: node.args,
    "min": lambda node: node.args,
    "relu": lambda node: (node.args[0], ZERO),
    "clip": lambda node: node.args,
    "where": lambda node: node.args[1:],
}


def roots(piece: Expr, symbol: Symbol, ranges: Ranges) -> tuple[Expr, ...] | None:
    """All zeros along a symbol of an expression, or of its factors; None if unknown.

    None of an expression that is 0 everywhere: it changes nothing where it is in force,
    and where it comes into force is a zero of another guard. None that the facts rule
    out.
    """
    if not ranges.polynomial(piece):
        return ()
    root = solve(piece, symbol, ranges)
    if root is None:
        parts = [part for part in factors(piece, ranges) if symbol in set(walk(part))]
        found = [solve(part, symbol, ranges) for part in parts]
        known = [item for item in found if item is not None]
        if not parts or len(known) < len(parts):
            return None
    else:
        known = [root]
    return tuple(item for item in known if not ranges.nonzero(sub(symbol, item)))


def solve(expr: Expr, symbol: Symbol, ranges: Ranges) -> Expr | None:
    """Where an expression that is linear in a symbol is 0."""
    polynomial = ranges.polynomial(expr)
    inverted = _inverted(polynomial, symbol, ranges)
    if inverted is not None:
        return solve(inverted, symbol, ranges)
    slope: dict[Any, Any] = {}
    rest: dict[Any, Any] = {}
    for monomial, coefficient in polynomial.items():
        nodes = [(ranges.atom(index), exponent) for index, exponent in monomial]
        if (symbol, 1) in nodes:
            others = [node for node, _ in nodes if node != symbol]
            key = tuple(item for item in monomial if ranges.atom(item[0]) != symbol)
            slope[key] = coefficient
        else:
            others = [node for node, _ in nodes]
            rest[monomial] = coefficient
        if any(symbol in set(walk(node)) for node in others):
            return None
    if not slope:
        return None
    if set(slope) == {()}:
        scaled = {key: -value / slope[()] for key, value in rest.items()}
        return ranges.expression(scaled)
    if all(value < 0 for value in slope.values()):
        slope = {key: -value for key, value in slope.items()}
    else:
        rest = {key: -value for key, value in rest.items()}
    return div(ranges.expression(rest), ranges.expression(slope))


def _inverted(polynomial: Polynomial, symbol: Symbol, ranges: Ranges) -> Expr | None:
    """``u - g(c)`` for ``f(u) - c`` with f one to one and g its inverse."""
    varying = [
        monomial
        for monomial in polynomial
        if any(symbol in set(walk(ranges.atom(index))) for index, _ in monomial)
    ]
    if len(varying) != 1 or len(varying[0]) != 1:
        return None
    ((index, exponent),) = varying[0]
    node = ranges.atom(index)
    if exponent != 1 or not isinstance(node, Apply) or node.op not in _INVERSES:
        return None
    (arg,) = node.args
    if symbol not in set(walk(arg)):
        return None
    rest = {
        key: -value / polynomial[varying[0]]
        for key, value in polynomial.items()
        if key != varying[0]
    }
    return sub(arg, _INVERSES[node.op](ranges.expression(rest)))


def _logit(value: Expr) -> Expr:
    return sub(Apply("log", (value,)), Apply("log", (sub(ONE, value),)))


_INVERSES: dict[str, Callable[[Expr], Expr]] = {
    "exp": lambda value: Apply("log", (value,)),
    "expm1": lambda value: Apply("log1p", (value,)),
    "log": lambda value: Apply("exp", (value,)),
    "log1p": lambda value: Apply("expm1", (value,)),
    "sigmoid": _logit,
    "softplus": lambda value: Apply("log", (Apply("expm1", (value,)),)),
    "sinh": lambda value: Apply("asinh", (value,)),
    "asinh": lambda value: Apply("sinh", (value,)),
    "tanh": lambda value: div(_logit(div(add(ONE, value), TWO)), TWO),
}
"""Functions that take each value once, and their inverses."""
