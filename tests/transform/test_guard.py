"""Exact inside the guard points; beyond them f(g) + f'(g)*(p - g)."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import lowered, resolved
from mpmath import mp, mpf
from standin import array, run, run_block

from lossgen.backend.printer import Printer
from lossgen.ir.expr import ONE, substitute, symbols, walk
from lossgen.ir.local_names import channel_names
from lossgen.transform.guard import guard

TINY = mpf(1e-18)  # as it stands in the source
BELOW_ONE = mpf(1) - mpf(2) ** -24
BELOW_TAU = mpf(float(np.nextafter(np.float32(2 * math.pi), np.float32(0))))


def guarded(loss, inputs):
    """The guarded loss at inputs by full name."""
    result = guard(loss.expression, loss, set())
    names = channel_names(loss)
    known = {names[name]: array(x) for name, x in inputs.items()}
    for item in result.assignments:
        known[item.target.name] = run(Printer(names).source(item.value), known)
    return run(Printer(names).source(result.expression), known)


def extended(f, low, high):
    """The scalar function f, continued linearly beyond low and high."""

    def value(p, *rest):
        g = min(max(p, low), high)
        if g == p:
            return f(p, *rest)
        slope = mp.diff(lambda x: f(x, *rest), g, h=g * mpf(10) ** -30)
        return f(g, *rest) + slope * (p - g)

    return value


ELEMENTWISE = [
    # formula, keys, the same in mpmath, the guard points
    ("-log(y_pred)*y_true", "positive", lambda p, t: -mp.log(p) * t, TINY, mp.inf),
    (
        "-y_true*log(y_pred) - (1 - y_true)*log(1 - y_pred)",
        "probability",
        lambda p, t: -t * mp.log(p) - (1 - t) * mp.log(1 - p),
        TINY,
        BELOW_ONE,
    ),
    ("y_true/(1 - y_pred)", "'[0, 1)'", lambda p, t: t / (1 - p), -mp.inf, BELOW_ONE),
    (
        "y_true*log(2*pi - y_pred)",
        "'[0, 2*pi)'",
        lambda p, t: t * mp.log(2 * mp.pi - p),
        -mp.inf,
        BELOW_TAU,
    ),
    ("y_true**2/y_pred**2", "positive", lambda p, t: t**2 / p**2, TINY, mp.inf),
    (
        "y_true*log(3 - y_pred)",
        "y_pred < 3",
        lambda p, t: t * mp.log(3 - p),
        -mp.inf,
        mpf(float(np.nextafter(np.float32(3), np.float32(0)))),
    ),
]


@pytest.mark.parametrize(
    ("formula", "domain", "f", "low", "high"),
    ELEMENTWISE,
    ids=[row[1] for row in ELEMENTWISE],
)
def test_elementwise(formula, domain, f, low, high):
    loss = resolved(f"loss: {formula}\ny_pred: {domain}\n")
    points = ["-3", "-1", "0", "1e-30", "1e-18", "1e-17", "0.3", "0.9999", "1", "2"]
    points += ["6.2831850051", "6.2831853", "7"]
    with mp.workdps(50):
        ends = [end for end in (low, high) if mp.isfinite(end)]
        values = [*map(mpf, points), *ends]
        values = [p for p in values if low == TINY or p >= -1]
        found = np.ravel(guarded(loss, {"y_pred": [values], "y_true": [[0.7]]}))
        expected = [extended(f, low, high)(p, mpf(0.7)) for p in values]
        for p, got, wanted in zip(values, found, expected, strict=True):
            # 2*pi is printed as a float.
            assert abs(got - wanted) <= mpf("1e-8") * abs(wanted), (p, got, wanted)
            if "pi" not in formula:
                assert abs(got - wanted) <= mpf("1e-18") * abs(wanted), (p, got, wanted)


def test_epsilon_moves_the_guard_points():
    text = "loss: -log(y_pred)*y_true\ny_pred: probability\nepsilon: 1e-3\n"
    with mp.workdps(50):
        points = [mpf(x) for x in ("-1", "0", "0.0005", "0.001", "0.002", "0.5")]
        got = guarded(resolved(text), {"y_pred": [points], "y_true": [[1]]})
        f = extended(lambda p: -mp.log(p), mpf(0.001), mpf(0.999))
        for a, p in zip(np.ravel(got), points, strict=True):
            assert abs(a - f(p)) < mpf("1e-20")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(-10, 10), st.floats(0, 1))
def test_monotone_and_convex_where_the_formula_is(p, t):
    loss = resolved("loss: -y_true*log(y_pred)\ny_pred: probability\n")
    with mp.workdps(60):
        steps = [mpf(p) + k * mpf("0.01") for k in range(3)]
        a, b, c = np.ravel(guarded(loss, {"y_pred": [steps], "y_true": [[t]]}))
        assert a >= b >= c
        assert a - 2 * b + c >= -(mpf(10) ** -30)


# Reductions ---------------------------------------------------------------------------


def tangent(f, rows, low, high):
    """f at the guarded points plus its derivative along what was cut off."""
    g = [[min(max(p, low), high) for p in row] for row in rows]
    excess = [
        [p - q for p, q in zip(*pair, strict=True)]
        for pair in zip(rows, g, strict=True)
    ]

    def along(t):
        pairs = zip(g, excess, strict=True)
        return f([[q + t * e for q, e in zip(*pair, strict=True)] for pair in pairs])

    step = mpf(10) ** -40
    return f(g) + (along(step) - along(-step)) / (2 * step)


ROWS = [["-0.5", "1e-20", "0.5"], ["0.2", "0.3", "0.25"]]
WEIGHT = "mean(y_true, axis=last)"
REDUCED = [
    ("sum(-log(y_pred), axis=last)", sum),
    ("sqrt(1 + sum(-log(y_pred), axis=last))", lambda s: mp.sqrt(1 + sum(s))),
    ("log(sum(-log(y_pred), axis=last))**2", lambda s: mp.log(sum(s)) ** 2),
    ("norm(log(y_pred), axis=last)", lambda s: mp.sqrt(sum(x * x for x in s))),
]


@pytest.mark.parametrize(("formula", "outer"), REDUCED, ids=[r[0] for r in REDUCED])
def test_reductions(formula, outer):
    loss = resolved(f"loss: {formula}*{WEIGHT}\ny_pred: positive\n")
    with mp.workdps(120):
        rows = [[mpf(x) for x in row] for row in ROWS]
        found = guarded(loss, {"y_pred": rows, "y_true": [[1, 1, 1]] * 2})
        for row, got in zip(rows, np.ravel(found), strict=True):
            expected = tangent(
                lambda g: outer([-mp.log(x) for x in g[0]]), [row], TINY, mp.inf
            )
            assert abs(got - expected) < mpf("1e-15") * (1 + abs(expected))


def test_the_whole_batch():
    text = "loss: exp(mean(-log(y_pred)/16, axis=batch))*y_true\ny_pred: positive\n"
    with mp.workdps(120):
        rows = [[mpf("-0.5")], [mpf("0.3")]]
        found = guarded(resolved(text), {"y_pred": rows, "y_true": [[1], [1]]})
        expected = tangent(
            lambda g: mp.exp(-(mp.log(g[0][0]) + mp.log(g[1][0])) / 32),
            rows,
            TINY,
            mp.inf,
        )
        assert abs(found[0, 0] - expected) < mpf("1e-20") * abs(expected)


def test_two_channels_are_continued_each_from_its_own_guard_point():
    text = """\
    loss: log(scale) + (y_true - rate)**2/scale
    y_pred: {channels: {rate: probability, scale: positive}}
    """
    points = [("0.5", "2"), ("-1", "2"), ("0.5", "-1"), ("1.5", "-0.25"), ("0.5", "1")]
    with mp.workdps(120):
        rate, scale = (
            array([[x] for x in column]) for column in zip(*points, strict=True)
        )
        inputs = {"y_pred.rate": rate, "y_pred.scale": scale, "y_true": [[0.25]]}
        found = np.ravel(guarded(resolved(text), inputs))
        for got, (r, s) in zip(found, points, strict=True):
            r, s = mpf(r), mpf(s)
            g, h = min(max(r, TINY), BELOW_ONE), max(s, TINY)
            expected = mp.log(h) + (mpf(0.25) - g) ** 2 / h
            expected += -2 * (mpf(0.25) - g) / h * (r - g)
            expected += (1 / h - (mpf(0.25) - g) ** 2 / h**2) * (s - h)
            assert abs(got - expected) <= mpf("1e-20") * abs(expected)


# Form ---------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["real", "nonnegative", "unit", "'[-1, 3]'"])
def test_closed_and_infinite_ends_have_no_guard(domain):
    loss = resolved(f"loss: (y_pred - y_true)**2\ny_pred: {domain}\n")
    result = guard(loss.expression, loss, set())
    assert result.assignments == ()
    assert result.expression is loss.expression


@pytest.mark.parametrize(
    ("domain", "op"),
    [("positive", "max"), ("probability", "clip"), ("y_pred < 0", "min")],
)
def test_only_open_ends_are_clipped(domain, op):
    loss = resolved(f"loss: y_true/y_pred\ny_pred: {domain}\n")
    first, second = guard(loss.expression, loss, set()).assignments
    assert first.value.op == op
    assert (first.target.name, second.target.name) == ("guarded", "excess")
    assert "linearly" in first.comment


@pytest.mark.parametrize(
    ("formula", "op"), [("log(y_pred)", "max"), ("log(1 - y_pred)", "clip")]
)
def test_upper_end_of_a_simplex_only_where_the_formula_ends_there(formula, op):
    loss = resolved(
        f"loss: -sum(y_true*{formula}, axis=last)\ny_true: one_hot\ny_pred: simplex\n"
    )
    first, _ = guard(loss.expression, loss, set()).assignments
    assert first.value.op == op


def test_linear_parts_go_inside_of_linear_reductions():
    """The sum of -y*log(p) takes the linear part as one of its terms."""
    loss = resolved(
        "loss: -sum(y_true*log(y_pred), axis=last)\ny_true: one_hot\ny_pred: simplex\n"
    )
    expr = guard(loss.expression, loss, set()).expression
    sums = [node for node in walk(expr) if getattr(node, "op", None) == "sum"]
    assert len(sums) == 1


@pytest.mark.parametrize(
    "formula",
    ["y_true/y_pred", "y_true*log(y_pred)**2/(1 + y_pred)", "a*y_true/y_pred**a"],
)
def test_slopes_are_constants_of_the_prediction(formula):
    params = (
        "params: {a: {default: 2.0, domain: positive}}\n" if "a*" in formula else ""
    )
    loss = resolved(f"loss: {formula}\ny_pred: positive\n{params}")
    expr = guard(loss.expression, loss, set()).expression
    stops = [node for node in walk(expr) if getattr(node, "op", "") == "stop_gradient"]
    moving = substitute(expr, dict.fromkeys(stops, ONE))
    (linear,) = [term for term in moving.args if "excess" in _names(term)]
    assert "guarded" not in _names(linear)
    assert "guarded" in _names(expr)


def _names(expr):
    return {symbol.name for symbol in symbols(expr)}


def test_blocks_hold_the_guard():
    program = lowered("loss: -log(y_pred)*y_true\ny_pred: probability\n")
    with mp.workdps(50):
        inputs = {"y_pred": array([[-1, 0.5]]), "y_true": array([[1, 1]])}
        loss = program.checked.loss
        low, high = np.ravel(run_block(program.body, loss, inputs))
        assert abs(low - (-mp.log(TINY) + (1 + TINY) / TINY)) < mpf("1e-20") * low
        assert abs(high - mp.log(2)) < mpf("1e-20")
