"""Random losses: what the check passes is defined, continuous and as smooth as it says.

``LOSSGEN_SOUNDNESS`` sets how many losses are drawn.
"""

import os
import random
from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from writing import write

from lossgen.analysis.check import check
from lossgen.analysis.ranges import domain_interval
from lossgen.calculus.evaluate import Undefined, evaluate, germ
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.loss import Smoothness

EXAMPLES = int(os.environ.get("LOSSGEN_SOUNDNESS", "400"))
DIGITS = 40
NEAR = mpf(10) ** -12
DOMAINS = ("real", "probability", "unit", "nonnegative", "[-1, 2]", "(-2, 1)", "(0, 7)")
LABELS = (*DOMAINS, "binary", "sign", "count")
ATOMS = ("y_pred", "y_true", "y_pred", "d", "1", "2", "0.5", "a")
UNARY = (
    "abs({})",
    "relu({})",
    "square({})",
    "exp({})",
    "log({})",
    "sqrt({})",
    "tanh({})",
    "log1p(abs({}))",
    "(-{})",
    "sigmoid({})",
    "log_cosh({})",
    "({})**3",
    "({})**1.5",
    "(1 + square({}))",
    "clip({}, 0, 1)",
    "sin({})",
)
BINARY = (
    "({} + {})",
    "({} - {})",
    "({} * {})",
    "({} / {})",
    "max({}, {})",
    "min({}, {})",
)
BRANCH = "where({} {} {}, {}, {})"


def grown(inner):
    unary = st.builds(str.format, st.sampled_from(UNARY), inner)
    binary = st.builds(str.format, st.sampled_from(BINARY), inner, inner)
    order = st.sampled_from(("<", "<=", ">", ">="))
    branch = st.builds(BRANCH.format, inner, order, inner, inner, inner)
    return st.one_of(unary, binary, branch)


FORMULAS = st.recursive(st.sampled_from(ATOMS), grown, max_leaves=7)


def points(loss, generator):
    """Rows of one element each: random points, ends, and the diagonal."""
    bounds = {item.name: domain_interval(item.domain) for item in loss.variables}
    rows = []
    for k in range(24):
        row = {
            item.name: chosen(item, bounds[item.name], generator, k)
            for item in loss.variables
        }
        if k % 4 == 3 and bounds["y_pred"].contains(row["y_true"]):
            row["y_pred"] = row["y_true"]
        rows.append(row)
    return rows


def chosen(variable, values, generator, k):
    if variable.domain.labels:
        return generator.choice(variable.domain.labels)
    if variable.domain.kind.value == "count":
        return Fraction(generator.randint(0, 4))
    low = values.lower if isinstance(values.lower, Fraction) else Fraction(-4)
    high = values.upper if isinstance(values.upper, Fraction) else Fraction(6)
    ends = [item for item in (low, high) if values.contains(item)]
    if k % 4 == 2 and ends:
        return generator.choice(ends)
    if k % 4 == 1:
        # Where round constants of a formula put its branches.
        near = [Fraction(n, 2) for n in range(-6, 9) if values.contains(Fraction(n, 2))]
        if near:
            return generator.choice(near)
    return low + (high - low) * Fraction(generator.randint(1, 9999), 10_000)


def columns(rows):
    return {
        name: np.array([[row[name]] for row in rows], dtype=object) for name in rows[0]
    }


def grid_of(loss):
    """A grid of y_pred that meets round numbers."""
    values = domain_interval(loss.variable("y_pred").domain)
    low = values.lower if isinstance(values.lower, Fraction) else Fraction(-4)
    high = values.upper if isinstance(values.upper, Fraction) else Fraction(6)
    return [low + (high - low) * Fraction(k, 40) for k in range(1, 40)]


def sides(loss, environment):
    shape = environment["y_pred"].shape
    found = []
    for sign in (-1, 1):
        direction = {"y_pred": np.full(shape, sign, dtype=int)}
        value, slope = germ(loss.expression, environment, direction, digits=DIGITS)
        found.append((list(value.flat), [sign * item for item in slope.flat]))
    return found


def differs(a, b):
    return abs(a - b) > NEAR * (1 + abs(a) + abs(b))


def inside(loss, value):
    values = domain_interval(loss.variable("y_pred").domain)
    return values.lower < value < values.upper


def probe(loss, certificate, rows):
    environment = columns(rows)
    values = evaluate(loss.expression, environment, digits=DIGITS)
    spread = np.broadcast_to(values, (len(rows), 1)).flat
    assert all(mp.isfinite(item) for item in spread)
    rows = [row for row in rows if inside(loss, row["y_pred"])]
    if not rows:
        return
    environment = columns(rows)
    there = evaluate(loss.expression, environment, digits=DIGITS)
    there = list(np.broadcast_to(there, (len(rows), 1)).flat)
    (left, before), (right, after) = sides(loss, environment)
    for k, row in enumerate(rows[: len(left)]):
        assert not differs(left[k], right[k]), ("jump", row)
        assert not differs(left[k], there[k]), ("isolated", row)
        if certificate.smoothness is not Smoothness.CONTINUOUS:
            assert not differs(before[k], after[k]), ("kink", row)


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(FORMULAS, st.sampled_from(DOMAINS), st.sampled_from(LABELS), st.integers(0, 99))
def test_what_passes_is_what_it_is_said_to_be(formula, predicted, label, seed):
    loss = write(
        f"0*a + {formula} + 0.25*d",
        y_pred=predicted,
        y_true=label,
        where={"d": "y_pred - y_true"},
        params={"a": {"default": 1.0, "domain": "(0, 3)"}},
    )
    result = check(loss, Report())
    if result is None:
        return
    generator = random.Random(seed)
    rows = points(loss, generator)
    grid = grid_of(loss)
    rows += [{**rows[k % 24], "y_pred": value} for k, value in enumerate(grid)]
    try:
        probe(loss, result.certificate, rows)
    except Undefined as fault:
        if not fault.overflow:
            raise
