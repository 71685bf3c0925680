"""Continue a loss linearly beyond the open ends of the prediction's domain.

Inside the guard points the formula is exact. Beyond them the loss is
``f(g) + f'(g)*(p - g)``: the gradient is the true derivative at the guard point, finite
and pointing back, where clipping alone would make it 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from lossgen.analysis.obligations import obligations
from lossgen.analysis.overflow import stays_finite
from lossgen.calculus.differentiate import directional_derivative
from lossgen.ir.domain import Bound, DomainKind
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    div,
    mul,
    rebuild,
    replace_nodes,
    substitute,
    symbols,
    tree_size,
)
from lossgen.ir.local_names import fresh
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Assign
from lossgen.transform.inner_points import inner_point
from lossgen.transform.naming import local_name
from lossgen.transform.parts import elementwise_parts

_AT_ZERO = Fraction(1, 10**18)
"""The guard point at an end at 0; its square is still a normal float32."""


_SHORT = 6
"""Slopes of more nodes than this get a name."""

_REACH = 1e18
"""Slopes may not overflow for inputs up to this where nothing is to be continued."""


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
    moved: list[_Moved] = []
    hints: dict[Expr, str] = {}
    for variable in loss.of_role(Role.Y_PRED):
        inside = _inside(variable, loss)
        if inside is None:
            continue
        suffix = f"_{variable.channel}" if variable.channel else ""
        clipped = Symbol(fresh(f"guarded{suffix}", taken), Role.DERIVED)
        beyond = Symbol(fresh(f"excess{suffix}", taken), Role.DERIVED)
        renamed[variable.symbol] = clipped
        moved.append(_Moved(variable, clipped, beyond, inside))
        assignments.append(Assign(clipped, inside, _comment(variable, inside)))
        assignments.append(Assign(beyond, add(variable.symbol, _minus(clipped))))
    if not renamed:
        return Guarded((), expr, {}, {}, {})
    exact = replace_nodes(expr, renamed)
    slopes: dict[Expr, str] = {}
    extended = _extended(exact, _Linear(loss, tuple(moved), hints), slopes)
    return Guarded(tuple(assignments), extended, renamed, slopes, hints)


@dataclass(frozen=True)
class _Moved:
    """A prediction, what stands for it, and how far it lies beyond that."""

    variable: Variable
    clipped: Symbol
    excess: Symbol
    inside: Expr

    @property
    def suffix(self) -> str:
        """What the names of its terms end in."""
        return f"_{self.variable.channel}" if self.variable.channel else ""

    @property
    def beyond(self) -> Expr:
        """Where the loss goes on linearly."""
        assert isinstance(self.inside, Apply)
        compare = {"max": "lt", "min": "gt", "clip": "ne"}[self.inside.op]
        return Apply(compare, (self.excess, ZERO))


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


def _extended(expr: Expr, linear: _Linear, slopes: dict[Expr, str]) -> Expr:
    """Add the linear part, inside the reductions where the loss is linear in them."""
    parts = elementwise_parts(expr, {item.clipped for item in linear.moved})
    places = {
        part: Symbol(f"?{index}", Role.DERIVED) for index, part in enumerate(parts)
    }
    steps = {
        places[part]: Symbol(f"?step{index}", Role.DERIVED)
        for index, part in enumerate(parts)
    }
    added = {part: linear.part(part, slopes) for part in parts}
    outer = substitute(expr, places)
    change = rebuild(
        directional_derivative(outer, dict(steps), linear.loss), _with_slope_at_0
    )
    if not set(symbols(change)) & set(places.values()):
        return substitute(
            outer, {places[part]: add(part, added[part]) for part in parts}
        )
    values: dict[Expr, Expr] = {places[part]: part for part in parts}
    moves: dict[Expr, Expr] = {steps[places[part]]: added[part] for part in parts}
    return add(expr, substitute(change, {**values, **moves}))


def _with_slope_at_0(node: Expr) -> Expr:
    """The derivative of a norm, with 0 where the norm is 0, too."""
    if not isinstance(node, Apply) or node.op != "div":
        return node
    top, norm = node.args
    if not isinstance(norm, Apply) or norm.op != "norm":
        return node
    if not isinstance(top, Apply) or (top.op, top.axis) != ("sum", norm.axis):
        return node
    return div(top, Apply("where", (Apply("gt", (norm, ZERO)), norm, ONE)))


@dataclass(frozen=True)
class _Linear:
    """The linear parts of a loss: slopes times excesses.

    Slopes are constants of the prediction that is guarded. Inside the guard points they
    are multiplied by 0, but a slope, or its own derivative, can overflow there, and 0
    times infinity is NaN.
    """

    loss: Loss
    moved: tuple[_Moved, ...]
    hints: dict[Expr, str]

    def part(self, part: Expr, slopes: dict[Expr, str]) -> Expr:
        """What is added to an elementwise part."""
        terms = []
        for item in self.moved:
            slope = directional_derivative(part, {item.clipped: ONE}, self.loss)
            held, excess = self._held(slope, item)
            terms.append(mul(held, excess))
            if isinstance(held, Apply) and tree_size(held) > _SHORT:
                slopes[held] = f"slope{item.suffix}"
        return add(*terms)

    def _held(self, slope: Expr, item: _Moved) -> tuple[Expr, Expr]:
        """The slope as a constant of the guarded prediction, and what multiplies it."""
        if not symbols(slope):
            return slope, item.excess
        fixed = Apply("stop_gradient", (item.clipped,))
        of_fixed = substitute(slope, {item.clipped: fixed})
        shared = any(
            other != item.clipped and other.role in self._moving
            for other in symbols(slope)
        )
        if not self._stays_finite(of_fixed):
            return self._apart(slope, item) if shared else self._chosen(slope, item)
        if shared or tree_size(slope) <= _SHORT or self.loss.spec.y_true.sparse:
            self.hints[fixed] = f"fixed{item.suffix}"
            return of_fixed, item.excess
        return Apply("stop_gradient", (slope,)), item.excess

    @property
    def _moving(self) -> set[Role]:
        """The roles of what has a gradient."""
        moving = {Role.Y_PRED, Role.DERIVED, Role.PARAMETER}
        if self.loss.spec.y_true.gradient:
            moving.add(Role.Y_TRUE)
        return moving

    def _stays_finite(self, slope: Expr) -> bool:
        guards: dict[Expr, Expr] = {item.clipped: item.inside for item in self.moved}
        return stays_finite(slope, self.loss, guards, _REACH)

    def _chosen(self, slope: Expr, item: _Moved) -> tuple[Expr, Expr]:
        """The slope beyond the guard point, and 0 inside."""
        constant = Apply("stop_gradient", (slope,))
        return Apply("where", (item.beyond, constant, ZERO)), item.excess

    def _apart(self, slope: Expr, item: _Moved) -> tuple[Expr, Expr]:
        """The slope, inside the guard points at harmless values of all inputs.

        It has nothing to do with the loss there, so that no gradient may pass through
        the excess either: what is added and taken away again leaves its rounding.
        """
        conditions = tuple(other.beyond for other in self.moved)
        beyond = conditions[0] if len(conditions) == 1 else Apply("or", conditions)
        self.hints[beyond] = "beyond"
        known: dict[Expr, Variable] = {
            other.clipped: other.variable for other in self.moved
        }
        for variable in self.loss.of_role(Role.Y_TRUE, Role.Y_PRED):
            known.setdefault(variable.symbol, variable)
        held: dict[Expr, Expr] = {}
        for symbol in symbols(slope):
            owner = known.get(symbol)
            if owner is None or owner.size != item.variable.size:
                continue
            value = Apply("where", (beyond, symbol, inner_point(owner)))
            self.hints[value] = f"safe_{local_name(owner.symbol)}"
            held[symbol] = value
            if symbol == item.clipped:
                held[symbol] = Apply("stop_gradient", (value,))
                self.hints[held[symbol]] = f"fixed{item.suffix}"
        return substitute(slope, held), Apply("where", (beyond, item.excess, ZERO))
