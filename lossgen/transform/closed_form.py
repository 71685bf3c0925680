"""Gradients in closed form, for losses whose terms cancel in TensorFlow's own.

Reverse mode adds up what flows back through each operation. Where the sum is small
against its terms it has lost their digits; the derivative of the author's formula,
simplified, may have no such terms: that of the CRPS of a Gaussian by its standard
deviation is ``2*pdf(z) - 1/sqrt(pi)``, without the ``z*(2*cdf(z) - 1)`` that reverse
mode adds and takes away.
"""

from __future__ import annotations

from collections.abc import Mapping

from lossgen.analysis.identities import terms
from lossgen.analysis.ranges import Ranges
from lossgen.calculus.differentiate import directional_derivative
from lossgen.ir.expr import (
    ONE,
    Apply,
    Expr,
    Role,
    Symbol,
    mul,
    replace_nodes,
    substitute,
    symbols,
    walk,
)
from lossgen.ir.functions import CONDITIONS, FUNCTIONS, Kind
from lossgen.ir.loss import Loss
from lossgen.transform.naming import local_name
from lossgen.transform.stabilize import Rewriter


def with_slopes(
    form: Expr,
    expression: Expr,
    loss: Loss,
    rewrite: Rewriter,
    simplified: Mapping[Symbol, bool],
) -> Expr:
    """A form of a loss with its partial derivatives beside it.

    Args:
        form: What computes the value.
        expression: The author's formula, or what it is of logits, which `has_slopes`.
        loss: Declares the inputs.
        rewrite: Makes the derivatives stable.
        simplified: By which inputs the derivative is that of the formula, simplified,
            and whether residuals are multiplied out; by the others it is that of the
            form, as in reverse mode.
    """
    roles = {Role.Y_PRED, Role.PARAMETER}
    if loss.spec.y_true.gradient:
        roles.add(Role.Y_TRUE)
    named, atoms = _residuals(expression)
    ranges = Ranges.of_loss(loss, rewriting=True)
    pairs: list[Expr] = []
    used = set(symbols(form))
    for variable in loss.of_role(*roles):
        symbol = variable.symbol
        if symbol in used:
            formula = expression if symbol in simplified else form
            slope = directional_derivative(formula, {symbol: ONE}, loss)
            if symbol in simplified:
                for part, atom in () if simplified[symbol] else named.items():
                    slope = replace_nodes(slope, {part: atom})
                slope = substitute(terms(slope, ranges), atoms)
            pairs += [symbol, rewrite(slope)]
    return Apply("with_slopes", (form, *pairs))


def has_slopes(expr: Expr) -> bool:
    """Whether an expression is smooth, and works element by element."""
    for node in walk(expr):
        if isinstance(node, Apply):
            kind = FUNCTIONS[node.op].kind if node.op in FUNCTIONS else None
            if node.axis is not None or node.op in CONDITIONS or kind is Kind.KINKED:
                return False
    return True


def slope_names(form: Expr) -> dict[Expr, str]:
    """Names for the value and the slopes of a form that has them."""
    names: dict[Expr, str] = {}
    for node in walk(form):
        if not isinstance(node, Apply) or node.op != "with_slopes":
            continue
        value, *pairs = node.args
        if node == form:
            names[value] = "loss"
        for symbol, slope in zip(pairs[::2], pairs[1::2], strict=True):
            if isinstance(slope, Apply) and isinstance(symbol, Symbol):
                names[slope] = f"slope_{local_name(symbol)}"
    return names


def _residuals(expr: Expr) -> tuple[dict[Expr, Expr], dict[Expr, Expr]]:
    """What counts as one variable: residuals, alone or as multiples of a scale.

    Multiplied out, the terms of a residual would cancel.

    Returns:
        What stands for parts of the expression, and what that stands for.
    """
    named: dict[Expr, Expr] = {}
    atoms: dict[Expr, Expr] = {}
    for node in walk(expr):
        if not isinstance(node, Apply) or node.op != "div":
            continue
        residual, scale = node.args
        if _is_residual(residual) and isinstance(scale, Symbol):
            atom = Symbol(f"scaled{len(atoms)}", Role.DERIVED)
            named[node], named[residual] = atom, mul(atom, scale)
            atoms[atom] = node
    for node in walk(expr):
        if _is_residual(node) and node not in named:
            named[node] = Symbol(f"residual{len(atoms)}", Role.DERIVED)
            atoms[named[node]] = node
    return named, atoms


def _is_residual(expr: Expr) -> bool:
    """Whether it is a sum or difference of inputs."""
    return isinstance(expr, Apply) and (
        expr.op == "add"
        and all(
            isinstance(arg, Symbol)
            or (
                isinstance(arg, Apply)
                and arg.op == "neg"
                and isinstance(arg.args[0], Symbol)
            )
            for arg in expr.args
        )
    )
