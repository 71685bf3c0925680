"""The gradient where the pieces of a loss meet smoothly: it is the derivative.

Differentiated operation by operation, ``max(x, 0) + log1p(exp(-abs(x)))`` has slope 0
at 0, though the whole is ``softplus(x)`` and has slope 1/2. There all operations whose
guards vanish together are written so that they take the same side. Where the whole loss
has a kink, the gradient is what the operations give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from mpmath import mp, mpf

from lossgen.analysis.expansions import EQUAL, expand, slopes_by_value
from lossgen.analysis.guards import guards
from lossgen.analysis.loci import DIGITS, Locus, loci
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import generic, typical_length
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.definitions import defined
from lossgen.ir.expr import (
    ZERO,
    Apply,
    Expr,
    Role,
    neg,
    rebuild_as_written,
    symbols,
    walk,
)
from lossgen.ir.loss import Loss

_ROWS = 10
_APART = mpf(10) ** -8
_TIED = mpf(10) ** -25


def derivative_at_joints(loss: Loss) -> Callable[[Expr], Expr]:
    """What rewrites a loss, or a part of it, to have the derivative at smooth joints.

    Args:
        loss: Its expression is what will be computed.
    """
    loss = replace(loss, expression=_tensors_first(loss.expression))
    leanings: list[_Leaning] = []
    for joint in _joints(loss) if _several_choose(loss.expression) else ():
        if _is_right(loss, joint):
            continue
        for leaning in (_leaning(loss, joint.place, side) for side in (-1, 1)):
            leaned = replace(loss, expression=_leaned(loss.expression, leaning))
            if _is_right(leaned, joint):
                loss = leaned
                leanings.append(leaning)
                break

    def lean(expr: Expr) -> Expr:
        expr = _tensors_first(expr)
        for leaning in leanings:
            expr = _leaned(expr, leaning)
        return expr

    return lean


@dataclass(frozen=True)
class _Joint:
    """A locus at which a loss has a derivative, in each row."""

    place: Locus
    derivative: list[Any]


def _several_choose(expr: Expr) -> bool:
    """Whether more than one operation chooses: one alone chooses between equals."""
    choosing = [n for n in walk(expr) if isinstance(n, Apply) and n.op in _CHOSEN]
    return len(choosing) > 1


def _joints(loss: Loss) -> Iterator[_Joint]:
    sample = generic(loss, last=typical_length(loss), rows=_ROWS)
    if sample is None:
        return
    for guard in guards(loss.expression, Ranges.of_loss(loss)):
        if guard.node.op in ("amax", "amin", "norm"):
            continue  # elements that tie share evenly, and a norm of 0 has slope 0
        guard = replace(guard, difference=defined(guard.difference))
        for variable in loss.of_role(Role.Y_PRED):
            if variable.symbol not in set(walk(guard.difference)):
                continue
            for place in loci(guard, variable, sample) or ():
                found = expand(loss, place)
                if found is not None and not {0, 1} & set(found.differences()):
                    slopes = [row[1] for row in found.left]
                    yield _Joint(replace(place, sample=found.sample), slopes)


def _is_right(loss: Loss, joint: _Joint) -> bool:
    """Whether operation by operation the derivative comes out."""
    try:
        found = slopes_by_value(loss, joint.place)
    except Undefined:
        return False
    pairs = zip(found, joint.derivative, strict=True)
    return all(abs(a - b) <= EQUAL * (1 + abs(b)) for a, b in pairs)


# The side that operations take --------------------------------------------------------

_Leaning = dict[Expr, int]
"""For operations at a tie the formula to use there: the index of an argument, for a
comparison whether it holds, for ``abs`` and ``relu`` the sign of the argument."""


def _leaning(loss: Loss, place: Locus, side: int) -> _Leaning:
    """What the operations that tie on a locus use a little to one side of it."""
    rows = place.sample.rows
    with mp.workdps(DIGITS):
        at_tie = Evaluation(place.sample.environment)
    nearby = _beside(place, side)
    found: _Leaning = {}
    for node in walk(loss.expression):
        if isinstance(node, Apply) and node.op in _CHOSEN:
            pairs = _PAIRS.get(node.op, _against_first)(node)
            if any(_tie(at_tie, *pair, rows=rows) for pair in pairs):
                chosen = _chosen(node, nearby, rows)
                if chosen is not None:
                    found[node] = chosen
    return found


def _beside(place: Locus, side: int) -> Evaluation:
    """The points a little to one side of a locus."""
    name = place.variable.name
    with mp.workdps(DIGITS):
        array = place.sample.environment[name].copy()
        for row in array:
            row.flat[0] = mp.mpmathify(row.flat[0]) + side * _APART
        return Evaluation({**place.sample.environment, name: array})


def _tie(values: Evaluation, left: Expr, right: Expr, *, rows: int) -> bool:
    """Whether two expressions are equal in all rows."""
    pairs = zip(_firsts(values, left, rows), _firsts(values, right, rows), strict=True)
    return all(
        not isinstance(a, Undefined)
        and not isinstance(b, Undefined)
        and abs(a - b) < _TIED
        for a, b in pairs
    )


def _firsts(values: Evaluation, expr: Expr, rows: int) -> list[Any]:
    """The first element of each row."""
    with mp.workdps(DIGITS):
        found: Array = values.value(expr)
    if not found.ndim or found.shape[0] != rows:
        return [found.flat[0]] * rows
    return [row.flat[0] for row in found.reshape(rows, -1)]


def _chosen(node: Apply, nearby: Evaluation, rows: int) -> int | None:
    """Which formula an operation uses at the points, if it is the same at all."""
    columns = [_firsts(nearby, arg, rows) for arg in node.args]
    choose = _CHOSEN[node.op]
    found = set()
    for items in zip(*columns, strict=True):
        if any(isinstance(item, Undefined) for item in items):
            return None
        found.add(int(choose(items)))
    return found.pop() if len(found) == 1 else None


def _sign(items: tuple[Any, ...]) -> int:
    return 1 if items[0] > 0 else -1


def _clipped(items: tuple[Any, ...]) -> int:
    value, low, high = items
    return 1 if value < low else 2 if value > high else 0


_CHOSEN: dict[str, Callable[[tuple[Any, ...]], int]] = {
    "abs": _sign,
    "relu": _sign,
    "max": lambda items: items.index(max(items)),
    "min": lambda items: items.index(min(items)),
    "clip": _clipped,
    "lt": lambda items: items[0] < items[1],
    "le": lambda items: items[0] <= items[1],
    "gt": lambda items: items[0] > items[1],
    "ge": lambda items: items[0] >= items[1],
}


def _against_zero(node: Apply) -> Iterator[tuple[Expr, Expr]]:
    yield node.args[0], ZERO


def _against_first(node: Apply) -> Iterator[tuple[Expr, Expr]]:
    for arg in node.args[1:]:
        yield node.args[0], arg


def _all_pairs(node: Apply) -> Iterator[tuple[Expr, Expr]]:
    for count, arg in enumerate(node.args):
        for other in node.args[count + 1 :]:
            yield arg, other


_PAIRS: dict[str, Callable[[Apply], Iterator[tuple[Expr, Expr]]]] = {
    "abs": _against_zero,
    "relu": _against_zero,
    "max": _all_pairs,
    "min": _all_pairs,
}


def _leaned(expr: Expr, leaning: _Leaning) -> Expr:
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        if not isinstance(node, Apply):
            done[node] = node
            continue
        args = tuple(done[arg] for arg in node.args)
        chosen = leaning.get(node)
        if chosen is None:
            done[node] = Apply(node.op, args, node.axis)
        else:
            done[node] = _FORMS[node.op](node.op, args, chosen)
    return done[expr]


_Args = tuple[Expr, ...]


def _absolute(op: str, args: _Args, sign: int) -> Expr:
    (arg,) = args
    condition = Apply("ge" if sign > 0 else "gt", (arg, ZERO))
    return Apply("where", (condition, arg, neg(arg)))


def _rectified(op: str, args: _Args, sign: int) -> Expr:
    (arg,) = args
    if sign < 0:
        return Apply(op, args)
    return Apply("where", (Apply("ge", (arg, ZERO)), arg, ZERO))


def _extreme(op: str, args: _Args, chosen: int) -> Expr:
    others = (*args[:chosen], *args[chosen + 1 :])
    if symbols(args[chosen]):
        # The first of equal arguments takes the whole gradient.
        return Apply(op, (args[chosen], *others))
    rest = others[0] if len(others) == 1 else Apply(op, others)
    if op == "max" and args[chosen] == ZERO:
        return Apply("relu", (rest,))
    condition = Apply("gt" if op == "max" else "lt", (rest, args[chosen]))
    return Apply("where", (condition, rest, args[chosen]))


def _tensors_first(expr: Expr) -> Expr:
    """Constants last in each maximum and minimum: TensorFlow asks for it."""

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Apply) or node.op not in ("max", "min"):
            return node
        args = sorted(node.args, key=lambda arg: not symbols(arg))
        return Apply(node.op, tuple(args), node.axis)

    return rebuild_as_written(expr, visit)


def _within(op: str, args: _Args, chosen: int) -> Expr:
    value, low, high = args
    if chosen == 0:
        return Apply(op, args)
    if chosen == 1:
        return Apply("min", (_extreme("max", (low, value), 0), high))
    return _extreme("min", (high, Apply("max", (value, low))), 0)


def _comparison(op: str, args: _Args, holds: int) -> Expr:
    strict = {"le": "lt", "ge": "gt"}
    wide = {"lt": "le", "gt": "ge"}
    return Apply((wide if holds else strict).get(op, op), args)


_FORMS: dict[str, Callable[[str, _Args, int], Expr]] = {
    "abs": _absolute,
    "relu": _rectified,
    "max": _extreme,
    "min": _extreme,
    "clip": _within,
    "lt": _comparison,
    "le": _comparison,
    "gt": _comparison,
    "ge": _comparison,
}
