import pytest
from losses import LAST, A, B, P, T, call

from lossgen.ir.expr import ONE, Axis, neg, number, sub
from lossgen.transform.patterns import instantiate, match, wildcard

U, V = wildcard("u"), wildcard("v")


@pytest.mark.parametrize(
    ("pattern", "expr", "expected"),
    [
        (U, P, {U: P}),
        (call("exp", U), call("exp", call("neg", P)), {U: call("neg", P)}),
        (call("exp", U), call("log", P), None),
        (call("div", U, U), call("div", P, P), {U: P}),
        (call("div", U, U), call("div", P, T), None),
        (call("pow", U, 2), call("pow", P, 2), {U: P}),
        (call("pow", U, 2), call("pow", P, 3), None),
        # Sums and products in any order; the last variable takes the rest.
        (call("add", 1, U), call("add", P, 1), {U: P}),
        (call("add", 1, U), call("add", P, 1, T), {U: call("add", P, T)}),
        (call("add", 1, U), call("add", P, T), None),
        (call("add", 1, U), ONE, None),
        (call("mul", A, U), call("mul", P, A, T), {U: call("mul", P, T)}),
        (
            call("add", call("exp", U), call("exp", V)),
            call("add", call("exp", P), call("exp", T)),
            {U: P, V: T},
        ),
        # What is left over is not dropped.
        (
            call("add", call("exp", U), call("exp", V)),
            call("add", call("exp", P), call("exp", T), A),
            None,
        ),
        (
            call("add", call("mul", A, U), call("mul", B, U)),
            call("add", call("mul", B, P), call("mul", A, P)),
            {U: P},
        ),
        # A choice that fails later is taken back.
        (
            call("add", U, call("exp", U)),
            call("add", P, T, call("exp", T)),
            None,
        ),
        (
            call("add", call("log", U), call("exp", U)),
            call("add", call("exp", P), call("log", T), call("log", P)),
            None,
        ),
        (
            call("mul", call("log", U), call("exp", U), V),
            call("mul", call("log", T), call("exp", P), call("log", P)),
            {U: P, V: call("log", T)},
        ),
        # `1 - ?u` reads `1 + v`.
        (sub(ONE, U), sub(ONE, P), {U: P}),
        (sub(ONE, U), call("add", 1, P), {U: call("neg", P)}),
        (call("sigmoid", neg(U)), call("sigmoid", P), {U: call("neg", P)}),
        (sub(ONE, U), call("add", P, 2), None),
        # A pattern without an axis means any.
        (call("sum", U, axis=LAST), call("sum", P, axis=LAST), {U: P}),
        (call("sum", U, axis=LAST), call("sum", P, axis=Axis.BATCH), None),
        (call("sum", U), call("sum", P, axis=Axis.BATCH), {U: P}),
        (number(2), number(2), {}),
        (number(2), number(3), None),
        (T, P, None),
    ],
)
def test_match(pattern, expr, expected):
    assert match(pattern, expr) == expected


def test_what_matches_is_what_the_pattern_makes():
    pattern = call("add", call("mul", A, U), V)
    expr = call("add", call("mul", A, P), T, B)
    bindings = match(pattern, expr)
    assert instantiate(pattern, bindings) == expr


def test_instantiate_folds():
    assert instantiate(call("add", 1, U), {U: number(2)}) == number(3)
    assert instantiate(call("div", U, V), {U: P, V: T}) == call("div", P, T)
