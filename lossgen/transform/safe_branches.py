"""Keep the branch that is not taken from spoiling the gradient.

The gradient of ``where(c, f(u), v)`` multiplies the derivative of f by 0 where c is
false: 0 times infinity is NaN. The arguments of operations that can leave the finite
numbers there are replaced by a harmless constant. Not so inside a reduction along an
axis on which the condition varies: there the elements take part that the condition does
not hold for, and what they hold was proved finite without it.
"""

from __future__ import annotations

from collections.abc import Callable, Set

from lossgen.ir.expr import ONE, ZERO, Apply, Expr, Number, Role, depends_on, walk
from lossgen.ir.extent import COVERED, Extent, extents
from lossgen.ir.loss import Loss

_SAFE: dict[str, Expr] = {
    "exp": ZERO,
    "expm1": ZERO,
    "sinh": ZERO,
    "cosh": ZERO,
    "acos": ZERO,
    "log1p": ZERO,
    "log_difference": ONE,
    "log1p_difference": ZERO,
    "log1pmx": ZERO,
    "expm1mx": ZERO,
    "exp_tilted": ZERO,
    "powm1": ONE,
    "pow1pm1": ZERO,
    "itakura_saito": ONE,
    "log": ONE,
    "sqrt": ONE,
    "lgamma": ONE,
    "lgamma_difference": ONE,
    "digamma_difference": ONE,
    "log_beta": ONE,
    "log_multiset": ONE,
    "log_beta_excess": ONE,
    "negative_binomial": ONE,
    "tweedie": ONE,
    "poisson_peak": ONE,
    "digamma": ONE,
    "trigamma": ONE,
    "pow": ONE,
}
"""Operations whose first argument can make them infinite or undefined."""

_SAFE_SECOND: dict[str, Expr] = {
    "div": ONE,
    "xlogy": ONE,
    "xlog1py": ZERO,
    "log_difference": ONE,
    "log1p_difference": ZERO,
    "kl_div": ONE,
    "itakura_saito": ONE,
    "lgamma_difference": ONE,
    "digamma_difference": ONE,
    "log_beta": ONE,
    "log_multiset": ONE,
    "log_beta_excess": ONE,
    "negative_binomial": ONE,
    "tweedie": ONE,
}
"""The same for the second argument."""


def protect_branches(expr: Expr, loss: Loss, always: Set[Expr] = frozenset()) -> Expr:
    """Make both branches of every choice finite everywhere.

    Args:
        expr: An expression, or a part of it.
        loss: Declares its symbols.
        always: What has a gradient whichever branches are taken, and is finite
            everywhere as it is.
    """
    done: dict[Expr, Expr] = {}
    kept: set[Expr] = set()  # what became of those of them that are done
    for node in walk(expr):
        if isinstance(node, Apply):
            args = tuple(done[arg] for arg in node.args)
            if node.op == "where":
                varying = extents(loss, node.args[0])[node.args[0]]
                args = (args[0], *_branches(args[0], args[1], args[2], varying, kept))
            done[node] = Apply(node.op, args, node.axis)
        else:
            done[node] = node
        if node in always:
            kept.add(done[node])
    return done[expr]


def always_taken(expr: Expr) -> Set[Expr]:
    """The parts of an expression that have a gradient whichever branches are taken."""
    found: dict[Expr, set[Expr]] = {}
    for node in walk(expr):
        parts = [found[child] for child in node.children]
        if isinstance(node, Apply) and node.op == "where":
            parts = [parts[1] & parts[2]]
        elif isinstance(node, Apply) and node.op in ("stop_gradient", "with_slopes"):
            parts = []  # nothing flows into what computes given slopes
        found[node] = {node}.union(*parts)
    return found[expr]


def _branches(
    condition: Expr, then: Expr, otherwise: Expr, varying: Extent, kept: set[Expr]
) -> tuple[Expr, Expr]:
    def where_taken(arg: Expr, safe: Expr) -> Expr:
        return Apply("where", (condition, arg, safe))

    def where_not(arg: Expr, safe: Expr) -> Expr:
        return Apply("where", (condition, safe, arg))

    return (
        _protect(then, varying, kept, where_taken),
        _protect(otherwise, varying, kept, where_not),
    )


def _protect(
    branch: Expr, varying: Extent, kept: set[Expr], wrap: Callable[[Expr, Expr], Expr]
) -> Expr:
    done: dict[Expr, Expr] = {}
    ones: set[Expr] = set()  # what is 1 where the branch is not taken

    def safe(arg: Expr, constant: Expr) -> Expr:
        if done[arg] in ones or not _varies(arg):
            return done[arg]
        wrapped = wrap(done[arg], constant)
        if constant == ONE:
            ones.add(wrapped)
        return wrapped

    for node in walk(branch):
        if not isinstance(node, Apply) or node.op == "stop_gradient" or node in kept:
            done[node] = node  # no gradient gets there, or one that is finite
            continue
        if node.axis is not None and varying & COVERED[node.axis]:
            done[node] = node
            continue
        args = [done[arg] for arg in node.args]
        for index, constant in unsafe_arguments(node).items():
            args[index] = safe(node.args[index], constant)
        done[node] = Apply(node.op, tuple(args), node.axis)
        if node.op == "pow" and args[0] in ones:
            ones.add(done[node])
    return done[branch]


def unsafe_arguments(node: Apply) -> dict[int, Expr]:
    """Which arguments can make an operation infinite or undefined, and what cannot."""
    found = {}
    if node.op in _SAFE and not _is_tame(node):
        found[0] = _SAFE[node.op]
    if node.op in _SAFE_SECOND:
        found[1] = _SAFE_SECOND[node.op]
    return found


def _varies(arg: Expr) -> bool:
    return depends_on(arg, Role.Y_TRUE, Role.Y_PRED, Role.DERIVED)


def _is_tame(node: Apply) -> bool:
    """Whether it is a power that stays finite for every input below 1e18."""
    if node.op != "pow" or not isinstance(node.args[1], Number):
        return False
    exponent = node.args[1].value
    return exponent.denominator == 1 and 0 <= exponent <= 2
