"""The search finds again what a rule does, once the rule is switched off."""

import pytest
from losses import resolved

from lossgen.analysis.spelling import spell
from lossgen.ir.accuracy import worst
from lossgen.oracle.bench import PointBench
from lossgen.transform.search import search
from lossgen.transform.stabilize import stabilizer

POSITIVE = "y_true: positive\ny_pred: positive\n"
DELTA = "params: {delta: {default: 2.0, domain: positive}}\n"

# The rules that are switched off, the loss, and a form that is known to be accurate:
# Goldberg 1991, section 1.4; Kahan's expm1 and log1p; Huber's pseudo-loss rationalised.
SWITCHED_OFF = {
    "sqrt1pm1": (
        {"sqrt1pm1"},
        "loss: sqrt(1 + (y_pred - y_true)**2) - 1",
        "square(y_pred - y_true)/(sqrt(1 + square(y_pred - y_true)) + 1)",
    ),
    "hypotenuse": (
        {"hypotenuse-excess"},
        "loss: sqrt(delta**2 + (y_pred - y_true)**2) - delta\n" + DELTA,
        "square(y_pred - y_true)"
        "/(sqrt(square(delta) + square(y_pred - y_true)) + delta)",
    ),
    "expm1": (
        {"expm1-negated", "expm1"},
        "loss: 1 - exp(-(y_pred - y_true)**2)",
        "-expm1(-square(y_pred - y_true))",
    ),
    "log1p": (
        {"log1p", "log1p-square"},
        "loss: log(1 + (y_pred - y_true)**2/4)",
        "log1p(square(y_pred - y_true)/4)",
    ),
    "softplus": (
        {"log-of-exponentials"},
        "loss: log(1 + exp(y_pred - y_true))",
        "softplus(y_pred - y_true)",
    ),
    "cosine": (
        {"one-minus-cos", "one-minus-cos-scaled"},
        "loss: 1 - cos(y_pred - y_true)",
        "2*square(sin((y_pred - y_true)/2))",
    ),
}


def started(text, without=frozenset()):
    loss = resolved(text)
    rewrite = stabilizer(loss, {}, frozenset(without))
    bench = PointBench(loss, logits=False, count=40, seeds=[1])
    return rewrite(loss.expression), rewrite, bench, loss


@pytest.mark.parametrize("name", SWITCHED_OFF)
def test_what_a_rule_does_is_found_again(name):
    without, text, expected = SWITCHED_OFF[name]
    start, rewrite, bench, loss = started(text, without)
    assert not worst(bench.errors(start)).good
    found = search(start, rewrite, bench, 100)
    assert found is not None
    assert found.accuracy.good
    assert spell(found.form) == expected
    assert found.steps
    fresh = PointBench(loss, logits=False, count=60, seeds=[2])
    assert fresh.equal(found.form)
    assert worst(fresh.errors(found.form)).good


def test_several_steps_are_taken():
    """log(exp(p) + exp(t)) - t is softplus(p - t), which no single row says."""
    start, rewrite, bench, _ = started(
        "loss: log(exp(y_pred) + exp(y_true)) - y_true",
        {"log-of-exponentials", "logaddexp-excess", "logaddexp-excess-negated"},
    )
    found = search(start, rewrite, bench, 300)
    assert found is not None
    assert found.accuracy.good
    assert len(found.steps) >= 2
    assert bench.equal(found.form)


def test_a_branch_serves_where_no_form_does():
    """|d|**(a - t) rounds its exponent, |d|**a/|d|**t does not, but is 0/0 at 0."""
    start, rewrite, bench, _ = started(
        "loss: where(abs(y_true - y_pred) < 0.5,"
        " log(1 + abs(y_true - y_pred)**(2.1 - y_true)), abs(y_true - y_pred))\n"
        "y_true: unit"
    )
    assert not worst(bench.errors(start)).good
    found = search(start, rewrite, bench, 150)
    assert found is not None
    assert found.accuracy.good
    assert spell(found.form).count("where(") == 2
    assert bench.equal(found.form)


def test_the_search_says_the_same_each_time_and_keeps_to_its_budget():
    without, text, _ = SWITCHED_OFF["cosine"]
    start, rewrite, bench, _ = started(text, without)
    assert search(start, rewrite, bench, 60) == search(start, rewrite, bench, 60)


def test_the_budget_bounds_what_is_measured():
    text = "loss: sin(y_pred) - sin(y_true) + y_pred**3 - y_true**3 + exp(y_pred)"
    start, rewrite, bench, _ = started(text)
    measured = set()

    class Counting:
        size = bench.size
        numbers, local_errors = bench.numbers, bench.local_errors

        def errors(self, form, points=None):
            if points is not None:
                measured.add(form)
            return bench.errors(form, points)

    search(start, rewrite, Counting(), 20)
    assert 0 < len(measured) <= 20


def test_nothing_is_found_where_nothing_helps():
    start, rewrite, bench, _ = started("loss: square(y_pred - y_true)")
    assert search(start, rewrite, bench, 30) is None


def test_forms_are_compared_in_signs_that_the_rules_know():
    loss = resolved(
        "loss: -kappa*cos(y_true - mu) + kappa\n"
        "y_pred: {channels: {mu: real, kappa: positive}}"
    )
    without = frozenset({"one-minus-cos", "one-minus-cos-scaled"})
    rewrite = stabilizer(loss, {}, without)
    bench = PointBench(loss, logits=False, count=40, seeds=[1])
    found = search(rewrite(loss.expression), rewrite, bench, 20)
    assert found is not None
    assert spell(found.form) == "2*kappa*square(sin((y_true - mu)/2))"
