"""Expressions in the language of specs, for messages."""

from __future__ import annotations

from fractions import Fraction

from lossgen.ir.abbreviations import standard_deviation
from lossgen.ir.definitions import definition
from lossgen.ir.expr import (
    Apply,
    Constant,
    Expr,
    Number,
    Symbol,
    symbols,
)
from lossgen.ir.functions import FUNCTIONS

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


def spell(expr: Expr) -> str:
    """An expression as an author would write it."""
    return _spell(expr)[0]


def spell_relation(difference: Expr, relation: str) -> str:
    """``difference relation 0`` with no minus sign in front of a term."""
    terms = _terms(difference)
    left = [term for term, positive in terms if positive]
    right = [term for term, positive in terms if not positive]
    if not left or (len(left) == 1 and isinstance(left[0], Number) and right):
        left, right, relation = right, left, _MIRRORED[relation]
    return f"{_spell_terms(left)} {relation} {_spell_terms(right)}"


_MIRRORED = {"<": ">", ">": "<", "=": "="}


def _terms(expr: Expr) -> list[tuple[Expr, bool]]:
    """The terms of a sum without their signs, and the signs."""
    if isinstance(expr, Apply) and expr.op == "add":
        return [item for arg in expr.args for item in _terms(arg)]
    if isinstance(expr, Apply) and expr.op == "neg":
        return [(term, not positive) for term, positive in _terms(expr.args[0])]
    if isinstance(expr, Number):
        if not expr.value:
            return []
        return [(Number(abs(expr.value)), expr.value > 0)]
    return [(expr, True)]


def _spell_terms(terms: list[Expr]) -> str:
    return _spell_sum(tuple(terms)) if terms else "0"


def spell_symbol(name: str) -> str:
    """The name of an input as the expression has it: a channel stands alone."""
    return name.partition(".")[2] or name


def spell_equal(left: Expr, right: Expr) -> str:
    """``left = right``; channels that y_true and y_pred both have in full."""
    names = {item.name for side in (left, right) for item in symbols(side)}
    channels = [name.partition(".")[2] for name in sorted(names) if "." in name]
    shared = frozenset(name for name in channels if channels.count(name) > 1)
    return f"{spell(_in_full(left, shared))} = {spell(_in_full(right, shared))}"


def _in_full(expr: Expr, channels: frozenset[str]) -> Expr:
    """The expression with names of which `spell_symbol` leaves the tensor's."""
    if isinstance(expr, Symbol):
        if expr.name.partition(".")[2] in channels:
            return Symbol(f"full.{expr.name}", expr.role)
    elif isinstance(expr, Apply):
        args = tuple(_in_full(arg, channels) for arg in expr.args)
        return Apply(expr.op, args, expr.axis)
    return expr


def spell_number(value: Fraction) -> str:
    """A number: as a decimal where that is short and exact, else as a quotient."""
    if value.denominator == 1:
        return str(value.numerator)
    decimal = f"{float(value):.10g}"
    return decimal if Fraction(decimal) == value else f"{value}"


def _spell(expr: Expr) -> tuple[str, int]:
    if isinstance(expr, Number):
        text = spell_number(expr.value)
        plain = expr.value >= 0 and "/" not in text
        return text, _ATOM if plain else (_PRODUCT if "/" in text else _SIGN)
    if isinstance(expr, Constant):
        return expr.name, _ATOM
    if isinstance(expr, Symbol):
        return spell_symbol(expr.name), _ATOM
    return _spell_apply(expr)


def _spell_apply(expr: Apply) -> tuple[str, int]:
    if expr.op == "add":
        return _spell_sum(expr.args), _SUM
    if expr.op == "mul":
        return "*".join(_within(arg, _PRODUCT) for arg in expr.args), _PRODUCT
    if expr.op == "div":
        deviation = standard_deviation(expr)
        if deviation is not None:
            return _call("std", deviation), _ATOM
        top, bottom = expr.args
        return f"{_within(top, _PRODUCT)}/{_within(bottom, _SIGN)}", _PRODUCT
    if expr.op == "neg":
        return f"-{_within(expr.args[0], _PRODUCT)}", _SIGN
    if expr.op == "pow":
        base, exponent = expr.args
        return f"{_within(base, _ATOM)}**{_within(exponent, _SIGN)}", _POWER
    if expr.op in _COMPARISONS:
        left, right = (spell(arg) for arg in expr.args)
        return f"{left} {_COMPARISONS[expr.op]} {right}", _SUM - 1
    if expr.op in ("and", "or"):
        return f" {expr.op} ".join(_within(arg, _SUM) for arg in expr.args), _SUM - 2
    if expr.op == "not":
        return f"not {_within(expr.args[0], _SUM)}", _SUM - 1
    meant = definition(expr)
    if meant is not None:
        return _spell(meant)
    if expr.op == "lowest":
        return "-oo", _SIGN
    name = FUNCTIONS[expr.op].surface if expr.op in FUNCTIONS else expr.op
    return _call(name, expr), _ATOM


def _call(name: str, expr: Apply) -> str:
    inner = ", ".join(spell(arg) for arg in expr.args)
    axis = f", axis={expr.axis.value}" if expr.axis else ""
    return f"{name}({inner}{axis})"


def _spell_sum(terms: tuple[Expr, ...]) -> str:
    text = _within(terms[0], _SUM)
    for term in terms[1:]:
        if isinstance(term, Apply) and term.op == "neg":
            text += f" - {_within(term.args[0], _PRODUCT)}"
        elif isinstance(term, Number) and term.value < 0:
            text += f" - {spell_number(-term.value)}"
        else:
            text += f" + {_within(term, _SUM)}"
    return text


def _within(expr: Expr, strength: int) -> str:
    text, own = _spell(expr)
    return text if own >= strength else f"({text})"
