"""Whether the last axes of the operands fit one another."""

from __future__ import annotations

from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Apply, Axis, Expr, Role, Symbol, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss, Size

_ONE: Size = 1
_ANY = "*"  # a parameter: broadcasts against whatever it meets


def check_sizes(loss: Loss, report: Report) -> None:
    """Report operands whose last axes have different lengths.

    A length is 1 (collapsed, or a scalar), a declared number or name, or that of the
    whole tensor (None).
    """
    sizes: dict[Expr, Size] = {}
    mask = () if loss.mask is None else (loss.mask,)
    for expr in (loss.expression, *mask, *loss.assume):
        for node in walk(expr):
            sizes[node] = _size(node, sizes, loss, report)


def _size(node: Expr, sizes: dict[Expr, Size], loss: Loss, report: Report) -> Size:
    if isinstance(node, Symbol) and node.role in (Role.Y_TRUE, Role.Y_PRED):
        return loss.variable(node.name).size
    if isinstance(node, Symbol) and node.role is Role.PARAMETER:
        return _ONE if loss.variable(node.name).shape == "scalar" else _ANY
    if not isinstance(node, Apply):
        return _ONE
    if FUNCTIONS[node.op].kind is Kind.COLLAPSE:
        collapsed = node.axis in (Axis.LAST, Axis.SAMPLE)
        return _ONE if collapsed else sizes[node.args[0]]
    found: list[Size] = []
    for arg in node.args:
        if sizes[arg] not in (_ONE, _ANY) and sizes[arg] not in found:
            found.append(sizes[arg])
    if len(found) > 1:
        named = [_spelt(size) for size in found]
        report.add(
            "LG214",
            f"last axes of different lengths meet here: {named[0]} and {named[1]}",
            node.span,
            help="declare the sizes, e.g. `y_true: {size: 1}` to broadcast y_true",
        )
    if found:
        return found[0]
    return _ANY if any(sizes[arg] == _ANY for arg in node.args) else _ONE


def _spelt(size: Size) -> str:
    return "that of the tensor" if size is None else str(size)
