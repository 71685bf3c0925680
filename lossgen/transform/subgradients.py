"""The gradient at kinks: of the slopes between the one-sided ones, the least.

Differentiated operation by operation, ``abs(d) + d`` has slope 1 at 0, though 0 is a
subgradient, and ``relu(d) - relu(-d)`` slope 0, though it is d and has slope 1. Where
that is not the least subgradient of the whole loss, a tie is sent to the other formula,
or the prediction is held there; where data decide between several slopes, a term that
is 0 then gives the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpmath import mp, mpf

from lossgen.analysis.expansions import EQUAL, expand, slopes_by_value
from lossgen.analysis.guards import guards
from lossgen.analysis.loci import DIGITS, Locus
from lossgen.analysis.places import places_of
from lossgen.analysis.ranges import Ranges
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.definitions import defined
from lossgen.ir.expr import (
    ZERO,
    Apply,
    Expr,
    Role,
    Symbol,
    add,
    depends_on,
    mul,
    neg,
    rebuild_as_written,
    replace_nodes,
    symbols,
    walk,
)
from lossgen.ir.local_names import fresh
from lossgen.ir.loss import Loss
from lossgen.ir.program import Assign
from lossgen.transform.one_sided import least_slope
from lossgen.transform.parts import elementwise_parts
from lossgen.transform.safe_branches import protect_branches

_APART = mpf(10) ** -8
_TIED = mpf(10) ** -25
_EXACT = ("add", "neg", "mul", "max", "min", "abs")


@dataclass(frozen=True)
class Settled:
    """What gives a loss the right gradient at its kinks.

    ``lean`` rewrites the loss, or a part of it; ``first`` are assignments to make
    before; ``open`` names the kinks whose gradient remains that of one side.
    """

    lean: Callable[[Expr], Expr]
    first: tuple[Assign, ...]
    open: tuple[str, ...]


def settle(loss: Loss, taken: set[str], *, joined: bool) -> Settled:
    """Find what gives a loss the least subgradient at each of its kinks.

    Args:
        loss: Its expression is what will be computed.
        taken: Names that cannot be given; grows by those that are.
        joined: Whether all branches are those of rewriting, which join forms that are
            equal on both sides.
    """
    loss = replace(loss, expression=_tensors_first(loss.expression))
    kinks: dict[tuple[str, str], list[_Point]] = {}
    for point in _points(loss, joined=joined):
        key = point.place.variable.name, point.place.name
        kinks.setdefault(key, []).append(point)
    leanings: list[_Leaning] = []
    leaned: list[list[_Point]] = []
    others: list[list[_Point]] = []
    for points in kinks.values():
        found = _leanings_for(loss, points)
        if found is None:
            others.append(points)
        else:
            leaned.append(points)
            leanings.extend(found)
            loss = _leaned_loss(loss, found)
    # What is right for one kink can be wrong for another.
    still = [points for points in leaned if not _all_right(loss, points)]
    first: list[Assign] = []
    rises: dict[Expr, list[Symbol]] = {}
    for points in others:
        place = points[0].place
        if all(abs(item) < EQUAL for point in points for item in point.wanted):
            first.append(_hold(place))
            continue
        rise = _rise(loss, points)
        if rise is None:
            still.append(points)
            continue
        target, assignments = _spelt(rise, place, taken)
        first.extend(assignments)
        rises.setdefault(rise.part, []).append(target)
    names = dict.fromkeys(points[0].place.name for points in still)

    def lean(expr: Expr) -> Expr:
        expr = _tensors_first(expr)
        for leaning in leanings:
            expr = _leaned(expr, leaning)
        return _with_terms(expr, rises)

    return Settled(lean, tuple(first), tuple(names))


@dataclass(frozen=True)
class _Point:
    """A locus, with the gradient that is wanted in each row."""

    place: Locus
    wanted: list[Any]


def _points(loss: Loss, *, joined: bool) -> Iterator[_Point]:
    passing = _passing(loss.expression)
    for guard in guards(loss.expression, Ranges.of_loss(loss)):
        if guard.node.op in ("amax", "amin", "norm"):
            continue  # elements that tie share evenly, and a norm of 0 has slope 0
        if (guard.branching and joined) or guard.node not in passing:
            continue
        guard = replace(guard, difference=defined(guard.difference))
        for variable in loss.of_role(Role.Y_PRED):
            if variable.symbol not in set(walk(guard.difference)):
                continue
            for place in places_of(loss, guard, variable) or ():
                expansion = expand(loss, place)
                if expansion is not None and 0 not in expansion.differences():
                    found = replace(place, sample=expansion.sample)
                    yield _Point(found, expansion.gradient())


def _passing(expr: Expr) -> set[Expr]:
    """The nodes through which derivatives pass on their way to the inputs."""
    found: set[Expr] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            if not isinstance(node, Apply) or node.op != "stop_gradient":
                stack.extend(node.children)
    return found


def _all_right(loss: Loss, points: list[_Point]) -> bool:
    return all(_is_right(loss, point) for point in points)


def _is_right(loss: Loss, point: _Point) -> bool:
    """Whether derivatives taken operation by operation give what is wanted."""
    try:
        found = slopes_by_value(loss, point.place)
    except Undefined:
        return False
    pairs = zip(found, point.wanted, strict=True)
    return all(abs(a - b) <= EQUAL * (1 + abs(b)) for a, b in pairs)


# Ties sent to one side ----------------------------------------------------------------

_Leaning = dict[Expr, int]
"""For operations at a tie the formula to use there: the index of an argument, for a
comparison whether it holds, for ``abs`` and ``relu`` the sign of the argument."""


def _leanings_for(loss: Loss, points: list[_Point]) -> list[_Leaning] | None:
    """What makes the gradient right at all points of a kink, if anything does."""
    found: list[_Leaning] = []
    for point in points:
        if _is_right(loss, point):
            continue
        for leaning in _leanings(loss, point.place):
            leaned = _leaned_loss(loss, [leaning])
            if _is_right(leaned, point):
                loss = leaned
                found.append(leaning)
                break
        else:
            return None
    return found if _all_right(loss, points) else None


def _leanings(loss: Loss, place: Locus) -> Iterator[_Leaning]:
    """What the operations that tie on a locus may be sent to.

    All of them to its left, or to its right; or one of them to one of its formulas.
    """
    rows = place.sample.rows
    with mp.workdps(DIGITS):
        at_tie = Evaluation(place.sample.environment)
    tied = []
    for node in walk(loss.expression):
        if isinstance(node, Apply) and node.op in _CHOSEN:
            pairs = _PAIRS.get(node.op, _against_first)(node)
            if any(_tie(at_tie, *pair, rows=rows) for pair in pairs):
                tied.append(node)
    for side in (-1, 1):
        nearby = _beside(place, side)
        chosen = {node: _chosen(node, nearby, rows) for node in tied}
        yield {node: choice for node, choice in chosen.items() if choice is not None}
    for node in tied:
        for choice in _choices(node):
            yield {node: choice}


def _choices(node: Apply) -> tuple[int, ...]:
    """All that an operation can be sent to."""
    if node.op in ("abs", "relu"):
        return (-1, 1)
    return tuple(range(len(node.args)))


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


def _leaned_loss(loss: Loss, leanings: list[_Leaning]) -> Loss:
    for leaning in leanings:
        loss = replace(loss, expression=_leaned(loss.expression, leaning))
    return loss


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

# Predictions that are held ------------------------------------------------------------


def _hold(place: Locus) -> Assign:
    """The prediction, but without a gradient on a locus."""
    return Assign(
        place.variable.symbol,
        _held(place, Apply("eq", _sides(place))),
        "The least of the slopes at this kink is 0.",
    )


def _held(place: Locus, tie: Expr) -> Expr:
    symbol = place.variable.symbol
    return Apply("where", (tie, Apply("stop_gradient", (symbol,)), symbol))


def _sides(place: Locus) -> tuple[Expr, Expr]:
    """Two expressions that are equal on a locus, also as they are computed."""
    root = place.root
    if root is not None and all(
        not isinstance(node, Apply) or node.op in _EXACT for node in walk(root)
    ):
        return place.variable.symbol, root
    return place.difference, ZERO


# Terms that are 0 and have a slope ----------------------------------------------------


@dataclass(frozen=True)
class _Rise:
    """A term to add to ``part`` of a loss: it is 0, and has ``slope`` on a locus."""

    part: Expr
    slope: Expr


def _rise(loss: Loss, points: list[_Point]) -> _Rise | None:
    """The term that makes the gradient right at a kink where the prediction is held."""
    place = points[0].place
    symbol = place.variable.symbol
    parts = elementwise_parts(loss.expression, [symbol])
    if place.root is None or len(parts) != 1:
        return None
    (part,) = parts
    # What is made of the part later multiplies both its slopes by the same number.
    slope = least_slope(part, symbol, place.root, Ranges.of_loss(loss))
    if slope is None or depends_on(slope, Role.Y_PRED):
        return None  # another prediction would need its guard here, too
    tie = Apply("eq", _sides(place))
    held: dict[Expr, Expr] = {symbol: _held(place, tie)}
    part_held = replace_nodes(part, held)
    risen = Apply("add", (part_held, _term(place, tie, slope)))
    expression = replace_nodes(replace_nodes(loss.expression, held), {part_held: risen})
    right = _all_right(replace(loss, expression=expression), points)
    return _Rise(part, slope) if right else None


def _term(place: Locus, tie: Expr, slope: Expr) -> Expr:
    symbol = place.variable.symbol
    change = add(symbol, neg(Apply("stop_gradient", (symbol,))))
    return Apply("where", (tie, mul(slope, change), ZERO))


def _spelt(rise: _Rise, place: Locus, taken: set[str]) -> tuple[Symbol, list[Assign]]:
    """The name of the term, and what has to be computed first."""
    tie, slope, target = (
        Symbol(fresh(word, taken), Role.DERIVED)
        for word in ("tie", "least_slope", "rise")
    )
    protected = protect_branches(Apply("where", (tie, rise.slope, ZERO)))
    is_safe = protected.children[1] == rise.slope
    return target, [
        Assign(
            tie,
            Apply("eq", _sides(place)),
            f"At this kink only {target.name}, which is 0, has a gradient: "
            "the least slope.",
        ),
        Assign(slope, rise.slope if is_safe else protected),
        Assign(target, _term(place, tie, slope)),
        Assign(place.variable.symbol, _held(place, tie)),
    ]


def _with_terms(expr: Expr, terms: Mapping[Expr, Sequence[Expr]]) -> Expr:
    """An expression with terms added to parts of it."""
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        new = node
        if isinstance(node, Apply):
            new = Apply(node.op, tuple(done[arg] for arg in node.args), node.axis)
        done[node] = add(new, *terms[node]) if node in terms else new
    return done[expr]
