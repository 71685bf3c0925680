from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp, mpf

from lossgen.calculus import evaluate as module
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.calculus.jets import EXACT, Ties
from lossgen.ir.expr import Apply, Axis, Constant, Number, Role, Symbol, number
from lossgen.ir.functions import FUNCTIONS, Kind

P = Symbol("y_pred", Role.Y_PRED)
T = Symbol("y_true", Role.Y_TRUE)


def call(op, *args, axis=None):
    return Apply(op, tuple(number(a) if isinstance(a, int) else a for a in args), axis)


D = call("add", P, call("neg", T))


def at(expr, p, t=0, **keywords):
    return evaluate(expr, {"y_pred": p, "y_true": t}, **keywords)


def side(expr, start, sign, order=3, tolerance=1e-20, t=0):
    values = germ(
        expr,
        {"y_pred": start, "y_true": t},
        {"y_pred": sign},
        order=order,
        ties=Ties(tolerance),
    )
    return [float(item.item()) for item in values]


REWRITTEN = (
    *("log1p_square", "log1pmx", "expm1mx", "geman_mcclure"),
    *("poisson_peak", "log_i0e", "log_i0", "i1e"),
)
"""Operations of one argument that only rewriting makes."""


def test_every_operation_is_covered():
    rewritten = (
        *("log1m_softmax", "pow1pm1", "kl_div", "itakura_saito"),
        *("lgamma_difference", "digamma_difference", "log_beta", "log_multiset"),
        *("exp_tilted", "with_slopes", "powm1"),
        *("log_difference", "log1p_difference"),
        *("log_beta_excess", "negative_binomial", "tweedie"),
        "trigamma",
    )
    assert {*FUNCTIONS, *REWRITTEN, *rewritten} == module.COVERED


ANALYTIC = [
    op
    for op, row in FUNCTIONS.items()
    if row.kind in (Kind.SMOOTH, Kind.KINKED)
    and row.min_args == 1
    and op != "stop_gradient"
] + list(REWRITTEN)


ORDERS = (0, 1, 2, 3, 4, 7, 12)


def difference(expr, start, k):
    """A derivative by finite differences, which take (k + 1) times the digits."""
    return mp.diff(lambda x: at(expr, x, digits=800).item(), start, k)


@pytest.mark.parametrize("op", ANALYTIC)
@pytest.mark.parametrize("start", ["0.7", "2.5", "-1.3"])
def test_derivatives_match_differences(op, start):
    if op in ("log", "sqrt", "lgamma", "digamma", "poisson_peak", "log1p", "log1pmx"):
        start = start.lstrip("-")
    if op == "acos":
        start = start.replace("2.", "0.").replace("1.", "0.")
    expr = call(op, P)
    with mp.workdps(40):
        start = mpf(start)
        series = germ(expr, {"y_pred": start}, {"y_pred": 1}, order=12, digits=60)
        for k in ORDERS:
            wanted = difference(expr, start, k)
            assert abs(series[k].item() - wanted) < mpf(10) ** -15 * (1 + abs(wanted))


@pytest.mark.parametrize(
    "expr",
    [
        call("pow", P, number(Fraction(7, 3))),
        call("pow", P, number(-3)),
        call("pow", number(2), P),
        call("pow", P, P),
        call("div", call("sin", P), call("add", 1, call("square", P))),
        call("logaddexp", P, call("square", P)),
        call("xlogy", P, call("exp", P)),
        call("xlog1py", P, P),
        call("mul", call("exp", P), P, call("cos", P)),
    ],
)
def test_series_of_compositions(expr):
    with mp.workdps(40):
        start = mpf(0.7)
        series = germ(expr, {"y_pred": start}, {"y_pred": 1}, order=12, digits=60)
        for k in ORDERS:
            wanted = difference(expr, start, k)
            assert abs(series[k].item() - wanted) < mpf(10) ** -15 * (1 + abs(wanted))


def test_high_precision():
    value = at(call("exp", number(1)), 0, digits=100).item()
    with mp.workdps(100):
        assert abs(value - mp.e) < mpf(10) ** -98
        assert at(Number(Fraction(1, 3)), 0, digits=100).item() * 3 == 1
        assert at(Constant("pi"), 0, digits=100).item() == +mp.pi


def test_axes_keep_length_one():
    p = np.arange(24.0).reshape(2, 3, 4)
    shapes = {
        Axis.LAST: (2, 3, 1),
        Axis.SPATIAL: (2, 1, 4),
        Axis.SAMPLE: (2, 1, 1),
        Axis.BATCH: (1, 3, 4),
    }
    for axis, shape in shapes.items():
        total = at(call("sum", P, axis=axis), p)
        assert total.shape == shape
        numpy_axis = tuple(i for i in range(3) if shape[i] == 1)
        assert (total.astype(float) == p.sum(axis=numpy_axis, keepdims=True)).all()
        assert at(call("softmax", P, axis=axis), p).shape == p.shape
    running = at(call("cumsum", P, axis=Axis.SPATIAL), p).astype(float)
    assert (running == p.cumsum(axis=1)).all()
    evidence = at(call("logcumsumexp", P, axis=Axis.SPATIAL), p).astype(float)
    expected = np.logaddexp.accumulate(p, axis=1)
    np.testing.assert_allclose(evidence, expected, rtol=1e-14)


def test_reductions_match_numpy():
    p = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -4.0]])
    exps = np.exp(p)
    expected = {
        "mean": p.mean(-1, keepdims=True),
        "amax": p.max(-1, keepdims=True),
        "amin": p.min(-1, keepdims=True),
        "logsumexp": np.log(exps.sum(-1, keepdims=True)),
        "norm": np.sqrt((p**2).sum(-1, keepdims=True)),
        "softmax": exps / exps.sum(-1, keepdims=True),
        "log_softmax": p - np.log(exps.sum(-1, keepdims=True)),
        "l2_normalize": p / np.sqrt((p**2).sum(-1, keepdims=True)),
    }
    for op, wanted in expected.items():
        found = at(call(op, P, axis=Axis.LAST), p).astype(float)
        np.testing.assert_allclose(found, wanted, rtol=1e-14)


def test_mask_restricts_reductions():
    p = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    t = np.array([[0.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
    mask = t != -1
    mean = at(call("mean", P, axis=Axis.LAST), p, t, mask=mask)
    assert mean.tolist() == [[1.5], [None]]
    # A masked label may lie outside the domain.
    assert at(call("log", call("add", T, 1)), p, t, mask=mask)[0, 2] is None
    soft = at(call("softmax", P, axis=Axis.LAST), p, t, mask=mask)
    assert float(soft[0, 0] + soft[0, 1]) == pytest.approx(1)
    assert soft[0, 2] is None


def test_branches_not_taken_do_not_count():
    guarded = call("where", call("gt", P, 0), call("log", P), P)
    assert at(guarded, -2).item() == -2
    with pytest.raises(Undefined) as caught:
        at(call("log", P), np.array([1.0, -2.0]))
    assert caught.value.node == call("log", P)
    assert caught.value.arguments == (-2,)
    assert at(call("xlogy", 0, P), -1).item() == 0
    both = call("and", call("gt", P, 0), call("gt", call("log", P), 0))
    assert not at(both, -1)


def test_conditions_are_bool():
    found = at(call("lt", P, T), np.array([1.0, 2.0]), 2)
    assert found.dtype == bool
    assert found.tolist() == [True, False]


@pytest.mark.parametrize(
    ("expr", "start"),
    [
        (call("div", 1, P), 0),
        (call("pow", P, number(Fraction(1, 2))), -1),
        (call("pow", P, number(-1)), 0),
        (call("lgamma", P), 0),
        (call("digamma", P), -1),
        (call("sqrt", P), -1),
        (call("log1p", P), -1),
        (call("l2_normalize", P, axis=Axis.LAST), np.zeros((1, 2))),
    ],
)
def test_undefined(expr, start):
    with pytest.raises(Undefined):
        at(expr, start)


def test_zero_to_the_zero():
    assert at(call("pow", P, number(0)), 0).item() == 1
    assert at(call("pow", P, T), 0, 0).item() == 1


def test_astronomic_numbers_stop():
    tower = call("exp", call("exp", call("exp", call("exp", number(9)))))
    with pytest.raises(Undefined) as caught:
        at(tower, 0)
    assert caught.value.overflow


def test_germs_from_either_side():
    assert side(call("abs", P), 0, 1) == [0, 1, 0, 0]
    assert side(call("abs", P), 0, -1) == [0, 1, 0, 0]
    assert side(call("relu", P), 0, -1) == [0, 0, 0, 0]
    assert side(call("max", P, call("square", P)), 0, 1) == [0, 1, 0, 0]
    assert side(call("max", P, call("square", P)), 0, -1) == [0, 0, 2, 0]
    assert side(call("pow", call("abs", P), 3), 0, -1) == [0, 0, 0, 6]
    assert side(call("i0e", P), 0, -1) == side(call("i0e", P), 0, 1)
    assert side(call("norm", call("mul", 3, P), axis=Axis.LAST), [[0]], -1)[1] == 3
    jump = call("where", call("lt", P, 1), P, call("add", P, 1))
    assert side(jump, 1, -1)[0] == 1
    assert side(jump, 1, 1)[0] == 2


def test_rounded_starts_count_as_equal():
    start = mpf(1) + mpf(10) ** -14
    hinge = call("relu", call("add", P, -1))
    assert side(hinge, start, -1, tolerance=mpf(10) ** -12)[1] == 0
    assert side(hinge, start, -1, tolerance=0)[1] == -1


def test_the_norm_of_what_does_not_move_is_no_germ():
    rest = call("add", call("norm", T, axis=Axis.LAST), call("square", P))
    for ties in (EXACT, Ties(mpf(0), by_value=True)):
        start = {"y_pred": [[3]], "y_true": [[0, 0]]}
        value, slope = germ(rest, start, {"y_pred": 1}, ties=ties)
        assert (value.item(), slope.item()) == (9, 6)


def test_infinite_slopes_are_undefined():
    for expr in (call("sqrt", P), call("pow", call("abs", P), number(Fraction(1, 2)))):
        assert at(expr, 0).item() == 0
        with pytest.raises(Undefined):
            side(expr, 0, 1, order=1)
    flat = call("pow", call("abs", P), number(Fraction(3, 2)))
    assert side(flat, 0, 1, order=1) == [0, 0]
    with pytest.raises(Undefined):
        side(flat, 0, 1, order=2)


def test_stop_gradient():
    product = call("mul", call("stop_gradient", P), P)
    assert side(product, 3, 1) == [9, 3, 0, 0]
