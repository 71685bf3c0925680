"""The largest derivative where it is a function of one variable, on some scale.

The slope of ``c**2*(1 - exp(-(d/c)**2))`` is ``c`` times a function of ``d/c``, whose
extremes are numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from math import inf

from lossgen.analysis.extremes import largest_size
from lossgen.analysis.gradients import Gradient
from lossgen.analysis.identities import simplified
from lossgen.analysis.intervals import readable
from lossgen.analysis.ranges import Ranges, domain_interval
from lossgen.analysis.summands import RESIDUAL, assumes_on_tensors, at_label
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    apply,
    div,
    mul,
    number,
    rebuild,
    sub,
    substitute,
    symbols,
    walk,
)
from lossgen.ir.loss import Loss

_MOST_BRANCHES = 4
_MOST_LABELS = 4

_Case = tuple[Expr, Symbol]
"""A slope, and what it is a function of but for parameters."""


def largest_slope(gradient: Gradient) -> Expr | None:
    """A bound on the size of all slopes: a number times a formula in parameters."""
    loss = gradient.loss
    cases = _cases(gradient)
    if not cases or assumes_on_tensors(loss):
        return None
    free = Ranges.of_loss(replace(loss, mask=None, assume=()))
    scales: list[Expr] = [ONE, *_positive_parameters(loss, free)]
    for scale in scales:
        if scale != ONE and not all(_is_scalable(v, loss) for _, v in cases):
            continue
        found = _without_parameters(cases, scale, loss, free)
        if found is None:
            continue
        formulas, base = found
        ranges = gradient.ranges if scale == ONE else free
        sizes = [
            largest_size(formula, variable, ranges.of(variable), ranges)
            for formula, (_, variable) in zip(formulas, cases, strict=True)
        ]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            return None
        return mul(Number(readable(max(known))), base)
    return None


def _cases(gradient: Gradient) -> list[_Case] | None:
    """Each slope at each label of y_true; None where it has several variables."""
    found: list[_Case] = []
    for slope in gradient.slopes or ():
        formulas = [slope]
        for symbol in symbols(slope):
            if symbol.role is not Role.Y_TRUE:
                continue
            labels = gradient.loss.variable(symbol.name).domain.labels
            if not 0 < len(labels) <= _MOST_LABELS:
                continue
            formulas = [
                at_label(formula, symbol, Number(label))
                for formula in formulas
                for label in labels
            ]
        for formula in formulas:
            moving = [item for item in symbols(formula) if not _is_scalar(item)]
            if len(moving) > 1 or not _is_elementwise(formula):
                return None
            some = gradient.loss.of_role(Role.Y_PRED)[0].symbol
            found.append((formula, moving[0] if moving else some))
    return found


def _is_elementwise(formula: Expr) -> bool:
    return all(node.axis is None for node in walk(formula) if isinstance(node, Apply))


def _is_scalar(symbol: Symbol) -> bool:
    return symbol.role is Role.PARAMETER


def _positive_parameters(loss: Loss, ranges: Ranges) -> list[Symbol]:
    return [
        item.symbol
        for item in loss.parameters
        if item.shape == "scalar" and ranges.of(item.symbol).positive
    ]


def _is_scalable(symbol: Symbol, loss: Loss) -> bool:
    """Whether positive multiples of what it can be are what it can be."""
    if symbol == RESIDUAL:
        return True
    values = domain_interval(loss.variable(symbol.name).domain)
    return values.upper == inf and values.lower in (-inf, 0) and loss.mask is None


def _without_parameters(
    cases: list[_Case], scale: Expr, loss: Loss, ranges: Ranges
) -> tuple[list[Expr], Expr] | None:
    """The slopes over one formula in the parameters, as functions of ``v/scale``."""
    scaled = [
        _drawn_out(substitute(formula, {variable: mul(scale, variable)}), scale)
        for formula, variable in cases
    ]
    if not any(_parameters(formula) for formula in scaled):
        return scaled, ONE
    forms = [_Form(loss, ranges, ONE).of(formula) for formula in scaled]
    left = {name for form in forms for name in _parameters(form)}
    for base in _bases(loss):
        if {item.name for item in symbols(base)} != left:
            continue
        if base != ONE:
            forms = [_Form(loss, ranges, base).of(formula) for formula in scaled]
        if not any(_parameters(form) for form in forms):
            return forms, base
    return None


def _drawn_out(formula: Expr, scale: Expr) -> Expr:
    """The formula with ``abs(c*u)`` as ``c*abs(u)``, for the positive scale c."""

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Apply) or node.op not in ("abs", "relu", "sign"):
            return node
        (arg,) = node.args
        if not isinstance(arg, Apply) or arg.op != "mul" or scale not in arg.args:
            return node
        factors = list(arg.args)
        factors.remove(scale)
        inner = Apply(node.op, (mul(*factors),))
        return inner if node.op == "sign" else mul(scale, inner)

    return rebuild(formula, visit)


def _parameters(formula: Expr) -> list[str]:
    return [item.name for item in symbols(formula) if item.role is Role.PARAMETER]


def _bases(loss: Loss) -> Iterator[Expr]:
    """What a slope may be proportional to."""
    names = [item.symbol for item in loss.parameters if item.shape == "scalar"]
    yield ONE
    for name in names:
        yield name
        yield div(ONE, name)
        yield mul(name, name)
    for left, right in permutations(names, 2):
        yield div(left, right)
        if left.name < right.name:
            yield mul(left, right)


class _Form:
    """Formulas over a base, simplified branch by branch."""

    def __init__(self, loss: Loss, ranges: Ranges, base: Expr) -> None:
        self._ranges, self._base = ranges, base
        self._divisors: list[Expr] = [ONE, *_positive_parameters(loss, ranges)]

    def of(self, formula: Expr, branches: int = 0) -> Expr:
        """The formula over the base."""
        node = _first_branching(formula)
        if node is None or branches == _MOST_BRANCHES:
            return simplified(div(formula, self._base), self._ranges)
        if node.op == "sign":
            positive, negative = (
                Apply(op, (node.args[0], ZERO)) for op in ("gt", "lt")
            )
            inner = Apply("where", (negative, number(-1), ZERO))
            choice = Apply("where", (positive, ONE, inner))
            return self.of(substitute(formula, {node: choice}), branches)
        condition, *options = node.args
        parts = (
            self.of(substitute(formula, {node: option}), branches + 1)
            for option in options
        )
        return Apply("where", (self._condition(condition), *parts))

    def _condition(self, condition: Expr) -> Expr:
        if not isinstance(condition, Apply):
            return condition
        if condition.op not in _COMPARISONS:
            parts = (self._condition(arg) for arg in condition.args)
            return apply(condition.op, *parts)
        gap = sub(*condition.args)
        if not _parameters(gap):
            return condition
        for divisor in self._divisors:
            free = simplified(div(gap, divisor), self._ranges)
            if not _parameters(free):
                return Apply(condition.op, (free, ZERO))
        return condition


_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")


def _first_branching(formula: Expr) -> Apply | None:
    for node in walk(formula):
        if isinstance(node, Apply) and node.op in ("where", "sign"):
            return node
    return None
