"""Assumed orderings of inputs, ``x2 > x1``, met by construction.

Of random points one in two has two channels in order, one in sixteen four pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from lossgen.calculus.arrays import Array
from lossgen.ir.expr import Apply, Expr, Role, Symbol
from lossgen.ir.loss import Loss


def ordered(loss: Loss, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The same values, exchanged among inputs so that assumed orderings hold.

    Those that are equal are moved apart; what then lies outside of a domain, or does
    not fit in shape, is left to whoever rejects points that violate an assumption.

    Args:
        loss: Its assumptions.
        arrays: Values by input.
    """
    result = dict(arrays)
    for names in _chains(loss):
        values = [arrays[name] for name in names if name in arrays]
        if len(values) < len(names) or len({value.shape for value in values}) > 1:
            continue
        rising = np.sort(np.stack(values), axis=0)
        for below, above in pairwise(rising):
            above[above <= below] = below[above <= below] + 1
        result.update(zip(names, rising, strict=True))
    return result


def _chains(loss: Loss) -> list[tuple[str, ...]]:
    """Inputs in an order that satisfies the assumptions about them, group by group."""
    above: dict[str, set[str]] = {}
    for condition in loss.assume:
        for smaller, larger in _pairs(condition):
            if _alike(loss, smaller, larger):
                above.setdefault(smaller.name, set()).add(larger.name)
                above.setdefault(larger.name, set())
    chains = []
    while above:
        group = {next(iter(above))}
        while more := {
            name
            for name, larger in above.items()
            if name not in group
            and (larger & group or any(name in above[item] for item in group))
        }:
            group |= more
        chain = _sorted({name: above.pop(name) for name in sorted(group)})
        if chain is not None:
            chains.append(chain)
    return chains


def _sorted(above: dict[str, set[str]]) -> tuple[str, ...] | None:
    """The names with the smaller ones first; None where they go round in a circle."""
    found: list[str] = []
    while len(found) < len(above):
        free = [
            name
            for name in above
            if name not in found
            and not any(name in above[item] for item in above if item not in found)
        ]
        if not free:
            return None
        found.append(free[0])
    return tuple(found)


def _pairs(condition: Expr) -> list[tuple[Symbol, Symbol]]:
    """The smaller and the larger input of each comparison of two."""
    if not isinstance(condition, Apply):
        return []
    if condition.op == "and":
        return [pair for arg in condition.args for pair in _pairs(arg)]
    if condition.op not in ("lt", "le", "gt", "ge"):
        return []
    left, right = condition.args
    if not isinstance(left, Symbol) or not isinstance(right, Symbol):
        return []
    return [(left, right) if condition.op in ("lt", "le") else (right, left)]


def _alike(loss: Loss, one: Symbol, other: Symbol) -> bool:
    """Whether two inputs may exchange values."""
    if not {one.role, other.role} <= {Role.Y_TRUE, Role.Y_PRED}:
        return False
    domains = [loss.variable(item.name).domain for item in (one, other)]
    return domains[0] == domains[1] and not domains[0].along_last_axis
