import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from losses import A, P, T, call, resolved
from mpmath import mp, mpf
from standin import array, run

from lossgen.analysis.spelling import spell
from lossgen.backend.printer import Printer
from lossgen.calculus.differentiate import directional_derivative, partial_derivatives
from lossgen.calculus.evaluate import COVERED, Undefined, evaluate, germ
from lossgen.ir.expr import ONE, ZERO, Apply, Axis, Role, Symbol, number, walk
from lossgen.ir.functions import FUNCTIONS, LOWERED, Kind

ARGS = tuple(Symbol(name, Role.DERIVED) for name in "uvw")
ANYWHERE = [mpf("-2.3"), mpf("-0.4"), mpf("0.7"), mpf("3.1")]
POSITIVE = [mpf("0.02"), mpf("0.7"), mpf("3.1")]


def points(op):
    """Argument tuples at which the operation is smooth."""
    if op in ("log", "sqrt", "lgamma", "digamma"):
        return [(x,) for x in POSITIVE]
    if op == "log1p":
        return [(x - mpf("0.9"),) for x in POSITIVE]
    if op in ("xlogy", "div", "xlog1py"):
        return [(x, y) for x in ANYWHERE for y in POSITIVE]
    if op == "pow":
        return [(x, y) for x in POSITIVE for y in ANYWHERE]
    if op == "clip":
        ends = ((mpf(1), mpf(2)), (mpf(2), mpf(1)))
        return [(mpf(x), *pair) for pair in ends for x in (0, 1.5, 3)]
    if FUNCTIONS[op].min_args == 2:
        return [(x, y + mpf("0.1")) for x in ANYWHERE for y in ANYWHERE]
    return [(x,) for x in ANYWHERE]


# The functions themselves, as mpmath has them.
FORMULAS = {
    "neg": lambda u: -u,
    "div": lambda u, v: u / v,
    "pow": lambda u, v: u**v,
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": mp.log1p,
    "sqrt": mp.sqrt,
    "square": lambda u: u * u,
    "sin": mp.sin,
    "cos": mp.cos,
    "tanh": mp.tanh,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "atan": mp.atan,
    "asinh": mp.asinh,
    "acos": mp.acos,
    "sigmoid": lambda u: 1 / (1 + mp.exp(-u)),
    "log_sigmoid": lambda u: -mp.log(1 + mp.exp(-u)),
    "softplus": lambda u: mp.log(1 + mp.exp(u)),
    "log_cosh": lambda u: mp.log(mp.cosh(u)),
    "logaddexp": lambda u, v: mp.log(mp.exp(u) + mp.exp(v)),
    "erf": mp.erf,
    "erfc": mp.erfc,
    "normal_cdf": mp.ncdf,
    "normal_logcdf": lambda u: mp.log(mp.ncdf(u)),
    "lgamma": mp.loggamma,
    "digamma": mp.digamma,
    "i0e": lambda u: mp.exp(-abs(u)) * mp.besseli(0, u),
    "xlogy": lambda u, v: u * mp.log(v),
    "xlog1py": lambda u, v: u * mp.log(1 + v),
    "abs": abs,
    "relu": lambda u: max(u, mpf(0)),
    "clip": lambda u, low, high: min(max(u, low), high),
    "sign": mp.sign,
    "floor": mp.floor,
    "ones_like": lambda u: mpf(1),
}

ELEMENTWISE = [
    op
    for op, row in FUNCTIONS.items()
    if row.kind in (Kind.ARITHMETIC, Kind.SMOOTH, Kind.KINKED, Kind.DATA)
]
# Sums, products, choices and the operations that block have rules of their own.
OTHERWISE = {"add", "mul", "where", "max", "min", "stop_gradient", "is_finite"}


def test_no_elementwise_operation_is_left_out():
    assert set(FORMULAS) | OTHERWISE == set(ELEMENTWISE)


@pytest.mark.parametrize("op", FORMULAS)
def test_what_derivatives_are_made_of_can_be_evaluated(op):
    partials = partial_derivatives(Apply(op, ARGS[: FUNCTIONS[op].min_args]))
    ops = {n.op for item in partials for n in walk(item) if isinstance(n, Apply)}
    assert ops <= COVERED


@pytest.mark.parametrize("op", FORMULAS)
def test_partial_derivatives(op):
    formula, args = FORMULAS[op], ARGS[: FUNCTIONS[op].min_args]
    partials = partial_derivatives(Apply(op, args))
    assert len(partials) == len(args)
    printer = Printer({})
    for point in points(op):
        with mp.workdps(60):
            inputs = {s.name: array([x]) for s, x in zip(args, point, strict=True)}
            for index, partial in enumerate(partials):
                order = tuple(int(i == index) for i in range(len(args)))
                expected = mp.diff(formula, point, order)
                if op in ("sign", "floor"):
                    expected = mpf(0)
                found = np.ravel(run(printer.source(partial), inputs))[0]
                # Constants such as 2*pi are printed as Python's floats.
                assert abs(found - expected) <= 1e-15 * (1 + abs(expected)), point


def test_partial_derivatives_of_what_is_not_elementwise():
    with pytest.raises(KeyError):
        partial_derivatives(call("sum", P, axis=Axis.LAST))


def test_derived_operations_are_listed():
    for op in FORMULAS:
        for partial in partial_derivatives(Apply(op, ARGS[: FUNCTIONS[op].min_args])):
            ops = {node.op for node in walk(partial) if isinstance(node, Apply)}
            assert ops <= {*FUNCTIONS, *LOWERED}


# Operations with rules of their own ---------------------------------------------------

LOSS = resolved("loss: a*b*y_true*y_pred\nparams: {a: 1.5, b: -0.5}\n")
SIZES = {"a": mpf("1.5"), "b": mpf("-0.5")}


def environment(p, t):
    return {"y_pred": np.asarray(p), "y_true": np.asarray(t), **SIZES}


def assert_slopes(expr, p, t, direction):
    """The derivative agrees with a difference quotient at 50 digits."""
    velocity = Symbol("velocity", Role.DERIVED)
    slope = directional_derivative(expr, {P: velocity}, LOSS)
    with mp.workdps(60):
        p, t, direction = array(p), array(t), array(direction)
        inputs = environment(p, t)
        found = evaluate(_plain(slope), {**inputs, "velocity": direction}, digits=60)
        step = mpf(10) ** -18
        ahead, behind = (
            evaluate(expr, environment(p + side * step * direction, t), digits=60)
            for side in (1, -1)
        )
        quotient = (ahead - behind) / (2 * step)
        gap = np.abs(np.broadcast_to(found, quotient.shape) - quotient)
        assert gap.max() < mpf(10) ** -30


def _plain(expr):
    """The tree without operations that `evaluate` does not know."""
    if not isinstance(expr, Apply):
        return expr
    if expr.op == "ones_like":
        return call("add", call("mul", _plain(expr.args[0]), 0), 1)
    return Apply(expr.op, tuple(_plain(arg) for arg in expr.args), expr.axis)


P3 = np.array([[[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]], [[3, -2, 1], [0.125, 4, -3]]])
T3 = np.array([[[1.0, 0.5, -2.5], [0.5, 2.0, 1.0]], [[-1, 1, 2], [0.5, -0.5, 1]]])
D3 = np.array([[[1.0, 0.0, -0.5], [2.0, 1.0, 0.5]], [[0.5, -1, 1], [0, 0.25, -1]]])

AXIS_OPS = [op for op, row in FUNCTIONS.items() if row.takes_axis]


@pytest.mark.parametrize("axis", Axis, ids=lambda axis: axis.value)
@pytest.mark.parametrize("op", AXIS_OPS)
def test_axis_rules(op, axis):
    inner = call("add", call("sin", P), call("mul", A, P, T))
    assert_slopes(call(op, inner, axis=axis), P3, T3, D3)


@pytest.mark.parametrize("op", ["sum", "mean", "cumsum", "logsumexp", "norm"])
def test_axis_rules_where_the_velocity_does_not_vary(op):
    """The derivative of y_pred*a by a, along an axis where a does not vary."""
    with mp.workdps(50):
        inputs = environment(array(P3), array(T3))
        expr = call(op, call("add", call("mul", A, T), call("exp", A)), axis=Axis.LAST)
        slope = _plain(directional_derivative(expr, {A: ONE}, LOSS))
        exact = germ(expr, inputs, {"a": 1}, digits=50)[1]
        found = evaluate(slope, inputs, digits=50)
        assert np.abs(np.broadcast_to(found, exact.shape) - exact).max() < mpf("1e-40")


@pytest.mark.parametrize("op", ["sum", "mean", "cumsum"])
def test_constant_velocities_are_spread_along_the_axis(op):
    expr = call(op, P, axis=Axis.LAST)
    slope = directional_derivative(expr, {P: ONE}, LOSS)
    found = run(Printer({}).source(slope), {"y_pred": array([[1, 2, 3, 4]])})
    assert np.ravel(found).tolist() == {"sum": [4], "mean": [1]}.get(op, [1, 2, 3, 4])


@pytest.mark.parametrize(
    "expr",
    [
        call("add", P, call("mul", P, P, T), 1),
        call("mul", P, T, call("exp", P), A),
        call("max", P, call("square", P), T),
        call("min", P, call("square", P), T, call("neg", P)),
        call("where", call("gt", P, T), call("square", P), call("exp", P)),
        call(
            "sum", call("mul", call("softmax", P, axis=Axis.LAST), P), axis=Axis.BATCH
        ),
        call("square", call("add", P, call("neg", T))),
    ],
)
def test_other_rules(expr):
    assert_slopes(expr, P3, T3, D3)


def test_what_stands_still_has_no_derivative():
    expr = call("add", call("exp", T), call("sum", call("mul", A, T), axis=Axis.LAST))
    assert directional_derivative(expr, {P: ONE}, LOSS) == ZERO
    assert directional_derivative(call("stop_gradient", P), {P: ONE}, LOSS) == ZERO
    product = call("mul", call("stop_gradient", P), P)
    assert directional_derivative(product, {P: ONE}, LOSS) == call("stop_gradient", P)


def test_ties_share_the_slope_of_an_extremum():
    expr = call("amax", P, axis=Axis.LAST)
    velocity = Symbol("velocity", Role.DERIVED)
    slope = directional_derivative(expr, {P: velocity}, LOSS)
    inputs = {"y_pred": [[2, 2, 1]], "velocity": [[1, 4, 100]]}
    assert evaluate(slope, inputs).item() == 2.5


# Random trees -------------------------------------------------------------------------

_UNARY = ["exp", "sin", "cos", "tanh", "atan", "asinh", "sigmoid", "softplus"]
_UNARY += ["log_cosh", "erf", "normal_cdf", "square", "abs", "relu", "neg"]
_NUMBERS = st.fractions(-3, 3, max_denominator=8).map(number)


def _extend(children):
    return st.one_of(
        st.builds(call, st.sampled_from(_UNARY), children),
        st.builds(
            call, st.sampled_from(["add", "mul", "max", "div"]), children, children
        ),
        st.builds(lambda u: call("pow", call("softplus", u), 3), children),
        st.builds(
            lambda op, u: call(op, u, axis=Axis.LAST),
            st.sampled_from(AXIS_OPS),
            children,
        ),
        st.builds(
            lambda c, u, v: call("where", call("lt", c, T), u, v),
            *(children, children, children),
        ),
    )


TREES = st.recursive(
    st.one_of(st.sampled_from([P, P, T, A]), _NUMBERS), _extend, max_leaves=8
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(TREES)
def test_derivatives_of_random_trees_are_those_of_their_germs(expr):
    with mp.workdps(50):
        # Points that no tie and no kink of these trees goes through.
        p = array([[1.2345, -0.7182, 2.1213]]) + mp.sqrt(2) / 100
        t = array([[0.6931, 1.4142, -0.5772]]) + mp.sqrt(3) / 100
        direction = array([[1, -0.5, 0.25]])
        inputs = environment(p, t)
        velocity = Symbol("velocity", Role.DERIVED)
        try:
            value, exact = germ(expr, inputs, {"y_pred": direction}, digits=50)
        except (Undefined, OverflowError):
            assume(False)
        assume(all(abs(x) < 1e12 for x in (*value.flat, *exact.flat)))
        slope = _plain(directional_derivative(expr, {P: velocity}, LOSS))
        try:
            found = evaluate(slope, {**inputs, "velocity": direction}, digits=50)
        except Undefined as fault:
            if fault.node.op != "div":
                raise
            assume(False)  # divided by a norm that is 0 whatever the direction
        for a, b in np.broadcast(found, exact):
            assert abs(a - b) <= mpf(10) ** -25 * (1 + abs(b))


@pytest.mark.parametrize(
    ("formula", "slope"),
    [
        ("xlogy(y_true, y_true/y_pred)", "-y_true/y_pred"),
        ("log(7/y_pred)", "-1/y_pred"),
    ],
)
def test_the_logarithm_of_a_quotient_has_a_slope_without_it(formula, slope):
    """At y_true = 0 the quotient is 0, and dividing by it would give 0/0."""
    loss = resolved(
        f"loss: {formula} + 0*y_true\ny_pred: positive\ny_true: nonnegative\n"
    )
    found = directional_derivative(loss.expression, {P: ONE}, loss)
    assert spell(found) == slope
