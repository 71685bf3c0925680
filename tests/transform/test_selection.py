import pytest
from losses import resolved

from lossgen.analysis.spelling import spell
from lossgen.ir.accuracy import Accuracy
from lossgen.ir.expr import ONE, Apply, add
from lossgen.oracle.accuracy import Measured
from lossgen.transform import stabilize
from lossgen.transform.rules import RULES, Rule, U
from lossgen.transform.selection import selected

HARMFUL = Rule("log-of-1p", Apply("log1p", (U,)), Apply("log", (add(ONE, U),)), "none")
CRPS = """
loss: >-
  sigma*(z*(2*normal_cdf(z) - 1) + sqrt(2/pi)*exp(-z**2/2) - 1/sqrt(pi))
where: {z: (y_true - mu)/sigma}
y_pred: {channels: {mu: real, sigma: positive}}
"""
TEXT = "loss: log1p(square(y_pred - y_true)) + log(exp(y_true*y_pred))"


@pytest.fixture
def harmful(monkeypatch):
    """A true equality that costs all digits of a small u."""
    rules = [rule for rule in RULES if rule.name != "log1p"]
    monkeypatch.setattr(stabilize, "RULES", (*rules, HARMFUL))


def test_a_rule_that_costs_accuracy_is_declined(harmful):
    loss = resolved(TEXT)
    fired = {}
    chosen = selected(loss, loss.expression, Measured(loss, logits=False), fired)
    form = chosen.rewrite(loss.expression)
    assert spell(form) == "log1p(square(y_pred - y_true)) + y_true*y_pred"
    assert list(fired) == ["log-of-exponentials"]
    (declined,) = chosen.declined
    assert declined.rule == "log-of-1p"
    assert declined.used.value > 1e5 > declined.unused.value


def test_without_a_measure_all_rules_are_kept(harmful):
    loss = resolved(TEXT)
    chosen = selected(loss, loss.expression, None, {})
    form = spell(chosen.rewrite(loss.expression))
    assert form == "log(1 + square(y_pred - y_true)) + y_true*y_pred"
    assert chosen.declined == ()


def test_a_form_that_is_good_enough_is_measured_once():
    loss = resolved(TEXT)
    measured_forms = []

    def measure(form):
        measured_forms.append(form)
        return Accuracy(4.0, 8.0, 0)

    assert selected(loss, loss.expression, measure, {}).declined == ()
    assert len(measured_forms) == 1


def test_where_there_is_no_choice_nothing_is_measured():
    loss = resolved("loss: abs(y_true - y_pred)")
    selected(loss, loss.expression, lambda form: pytest.fail("measured"), {})


def test_slopes_in_closed_form_are_taken_where_they_are_better():
    loss = resolved(CRPS)
    chosen = selected(loss, loss.expression, Measured(loss, logits=False), {})
    assert chosen.form.op == "with_slopes"
    plain = Measured(loss, logits=False)(chosen.rewrite(loss.expression))
    assert plain.gradient > 1e6
    assert Measured(loss, logits=False)(chosen.form).good


def test_slopes_in_closed_form_are_left_where_they_are_no_better():
    loss = resolved(CRPS)
    chosen = selected(loss, loss.expression, lambda form: Accuracy(9.0, 9.0, 1), {})
    assert chosen.form == chosen.rewrite(loss.expression)


@pytest.mark.parametrize(
    ("one", "other", "beats"),
    [
        (Accuracy(1, 1, 0), Accuracy(1, 1, 1), True),
        (Accuracy(9, 9, 0), Accuracy(1, 1, 1), True),
        (Accuracy(1, 1, 0), Accuracy(10, 1, 0), True),
        (Accuracy(1, 10, 0), Accuracy(1, 21, 0), True),
        (Accuracy(1, 10, 0), Accuracy(1, 19, 0), False),
        (Accuracy(1, 10, 0), Accuracy(6, 1, 0), False),
        (Accuracy(1, 1, 9), Accuracy(9, 9, 8), True),
        (Accuracy(1, 1, 8), Accuracy(1, 1, 9), True),
        (Accuracy(9, 9, 4), Accuracy(1, 1, 9), True),
        (Accuracy(6, 1e20, 12), Accuracy(2e5, 1e20, 11), True),
    ],
)
def test_what_is_better_by_more_than_chance(one, other, beats):
    assert one.beats(other) == beats
    assert not other.beats(one)
