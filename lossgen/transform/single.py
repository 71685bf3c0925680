"""Operations along an axis that their argument does not have, or loses by folding."""

from __future__ import annotations

from collections.abc import Callable

from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Axis,
    Expr,
    Role,
    apply,
    div,
    mul,
    sub,
    symbols,
    walk,
)
from lossgen.ir.extent import COVERED, SCALAR, Extent, extents
from lossgen.ir.loss import Loss


def without_single(expr: Expr, loss: Loss) -> Expr:
    """Leave out operations along axes of length 1.

    A parameter has fewer axes than the tensors: a number has none, and one value per
    class only the last one, which is then all that a sample has.
    """
    extent = extents(loss, expr)
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        done[node] = node
        if not isinstance(node, Apply):
            continue
        args = tuple(done[arg] for arg in node.args)
        axis = node.axis
        done[node] = Apply(node.op, args, axis)
        if axis is None:
            continue
        if not COVERED[axis] & extent[node.args[0]] and node.op in _ALONE:
            done[node] = _ALONE[node.op](*args)
        elif axis is Axis.SAMPLE and _is_row(args[0], loss):
            done[node] = Apply(node.op, args, Axis.LAST)
    return done[expr]


def _is_row(expr: Expr, loss: Loss) -> bool:
    """Whether an expression has no axis but the last."""
    return all(
        symbol.role is Role.SIZE
        or (
            symbol.role is Role.PARAMETER
            and loss.variable(symbol.name).shape != "elements"
        )
        for symbol in symbols(expr)
    )


_ALONE: dict[str, Callable[[Expr], Expr]] = {
    **dict.fromkeys(
        ("sum", "mean", "amax", "amin", "logsumexp", "cumsum", "logcumsumexp"),
        lambda u: u,
    ),
    "norm": lambda u: apply("abs", u),
    "l2_normalize": lambda u: div(u, apply("abs", u)),
    "softmax": lambda u: ONE,
    "log_softmax": lambda u: ZERO,
}
"""What operations make of a single element."""


def with_lengths(expr: Expr, loss: Loss) -> Expr:
    """Keep the length of an axis where folding would lose it.

    ``sum(1 + 0*y_true, axis=last)`` counts elements, and 1 alone has none to count.
    """
    extent = extents(loss, expr)
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        done[node] = node
        if not isinstance(node, Apply):
            continue
        args = tuple(done[arg] for arg in node.args)
        if args != node.args:
            done[node] = Apply(node.op, args, node.axis)
        if node.axis is None or node.op in ("mean", "amax", "amin"):
            continue
        (arg,) = done[node].children
        value, lost = _folded(arg, extent[node.args[0]], loss)
        if COVERED[node.axis] & lost:
            ones = _ones(arg, extent[node.args[0]], loss)
            done[node] = _of_alike(node, value, ones)
    value, lost = _folded(done[expr], extent[expr], loss)
    return mul(value, _ones(expr, extent[expr], loss)) if lost else done[expr]


def _ones(expr: Expr, extent: Extent, loss: Loss) -> Expr:
    """A 1 for each element of an expression with that extent."""
    ones: Expr = ONE
    reached = SCALAR
    for symbol in symbols(expr):
        reach = extents(loss, symbol)[symbol]
        if reach & extent - reached:
            ones = mul(ones, Apply("ones_like", (symbol,)))
            reached |= reach
    for axis in (Axis.LAST, Axis.SPATIAL, Axis.BATCH):
        if COVERED[axis] <= reached - extent:
            ones = Apply("amax", (ones,), axis)
    return ones


def _of_alike(node: Apply, value: Expr, ones: Expr) -> Expr:
    """An operation along an axis of which all elements are alike."""
    if value != ZERO:
        return Apply(node.op, (mul(value, ones),), node.axis)
    found = Apply(node.op, (ones,), node.axis)
    if node.op in ("softmax", "log_softmax"):
        return found
    return sub(found, ONE) if node.op == "logsumexp" else ZERO


def _folded(expr: Expr, extent: Extent, loss: Loss) -> tuple[Expr, Extent]:
    """An expression as it is computed, and the axes that it no longer has."""
    done: dict[Expr, Expr] = {}
    for node in walk(without_single(expr, loss)):
        done[node] = node
        if isinstance(node, Apply):
            done[node] = apply(
                node.op, *(done[arg] for arg in node.args), axis=node.axis
            )
        last = done[node]
    return last, extent - extents(loss, last)[last]
