"""Sums over one-hot labels, as the entry that an integer label names."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction

from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Axis,
    Expr,
    Number,
    Role,
    Symbol,
    depends_on,
    rebuild,
    substitute,
    symbols,
    walk,
)
from lossgen.ir.extent import FULL, extents
from lossgen.ir.loss import Loss

LABELS = Symbol("labels", Role.DERIVED)
"""The integer labels of a sparse loss, in the names of the blocks."""


def take_labels(expr: Expr, loss: Loss) -> Expr:
    """Replace sums over one-hot y_true by the entry that the label names.

    ``sum(u, axis=last)`` with u = 0 wherever y_true is 0 is u at the label, with
    y_true = 1 there. What works along an axis sees more of y_true than one entry: where
    such a part of u has y_true in it, the sum is left to one-hot rows.
    """

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Apply) or (node.op, node.axis) != ("sum", Axis.LAST):
            return node
        (arg,) = node.args
        labels = [s for s in symbols(arg) if s.role is Role.Y_TRUE]
        if not labels or _with_label(arg, labels[0], ZERO) != ZERO:
            return node
        entry = _with_label(arg, labels[0], ONE)
        whole = extents(loss, entry)[entry] == FULL
        if not whole or depends_on(entry, Role.Y_TRUE):
            return node
        return Apply("take", (entry, LABELS))

    return rebuild(expr, visit)


def _with_label(expr: Expr, label: Expr, value: Expr) -> Expr:
    """An expression with a value for the label, but within what has an axis."""
    known: dict[Expr, Expr] = {label: value}
    for node in walk(expr):
        if isinstance(node, Apply) and node.axis is not None:
            known[node] = node
    return rebuild(substitute(expr, known), _decided)


def _decided(node: Expr) -> Expr:
    """A node without the conditions, or parts of them, that numbers alone decide."""
    if not isinstance(node, Apply):
        return node
    if node.op == "where":
        condition, then, otherwise = node.args
        holds = _truth(condition)
        return node if holds is None else then if holds else otherwise
    if node.op in ("and", "or"):
        left = [arg for arg in node.args if _truth(arg) is None]
        if 0 < len(left) < len(node.args) and _truth(node) is None:
            return left[0] if len(left) == 1 else Apply(node.op, tuple(left))
    return node


def _truth(condition: Expr) -> bool | None:
    """Whether a condition holds, None where that is not for numbers to say."""
    if not isinstance(condition, Apply):
        return None
    if condition.op in _COMPARISONS:
        left, right = condition.args
        if isinstance(left, Number) and isinstance(right, Number):
            return _COMPARISONS[condition.op](left.value, right.value)
        return None
    parts = [_truth(arg) for arg in condition.args]
    if condition.op == "not":
        return None if parts[0] is None else not parts[0]
    decisive = {"and": False, "or": True}.get(condition.op)
    if decisive is None:
        return None
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


_COMPARISONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}
