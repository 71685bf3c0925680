"""Domain text to domain: named sets, intervals, inequalities and finite sets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import Span
from lossgen.frontend.parser import build, parse
from lossgen.frontend.reader import shorten
from lossgen.frontend.typos import suggestion
from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    apply,
    constant_value,
)
from lossgen.ir.spec import Text

_INFINITY = Symbol("oo", Role.DERIVED)
_MINUS_INFINITY = Bound(None, -math.inf, True)
_PLUS_INFINITY = Bound(None, math.inf, True)


def real() -> Domain:
    """The real line."""
    return Domain(DomainKind.INTERVAL, _MINUS_INFINITY, _PLUS_INFINITY, "real")


def named_domain(name: str, role: Role) -> Domain | None:
    """A domain that has a name; ``simplex`` is open for y_pred."""
    maker = _NAMED.get(name)
    if maker is None:
        return None
    return maker(name, role)


def parse_domain(text: Text, name: str, role: Role, report: Report) -> Domain | None:
    """Read the domain of the input ``name``; reports what is wrong."""
    value = " ".join(text.value.split())
    domain = named_domain(value, role) or _parse(text, name, report)
    if domain is None:
        return None
    problem = _problem(domain, role)
    if problem:
        report.add("LG306", problem, text.span())
        return None
    return domain


def _problem(domain: Domain, role: Role) -> str | None:
    lower, upper = domain.lower, domain.upper
    if lower.approx > upper.approx or (
        lower.approx == upper.approx and (lower.open or upper.open)
    ):
        return f"the domain {shorten(domain.text)} is empty"
    if role is Role.Y_PRED and (
        domain.labels or domain.kind is DomainKind.COUNT or lower.approx == upper.approx
    ):
        return "y_pred must range over an interval, or nothing can be learnt"
    return None


def _parse(text: Text, name: str, report: Report) -> Domain | None:
    value = text.value.strip()
    start = text.value.find(value)
    if re.fullmatch(r"[\[(].*[\])]", value, re.DOTALL) and _comma(value) is not None:
        return _interval(text, start, start + len(value), report)
    if value.startswith("{") and value.endswith("}"):
        return _finite(text, start, start + len(value), report)
    if re.search(r"[<>=]", value):
        return _inequality(text, name, report)
    report.add(
        "LG306",
        f"unknown domain `{shorten(value)}`",
        text.span(),
        help=suggestion(value, _NAMED)
        or "a name such as `positive`, an interval `[0, oo)`, an inequality "
        f"`{name} >= 0` or a set `{{0, 1}}`",
    )
    return None


def _comma(value: str) -> int | None:
    depth = 0
    for index, char in enumerate(value[1:-1], start=1):
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            return index
    return None


def _part(text: Text, start: int, end: int) -> Text:
    """A piece of a text without the spaces around it."""
    piece = text.value[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip()) if piece.strip() else 0
    return Text(text.value[start:end], text.source, text.offsets[start : end + 1])


def _interval(text: Text, start: int, end: int, report: Report) -> Domain | None:
    comma = _comma(text.value[start:end])
    assert comma is not None
    lower = _constant(_part(text, start + 1, start + comma), report)
    upper = _constant(_part(text, start + comma + 1, end - 1), report)
    if lower is None or upper is None:
        return None
    low = _bound(lower, text.value[start] == "(")
    high = _bound(upper, text.value[end - 1] == ")")
    if (low.value is None and low.approx > 0) or (
        high.value is None and high.approx < 0
    ):
        report.add("LG306", "the ends of the interval are reversed", text.span())
        return None
    if (low.value is None and not low.open) or (high.value is None and not high.open):
        report.add(
            "LG306", "an infinite end is open: write `(-oo` or `oo)`", text.span()
        )
        return None
    return Domain(DomainKind.INTERVAL, low, high, " ".join(text.value.split()))


def _finite(text: Text, start: int, end: int, report: Report) -> Domain | None:
    values: list[Fraction] = []
    position = start + 1
    for piece in text.value[start + 1 : end - 1].split(","):
        expr = _constant(_part(text, position, position + len(piece)), report)
        position += len(piece) + 1
        if expr is None:
            return None
        exact = expr.value if isinstance(expr, Number) else None
        if exact is None:
            report.add("LG306", "a set holds rational numbers", text.span())
            return None
        values.append(exact)
    values = sorted(set(values))
    low, high = Number(values[0]), Number(values[-1])
    return Domain(
        DomainKind.FINITE,
        Bound(low, float(values[0]), False),
        Bound(high, float(values[-1]), False),
        " ".join(text.value.split()),
        tuple(values),
    )


def _inequality(text: Text, name: str, report: Report) -> Domain | None:
    variable = Symbol(name, Role.PARAMETER)

    def lookup(word: str, span: Span) -> Expr | None:
        if word == name.rpartition(".")[2] or word == name:
            return variable
        report.add("LG306", f"a domain speaks of `{name}` only", span)
        return None

    tree = parse(text, report)
    expr = build(tree, text, lookup, report, condition=True) if tree else None
    if expr is None:
        return None
    low, high = _MINUS_INFINITY, _PLUS_INFINITY
    for link in _links(expr):
        found = _half_line(link, variable)
        if found is None:
            report.add(
                "LG306",
                f"compare `{name}` with constants, e.g. `0 < {name} <= 1`",
                text.span(),
            )
            return None
        side, bound = found
        if side == "lower" and (bound.approx, bound.open) > (low.approx, low.open):
            low = bound
        if side == "upper" and (bound.approx, not bound.open) < (
            high.approx,
            not high.open,
        ):
            high = bound
    return Domain(DomainKind.INTERVAL, low, high, " ".join(text.value.split()))


def _links(expr: Expr) -> tuple[Expr, ...]:
    if isinstance(expr, Apply) and expr.op == "and":
        return tuple(link for arg in expr.args for link in _links(arg))
    return (expr,)


def _half_line(link: Expr, variable: Symbol) -> tuple[str, Bound] | None:
    if not isinstance(link, Apply) or link.op not in ("lt", "le", "gt", "ge"):
        return None
    left, right = link.args
    below = link.op in ("lt", "le")
    if right == variable:
        left, right, below = right, left, not below
    value = constant_value(right)
    if left != variable or value is None:
        return None
    bound = Bound(_folded(right), value, link.op in ("lt", "gt"))
    return ("upper" if below else "lower"), bound


def _constant(text: Text, report: Report) -> Expr | None:
    """A constant; ``oo`` comes out as ``_INFINITY``, ``-oo`` as its negative."""
    infinite: dict[str, Expr] = {
        "oo": _INFINITY,
        "+oo": _INFINITY,
        "-oo": Apply("neg", (_INFINITY,)),
    }
    if text.value.replace(" ", "") in infinite:
        return infinite[text.value.replace(" ", "")]

    def lookup(word: str, span: Span) -> Expr | None:
        report.add("LG306", f"`{shorten(word)}` is not a constant", span)
        return None

    tree = parse(text, report)
    expr = build(tree, text, lookup, report, condition=False) if tree else None
    if expr is None:
        return None
    if constant_value(expr) is None:
        report.add(
            "LG306",
            "an end of a domain is a number, `pi`, `e`, or arithmetic on them",
            text.span(),
        )
        return None
    return _folded(expr)


def _folded(expr: Expr) -> Expr:
    if isinstance(expr, Apply):
        args = tuple(_folded(arg) for arg in expr.args)
        return apply(expr.op, *args)
    return expr


def _bound(expr: Expr, is_open: bool) -> Bound:
    if expr == _INFINITY:
        return Bound(None, math.inf, is_open)
    if isinstance(expr, Apply) and expr.args == (_INFINITY,):
        return Bound(None, -math.inf, is_open)
    value = constant_value(expr)
    assert value is not None
    return Bound(expr, value, is_open)


def _line(
    low: Bound, high: Bound, kind: DomainKind = DomainKind.INTERVAL
) -> Callable[[str, Role], Domain]:
    return lambda name, role: Domain(kind, low, high, name)


def _labels(*values: int) -> Callable[[str, Role], Domain]:
    exact = tuple(Fraction(value) for value in values)
    low, high = Bound(Number(exact[0]), values[0], False), Bound(ONE, values[-1], False)
    return lambda name, role: Domain(DomainKind.FINITE, low, high, name, exact)


def _simplex(name: str, role: Role) -> Domain:
    is_open = role is Role.Y_PRED
    low, high = Bound(ZERO, 0.0, is_open), Bound(ONE, 1.0, is_open)
    return Domain(DomainKind.SIMPLEX, low, high, name)


_CLOSED_ZERO, _CLOSED_ONE = Bound(ZERO, 0.0, False), Bound(ONE, 1.0, False)
_OPEN_ZERO, _OPEN_ONE = Bound(ZERO, 0.0, True), Bound(ONE, 1.0, True)
_NAMED: dict[str, Callable[[str, Role], Domain]] = {
    "real": _line(_MINUS_INFINITY, _PLUS_INFINITY),
    "positive": _line(_OPEN_ZERO, _PLUS_INFINITY),
    "nonnegative": _line(_CLOSED_ZERO, _PLUS_INFINITY),
    "probability": _line(_OPEN_ZERO, _OPEN_ONE),
    "unit": _line(_CLOSED_ZERO, _CLOSED_ONE),
    "binary": _labels(0, 1),
    "sign": _labels(-1, 1),
    "count": _line(_CLOSED_ZERO, _PLUS_INFINITY, DomainKind.COUNT),
    "one_hot": _line(_CLOSED_ZERO, _CLOSED_ONE, DomainKind.ONE_HOT),
    "simplex": _simplex,
}
