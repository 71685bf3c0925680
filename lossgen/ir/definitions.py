"""What the operations mean that only rewriting makes, in those of the language.

They are computed otherwise: a definition is what loses the digits that its operation
keeps. Analysis and messages, which lose none, see the definitions.
"""

from __future__ import annotations

from collections.abc import Callable

from lossgen.ir.expr import (
    ONE,
    TWO,
    Apply,
    Expr,
    add,
    apply,
    div,
    mul,
    neg,
    power,
    rebuild,
    sub,
)


def definition(node: Expr) -> Expr | None:
    """What a node stands for, or None where it is an operation of the language."""
    if not isinstance(node, Apply):
        return None
    if node.op == "log1m_softmax":
        return apply("log", sub(ONE, Apply("softmax", node.args, node.axis)))
    found = _DEFINITIONS.get(node.op)
    return found(*node.args) if found else None


def defined(expr: Expr) -> Expr:
    """An expression with a definition in place of each operation that has one."""

    def visit(node: Expr) -> Expr:
        meant = definition(node)
        return node if meant is None else defined(meant)

    return rebuild(expr, visit)


_DEFINITIONS: dict[str, Callable[..., Expr]] = {
    "log1p_square": lambda u: apply("log1p", apply("square", u)),
    "log_difference": lambda u, v: sub(apply("log", u), apply("log", v)),
    "log1p_difference": lambda u, v: sub(apply("log1p", u), apply("log1p", v)),
    "log1pmx": lambda u: Apply("add", (apply("log1p", u), neg(u))),
    "expm1mx": lambda u: Apply("add", (apply("expm1", u), neg(u))),
    "with_slopes": lambda value, *_: value,
    "exp_tilted": lambda u, v: Apply(
        "add", (apply("exp", u), neg(Apply("mul", (v, u))))
    ),
    "powm1": lambda u, v: sub(Apply("pow", (u, v)), ONE),
    "pow1pm1": lambda u, v: sub(Apply("pow", (add(ONE, u), v)), ONE),
    "geman_mcclure": lambda u: div(apply("square", u), add(ONE, apply("square", u))),
    "kl_div": lambda u, v: Apply("add", (apply("xlogy", u, div(u, v)), neg(u), v)),
    "itakura_saito": lambda u, v: Apply(
        "add", (div(u, v), neg(apply("log", div(u, v))), neg(ONE))
    ),
    "digamma_difference": lambda u, v: sub(
        apply("digamma", add(u, v)), apply("digamma", u)
    ),
    "lgamma_difference": lambda u, v: sub(
        apply("lgamma", add(u, v)), apply("lgamma", u)
    ),
    "log_beta": lambda u, v: Apply(
        "add",
        (apply("lgamma", u), apply("lgamma", v), neg(apply("lgamma", add(u, v)))),
    ),
    "log_multiset": lambda u, v: Apply(
        "add",
        (
            apply("lgamma", add(u, v)),
            neg(apply("lgamma", u)),
            neg(apply("lgamma", add(v, ONE))),
        ),
    ),
    "log_beta_excess": lambda u, v: Apply(
        "add",
        (
            apply("log_beta", u, v),
            mul(u, apply("log1p", div(v, u))),
            mul(v, apply("log1p", div(u, v))),
        ),
    ),
    "negative_binomial": lambda u, v, w: Apply(
        "add",
        (
            mul(v, apply("log1p", div(w, v))),
            mul(u, apply("log1p", div(v, w))),
            neg(apply("log_multiset", v, u)),
        ),
    ),
    "tweedie": lambda u, v, w: Apply(
        "add",
        (
            div(power(u, sub(TWO, w)), mul(sub(ONE, w), sub(TWO, w))),
            neg(div(mul(u, power(v, sub(ONE, w))), sub(ONE, w))),
            div(power(v, sub(TWO, w)), sub(TWO, w)),
        ),
    ),
    "poisson_peak": lambda u: Apply(
        "add", (apply("lgamma", add(u, ONE)), neg(apply("xlogy", u, u)), u)
    ),
    "select": lambda y, u, v: add(mul(y, u), mul(sub(ONE, y), v)),
    "log_i0e": lambda u: apply("log", apply("i0e", u)),
    "log_i0": lambda u: add(apply("log", apply("i0e", u)), apply("abs", u)),
}
"""What operations that only rewriting makes stand for."""
