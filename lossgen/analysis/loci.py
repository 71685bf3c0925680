"""Points where a guard is 0: by formulas, or found by a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.bracketing import roots_along
from lossgen.analysis.guards import Guard
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.samples import Sample, satisfies
from lossgen.analysis.spelling import spell, spell_equal, spell_relation
from lossgen.analysis.zeros import roots, zeros
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation, Undefined, evaluate
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Axis, Expr, Number, sub, substitute, symbols, walk
from lossgen.ir.loss import Loss, Variable

DIGITS = 50
_MAX_CASES = 64
_GRID = 12
_CLOSE = mpf(10) ** -30


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
        solved = roots(piece, variable.symbol, guard.ranges)
        if solved is None:
            complete = False
            continue
        for root in solved:
            located = _at_root(guard, variable, sample, root)
            if located is not None:
                name = spell_equal(variable.symbol, root)
                found.setdefault(
                    name, Locus(name, variable, located, guard.difference, root)
                )
    # All elements of a norm are 0 at once: a search is for one that is alone.
    if not complete and (guard.node.op != "norm" or sample.last == 1):
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
    for root in _roots_inside(guard, variable):
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
        spell_equal(variable.symbol, root) for root in _roots_inside(guard, variable)
    )


def _roots_inside(guard: Guard, variable: Variable) -> Iterator[Expr]:
    """The roots of solved pieces that may lie in the interior of a domain."""
    for piece in zeros(guard.difference):
        if variable.symbol in set(walk(piece)):
            for root in roots(piece, variable.symbol, guard.ranges) or ():
                if _may_be_inside(variable, root, guard.ranges):
                    yield root


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
        roots(piece, variable.symbol, guard.ranges) is not None
        for piece in zeros(guard.difference)
        if variable.symbol in set(walk(piece))
    )


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
    loss = guard.ranges.loss
    if loss.assume:
        allowed = satisfies(loss, placed)
        if not allowed.any():
            return None
        placed, moved = placed.only(allowed), moved[allowed]
        sample = placed
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
    """The roots along the first element, by bracketing."""
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

    found = roots_along(_grid(variable), rows, values, DIGITS)
    located = (_on_locus(guard, variable, sample, moved(item)) for item in found)
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
    if guard.node.op == "norm":
        return f"{spell(guard.node)} = 0"
    return spell_relation(guard.difference, "=")


def _grid(variable: Variable) -> list[Any]:
    values = domain_interval(variable.domain)
    low = mpf(-7) if isinstance(values.lower, float) else mp.mpmathify(values.lower)
    high = mpf(8) if isinstance(values.upper, float) else mp.mpmathify(values.upper)
    if low >= high:
        low, high = (high - 8, high) if high == values.upper else (low, low + 8)
    step = (high - low) / (_GRID + 1)
    # An irregular grid: roots at round numbers fall between its points.
    return [low + step * (k + mpf(17) / 29) for k in range(_GRID + 1)]


def _first(values: Array) -> list[Any]:
    """The first element of each row."""
    return [np.asarray(row, dtype=object).flat[0] for row in values]


def _set_first(array: Array, values: list[Any]) -> None:
    for row, value in zip(array, values, strict=True):
        row.flat[0] = value
