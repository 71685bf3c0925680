"""Matching of expression trees against patterns, modulo order of sums and products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lossgen.ir.expr import ZERO, Apply, Expr, Role, Symbol, apply, neg, substitute

Bindings = Mapping[Expr, Expr]


def wildcard(name: str) -> Symbol:
    """A pattern variable, which stands for any one expression."""
    return Symbol(f"?{name}", Role.DERIVED)


REST = wildcard("rest")
"""At the end of a sum: the terms that are left, 0 if none is."""


def match(pattern: Expr, expr: Expr) -> Bindings | None:
    """The first way to read ``expr`` as the pattern, or None."""
    return next(matches(pattern, expr), None)


def matches(pattern: Expr, expr: Expr) -> Iterator[Bindings]:
    """All ways to read ``expr`` as the pattern."""
    return _matches(pattern, expr, {})


def instantiate(pattern: Expr, bindings: Bindings) -> Expr:
    """The pattern with its variables replaced."""
    return substitute(pattern, bindings)


def _matches(pattern: Expr, expr: Expr, bound: Bindings) -> Iterator[Bindings]:
    if isinstance(pattern, Symbol) and pattern.name.startswith("?"):
        if pattern not in bound:
            yield {**bound, pattern: expr}
        elif bound[pattern] == expr:
            yield bound
    elif not isinstance(pattern, Apply):
        if pattern == expr:
            yield bound
    elif isinstance(expr, Apply) and pattern.op == expr.op:
        if pattern.op in ("add", "mul"):
            yield from _match_some(pattern.op, pattern.args, expr.args, bound)
            terms = _terms(expr) if pattern.op == "add" else expr.args
            if terms != expr.args:
                # `?u - ?v + ?w` reads `a - (b - c)`.
                yield from _match_some("add", pattern.args, terms, bound)
        elif pattern.axis is expr.axis or pattern.axis is None:
            yield from _match_all(pattern.args, expr.args, bound)
            if pattern.op == "logaddexp":
                yield from _match_all(pattern.args, expr.args[::-1], bound)
    elif pattern.op == "neg" and _is_wild(pattern.args[0]):
        # `1 - ?u` reads `1 + v` with ?u = -v.
        yield from _matches(pattern.args[0], neg(expr), bound)
    elif pattern.op == "neg" and isinstance(expr, Apply) and expr.op == "mul":
        # `-(?u*?v)` reads `(-w)*x`.
        product = apply("mul", *expr.args)
        if isinstance(product, Apply) and product.op == "neg":
            yield from _matches(pattern.args[0], product.args[0], bound)


def _terms(expr: Apply) -> tuple[Expr, ...]:
    """The terms of a sum, those of differences that are taken away one by one."""
    found: list[Expr] = []
    for term in expr.args:
        if isinstance(term, Apply) and term.op == "neg":
            (inner,) = term.args
            if isinstance(inner, Apply) and inner.op == "add":
                found.extend(neg(part) for part in inner.args)
                continue
        found.append(term)
    return tuple(found)


def _is_wild(pattern: Expr) -> bool:
    return isinstance(pattern, Symbol) and pattern.name.startswith("?")


def _match_all(
    patterns: tuple[Expr, ...], exprs: tuple[Expr, ...], bound: Bindings
) -> Iterator[Bindings]:
    if not patterns and not exprs:
        yield bound
    elif patterns and exprs:
        for found in _matches(patterns[0], exprs[0], bound):
            yield from _match_all(patterns[1:], exprs[1:], found)


def _match_some(
    op: str, patterns: tuple[Expr, ...], exprs: tuple[Expr, ...], bound: Bindings
) -> Iterator[Bindings]:
    """Match the operands in any order; a last variable takes all that is left."""
    first, rest = patterns[0], patterns[1:]
    if not rest:
        if not exprs and first == REST:
            yield {**bound, REST: ZERO}
        if len(exprs) == 1:
            yield from _matches(first, exprs[0], bound)
        elif exprs and (_is_wild(first) or _is_negated_wild(first)):
            yield from _matches(first, apply(op, *exprs), bound)
        return
    for index, expr in enumerate(exprs):
        for found in _matches(first, expr, bound):
            yield from _match_some(op, rest, exprs[:index] + exprs[index + 1 :], found)
    terms = _known_terms(first, bound) if op == "add" else ()
    if terms and all(term in exprs for term in terms):
        left = tuple(expr for expr in exprs if expr not in terms)
        yield from _match_some(op, rest, left, bound)


def _known_terms(pattern: Expr, bound: Bindings) -> tuple[Expr, ...]:
    """The terms of a variable, or its negative, that is known to be a sum."""
    negated = _is_negated_wild(pattern)
    variable = pattern.children[0] if negated else pattern
    value = bound.get(variable)
    if isinstance(value, Apply) and value.op == "neg":
        value, negated = value.args[0], not negated
    if not isinstance(value, Apply) or value.op != "add":
        return ()
    return tuple(neg(term) for term in value.args) if negated else value.args


def _is_negated_wild(pattern: Expr) -> bool:
    return (
        isinstance(pattern, Apply) and pattern.op == "neg" and _is_wild(pattern.args[0])
    )
