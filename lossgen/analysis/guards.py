"""Where a loss changes from one formula to another, and points on those loci."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.polynomials import Polynomial
from lossgen.analysis.proofs import factors, is_nonnegative
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.samples import Sample
from lossgen.analysis.spelling import spell, spell_equal, spell_relation
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation, Undefined, evaluate
from lossgen.calculus.steps import spend
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Axis,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    depends_on,
    div,
    neg,
    sub,
    substitute,
    symbols,
    walk,
)
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss, Variable

DIGITS = 50
_MAX_PIECES = 16
_MAX_CASES = 64
_STEPS_OF_A_GUARD = 20
_GRID = 12
_BISECTIONS = 24
_CLOSE = mpf(10) ** -30


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
        """Whether the difference can be 0, as far as its range tells."""
        if self.node.op in ("amax", "amin"):
            return True
        return not self.ranges.nonzero(self.difference)


@dataclass(frozen=True)
class Locus:
    """Points on one piece of a guard's zero set, named in the author's words.

    ``difference`` is 0 there; ``root`` is what the variable equals, if that is known.
    """

    name: str
    variable: Variable
    sample: Sample
    difference: Expr
    root: Expr | None = None


def guards(expr: Expr, ranges: Ranges) -> tuple[Guard, ...]:
    """The guards that y_pred can bring to 0, in the order of the tree."""
    found: dict[tuple[Expr, Expr], Guard] = {}
    for guard in _collect(expr, ranges):
        spend(_STEPS_OF_A_GUARD)
        if depends_on(guard.difference, Role.Y_PRED) and guard.reachable:
            found.setdefault((guard.node, guard.difference), guard)
    return tuple(found.values())


def loci(guard: Guard, variable: Variable, sample: Sample) -> tuple[Locus, ...] | None:
    """The pieces of a guard's zero set along one variable, each with points on it.

    Returns:
        The pieces, none if the guard is never 0 there; None if that is not known.
    """
    if guard.node.op in ("amax", "amin"):
        return _ties(guard, variable, sample)
    found: dict[str, Locus] = {}
    complete = True
    for piece in zeros(guard.difference):
        if variable.symbol not in set(walk(piece)):
            continue
        roots = _roots(piece, variable.symbol, guard.ranges)
        if roots is None:
            complete = False
            continue
        for root in roots:
            located = _at_root(guard, variable, sample, root)
            if located is not None:
                name = spell_equal(variable.symbol, root)
                found.setdefault(
                    name, Locus(name, variable, located, guard.difference, root)
                )
    if not complete and guard.node.op != "norm":
        searched = _searched(guard, variable, sample, lambda values: values)
        for count, place in enumerate(searched):
            found[f"{place.name} {count}"] = place
    if not found and not complete:
        return None
    return tuple(found.values())


def loci_anywhere(
    guard: Guard, variable: Variable, sample: Sample
) -> tuple[Locus, ...]:
    """The solved pieces that may touch the domain, with points wherever they are."""
    found: dict[str, Locus] = {}
    for piece in zeros(guard.difference):
        if variable.symbol not in set(walk(piece)):
            continue
        for root in _roots(piece, variable.symbol, guard.ranges) or ():
            if not _may_be_inside(variable, root, guard.ranges):
                continue
            located = _at_root(guard, variable, sample, root, anywhere=True)
            if located is not None:
                name = spell_equal(variable.symbol, root)
                found.setdefault(
                    name, Locus(name, variable, located, guard.difference, root)
                )
    return tuple(found.values())


def solved_names(guard: Guard, variable: Variable) -> frozenset[str]:
    """The names of the solved pieces that may touch the domain."""
    if guard.node.op in ("amax", "amin"):
        return frozenset()
    return frozenset(
        spell_equal(variable.symbol, root)
        for piece in zeros(guard.difference)
        if variable.symbol in set(walk(piece))
        for root in _roots(piece, variable.symbol, guard.ranges) or ()
        if _may_be_inside(variable, root, guard.ranges)
    )


def _may_be_inside(variable: Variable, root: Expr, ranges: Ranges) -> bool:
    """Whether the ranges admit a root in the interior of a domain."""
    domain = variable.domain
    if domain.kind in (DomainKind.COUNT, DomainKind.FINITE):
        return False
    values = domain_interval(domain)
    return any(
        not (
            isinstance(values.lower, Fraction)
            and is_nonnegative(sub(Number(values.lower), case), ranges)
        )
        and not (
            isinstance(values.upper, Fraction)
            and is_nonnegative(sub(case, Number(values.upper)), ranges)
        )
        for case in by_label(root, ranges.loss)
    )


def by_label(expr: Expr, loss: Loss) -> list[Expr]:
    """The expression for each value of the labels that it holds."""
    cases = [expr]
    for symbol in symbols(expr):
        labels = loss.variable(symbol.name).domain.labels
        if labels and len(labels) * len(cases) <= _MAX_CASES:
            cases = [
                substitute(case, {symbol: Number(label)})
                for case in cases
                for label in labels
            ]
    return cases


def is_solved(guard: Guard, variable: Variable) -> bool:
    """Whether `loci` finds every point where the guard is 0, by formulas."""
    return all(
        _roots(piece, variable.symbol, guard.ranges) is not None
        for piece in zeros(guard.difference)
        if variable.symbol in set(walk(piece))
    )


def _roots(piece: Expr, symbol: Symbol, ranges: Ranges) -> tuple[Expr, ...] | None:
    """All zeros along a symbol of an expression, or of its factors; None if unknown.

    None of an expression that is 0 everywhere: it changes nothing where it is in force,
    and where it comes into force is a zero of another guard.
    """
    if not ranges.polynomial(piece):
        return ()
    root = solve(piece, symbol, ranges)
    if root is not None:
        return (root,)
    parts = [part for part in factors(piece, ranges) if symbol in set(walk(part))]
    found = [solve(part, symbol, ranges) for part in parts]
    known = tuple(item for item in found if item is not None)
    return known if parts and len(known) == len(parts) else None


# Guards -------------------------------------------------------------------------------


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

# Zero sets ----------------------------------------------------------------------------


def zeros(expr: Expr) -> tuple[Expr, ...]:
    """Smooth expressions, one of which is 0 wherever the expression is."""
    if isinstance(expr, Apply):
        if expr.op == "mul":
            return _distinct(piece for arg in expr.args for piece in zeros(arg))
        if expr.op in ("neg", "abs", "square", "sqrt", "div", "pow"):
            return zeros(expr.args[0])
    return _distinct(pieces(expr))


def pieces(expr: Expr) -> tuple[Expr, ...]:
    """The smooth formulas that an expression switches between."""
    if not isinstance(expr, Apply) or expr.axis is not None:
        return (expr,)
    choices = _CHOICES.get(expr.op)
    if choices is not None:
        return _distinct(p for choice in choices(expr) for p in pieces(choice))
    parts = [pieces(arg) for arg in expr.args]
    if all(len(part) == 1 for part in parts):
        return (expr,)
    chosen = [Apply(expr.op, args) for args in product(*parts)]
    return _distinct(chosen) if len(chosen) <= _MAX_PIECES else (expr,)


def _distinct(items: Any) -> tuple[Expr, ...]:
    return tuple(dict.fromkeys(items))[:_MAX_PIECES]


_CHOICES: dict[str, Callable[[Apply], tuple[Expr, ...]]] = {
    "abs": lambda node: (node.args[0], neg(node.args[0])),
    "max": lambda node: node.args,
    "min": lambda node: node.args,
    "relu": lambda node: (node.args[0], ZERO),
    "clip": lambda node: node.args,
    "where": lambda node: node.args[1:],
}


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

# Points -------------------------------------------------------------------------------


def _at_root(
    guard: Guard,
    variable: Variable,
    sample: Sample,
    root: Expr,
    *,
    anywhere: bool = False,
) -> Sample | None:
    """The rows of a sample moved onto the locus: their first element, or all.

    Unless ``anywhere`` is wanted, only where that is inside the domain.
    """
    values = _values(root, sample)
    array = sample.environment[variable.name]
    values = np.broadcast_to(values, np.broadcast_shapes(values.shape, array.shape))
    defined = np.array(
        [not any(isinstance(x, Undefined) for x in row.flat) for row in values]
    )
    moved = array.copy()
    if guard.node.op == "norm":
        if values.shape != array.shape:
            return None
        moved = values.copy()
    else:
        _set_first(moved, _first(values))
    if not defined.all():
        if not defined.any() or array.shape[0] != sample.rows:
            return None
        sample, moved = sample.only(defined), moved[defined]
    if anywhere:
        return sample.moved(variable.name, moved)
    return _on_locus(guard, variable, sample, moved)


def _values(expr: Expr, sample: Sample) -> Array:
    """The elements of an expression, those without a value included."""
    with mp.workdps(DIGITS):
        return Evaluation(sample.environment).value(expr)


def _on_locus(
    guard: Guard, variable: Variable, sample: Sample, moved: Array
) -> Sample | None:
    """The rows that are inside the domain and on the locus."""
    placed = sample.moved(variable.name, moved)
    gap = _values(guard.difference, placed)
    keep = np.zeros(sample.rows, dtype=bool)
    for row in range(sample.rows):
        near = gap[row if gap.ndim and gap.shape[0] == sample.rows else ...]
        items = list(np.asarray(near, dtype=object).flat)
        checked = items if guard.node.op == "norm" else items[:1]
        keep[row] = (
            inside(variable, moved[row].flat[0])
            and not any(isinstance(item, Undefined) for item in items)
            and (
                guard.node.op in ("amax", "amin")
                or all(abs(item) < _CLOSE for item in checked)
            )
        )
    return placed.only(keep) if keep.any() else None


def inside(variable: Variable, value: Any) -> bool:
    """Whether a value lies in the interior of a domain."""
    domain = variable.domain
    if domain.kind in (DomainKind.COUNT, DomainKind.FINITE):
        return False
    values = domain_interval(domain)
    margin = mpf(10) ** -12
    lower, upper = values.lower, values.upper
    above = isinstance(lower, float) or value > mp.mpmathify(lower) + margin
    return bool(
        above and (isinstance(upper, float) or value < mp.mpmathify(upper) - margin)
    )


def _ties(guard: Guard, variable: Variable, sample: Sample) -> tuple[Locus, ...] | None:
    """Where the first element of an axis ties with the extreme of the others."""
    if guard.node.axis is Axis.BATCH or (
        guard.node.axis is not Axis.SPATIAL and sample.last < 2
    ):
        return None
    if not _has_others(guard, sample):
        return ()
    sign = 1 if guard.node.op == "amax" else -1

    def gap(values: Array) -> Array:
        others = _others(values, guard.node.axis)
        result = np.empty(sample.rows, dtype=object)
        for row in range(sample.rows):
            items = [values[row].flat[0], *others[row]]
            fault = next((item for item in items if isinstance(item, Undefined)), None)
            first, *rest = [0] * 2 if fault else [sign * item for item in items]
            result[row] = fault or first - max(rest)
        column: Array = result.reshape(-1, 1)
        return column

    return _searched(guard, variable, sample, gap) or None


def _has_others(guard: Guard, sample: Sample) -> bool:
    """Whether the axis has more than one element: a collapsed one has not."""
    try:
        values = evaluate(guard.difference, sample.environment, digits=20)
    except Undefined:
        return False
    ranked = values.ndim > 1 and values.shape[0] == sample.rows
    return ranked and all(_others(values, guard.node.axis))


def _others(values: Array, axis: Axis | None) -> list[list[Any]]:
    rows = []
    for row in values:
        if axis is Axis.LAST:
            items = list(row.reshape(-1, row.shape[-1])[0])
        elif axis is Axis.SPATIAL:
            items = list(row.reshape(-1, row.shape[-1])[:, 0])
        else:
            items = list(row.flat)
        rows.append(items[1:])
    return rows


def _searched(
    guard: Guard,
    variable: Variable,
    sample: Sample,
    gap: Callable[[Array], Array],
) -> tuple[Locus, ...]:
    """The roots along the first element, by bracketing and Newton's method."""
    array = sample.environment[variable.name]
    rows = array.shape[0]

    def moved(points: list[Any]) -> Array:
        result: Array = array.copy()
        _set_first(result, points)
        return result

    def values(points: list[Any], digits: int) -> list[Any]:
        environment = {**sample.environment, variable.name: moved(points)}
        with mp.workdps(digits):
            found = gap(Evaluation(environment).value(guard.difference))
        if found.shape[:1] != (rows,):
            found = np.broadcast_to(found, (rows, *found.shape[1:]))
        firsts = _first(found)
        return [None if isinstance(item, Undefined) else item for item in firsts]

    roots = [
        _newton(_bisected(brackets, values), values)
        for brackets in _brackets(variable, rows, values)
    ]
    located = (_on_locus(guard, variable, sample, moved(item)) for item in roots)
    name = name_of(guard)
    return tuple(
        Locus(name, variable, item, guard.difference)
        for item in located
        if item is not None
    )


def name_of(guard: Guard) -> str:
    """Where a guard is 0, for what is not solved."""
    if guard.node.op in ("amax", "amin"):
        return f"two elements of {spell(guard.node)} tie"
    return spell_relation(guard.difference, "=")


_Brackets = tuple[list[Any], list[Any], list[Any]]
_Values = Callable[[list[Any], int], list[Any]]
"""From a point in each row to the values there, None where there is none."""


def _brackets(variable: Variable, rows: int, values: _Values) -> Iterator[_Brackets]:
    """Per row, two points between which the sign changes, and the sign at the first.

    First those of the first change in each row, then those of the second, …
    """
    grid = _grid(variable)
    table = [values([point] * rows, 20) for point in grid]
    changes = [
        [
            k
            for k in range(len(grid) - 1)
            if _changes_sign(table[k][row], table[k + 1][row])
        ]
        for row in range(rows)
    ]
    for count in range(max(map(len, changes))):
        starts = [found[count] if count < len(found) else None for found in changes]
        yield (
            [grid[start or 0] for start in starts],
            [grid[(start or 0) + 1] for start in starts],
            [
                None if start is None else table[start][row]
                for row, start in enumerate(starts)
            ],
        )


def _changes_sign(before: Any, after: Any) -> bool:
    return before is not None and after is not None and bool(before * after < 0)


def _grid(variable: Variable) -> list[Any]:
    values = domain_interval(variable.domain)
    low = mpf(-7) if isinstance(values.lower, float) else mp.mpmathify(values.lower)
    high = mpf(8) if isinstance(values.upper, float) else mp.mpmathify(values.upper)
    if low >= high:
        low, high = (high - 8, high) if high == values.upper else (low, low + 8)
    step = (high - low) / (_GRID + 1)
    # An irregular grid: roots at round numbers fall between its points.
    return [low + step * (k + mpf(17) / 29) for k in range(_GRID + 1)]


def _bisected(brackets: _Brackets, values: _Values) -> tuple[list[Any], list[Any]]:
    low, high, signs = brackets
    for _ in range(_BISECTIONS):
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        found = values(middle, 20)
        for row, sign in enumerate(signs):
            if sign is None or found[row] is None:
                continue
            if found[row] * sign > 0:
                low[row] = middle[row]
            else:
                high[row] = middle[row]
    return low, high


def _newton(bracket: tuple[list[Any], list[Any]], values: _Values) -> list[Any]:
    """Secant steps from a narrow bracket, to full precision."""
    before, now = bracket
    with mp.workdps(DIGITS):
        at_before = values(before, DIGITS)
        for _ in range(6):
            at_now = values(now, DIGITS)
            step = [
                b if None in (fa, fb) or fb == fa else b - fb * (b - a) / (fb - fa)
                for a, b, fa, fb in zip(before, now, at_before, at_now, strict=True)
            ]
            before, at_before, now = now, at_now, step
    return now


def _first(values: Array) -> list[Any]:
    """The first element of each row."""
    return [np.asarray(row, dtype=object).flat[0] for row in values]


def _set_first(array: Array, values: list[Any]) -> None:
    for row, value in zip(array, values, strict=True):
        row.flat[0] = value
