"""Along which axes an expression varies."""

from __future__ import annotations

from lossgen.ir.expr import Apply, Axis, Expr, Role, Symbol, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss

Extent = frozenset[str]
"""A subset of ``{"batch", "spatial", "last"}``."""

SCALAR: Extent = frozenset()
FULL: Extent = frozenset({"batch", "spatial", "last"})

COVERED: dict[Axis, Extent] = {
    Axis.LAST: frozenset({"last"}),
    Axis.SPATIAL: frozenset({"spatial"}),
    Axis.SAMPLE: frozenset({"spatial", "last"}),
    Axis.BATCH: frozenset({"batch"}),
}
"""What each ``axis=`` runs over."""

COLLAPSING = frozenset(
    [row.op for row in FUNCTIONS.values() if row.kind is Kind.COLLAPSE]
    + ["count", "any"]
)


def extents(loss: Loss, *exprs: Expr) -> dict[Expr, Extent]:
    """The extent of every subexpression of ``exprs``.

    A collapsed axis, and one that an operand never had, is left out: the term has
    length 1 there and broadcasts; so is the last one of a channel of size 1 beside
    longer ones. Derived symbols vary along all axes.
    """
    found: dict[Expr, Extent] = {}
    for expr in exprs:
        for node in walk(expr):
            found[node] = _extent(node, found, loss)
    return found


def _extent(node: Expr, found: dict[Expr, Extent], loss: Loss) -> Extent:
    if isinstance(node, Symbol):
        if node.role is Role.SIZE:
            return SCALAR
        if node.role is Role.PARAMETER:
            return _PARAMETER[loss.variable(node.name).shape]
        return FULL - {"last"} if _is_narrow(node, loss) else FULL
    if not isinstance(node, Apply):
        return SCALAR
    if node.op == "take":
        return found[node.args[0]] - {"last"}
    joint = SCALAR.union(*(found[arg] for arg in node.args))
    if node.op in COLLAPSING and node.axis is not None:
        return joint - COVERED[node.axis]
    return joint


def _is_narrow(symbol: Symbol, loss: Loss) -> bool:
    """Whether a tensor has a last axis of 1, and another one more."""
    tensors = loss.of_role(Role.Y_TRUE, Role.Y_PRED)
    sizes = {item.name: item.size for item in tensors}
    return sizes.get(symbol.name) == 1 and set(sizes.values()) != {1}


_PARAMETER: dict[str, Extent] = {
    "scalar": SCALAR,
    "last": frozenset({"last"}),
    "elements": FULL,
}
