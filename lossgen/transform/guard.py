"""Continue a loss linearly beyond the open ends of the prediction's domain.

Inside the guard points the formula is exact. Beyond them the loss is
``f(g) + f'(g)*(p - g)``: the gradient is the true derivative at the guard point, finite
and pointing back, where clipping alone would make it 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from lossgen.analysis.obligations import obligations
from lossgen.calculus.differentiate import directional_derivative
from lossgen.ir.domain import Bound, DomainKind
from lossgen.ir.expr import (
    ONE,
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    mul,
    substitute,
    symbols,
    tree_size,
)
from lossgen.ir.local_names import fresh
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Assign
from lossgen.transform.parts import elementwise_parts

_AT_ZERO = Fraction(1, 10**18)
"""The guard point at an end at 0; its square is still a normal float32."""


_SHORT = 6
"""Slopes of more nodes than this get a name."""


@dataclass(frozen=True)
class Guarded:
    """A guarded expression, what it needs first, and what became of each input.

    ``slopes`` names terms that get a name of their own, ``hints`` terms that get one
    where they are used twice.
    """

    assignments: tuple[Assign, ...]
    expression: Expr
    renamed: dict[Expr, Expr]
    slopes: dict[Expr, str]
    hints: dict[Expr, str]


def guard(expr: Expr, loss: Loss, taken: set[str]) -> Guarded:
    """Make ``expr`` linear beyond the guard points of each prediction.

    Args:
        expr: The loss, in a form that is stable inside the domain.
        loss: Declares the domains and ``epsilon``.
        taken: Names that cannot be given; grows by those that are.
    """
    assignments: list[Assign] = []
    renamed: dict[Expr, Expr] = {}
    excess: dict[Expr, Expr] = {}
    hints: dict[Expr, str] = {}
    for variable in loss.of_role(Role.Y_PRED):
        inside = _inside(variable, loss)
        if inside is None:
            continue
        suffix = f"_{variable.channel}" if variable.channel else ""
        clipped = Symbol(fresh(f"guarded{suffix}", taken), Role.DERIVED)
        beyond = Symbol(fresh(f"excess{suffix}", taken), Role.DERIVED)
        renamed[variable.symbol], excess[clipped] = clipped, beyond
        hints[_fixed(clipped)] = f"fixed{suffix}"
        assignments.append(Assign(clipped, inside, _comment(variable, inside)))
        assignments.append(Assign(beyond, add(variable.symbol, _minus(clipped))))
    if not renamed:
        return Guarded((), expr, {}, {}, {})
    exact = substitute(expr, renamed)
    slopes: dict[Expr, str] = {}
    extended = _extended(exact, excess, loss, slopes)
    return Guarded(tuple(assignments), extended, renamed, slopes, hints)


def _fixed(clipped: Expr) -> Expr:
    return Apply("stop_gradient", (clipped,))


def _minus(expr: Expr) -> Expr:
    return Apply("neg", (expr,))


def _comment(variable: Variable, inside: Expr) -> str:
    """Names the ends; ``inside`` shows which of them are guarded."""
    domain = variable.domain
    ends = {"clip": (domain.lower, domain.upper), "max": (domain.lower,)}
    assert isinstance(inside, Apply)
    words = [f"{end.approx:g}" for end in ends.get(inside.op, (domain.upper,))]
    return f"Closer to {' or '.join(words)} than this the loss goes on linearly."


def _inside(variable: Variable, loss: Loss) -> Expr | None:
    domain, epsilon = variable.domain, loss.spec.epsilon
    lower = _guard_point(domain.lower, +1, epsilon)
    upper = _guard_point(domain.upper, -1, epsilon)
    if domain.kind is DomainKind.SIMPLEX and _is_regular_at_one(variable, loss):
        upper = None
    if lower is not None and upper is not None:
        return Apply("clip", (variable.symbol, lower, upper))
    if lower is not None:
        return Apply("max", (variable.symbol, lower))
    if upper is not None:
        return Apply("min", (variable.symbol, upper))
    return None


def _is_regular_at_one(variable: Variable, loss: Loss) -> bool:
    """Whether the formula is proved to stay finite where a class has everything.

    The simplex ends where the other components are 0, and they are guarded there; 1
    needs a guard only if the formula itself breaks down at it.
    """
    domain = replace(variable.domain, upper=Bound(ONE, 1.0, False))
    closed = replace(variable, domain=domain)
    variables = tuple(closed if v is variable else v for v in loss.variables)
    return all(item.proved for item in obligations(replace(loss, variables=variables)))


def _guard_point(bound: Bound, inward: int, epsilon: float | None) -> Expr | None:
    if bound.value is None or not bound.open:
        return None
    if epsilon is not None:
        return add(bound.value, Number(inward * Fraction(repr(epsilon))))
    if bound.rational == 0:
        return Number(inward * _AT_ZERO)
    return Apply("above" if inward > 0 else "below", (bound.value,))


def _extended(
    expr: Expr, excess: dict[Expr, Expr], loss: Loss, slopes: dict[Expr, str]
) -> Expr:
    """Add the linear part, inside the reductions where the loss is linear in them."""
    parts = elementwise_parts(expr, set(excess))
    places = {
        part: Symbol(f"?{index}", Role.DERIVED) for index, part in enumerate(parts)
    }
    steps = {
        places[part]: Symbol(f"?step{index}", Role.DERIVED)
        for index, part in enumerate(parts)
    }
    linear: dict[Expr, Expr] = {}
    for part in parts:
        terms = []
        for symbol, beyond in excess.items():
            slope = _held(_slope(part, symbol, loss), symbol, loss)
            terms.append(mul(slope, beyond))
            if isinstance(slope, Apply) and tree_size(slope) > _SHORT:
                slopes[slope] = _named("slope", symbol)
        linear[part] = add(*terms)
    outer = substitute(expr, places)
    change = directional_derivative(outer, dict(steps), loss)
    if not set(symbols(change)) & set(places.values()):
        return substitute(
            outer, {places[part]: add(part, linear[part]) for part in parts}
        )
    values: dict[Expr, Expr] = {places[part]: part for part in parts}
    moves: dict[Expr, Expr] = {steps[places[part]]: linear[part] for part in parts}
    return add(expr, substitute(change, {**values, **moves}))


def _named(word: str, clipped: Expr) -> str:
    """``slope_scale`` where the prediction is ``guarded_scale``, else ``slope``."""
    assert isinstance(clipped, Symbol)
    return clipped.name.replace("guarded", word, 1)


def _slope(part: Expr, symbol: Expr, loss: Loss) -> Expr:
    assert isinstance(symbol, Symbol)
    return directional_derivative(part, {symbol: ONE}, loss)


def _held(slope: Expr, symbol: Expr, loss: Loss) -> Expr:
    """The slope as a constant of the guarded prediction.

    What multiplies it is 0 wherever the prediction moves, but its own derivative can
    overflow there, and 0 times infinity is NaN.
    """
    if not symbols(slope):
        return slope
    moving = {Role.Y_PRED, Role.DERIVED, Role.PARAMETER}
    if loss.spec.y_true.gradient:
        moving.add(Role.Y_TRUE)
    shared = any(other != symbol and other.role in moving for other in symbols(slope))
    if shared or tree_size(slope) <= _SHORT or loss.spec.y_true.sparse:
        return substitute(slope, {symbol: _fixed(symbol)})
    return Apply("stop_gradient", (slope,))
