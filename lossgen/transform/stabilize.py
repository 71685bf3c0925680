"""Rewrite a loss into the form that is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import inf

from lossgen.analysis.proofs import is_nonnegative, is_positive
from lossgen.analysis.ranges import Ranges
from lossgen.ir.definitions import definition
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Axis,
    Expr,
    Number,
    Role,
    Symbol,
    add,
    apply,
    depends_on,
    neg,
    rebuild,
    sub,
    substitute,
    symbols,
    walk,
)
from lossgen.ir.loss import Loss
from lossgen.transform.forms import FORMS, Form
from lossgen.transform.gamma_arguments import aligned
from lossgen.transform.patterns import REST, Bindings, instantiate, matches
from lossgen.transform.rules import RULES, Condition, Rule, U, V, W, X, Y

Rewriter = Callable[[Expr], Expr]

_LIMIT = 50
"""How often one node may be rewritten; reached only if rules undo one another."""


def stabilizer(
    loss: Loss, fired: dict[str, None], without: frozenset[str] = frozenset()
) -> Rewriter:
    """The function that stabilises any expression of a loss.

    Args:
        loss: Declares the domains that side conditions speak of.
        fired: Takes the names of the rules that were used, in order.
        without: The names of rules that are not to be used.
    """
    rules = [rule for rule in _along_axes(loss) if rule.name not in without]
    ranges = Ranges.of_loss(loss, rewriting=True)
    sloped: set[Expr] = set()  # values whose slopes a rule has given

    def visitor(rules: Sequence[Rule | Form]) -> Rewriter:
        def visit(node: Expr) -> Expr:
            for _ in range(_LIMIT):
                found = None if node in sloped else _first(node, rules, ranges)
                if found is None:
                    return _collected(node)
                rule, node = found
                fired.setdefault(rule.name)
                sloped.update(
                    part.args[0]
                    for part in walk(node)
                    if isinstance(part, Apply) and part.op == "with_slopes"
                )
                node = rebuild(node, visit)
            return node

        return visit

    forms = [form for form in FORMS if form.name not in without]
    first = visitor([*forms, *(rule for rule in rules if not rule.last)])
    last = visitor([rule for rule in rules if rule.last])

    def stabilize(expr: Expr) -> Expr:
        normal = rebuild(expr, lambda node: _normal(node, ranges))
        done = rebuild(rebuild(rebuild(normal, first), last), _without_select)
        return rebuild(done, lambda node: _without_fixed(node, loss))

    return stabilize


def to_logits(loss: Loss) -> Rewriter:
    """The substitution that makes logits of probabilities.

    ``y_pred`` becomes ``sigmoid(y_pred)`` or ``softmax(y_pred)``; the rules then remove
    the function where they can.
    """
    kind = loss.spec.y_pred.logits
    (y_pred,) = (item.symbol for item in loss.variables if item.name == "y_pred")
    axis = Axis.LAST if kind == "softmax" else None
    head = Apply(kind or "sigmoid", (y_pred,), axis)
    return lambda expr: substitute(expr, {y_pred: head})


def _normal(node: Expr, ranges: Ranges) -> Expr:
    return aligned(_unclipped(_folded(node), ranges.loss), ranges)


def _along_axes(loss: Loss) -> Iterator[Rule]:
    """The rules along each axis that the loss has to do with."""
    nodes = [loss.expression, *(expr for _, expr in loss.definitions)]
    found = {n.axis for e in nodes for n in walk(e) if isinstance(n, Apply)}
    for rule in RULES:
        turned = (rule.along(axis) for axis in Axis if axis in found)
        yield from dict.fromkeys((rule, *turned))


def _first(
    node: Expr, rules: Sequence[Rule | Form], ranges: Ranges
) -> tuple[Rule | Form, Expr] | None:
    if not isinstance(node, Apply):
        return None
    for rule in rules:
        if isinstance(rule, Form):
            new = rule.rewritten(node, ranges)
            if new is not None:
                return rule, new
            continue
        for bindings in matches(rule.pattern, node):
            if _holds(rule.condition, bindings, ranges):
                return rule, instantiate(rule.replacement, bindings)
    return None


def _holds(condition: Condition, bindings: Bindings, ranges: Ranges) -> bool:
    loss = ranges.loss
    if condition is Condition.NONE:
        return True
    if condition is Condition.W_POSITIVE:
        return _is_positive(bindings[W], loss)
    if condition is Condition.U_PREDICTED:
        return depends_on(bindings[U], Role.Y_PRED, Role.DERIVED)
    if condition is Condition.OPPOSITE:
        opposite = neg(bindings[U]) == bindings[V]
        return opposite or add(bindings[U], bindings[V]) == ZERO
    if condition in (Condition.REST_FIXED, Condition.W_NUMBER):
        fixed = not depends_on(bindings[REST], Role.Y_PRED, Role.DERIVED)
        return fixed and (
            condition is Condition.REST_FIXED or isinstance(bindings[W], Number)
        )
    if condition is Condition.W_BETWEEN_1_AND_2:
        exponent = bindings[W]
        varies = depends_on(exponent, Role.Y_PRED, Role.Y_TRUE, Role.DERIVED)
        ends = (sub(exponent, ONE), sub(TWO, exponent))
        return not varies and all(is_positive(end, ranges) for end in ends)
    if condition is Condition.SHARED_TERM:
        return _share_terms(bindings[U], bindings[V])
    if condition is Condition.NESTED:
        return _are_nested(bindings, ranges)
    if condition is Condition.VARY:
        varying = (Role.Y_TRUE, Role.Y_PRED, Role.DERIVED)
        return all(depends_on(bindings[side], *varying) for side in (U, V))
    if condition is Condition.V_NONNEGATIVE:
        return is_nonnegative(bindings[V], ranges)
    if condition is Condition.V_LABEL:
        predicted = depends_on(bindings[V], Role.Y_PRED, Role.DERIVED)
        return not predicted and is_nonnegative(bindings[V], ranges)
    if condition is Condition.V_COUNT:
        return _is_count(bindings[V], loss)
    if condition is Condition.V_FRACTION:
        counts = _is_count(bindings[V], loss)
        return not counts and is_nonnegative(bindings[V], ranges)
    if condition is Condition.W_SHARE:
        high = bindings[W]
        share = isinstance(high, Number) and 0 < high.value < 1
        return share and isinstance(bindings[V], Number)
    if condition is Condition.FAR_APART:
        return _are_far_apart(bindings[U], bindings[V], ranges)
    label = bindings[Y]
    if not isinstance(label, Symbol):
        return False
    domain = loss.variable(label.name).domain
    shares = (DomainKind.ONE_HOT, DomainKind.SIMPLEX)
    if condition is Condition.Y_SHARES:
        # A mask may drop some of the shares.
        return domain.kind in shares and loss.mask is None
    if condition is Condition.Y_LABEL:
        within = 0 <= domain.lower.approx <= domain.upper.approx <= 1
        return label.role is Role.Y_TRUE and (domain.kind in shares or within)
    if condition is Condition.Y_ONE_HOT:
        # A mask may drop the entry that a label names.
        return domain.kind is DomainKind.ONE_HOT and loss.mask is None
    return domain.labels == (Fraction(0), Fraction(1))


def _is_positive(expr: Expr, loss: Loss) -> bool:
    if isinstance(expr, Number):
        return expr.value > 0
    if not isinstance(expr, Symbol) or expr.role is not Role.PARAMETER:
        return False
    lower = loss.variable(expr.name).domain.lower
    return lower.approx > 0 or (lower.approx == 0 and lower.open)


def _are_far_apart(left: Expr, right: Expr, ranges: Ranges) -> bool:
    """Whether float32 may not hold the quotient."""
    if not (is_positive(left, ranges) and is_positive(right, ranges)):
        return False
    one, other = ranges.of(left), ranges.of(right)
    return (one.upper == inf and other.lower == 0) or (
        one.lower == 0 and other.upper == inf
    )


def _is_count(expr: Expr, loss: Loss) -> bool:
    if not isinstance(expr, Symbol) or expr.role is not Role.Y_TRUE:
        return False
    domain = loss.variable(expr.name).domain
    whole = all(value >= 0 and value.denominator == 1 for value in domain.labels)
    return domain.kind is DomainKind.COUNT or (bool(domain.labels) and whole)


def _share_terms(left: Expr, right: Expr) -> bool:
    count = _term_count(left) + _term_count(right)
    return right != left and _term_count(sub(right, left)) < count


def _are_nested(bindings: Bindings, ranges: Ranges) -> bool:
    """Whether multiples of logarithms of two numbers are nearly of opposite sizes."""
    more, less = bindings[X], bindings[V]
    left, right = bindings.get(U, ONE), bindings.get(W, ONE)
    return (
        _share_terms(less, more)
        and (left == right or _share_terms(left, right))
        and is_positive(less, ranges)
        and is_nonnegative(sub(more, less), ranges)
    )


def _term_count(expr: Expr) -> int:
    return len(expr.args) if isinstance(expr, Apply) and expr.op == "add" else 1


def _collected(node: Expr) -> Expr:
    """A sum without the terms that it has with both signs: ``u + w - (v + w)``."""
    if not isinstance(node, Apply) or node.op != "add":
        return node
    for index, term in enumerate(node.args):
        if isinstance(term, Apply) and term.op == "neg":
            rest = add(*node.args[:index], *node.args[index + 1 :])
            if _share_terms(term.args[0], rest):
                return sub(rest, term.args[0])
    return node


def _folded(node: Expr) -> Expr:
    """A number that is written as an operation (``-1``, ``1/2``), as rules have it."""
    if not isinstance(node, Apply) or node.op not in ("neg", "div"):
        return node
    value = apply(node.op, *node.args)
    if isinstance(value, Number) and Fraction(float(value.value)) == value.value:
        return value
    return node


def _unclipped(node: Expr, loss: Loss) -> Expr:
    """A clip between ends that vary, as the minimum of a maximum.

    TensorFlow's takes no ends that are larger than what is clipped, and its slopes are
    wrong where the ends cross.
    """
    if not isinstance(node, Apply) or node.op != "clip":
        return node
    value, low, high = node.args
    ends = (*symbols(low), *symbols(high))
    if all(loss.variable(end.name).shape == "scalar" for end in ends):
        return node
    return apply("min", apply("max", value, low), high)


def _without_fixed(node: Expr, loss: Loss) -> Expr:
    """Given slopes without those by what has no gradient."""
    if not isinstance(node, Apply) or node.op != "with_slopes":
        return node
    roles = {Role.Y_PRED, Role.PARAMETER, Role.DERIVED}
    if loss.spec.y_true.gradient:
        roles.add(Role.Y_TRUE)
    value, *rest = node.args
    pairs = zip(rest[::2], rest[1::2], strict=True)
    kept = [pair for pair in pairs if depends_on(pair[0], *roles)]
    if not kept:
        return value
    return Apply(node.op, (value, *(item for pair in kept for item in pair)))


def _without_select(node: Expr) -> Expr:
    """Write the choice between two forms as the author would: y*u + (1 - y)*v."""
    chosen = isinstance(node, Apply) and node.op == "select"
    return (definition(node) or node) if chosen else node
