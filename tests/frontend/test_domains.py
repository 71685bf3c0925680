from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.domains import named_domain, parse_domain, real
from lossgen.ir.domain import Domain, DomainKind
from lossgen.ir.expr import Role
from lossgen.ir.spec import Text

OO = math.inf


def read(
    value: str, name: str = "a", role: Role = Role.PARAMETER
) -> tuple[Domain | None, list[tuple[str, str]]]:
    """The domain, and the codes found, each with the text that is marked."""
    report = Report()
    source = SourceFile("spec.yaml", value)
    text = Text(value, source, tuple(range(len(value) + 1)))
    domain = parse_domain(text, name, role, report)
    return domain, [
        (item.code.id, value[item.span.start : item.span.end])
        for item in report
        if item.span
    ]


def interval(domain: Domain | None) -> str:
    """An interval as mathematics writes it, from its bounds alone."""
    assert domain is not None
    assert domain.kind is DomainKind.INTERVAL
    lower, upper = domain.lower, domain.upper
    left, right = "[("[lower.open], "])"[upper.open]
    return f"{left}{lower.approx:g}, {upper.approx:g}{right}"


@pytest.mark.parametrize(
    ("name", "kind", "ends", "values"),
    [
        ("real", DomainKind.INTERVAL, (-OO, True, OO, True), ()),
        ("positive", DomainKind.INTERVAL, (0, True, OO, True), ()),
        ("nonnegative", DomainKind.INTERVAL, (0, False, OO, True), ()),
        ("probability", DomainKind.INTERVAL, (0, True, 1, True), ()),
        ("unit", DomainKind.INTERVAL, (0, False, 1, False), ()),
        ("binary", DomainKind.FINITE, (0, False, 1, False), (0, 1)),
        ("sign", DomainKind.FINITE, (-1, False, 1, False), (-1, 1)),
        ("count", DomainKind.COUNT, (0, False, OO, True), ()),
        ("one_hot", DomainKind.ONE_HOT, (0, False, 1, False), ()),
        ("simplex", DomainKind.SIMPLEX, (0, False, 1, False), ()),
    ],
)
def test_named_domains(
    name: str,
    kind: DomainKind,
    ends: tuple[float, bool, float, bool],
    values: tuple[int, ...],
) -> None:
    domain, faults = read(name, "y_true", Role.Y_TRUE)
    assert faults == []
    assert domain is not None
    assert domain == named_domain(name, Role.Y_TRUE)
    assert domain.kind is kind
    lower, upper = domain.lower, domain.upper
    assert (lower.approx, lower.open, upper.approx, upper.open) == ends
    assert domain.values == values
    assert domain.text == name


def test_a_simplex_of_predictions_is_open() -> None:
    domain, faults = read("simplex", "y_pred", Role.Y_PRED)
    assert faults == []
    assert domain is not None
    assert (domain.lower.open, domain.upper.open) == (True, True)
    assert real().text == "real"
    assert named_domain("reel", Role.Y_PRED) is None


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("(0, 1)", "(0, 1)"),
        ("[0, 1]", "[0, 1]"),
        ("[0,1)", "[0, 1)"),
        (" ( 0 , oo ) ", "(0, inf)"),
        ("(-oo, 0]", "(-inf, 0]"),
        ("(- oo, +oo)", "(-inf, inf)"),
        ("[-1/2, 2**3]", "[-0.5, 8]"),
        ("[0, 2*pi)", "[0, 6.28319)"),
        ("(-e, e)", "(-2.71828, 2.71828)"),
        ("[(1 + 1)/4, (3)]", "[0.5, 3]"),
        ("[2, 2]", "[2, 2]"),
        ("a > 0", "(0, inf)"),
        ("a >= 0", "[0, inf)"),
        ("0 < a", "(0, inf)"),
        ("1 >= a", "(-inf, 1]"),
        ("0 < a < 1", "(0, 1)"),
        ("0 <= a < pi", "[0, 3.14159)"),
        ("1 > a >= -1", "[-1, 1)"),
        ("a > 0 and a <= 2", "(0, 2]"),
        # The tighter end holds, the open one where both are equal.
        ("a > 0 and a > 1", "(1, inf)"),
        ("a > 1 and a > 0", "(1, inf)"),
        ("a >= 0 and a > 0", "(0, inf)"),
        ("a > 0 and a >= 0", "(0, inf)"),
        ("a <= 1 and a < 1", "(-inf, 1)"),
        ("a < 1 and a <= 1", "(-inf, 1)"),
        ("a < 2 and a <= 1 and a < 3", "(-inf, 1]"),
    ],
)
def test_intervals(text: str, shape: str) -> None:
    domain, faults = read(text)
    assert faults == []
    assert interval(domain) == shape
    assert domain is not None
    assert domain.text == " ".join(text.split())


def test_ends_are_exact() -> None:
    domain, _ = read("[0.1, 1/3]")
    assert domain is not None
    assert domain.lower.rational == Fraction(1, 10)
    assert domain.upper.rational == Fraction(1, 3)
    domain, _ = read("[0, pi]")
    assert domain is not None
    assert domain.upper.rational is None
    assert domain.upper.value is not None


def test_a_channel_goes_by_either_name() -> None:
    for text in ("mean > 0", "y_pred.mean > 0"):
        domain, faults = read(text, "y_pred.mean", Role.Y_PRED)
        assert faults == []
        assert interval(domain) == "(0, inf)"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{0, 1}", (0, 1)),
        ("{2, -1, 1/2, 2}", (-1, Fraction(1, 2), 2)),
        ("{3}", (3,)),
        ("{ 0.5 , 1e1 }", (Fraction(1, 2), 10)),
    ],
)
def test_finite_sets(text: str, values: tuple[Fraction, ...]) -> None:
    domain, faults = read(text)
    assert faults == []
    assert domain is not None
    assert domain.kind is DomainKind.FINITE
    assert domain.values == values
    assert (domain.lower.approx, domain.upper.approx) == (min(values), max(values))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ""),
        ("positiv", "positiv"),
        ("0", "0"),
        ("[0, 1", "[0, 1"),
        ("[0 1]", "[0 1]"),
        ("(1, 0)", "(1, 0)"),
        ("[1, 1)", "[1, 1)"),
        ("(1, 1]", "(1, 1]"),
        ("2 < a < 1", "2 < a < 1"),
        ("1 < a < 1", "1 < a < 1"),
        ("[0, oo]", "[0, oo]"),
        ("[-oo, 0]", "[-oo, 0]"),
        ("(oo, 0)", "(oo, 0)"),
        ("(0, -oo)", "(0, -oo)"),
        ("(0, b)", "b"),
        ("(0, a)", "a"),
        ("(0, exp(1))", "exp(1)"),
        ("{0, pi}", "{0, pi}"),
        ("{0, oo}", "{0, oo}"),
        ("a > b", "b"),
        ("x > 0", "x"),
        ("a > 0 or a < 1", "a > 0 or a < 1"),
        ("not a > 0", "not a > 0"),
        ("a == 1", "a == 1"),
        ("a != 1", "a != 1"),
        ("0 < 1", "0 < 1"),
        ("2*a > 1", "2*a > 1"),
        ("a > a", "a > a"),
    ],
)
def test_faults(text: str, place: str) -> None:
    domain, faults = read(text)
    assert domain is None
    assert faults == [("LG306", place)]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("(0, 1/0)", [("LG302", "1/0")]),
        ("(0, 1e999)", [("LG215", "1e999")]),
        ("(0, 9**9**9)", [("LG215", "9**9**9")]),
        ("(0, 2^3)", [("LG207", "2^3")]),
        ("(0, 1 +)", [("LG201", "+")]),
        ("(, 1)", [("LG201", "")]),
        ("{}", [("LG201", "")]),
        ("{0, }", [("LG201", "")]),
        ("0 < a <", [("LG201", "<")]),
        ("a[0] > 1", [("LG202", "a[0]")]),
        ("[0, '1']", [("LG202", "'1'")]),
    ],
)
def test_faults_of_expressions(text: str, faults: list[tuple[str, str]]) -> None:
    domain, found = read(text)
    assert domain is None
    assert found == faults


@pytest.mark.parametrize(
    "text", ["binary", "sign", "one_hot", "count", "{0, 1}", "[1, 1]", "{3}"]
)
def test_predictions_range_over_an_interval(text: str) -> None:
    domain, faults = read(text, "y_pred", Role.Y_PRED)
    assert domain is None
    assert faults == [("LG306", text)]
    assert read(text, "y_true", Role.Y_TRUE)[1] == []


ENDS = st.fractions(-100, 100, max_denominator=1000)


@given(ENDS, ENDS, ENDS, st.sampled_from("[("), st.sampled_from("])"))
def test_an_interval_holds_what_it_says(
    one: Fraction, other: Fraction, inside: Fraction, left: str, right: str
) -> None:
    low, high = sorted((one, other))
    domain, faults = read(f"{left}{low}, {high}{right}")
    if low == high and left + right != "[]":
        assert domain is None
        assert [code for code, _ in faults] == ["LG306"]
        return
    assert faults == []
    assert domain is not None
    assert (domain.lower.rational, domain.upper.rational) == (low, high)
    assert domain.contains(float(low)) is (left == "[")
    assert domain.contains(float(high)) is (right == "]")
    if low < inside < high:
        assert domain.contains(float(inside))
    assert not domain.contains(float(low) - 1)
    assert not domain.contains(float(high) + 1)
    assert not domain.contains(math.nan)


WORDS = "[ ] ( ) { } , < <= > >= == != - + / ** 0 1 oo -oo pi a b and"
PIECES = st.lists(st.sampled_from(WORDS.split()))


@given(st.text() | PIECES.map(" ".join) | PIECES.map("".join), st.sampled_from(Role))
@settings(deadline=None, max_examples=500)
def test_no_text_makes_a_traceback(text: str, role: Role) -> None:
    domain, faults = read(text, role=role)
    assert (domain is None) is bool(faults)
