import os
import random
from fractions import Fraction
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lines import random_point
from mpmath import mp
from random_losses import KINDS, written
from writing import write

from lossgen.analysis import intervals
from lossgen.analysis.intervals import Interval, exactly
from lossgen.analysis.ranges import Ranges, range_of, range_of_operation
from lossgen.calculus.evaluate import Evaluation, Undefined, evaluate
from lossgen.ir.expr import Apply, Axis, Number, Role, Symbol
from lossgen.ir.functions import FUNCTIONS, LOWERED, Kind

EXAMPLES = int(os.environ.get("LOSSGEN_SOUNDNESS", "60"))
SLOW = list(HealthCheck)


def interval(expression, **keys):
    loss = write(f"({expression}) + 0*y_pred*y_true", **keys)
    return range_of(loss.expression.args[0], loss)


def shown(expression, **keys):
    return str(interval(expression, **keys))


UNIT = {"y_true": "unit", "y_pred": "probability"}
MIX = "y_true*y_pred + (1 - y_true)*(1 - y_pred)"


@pytest.mark.parametrize(
    ("expression", "keys", "expected"),
    [
        (MIX, UNIT, "(0, 1)"),
        (MIX, {"y_true": "binary", "y_pred": "probability"}, "(0, 1)"),
        (MIX, {"y_true": "unit", "y_pred": "unit"}, "[0, 1]"),
        (f"1 - ({MIX})", UNIT, "(0, 1)"),
        ("y_pred*(1 - y_pred)", {"y_pred": "probability"}, "(0, 1/4]"),
        ("y_pred**2 - 2*y_pred + 1", {}, "[0, oo)"),
        ("y_true*(1 - y_true)", {"y_true": "binary"}, "[0, 0]"),
        ("y_true*exp(y_pred) + 1 - y_true", {"y_true": "unit"}, "(0, oo)"),
        ("y_pred**3", {}, "(-oo, oo)"),
        ("y_pred**4 + 1", {}, "[1, oo)"),
        ("y_pred**-2", {}, "(0, oo)"),
        ("abs(y_pred) + 2", {}, "[2, oo)"),
        ("exp(-abs(y_pred))", {}, "(0, 1]"),
        ("log(y_pred)", {"y_pred": "probability"}, "(-oo, 0)"),
        ("sqrt(y_pred + 4)", {"y_pred": "[0, 5]"}, "[2, 3]"),
        ("log_cosh(y_pred)", {}, "[0, oo)"),
        ("lgamma(2 + 0*y_pred)", {}, "[0, 0]"),
        ("1/cos(0.5*y_pred)", {"y_pred": "[-1, 1]"}, None),
        ("relu(y_pred) - y_pred", {}, "[0, oo)"),
        ("y_pred + y_true - min(y_pred, y_true)", UNIT, "(0, 2)"),
        ("sigmoid(y_pred + 1) - sigmoid(y_pred)", {}, "(0, 1)"),
        ("clip(y_pred, -1, 1)", {}, "[-1, 1]"),
        ("max(y_pred, 0)", {}, "[0, oo)"),
        ("y_true/(y_true + y_pred)", UNIT, "[0, 1)"),
        ("2*pi - 6", {}, "(0.283185, 0.283185)"),
        ("y_pred**y_pred**y_pred**y_pred", {"y_pred": "[9, 10]"}, None),
        ("(y_pred*1e300)**1e300", {"y_pred": "[1, 2]"}, None),
        ("exp(exp(exp(exp(y_pred))))", {"y_pred": "[9, 10]"}, None),
    ],
)
def test_elementwise(expression, keys, expected):
    found = shown(expression, **keys)
    assert expected is None or found == expected


CLASSES = {"y_true": "one_hot", "y_pred": "probability"}


@pytest.mark.parametrize(
    ("expression", "keys", "expected"),
    [
        ("5 - sum(y_pred, axis=last)", {"y_pred": "probability"}, "(-oo, 5)"),
        ("sum(y_pred, axis=last)", {"y_pred": "[1, 2]"}, "[1, oo)"),
        ("sum(y_pred, axis=last)", {"y_pred": "simplex"}, "[1, 1]"),
        ("sum(y_true*y_pred, axis=last)", CLASSES, "(0, 1)"),
        ("1 - sum(y_true*y_pred**2, axis=last)", CLASSES, "(0, 1)"),
        ("sum(y_true*y_pred, axis=last)", {**CLASSES, "mask": "y_true != 1"}, None),
        ("sum(y_true*y_pred, axis=last)", {**UNIT}, "[0, oo)"),
        ("mean(y_pred, axis=last)", {"y_pred": "probability"}, "(0, 1)"),
        ("softmax(y_pred, axis=last)", {}, "(0, 1]"),
        ("softmax(y_pred, axis=last)", {"y_true": "one_hot"}, "(0, 1)"),
        ("norm(y_pred, axis=last)", {}, "[0, oo)"),
        ("logsumexp(y_pred, axis=last)", {"y_pred": "nonnegative"}, "[0, oo)"),
        ("cumsum(y_true, axis=last)", {"y_true": "simplex"}, "[0, 1]"),
        ("acos(y_true/4)", {"y_true": "unit"}, "(1.31812, 1.5708)"),
        ("logcumsumexp(y_true, axis=last)", {"y_true": "unit"}, "[0, oo)"),
        (
            "sum(l2_normalize(y_true, axis=last)*l2_normalize(y_pred, axis=last), "
            "axis=last)",
            {},
            "[-1, 1]",
        ),
        (
            "sum(y_true*sqrt(y_pred), axis=last)",
            {"y_true": "simplex", "y_pred": "unit"},
            "[0, 1]",
        ),
        (
            "sum(y_pred*sqrt(y_true), axis=last)",
            {"y_true": "simplex", "y_pred": "positive"},
            "(0, oo)",
        ),
        (
            "1 - (2*sum(y_true*y_pred, axis=last) + 1)"
            "/(sum(y_true, axis=last) + sum(y_pred, axis=last) + 1)",
            UNIT,
            "(0, 1)",
        ),
        (
            "sum((1 - y_true)*y_pred, axis=last) + sum(y_true*(1 - y_pred), axis=last)",
            UNIT,
            "(0, oo)",
        ),
    ],
)
def test_reductions_of_any_length(expression, keys, expected):
    found = shown(expression, **keys)
    assert expected is None or found == expected


def branch(condition, expression, truth=True, **keys):
    loss = write(f"where({condition}, {expression}, y_pred*y_true)", **keys)
    guard, then, _ = loss.expression.args
    return str(range_of(then, loss, ((guard, truth),)))


@pytest.mark.parametrize(
    ("condition", "expression", "expected"),
    [
        ("abs(y_pred) <= 2", "y_pred", "[-2, 2]"),
        ("abs(y_pred - y_true) < 1", "y_true - y_pred", "(-1, 1)"),
        ("y_pred < y_true", "y_true - y_pred", "(0, oo)"),
        ("y_pred < y_true", "2*(y_pred - y_true) + 1", "(-oo, 1)"),
        ("0 < y_pred <= 3", "y_pred", "(0, 3]"),
        ("not (y_pred > 0 or y_pred < -1)", "y_pred", "[-1, 0]"),
        ("y_pred**2 <= 4", "y_pred", "[-2, 2]"),
        ("max(y_pred, y_true) < 3", "3 - y_true", "(0, oo)"),
        ("y_pred > 0", "sum(y_pred, axis=last)", "(-oo, oo)"),
        ("sum(y_pred, axis=last) > 1", "sum(y_pred, axis=last)", "(1, oo)"),
    ],
)
def test_conditions_are_facts(condition, expression, expected):
    assert branch(condition, expression) == expected


def test_contradictions_leave_nothing():
    loss = write("where(y_pred > 2, y_pred, y_pred*y_true)", y_pred="unit")
    guard, then, _ = loss.expression.args
    assert range_of(then, loss, ((guard, True),)).empty


def test_denied_conditions_are_facts():
    assert branch("y_pred > 1", "y_pred", truth=False) == "(-oo, 1]"


def test_assumptions_hold_inside_reductions():
    loss = write("sum(log(y_pred), axis=last)", y_true="unused", assume=["y_pred > 2"])
    assert range_of(loss.expression.args[0], loss).positive


# Soundness: no value lies outside ---------------------------------------------------

ENDS = st.one_of(
    st.integers(-4, 4).map(Fraction),
    st.fractions(min_value=-6, max_value=6, max_denominator=12),
)


@st.composite
def boxes(draw):
    low, high = sorted((draw(ENDS), draw(ENDS)))
    kind = draw(st.sampled_from(["finite", "left", "right"]))
    if kind == "left":
        return Interval(-inf, high, True, draw(st.booleans()))
    if kind == "right":
        return Interval(low, inf, draw(st.booleans()), True)
    if low == high:
        return exactly(low)
    return Interval(low, high, draw(st.booleans()), draw(st.booleans()))


def points(box, generator):
    low = box.lower if box.lower != -inf else min(box.upper, Fraction(0)) - 30
    high = box.upper if box.upper != inf else max(box.lower, Fraction(0)) + 30
    inner = [low + (high - low) * Fraction(generator.random()) for _ in range(4)]
    inner += [low + (high - low) / 2**30, high - (high - low) / 2**30]
    return [value for value in (low, high, *inner) if box.contains(value)]


def value_of(op, *arguments):
    expr = Apply(op, tuple(Number(Fraction(item)) for item in arguments))
    try:
        return intervals.to_fraction(evaluate(expr, {}, digits=60).item())
    except Undefined:
        return None


def close(found, value):
    slack = (1 + abs(value)) / 10**40  # the rounding of the evaluation
    return value + slack >= found.lower and value - slack <= found.upper


UNARY = [
    op
    for op, row in FUNCTIONS.items()
    if row.kind is Kind.SMOOTH and row.min_args == 1 and op != "stop_gradient"
]


@pytest.mark.parametrize("op", UNARY)
@settings(max_examples=40, deadline=None)
@given(box=boxes())
def test_functions_are_sound(op, box):
    found = intervals.apply(op, box)
    for point in points(box, random.Random(0)):
        value = value_of(op, point)
        assert value is None or close(found, value), (str(box), point, str(found))


BINARY = {
    "add": intervals.add,
    "mul": intervals.multiply,
    "div": intervals.divide,
    "pow": intervals.power,
    "max": intervals.largest,
    "min": intervals.smallest,
}


@pytest.mark.parametrize("op", list(BINARY))
@settings(max_examples=60, deadline=None)
@given(left=boxes(), right=boxes())
def test_arithmetic_is_sound(op, left, right):
    found = BINARY[op](left, right)
    generator = random.Random(0)
    for a in points(left, generator):
        for b in points(right, generator):
            value = value_of(op, a, b)
            if value is not None:
                assert close(found, value), (str(left), str(right), a, b, str(found))


P, T = Symbol("y_pred", Role.Y_PRED), Symbol("y_true", Role.Y_TRUE)


@st.composite
def trees(draw, depth=4):
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from([P, T, Number(Fraction(1)), Number(Fraction(-2))]))
    op = draw(
        st.sampled_from(
            ["add", "mul", "neg", "square", "div", "abs", "max", "exp", "where", "tanh"]
        )
    )
    child = trees(depth=depth - 1)
    if op == "where":
        guard = Apply(draw(st.sampled_from(["lt", "ge"])), (draw(child), draw(child)))
        return Apply("where", (guard, draw(child), draw(child)))
    count = FUNCTIONS[op].min_args
    return Apply(op, tuple(draw(child) for _ in range(count)))


@settings(max_examples=150, deadline=None)
@given(tree=trees(), domain=st.sampled_from(["real", "unit", "probability", "[-2, 3)"]))
def test_expressions_are_sound(tree, domain):
    loss = write("y_pred*y_true", y_pred=domain, y_true="unit")
    found = range_of(tree, loss)
    generator = np.random.default_rng(0)
    for _ in range(6):
        p = Fraction(
            generator.uniform(-2, 3) if domain[0] in "r[" else generator.random()
        )
        t = Fraction(generator.choice([0, 1, generator.random()]))
        try:
            value = evaluate(tree, {"y_pred": p, "y_true": t}).item()
        except Undefined:
            continue
        assert close(found, intervals.to_fraction(value))


@pytest.mark.parametrize("kind", KINDS)
def test_ranges_hold_everywhere_in_a_loss(kind):
    """For every length of the reductions, and inside branches with their conditions."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=SLOW,
    )
    @given(KINDS[kind](), st.integers(0, 99))
    def holds(keys, seed):
        loss = written(keys)
        generator = random.Random(seed)
        for k in range(5):
            environment = random_point(loss, generator, k)
            with mp.workdps(40):
                evaluation = Evaluation(environment)
                every = np.ones((1, 1), dtype=bool)
                compare(loss.expression, Ranges.of_loss(loss), evaluation, every)

    holds()


def compare(expr, ranges, evaluation, reached):
    """Compare the elements that are reached, and those of all arguments."""
    values = evaluation.value(expr)
    values, reached = np.broadcast_arrays(values, reached)
    found = ranges.of(expr)
    for value in values[reached]:
        if not isinstance(value, Undefined):
            exact = intervals.to_fraction(value)
            assert close(found, exact), (expr, exact, str(found))
    if not isinstance(expr, Apply):
        return
    if expr.op == "where":
        condition, *branches = expr.args
        truth = evaluation.value(condition)
        for branch, side in zip(branches, (True, False), strict=True):
            taken = np.equal(truth, side).astype(bool) & reached
            compare(branch, ranges.given(condition, side), evaluation, taken)
        return
    if expr.axis is not None:
        # A reduction that is reached sees all elements along its axis.
        axis = 0 if expr.axis is Axis.BATCH else 1
        reached = reached.any(axis=axis, keepdims=True)
    for arg in expr.args:
        compare(arg, ranges.inside(expr.axis), evaluation, reached)


def test_a_condition_on_a_branch_comes_to_an_end():
    one, two = Number(Fraction(1)), Number(Fraction(-2))
    inner = Apply("where", (Apply("lt", (one, T)), two, P))
    other = Apply("where", (Apply("lt", (T, two)), two, T))
    condition = Apply("lt", (Apply("mul", (T, two)), inner))
    outer = Apply("where", (condition, one, other))
    loss = write("y_pred*y_true", y_pred="unit", y_true="unit")
    # It is 1 or y_true: neither y_true > 1 nor y_true < -2 happens.
    found = range_of(Apply("square", (Apply("neg", (outer,)),)), loss)
    assert (found.lower, found.upper) == (0, 1)


@pytest.mark.parametrize("op", LOWERED)
def test_what_only_rewriting_makes_is_unknown_and_no_fault(op):
    assert range_of_operation(Apply(op, ()), []) == intervals.EVERYTHING
