"""Leave masked elements out of every reduction."""

from __future__ import annotations

from lossgen.ir.expr import ZERO, Apply, Expr, div, walk
from lossgen.ir.extent import COVERED, extents
from lossgen.ir.loss import Loss

_FILL: dict[str, Expr] = {
    "sum": ZERO,
    "norm": ZERO,
    "l2_normalize": ZERO,
    "cumsum": ZERO,
    "amax": Apply("lowest", ()),
    "logsumexp": Apply("lowest", ()),
    "softmax": Apply("lowest", ()),
    "log_softmax": Apply("lowest", ()),
    "amin": Apply("highest", ()),
}
"""What takes the place of a dropped element, so that the result does not see it."""


def mask_reductions(expr: Expr, kept: Expr, loss: Loss) -> Expr:
    """Rewrite every operation along an axis to run over the kept elements only.

    Args:
        expr: The loss.
        kept: Where elements take part, true or false for each element.
        loss: Declares the symbols, for their extents.
    """
    extent = extents(loss, expr)
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        if not isinstance(node, Apply):
            done[node] = node
            continue
        args = tuple(done[arg] for arg in node.args)
        if node.axis is None:
            done[node] = Apply(node.op, args, None)
            continue
        here = kept
        for axis, covered in COVERED.items():
            if len(covered) == 1 and not covered & extent[node.args[0]]:
                here = Apply("any", (here,), axis)
        if node.op == "mean":
            total = Apply("sum", (Apply("where", (here, args[0], ZERO)),), node.axis)
            done[node] = div(total, Apply("count", (here,), node.axis))
        else:
            filled = Apply("where", (here, args[0], _FILL[node.op]))
            done[node] = Apply(node.op, (filled,), node.axis)
    return done[expr]
