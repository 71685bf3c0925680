"""Hold predictions inside the open ends of their domain.

Up to the guard points the formula is exact. At an end, and beyond it, the loss has the
value and the slope of the guard point: gradients pass through what holds a prediction
there, where clipping alone would make them 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf

from lossgen.analysis.obligations import obligations
from lossgen.ir.definitions import defined
from lossgen.ir.domain import Bound, DomainKind
from lossgen.ir.expr import (
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    replace_nodes,
    symbols,
    walk,
)
from lossgen.ir.functions import FUNCTIONS
from lossgen.ir.local_names import channel_names
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Assign, Guard

_AT_ZERO = Fraction(1, 10**18)
"""The guard point at an end at 0; its square is still a normal float32."""


@dataclass(frozen=True)
class Guarded:
    """A guarded expression, what it needs first, and what became of each input."""

    assignments: tuple[Assign, ...]
    expression: Expr
    renamed: dict[Expr, Expr]


def guarded(expr: Expr, loss: Loss, guards: tuple[Guard, ...]) -> Guarded:
    """Hold each prediction of ``expr`` between its guard points.

    A prediction that is held keeps its name.
    """
    names = channel_names(loss)
    assignments: list[Assign] = []
    renamed: dict[Expr, Expr] = {}
    for guard in guards:
        prediction = guard.prediction
        held = Symbol(names[prediction.name], Role.DERIVED)
        renamed[prediction] = held
        value = Apply("guarded", (prediction, guard.clip))
        assignments.append(Assign(held, value, _comment(guard)))
    return Guarded(tuple(assignments), replace_nodes(expr, renamed), renamed)


def _comment(guard: Guard) -> str:
    both = guard.low is not None and guard.high is not None
    point = "either point" if both else "this point"
    return f"Beyond {point}, value and gradient are those at it."


def guards(loss: Loss, form: Expr) -> tuple[Guard, ...]:
    """Where predictions are to be held, as close to the open ends as may be.

    An end needs no guard if formula and form are defined at it and beyond. If they are
    defined at it alone, predictions are held at the end itself.

    Args:
        loss: The author's formula, and ``epsilon``.
        form: What is computed for it.
    """
    found: list[Guard] = []
    known = loss  # on the domain that it has been shown to be defined on
    for variable in loss.of_role(Role.Y_PRED):
        points: list[Expr | None] = []
        for inward in (1, -1):
            own = known.variable(variable.name)
            bound = own.domain.lower if inward > 0 else own.domain.upper
            point = None
            if bound.value is not None and bound.open:
                known, point = _held(known, own, inward, form)
            points.append(point)
        if any(point is not None for point in points):
            found.append(Guard(variable.symbol, *points))
    return tuple(found)


def _held(
    loss: Loss, variable: Variable, inward: int, form: Expr
) -> tuple[Loss, Expr | None]:
    """A loss on as large a domain as it is defined on, and the guard point."""
    domain = variable.domain
    bound = domain.lower if inward > 0 else domain.upper
    assert bound.value is not None
    beyond = _ending(loss, variable, Bound(None, -inward * inf, True), inward)
    if _is_defined(beyond, form):
        return beyond, None
    closed = _ending(loss, variable, replace(bound, open=False), inward)
    at_it = _is_defined(closed, form)
    if at_it and domain.kind is DomainKind.SIMPLEX and inward < 0:
        return closed, None  # the others are held at 0
    epsilon = loss.spec.epsilon
    if epsilon is not None:
        return loss, add(bound.value, Number(inward * Fraction(repr(epsilon))))
    if at_it:
        return closed, bound.value
    if bound.rational == 0:
        return loss, Number(inward * _AT_ZERO)
    return loss, Apply("above" if inward > 0 else "below", (bound.value,))


def _ending(loss: Loss, variable: Variable, bound: Bound, inward: int) -> Loss:
    """The loss with another end of the domain of a prediction."""
    domain = variable.domain
    kind = domain.kind if bound.value is not None else DomainKind.INTERVAL
    lower, upper = (bound, domain.upper) if inward > 0 else (domain.lower, bound)
    domain = replace(domain, kind=kind, lower=lower, upper=upper)
    moved = replace(variable, domain=domain)
    variables = tuple(
        moved if item.name == variable.name else item for item in loss.variables
    )
    # What is assumed of a prediction holds inside its domain.
    assume = tuple(c for c in loss.assume if variable.symbol not in symbols(c))
    return replace(loss, variables=variables, assume=assume)


def _is_defined(loss: Loss, form: Expr) -> bool:
    """Whether formula and form, with their derivatives, are proved to be defined."""
    slopes = [
        arg
        for node in walk(form)
        if isinstance(node, Apply) and node.op == "with_slopes"
        for arg in node.args
    ]
    parts = {loss.expression: None, **dict.fromkeys(map(defined, (form, *slopes)))}
    return all(
        _is_of_the_language(part)
        and all(item.proved for item in obligations(replace(loss, expression=part)))
        for part in parts
    )


def _is_of_the_language(expr: Expr) -> bool:
    """Whether what operations need is known of all of them."""
    return all(node.op in FUNCTIONS for node in walk(expr) if isinstance(node, Apply))
