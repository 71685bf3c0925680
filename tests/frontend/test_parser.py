from __future__ import annotations

import string
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.frontend.parser import build, names_in, parse
from lossgen.ir.expr import Apply, Axis, Constant, Expr, Number, Role, Symbol, walk
from lossgen.ir.spec import Text

SYMBOLS = {
    "y_true": Symbol("y_true", Role.Y_TRUE),
    "y_pred": Symbol("y_pred", Role.Y_PRED),
    "y_pred.mean": Symbol("y_pred.mean", Role.Y_PRED),
    "a": Symbol("a", Role.PARAMETER),
    "b": Symbol("b", Role.PARAMETER),
    "mean": Symbol("mean", Role.PARAMETER),
}
T, P, A, B, MEAN = (SYMBOLS[x] for x in ("y_true", "y_pred", "a", "b", "mean"))


def text_of(value: str) -> Text:
    return Text(value, SourceFile("spec.yaml", value), tuple(range(len(value) + 1)))


def read(value: str, *, condition: bool = False) -> tuple[Expr | None, Report]:
    report = Report()
    text = text_of(value)

    def lookup(name: str, span: Span) -> Expr | None:
        if name not in SYMBOLS:
            report.add("LG203", f"unknown name `{name}`", span)
        return SYMBOLS.get(name)

    tree = parse(text, report)
    if tree is None:
        return None, report
    return build(tree, text, lookup, report, condition=condition), report


def found(value: str, *, condition: bool = False) -> list[tuple[str, str]]:
    """Codes, each with the text that is marked."""
    expr, report = read(value, condition=condition)
    assert (expr is None) is report.has_errors
    return [
        (item.code.id, value[item.span.start : item.span.end])
        for item in report
        if item.span
    ]


def op(name: str, *args: Expr, axis: Axis | None = None) -> Apply:
    return Apply(name, args, axis)


def n(value: int | str) -> Number:
    return Number(Fraction(value))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b", op("add", A, B)),
        ("a - b", op("add", A, op("neg", B))),
        ("a - b - y_true", op("add", op("add", A, op("neg", B)), op("neg", T))),
        ("a + b * y_true", op("add", A, op("mul", B, T))),
        ("(a + b) * y_true", op("mul", op("add", A, B), T)),
        ("a / b / y_true", op("div", op("div", A, B), T)),
        ("-a**2", op("neg", op("pow", A, n(2)))),
        ("a**-2", op("pow", A, op("neg", n(2)))),
        ("a**b**2", op("pow", A, op("pow", B, n(2)))),
        ("--a", op("neg", op("neg", A))),
        ("+a", A),
        ("2 * pi * e", op("mul", op("mul", n(2), Constant("pi")), Constant("e"))),
        ("y_pred.mean - mean", op("add", SYMBOLS["y_pred.mean"], op("neg", MEAN))),
        ("square(y_pred)", op("square", P)),
        ("xlogy(a, y_pred)", op("xlogy", A, P)),
        ("clip(y_pred, 0, 1)", op("clip", P, n(0), n(1))),
        ("max(a, b, y_pred)", op("max", A, B, P)),
        ("max(y_pred, axis=last)", op("amax", P, axis=Axis.LAST)),
        ("min(y_pred, axis=batch)", op("amin", P, axis=Axis.BATCH)),
        ("mean(mean, axis=spatial)", op("mean", MEAN, axis=Axis.SPATIAL)),
        ("softmax(y_pred, axis=last)", op("softmax", P, axis=Axis.LAST)),
        ("sum(y_pred, axis=sample)", op("sum", P, axis=Axis.SAMPLE)),
        ("a if y_true > 0 else b", op("where", op("gt", T, n(0)), A, B)),
        ("where(y_true > 0, a, b)", op("where", op("gt", T, n(0)), A, B)),
        ("floor(y_true / 2)", op("floor", op("div", T, n(2)))),
        (" a\n  + b\n", op("add", A, B)),
    ],
)  # fmt: skip
def test_numbers(text: str, tree: Expr) -> None:
    expr, report = read(text)
    assert list(report) == []
    assert expr == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a < b", op("lt", A, B)),
        ("y_true == 1", op("eq", T, n(1))),
        ("y_true != -1", op("ne", T, op("neg", n(1)))),
        ("0 < a <= 1", op("and", op("lt", n(0), A), op("le", A, n(1)))),
        ("a < b and not y_pred >= 1",
         op("and", op("lt", A, B), op("not", op("ge", P, n(1))))),
        ("a > b or is_finite(y_true)", op("or", op("gt", A, B), op("is_finite", T))),
        # `and` binds more tightly than `or`.
        ("a > 0 or b > 0 and a > b",
         op("or", op("gt", A, n(0)), op("and", op("gt", B, n(0)), op("gt", A, B)))),
    ],
)  # fmt: skip
def test_conditions(text: str, tree: Expr) -> None:
    expr, report = read(text, condition=True)
    assert list(report) == []
    assert expr == tree


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("3.", Fraction(3)),
        ("1e-7", Fraction(1, 10**7)),
        ("2.5E3", Fraction(2500)),
        ("1_000", Fraction(1000)),
        ("0", Fraction(0)),
        ("0.0e5", Fraction(0)),
        ("123456789012345678901234567890", Fraction(123456789012345678901234567890)),
    ],
)
def test_decimals_are_exact(written: str, value: Fraction) -> None:
    expr, report = read(written)
    assert list(report) == []
    assert expr == Number(value)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [("LG201", "")]),
        ("   ", [("LG201", "   ")]),
        ("a +", [("LG201", "+")]),
        ("a b", [("LG201", "b")]),
        ("a) + (b", [("LG201", ")")]),
        ("((a)", [("LG201", "(")]),
        ("max(a, b]", [("LG201", "]")]),
        ("a # b", [("LG201", "#")]),
        ("a; b", [("LG201", ";")]),
        ("a \\ b", [("LG201", "\\")]),
        ("\u00b5 + a", [("LG201", "\u00b5")]),
        ("a = b", [("LG201", "=")]),
        ("2a", [("LG201", "2")]),
        ("a[0]", [("LG202", "a[0]")]),
        ("a.real", [("LG202", "a.real")]),
        ("y_pred.__class__", [("LG202", "y_pred.__class__")]),
        ("y_pred.mean.real", [("LG202", "y_pred.mean.real")]),
        ("'a'", [("LG202", "'a'")]),
        ("a + 'b", [("LG201", "'")]),
        ("b'a'", [("LG202", "b'a'")]),
        ("f'{a}'", [("LG202", "f'{a}'")]),
        ("True", [("LG202", "True")]),
        ("None", [("LG202", "None")]),
        ("...", [("LG202", "...")]),
        ("1j", [("LG202", "1j")]),
        ("lambda: a", [("LG202", "lambda: a")]),
        ("[a, b]", [("LG202", "[a, b]")]),
        ("a, b", [("LG202", "a, b")]),
        ("{a}", [("LG202", "{a}")]),
        ("{}", [("LG202", "{}")]),
        ("(c := a) + c", [("LG202", "c := a")]),
        ("[c for c in a]", [("LG202", "[c for c in a]")]),
        ("max(a, (c for c in a))", [("LG202", "(c for c in a)")]),
        ("await a", [("LG202", "await a")]),
        ("max(*a, b)", [("LG202", "*a")]),
        ("exp(**a)", [("LG202", "**a")]),
        ("a(b)", [("LG204", "a")]),
        ("a.exp(b)", [("LG202", "a.exp")]),
        ("exp(a)(b)", [("LG202", "exp(a)(b)")]),
        ("a % b", [("LG202", "a % b")]),
        ("a // b", [("LG202", "a // b")]),
        ("a @ b", [("LG202", "a @ b")]),
        ("~a", [("LG202", "~a")]),
        ("a is b", [("LG202", "a is b")]),
        ("a in b", [("LG202", "a in b")]),
        ("a^2", [("LG207", "a^2")]),
        ("c + a", [("LG203", "c")]),
        ("c + d", [("LG203", "c"), ("LG203", "d")]),
        ("y_true.mean", [("LG203", "y_true.mean")]),
        ("oo", [("LG203", "oo")]),
        ("ln(c)", [("LG204", "ln"), ("LG203", "c")]),
        ("exp()", [("LG205", "exp()")]),
        ("exp(a, b)", [("LG205", "exp(a, b)")]),
        ("exp(x=a)", [("LG205", "x=a")]),
        ("where(a > b, a)", [("LG205", "where(a > b, a)")]),
        ("sum(a)", [("LG206", "sum(a)")]),
        ("max(a)", [("LG206", "max(a)")]),
        ("exp(a, axis=last)", [("LG206", "exp(a, axis=last)")]),
        ("sum(a, axis=1)", [("LG206", "1")]),
        ("sum(a, axis=first)", [("LG206", "first")]),
        ("exp(c, x=a, y=b)", [("LG203", "c"), ("LG205", "x=a"), ("LG205", "y=b")]),
        # What stands inside is read as well.
        ("sum(c)", [("LG206", "sum(c)"), ("LG203", "c")]),
        ("a > b", [("LG208", "a > b")]),
        ("a * (a > b)", [("LG208", "a > b")]),
        ("exp(a > b)", [("LG208", "a > b")]),
        ("a if b else 1", [("LG208", "b")]),
        ("sign(y_pred)", [("LG209", "sign(y_pred)")]),
        ("floor(a + y_pred)", [("LG209", "floor(a + y_pred)")]),
        ("a if y_pred == 1 else b", [("LG209", "y_pred == 1")]),
        ("1e999", [("LG215", "1e999")]),
        ("1e-999", [("LG215", "1e-999")]),
        ("0x10", [("LG215", "0x10")]),
        ("9**9**9 + a", [("LG215", "9**9**9")]),
        ("a + 2**-9999", [("LG215", "2**-9999")]),
        ("9" * 1500, [("LG215", "9" * 1500)]),
        ("a / 0 + 1 / 0", [("LG302", "1 / 0")]),
    ],
)  # fmt: skip
def test_faults(text: str, faults: list[tuple[str, str]]) -> None:
    assert found(text) == faults


def test_a_number_is_no_condition() -> None:
    assert found("a + b", condition=True) == [("LG208", "a + b")]
    assert found("a > 0 and b", condition=True) == [("LG208", "b")]
    assert found("not a", condition=True) == [("LG208", "a")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a \u2212 b", "write `-`"),
        ("ln(a)", "write `log(a)`"),
        ("pow(a, b)", "write `a**b`"),
        ("sqare(a)", "did you mean `square`?"),
        ("a^2", "write `**`"),
        ("a b", "is an operator missing, such as `*`?"),
        ("max(a, 2 b)", "is an operator missing, such as `*`?"),
        ("a = b", "name a part under `where:`; `==` compares"),
        ("sum(a, axis=-1)", "the last axis is `axis=last`"),
        ("'a'", "names stand without quotes"),
        ("a > b", "write `1 if condition else 0`"),
    ],
)
def test_help(text: str, words: str) -> None:
    (item,) = read(text)[1]
    assert item.help == words


def test_nodes_know_where_they_stand() -> None:
    text = "  square(y_pred\n    - 2*a)"
    expr, _ = read(text)
    assert expr is not None
    spans = {
        text[node.span.start : node.span.end]: node.span.first
        for node in walk(expr)
        if node.span
    }
    assert spans == {
        "square(y_pred\n    - 2*a)": (1, 3),
        "y_pred\n    - 2*a": (1, 10),
        "y_pred": (1, 10),
        "2*a": (2, 7),
        "2": (2, 7),
        "a": (2, 9),
    }


@pytest.mark.parametrize(
    ("text", "code", "start"),
    [
        ("a" + " + a" * 100, None, 0),
        ("a" + " + a" * 102, "LG213", 0),
        ("-" * 100 + "a", None, 0),
        ("-" * 101 + "a", "LG213", 101),
        ("(" * 100 + "a" + ")" * 100, None, 0),
        ("(" * 101 + "a" + ")" * 101, "LG213", 100),
        ("a" + " " * 10_000, "LG213", 0),
        ("max(" + ", ".join(["a"] * 2500) + ")", None, 0),
        ("max(" + ", ".join(["-a"] * 2500) + ")", "LG213", 0),
    ],
)
def test_limits(text: str, code: str | None, start: int) -> None:
    expr, report = read(text)
    assert [item.code.id for item in report] == ([code] if code else [])
    assert (expr is None) is bool(code)
    assert all(item.span and item.span.start == start for item in report)


def test_names_stand_where_they_are_first_used() -> None:
    text = text_of("b*exp(a) + sum(mean(last, axis=last)*b, axis=batch) + y_pred.c")
    tree = parse(text, Report())
    assert tree is not None
    names = {name: span.start for name, span in names_in(tree, text).items()}
    assert names == {"b": 0, "a": 6, "last": 20, "y_pred": 54}
    assert list(names) == ["b", "a", "last", "y_pred"]


# Generated ----------------------------------------------------------------------------

Written = tuple[str, Expr]
ATOMS = st.sampled_from(list(SYMBOLS.items()))
DECIMALS = st.decimals(0, 1000, allow_nan=False, allow_infinity=False, places=3)
BINARY = {"+": "add", "*": "mul", "/": "div", "**": "pow"}
COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
CALLS = {"exp": 1, "log1p": 1, "relu": 1, "xlogy": 2, "max": 3, "clip": 3}
COLLAPSING = {"sum": "sum", "max": "amax", "logsumexp": "logsumexp"}
SPACES = st.sampled_from(["", " ", "\n", "  "])


def numbers(inner: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    @st.composite
    def written(draw: st.DrawFn) -> Written:
        (left, x), (right, y), (third, z) = (draw(inner) for _ in range(3))
        gap = draw(SPACES)
        form = draw(st.integers(0, 7))
        if form == 0:
            sign = draw(st.sampled_from(sorted(BINARY)))
            return f"({left}){gap}{sign}{gap}({right})", op(BINARY[sign], x, y)
        if form == 1:
            return f"({left}){gap}-({right})", op("add", x, op("neg", y))
        if form == 2:
            return f"-{gap}({left})", op("neg", x)
        if form == 3:
            value = draw(DECIMALS)
            return f"{value:f}*({left})", op("mul", n(str(value)), x)
        if form == 4:
            sign = draw(st.sampled_from(sorted(COMPARISONS)))
            test = op(COMPARISONS[sign], x, y)
            return f"({third}) if {left} {sign} {right} else {left}", op(
                "where", test, z, x
            )
        if form == 5:
            low, mid, high = sorted(COMPARISONS)[:3]
            test = op("and", op(COMPARISONS[low], x, y), op(COMPARISONS[high], y, z))
            assert mid
            condition = f"({left}) {low} ({right}) {high} ({third})"
            return f"where({condition}, {left}, {right})", op("where", test, x, y)
        if form == 6:
            name = draw(st.sampled_from(sorted(CALLS)))
            args = ((left, x), (right, y), (third, z))[: CALLS[name]]
            listed = f",{gap}".join(arg for arg, _ in args)
            return f"{name}({gap}{listed})", op(name, *(tree for _, tree in args))
        name = draw(st.sampled_from(sorted(COLLAPSING)))
        axis = draw(st.sampled_from(Axis))
        tree = op(COLLAPSING[name], x, axis=axis)
        return f"{name}({left},{gap}axis={axis.value})", tree

    # A conditional is loosely bound: as an operand it wants parentheses.
    return written().map(lambda pair: (f"({pair[0]})", pair[1]))


@given(st.recursive(ATOMS, numbers, max_leaves=12))
@settings(deadline=None)
def test_what_is_written_is_what_is_read(written: Written) -> None:
    text, tree = written
    expr, report = read(text)
    assert list(report) == []
    assert expr == tree


WORDS = r"""( ) [ ] { } + - * / ** ^ % < <= == != : . , ' " \ 0 1 2.5 1e9 a y_pred oo
exp( max( if else and not axis= last lambda for in f' # ;"""
PIECES = st.lists(st.sampled_from(WORDS.split()) | st.sampled_from(" \n\u2212\0"))


@given(st.text() | st.text(string.printable) | PIECES.map(" ".join), st.booleans())
@settings(deadline=None, max_examples=500)
def test_no_text_makes_a_traceback(text: str, condition: bool) -> None:
    expr, report = read(text, condition=condition)
    assert (expr is None) is report.has_errors
    for item in report:
        assert item.span is not None
        assert 0 <= item.span.start <= item.span.end <= len(text)
