"""Bounds of what float32 computes, and how far inputs may go.

Expected bounds are worked out by hand from 2**128, the first number that float32 lacks.
"""

import random
from dataclasses import replace

import numpy as np
import pytest
from losses import catalogue, lowered, resolved, unproved
from mpmath import mp

from lossgen.analysis import overflow
from lossgen.analysis.overflow import ELEMENTS, reach, stays_finite
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.calculus.reverse import TiedError, value_and_gradient
from lossgen.ir.expr import Apply, Axis, Role, Symbol
from lossgen.ir.functions import CONDITIONS, FUNCTIONS, LOWERED, Kind
from lossgen.oracle.evaluation import Formula
from lossgen.oracle.float_formats import FLOAT32
from lossgen.oracle.points import batches
from lossgen.transform.lower import lower

CATALOGUE = catalogue()


def reach_of(formula, y_true="real", y_pred="real", **keys):
    lines = [f"loss: {formula}", f'y_true: "{y_true}"', f"y_pred: {y_pred}"]
    lines += [f"{key}: {value}" for key, value in keys.items()]
    program = lowered("\n".join(lines) + "\n")
    found = reach(program.body, program.checked.loss)
    sizes = None if found is None else {size for _, size in found}
    return sizes.pop() if sizes and len(sizes) == 1 else found and dict(found)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        # exp(88.7) is 2**128, and so is the slope there.
        ("y_true + exp(2*y_pred)", {"y_true": 1e18, "y_pred": 30.0}),
        ("y_true + exp(-y_pred/16)", {"y_true": 1e18, "y_pred": 1e3}),
        # (2*R)**2 times 2**20 elements of a row stays below 2**128 up to 9e15.
        ("(y_pred - y_true)**2", 1e15),
        ("abs(y_pred - y_true)", 1e18),
        # (2*R)**6 * 2**20 < 2**128 up to R = 1.3e5.
        ("(y_pred - y_true)**6", 1e5),
        ("sqrt(1 + (y_pred - y_true)**2)", 1e18),
        # The slope of a root at 0 is infinite, wherever that is.
        ("sqrt(abs(y_pred - y_true))", None),
        ("log(y_pred**2 + y_true**2 + 1)", 1e18),
    ],
)
def test_how_far_a_formula_reaches(formula, expected):
    assert reach_of(formula) == expected


def test_an_entropy_is_finite_at_0():
    """As a slope it is not: that of x*log(x) is log(x) + 1."""
    formula = "xlogy(y_true, y_true) - y_true*log(y_pred)"
    assert reach_of(formula, "unit", "probability") == ()
    assert reach_of("xlogy(y_pred, y_pred)", "unused", "'[0, 1]'") is None
    # R*log(R), and the slope R/1e-18, stay below 2**128 up to R = 3.4e20.
    assert reach_of(formula, "nonnegative", "probability") == 1e18


def test_a_guard_bounds_what_divides():
    # R/p and R/p**2 at p = 1e-18: 1e36*R is below 2**128 up to 340.
    found = reach_of("y_true/y_pred", "nonnegative", "positive")
    assert found == {"y_true": 100.0, "y_pred": 1e18}
    assert reach_of("y_true/y_pred", "nonnegative", "positive", epsilon=0.001) == 1e18


def test_labels_are_met_one_by_one():
    """y*p + (1 - y)*(1 - p) is p or 1 - p, and never 0."""
    formula = "-log(y_true*y_pred + (1 - y_true)*(1 - y_pred))"
    # Neither domain has a number that is too large.
    assert reach_of(formula, "binary", "probability") == ()


def test_inputs_that_are_not_in_the_way_may_be_larger():
    """exp(R) is below 2**128 up to 88, so that log_var may be 30 whatever the others.

    Then (2*R)**2*exp(30)*2**20 is below 2**128 up to R = 2.7e9, and nothing holds bias.
    """
    found = reach_of(
        "(y_true - mean)**2*exp(-log_var) + bias",
        y_pred="{channels: {mean: real, log_var: real, bias: real}}",
    )
    assert found == {
        "y_true": 1e9,
        "y_pred.mean": 1e9,
        "y_pred.log_var": 30.0,
        "y_pred.bias": 1e18,
    }


def test_a_norm_does_not_overflow_but_a_sum_of_squares_does():
    assert reach_of("norm(y_pred - y_true, axis=last)") == 1e18
    squares = "sum((y_pred - y_true)**2, axis=last)"
    assert reach_of(squares) == 1e15


@pytest.mark.parametrize(("largest", "finite"), [(10.0, True), (18.0, False)])
def test_a_logarithm_of_a_rounded_0_is_found(largest, finite):
    """1 - sigmoid(10) is 4.5e-5, but from 17 on sigmoid rounds to 1."""
    loss = resolved("loss: log(1 - sigmoid(y_pred))*y_true\ny_true: unit\n")
    assert stays_finite(loss.expression, loss, largest) is finite


def test_what_stops_a_gradient_needs_no_slope():
    """1/g**2 at g = 1e-18 is 1e36, its slope 2e54."""
    for power, finite in (("y_pred**2", False), ("stop_gradient(y_pred)**2", True)):
        loss = resolved(f"loss: y_true/{power}\ny_true: unit\ny_pred: y_pred > 1e-18\n")
        assert stays_finite(loss.expression, loss, 1e18) is finite


@pytest.mark.parametrize("name", CATALOGUE)
def test_nothing_overflows_within_reach(name):
    """In emulated float32, for inputs of any size up to what is stated."""
    loss = CATALOGUE[name]
    program = lower(unproved(loss))
    forms = [(program.body, program.stable, False)]
    if program.logits is not None:
        forms.append((program.logits, program.stable_logits, True))
    for block, expression, logits in forms:
        if block.reach is None:
            continue
        formula = Formula(loss, expression)
        for batch in batches(loss, 30, "float32", logits=logits, seed=5):
            sizes = dict(block.reach)
            inputs = {
                key: np.clip(value, -sizes.get(key, np.inf), sizes.get(key, np.inf))
                for key, value in batch.inputs.items()
            }
            near = replace(batch, inputs=inputs)
            found, slopes = formula.evaluated(near, 40, rounding=FLOAT32)
            assert all(mp.isfinite(item) for item in (*found.flat, *slopes.flat))


# Every operation, at random --------------------------------------------------------


def test_every_operation_has_bounds():
    known = {*overflow._VALUES, *CONDITIONS, "where", "any", "filled", "select"}
    assert {*FUNCTIONS, *LOWERED} <= known


ELEMENTWISE = [
    (row.op, max(row.min_args, 1 if row.max_args is None else row.max_args))
    for row in FUNCTIONS.values()
    if row.kind in (Kind.ARITHMETIC, Kind.SMOOTH, Kind.KINKED, Kind.DATA)
    and row.op not in ("where", "is_finite")
]
ALONG = [row.op for row in FUNCTIONS.values() if row.takes_axis]


def interval(generator, op):
    """An interval of float32 numbers, of any magnitude."""
    ends = []
    for _ in range(2):
        size = 2 ** generator.uniform(*generator.choice([(-100, 60), (-3, 7)]))
        ends.append(float(np.float32(generator.choice((-1, 1)) * size)))
    positive = ("log", "lgamma", "digamma", "sqrt", "pow", "div", "xlogy")
    if op in positive and generator.random() < 0.8:
        ends = [abs(end) for end in ends]
    return min(ends), max(ends)


def inside(generator, bounds):
    low, high = bounds
    share = generator.choice((0, 1, generator.random(), 2**-20))
    point = float(np.float32(low + share * (high - low)))
    return min(max(point, low), high)


@pytest.mark.parametrize(("op", "count"), ELEMENTWISE)
def test_bounds_hold_elementwise(op, count):
    generator = random.Random(op)
    names = [Symbol(f"x{k}", Role.DERIVED) for k in range(count)]
    node = Apply(op, tuple(names))
    met = 0
    for _ in range(200):
        boxes = [interval(generator, op) for _ in names]
        bounds = overflow._at(node, dict(zip(names, boxes, strict=True)))
        if bounds is None:
            continue
        slopes = overflow._slopes(node, boxes, bounds) if op != "mul" else None
        for _ in range(4):
            point = {
                name.name: inside(generator, box)
                for name, box in zip(names, boxes, strict=True)
            }
            try:
                found, by = value_and_gradient(
                    node,
                    point,
                    point,
                    lambda v: np.ones_like(v),
                    rounding=FLOAT32,
                )
            except (Undefined, TiedError) as fault:
                if isinstance(fault, TiedError) or fault.overflow:
                    continue  # on an edge, or beyond what mpmath can do
                # Only the slope may be missing, and then its bound is infinite.
                evaluate(node, point, rounding=FLOAT32)
                assert max(slopes) > FLOAT32.huge, (op, point, boxes)
                continue
            met += 1
            (value,) = found.flat
            assert bounds[0] <= value <= bounds[1], (op, point, boxes, bounds)
            if slopes is not None:
                for name, slope in zip(point, slopes, strict=True):
                    (got,) = np.ravel(by[name])
                    if slope > FLOAT32.huge:
                        continue
                    assert abs(got) <= slope * (1 + 2e-6) + FLOAT32.tiny, (op, point)
    assert met > 20


@pytest.mark.parametrize("op", ALONG)
def test_bounds_hold_along_an_axis(op):
    generator = random.Random(op)
    name = Symbol("x", Role.DERIVED)
    node = Apply(op, (name,), Axis.LAST)
    met = 0
    for _ in range(100):
        box = interval(generator, op)
        bounds = overflow._at(node, {name: box})
        if bounds is None:
            continue
        row = [inside(generator, box) for _ in range(generator.choice((2, 3, 5)))]
        try:
            found = evaluate(node, {"x": [row]}, rounding=FLOAT32)
        except Undefined:
            pytest.fail(f"{op} {row} {box}")
        met += 1
        for value in found.flat:
            assert bounds[0] <= value <= bounds[1], (op, row, box, bounds)
    assert met > 20
    assert ELEMENTS == 2**20
