"""Partial derivatives of expression trees by one component, in reverse mode.

`differentiate` has the derivative along a direction; here it is the derivative by the
element at hand, of a formula in which elements act on one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lossgen.calculus.differentiate import partial_derivatives
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Axis,
    Expr,
    Symbol,
    add,
    div,
    mul,
    neg,
    sub,
    walk,
)
from lossgen.ir.extent import COVERED, Extent, extents
from lossgen.ir.functions import CONDITIONS
from lossgen.ir.loss import Loss

_Flow = tuple[Expr, Expr]
"""An argument, and the adjoint that it is handed."""


class NoPartialError(ArithmeticError):
    """An operation has no rule here."""


def partial_derivative(expr: Expr, symbol: Symbol, loss: Loss) -> Expr:
    """The derivative by one component, of the sum of the expression's elements.

    Reductions in the result run over elements as those of ``expr`` do; what stands
    outside of them is taken at the component.

    Args:
        expr: What to differentiate.
        symbol: The tensor that the component belongs to.
        loss: Declares the symbols, for their extents.

    Raises:
        NoPartialError: If an operation has no rule.
    """
    extent = extents(loss, expr)
    moving: dict[Expr, None] = {symbol: None}
    for node in walk(expr):
        if isinstance(node, Apply) and any(arg in moving for arg in node.args):
            moving[node] = None
    flows: dict[Expr, list[Expr]] = {expr: [ONE]}
    for node in reversed(tuple(walk(expr))):
        flow = add(*flows.get(node, ()))
        if flow == ZERO or not isinstance(node, Apply) or node.op in CONDITIONS:
            continue
        for arg, part in _pulled(node, flow):
            if arg in moving and part != ZERO:
                across = extent[node] - extent[arg]
                flows.setdefault(arg, []).append(_gathered(part, node, across, loss))
    return add(*flows.get(symbol, ()))


def _pulled(node: Apply, flow: Expr) -> Iterator[_Flow]:
    """What each argument is handed of a node's adjoint."""
    if node.op == "stop_gradient":
        return
    if node.axis is not None:
        rule = _AXIS_RULES.get(node.op)
        if rule is None:
            raise NoPartialError
        yield node.args[0], rule(node, flow)
    elif node.op == "add":
        yield from ((arg, flow) for arg in node.args)
    elif node.op == "mul":
        for index, arg in enumerate(node.args):
            yield arg, mul(flow, *node.args[:index], *node.args[index + 1 :])
    elif node.op == "div":
        # The quotient stays whole, since its range is known best.
        yield node.args[0], div(flow, node.args[1])
        yield node.args[1], neg(div(mul(flow, node), node.args[1]))
    elif node.op == "where":
        condition, then, otherwise = node.args
        yield then, Apply("where", (condition, flow, ZERO))
        yield otherwise, Apply("where", (condition, ZERO, flow))
    elif node.op in ("max", "min"):
        yield from _extremum(node, flow)
    else:
        try:
            partials = partial_derivatives(node)
        except KeyError:
            raise NoPartialError from None
        yield from (
            (arg, mul(flow, partial))
            for arg, partial in zip(node.args, partials, strict=True)
        )


def _extremum(node: Apply, flow: Expr) -> Iterator[_Flow]:
    """All to the argument that attains the extremum."""
    compare = "ge" if node.op == "max" else "le"
    for index, arg in enumerate(node.args):
        rest = (*node.args[:index], *node.args[index + 1 :])
        other = rest[0] if len(rest) == 1 else Apply(node.op, rest)
        yield arg, Apply("where", (Apply(compare, (arg, other)), flow, ZERO))


# Along axes ---------------------------------------------------------------------------


def _gathered(flow: Expr, node: Apply, across: Extent, loss: Loss) -> Expr:
    """The adjoint of what was broadcast along some axes: the sum over them."""
    for axis in _axes(across):
        flow = _summed(flow, node, axis, loss)
    return flow


def _axes(across: Extent) -> Iterator[Axis]:
    """The axes that together run over an extent."""
    if across >= COVERED[Axis.SAMPLE]:
        yield Axis.SAMPLE
        across -= COVERED[Axis.SAMPLE]
    yield from (axis for axis in (Axis.LAST, Axis.SPATIAL) if COVERED[axis] <= across)
    if COVERED[Axis.BATCH] <= across:
        yield Axis.BATCH


def _summed(flow: Expr, node: Apply, axis: Axis, loss: Loss) -> Expr:
    """The sum, what is the same for all elements taken out of it.

    A factor 1/n for the n elements makes it a mean.
    """
    top, bottom = _quotient(flow)
    above, below = _factors(top), _factors(bottom)
    extent = extents(loss, *above, *below)
    inner, outer = (
        [
            [item for item in group if bool(extent[item] & COVERED[axis]) is varies]
            for group in (above, below)
        ]
        for varies in (True, False)
    )
    operation = "sum"
    for item in outer[1]:
        if _is_length(item, axis):
            outer[1].remove(item)
            operation = "mean"
            break
    element = div(mul(*inner[0]), mul(*inner[1]))
    if not inner[0] and not inner[1]:
        if operation == "mean":
            total: Expr = ONE
        else:
            total = length(node, axis)
    else:
        total = Apply(operation, (element,), axis)
    return div(mul(*outer[0], total), mul(*outer[1]))


def _quotient(expr: Expr) -> tuple[Expr, Expr]:
    if isinstance(expr, Apply) and expr.op == "div":
        return expr.args[0], expr.args[1]
    return expr, ONE


def _factors(expr: Expr) -> tuple[Expr, ...]:
    return expr.args if isinstance(expr, Apply) and expr.op == "mul" else (expr,)


def length(node: Expr, axis: Axis | None) -> Expr:
    """How many elements a node has along an axis."""
    return Apply("sum", (Apply("ones_like", (node,)),), axis)


def _is_length(expr: Expr, axis: Axis) -> bool:
    return (
        isinstance(expr, Apply)
        and (expr.op, expr.axis) == ("sum", axis)
        and isinstance(expr.args[0], Apply)
        and expr.args[0].op == "ones_like"
    )


def _attained(node: Apply, flow: Expr) -> Expr:
    """All to the element that attains the extremum; ties are of no account."""
    return Apply("where", (Apply("eq", (node.args[0], node)), flow, ZERO))


def _total(flow: Expr, node: Apply) -> Expr:
    assert node.axis is not None
    return Apply("sum", (flow,), node.axis)


_AXIS_RULES: dict[str, Callable[[Apply, Expr], Expr]] = {
    "sum": lambda node, flow: flow,
    "mean": lambda node, flow: div(flow, length(node.args[0], node.axis)),
    "amax": _attained,
    "amin": _attained,
    "logsumexp": lambda node, flow: mul(flow, Apply("softmax", node.args, node.axis)),
    "norm": lambda node, flow: mul(flow, Apply("l2_normalize", node.args, node.axis)),
    "softmax": lambda node, flow: mul(node, sub(flow, _total(mul(node, flow), node))),
    "log_softmax": lambda node, flow: sub(
        flow, mul(Apply("softmax", node.args, node.axis), _total(flow, node))
    ),
    "l2_normalize": lambda node, flow: div(
        sub(flow, mul(node, _total(mul(node, flow), node))),
        Apply("norm", node.args, node.axis),
    ),
}
