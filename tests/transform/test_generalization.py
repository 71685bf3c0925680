"""The rule between two forms: as general as it holds, and no more."""

import pytest
from losses import A, P, T, call

from lossgen.ir.expr import ONE, add, mul, neg, symbols
from lossgen.transform.generalization import holds, missing_rules
from lossgen.transform.patterns import REST, wildcard

U, V, W = wildcard("u"), wildcard("v"), wildcard("w")
SQUARE = call("square", add(P, neg(T)))


def only(before, after):
    (rule,) = missing_rules(before, after)
    return rule


def test_a_common_subexpression_becomes_a_variable():
    rule = only(mul(A, call("log", add(ONE, SQUARE))), mul(A, call("log1p", SQUARE)))
    assert rule.pattern == call("log", add(ONE, U))
    assert rule.replacement == call("log1p", U)
    assert rule.positive == ()


def test_terms_in_common_are_the_rest():
    before = add(ONE, neg(call("exp", SQUARE)), T)
    after = add(neg(call("expm1", SQUARE)), T)
    rule = only(before, after)
    assert rule.pattern == add(ONE, neg(call("exp", U)), REST)
    assert rule.replacement == add(neg(call("expm1", U)), REST)


def test_several_terms_are_one_variable():
    inner = add(P, T, A)
    rule = only(call("log", add(ONE, inner)), call("log1p", inner))
    assert rule.pattern == call("log", add(ONE, U))


def test_what_must_be_positive_is_said():
    root = call("sqrt", call("add", call("square", P), call("square", A)))
    before = add(root, neg(A))
    after = call("div", call("square", P), add(root, A))
    rule = only(before, after)
    assert len(symbols(rule.pattern)) == 3
    logs = only(call("log", mul(P, T)), add(call("log", P), call("log", T)))
    # The product is positive where the formula is defined: one factor is enough.
    assert len(logs.positive) == 1


def test_what_holds_by_chance_of_a_number_stays_a_number():
    """sqrt(4) is 2, so that 4 and 2 are no variables."""
    root = call("sqrt", call("add", 4, SQUARE))
    after = call("div", SQUARE, call("add", root, 2))
    rule = only(add(root, call("neg", 2)), after)
    assert [s.name for s in symbols(rule.pattern)] == ["?u", "?rest"]


def test_differences_at_two_places_are_two_rules():
    before = call("div", call("log", add(ONE, P)), add(call("exp", T), call("neg", 1)))
    after = call("div", call("log1p", P), call("expm1", T))
    first, second = missing_rules(before, after)
    assert first.pattern == call("log", add(ONE, U))
    assert second.replacement.op in ("add", "expm1")


def test_branches_are_compared_one_by_one():
    """Where the condition always holds, the other branch still has to be right."""
    wrong = call("where", call("gt", call("exp", P), 0), P, add(P, ONE))
    assert holds(P, wrong) is None
    right = call("where", call("gt", call("exp", P), 0), P, call("log", call("exp", P)))
    assert holds(P, right) == ()


@pytest.mark.parametrize(
    ("left", "right", "positive"),
    [
        (call("log", call("square", P)), mul(call("log", P), add(ONE, ONE)), (P,)),
        (call("abs", P), P, (P,)),
        (call("abs", P), neg(P), None),
        (call("exp", P), add(ONE, P), None),
    ],
)
def test_conditions(left, right, positive):
    assert holds(left, right) == positive
