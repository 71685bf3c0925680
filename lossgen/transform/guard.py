"""Hold predictions inside the open ends of their domain.

Up to the guard points the formula is exact. At an end, and beyond it, the loss has the
value and the slope of the guard point: gradients pass through what holds a prediction
there, where clipping alone would make them 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from lossgen.analysis.obligations import obligations
from lossgen.ir.domain import Bound, DomainKind
from lossgen.ir.expr import ONE, Apply, Expr, Number, Role, Symbol, add, replace_nodes
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
    point = "either point" if guard.low and guard.high else "this point"
    return f"Beyond {point}, value and gradient are those at it."


def guards(loss: Loss) -> tuple[Guard, ...]:
    """Where the predictions of a loss are to be held."""
    return tuple(_guards(loss))


def _guards(loss: Loss) -> Iterator[Guard]:
    epsilon = loss.spec.epsilon
    for variable in loss.of_role(Role.Y_PRED):
        domain = variable.domain
        low = _point(domain.lower, +1, epsilon)
        high = _point(domain.upper, -1, epsilon)
        if domain.kind is DomainKind.SIMPLEX and _is_regular_at_one(variable, loss):
            high = None
        if low is not None or high is not None:
            yield Guard(variable.symbol, low, high)


def _is_regular_at_one(variable: Variable, loss: Loss) -> bool:
    """Whether the formula is proved to stay finite where a class has everything.

    The simplex ends where the other components are 0, and they are guarded there; 1
    needs a guard only if the formula itself breaks down at it.
    """
    domain = replace(variable.domain, upper=Bound(ONE, 1.0, False))
    closed = replace(variable, domain=domain)
    variables = tuple(closed if v is variable else v for v in loss.variables)
    return all(item.proved for item in obligations(replace(loss, variables=variables)))


def _point(bound: Bound, inward: int, epsilon: float | None) -> Expr | None:
    if bound.value is None or not bound.open:
        return None
    if epsilon is not None:
        return add(bound.value, Number(inward * Fraction(repr(epsilon))))
    if bound.rational == 0:
        return Number(inward * _AT_ZERO)
    return Apply("above" if inward > 0 else "below", (bound.value,))
