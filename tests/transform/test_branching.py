"""A bound between two forms, from what was measured."""

from losses import P, T, call

from lossgen.analysis.spelling import spell
from lossgen.ir.accuracy import Accuracy
from lossgen.transform.branching import branched

GOOD, BAD = Accuracy(1, 1, 0), Accuracy(1e9, 1, 0)


class Line:
    """Points on a line, where y_pred is what a form may depend on."""

    size = 6

    def numbers(self, expr):
        values = (-3.0, -1.0, 0.0, 0.1, 2.0, 7.0)
        if expr == P:
            return values
        if expr == call("abs", P):
            return tuple(abs(value) for value in values)
        return None


def test_the_bound_lies_where_the_better_form_changes():
    one = call("sin", P), (BAD, BAD, GOOD, GOOD, GOOD, GOOD)
    two = call("cos", P), (GOOD, GOOD, BAD, BAD, BAD, BAD)
    assert (
        spell(branched(two, one, Line()))
        == "where(y_pred < 0, cos(y_pred), sin(y_pred))"
    )


def test_magnitudes_are_tried():
    one = call("sin", P), (BAD, GOOD, GOOD, GOOD, BAD, BAD)
    two = call("cos", P), (GOOD, BAD, BAD, BAD, GOOD, GOOD)
    form = spell(branched(one, two, Line()))
    assert form == "where(abs(y_pred) < 2, sin(y_pred), cos(y_pred))"


def test_no_branch_where_one_form_serves():
    one = call("sin", P), (GOOD,) * 6
    two = call("cos", P), (BAD, BAD, BAD, GOOD, GOOD, GOOD)
    assert branched(one, two, Line()) is None


def test_the_branch_is_as_deep_inside_as_the_forms_agree():
    one = call("mul", T, call("exp", call("sin", P))), (BAD,) * 2 + (GOOD,) * 4
    two = call("mul", T, call("exp", call("cos", P))), (GOOD,) * 2 + (BAD,) * 4
    form = branched(two, one, Line())
    assert spell(form) == "y_true*exp(where(y_pred < 0, cos(y_pred), sin(y_pred)))"
