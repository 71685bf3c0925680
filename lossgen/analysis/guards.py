"""Where a loss changes from one formula to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TypeGuard

from lossgen.analysis.ranges import Ranges
from lossgen.calculus.steps import spend
from lossgen.ir.expr import Apply, Expr, Role, depends_on, sub
from lossgen.ir.functions import FUNCTIONS, Kind

_STEPS_OF_A_GUARD = 20


@dataclass(frozen=True)
class Guard:
    """``difference`` is 0 where ``node`` changes from one formula to another.

    For the reductions ``amax``, ``amin`` and ``norm`` the difference is their argument:
    the change happens where two elements tie, or all vanish.
    """

    node: Apply
    difference: Expr
    ranges: Ranges

    @cached_property
    def branching(self) -> bool:
        """Whether the two formulas need not agree where they meet."""
        return self.node.op == "where"

    @cached_property
    def reachable(self) -> bool:
        """Whether the difference can be 0, or change sign, as far as its range tells.

        Where one of two sides is never the smaller one, ``max`` is that side, smooth or
        not, even where they touch.
        """
        if self.node.op in ("amax", "amin"):
            return True
        if self.node.op in _BY_SIGN:
            values = self.ranges.of(self.difference)
            if values.lower >= 0 or values.upper <= 0:
                return False
        return not self.ranges.nonzero(self.difference)


def guards(expr: Expr, ranges: Ranges) -> tuple[Guard, ...]:
    """The guards that y_pred can bring to 0, in the order of the tree.

    Of a node that occurs several times, what is known is what holds at each occurrence.
    """
    found: dict[tuple[Expr, Expr], Guard] = {}
    for guard in _collect(expr, ranges):
        spend(_STEPS_OF_A_GUARD)
        if depends_on(guard.difference, Role.Y_PRED) and guard.reachable:
            key = guard.node, guard.difference
            known = found.get(key)
            shared = known.ranges.shared(guard.ranges) if known else guard.ranges
            found[key] = replace(guard, ranges=shared)
    return tuple(found.values())


def _collect(expr: Expr, ranges: Ranges) -> Iterator[Guard]:
    if not isinstance(expr, Apply):
        return
    if expr.op == "where":
        condition, then, otherwise = expr.args
        yield from _collect(condition, ranges)
        for left, right in compared(condition):
            yield Guard(expr, sub(left, right), ranges)
        yield from _collect(then, ranges.given(condition, True))
        yield from _collect(otherwise, ranges.given(condition, False))
        return
    inner = ranges.inside(expr.axis)
    for arg in expr.args:
        yield from _collect(arg, inner)
    rule = _DIFFERENCES.get(expr.op)
    for difference in rule(expr) if rule else ():
        yield Guard(expr, difference, inner)


def is_switching(node: Expr) -> TypeGuard[Apply]:
    """Whether an operation changes from one formula to another somewhere."""
    return isinstance(node, Apply) and (node.op == "where" or node.op in _DIFFERENCES)


def compared(condition: Expr) -> Iterator[tuple[Expr, Expr]]:
    """The two sides of each comparison in a condition."""
    if isinstance(condition, Apply):
        if FUNCTIONS[condition.op].kind is Kind.COMPARISON:
            yield condition.args[0], condition.args[1]
        else:
            for arg in condition.args:
                yield from compared(arg)


def _argument(node: Apply) -> Iterator[Expr]:
    yield node.args[0]


def _pairs(node: Apply) -> Iterator[Expr]:
    for a, b in combinations(dict.fromkeys(node.args), 2):
        yield sub(a, b)


def _clip_ends(node: Apply) -> Iterator[Expr]:
    value, low, high = node.args
    yield sub(value, low)
    yield sub(value, high)
    yield sub(low, high)  # the upper end wins over a lower one above it


def _power_base(node: Apply) -> Iterator[Expr]:
    # A power that is not a whole number is not analytic at 0.
    base, exponent = node.args
    value = getattr(exponent, "value", None)
    if value is None or value.denominator != 1:
        yield base


_BY_SIGN = ("abs", "i0e", "relu", "max", "min", "clip")
"""Operations that are one formula where a difference is positive, one elsewhere."""

_DIFFERENCES: dict[str, Callable[[Apply], Iterator[Expr]]] = {
    "abs": _argument,
    "i0e": _argument,
    "relu": _argument,
    "norm": _argument,
    "amax": _argument,
    "amin": _argument,
    "max": _pairs,
    "min": _pairs,
    "clip": _clip_ends,
    "pow": _power_base,
}
