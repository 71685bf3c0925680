"""Reverse mode is compared with forward mode, and with differences."""

import numpy as np
import pytest
from mpmath import mp, mpf

from lossgen.calculus import reverse
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.calculus.reverse import TiedError, value_and_gradient
from lossgen.ir.expr import Apply, Axis, Role, Symbol, number
from lossgen.ir.functions import FUNCTIONS, Kind

P = Symbol("y_pred", Role.Y_PRED)
T = Symbol("y_true", Role.Y_TRUE)


def call(op, *args, axis=None):
    return Apply(op, tuple(number(a) if isinstance(a, int) else a for a in args), axis)


D = call("add", P, call("neg", T))


def ones(found):
    weights = np.empty(found.shape, dtype=object)
    for index, item in np.ndenumerate(found):
        weights[index] = None if item is None else mpf(1)
    return weights


def swept(expr, p, t=0.0, seeds=ones, **keywords):
    environment = {"y_pred": p, "y_true": t}
    value, found = value_and_gradient(expr, environment, ["y_pred"], seeds, **keywords)
    return value, found["y_pred"]


def forward(expr, p, t=0.0, weights=None, **keywords):
    """The gradient from one germ an element."""
    result = np.empty(p.shape, dtype=object)
    for index in np.ndindex(p.shape):
        direction = np.zeros(p.shape, dtype=int)
        direction[index] = 1
        slopes = germ(
            expr, {"y_pred": p, "y_true": t}, {"y_pred": direction}, **keywords
        )[1]
        scale = np.ones(slopes.shape) if weights is None else weights
        pairs = zip(slopes.flat, scale.flat, strict=True)
        with mp.workdps(50):
            result[index] = sum((s * w for s, w in pairs if s is not None), mpf(0))
    return result


def assert_same(left, right):
    for a, b in zip(left.flat, right.flat, strict=True):
        assert abs(a - b) <= mpf(10) ** -40 * (1 + abs(b))


POINTS = np.array([[0.5, 0.25, 0.75], [0.625, 0.375, 0.125]])
TARGETS = np.array([[1.0, 2.0, 0.5], [0.25, 3.0, 1.5]])

UNARY = [
    op
    for op, row in FUNCTIONS.items()
    if row.kind in (Kind.SMOOTH, Kind.KINKED) and row.min_args == 1
]
EXPRESSIONS = [
    *(call(op, P) for op in UNARY),
    *(call(op, call("neg", P)) for op in ("abs", "relu", "i0e", "exp", "atan")),
    *(
        call(op, P, T)
        for op in ("add", "mul", "div", "pow", "max", "min", "logaddexp", "xlogy")
    ),
    call("mul", P, T, P, D),
    call("pow", T, P),
    call("pow", P, P),
    call("div", T, P),
    call("xlogy", D, P),
    call("xlog1py", D, P),
    call("clip", P, 0, T),
    call("where", call("lt", P, T), call("square", D), call("abs", D)),
    call("where", call("and", call("lt", P, T), call("gt", P, 0)), D, P),
]
ALONG = [
    op for op, row in FUNCTIONS.items() if row.kind in (Kind.COLLAPSE, Kind.ALONG)
] + ["log1m_softmax"]


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=lambda expr: expr.op)
def test_elementwise_operations(expr):
    value, gradient = swept(expr, POINTS, TARGETS)
    assert_same(gradient, forward(expr, POINTS, TARGETS))
    expected = evaluate(expr, {"y_pred": POINTS, "y_true": TARGETS})
    assert (value == expected).all()


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=lambda expr: expr.op)
def test_a_masked_element_changes_nothing_in_the_others(expr):
    """Arrays of numbers alone are worked on without looking at each: bit for bit."""
    mask = np.array([[True, True, True], [True, True, True], [False, True, False]])
    p, t = (np.vstack([array, array[:1]]) for array in (POINTS, TARGETS))
    masked = swept(expr, p, t, mask=mask)
    plain = swept(expr, p, t)
    for one, other in zip(masked, plain, strict=True):
        assert (one[mask] == other[mask]).all()


@pytest.mark.parametrize("axis", list(Axis))
@pytest.mark.parametrize("op", ALONG)
def test_operations_along_an_axis(op, axis):
    p = np.random.default_rng(1).uniform(0.1, 2, (2, 2, 2, 3))
    t = np.random.default_rng(2).uniform(0.1, 2, (2, 2, 2, 3))
    expr = call("mul", call(op, call("square", P), axis=axis), T)
    _, gradient = swept(expr, p, t)
    assert_same(gradient, forward(expr, p, t))


def test_a_gradient_by_arithmetic():
    p = np.array([[1.0, 2.0], [3.0, 5.0]])
    loss = call("square", call("mean", P, axis=Axis.LAST))
    # (mean)**2 has the slope 2*mean/2 by each of two elements
    assert swept(loss, p)[1].tolist() == [[1.5, 1.5], [4, 4]]
    tied = call("square", call("sum", P, axis=Axis.BATCH))
    assert swept(tied, p)[1].tolist() == [[8, 14], [8, 14]]


def test_weights_of_the_elements():
    weights = np.array([[2.0, 0.5, -1.0], [3.0, 1.0, 0.0]])
    expr = call("softmax", P, axis=Axis.LAST)
    _, gradient = swept(
        expr, POINTS, seeds=lambda found: weights.astype(object) * mpf(1)
    )
    assert_same(gradient, forward(expr, POINTS, weights=weights))


def test_operands_that_broadcast():
    p = np.array([[0.5], [2.0]])
    expr = call("add", call("square", D), call("sum", P, axis=Axis.BATCH))
    _, gradient = swept(expr, p, TARGETS)
    assert_same(gradient, forward(expr, p, TARGETS))


def test_masked_elements_have_gradient_0():
    mask = np.array([[True, False, True], [False, False, True]])
    for op in ("softmax", "mean", "logsumexp", "cumsum", "logcumsumexp"):
        expr = call("square", call(op, P, axis=Axis.LAST))
        _, gradient = swept(expr, POINTS, mask=mask)
        assert_same(gradient, forward(expr, POINTS, mask=mask))
        assert not any(gradient[~mask])


def test_results_may_be_changed():
    """They are neither each other nor what is remembered."""
    environment = {"y_pred": POINTS, "y_true": TARGETS}
    names = ["y_pred", "y_true"]
    _, found = value_and_gradient(call("add", P, T), environment, names, ones)
    found["y_pred"][0, 0] = mpf(7)
    assert found["y_true"].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_a_branch_that_is_not_taken_has_no_part():
    safe = call("where", call("gt", P, 0), call("sqrt", P), call("square", P))
    _, gradient = swept(safe, np.array([4.0, -3.0]))
    assert gradient.tolist() == [0.25, -6]
    weightless = call("xlogy", T, P)
    assert swept(weightless, np.array([0.0]))[1].tolist() == [0]


@pytest.mark.parametrize(
    ("expr", "start"),
    [
        (call("sqrt", P), 0.0),
        (call("log", P), -1.0),
        (call("xlogy", P, P), 0.0),
        (call("pow", call("square", P), call("sqrt", T)), 0.0),
    ],
)
def test_a_missing_derivative_is_refused(expr, start):
    with pytest.raises(Undefined):
        swept(expr, np.array([start]), np.array([0.0625]))


@pytest.mark.parametrize(
    "expr",
    [
        call("abs", D),
        call("relu", D),
        call("max", P, T),
        call("min", T, P),
        call("clip", P, T, 9),
        call("clip", P, 0, T),
        call("clip", call("neg", P), 2, P),  # min(2, y_pred), whatever -y_pred is
        call("where", call("le", P, T), P, T),
        call("sum", call("floor", P), axis=Axis.LAST),
        call("amax", D, axis=Axis.LAST),
        call("norm", D, axis=Axis.LAST),
    ],
    ids=lambda expr: expr.op,
)
def test_ties_are_left_to_germs(expr):
    with pytest.raises(TiedError):
        swept(expr, np.array([[2.0, 3.0]]), np.array([[2.0, 3.0]]))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (call("abs", D), [False, True, False]),
        (call("add", call("abs", D), call("relu", P)), [False, True, True]),
        (call("amax", P, axis=Axis.LAST), [False, False, True]),
        (call("norm", D, axis=Axis.BATCH), [True]),
    ],
    ids=["one", "two operations", "a row", "the whole batch"],
)
def test_ties_are_told_by_sample(expr, expected):
    y_true = np.array([[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]])
    y_pred = np.array([[2.0, 6.0], [2.0, 4.0], [0.0, 0.0]])
    if expected == [True]:
        y_true = y_pred
    with pytest.raises(TiedError) as caught:
        swept(expr, y_pred, y_true)
    assert caught.value.samples.tolist() == expected


def test_a_tie_of_data_alone_is_none():
    expr = call("where", call("eq", T, 1), call("square", P), P)
    assert swept(expr, np.array([3.0]), np.array([1.0]))[1].tolist() == [6]


def test_every_operation_has_a_rule():
    elementwise = {
        op for op, row in FUNCTIONS.items() if row.kind in (Kind.COLLAPSE, Kind.ALONG)
    }
    assert {*reverse._COLLAPSED, *reverse._SPREAD} == elementwise | {"log1m_softmax"}


def test_the_cost_does_not_grow_with_the_square():
    # forward mode would need 3,000 evaluations of 3,000 elements
    p = np.random.default_rng(3).uniform(0.1, 2, (1, 3000))
    expr = call("logsumexp", call("square", P), axis=Axis.LAST)
    _, gradient = swept(expr, p)
    with mp.workdps(40):
        total = mp.fsum(mp.exp(mpf(x) ** 2) for x in p.flat)
        wanted = 2 * mpf(p[0, 7]) * mp.exp(mpf(p[0, 7]) ** 2) / total
    assert abs(gradient[0, 7] - wanted) < mpf(10) ** -30
