"""What must hold for a loss and its derivative to be defined.

The author's tree is walked as written: SymPy would turn ``exp(log(x))`` into ``x`` and
the fault would be gone. Each obligation is proved by ranges or refuted by a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from lossgen.analysis.crossings import find_crossing
from lossgen.analysis.intervals import Interval
from lossgen.analysis.proofs import is_nonnegative, is_nonzero, is_positive
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.spelling import spell_symbol
from lossgen.analysis.unproved import assumption, known_of, named
from lossgen.analysis.witness import Witness, find_witness
from lossgen.calculus.steps import OutOfStepsError
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import (
    ONE,
    Apply,
    Axis,
    Constant,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    depends_on,
    sub,
    symbols,
    walk,
)
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss

_REPETITIONS = 2  # findings of one kind that overlap


class Need(Enum):
    """What is demanded of an argument."""

    POSITIVE = "positive"
    NONNEGATIVE = "nonnegative"
    NONZERO = "nonzero"


@dataclass(frozen=True)
class Obligation:
    """``subject``, an argument of ``node``, must be positive (nonnegative, nonzero).

    ``derivative`` says that the value is defined in any case and only its derivative
    asks for it. ``guards`` are the conditions of the branches around it. ``unless`` is
    another way to fulfil it.
    """

    node: Apply
    subject: Expr
    need: Need
    code: str
    ranges: Ranges
    guards: tuple[Expr, ...]
    derivative: bool = False
    unless: Callable[[], bool] | None = None

    @property
    def proved(self) -> bool:
        """Whether it holds on the whole domain."""
        prove = {
            Need.POSITIVE: is_positive,
            Need.NONNEGATIVE: is_nonnegative,
            Need.NONZERO: is_nonzero,
        }[self.need]
        if prove(self.subject, self.ranges):
            return True
        return self.unless is not None and self.unless()


def discharge(loss: Loss, report: Report) -> bool:
    """Prove that a loss and its derivative are defined; report where they are not.

    Returns:
        Whether everything was proved.
    """
    failed: list[Obligation] = []
    for item in _worst_first(obligations(loss)):
        if sum(_repeats(item, other) for other in failed) < _REPETITIONS:
            _report(loss, item, _refutation(loss, item), report)
        failed.append(item)
    return not failed


def _refutation(loss: Loss, item: Obligation) -> Witness | None:
    try:
        witness = find_witness(loss, item.node, item.guards, item.derivative)
        if witness is None and item.need is Need.NONZERO and item.node.axis is None:
            return find_crossing(loss, item.node, item.subject, item.guards)
    except OutOfStepsError:
        return None
    return witness


def _repeats(item: Obligation, other: Obligation) -> bool:
    """Whether two obligations of one kind fail at overlapping places."""
    one, two = item.node.span, other.node.span
    if item.code != other.code or one is None or two is None:
        return False
    return one.start < two.end and two.start < one.end


def obligations(loss: Loss) -> tuple[Obligation, ...]:
    """Everything that must hold, in the order of the author's tree."""
    collector = _Collector()
    facts = _Facts(Ranges.of_loss(loss))
    collector.visit(loss.expression, facts, facts)
    return tuple(collector.found)


def moves(expr: Expr) -> bool:
    """Whether a derivative with respect to y_pred passes through an expression."""
    if isinstance(expr, Symbol):
        return expr.role is Role.Y_PRED
    if isinstance(expr, Apply):
        blocked = expr.op == "stop_gradient" or FUNCTIONS[expr.op].kind is Kind.DATA
        return not blocked and any(moves(arg) for arg in expr.args)
    return False


def _worst_first(items: tuple[Obligation, ...]) -> Iterator[Obligation]:
    """One obligation an argument: where the value fails, its derivative is no news.

    Raises:
        ProofBudgetError: If a proof takes more steps than there are.
    """
    failed: set[tuple[int, Expr]] = set()
    for item in sorted(items, key=lambda entry: entry.derivative):
        place = (id(item.node), item.subject)
        if place in failed:
            continue
        try:
            proved = item.proved
        except OutOfStepsError:
            raise ProofBudgetError(item) from None
        if not proved:
            failed.add(place)
            yield item


class ProofBudgetError(Exception):
    """The proof of ``item`` took more steps than there are."""

    def __init__(self, item: Obligation) -> None:
        """Keep what was to be proved."""
        self.item = item
        super().__init__(claim(item))


# Collecting ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    """What is known at an occurrence: the ranges, and the conditions around it."""

    ranges: Ranges
    guards: tuple[Expr, ...] = ()

    def inside(self, axis: Axis | None) -> _Facts:
        """What is known inside a reduction."""
        return replace(self, ranges=self.ranges.inside(axis))

    def given(self, condition: Expr) -> _Facts:
        """What is known where a condition holds, too."""
        return _Facts(self.ranges.given(condition, True), (*self.guards, condition))


class _Collector:
    """Walks a tree with the conditions around each branch as facts.

    For the derivative a condition on y_pred counts with its locus: in ``where(y_pred >
    0, sqrt(y_pred), 0)`` the values meet at 0, and the slope is infinite.
    """

    def __init__(self) -> None:
        self.found: list[Obligation] = []
        self._seen: set[tuple[int, int, int, bool]] = set()

    def visit(
        self, expr: Expr, facts: _Facts, closed: _Facts, differentiated: bool = True
    ) -> None:
        key = (id(expr), id(facts.ranges), id(closed.ranges), differentiated)
        if not isinstance(expr, Apply) or key in self._seen:
            return
        self._seen.add(key)
        if expr.op == "where":
            self._branch(expr, facts, closed, differentiated)
            return
        if expr.op in ("and", "or"):
            self._sequence(expr, facts, closed)
            return
        kind = FUNCTIONS[expr.op].kind
        passes = kind not in (Kind.DATA, Kind.COMPARISON, Kind.LOGIC)
        differentiated = differentiated and passes and expr.op != "stop_gradient"
        facts, closed = facts.inside(expr.axis), closed.inside(expr.axis)
        for arg in expr.args:
            self.visit(arg, facts, closed, differentiated)
        rule = _RULES.get(expr.op)
        if rule is None:
            return
        self.found += [
            replace(item, guards=facts.guards)
            for item in rule(expr, facts.ranges)
            if not item.derivative
        ]
        if differentiated:
            self.found += [
                replace(item, guards=closed.guards)
                for item in rule(expr, closed.ranges)
                if item.derivative
            ]

    def _branch(
        self, expr: Apply, facts: _Facts, closed: _Facts, differentiated: bool
    ) -> None:
        condition, then, otherwise = expr.args
        self.visit(condition, facts, closed, False)
        for branch, guard in (
            (then, condition),
            (otherwise, Apply("not", (condition,))),
        ):
            self.visit(
                branch, facts.given(guard), closed.given(closure(guard)), differentiated
            )

    def _sequence(self, expr: Apply, facts: _Facts, closed: _Facts) -> None:
        """``a and b``: b is looked at only where a holds."""
        for condition in expr.args:
            self.visit(condition, facts, closed, False)
            known = condition if expr.op == "and" else Apply("not", (condition,))
            facts, closed = facts.given(known), closed.given(known)


def closure(condition: Expr, truth: bool = True) -> Expr:
    """A condition with its locus, as far as it depends on y_pred: ``>`` as ``>=``."""
    if not isinstance(condition, Apply) or not depends_on(condition, Role.Y_PRED):
        return condition if truth else Apply("not", (condition,))
    if condition.op == "not":
        return closure(condition.args[0], not truth)
    if condition.op in ("and", "or"):
        op = condition.op if truth else {"and": "or", "or": "and"}[condition.op]
        return Apply(op, tuple(closure(arg, truth) for arg in condition.args))
    return Apply(_WITH_LOCUS[condition.op][0 if truth else 1], condition.args)


_WITH_LOCUS = {
    "lt": ("le", "ge"),
    "le": ("le", "ge"),
    "gt": ("ge", "le"),
    "ge": ("ge", "le"),
}


_Rule = Callable[[Apply, Ranges], "Iterator[Obligation]"]


def _log(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    yield Obligation(node, node.args[0], Need.POSITIVE, "LG301", ranges, ())


def _log1p(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    yield Obligation(node, add(ONE, node.args[0]), Need.POSITIVE, "LG301", ranges, ())


def _gamma(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    yield Obligation(node, node.args[0], Need.POSITIVE, "LG304", ranges, ())


def _sqrt(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    (arg,) = node.args
    yield Obligation(node, arg, Need.NONNEGATIVE, "LG303", ranges, ())
    if moves(arg):
        yield Obligation(node, arg, Need.POSITIVE, "LG308", ranges, (), True)


def _acos(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    (arg,) = node.args
    for gap in (sub(ONE, arg), add(ONE, arg)):
        yield Obligation(node, gap, Need.NONNEGATIVE, "LG304", ranges, ())
        if moves(arg):
            yield Obligation(node, gap, Need.POSITIVE, "LG308", ranges, (), True)


def _div(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    yield Obligation(node, node.args[1], Need.NONZERO, "LG302", ranges, ())


def _pow(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    base, exponent = node.args
    values = ranges.of(exponent)
    if _is_whole(exponent, ranges.loss):
        if not values.nonnegative:
            yield Obligation(node, base, Need.NONZERO, "LG302", ranges, ())
        return
    need = Need.NONNEGATIVE if values.nonnegative else Need.POSITIVE
    yield Obligation(node, base, need, "LG303", ranges, ())
    if moves(exponent) or (moves(base) and not _at_least_one(values)):
        yield Obligation(node, base, Need.POSITIVE, "LG308", ranges, (), True)


def _xlogy(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    factor, argument = node.args
    if node.op == "xlog1py":
        argument = add(ONE, argument)

    def vanishes_first() -> bool:
        return _vanishes_with(factor, argument, ranges)

    yield Obligation(
        node, argument, Need.POSITIVE, "LG301", ranges, (), unless=vanishes_first
    )
    if moves(factor):
        yield Obligation(node, argument, Need.POSITIVE, "LG308", ranges, (), True)


def _l2_normalize(node: Apply, ranges: Ranges) -> Iterator[Obligation]:
    (arg,) = node.args
    length = Apply("norm", (arg,), node.axis)

    def has_length() -> bool:
        return ranges.of(length).positive or _sums_to_one(arg, ranges.loss)

    yield Obligation(node, arg, Need.NONZERO, "LG302", ranges, (), unless=has_length)


_RULES: dict[str, _Rule] = {
    "log": _log,
    "log1p": _log1p,
    "lgamma": _gamma,
    "digamma": _gamma,
    "sqrt": _sqrt,
    "acos": _acos,
    "div": _div,
    "pow": _pow,
    "xlogy": _xlogy,
    "xlog1py": _xlogy,
    "l2_normalize": _l2_normalize,
}


def _is_whole(exponent: Expr, loss: Loss) -> bool:
    """Whether an exponent is an integer whatever the inputs."""
    if isinstance(exponent, Number):
        return exponent.value.denominator == 1
    if isinstance(exponent, Constant):
        return False
    if isinstance(exponent, Symbol):
        if exponent.role is Role.SIZE:
            return True
        domain = loss.variable(exponent.name).domain
        if domain.labels:
            return all(item.denominator == 1 for item in domain.labels)
        return domain.kind is DomainKind.COUNT
    return exponent.op in ("add", "mul", "neg", "floor", "sign") and all(
        exponent.op in ("floor", "sign") or _is_whole(arg, loss)
        for arg in exponent.args
    )


def _at_least_one(values: Interval) -> bool:
    return values.empty or values.lower >= 1


def _vanishes_with(factor: Expr, argument: Expr, ranges: Ranges) -> bool:
    """Whether the factor is 0 wherever the argument is, which is never negative."""
    if not is_nonnegative(argument, ranges):
        return False
    if factor == argument:
        return True
    if is_nonnegative(factor, ranges) and is_nonnegative(sub(argument, factor), ranges):
        return True
    quotient = ranges.quotient(argument, factor)
    return quotient is not None and is_positive(quotient, ranges)


def _sums_to_one(arg: Expr, loss: Loss) -> bool:
    return (
        isinstance(arg, Symbol)
        and arg.role is not Role.SIZE
        and loss.mask is None
        and loss.variable(arg.name).domain.along_last_axis
    )


# Reporting ----------------------------------------------------------------------------

_MESSAGES = {
    "log": "log of a value that can be 0 or negative",
    "log1p": "log1p of a value that can be -1 or less",
    "xlogy": "log of a value that can be 0 or negative",
    "xlog1py": "log1p of a value that can be -1 or less",
    "div": "the divisor can be 0",
    "sqrt": "square root of a value that can be negative",
    "pow": "a power that is not a whole number of a value that can be negative",
    "lgamma": "lgamma of a value that can be 0 or negative",
    "digamma": "digamma of a value that can be 0 or negative",
    "acos": "acos of a value that can lie outside of [-1, 1]",
    "l2_normalize": "a vector that can be 0 has no direction",
}

_HELP = {
    "log": "restrict a domain (to `positive`, or to `probability` between 0 and 1), or "
    "state under `assume` that it is positive",
    "div": "add a positive constant to what is nowhere negative, restrict a domain, or "
    "state the sign of the divisor under `assume`",
    "sqrt": "restrict a domain, or take the square root of a sum of squares plus a "
    "positive constant",
    "pow": "restrict a domain, or take the power of abs(…)",
    "lgamma": "restrict a domain (`positive`), or add a positive constant to what is "
    "nowhere negative",
    "digamma": "restrict a domain (`positive`), or add a positive constant to what is "
    "nowhere negative",
    "acos": "clip the argument, `acos(clip(…, 2**-20 - 1, 1 - 2**-20))`",
    "l2_normalize": "state `norm(…) > 0` under `assume`, or divide by norm(…) plus a "
    "positive constant",
}


def _report(
    loss: Loss, item: Obligation, witness: Witness | None, report: Report
) -> None:
    message, way_out = _wording(item)
    span = item.node.span or (item.subject.span)
    if witness is None:
        report.add(
            "LG305",
            f"cannot show that {claim(item)}",
            span,
            notes=(known_of(item.subject, item.ranges),),
            help=f"if it holds, write {to_assume(item)}; else restrict a domain, or "
            f"{_OTHERWISE.get(item.need)}",
        )
        return
    report.add(
        item.code, message, span, notes=_notes(loss, item, witness), help=way_out
    )


def claim(item: Obligation) -> str:
    """What is to be proved, in words."""
    text = named(item.subject, item.ranges.loss)
    purpose = "has a finite derivative" if item.derivative else "is defined"
    return f"`{item.node.op}` {purpose} here: that `{text}` is {item.need.value}"


def to_assume(item: Obligation) -> str:
    """The line for the spec that states it."""
    relation = _RELATIONS[item.need]
    if relation == "!=" and depends_on(item.subject, Role.Y_PRED):
        # A prediction hits no single value, so that only a side of it can be assumed.
        relation = ">"
    return assumption(item.subject, relation, item.ranges.loss)


_RELATIONS = {Need.POSITIVE: ">", Need.NONNEGATIVE: ">=", Need.NONZERO: "!="}

_OTHERWISE = {
    Need.POSITIVE: "add a positive constant to what is nowhere negative",
    Need.NONNEGATIVE: "write `max(…, 0)` if it is negative by rounding alone",
    Need.NONZERO: "add a positive constant to a divisor that is nowhere negative",
}


def _wording(item: Obligation) -> tuple[str, str | None]:
    op = item.node.op
    if not item.derivative:
        if op == "pow" and item.need is Need.NONZERO:
            return "a negative power of a value that can be 0", _HELP["div"]
        if op == "pow" and item.need is Need.POSITIVE:
            return "a power of a value that can be 0 or negative", _HELP["pow"]
        if op == "log" and (weight := _own_weight(item)):
            return _MESSAGES[op], (
                f"write `xlogy({weight}, …)` for `{weight}*log(…)`: it is 0 where "
                f"{weight} is 0"
            )
        fallback = _HELP["log"] if op in ("log1p", "xlogy", "xlog1py") else None
        return _MESSAGES[op], _HELP.get(op, fallback)
    if op == "sqrt":
        squares = any(
            isinstance(node, Apply) and node.op in ("sum", "mean")
            for node in walk(item.subject)
        )
        way = "norm(…, axis=…) has a gradient of 0 there; or add a positive constant"
        return (
            "the derivative of the square root is infinite where its argument is 0",
            way if squares else "add a positive constant under the root",
        )
    if op == "pow":
        return (
            "the derivative of this power is infinite where its base is 0",
            "use an exponent of at least 1, or add a positive constant to the base",
        )
    if op == "acos":
        return "the derivative of acos is infinite at -1 and 1", _HELP["acos"]
    return "the derivative is infinite where the logarithm is", _HELP["log"]


def _own_weight(item: Obligation) -> str | None:
    """A label or parameter that the logarithm is taken of, and multiplied by."""
    for node in walk(item.ranges.loss.expression):
        if not isinstance(node, Apply) or node.op != "mul":
            continue
        for factor in node.args:
            if (
                isinstance(factor, Symbol)
                and factor.role in (Role.Y_TRUE, Role.PARAMETER)
                and factor in symbols(item.subject)
                and is_nonnegative(factor, item.ranges)
                and any(item.node in walk(arg) for arg in node.args)
            ):
                return spell_symbol(factor.name)
    return None


def _notes(loss: Loss, item: Obligation, witness: Witness) -> tuple[str, ...]:
    names = [
        symbol.name
        for symbol in _symbols_in_order(loss, item.node)
        if symbol.name in witness.names
    ]
    declared = "; ".join(
        f"{name} is declared {loss.variable(name).domain.text}" for name in names
    )
    place = witness.place(tuple(names))
    if witness.crossing:
        what = f"near {place} it changes sign, and is 0 in between"
    elif item.derivative:
        what = f"at {place} the argument is {witness.shown_argument}"
    else:
        what = f"at {place} this is {witness.shown_call}"
    return (f"{declared}; {what}",) if declared else (f"this is {witness.shown_call}",)


def _symbols_in_order(loss: Loss, expr: Expr) -> tuple[Symbol, ...]:
    used = {node for node in walk(expr) if isinstance(node, Symbol)}
    order = {Role.Y_PRED: 0, Role.Y_TRUE: 1}
    ranked = [item for item in loss.variables if item.symbol in used]
    return tuple(
        item.symbol for item in sorted(ranked, key=lambda v: order.get(v.role, 2))
    )
