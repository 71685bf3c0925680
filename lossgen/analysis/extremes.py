"""How large a function of one variable gets, by branch and bound.

The line is cut into open cells and the points between them. On a cell the range is that
of interval arithmetic, or of the values at its ends where the function is monotone
there; the cell with the largest bound is cut further (Hansen and Walster 2004, Global
Optimization Using Interval Analysis, ch. 9). Towards an infinite or an open end nothing
need be known but that the size decreases.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import inf

from lossgen.analysis import intervals
from lossgen.analysis.identities import simplified, vanishes
from lossgen.analysis.intervals import (
    EMPTY,
    NONNEGATIVE,
    End,
    Interval,
    exactly,
    hull,
    intersect,
)
from lossgen.analysis.proofs import is_nonnegative
from lossgen.analysis.ranges import CONSTANTS, Ranges, range_of_operation
from lossgen.calculus.differentiate import directional_derivative
from lossgen.calculus.steps import spend
from lossgen.ir.expr import (
    ONE,
    Apply,
    Constant,
    Expr,
    Number,
    Symbol,
    add,
    apply,
    neg,
    sub,
    substitute,
    walk,
)
from lossgen.ir.functions import LOWERED

_STEPS_OF_A_NODE = 1
_MOST_CELLS = 240
_TOLERANCE = Fraction(1, 2000)
_SMALL = Fraction(1, 10**6)
_NARROWEST = Fraction(1, 2**20)
_FARTHEST = Fraction(64)


def largest_size(
    expr: Expr, symbol: Symbol, domain: Interval, ranges: Ranges
) -> Fraction | None:
    """A number that the function is nowhere above in size, and close below somewhere.

    Args:
        expr: A formula without reductions, in which no other symbol stands.
        symbol: What it is a function of.
        domain: Where the symbol lies.
        ranges: What else is known of the symbol.
    """
    if any(isinstance(node, Apply) and node.op in LOWERED for node in walk(expr)):
        return None  # a derivative of a special function, which has none here
    if _is_symmetric(expr, symbol, domain, ranges):
        domain = intersect(domain, NONNEGATIVE)
    search = _Search(expr, symbol, ranges)
    cuts = _cuts(domain)
    for cut in cuts:
        if domain.contains(cut):
            search.look_at(exactly(cut))
    ends = [domain.lower, *cuts, domain.upper]
    for low, high in pairwise(ends):
        if low < high:
            search.look_at(Interval(low, high, True, True))
    return search.refined()


def _is_symmetric(expr: Expr, symbol: Symbol, domain: Interval, ranges: Ranges) -> bool:
    """Whether the size at ``-x`` is proved to be that at ``x``."""
    if domain.lower != -domain.upper:
        return False
    mirrored = substitute(expr, {symbol: neg(symbol)})
    return any(vanishes(gap(expr, mirrored), ranges) for gap in (add, sub))


def _cuts(domain: Interval) -> list[Fraction]:
    """Where to begin: 0 and 1, or the ends and the middle."""
    low, high = domain.lower, domain.upper
    inside = [Fraction(item) for item in (-1, 0, 1) if low < item < high]
    ends = {end for end in (low, high) if isinstance(end, Fraction)}
    if len(ends) == 2:
        inside.append((Fraction(low) + Fraction(high)) / 2)
    elif not inside:
        inside.extend(end + (1 if end == low else -1) for end in sorted(ends))
    return sorted({*inside, *(end for end in ends if domain.contains(end))})


class _Search:
    """What is known of the cells looked at so far."""

    def __init__(self, expr: Expr, symbol: Symbol, ranges: Ranges) -> None:
        self._expr, self._symbol, self._ranges = expr, symbol, ranges
        self._slope = self._derivative(expr)
        self._reached = Fraction(0)  # some value is at least so large
        self._cells: list[tuple[End, int, Interval]] = []
        self._count = 0

    def look_at(self, cell: Interval) -> None:
        """Bound the function on a cell or at a point."""
        self._count += 1
        size = intervals.absolute(self._bound(cell))
        if cell.point is not None and isinstance(size.lower, Fraction):
            self._reached = max(self._reached, size.lower)
        if not size.empty:
            heapq.heappush(self._cells, (-size.upper, self._count, cell))

    def refined(self) -> Fraction | None:
        """The largest bound of a cell, once that is close to a value."""
        while self._cells:
            upper, _, cell = self._cells[0]
            if -upper <= self._reached * (1 + _TOLERANCE) + _SMALL:
                return Fraction(-upper)
            cut = _cut(cell)
            if cut is None or self._count > _MOST_CELLS:
                return Fraction(-upper) if -upper < inf else None
            heapq.heappop(self._cells)
            self.look_at(exactly(cut))
            self.look_at(Interval(cell.lower, cut, True, True))
            self.look_at(Interval(cut, cell.upper, True, True))
        return self._reached

    def _bound(self, cell: Interval) -> Interval:
        values = _Values(self._symbol, cell)
        result = values.of(self._expr)
        if cell.point is not None or not values.settled:
            return result
        if not _is_finite(result):
            return intersect(result, self._declining(cell, values))
        if not _is_finite(cell):
            return result
        slope = _Values(self._symbol, cell, values.choices).of(self._slope)
        low, middle, high = (
            self._at(place, values)
            for place in (cell.lower, (cell.lower + cell.upper) / 2, cell.upper)
        )
        if low and high and (slope.nonnegative or slope.upper <= 0):
            return intersect(result, hull(low, high))
        if middle is None:
            return result
        away = intervals.add(cell, exactly(-Fraction(cell.lower + cell.upper) / 2))
        centred = intervals.add(middle, intervals.multiply(slope, away))
        return intersect(result, centred)

    def _at(self, place: End, near: _Values) -> Interval | None:
        """The formula that holds in a cell, at a place in or beside it.

        None where a part of it is infinite: then it need not be continuous there.
        """
        values = _Values(self._symbol, exactly(Fraction(place)), near.choices)
        result = values.of(self._expr)
        return result if values.finite else None

    def _declining(self, cell: Interval, values: _Values) -> Interval:
        """The range on a cell towards one end of which the size decreases."""
        formula = values.resolved(self._expr)
        ranges = self._ranges
        for end, op in ((cell.lower, "gt"), (cell.upper, "lt")):
            if isinstance(end, Fraction):
                condition = Apply(op, (self._symbol, Number(end)))
                ranges = ranges.given(condition, True)
        if is_nonnegative(neg(formula), ranges):
            formula = neg(formula)
        elif not is_nonnegative(formula, ranges):
            return intervals.EVERYTHING
        slope = simplified(self._derivative(formula), ranges)
        for end, falling in ((cell.lower, neg(slope)), (cell.upper, slope)):
            start = self._at(end, values) if isinstance(end, Fraction) else None
            if start is not None and is_nonnegative(falling, ranges):
                reach = intervals.absolute(start).upper
                return Interval(-reach, reach)
        return intervals.EVERYTHING

    def _derivative(self, expr: Expr) -> Expr:
        return directional_derivative(expr, {self._symbol: ONE}, self._ranges.loss)


def _is_finite(values: Interval) -> bool:
    ends = values.lower, values.upper
    return not values.empty and all(isinstance(end, Fraction) for end in ends)


def _cut(cell: Interval) -> Fraction | None:
    """Where to cut a cell; None where it is too small, or too far out."""
    low, high = cell.lower, cell.upper
    if isinstance(low, Fraction) and isinstance(high, Fraction):
        return (low + high) / 2 if high - low > _NARROWEST else None
    if isinstance(low, Fraction):
        return max(2 * low, low + 1) if low < _FARTHEST else None
    if isinstance(high, Fraction):
        return min(2 * high, high - 1) if high > -_FARTHEST else None
    return Fraction(0)


@dataclass
class _Values:
    """Ranges of expressions where a symbol is in a cell.

    ``choices`` says which branch each operation takes there; ``settled`` whether each
    of them takes one; ``finite`` whether all that was computed is.
    """

    symbol: Symbol
    cell: Interval
    choices: dict[Expr, int] = field(default_factory=dict)
    settled: bool = True
    finite: bool = True
    _known: dict[Expr, Interval] = field(default_factory=dict)

    def of(self, expr: Expr) -> Interval:
        """The range of an expression."""
        if expr not in self._known:
            spend(_STEPS_OF_A_NODE)
            self._known[expr] = self._range(expr)
            self.finite = self.finite and _is_finite(self._known[expr])
        return self._known[expr]

    def resolved(self, expr: Expr) -> Expr:
        """The expression with the branches that it takes here."""
        if not isinstance(expr, Apply):
            return expr
        choice = self.choices.get(expr)
        if expr.op == "sign" and choice is not None:
            return Number(Fraction(choice))
        if expr.op == "where" and choice is not None:
            return self.resolved(expr.args[1 if choice else 2])
        args = tuple(self.resolved(arg) for arg in expr.args)
        return apply(expr.op, *args, axis=expr.axis)

    def _range(self, expr: Expr) -> Interval:
        if isinstance(expr, Number):
            return exactly(expr.value)
        if isinstance(expr, Constant):
            return CONSTANTS[expr.name]
        if isinstance(expr, Symbol):
            return self.cell if expr == self.symbol else intervals.EVERYTHING
        if expr.op == "where":
            return self._where(expr)
        args = [self.of(arg) for arg in expr.args]
        if any(arg.empty for arg in args):
            return EMPTY
        if expr.op == "sign":
            return self._sign(expr, args[0])
        if expr.op == "div" and not args[1].nonzero:
            self.finite = False
        return range_of_operation(expr, args)

    def _where(self, expr: Apply) -> Interval:
        condition, then, otherwise = expr.args
        known = self.choices.get(expr)
        truth = self._truth(condition) if known is None else bool(known)
        if truth is None:
            self.settled = False
            return hull(self.of(then), self.of(otherwise))
        self.choices[expr] = int(truth)
        return self.of(then if truth else otherwise)

    def _sign(self, expr: Apply, values: Interval) -> Interval:
        known = self.choices.get(expr)
        if known is not None:
            return exactly(known)
        result = range_of_operation(expr, [values])
        if result.point is None:
            self.settled = False
        else:
            self.choices[expr] = int(result.point)
        return result

    def _truth(self, condition: Expr) -> bool | None:
        """Whether a condition holds, where it is the same everywhere."""
        if not isinstance(condition, Apply):
            return None
        if condition.op == "not":
            truth = self._truth(condition.args[0])
            return None if truth is None else not truth
        if condition.op in ("and", "or"):
            decisive = condition.op == "or"
            truths = [self._truth(arg) for arg in condition.args]
            if decisive in truths:
                return decisive
            return None if None in truths else not decisive
        rule = _COMPARISONS.get(condition.op)
        if rule is None:
            return None
        left, right = (self.of(arg) for arg in condition.args)
        gap = intervals.add(left, intervals.negate(right))
        return next((truth for truth in (True, False) if rule[truth](gap)), None)


def _is_zero(gap: Interval) -> bool:
    return gap.point == 0


def _is_nonzero(gap: Interval) -> bool:
    return gap.nonzero


def _is_positive(gap: Interval) -> bool:
    return gap.positive


def _is_negative(gap: Interval) -> bool:
    return gap.negative


def _is_nonnegative(gap: Interval) -> bool:
    return gap.nonnegative


def _is_nonpositive(gap: Interval) -> bool:
    return intervals.negate(gap).nonnegative


# What shows that a comparison is false, and that it is true, from ``left - right``.
_COMPARISONS = {
    "lt": (_is_nonnegative, _is_negative),
    "le": (_is_positive, _is_nonpositive),
    "gt": (_is_nonpositive, _is_positive),
    "ge": (_is_negative, _is_nonnegative),
    "eq": (_is_nonzero, _is_zero),
    "ne": (_is_zero, _is_nonzero),
}
