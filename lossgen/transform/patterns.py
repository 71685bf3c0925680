"""Matching of expression trees against patterns, modulo order of sums and products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lossgen.ir.expr import Apply, Expr, Role, Symbol, apply, neg, substitute

Bindings = Mapping[Expr, Expr]


def wildcard(name: str) -> Symbol:
    """A pattern variable, which stands for any one expression."""
    return Symbol(f"?{name}", Role.DERIVED)


def match(pattern: Expr, expr: Expr) -> Bindings | None:
    """The first way to read ``expr`` as the pattern, or None."""
    return next(_matches(pattern, expr, {}), None)


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
        elif pattern.axis is expr.axis or pattern.axis is None:
            yield from _match_all(pattern.args, expr.args, bound)
    elif pattern.op == "neg" and _is_wild(pattern.args[0]):
        # `1 - ?u` reads `1 + v` with ?u = -v.
        yield from _matches(pattern.args[0], neg(expr), bound)


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
        if len(exprs) == 1:
            yield from _matches(first, exprs[0], bound)
        elif exprs and (_is_wild(first) or _is_negated_wild(first)):
            yield from _matches(first, apply(op, *exprs), bound)
        return
    for index, expr in enumerate(exprs):
        for found in _matches(first, expr, bound):
            yield from _match_some(op, rest, exprs[:index] + exprs[index + 1 :], found)


def _is_negated_wild(pattern: Expr) -> bool:
    return (
        isinstance(pattern, Apply) and pattern.op == "neg" and _is_wild(pattern.args[0])
    )
