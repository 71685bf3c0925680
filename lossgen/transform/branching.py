"""A branch between two forms that are accurate in different regions."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise
from math import floor, log10

from lossgen.ir.accuracy import Accuracy, Bench
from lossgen.ir.expr import Apply, Expr, Role, depends_on, number, tree_size, walk
from lossgen.ir.functions import CONDITIONS

Measured = tuple[Expr, tuple[Accuracy, ...]]

_GAIN = 2.0
"""How many bits, over all points, a branch must save."""

_SUBJECTS = 16
_SMALLEST = Fraction(1, 10**37)
"""A short number just above the smallest normal one."""


def branched(below: Measured, above: Measured, bench: Bench) -> Expr | None:
    """``where(u < c, below, above)`` with the subexpression and bound that serve best.

    Args:
        below: A form, and its accuracy at the points of the bench.
        above: Another.
        bench: The points.

    Returns:
        None if no branch is better than either form.
    """
    costs = [[item.bits for item in accuracies] for _, accuracies in (below, above)]
    best, found = min(map(sum, costs)) - _GAIN, None
    if sum(map(min, *costs)) >= best:
        return None
    for subject in _subjects(below[0], above[0]):
        values = bench.numbers(subject)
        if values is None:
            continue
        for low, high, cost in _cuts(values, *costs):
            if cost < best:
                best, found = cost, (subject, _between(low, high))
    if found is None:
        return None
    condition = Apply("lt", (found[0], number(found[1])))
    return _where(condition, below[0], above[0])


def _subjects(*forms: Expr) -> list[Expr]:
    """Small subexpressions that a branch may depend on, and their magnitudes."""
    nodes = dict.fromkeys(node for form in forms for node in walk(form))
    plain = [
        node
        for node in sorted(nodes, key=tree_size)
        if depends_on(node, Role.Y_TRUE, Role.Y_PRED)
        and not (isinstance(node, Apply) and node.op in CONDITIONS)
    ][:_SUBJECTS]
    return list(dict.fromkeys([*plain, *(Apply("abs", (node,)) for node in plain)]))


def _cuts(
    values: tuple[float, ...], below: list[float], above: list[float]
) -> list[tuple[float, float, float]]:
    """Neighbouring values, and the cost of a bound between them."""
    order = sorted(range(len(values)), key=lambda k: values[k])
    left = list(accumulate(below[k] for k in order))
    right = list(accumulate(above[k] for k in order))
    return [
        (values[one], values[other], left[index] + right[-1] - right[index])
        for index, (one, other) in enumerate(pairwise(order))
        if values[one] < values[other]
    ]


def _between(low: float, high: float) -> Fraction:
    """The shortest decimal in the upper part of an interval, or its upper end."""
    scale = max(abs(low), abs(high))
    if not low and high > _SMALLEST:
        return _SMALLEST  # what is special is 0
    exponent = floor(log10(scale)) if scale else 0
    for digits in range(8):
        unit = Fraction(10) ** (exponent - digits)
        value = Fraction(high) // unit * unit
        if low < value <= high:
            return Fraction(value)
    return Fraction(high)


def _where(condition: Expr, below: Expr, above: Expr) -> Expr:
    """A branch as deep inside as the two forms agree around it."""
    if isinstance(below, Apply) and isinstance(above, Apply):
        same = (below.op, below.axis, len(below.args)) == (
            above.op,
            above.axis,
            len(above.args),
        )
        pairs = list(zip(below.args, above.args, strict=False)) if same else []
        apart = [index for index, (one, other) in enumerate(pairs) if one != other]
        if len(apart) == 1:
            args = list(below.args)
            args[apart[0]] = _where(condition, *pairs[apart[0]])
            return Apply(below.op, tuple(args), below.axis)
    return Apply("where", (condition, below, above))
