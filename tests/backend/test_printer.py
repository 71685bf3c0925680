from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from losses import LAST, A, B, P, T, call
from mpmath import mp, mpf
from standin import array, run

from lossgen.backend.printer import Printer, literal
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.expr import Apply, Axis, Constant, Role, Symbol, number
from lossgen.ir.functions import FUNCTIONS

C = Symbol("c", Role.PARAMETER)


def source(expr, names=None):
    return Printer(names or {}).source(expr)


def minus(expr):
    return call("neg", expr)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (call("mul", minus(call("add", A, B)), C), "-(a + b) * c"),
        (call("mul", A, call("add", B, C)), "a * (b + c)"),
        (call("add", A, minus(call("add", B, minus(C)))), "a - (b - c)"),
        (call("add", A, minus(B), C), "a - b + c"),
        (call("add", minus(A), B), "b - a"),
        (call("add", minus(A), minus(B)), "-a - b"),
        (call("add", call("add", A, B), C), "a + b + c"),
        (call("add", -2, A), "a - 2"),
        (call("add", A, minus(call("mul", B, C))), "a - b * c"),
        (call("add", A, minus(call("div", B, C))), "a - b / c"),
        (call("pow", minus(A), 2), "(-a)**2"),
        (minus(call("pow", A, 2)), "-a**2"),
        (call("pow", number(-2), A), "(-2)**a"),
        (call("pow", 2, minus(A)), "2**(-a)"),
        (call("pow", call("pow", A, B), C), "(a**b)**c"),
        (call("pow", A, call("pow", B, C)), "a**b**c"),
        (call("pow", call("mul", A, B), 2), "(a * b)**2"),
        (call("pow", A, call("div", B, C)), "a**(b / c)"),
        (call("pow", Fraction(1, 2), A), "0.5**a"),
        (call("div", A, call("mul", B, C)), "a / (b * c)"),
        (call("div", call("mul", A, B), C), "a * b / c"),
        (call("div", A, call("div", B, C)), "a / (b / c)"),
        (call("div", call("div", A, B), C), "a / b / c"),
        (call("mul", A, call("div", B, C)), "a * (b / c)"),
        (call("mul", call("div", A, B), C), "a / b * c"),
        (call("mul", A, minus(B)), "a * (-b)"),
        (call("mul", -2, A), "-2 * a"),
        (minus(minus(A)), "--a"),
        # log(1/2) is the value of normal_logcdf at 0.
        (minus(call("normal_logcdf", 0)), "0.6931471805599453"),
        (minus(call("powm1", 2, -20)), "0.9999990463256836"),
        (call("lt", call("add", A, B), C), "a + b < c"),
        (call("and", call("lt", A, B), call("gt", B, C)), "(a < b) & (b > c)"),
        (
            call(
                "or", call("and", call("eq", A, 1), call("ne", B, 2)), call("le", A, C)
            ),
            "tf.equal(a, 1) & tf.not_equal(b, 2) | (a <= c)",
        ),
        (
            call(
                "and", call("or", call("lt", A, B), call("lt", B, C)), call("lt", C, A)
            ),
            "((a < b) | (b < c)) & (c < a)",
        ),
        (call("not", call("lt", A, B)), "~(a < b)"),
        (call("not", call("is_finite", A)), "~tf.math.is_finite(a)"),
        (call("max", A, B, C), "tf.maximum(a, tf.maximum(b, c))"),
        (call("max", 0, A), "tf.maximum(a, 0)"),
        (call("where", call("lt", A, B), C, 0), "tf.where(a < b, c, 0.0)"),
        (call("mul", 2, Constant("pi"), A), "2 * math.pi * a"),
        (call("mul", call("log", 2), A), "math.log(2) * a"),
        (call("mul", call("div", 1, 2), A), "0.5 * a"),
        (call("mul", call("div", 1, 3), A), "1 / 3 * a"),
    ],
)
def test_precedence(expr, text):
    """Python groups the text as the tree does, with few parentheses."""
    assert source(expr) == text


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (call("sum", P, axis=LAST), "tf.reduce_sum(y_pred, axis=-1, keepdims=True)"),
        (call("flat", call("sum", P, axis=LAST)), "tf.reduce_sum(y_pred, axis=-1)"),
        (call("softmax", P, axis=LAST), "_softmax(y_pred, axis=-1)"),
        (call("softmax", P, axis=Axis.BATCH), "_softmax(y_pred, axis=0)"),
        (
            call("softmax", P, axis=Axis.SAMPLE),
            "_softmax_over(y_pred, axis=sample_axes)",
        ),
        (call("log_softmax", P, axis=LAST), "_log_softmax(y_pred, axis=-1)"),
        (
            call("amax", P, axis=Axis.SPATIAL),
            "tf.reduce_max(y_pred, axis=spatial_axes, keepdims=True)",
        ),
    ],
)
def test_axes(expr, text):
    assert source(expr) == text


def test_what_was_used_is_remembered():
    printer = Printer({"y_pred.mean": "mean"})
    expr = call("log_cosh", Symbol("y_pred.mean", Role.Y_PRED))
    assert printer.source(expr) == "_log_cosh(mean)"
    assert printer.helpers == {"_log_cosh"}
    printer.source(call("sum", call("mul", Constant("pi"), P), axis=Axis.SAMPLE))
    assert printer.helpers == {"_log_cosh", "math"}
    assert printer.axes == {Axis.SAMPLE}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1), "1"),
        (Fraction(-3), "-3"),
        (Fraction(1, 4), "0.25"),
        (Fraction(1, 10**18), "1e-18"),
        (Fraction(1, 3), "0.3333333333333333"),
        (Fraction(10**18), "1e+18"),
        (Fraction(10**15), "1e15"),
        (Fraction(-25 * 10**7), "-25e7"),
        (Fraction(25 * 10**5), "2500000"),
        (Fraction(10**300), "1e+300"),
    ],
)
def test_literals(value, text):
    assert literal(value) == text


@given(st.fractions())
def test_literals_read_back_as_the_nearest_float(value):
    assert float(literal(value)) == float(value)


# Random trees -------------------------------------------------------------------------

# Halves, so that no constant is rounded by being a float.
_NUMBERS = st.integers(-6, 6).map(lambda n: number(Fraction(n, 2)))
_UNARY = ["exp", "sin", "tanh", "sigmoid", "softplus", "square", "abs", "relu", "neg"]
_UNARY += ["neg", "erf", "asinh", "sign", "floor"]


def _extend(children):
    return st.one_of(
        st.builds(call, st.sampled_from(_UNARY), children),
        st.builds(
            call,
            st.sampled_from(["add", "mul", "div", "max", "min"]),
            children,
            children,
        ),
        st.builds(call, st.sampled_from(["add", "mul", "max"]), *[children] * 3),
        st.builds(lambda u, n: call("pow", u, n), children, st.integers(-2, 3)),
        st.builds(lambda u, v: call("pow", call("sigmoid", u), v), children, children),
        st.builds(
            lambda op, u: call(op, u, axis=LAST),
            st.sampled_from([op for op, row in FUNCTIONS.items() if row.takes_axis]),
            children,
        ),
        st.builds(
            lambda c, u, v: call("where", c, u, v),
            _conditions(children),
            *[children] * 2,
        ),
    )


def _conditions(children):
    compared = st.builds(
        lambda op, u, v: call(op, call("add", P, u), v),
        st.sampled_from(["lt", "le", "gt", "ge"]),
        children,
        children,
    )
    return st.one_of(
        compared,
        st.builds(lambda c: call("not", c), compared),
        st.builds(call, st.sampled_from(["and", "or"]), compared, compared),
        st.builds(lambda u: call("ne", call("sign", u), T), children),
    )


TREES = st.recursive(
    st.one_of(st.sampled_from([P, T, A]), _NUMBERS), _extend, max_leaves=10
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(TREES)
def test_printed_trees_have_the_value_of_the_tree(expr):
    assume(_depends(expr))
    with mp.workdps(40):
        inputs = {
            "y_pred": array([[1.25, -0.75, 2.5]]) + mp.sqrt(2) / 100,
            "y_true": array([[0.5, 1.5, -0.5]]) + mp.sqrt(3) / 100,
            "a": array([1.75]),
        }
        try:
            expected = evaluate(expr, inputs, digits=40)
        except Undefined:
            assume(False)
        assume(all(isinstance(x, mpf) and abs(x) < 1e9 for x in expected.flat))
        try:
            found = run(source(expr), inputs)
        except (ZeroDivisionError, OverflowError):
            assume(False)  # a branch that is not taken
        for a, b in _pairs(found, expected):
            # Constant subexpressions are folded to floats.
            assert abs(a - b) <= mpf("1e-9") * (1 + abs(b)), source(expr)


def _depends(expr):
    """Whether every operation has an input below it, or is arithmetic."""
    if not isinstance(expr, Apply):
        return isinstance(expr, Symbol)
    return any(_depends(arg) for arg in expr.args)


def _pairs(found, expected):
    return np.broadcast(np.asarray(found), expected)
