"""What forms come to at the points of a bench."""

import pytest
from losses import A, P, T, call, resolved
from mpmath import mp, mpf

from lossgen.ir.accuracy import worst
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.bench import PointBench

RESIDUAL = call("add", P, call("neg", T))
ONE_MINUS_COS = call("add", 1, call("neg", call("cos", RESIDUAL)))
HALF_ANGLE = call("mul", 2, call("square", call("sin", call("div", RESIDUAL, 2))))


@pytest.fixture(scope="module")
def bench():
    loss = resolved("loss: 1 - cos(y_pred - y_true)")
    return PointBench(loss, logits=False, count=40, seeds=[1])


def test_errors_are_those_of_a_build(bench):
    loss = resolved("loss: 1 - cos(y_pred - y_true)")
    whole = PointBench(loss, logits=False, count=60, seeds=[1])
    measure = Measured(loss, logits=False)
    for form in (ONE_MINUS_COS, HALF_ANGLE):
        assert worst(whole.errors(form)) == measure(form)
    assert bench.errors(HALF_ANGLE, [3, 5]) == tuple(
        bench.errors(HALF_ANGLE)[k] for k in (3, 5)
    )


def test_the_operation_that_cancels_is_the_one_that_loses(bench):
    errors = bench.errors(ONE_MINUS_COS)
    hard = [k for k, item in enumerate(errors) if item.bits > 10]
    lost = bench.local_errors(ONE_MINUS_COS, hard)
    assert max(lost, key=lost.get) == ONE_MINUS_COS
    assert lost[ONE_MINUS_COS] > 20
    assert lost[call("cos", RESIDUAL)] < 2


def test_an_operation_whose_slopes_cancel_loses_as_well():
    """exp(u) - u is right in value at a tiny u, but its slope is exp(u) - 1."""
    loss = resolved("loss: exp(y_pred) - y_pred + 0*y_true")
    bench = PointBench(loss, logits=False, count=40, seeds=[1])
    form = call("add", call("exp", P), call("neg", P))
    near = [k for k, item in enumerate(bench.numbers(P)) if abs(item) < 10]
    lost = bench.local_errors(form, near)
    assert lost[form] > 20
    assert lost[call("exp", P)] < 5  # its argument is exact but for a rounding


def test_what_overflows_is_lost():
    loss = resolved("loss: exp(y_pred) - y_pred + 0*y_true")
    bench = PointBench(loss, logits=False, count=40, seeds=[1])
    far = [k for k, item in enumerate(bench.numbers(P)) if abs(item) > 100]
    assert bench.local_errors(call("cosh", P), far)[call("cosh", P)] == 64


def test_equality_is_one_of_value_and_gradient(bench):
    assert bench.equal(HALF_ANGLE)
    assert not bench.equal(call("add", HALF_ANGLE, mp_number("1e-15")))
    assert not bench.equal(call("div", call("square", RESIDUAL), 2))
    detached = call("stop_gradient", HALF_ANGLE)
    assert not bench.equal(detached)


def mp_number(text):
    from fractions import Fraction

    return call("mul", 1, Fraction(text))


def test_numbers_are_values_at_the_points(bench):
    predictions = bench.numbers(P)
    with mp.workdps(30):
        expected = [float(mp.exp(-abs(mpf(item)))) for item in predictions]
    found = bench.numbers(call("exp", call("neg", call("abs", P))))
    assert found == pytest.approx(expected)


def test_what_is_no_single_number_has_none():
    loss = resolved("loss: sum(softmax(y_pred, axis=last)*y_true, axis=last)")
    bench = PointBench(loss, logits=False, count=6, seeds=[1])
    assert bench.numbers(P) is None
    assert bench.numbers(call("lt", P, T)) is None


def test_parameters_vary_where_defaults_are_not_taken():
    loss = resolved("loss: a*square(y_pred - y_true)\nparams: {a: 1.0}")
    squared = call("square", RESIDUAL)
    scaled = call("mul", A, squared)
    at_default = PointBench(loss, logits=False, count=10, seeds=[1])
    others = PointBench(loss, logits=False, count=10, seeds=[1], defaults=False)
    assert at_default.equal(squared)
    assert not others.equal(squared)
    assert others.equal(scaled)
