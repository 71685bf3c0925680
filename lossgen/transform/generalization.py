"""The rule that is missing: what two forms of a loss differ in, with variables.

Whether an equality still holds once a subexpression has become a variable is sampled,
at more digits than chance could match.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mpmath import mp, mpf

from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Symbol,
    add,
    apply,
    replace_nodes,
    substitute,
    symbols,
    tree_size,
    walk,
)
from lossgen.transform.patterns import REST, wildcard

_DIGITS = 60
_SAMPLES = 60
_ENOUGH = 15
_EQUAL = mpf(10) ** -40
_NAMES = "uvwxzabcdghklmnpqrst"


@dataclass(frozen=True)
class MissingRule:
    """An equality in variables; those of ``positive`` must be that.

    ``positive`` is None where it holds on the loss's own domain only, as far as known.
    """

    pattern: Expr
    replacement: Expr
    positive: tuple[Symbol, ...] | None


def missing_rules(before: Expr, after: Expr) -> tuple[MissingRule, ...]:
    """The rules that lead from one form to an equal one, as general as they hold."""
    return tuple(_generalized(*pair) for pair in _differences(before, after))


def holds(left: Expr, right: Expr) -> tuple[Symbol, ...] | None:
    """The variables that must be positive for equality, None if that is not enough."""
    variables = symbols(left)
    if not _sampled_equal(left, right, variables):
        return None
    needed = variables
    for variable in variables:
        fewer = tuple(item for item in needed if item != variable)
        if _sampled_equal(left, right, fewer):
            needed = fewer
    return needed


def _sampled_equal(left: Expr, right: Expr, positive: tuple[Symbol, ...]) -> bool:
    for node in walk(right):
        if isinstance(node, Apply) and node.op == "where" and node not in walk(left):
            # Few samples may reach a branch.
            sides = (replace_nodes(right, {node: side}) for side in node.args[1:])
            return all(_sampled_equal(left, side, positive) for side in sides)
    generator = random.Random(1)
    names = dict.fromkeys((*symbols(left), *symbols(right)))
    compared = 0
    for _ in range(_SAMPLES):
        spread = generator.choice((1.0, 5.0))
        inputs = {item.name: spread * generator.gauss(0, 1) for item in names}
        inputs |= {item.name: abs(inputs[item.name]) for item in positive}
        values = [_value(side, inputs) for side in (left, right)]
        if values[0] is None:
            continue
        if values[1] is None or abs(values[0] - values[1]) > _EQUAL * (
            1 + abs(values[0])
        ):
            return False
        compared += 1
    return compared >= _ENOUGH


def _value(expr: Expr, inputs: Mapping[str, float]) -> mpf | None:
    try:
        found = evaluate(expr, inputs, digits=_DIGITS)
    except Undefined:
        return None
    item = found.reshape(-1)[0]
    return item if mp.isfinite(item) else None


# What differs -------------------------------------------------------------------------


def _differences(before: Expr, after: Expr) -> Iterator[tuple[Expr, Expr]]:
    """The smallest parts that differ, each equal to what takes its place."""
    if before == after:
        return
    pairs, rest = _paired(before, after)
    if pairs and all(holds(*pair) is not None for pair in pairs):
        for pair in pairs:
            yield from _differences(*pair)
        return
    if rest is not None:
        yield add(rest[0], REST), add(rest[1], REST)
        return
    yield before, after


def _paired(
    before: Expr, after: Expr
) -> tuple[list[tuple[Expr, Expr]], tuple[Expr, Expr] | None]:
    """The arguments that differ; of sums also what is left without common terms."""
    if not isinstance(before, Apply):
        return [], None
    if before.op in ("add", "mul"):
        other = after.args if isinstance(after, Apply) and after.op == before.op else ()
        other = other or (after,)
        left = [arg for arg in before.args if arg not in other]
        right = [arg for arg in other if arg not in before.args]
        if len(left) == len(right) == 1:
            return [(left[0], right[0])], None
        if before.op == "add":
            return [], (add(*left), add(*right))
    elif isinstance(after, Apply) and (before.op, before.axis, len(before.args)) == (
        after.op,
        after.axis,
        len(after.args),
    ):
        zipped = zip(before.args, after.args, strict=True)
        return [pair for pair in zipped if pair[0] != pair[1]], None
    return [], None


# Variables ----------------------------------------------------------------------------


def _generalized(before: Expr, after: Expr) -> MissingRule:
    names = iter(_NAMES)
    inputs = [item for item in symbols(before) if item != REST]
    nodes = [node for node in walk(before) if set(symbols(node)) & set(inputs)]
    common = set(walk(after))
    for node in sorted(nodes, key=tree_size, reverse=True):
        if node == before or not (node in common or isinstance(node, Symbol)):
            continue
        if node not in set(walk(before)) or REST in symbols(node):
            continue
        hole = {node: wildcard(f"_{next(names)}")}
        trial = substitute(before, hole), substitute(after, hole)
        bound = set(symbols(trial[1])) <= set(symbols(trial[0]))
        if bound and holds(*trial) is not None:
            before, after = trial
    before, after = _merged(before, after)
    order = [item for item in symbols(before) if item.name.startswith("?_")]
    final: dict[Expr, Expr] = {
        item: wildcard(name) for item, name in zip(order, _NAMES, strict=False)
    }
    before, after = replace_nodes(before, final), replace_nodes(after, final)
    return MissingRule(before, after, holds(before, after))


def _merged(before: Expr, after: Expr) -> tuple[Expr, Expr]:
    """One variable for two that occur only in each other's sum or product."""
    for op, neutral in (("add", ZERO), ("mul", ONE)):
        for one in symbols(before):
            for two in symbols(before):
                if one == two or REST in (one, two):
                    continue
                fewer = (
                    substitute(before, {two: neutral}),
                    substitute(after, {two: neutral}),
                )
                both: dict[Expr, Expr] = {one: apply(op, one, two)}
                if tuple(substitute(side, both) for side in fewer) == (before, after):
                    return _merged(*fewer)
    return before, after
