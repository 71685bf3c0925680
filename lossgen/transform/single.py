"""Operations along an axis that their argument does not have, or has alone."""

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
    symbols,
    walk,
)
from lossgen.ir.extent import COVERED, extents
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
        ("sum", "mean", "amax", "amin", "logsumexp", "cumsum"), lambda u: u
    ),
    "norm": lambda u: apply("abs", u),
    "l2_normalize": lambda u: div(u, apply("abs", u)),
    "softmax": lambda u: ONE,
    "log_softmax": lambda u: ZERO,
}
"""What operations make of a single element."""
