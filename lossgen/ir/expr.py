"""Expression trees.

Four node types. Trees are immutable and compared by structure; spans do not take part
in the comparison. Each node remembers its hash and size, so that shared subtrees cost
nothing.

The *plain* constructors (``Apply(...)``) keep what the author wrote, which is what the
checks look at. The *smart* constructors (``add``, ``mul``, ...) fold constants and drop
neutral elements; derivatives and rewrites are built with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Union

from lossgen.diagnostics.source import Span


class Axis(Enum):
    """What ``axis=`` names."""

    LAST = "last"
    SPATIAL = "spatial"
    SAMPLE = "sample"
    BATCH = "batch"


class Role(Enum):
    """What a name stands for."""

    Y_TRUE = "y_true"
    Y_PRED = "y_pred"
    PARAMETER = "parameter"
    SIZE = "size"
    DERIVED = "derived"  # made by a transformation, e.g. the clipped prediction


@dataclass(frozen=True, eq=False)
class _Node:
    span: Span | None = field(default=None, repr=False, kw_only=True)

    def _key(self) -> tuple[object, ...]:
        raise NotImplementedError

    @property
    def children(self) -> tuple[Expr, ...]:
        """The direct subexpressions."""
        return ()

    def __hash__(self) -> int:
        cached: int | None = self.__dict__.get("_hash")
        if cached is None:
            cached = hash((type(self).__name__, self._key()))
            object.__setattr__(self, "_hash", cached)
        return cached

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, _Node)
            and type(self) is type(other)
            and hash(self) == hash(other)
            and self._key() == other._key()
        )


@dataclass(frozen=True, eq=False)
class Number(_Node):
    """An exact rational number."""

    value: Fraction

    def _key(self) -> tuple[object, ...]:
        return (self.value,)


@dataclass(frozen=True, eq=False)
class Constant(_Node):
    """``pi`` or ``e``."""

    name: str

    def _key(self) -> tuple[object, ...]:
        return (self.name,)


@dataclass(frozen=True, eq=False)
class Symbol(_Node):
    """A named input: a tensor, a channel (``y_pred.mean``), a parameter, a size."""

    name: str
    role: Role

    def _key(self) -> tuple[object, ...]:
        return (self.name, self.role.value)


@dataclass(frozen=True, eq=False)
class Apply(_Node):
    """An operation of the function table applied to arguments."""

    op: str
    args: tuple[Expr, ...]
    axis: Axis | None = None

    def _key(self) -> tuple[object, ...]:
        return (self.op, self.axis.value if self.axis else None, self.args)

    @property
    def children(self) -> tuple[Expr, ...]:
        """The arguments."""
        return self.args


Expr = Union[Number, Constant, Symbol, Apply]

ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))
TWO = Number(Fraction(2))


def number(value: int | Fraction) -> Number:
    """An exact number."""
    return Number(Fraction(value))


def walk(expr: Expr) -> Iterator[Expr]:
    """Each distinct subexpression once, arguments before the node that uses them."""
    found: tuple[Expr, ...] | None = expr.__dict__.get("_walk")
    if found is None:
        found = _walk(expr)
        object.__setattr__(expr, "_walk", found)
    return iter(found)


def _walk(expr: Expr) -> tuple[Expr, ...]:
    seen: dict[Expr, None] = {}
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, expanded = stack.pop()
        if node in seen:
            continue
        if expanded:
            seen[node] = None
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children))
    return tuple(seen)


def tree_size(expr: Expr) -> int:
    """The number of nodes with shared subtrees counted each time they occur."""
    sizes: dict[Expr, int] = {}
    for node in walk(expr):
        sizes[node] = 1 + sum(sizes[child] for child in node.children)
    return sizes[expr]


def symbols(expr: Expr) -> tuple[Symbol, ...]:
    """The symbols in order of first occurrence."""
    return tuple(node for node in walk(expr) if isinstance(node, Symbol))


def depends_on(expr: Expr, *roles: Role) -> bool:
    """Whether a symbol with one of the roles occurs."""
    return any(symbol.role in roles for symbol in symbols(expr))


def rebuild(expr: Expr, visit: Callable[[Expr], Expr]) -> Expr:
    """Apply ``visit`` to every node, bottom up, with smart constructors."""
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        done[node] = visit(_with_new_arguments(node, done))
    return done[expr]


def rebuild_as_written(expr: Expr, visit: Callable[[Expr], Expr]) -> Expr:
    """Apply ``visit`` to every node, bottom up, and fold nothing.

    A sum keeps the groups of its terms, which rounding tells apart: ``abs(d) + d`` with
    a difference ``d`` is 0 where ``abs(d) + y_pred - y_true`` need not be.
    """
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        new = node
        if isinstance(node, Apply):
            new = Apply(node.op, tuple(done[arg] for arg in node.args), node.axis)
        done[node] = visit(new)
    return done[expr]


def substitute(expr: Expr, replacements: Mapping[Expr, Expr]) -> Expr:
    """Replace subexpressions by others, all at once, folding constants on the way."""
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        # What folding leaves may look like something to be replaced, and is not.
        new = replacements.get(node)
        done[node] = _with_new_arguments(node, done) if new is None else new
    return done[expr]


def _with_new_arguments(node: Expr, done: Mapping[Expr, Expr]) -> Expr:
    if not isinstance(node, Apply):
        return node
    args = tuple(done[arg] for arg in node.args)
    same = all(new is old for new, old in zip(args, node.args, strict=True))
    return node if same else apply(node.op, *args, axis=node.axis)


def replace_nodes(expr: Expr, replacements: Mapping[Expr, Expr]) -> Expr:
    """Replace subexpressions, fold nothing, and do not look inside what was put in."""
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        new = node
        if isinstance(node, Apply):
            new = Apply(node.op, tuple(done[arg] for arg in node.args), node.axis)
        done[node] = replacements.get(node, new)
    return done[expr]


def constant_value(expr: Expr) -> float | None:
    """The value of arithmetic on numbers and constants, None for anything else.

    Raises:
        OverflowError: If it leaves the range of a float64 in either direction.
        ZeroDivisionError: If it divides by 0.
    """
    values: dict[Expr, float] = {}
    for node in walk(expr):
        if isinstance(node, Number):
            values[node] = float(node.value)
            lost = node.value != 0 and values[node] == 0
        elif isinstance(node, Constant):
            values[node], lost = (math.pi if node.name == "pi" else math.e), False
        elif isinstance(node, Apply) and node.op in _ARITHMETIC:
            args = [values[arg] for arg in node.args]
            result = _ARITHMETIC[node.op](*args)
            if isinstance(result, complex) or result != result:
                return None
            values[node] = result
            lost = result == 0 and node.op in ("mul", "div", "pow") and all(args)
        else:
            return None
        if lost or math.isinf(values[node]):
            raise OverflowError
    return values[expr]


_ARITHMETIC: dict[str, Callable[..., float]] = {
    "add": lambda *args: math.fsum(args),
    "neg": lambda arg: -arg,
    "mul": lambda *args: math.prod(args),
    "div": lambda left, right: left / right,
    "pow": lambda base, exponent: base**exponent,
}


# Smart constructors ---------------------------------------------------------------


def apply(op: str, *args: Expr, axis: Axis | None = None) -> Expr:
    """Apply an operation, folding what arithmetic alone can fold."""
    if op == "add":
        return add(*args)
    if op == "mul":
        return mul(*args)
    if op == "neg":
        return neg(args[0])
    if op == "div":
        return div(*args)
    if op == "pow":
        return power(*args)
    return Apply(op, args, axis)


def neg(arg: Expr) -> Expr:
    """``-arg``."""
    if isinstance(arg, Number):
        return Number(-arg.value)
    if isinstance(arg, Apply) and arg.op == "neg":
        return arg.args[0]
    return Apply("neg", (arg,))


def add(*args: Expr) -> Expr:
    """The sum; numbers are folded into one, like terms collected, zeros dropped."""
    coefficients: dict[Expr, Fraction] = {}
    for arg in args:
        nested = arg.args if isinstance(arg, Apply) and arg.op == "add" else (arg,)
        for term in nested:
            factor, rest = _coefficient(term)
            coefficients[rest] = coefficients.get(rest, Fraction(0)) + factor
    terms = [_scaled(factor, rest) for rest, factor in coefficients.items() if factor]
    if not terms:
        return ZERO
    return terms[0] if len(terms) == 1 else Apply("add", tuple(terms))


def _coefficient(term: Expr) -> tuple[Fraction, Expr]:
    """A term as a number times the rest; the rest of a number is 1."""
    if isinstance(term, Number):
        return term.value, ONE
    if isinstance(term, Apply) and term.op == "neg":
        factor, rest = _coefficient(term.args[0])
        return -factor, rest
    if isinstance(term, Apply) and term.op == "mul":
        first = term.args[0]
        if isinstance(first, Number):
            return first.value, mul(*term.args[1:])
    return Fraction(1), term


def _scaled(factor: Fraction, rest: Expr) -> Expr:
    return Number(factor) if rest == ONE else mul(Number(factor), rest)


def sub(left: Expr, right: Expr) -> Expr:
    """``left - right``."""
    if isinstance(right, Apply) and right.op == "add":
        return add(left, *(neg(term) for term in right.args))
    return add(left, neg(right))


def mul(*args: Expr) -> Expr:
    """The product; numbers and signs go to the front, reciprocals become quotients."""
    factors: list[Expr] = []
    divisors: list[Expr] = []
    constant = Fraction(1)
    for arg in args:
        if isinstance(arg, Apply) and arg.op == "neg":
            constant, arg = -constant, arg.args[0]
        nested = arg.args if isinstance(arg, Apply) and arg.op == "mul" else (arg,)
        for factor in nested:
            if isinstance(factor, Number):
                constant *= factor.value
            elif isinstance(factor, Apply) and _is_reciprocal(factor):
                divisors.append(factor.args[1])
            else:
                factors.append(factor)
    if constant == 0:
        return ZERO
    if divisors:
        quotient = div(mul(Number(abs(constant)), *factors), mul(*divisors))
        return neg(quotient) if constant < 0 else quotient
    if not factors:
        return Number(constant)
    if constant not in (1, -1):
        factors.insert(0, Number(abs(constant)))
    product = factors[0] if len(factors) == 1 else Apply("mul", tuple(factors))
    return neg(product) if constant < 0 else product


def _is_reciprocal(expr: Apply) -> bool:
    return expr.op == "div" and expr.args[0] == ONE


def div(left: Expr, right: Expr) -> Expr:
    """``left / right``."""
    if (isinstance(right, Number) and right.value == 1) or left == ZERO:
        return left
    if isinstance(left, Number) and isinstance(right, Number) and right.value:
        return Number(left.value / right.value)
    if isinstance(left, Number) and left.value < 0:
        return neg(div(Number(-left.value), right))
    if isinstance(left, Apply) and left.op == "neg":
        return neg(div(left.args[0], right))
    if isinstance(right, Apply) and right.op == "neg":
        return neg(div(left, right.args[0]))
    return Apply("div", (left, right))


def power(base: Expr, exponent: Expr) -> Expr:
    """``base ** exponent``."""
    if exponent == ZERO:
        return ONE
    if exponent == ONE:
        return base
    return Apply("pow", (base, exponent))
