"""Whether the last axes of the operands fit one another."""

from __future__ import annotations

from dataclasses import replace

from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Apply, Axis, Expr, Role, Symbol, symbols, walk
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
    if not report.has_errors:
        _check_known(loss, report)


def with_parameter_sizes(loss: Loss) -> Loss:
    """The loss with the sizes of its tensor parameters, where they are declared.

    It is that of the first operand which the parameter meets.
    """
    sizes: dict[Expr, Size] = {}
    met: dict[str, Size] = {}
    for node in walk(loss.expression):
        sizes[node] = _size(node, sizes, loss, Report())
        if isinstance(node, Apply) and FUNCTIONS[node.op].kind is Kind.COLLAPSE:
            continue
        for arg in node.children:
            if sizes[arg] == _ANY and sizes[node] != _ANY:
                for symbol in symbols(arg):
                    met.setdefault(symbol.name, sizes[node])
    variables = tuple(
        replace(item, size=met[item.name])
        if item.shape in ("last", "elements") and item.name in met
        else item
        for item in loss.variables
    )
    return replace(loss, variables=variables)


def _check_known(loss: Loss, report: Report) -> None:
    """Report sizes that the lengths of the tensors do not tell."""
    true, pred = (_names(loss, role) for role in (Role.Y_TRUE, Role.Y_PRED))
    spans = {Role.Y_TRUE: loss.spec.y_true.span, Role.Y_PRED: loss.spec.y_pred.span}
    # The mask is worked out from y_true alone.
    alone = [] if loss.mask is None else [{Role.Y_TRUE: true}]
    for tensors in (*alone, {Role.Y_TRUE: true, Role.Y_PRED: pred}):
        known: set[str] = set()
        for names in (*tensors.values(), *tensors.values()):
            if len(names.keys() - known) == 1:
                known |= names.keys()
        for role, names in tensors.items():
            unknown = [f"`{name}`" for name in names if name not in known]
            if unknown:
                message = f"nothing tells the sizes {' and '.join(unknown)} apart"
                remedy = "make one of them a number, or a single size of the other one"
                report.add("LG214", message, spans[role], help=remedy)


def _names(loss: Loss, role: Role) -> dict[str, None]:
    sizes = (item.size for item in loss.of_role(role))
    return {size: None for size in sizes if isinstance(size, str)}


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
