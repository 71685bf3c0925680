"""Ranges of expressions over the declared domains, for every length of every axis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce
from itertools import permutations
from math import inf

from lossgen.analysis import intervals, polynomials
from lossgen.analysis.intervals import (
    EMPTY,
    EVERYTHING,
    Interval,
    exactly,
    hull,
    intersect,
)
from lossgen.analysis.outweighed import simpler_below
from lossgen.analysis.polynomials import Polynomial, TooManyTermsError
from lossgen.calculus.steps import spend
from lossgen.ir.definitions import definition
from lossgen.ir.domain import Bound, Domain
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Axis,
    Constant,
    Expr,
    Number,
    Role,
    Symbol,
    mul,
    power,
    sub,
    symbols,
    walk,
)
from lossgen.ir.expr import add as sum_of
from lossgen.ir.extent import COVERED, Extent, extents
from lossgen.ir.functions import LOWERED
from lossgen.ir.loss import Loss, Variable

_ZERO, _ONE = Fraction(0), Fraction(1)
_NONNEGATIVE = intervals.NONNEGATIVE
_NONPOSITIVE = intervals.negate(_NONNEGATIVE)
_STEPS_OF_A_RANGE = 12
_MAX_COMBINED = 8  # facts that a range is combined with
_Form = tuple[tuple[polynomials.Monomial, Fraction], ...]
_Key = tuple[Expr, bool, bool]


def range_of(
    expr: Expr, loss: Loss, facts: tuple[tuple[Expr, bool], ...] = ()
) -> Interval:
    """An interval that holds every value of an expression where it is defined.

    Args:
        expr: The expression.
        loss: Says where the symbols come from; its mask and assumptions hold.
        facts: Conditions and whether each is true.
    """
    ranges = Ranges.of_loss(loss)
    for condition, truth in facts:
        ranges = ranges.given(condition, truth)
    return ranges.of(expr)


def domain_interval(domain: Domain) -> Interval:
    """The hull of one component of a domain."""
    return Interval(
        _end(domain.lower, -inf),
        _end(domain.upper, inf),
        domain.lower.open or domain.lower.value is None,
        domain.upper.open or domain.upper.value is None,
    )


def _kept(loss: Loss) -> Iterator[Expr]:
    """What the mask says of the elements that it keeps.

    In the mask a reduction runs over all elements, in the formula over those kept: only
    along rows that are kept as a whole it is the same.
    """
    if loss.mask is None:
        return
    whole_rows = "last" not in extents(loss, loss.mask)[loss.mask]
    same = {None, Axis.LAST} if whole_rows else {None}
    for part in _conjuncts(loss.mask):
        if all(node.axis in same for node in walk(part) if isinstance(node, Apply)):
            yield part


def _conjuncts(condition: Expr) -> Iterator[Expr]:
    if isinstance(condition, Apply) and condition.op == "and":
        for arg in condition.args:
            yield from _conjuncts(arg)
    else:
        yield condition


def _irrational_ends(loss: Loss) -> Iterator[Expr]:
    """Domains such as ``y_pred < 2*pi``, which an interval only holds rounded."""
    for variable in loss.of_role(Role.Y_TRUE, Role.Y_PRED, Role.PARAMETER):
        symbol, domain = variable.symbol, variable.domain
        for bound, below in ((domain.lower, False), (domain.upper, True)):
            if bound.value is not None and bound.rational is None:
                ends = (symbol, bound.value) if below else (bound.value, symbol)
                yield Apply("lt" if bound.open else "le", ends)


def _end(bound: Bound, towards: float) -> intervals.End:
    if bound.value is None:
        return math.copysign(inf, bound.approx)
    if bound.rational is not None:
        return bound.rational
    return Fraction(math.nextafter(bound.approx, towards))


@dataclass
class _Atoms:
    """What all the ranges of one loss share: polynomials and extents."""

    loss: Loss
    opaque: frozenset[str] = frozenset()
    order: dict[Expr, int] = field(default_factory=dict)
    nodes: list[Expr] = field(default_factory=list)
    polynomials: dict[Expr, Polynomial] = field(default_factory=dict)
    extents: dict[Expr, Extent] = field(default_factory=dict)
    idempotent: frozenset[int] = frozenset()

    def index(self, node: Expr) -> int:
        """The number of an atom."""
        if node not in self.order:
            self.order[node] = len(self.nodes)
            if self._is_zero_or_one(node):
                self.idempotent |= {len(self.nodes)}
            self.nodes.append(node)
        return self.order[node]

    def extent(self, node: Expr) -> Extent:
        """Along which axes a node varies."""
        if node not in self.extents:
            self.extents.update(extents(self.loss, node))
        return self.extents[node]

    def _is_zero_or_one(self, node: Expr) -> bool:
        if not isinstance(node, Symbol) or node.role is Role.DERIVED:
            return False
        domain = self.loss.variable(node.name).domain
        return domain.labels == (_ZERO, _ONE)

    def polynomial(self, node: Expr) -> Polynomial:
        """An expression as a polynomial over what is not one."""
        if node not in self.polynomials:
            try:
                self.polynomials[node] = self._expand(node)
            except TooManyTermsError:
                self.polynomials[node] = polynomials.atom(self.index(node))
        return self.polynomials[node]

    def _expand(self, node: Expr) -> Polynomial:
        if isinstance(node, Number):
            return polynomials.constant(node.value)
        if isinstance(node, Apply) and node.op not in self.opaque:
            expand = _EXPANSIONS.get(node.op)
            expanded = expand(self, node.args) if expand else None
            if expanded is not None:
                return expanded
        return polynomials.atom(self.index(node))

    def expression(self, polynomial: Polynomial) -> Expr:
        """The polynomial spelt out."""
        return sum_of(
            *(
                mul(
                    Number(coefficient),
                    *(
                        power(self.nodes[index], Number(Fraction(exponent)))
                        for index, exponent in monomial
                    ),
                )
                for monomial, coefficient in sorted(polynomial.items())
            )
        )


_Expansion = Callable[[_Atoms, tuple[Expr, ...]], "Polynomial | None"]


def _expand_mul(atoms: _Atoms, args: tuple[Expr, ...]) -> Polynomial:
    return reduce(
        lambda x, y: polynomials.times(x, y, atoms.idempotent),
        (atoms.polynomial(arg) for arg in args),
    )


def _expand_div(atoms: _Atoms, args: tuple[Expr, ...]) -> Polynomial | None:
    top, bottom = args
    if isinstance(bottom, Number):
        if not bottom.value:
            return None
        return _expand_mul(atoms, (top, Number(1 / bottom.value)))
    if top == ONE:
        return None
    return _expand_mul(atoms, (top, Apply("div", (ONE, bottom))))


def _expand_pow(atoms: _Atoms, args: tuple[Expr, ...]) -> Polynomial | None:
    base, exponent = args
    value = exponent.value if isinstance(exponent, Number) else None
    if value is None or value.denominator != 1 or not 1 <= value <= 8:
        return None
    return _expand_mul(atoms, (base,) * int(value))


_EXPANSIONS: dict[str, _Expansion] = {
    "add": lambda atoms, args: reduce(
        polynomials.plus, (atoms.polynomial(arg) for arg in args)
    ),
    "neg": lambda atoms, args: polynomials.plus({}, atoms.polynomial(args[0]), -1),
    "mul": _expand_mul,
    "div": _expand_div,
    "pow": _expand_pow,
    "square": lambda atoms, args: _expand_mul(atoms, args * 2),
    "stop_gradient": lambda atoms, args: atoms.polynomial(args[0]),
}


@dataclass(frozen=True)
class _Fact:
    """Where the form ``sum of coefficient*monomial`` lies.

    ``local`` facts hold for the element at hand only, not for its whole axis.
    """

    values: Interval
    local: bool


class Ranges:
    """The ranges of expressions under a set of facts; immutable, with a memory."""

    def __init__(
        self,
        atoms: _Atoms,
        facts: dict[_Form, _Fact],
        excluded: dict[_Form, tuple[Fraction, ...]],
    ) -> None:
        """Keep what is known. Use `of_loss` and `given`."""
        self._atoms, self._facts, self._excluded = atoms, facts, excluded
        self._dead = False  # the facts contradict one another: nothing is computed
        self._known: dict[Expr, Interval] = {}
        self._inner: dict[Axis, Ranges] = {}
        self._children: dict[_Key, Ranges] = {}
        self._held: frozenset[_Key] = frozenset()

    @staticmethod
    def of_loss(loss: Loss, *, rewriting: bool = False) -> Ranges:
        """The ranges where the mask and the assumptions of a loss hold.

        Args:
            loss: Declares the symbols.
            rewriting: Whether polynomials are to be spelt out again. ``stop_gradient``
                is then an atom: one value with two derivatives is two expressions, and
                only what asks for the value alone may see through it.
        """
        opaque = frozenset({"stop_gradient"} if rewriting else ())
        ranges = Ranges(_Atoms(loss, opaque), {}, {})
        for condition in (*_kept(loss), *loss.assume):
            ranges = ranges.given(condition, True, local=False)
        for condition in _irrational_ends(loss):
            ranges = ranges.given(condition, True, local=False)
        return ranges

    @property
    def loss(self) -> Loss:
        """The loss whose symbols these are."""
        return self._atoms.loss

    @property
    def contradictory(self) -> bool:
        """Whether the facts are known to rule one another out."""
        return self._dead

    def of(self, expr: Expr) -> Interval:
        """An interval that holds every value of an expression where it is defined."""
        if self._dead:
            return EMPTY
        known = self._known.get(expr)
        if known is None:
            spend(_STEPS_OF_A_RANGE)
            # Facts may lead back here; then nothing is known of the expression yet.
            self._known[expr] = EVERYTHING
            known = self._known[expr] = self._compute(expr)
        return known

    def nonzero(self, expr: Expr) -> bool:
        """Whether an expression is never 0."""
        if self.of(expr).nonzero:
            return True
        form, scale, offset = polynomials.canonical(self._atoms.polynomial(expr))
        return -offset / scale in self._excluded.get(tuple(form.items()), ())

    def polynomial(self, expr: Expr) -> Polynomial:
        """An expression as a polynomial over atoms."""
        return self._atoms.polynomial(expr)

    def atom(self, index: int) -> Expr:
        """The subexpression that an atom stands for."""
        return self._atoms.nodes[index]

    def expression(self, polynomial: Polynomial) -> Expr:
        """A polynomial as an expression."""
        return self._atoms.expression(polynomial)

    def quotient(self, top: Expr, bottom: Expr) -> Expr | None:
        """``top/bottom`` where the bottom is one term that divides each of the top."""
        divisor = self._atoms.polynomial(bottom)
        if len(divisor) != 1:
            return None
        ((key, scale),) = divisor.items()
        result: dict[polynomials.Monomial, Fraction] = {}
        for monomial, value in self._atoms.polynomial(top).items():
            exponents = dict(monomial)
            for index, exponent in key:
                exponents[index] = exponents.get(index, 0) - exponent
            if any(exponent < 0 for exponent in exponents.values()):
                return None
            rest = tuple(item for item in sorted(exponents.items()) if item[1])
            result[rest] = value / scale
        return self._atoms.expression(result)

    def extent(self, expr: Expr) -> Extent:
        """Along which axes an expression varies."""
        return self._atoms.extent(expr)

    def inside(self, axis: Axis | None) -> Ranges:
        """The ranges inside a reduction: facts about one element do not hold there."""
        if axis is None:
            return self
        if axis not in self._inner:
            kept = {
                form: fact
                for form, fact in self._facts.items()
                if not (fact.local and self._varies(form, axis))
            }
            excluded = {
                form: values
                for form, values in self._excluded.items()
                if not self._varies(form, axis)
            }
            same = len(kept) == len(self._facts) and len(excluded) == len(
                self._excluded
            )
            inner = self
            if not same:
                inner = Ranges(self._atoms, kept, excluded)
                inner._dead = self._dead
                inner._held = frozenset(key for key in self._held if not key[2])
            self._inner[axis] = inner
        return self._inner[axis]

    def given(self, condition: Expr, truth: bool, *, local: bool = True) -> Ranges:
        """The ranges where a condition is true, or false."""
        key = (condition, truth, local)
        if key in self._held:
            # A condition on a ``where`` leads back to that of the ``where``.
            return self
        if key not in self._children:
            self._children[key] = self._with_condition(condition, truth, local)
        return self._children[key]

    def shared(self, other: Ranges) -> Ranges:
        """The ranges of which no more is known than both of two sets of facts say."""
        if self is other or other._dead:
            return self
        if self._dead:
            return other
        facts = {
            form: _Fact(hull(fact.values, known.values), fact.local or known.local)
            for form, fact in self._facts.items()
            if (known := other._facts.get(form)) is not None
        }
        excluded = {
            form: both
            for form, values in self._excluded.items()
            if (both := tuple(x for x in values if x in other._excluded.get(form, ())))
        }
        result = Ranges(self._atoms, facts, excluded)
        result._held = self._held & other._held
        return result

    def _with_condition(self, condition: Expr, truth: bool, local: bool) -> Ranges:
        spend(_STEPS_OF_A_RANGE + len(self._facts))
        child = Ranges(self._atoms, dict(self._facts), dict(self._excluded))
        child._dead = self._dead
        child._held = self._held | {(condition, truth, local)}
        for op, left, right in _comparisons(condition, truth):
            if _IMPOSSIBLE[op](child.of(sub(left, right))):
                child._dead = True
            if op == "ne":
                child._exclude(left, right)
                continue
            for form, values in child._bounds(op, left, right):
                child._restrict(form, values, local)
        return child

    # Facts ------------------------------------------------------------------------

    def _bounds(self, op: str, left: Expr, right: Expr) -> list[tuple[Expr, Interval]]:
        """What ``left < right`` (lt, le) or ``left == right`` says of expressions."""
        low, high = self.of(left), self.of(right)
        difference = sub(left, right)
        if op == "eq":
            return [(difference, exactly(0)), (left, high), (right, low)]
        strict = op == "lt"
        below = Interval(-inf, high.upper, True, high.upper_open or strict)
        above = Interval(low.lower, inf, low.lower_open or strict, True)
        found = [
            (difference, Interval(-inf, _ZERO, True, strict)),
            (left, below),
            (right, above),
        ]
        for smaller in _parts_below(left):
            found.append((sub(smaller, right), Interval(-inf, _ZERO, True, strict)))
            found.append((smaller, below))
        for larger in _parts_above(right):
            found.append((sub(left, larger), Interval(-inf, _ZERO, True, strict)))
            found.append((larger, above))
        base = _even_root(left)
        if base is not None and high.upper >= 0:
            reach = intervals.increasing("sqrt", Interval(_ZERO, high.upper))
            bound = Interval(-reach.upper, reach.upper, strict, strict)
            found.append((base, bound))
        return found

    def _restrict(self, expr: Expr, values: Interval, local: bool) -> None:
        form, scale, offset = polynomials.canonical(self._atoms.polynomial(expr))
        if not form:
            return
        key = tuple(form.items())
        moved = intervals.multiply(
            intervals.add(values, exactly(-offset)), exactly(1 / scale)
        )
        known = self._facts.get(key)
        if known is not None:
            moved = intersect(moved, known.values)
            local = local or known.local
        self._facts[key] = _Fact(moved, local)
        self._known.clear()

    def _exclude(self, left: Expr, right: Expr) -> None:
        difference = self._atoms.polynomial(sub(left, right))
        form, scale, offset = polynomials.canonical(difference)
        if form:
            key = tuple(form.items())
            known = self._excluded.get(key, ())
            self._excluded[key] = (*known, -offset / scale)
            self._known.clear()

    def _varies(self, form: _Form, axis: Axis) -> bool:
        return any(
            self._atoms.extent(self._atoms.nodes[index]) & COVERED[axis]
            for monomial, _ in form
            for index, _ in monomial
        )

    def _from_facts(self, expr: Expr) -> Interval:
        form, scale, offset = polynomials.canonical(self._atoms.polynomial(expr))
        key = tuple(form.items())
        fact = self._facts.get(key)
        values = fact.values if fact else EVERYTHING
        for hole in self._excluded.get(key, ()):
            values = replace(
                values,
                lower_open=values.lower_open or values.lower == hole,
                upper_open=values.upper_open or values.upper == hole,
            )
        if values == EVERYTHING:
            return EVERYTHING
        scaled = intervals.multiply(values, exactly(scale))
        return intervals.add(scaled, exactly(offset))

    def _open_holes(self, expr: Expr, values: Interval) -> Interval:
        form, scale, offset = polynomials.canonical(self._atoms.polynomial(expr))
        for hole in self._excluded.get(tuple(form.items()), ()):
            value = scale * hole + offset
            values = replace(
                values,
                lower_open=values.lower_open or values.lower == value,
                upper_open=values.upper_open or values.upper == value,
            )
        return EMPTY if values.empty else values

    # Ranges -----------------------------------------------------------------------

    def _compute(self, expr: Expr) -> Interval:
        result = self._structural(expr)
        if result.empty:
            return EMPTY
        if self._facts:
            result = intersect(result, self._from_facts(expr))
        if isinstance(expr, Apply) and expr.op in _EXPANSIONS:
            result = intersect(result, self._polynomial_range(expr))
        if self._excluded:
            result = self._open_holes(expr, result)
        return result

    def _structural(self, expr: Expr) -> Interval:
        if isinstance(expr, Number):
            return exactly(expr.value)
        if isinstance(expr, Constant):
            return CONSTANTS[expr.name]
        if isinstance(expr, Symbol):
            return self._symbol(expr)
        meant = definition(expr)
        if meant is not None:
            return self.of(meant)
        if expr.axis is not None:
            return self._reduction(expr)
        if expr.op == "where":
            condition, then, otherwise = expr.args
            return hull(
                self.given(condition, True).of(then),
                self.given(condition, False).of(otherwise),
            )
        args = [self.of(arg) for arg in expr.args]
        if any(arg.empty for arg in args):
            return EMPTY
        result = range_of_operation(expr, args)
        if expr.op == "div":
            return intersect(result, self._ratio(expr))
        if expr.op == "add":
            return intersect(result, self._outweighed(expr))
        if expr.op in _EVEN and self.nonzero(expr.args[0]):
            return intersect(result, intervals.POSITIVE)
        return result

    def _outweighed(self, total: Apply) -> Interval:
        """What is known of a sum by simpler ones that it is not below, or above."""
        result = EVERYTHING
        for other in simpler_below(total, self):
            low = self.of(other)
            result = intersect(result, Interval(low.lower, inf, low.lower_open, True))
        for other in simpler_below(Apply("neg", (total,)), self):
            low = self.of(other)
            high = intervals.negate(Interval(low.lower, inf, low.lower_open, True))
            result = intersect(result, high)
        return result

    def _symbol(self, symbol: Symbol) -> Interval:
        if symbol.role is Role.SIZE:
            return Interval(_ONE, inf, False, True)
        if symbol.role is Role.DERIVED:
            return EVERYTHING
        return domain_interval(self.loss.variable(symbol.name).domain)

    def _ratio(self, expr: Apply) -> Interval:
        """``u/v`` lies within [-1, 1] where v is positive and at least abs(u)."""
        top, bottom = expr.args
        if isinstance(top, Number) or not self.of(bottom).positive:
            return EVERYTHING
        above, below = self.of(sub(bottom, top)), self.of(sum_of(bottom, top))
        result = EVERYTHING
        if above.nonnegative:
            result = intersect(result, Interval(-inf, _ONE, True, above.positive))
        if below.nonnegative:
            result = intersect(result, Interval(-_ONE, inf, below.positive, True))
        return result

    def _polynomial_range(self, expr: Expr) -> Interval:
        polynomial = self._atoms.polynomial(expr)
        if polynomial == {((self._atoms.order.get(expr, -1), 1),): _ONE}:
            return EVERYTHING
        return self.of_polynomial(polynomial)

    def of_polynomial(self, polynomial: Polynomial) -> Interval:
        """The range of a polynomial over this loss's atoms."""
        nodes = self._atoms.nodes
        box = {i: self.of(nodes[i]) for i in polynomials.atoms_of(polynomial)}
        result = polynomials.range_over(polynomial, box)
        merged = self._merged(polynomial)
        if merged is not None:
            result = intersect(result, merged)
        known: list[tuple[Polynomial, Interval]] = [
            (dict(form), fact.values) for form, fact in self._facts.items()
        ]
        known += self._inherent_facts(polynomial)
        for form, values in known[:_MAX_COMBINED]:
            result = intersect(result, self._with_fact(polynomial, form, values))
        return intersect(result, self._monotone_difference(polynomial))

    def _inherent_facts(
        self, polynomial: Polynomial
    ) -> list[tuple[Polynomial, Interval]]:
        """``min(u, v) <= u``, ``abs(u) >= u`` and the like, for what occurs."""
        found = []
        for index in polynomials.atoms_of(polynomial) if len(polynomial) > 1 else ():
            node = self._atoms.nodes[index]
            above = _parts_below(node)
            for other in (*above, *_parts_above(node)):
                difference = self._atoms.polynomial(sub(node, other))
                form, scale, offset = polynomials.canonical(difference)
                values = _NONNEGATIVE if other in above else _NONPOSITIVE
                if isinstance(node, Apply) and node.op in _STRICTLY_ABOVE:
                    values = Interval(_ZERO, inf, True, True)
                moved = intervals.add(values, exactly(-offset))
                found.append((form, intervals.multiply(moved, exactly(1 / scale))))
        return [*found, *self._mean_squares(polynomial)]

    def _mean_squares(
        self, polynomial: Polynomial
    ) -> Iterator[tuple[Polynomial, Interval]]:
        """``mean(u**2) >= mean(u)**2`` (Jensen's inequality), for what occurs."""
        means = [
            (index, node)
            for index in polynomials.atoms_of(polynomial)
            if isinstance(node := self._atoms.nodes[index], Apply) and node.op == "mean"
        ]
        for (one, of_squares), (other, plain) in permutations(means, 2):
            if of_squares.axis is plain.axis and self._atoms.polynomial(
                of_squares.args[0]
            ) == self._atoms.polynomial(mul(*plain.args, *plain.args)):
                yield {((one, 1),): _ONE, ((other, 2),): -_ONE}, _NONNEGATIVE

    def _monotone_difference(self, polynomial: Polynomial) -> Interval:
        """``f(u) - f(v)`` has the sign of ``u - v`` where f increases."""
        if len(polynomial) != 2:
            return EVERYTHING
        (one, c), (other, d) = sorted(polynomial.items())
        nodes = [self._single(one), self._single(other)]
        if c + d or any(node is None for node in nodes):
            return EVERYTHING
        left, right = (node for node in nodes if node is not None)
        if left.op != right.op or not intervals.is_increasing(left.op):
            return EVERYTHING
        gap = self.of(sub(left.args[0], right.args[0]))
        if gap.negative or gap.upper <= 0:
            c, gap = -c, intervals.negate(gap)
        sign = Interval(_ZERO, inf, gap.positive, True)
        return intervals.multiply(sign, exactly(c)) if gap.lower >= 0 else EVERYTHING

    def _single(self, monomial: polynomials.Monomial) -> Apply | None:
        """The operation that a monomial consists of."""
        if len(monomial) != 1 or monomial[0][1] != 1:
            return None
        node = self._atoms.nodes[monomial[0][0]]
        return node if isinstance(node, Apply) else None

    def _with_fact(
        self,
        polynomial: Polynomial,
        form: Polynomial,
        values: Interval,
    ) -> Interval:
        """``u`` as ``c*form + rest``, for each c that makes a term of u vanish."""
        result = EVERYTHING
        if len(form) < 2:
            return result
        for monomial, coefficient in form.items():
            if monomial not in polynomial:
                continue
            factor = polynomial[monomial] / coefficient
            rest = polynomials.plus(
                polynomial, {key: -factor * value for key, value in form.items()}
            )
            box = {
                index: self.of(self._atoms.nodes[index])
                for index in polynomials.atoms_of(rest)
            }
            part = intervals.multiply(values, exactly(factor))
            whole = intervals.add(part, polynomials.range_over(rest, box))
            result = intersect(result, whole)
        return result

    def _merged(self, polynomial: Polynomial) -> Interval | None:
        """``a*sum(u) + b*sum(v)`` as ``sum(a*u + b*v)``: u and v stay together."""
        terms = [(key, value) for key, value in sorted(polynomial.items()) if key]
        if len(terms) < 2:
            return None
        reduction, inner = self._linear_reduction(terms[0][0])
        parts: list[Expr] = []
        for key, value in terms:
            found, inner = self._linear_reduction(key)
            if found is None or reduction is None or inner is None:
                return None
            if (found.op, found.axis) != (reduction.op, reduction.axis):
                return None
            parts.append(mul(Number(value), inner))
        if reduction is None:
            return None
        total = Apply(reduction.op, (sum_of(*parts),), reduction.axis)
        offset = polynomial.get((), _ZERO)
        return intervals.add(self.of(total), exactly(offset))

    def _linear_reduction(
        self, monomial: polynomials.Monomial
    ) -> tuple[Apply | None, Expr | None]:
        """The one sum or mean in a monomial, and what goes inside it."""
        nodes = [(self._atoms.nodes[i], exponent) for i, exponent in monomial]
        linear = [
            node
            for node, exponent in nodes
            if isinstance(node, Apply) and node.op in ("sum", "mean") and exponent == 1
        ]
        if len(linear) != 1 or linear[0].axis is None:
            return None, None
        rest = [(node, exponent) for node, exponent in nodes if node != linear[0]]
        if any(self.extent(node) & COVERED[linear[0].axis] for node, _ in rest):
            return None, None
        factors = (power(node, Number(Fraction(exponent))) for node, exponent in rest)
        return linear[0], mul(*factors, linear[0].args[0])

    # Reductions -------------------------------------------------------------------

    def _reduction(self, expr: Apply) -> Interval:
        inner = self.inside(expr.axis)
        (arg,) = expr.args
        values = inner.of(arg)
        if values.empty:
            return EMPTY
        assert expr.axis is not None
        if expr.op in ("sum", "cumsum"):
            if not self.extent(arg) & COVERED[expr.axis]:
                return values
            total = self._total(arg, expr.axis, values)
            if expr.op == "sum":
                total = intersect(total, inner._weighted(arg, expr.axis))
                return intersect(total, inner._somewhere_positive(arg, expr.axis))
            return (
                intersect(total, Interval(_ZERO, _ONE))
                if (self._is_simplex(arg, expr.axis))
                else total
            )
        if expr.op in ("softmax", "log_softmax"):
            share = Interval(_ZERO, _ONE, True, self._has_classes(expr))
            return share if expr.op == "softmax" else intervals.apply("log", share)
        return _REDUCTIONS[expr.op](values)

    def _total(self, arg: Expr, axis: Axis, values: Interval) -> Interval:
        """The sum of elements, one to as many as there can be."""
        found = _any_sum(values)
        sizes = [item.size for item in self._tensors(arg)]
        numbers = [size for size in sizes if isinstance(size, int)]
        # An undeclared size next to a declared one is equal to it, or 1.
        if axis is not Axis.LAST or max(numbers, default=1) == 1:
            return found
        every = intervals.multiply(exactly(Fraction(max(numbers))), values)
        return intersect(found, intervals.hull(values, every))

    def _weighted(self, arg: Expr, axis: Axis) -> Interval:
        """``sum(w*u)`` with w in the simplex lies in the hull of u; term by term."""
        groups: dict[int, dict[polynomials.Monomial, Fraction]] = {}
        for key, value in sorted(self._atoms.polynomial(arg).items()):
            weights = [
                index
                for index, exponent in key
                if exponent == 1 and self._is_simplex(self._atoms.nodes[index], axis)
            ]
            weight = weights[0] if weights else -1
            rest = tuple(item for item in key if item[0] != weight)
            groups.setdefault(weight, {})[rest] = value
        total = exactly(0)
        for weight, polynomial in groups.items():
            part = self.of_polynomial(polynomial)
            if weight < 0:
                part = self._unweighted(polynomial, part, axis)
            total = intervals.add(total, part)
        return total

    def _somewhere_positive(self, arg: Expr, axis: Axis) -> Interval:
        """A sum of u >= 0 that is positive wherever a weight is positive.

        Weights that sum to 1 are positive somewhere.
        """
        if not self.of(arg).nonnegative:
            return EVERYTHING
        for symbol in symbols(arg):
            if self._is_simplex(symbol, axis):
                positive = Apply("gt", (symbol, ZERO))
                if self.given(positive, True).of(arg).positive:
                    return intervals.POSITIVE
        return EVERYTHING

    def _unweighted(
        self, polynomial: Polynomial, values: Interval, axis: Axis
    ) -> Interval:
        if len(polynomial) == 1:
            ((key, value),) = polynomial.items()
            nodes = [(self._atoms.nodes[i], exponent) for i, exponent in key]
            units = sum(
                exponent
                for node, exponent in nodes
                if isinstance(node, Apply)
                and (node.op, node.axis) == ("l2_normalize", axis)
            )
            if units == 2 and sum(exponent for _, exponent in nodes) == 2:
                # The Cauchy-Schwarz inequality.
                reach = abs(value)
                return exactly(value) if len(key) == 1 else Interval(-reach, reach)
        return _any_sum(values)

    def _is_simplex(self, node: Expr, axis: Axis) -> bool:
        """Whether the elements along the axis are nonnegative with sum 1."""
        if axis is not Axis.LAST or self.loss.mask is not None:
            return False
        if isinstance(node, Apply):
            return node.op == "softmax" and node.axis is Axis.LAST
        if not isinstance(node, Symbol) or node.role in (Role.DERIVED, Role.SIZE):
            return False
        return self.loss.variable(node.name).domain.along_last_axis

    def _has_classes(self, expr: Apply) -> bool:
        """Whether the last axis is known to have at least two elements."""
        if expr.axis is not Axis.LAST or self.loss.mask is not None:
            return False
        sizes = {
            item.size
            for item in self.loss.variables
            if item.shape == "elements" and item.domain.along_last_axis
        }
        return any(item.size in sizes for item in self._tensors(expr))

    def _tensors(self, expr: Expr) -> Iterator[Variable]:
        for symbol in symbols(expr):
            if symbol.role in (Role.Y_TRUE, Role.Y_PRED):
                yield self.loss.variable(symbol.name)


_EVEN = ("abs", "square")
"""Operations that are 0 for 0 alone, and never negative."""

CONSTANTS = {
    "pi": Interval(
        Fraction(314159265358979323846, 10**20),
        Fraction(314159265358979323847, 10**20),
        True,
        True,
    ),
    "e": Interval(
        Fraction(271828182845904523536, 10**20),
        Fraction(271828182845904523537, 10**20),
        True,
        True,
    ),
}

# Elementwise rules for more than one argument, and for branches -----------------------


def range_of_operation(expr: Apply, args: list[Interval]) -> Interval:
    """The range of an elementwise operation but ``where``, by those of arguments."""
    if expr.op == "mul":
        return _product(expr.args, args)
    rule = _RULES.get(expr.op)
    if rule is not None:
        return rule(*args)
    if expr.op in LOWERED:
        return EVERYTHING  # what only rewriting makes may be asked about, too
    return intervals.apply(expr.op, args[0])


def _product(factors: tuple[Expr, ...], values: list[Interval]) -> Interval:
    """The range of a product: of powers, where a factor occurs several times."""
    known = dict(zip(factors, values, strict=True))
    powers = (
        intervals.power(known[factor], exactly(count)) if count > 1 else known[factor]
        for factor, count in Counter(factors).items()
    )
    return reduce(intervals.multiply, powers)


def _clip(value: Interval, low: Interval, high: Interval) -> Interval:
    return intervals.smallest(intervals.largest(value, low), high)


def _logaddexp(left: Interval, right: Interval) -> Interval:
    lower = max(left.lower, right.lower)
    wide = intervals.apply("softplus", intervals.add(left, intervals.negate(right)))
    upper = intervals.add(right, wide).upper
    return Interval(lower, upper, True, True)


def _xlogy(factor: Interval, argument: Interval) -> Interval:
    return hull(
        intervals.multiply(factor, intervals.apply("log", argument)),
        exactly(0) if factor.contains(_ZERO) else EMPTY,
    )


def _sign(arg: Interval) -> Interval:
    if arg.positive or arg.negative:
        return exactly(1 if arg.positive else -1)
    lower = _ZERO if arg.lower >= 0 else -_ONE
    return Interval(lower, _ZERO if arg.upper <= 0 else _ONE)


def _floor(arg: Interval) -> Interval:
    lower = arg.lower if isinstance(arg.lower, float) else Fraction(arg.lower // 1)
    upper = arg.upper if isinstance(arg.upper, float) else Fraction(arg.upper // 1)
    return Interval(lower, upper, lower == -inf, upper == inf)


_RULES: dict[str, Callable[..., Interval]] = {
    "add": lambda *args: reduce(intervals.add, args),
    "neg": intervals.negate,
    "div": intervals.divide,
    "pow": intervals.power,
    "logaddexp": _logaddexp,
    "xlogy": _xlogy,
    "xlog1py": lambda factor, arg: _xlogy(factor, intervals.add(arg, exactly(1))),
    "stop_gradient": lambda arg: arg,
    "abs": intervals.absolute,
    "max": lambda *args: reduce(intervals.largest, args),
    "min": lambda *args: reduce(intervals.smallest, args),
    "relu": lambda arg: intervals.largest(arg, exactly(0)),
    "clip": _clip,
    "sign": _sign,
    "floor": _floor,
}


def _any_sum(values: Interval) -> Interval:
    """The sum of any number, at least one, of values."""
    lower, upper = values.lower, values.upper
    return Interval(
        lower if lower >= 0 else -inf,
        upper if upper <= 0 else inf,
        values.lower_open if lower >= 0 else True,
        values.upper_open if upper <= 0 else True,
    )


def _logsumexp(values: Interval) -> Interval:
    return Interval(values.lower, inf, values.lower_open, True)


def _norm(values: Interval) -> Interval:
    size = intervals.absolute(values)
    if size.point == 0:
        return size
    return Interval(size.lower, inf, size.lower_open, True)


def _unit(values: Interval) -> Interval:
    below = -_ONE if values.lower < 0 else _ZERO
    above = _ONE if values.upper > 0 else _ZERO
    return Interval(below, above, values.positive, values.negative)


_REDUCTIONS: dict[str, Callable[[Interval], Interval]] = {
    "mean": lambda values: values,
    "amax": lambda values: values,
    "amin": lambda values: values,
    **dict.fromkeys(("logsumexp", "logcumsumexp"), _logsumexp),
    "norm": _norm,
    "l2_normalize": _unit,
}

# Conditions ---------------------------------------------------------------------------

_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
_IMPOSSIBLE: dict[str, Callable[[Interval], bool]] = {
    "lt": lambda gap: gap.nonnegative,
    "le": lambda gap: gap.positive,
    "eq": lambda gap: gap.nonzero,
    "ne": lambda gap: gap.point == 0,
}
_SWAPPED = {"gt": "lt", "ge": "le"}


def _comparisons(condition: Expr, truth: bool) -> Iterator[tuple[str, Expr, Expr]]:
    """The comparisons lt, le, eq, ne that hold if the condition has a truth value."""
    if not isinstance(condition, Apply):
        return
    if condition.op == "not":
        yield from _comparisons(condition.args[0], not truth)
    elif condition.op == ("and" if truth else "or"):
        for arg in condition.args:
            yield from _comparisons(arg, truth)
    elif condition.op in _NEGATED:
        op = condition.op if truth else _NEGATED[condition.op]
        left, right = condition.args
        if op in _SWAPPED:
            yield _SWAPPED[op], right, left
        else:
            yield op, left, right


def _parts_below(expr: Expr) -> tuple[Expr, ...]:
    """Expressions that are nowhere above this one."""
    if isinstance(expr, Apply):
        if expr.op == "abs":
            return (expr.args[0], Apply("neg", expr.args))
        if expr.op in ("max", "relu", *_STRICTLY_ABOVE):
            return expr.args
    return ()


_STRICTLY_ABOVE = ("softplus", "logaddexp")
"""Operations whose value is above each of their arguments."""


def _parts_above(expr: Expr) -> tuple[Expr, ...]:
    """Expressions that are nowhere below this one."""
    if isinstance(expr, Apply) and expr.op == "min":
        return expr.args
    return ()


def _even_root(expr: Expr) -> Expr | None:
    """u, if the expression is ``u**2``."""
    if not isinstance(expr, Apply):
        return None
    squared = expr.op == "square" or (expr.op == "pow" and expr.args[1] == TWO)
    return expr.args[0] if squared else None
