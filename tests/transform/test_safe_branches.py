import pytest
from losses import P, T, call, resolved
from mpmath import mp, mpf
from standin import array, run

from lossgen.analysis.spelling import spell
from lossgen.backend.printer import Printer
from lossgen.transform.safe_branches import always_taken, protect_branches

LOSS = resolved("loss: y_pred - y_true\n")


def protected(formula):
    loss = resolved(f"loss: {formula}\n")
    return spell(protect_branches(loss.expression, loss))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (
            "where(y_true > 0, log(y_pred), y_pred)",
            "where(y_true > 0, log(where(y_true > 0, y_pred, 1)), y_pred)",
        ),
        (
            "where(y_true > 0, y_pred, exp(y_pred))",
            "where(y_true > 0, y_pred, exp(where(y_true > 0, 0, y_pred)))",
        ),
        (
            "where(y_true > 0, 1/y_pred, 0)",
            "where(y_true > 0, 1/where(y_true > 0, y_pred, 1), 0)",
        ),
        (  # the exponentials of all elements have a part in each share
            "where(y_true > 0, log(softmax(exp(y_pred), axis=last)), 0)",
            "where(y_true > 0, log(where(y_true > 0, softmax(exp(y_pred), axis=last), "
            "1)), 0)",
        ),
        (  # one condition for all elements of the sum
            "where(max(y_true, axis=last) > 0, sum(exp(y_pred), axis=last), 0)",
            "where(max(y_true, axis=last) > 0, sum(exp(where(max(y_true, axis=last) > "
            "0, y_pred, 0)), axis=last), 0)",
        ),
        (
            "where(y_true > 0, xlogy(y_true, y_pred), 0)",
            "where(y_true > 0, xlogy(y_true, where(y_true > 0, y_pred, 1)), 0)",
        ),
        # Powers that stay finite, and operations that always do.
        (
            "where(y_true > 0, y_pred**2 + tanh(y_pred), 0)",
            "where(y_true > 0, y_pred**2 + tanh(y_pred), 0)",
        ),
        (
            "where(y_true > 0, y_pred**3, 0)",
            "where(y_true > 0, where(y_true > 0, y_pred, 1)**3, 0)",
        ),
        # Outside of branches nothing changes; constants cannot spoil a gradient.
        ("y_true*log(y_pred)", "y_true*log(y_pred)"),
        ("where(y_true > 0, y_pred*log(2), 0)", "where(y_true > 0, y_pred*log(2), 0)"),
    ],
)
def test_protected(formula, expected):
    assert protected(formula) == expected


def test_nested_choices_are_finite_and_equal():
    inner = call("where", call("gt", P, 1), call("log", call("add", P, -1)), P)
    expr = call("where", call("gt", T, 0), call("sqrt", call("exp", inner)), inner)
    safe = protect_branches(expr, LOSS)
    with mp.workdps(30):
        for t in (-1, 1):
            for p in ("-3", "0.5", "1.5", "7"):
                inputs = {"y_pred": array([[p]]), "y_true": array([[t]])}
                found = run(Printer({}).source(safe), inputs)[0, 0]
                x = mpf(p)
                value = mp.log(x - 1) if x > 1 else x
                value = mp.sqrt(mp.exp(value)) if t > 0 else value
                assert abs(found - value) < mpf("1e-25")


def test_both_branches_are_defined_everywhere():
    """Every operation inside is applied where it has a finite value."""
    expr = call("where", call("gt", P, 0), call("log", P), call("log", call("neg", P)))
    safe = protect_branches(expr, LOSS)
    seen = []
    for branch in safe.args[1:]:
        for p in (-2, 2):
            inputs = {"y_pred": array([[p]])}
            seen.append(run(Printer({}).source(branch), inputs)[0, 0])
    assert all(mp.isfinite(value) for value in seen)


def test_what_is_1_where_it_is_not_needed_is_safe():
    """A power of a 1 is 1, so its logarithm needs no care of its own."""
    assert protected("where(y_true > 0, log1p(y_pred**1.5), 0)") == (
        "where(y_true > 0, log1p(where(y_true > 0, y_pred, 1)**1.5), 0)"
    )


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        # In both branches, or outside: what has a gradient anyway is finite anyway.
        (
            "where(y_true > 0, 1 - 1/y_pred, 1/y_pred)",
            "where(y_true > 0, 1 - 1/y_pred, 1/y_pred)",
        ),
        (
            "where(y_true > 0, log(y_pred), 0) + log(y_pred)",
            "where(y_true > 0, log(y_pred), 0) + log(y_pred)",
        ),
        # In a condition it has none.
        (
            "where(log(y_pred) > 0, log(y_pred), y_true)",
            "where(log(y_pred) > 0, log(where(log(y_pred) > 0, y_pred, 1)), y_true)",
        ),
        (
            "where(y_true > 0, where(y_true > 1, 1/y_pred, 0), 1/y_pred)",
            "where(y_true > 0, where(y_true > 1, 1/where(y_true > 0, where(y_true > 1, "
            "y_pred, 1), 1), 0), 1/where(y_true > 0, 1, y_pred))",
        ),
    ],
)
def test_what_is_taken_always_is_left_alone(formula, expected):
    loss = resolved(f"loss: {formula}\n")
    always = always_taken(loss.expression)
    assert spell(protect_branches(loss.expression, loss, always)) == expected
