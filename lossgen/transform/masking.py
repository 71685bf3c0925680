"""Leave dropped elements out of every reduction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from fractions import Fraction

from lossgen.ir.expr import ONE, ZERO, Apply, Axis, Expr, Number, div, neg, walk
from lossgen.ir.extent import COVERED, FULL, extents
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss
from lossgen.transform.safe_branches import unsafe_arguments

_FILL: dict[str, Expr] = {
    "sum": ZERO,
    "norm": ZERO,
    "l2_normalize": ZERO,
    "cumsum": ZERO,
    "amax": Apply("lowest", ()),
    "logsumexp": Apply("lowest", ()),
    "logcumsumexp": Apply("lowest", ()),
    "softmax": Apply("lowest", ()),
    "log_softmax": Apply("lowest", ()),
    "log1m_softmax": Apply("lowest", ()),
    "amin": Apply("highest", ()),
}
"""What takes the place of a dropped element, so that the result does not see it."""

_HARMLESS: dict[str, Expr] = {
    "softmax": Number(Fraction(1, 2)),
    "log_softmax": neg(ONE),
    "log1m_softmax": neg(ONE),
    "logcumsumexp": ZERO,
    "l2_normalize": Number(Fraction(1, 2)),
    "cumsum": ONE,
}
"""What is given for a dropped element by what gives one for each: with 0, or what the
fill made of it, a logarithm or a quotient further out would spoil the gradient."""

_FAR = ("log_softmax", "log1m_softmax", "logcumsumexp")
"""For a dropped element these give next to the most negative number that there is."""

_LEVEL = ("exp", "expm1", "stop_gradient")
"""Of what is far below 0 these have a slope of 0."""


def mask_reductions(
    expr: Expr, kept: Expr, loss: Loss, axes: Collection[Axis], filled: Axis | None
) -> Expr:
    """Rewrite operations along an axis to run over the kept elements only.

    Where an operation would have nothing to run over it runs over everything, so that
    its value is finite; what it meets further out leaves that value out in turn.

    Args:
        expr: The loss.
        kept: Where elements take part, true or false for each element.
        loss: Declares the symbols, for their extents.
        axes: The axes along which elements may be dropped one by one.
        filled: The axis along which ``kept`` is always true somewhere.
    """
    extent = extents(loss, expr)
    steep, curved = _decisive(expr, _poles), _decisive(expr, _curved)
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        if not isinstance(node, Apply):
            done[node] = node
            continue
        args = tuple(done[arg] for arg in node.args)
        if node.axis is None or node.axis not in axes:
            done[node] = Apply(node.op, args, node.axis)
            continue
        here = kept
        for axis, covered in COVERED.items():
            if len(covered) == 1 and not covered & extent[node.args[0]]:
                here = Apply("any", (here,), axis)
        gone = FULL - extent[node.args[0]] | COVERED[node.axis]
        if filled is None or not COVERED[filled] <= gone:
            here = Apply("filled", (here,), node.axis)
        if node.op == "mean":
            total = Apply("sum", (Apply("where", (here, args[0], ZERO)),), node.axis)
            done[node] = div(total, Apply("count", (here,), node.axis))
        else:
            value = Apply("where", (here, args[0], _FILL[node.op]))
            done[node] = Apply(node.op, (value,), node.axis)
            if node in (curved if node.op in _FAR else steep) and node.op in _HARMLESS:
                harmless = _HARMLESS[node.op]
                done[node] = Apply("where", (here, done[node], harmless))
    return done[expr]


def _decisive(expr: Expr, asked: Callable[[Apply], Collection[Expr]]) -> set[Expr]:
    """What arguments are made of, element by element, and these themselves.

    Args:
        expr: Where to look.
        asked: Tells which arguments of an operation.
    """
    found: set[Expr] = set()
    for node in reversed(list(walk(expr))):
        if isinstance(node, Apply) and node.axis is None:
            found.update(node.args if node in found else asked(node))
    return found


def _poles(node: Apply) -> list[Expr]:
    """The arguments at which an operation may have no finite slope; none is large."""
    if node.op in _LEVEL:
        return []
    return [node.args[index] for index in unsafe_arguments(node)]


def _curved(node: Apply) -> Collection[Expr]:
    """The arguments whose size the slope of an operation grows with."""
    smooth = node.op in FUNCTIONS and FUNCTIONS[node.op].kind is Kind.SMOOTH
    curved = node.op == "pow" or (smooth and node.op not in _LEVEL)
    return node.args if curved else _poles(node)
