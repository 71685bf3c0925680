import pytest
from losses import LAST, P, T, call

from lossgen.analysis.spelling import spell
from lossgen.ir.expr import Apply, Role, Symbol
from lossgen.ir.local_names import fresh
from lossgen.transform.naming import local_name, name_hints, name_shared

D = call("add", P, call("neg", T))


def named(expr, names=None, hints=None, taken=()):
    assignments, result = name_shared(expr, names or {}, hints or {}, set(taken))
    return [f"{a.target.name} = {spell(a.value)}" for a in assignments] + [
        spell(result)
    ]


def test_fresh_names():
    taken = {"error"}
    assert fresh("error", taken) == "error_2"
    assert fresh("error", taken) == "error_3"
    assert fresh("ratio", taken) == "ratio"
    assert taken == {"error", "error_2", "error_3", "ratio"}


def test_local_names_of_channels():
    assert local_name(Symbol("y_pred.mean", Role.Y_PRED)) == "mean"
    assert local_name(P) == "y_pred"


def test_author_names_are_kept_even_if_used_once():
    expr = call("square", D)
    assert named(expr, {D: "error"}) == ["error = y_pred - y_true", "square(error)"]


def test_costly_terms_used_twice_get_a_name():
    exp = call("exp", P)
    expr = call("mul", exp, call("add", 1, exp))
    assert named(expr) == ["exp_y_pred = exp(y_pred)", "exp_y_pred*(1 + exp_y_pred)"]


@pytest.mark.parametrize(
    "shared",
    [
        P,
        call("neg", P),
        call("mul", 2, P),
        call("add", 1, call("neg", P)),
        call("gt", P, 0),
        call("exp", 1),
        Apply("lowest", ()),
    ],
)
def test_cheap_terms_get_none(shared):
    expr = call("mul", call("exp", shared), call("sin", shared))
    assignments, result = name_shared(expr, {}, {}, set())
    assert assignments == []
    assert result == expr


def test_names_that_are_taken():
    exp = call("exp", P)
    expr = call("mul", exp, call("add", 1, exp))
    assert named(expr, taken=["exp_y_pred"])[0] == "exp_y_pred_2 = exp(y_pred)"


def test_inner_terms_first_and_by_their_names():
    square = call("square", D)
    root = call("sqrt", call("add", 1, square))
    expr = call("div", call("mul", square, root), call("add", root, call("exp", D)))
    assert named(expr, {D: "error"}) == [
        "error = y_pred - y_true",
        "square_error = square(error)",
        "sqrt = sqrt(1 + square_error)",
        "square_error*sqrt/(sqrt + exp(error))",
    ]


def test_hints_are_preferred():
    total = call("sum", call("exp", P), axis=LAST)
    expr = call("div", total, call("add", 1, total))
    assert named(expr, hints={total: "mass"})[0].startswith("mass = ")
    assert named(expr)[0].startswith("total = ")


def test_hints_follow_a_rewrite():
    """What the author called log(p) is still the logarithm of p in a new form."""
    p = call("sigmoid", P)
    rewritten = {call("log", p): call("log_sigmoid", P)}
    expr = call("add", call("mul", T, call("log", p)), call("add", 1, call("neg", p)))
    hints = name_hints([expr], {p: "p"}, lambda node: rewritten.get(node, node))
    assert hints[call("log_sigmoid", P)] == "log_p"
    assert hints[call("add", 1, call("neg", p))] == "one_minus_p"


def test_taking_apart_keeps_the_expression():
    """Names put back in give the expression again."""
    square = call("square", D)
    expr = call("mul", call("exp", square), call("sin", square), call("cos", D))
    assignments, result = name_shared(expr, {D: "error"}, {}, set())
    for item in reversed(assignments):
        result = _put_back(result, item.target, item.value)
    assert result == expr


def _put_back(expr, symbol, value):
    if expr == symbol:
        return value
    if not isinstance(expr, Apply):
        return expr
    args = tuple(_put_back(arg, symbol, value) for arg in expr.args)
    return Apply(expr.op, args, expr.axis)


def test_conditions_get_a_name_from_three_uses_on():
    condition = call("gt", T, 0)
    once = call("where", condition, P, 1)
    twice = call("log", call("where", condition, call("log", once), once))
    shared, _ = name_shared(twice, {}, {}, set())
    assert [item.target.name for item in shared] == ["safe_y_pred"]
    more = call("where", condition, twice, 2)
    shared, _ = name_shared(more, {}, {}, set())
    assert [item.target.name for item in shared] == ["condition", "safe_y_pred"]
