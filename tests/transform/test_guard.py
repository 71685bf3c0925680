"""Exact inside the guard points; beyond them the value of the guard point."""

import math

import numpy as np
import pytest
from losses import lowered, resolved
from mpmath import mp, mpf
from standin import array, run, run_block

from lossgen.backend.printer import Printer
from lossgen.ir.expr import ZERO
from lossgen.ir.local_names import channel_names
from lossgen.transform.guard import guarded, guards

TINY = mpf(1e-18)  # as it stands in the source
BELOW_ONE = mpf(1) - mpf(2) ** -24
BELOW_TAU = mpf(float(np.nextafter(np.float32(2 * math.pi), np.float32(0))))


def value(loss, inputs):
    """The guarded loss at inputs by full name."""
    result = guarded(loss.expression, loss, guards(loss, loss.expression))
    names = channel_names(loss)
    known = {names[name]: array(x) for name, x in inputs.items()}
    for item in result.assignments:
        known[item.target.name] = run(Printer(names).source(item.value), known)
    return run(Printer(names).source(result.expression), known)


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
        found = np.ravel(value(loss, {"y_pred": [values], "y_true": [[0.7]]}))
        expected = [f(min(max(p, low), high), mpf(0.7)) for p in values]
        for p, got, wanted in zip(values, found, expected, strict=True):
            # 2*pi is printed as a float.
            assert abs(got - wanted) <= mpf("1e-8") * abs(wanted), (p, got, wanted)
            if "pi" not in formula:
                assert abs(got - wanted) <= mpf("1e-18") * abs(wanted), (p, got, wanted)


def test_epsilon_moves_the_guard_points():
    text = "loss: -log(y_pred)*y_true\ny_pred: probability\nepsilon: 1e-3\n"
    with mp.workdps(50):
        points = [mpf(x) for x in ("-1", "0", "0.0005", "0.001", "0.002", "0.5", "1")]
        got = value(resolved(text), {"y_pred": [points], "y_true": [[1]]})
        for a, p in zip(np.ravel(got), points, strict=True):
            assert abs(a + mp.log(max(p, mpf(0.001)))) < mpf("1e-20")


def test_reductions_see_what_is_held():
    loss = resolved(
        "loss: log(sum(-log(y_pred)*y_true, axis=last))\ny_pred: positive\n"
    )
    with mp.workdps(50):
        (got,) = np.ravel(
            value(loss, {"y_pred": [["-0.5", "1e-20", "0.5"]], "y_true": [[1, 2, 3]]})
        )
        expected = mp.log(-3 * mp.log(TINY) - 3 * mp.log(mpf("0.5")))
        assert abs(got - expected) < mpf("1e-20")


def test_two_channels_are_held_each_at_its_own_guard_points():
    text = """\
    loss: log(scale) + (y_true - rate)**2/(1 - rate)
    y_pred: {channels: {rate: probability, scale: positive}}
    """
    points = [("0.5", "2"), ("-1", "2"), ("0.5", "-1"), ("1.5", "-0.25"), ("0.5", "1")]
    with mp.workdps(50):
        rate, scale = (
            array([[x] for x in column]) for column in zip(*points, strict=True)
        )
        inputs = {"y_pred.rate": rate, "y_pred.scale": scale, "y_true": [[0.25]]}
        found = np.ravel(value(resolved(text), inputs))
        for got, (r, s) in zip(found, points, strict=True):
            g, h = min(mpf(r), BELOW_ONE), max(mpf(s), TINY)
            expected = mp.log(h) + (mpf(0.25) - g) ** 2 / (1 - g)
            assert abs(got - expected) <= mpf("1e-20") * abs(expected)


# Form ---------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["real", "nonnegative", "unit", "'[-1, 3]'"])
def test_closed_and_infinite_ends_have_no_guard(domain):
    loss = resolved(f"loss: (y_pred - y_true)**2\ny_pred: {domain}\n")
    result = guarded(loss.expression, loss, guards(loss, loss.expression))
    assert result.assignments == ()
    assert result.expression == loss.expression


@pytest.mark.parametrize(
    ("domain", "source"),
    [
        ("positive", "tf.maximum(y_pred, 1e-18)"),
        (
            "probability",
            "tf.clip_by_value(y_pred, 1e-18, _below(1, y_pred.dtype))",
        ),
        ("y_pred < 0", "tf.minimum(y_pred, -1e-18)"),
    ],
)
def test_only_open_ends_are_clipped_and_gradients_pass_through(domain, source):
    loss = resolved(f"loss: y_true*log(abs(y_pred*(1 - y_pred)))\ny_pred: {domain}\n")
    (held,) = guarded(loss.expression, loss, guards(loss, loss.expression)).assignments
    assert held.target.name == "y_pred"
    printed = Printer({}).source(held.value)
    assert printed == f"tf.grad_pass_through(lambda y_pred: {source})(y_pred)"


GAP = "(y_pred - y_true)**2"
AT_ENDS = [
    # formula, y_pred, the ends at which predictions are held, None for those that are
    # defined there and beyond; a dash where they are held inside
    (GAP, "probability", (None, None)),
    ("y_pred**2.5 - y_true", "positive", (0.0, None)),
    ("(y_true - y_pred)**2/y_pred", "y_pred > 1", (1.0, None)),
    ("lgamma(y_pred) - y_true*y_pred", "y_pred > 1", (1.0, None)),
    ("sqrt(y_pred) - y_true", "positive", ("-", None)),
    ("y_true*log(1 - y_pred**2)", "(-1, 1)", ("-", "-")),
    ("log(1 - y_true*y_pred)", "(-1, 1)", (None, "-")),
    ("log(2 - y_true*y_pred)", "(-1, 1)", (None, 1.0)),
    # Logarithms of both: neither alone comes near 0, together they would.
    (f"log({GAP} + 1 + y_pred)", "y_pred > -1", ("-", None)),
    ("sum((cumsum(y_true - y_pred, axis=last))**2, axis=last)", "simplex", (None,) * 2),
    (
        "1 - (sum(y_true*y_pred, axis=last) + 1)/(sum(y_true + y_pred, axis=last) + 1)",
        "probability",
        (0.0, None),
    ),
]


@pytest.mark.parametrize(("formula", "domain", "ends"), AT_ENDS)
def test_a_guard_only_where_it_has_to_be(formula, domain, ends):
    target = "simplex" if domain == "simplex" else "unit"
    loss = resolved(f'loss: {formula}\ny_true: {target}\ny_pred: "{domain}"\n')
    bounds = loss.variable("y_pred").domain
    found = guards(loss, loss.expression)
    points = (found[0].low, found[0].high) if found else (None, None)
    for point, bound, expected in zip(
        points, (bounds.lower, bounds.upper), ends, strict=True
    ):
        if expected is None:
            assert point is None
        elif expected == "-":
            assert point not in (None, bound.value)
        else:
            assert point == bound.value
            assert bound.approx == expected


def test_what_is_assumed_of_a_prediction_ends_with_its_domain():
    text = "loss: -log(3 - y_pred)*y_true\ny_pred: y_pred < 3\nassume: 3 - y_pred > 0\n"
    loss = resolved(text)
    (guard,) = guards(loss, loss.expression)
    assert guard.high not in (None, loss.variable("y_pred").domain.upper.value)


def test_ends_are_closed_together():
    """Closed alone, each of two would do without; 1/(a + b) needs one of them."""
    loss = resolved(
        "loss: y_true/(a + b)\ny_pred: {channels: {a: positive, b: positive}}\n"
    )
    first, second = guards(loss, loss.expression)
    assert first.low == ZERO
    assert second.low not in (None, ZERO)


@pytest.mark.parametrize(
    ("formula", "high"), [("log(y_pred)", False), ("log(1 - y_pred)", True)]
)
def test_upper_end_of_a_simplex_only_where_the_formula_ends_there(formula, high):
    loss = resolved(
        f"loss: -sum(y_true*{formula}, axis=last)\ny_true: one_hot\ny_pred: simplex\n"
    )
    (guard,) = guards(loss, loss.expression)
    assert (guard.high is not None) is high


def test_blocks_hold_the_guard():
    program = lowered("loss: -log(y_pred)*y_true\ny_pred: probability\n")
    with mp.workdps(50):
        inputs = {"y_pred": array([[-1, 0.5]]), "y_true": array([[1, 1]])}
        loss = program.checked.loss
        low, high = np.ravel(run_block(program.body, loss, inputs))
        assert abs(low + mp.log(TINY)) < mpf("1e-20") * low
        assert abs(high - mp.log(2)) < mpf("1e-20")
