"""Whether the branches of an operation meet, whatever stands around it.

A branch on ``u``, any formula of y_pred, that is continuous in ``u`` is continuous in
y_pred: ``u**2/2 if abs(u) <= 1 else abs(u) - 1/2`` need not be solved for y_pred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import copysign, inf

from lossgen.analysis.breaks import breaks_at
from lossgen.analysis.guards import guards
from lossgen.analysis.intervals import End
from lossgen.analysis.ranges import Ranges
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.expr import (
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    depends_on,
    replace_nodes,
    walk,
)
from lossgen.ir.functions import CONDITIONS
from lossgen.ir.loss import Loss, Variable

_INNER = Symbol("y_pred.inner", Role.Y_PRED)


def meets_alone(loss: Loss, node: Apply) -> bool:
    """Whether a branching operation by itself is shown to jump nowhere.

    Args:
        loss: Its inputs and assumptions.
        node: The operation.
    """
    return any(_is_continuous(part) for part in _parts(loss, node))


def _parts(loss: Loss, node: Apply) -> Iterator[Loss]:
    """The operation as a function of what it depends on y_pred by, and of y_pred."""
    inner = _inner(node)
    if inner is not None:
        expression = replace_nodes(node, {inner: _INNER})
        values = Ranges.of_loss(loss).of(inner)
        domain = Domain(
            DomainKind.INTERVAL,
            _bound(values.lower, values.lower_open),
            _bound(values.upper, values.upper_open),
            "inner",
        )
        others = loss.of_role(Role.Y_TRUE, Role.PARAMETER, Role.SIZE)
        variables = (*others, Variable(_INNER, domain, "elements"))
        kept = tuple(x for x in loss.assume if not depends_on(x, Role.Y_PRED))
        yield replace(loss, expression=expression, variables=variables, assume=kept)
    yield replace(loss, expression=node)


def _inner(node: Apply) -> Expr | None:
    """The largest formula that an operation depends on y_pred by alone."""
    condition = node.args[0]
    for inner in reversed(tuple(walk(condition))):
        if isinstance(inner, Apply) and inner.op not in CONDITIONS:
            left = replace_nodes(node, {inner: _INNER})
            symbols = {item for item in walk(left) if isinstance(item, Symbol)}
            moving = {item for item in symbols if item.role is Role.Y_PRED}
            if moving == {_INNER}:
                return inner
    return None


def _bound(end: End, is_open: bool) -> Bound:
    if isinstance(end, Fraction):
        return Bound(Number(end), float(end), is_open)
    return Bound(None, copysign(inf, end), True)


def _is_continuous(loss: Loss) -> bool:
    for guard in guards(loss.expression, Ranges.of_loss(loss)):
        if guard.node != loss.expression:
            continue
        for variable in loss.of_role(Role.Y_PRED):
            if variable.symbol in set(walk(guard.difference)):
                for item in breaks_at(loss, guard, variable, Report()):
                    if item is None or item.kink.order == 0:
                        return False
    return True
