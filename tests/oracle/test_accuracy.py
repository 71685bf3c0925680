import numpy as np
import pytest
from losses import A, P, T, call, resolved
from mpmath import mp, mpf

from lossgen.calculus.jets import Jet
from lossgen.ir.accuracy import worst
from lossgen.ir.expr import Axis
from lossgen.oracle.accuracy import Measured, accuracy_at, errors_of, points_of
from lossgen.oracle.evaluation import Formula
from lossgen.oracle.exact import Exact, exact, settled
from lossgen.oracle.float_formats import FLOAT16, FLOAT32, FLOAT64
from lossgen.oracle.points import batches
from lossgen.oracle.samples import Batch
from lossgen.transform.stabilize import stabilizer

UNIT = 2.0**-23


@pytest.mark.parametrize(
    ("like", "dtype"),
    [(FLOAT16, np.float16), (FLOAT32, np.float32), (FLOAT64, np.float64)],
)
def test_formats_are_those_of_numpy(like, dtype):
    assert like.unit == np.finfo(dtype).eps
    assert like.tiny == np.finfo(dtype).tiny
    assert float(like.huge * (1 - like.unit / 2)) == np.finfo(dtype).max


@pytest.mark.parametrize(
    ("like", "dtype"), [(FLOAT32, np.float32), (FLOAT64, np.float64)]
)
def test_numbers_are_rounded_as_the_hardware_does(like, dtype):
    assert like.unit == np.finfo(dtype).eps
    assert like.tiny == np.finfo(dtype).tiny
    generator = np.random.default_rng(0)
    for size in 10.0 ** generator.uniform(-30, 30, 300):
        with mp.workdps(50):
            third = mpf(size) / 3
        assert float(like("div", third)) == float(dtype(size) / dtype(3)) or (
            like is FLOAT32 and float(like("div", third)) == float(dtype(size / 3))
        )


def test_what_overflows_is_infinite_and_subnormal_numbers_are_0():
    assert FLOAT32("mul", mpf(2) ** 128) == mp.inf
    assert FLOAT32("mul", -(mpf(2) ** 128)) == -mp.inf
    assert FLOAT32("mul", mpf(2) ** 128 * (1 - mpf(2) ** -24)) < mp.inf
    assert FLOAT32("mul", mpf(2) ** -127) == 0
    assert FLOAT32("mul", mpf(2) ** -126) == mpf(2) ** -126
    assert mp.isnan(FLOAT32("mul", mp.nan))
    assert FLOAT32("mul", Jet([mpf(2) ** 130, mpf(0)])).coefficients == (mp.inf, 0)


def errors(result, exact, condition=0.0, *, high=None):
    """The error of one result, as a value and as a gradient."""
    arrays = [np.array([mpf(x)], object) for x in (exact, exact, high or exact)]
    conditions = [np.array([mpf(condition)], object)] * 2
    reference = Exact(Batch({"y_pred": np.zeros((1, 1))}, {}), *arrays, *conditions)
    found = np.array([result])
    return errors_of((found, found), reference, FLOAT32)


@pytest.mark.parametrize(
    ("result", "exact", "condition", "expected"),
    [
        (1 + UNIT, 1.0, 0, 1.0),
        (1.5 + UNIT, 1.5, 0, 1.0),  # one ulp is the same from 1 to 2
        (2 + 2 * UNIT, 2.0, 0, 1.0),
        (1 + 3 * UNIT, 1.0, 0, 3.0),
        (1 + 3 * UNIT, 1.0, 2, 1.0),  # what the inputs' rounding excuses
        (1e-39, 3e-38, 0, (3e-38 - 1e-39) / (2.0**-125 * UNIT)),
    ],
)
def test_errors_are_in_ulps(result, exact, condition, expected):
    for found in errors(result, exact, condition):
        assert found.largest == pytest.approx(expected)
        assert found.wrong == 0


@pytest.mark.parametrize(
    ("result", "exact", "condition", "wrong"),
    [
        (np.nan, 1.0, 0, True),
        (np.inf, 1.0, 0, True),
        (np.nan, 1e60, 0, True),
        (-np.inf, 1e60, 0, True),
        (np.inf, 1e60, 0, False),
        (0.0, 1.0, 0, True),
        (0.0, 1e-30, 1.0, False),  # lost in the inputs' rounding
        (0.0, 1e-38, 0, False),  # flushed
        (0.0, 0.0, 0, False),
    ],
)
def test_wrong_infinities_and_zeros(result, exact, condition, wrong):
    for found in errors(result, exact, condition):
        assert found.wrong == wrong


def test_at_a_kink_all_between_the_slopes_is_right():
    _, gradient = errors(0.25, -1.0, high=1.0)
    assert gradient.largest == 0
    _, gradient = errors(1 + UNIT, -1.0, high=1.0)
    assert gradient.largest == pytest.approx(1.0)


def test_forms_are_measured():
    """1 + 1e-9 is 1 in float32, and its logarithm 0; log1p keeps the digits."""
    loss = resolved("loss: log(1 + a*square(y_pred - y_true))\nparams: {a: 1.0}")
    measure = Measured(loss, logits=False)
    inner = call("mul", A, call("square", call("add", P, call("neg", T))))
    poor = measure(call("log", call("add", 1, inner)))
    good = measure(call("log1p", inner))
    assert poor.value > 1e5
    assert poor.wrong
    assert good.value < 1.5
    assert good.beats(poor)
    assert not poor.beats(good)


def test_overflow_is_wrong_only_where_the_exact_value_does_not():
    loss = resolved("loss: square(y_pred) + y_true**2")
    measure = Measured(loss, logits=False)
    root = call("sqrt", call("add", call("pow", P, 4), call("pow", T, 4)))
    assert measure(call("add", call("square", P), call("square", T))).wrong == 0
    assert measure(root).wrong > 0  # the fourth power of 1e18 is infinite


BOUNDED = [
    # Good in plain ulps, as squares of differences are.
    ("loss: square(y_pred - y_true)", call("square", call("add", P, call("neg", T)))),
    # The gradient, sigmoid(p) - y, is good for what a rounding of p makes of it.
    (
        "loss: softplus(y_pred) - y_true*y_pred\ny_true: unit",
        call("add", call("softplus", P), call("neg", call("mul", T, P))),
    ),
    # Poor whatever the condition, and zero where it should not be.
    (
        "loss: log1p(square(y_pred - y_true))",
        call("log", call("add", 1, call("square", call("add", P, call("neg", T))))),
    ),
    # Samples that depend on one another are measured together.
    (
        "loss: square(mean(y_pred, axis=batch)) + square(y_true)",
        call(
            "add",
            call("square", call("mean", P, axis=Axis.BATCH)),
            call("square", T),
        ),
    ),
]


@pytest.mark.parametrize(("spec", "form"), BOUNDED, ids=range(len(BOUNDED)))
def test_bounds_give_the_same_verdict(spec, form):
    loss = resolved(spec)
    found = Measured(loss, logits=False)(form)
    bound = Measured(loss, logits=False, bounds=True)(form)
    assert bound.good == found.good
    assert bound.value >= found.value
    assert bound.gradient >= found.gradient
    if not found.good:
        assert bound == found


@pytest.mark.parametrize(("spec", "form"), BOUNDED, ids=range(len(BOUNDED)))
def test_what_is_measured_is_the_worst_with_conditions_everywhere(spec, form):
    """Conditions are computed at some samples, and the others have no larger errors."""
    loss = resolved(spec)
    formula, rewritten = Formula(loss, loss.expression), Formula(loss, form)
    everywhere = (
        accuracy_at(rewritten, point)
        for batch in batches(loss, 60, "float32", logits=False)
        for point in points_of(exact(formula, batch, FLOAT32.unit), rewritten)
    )
    assert Measured(loss, logits=False)(form) == worst(everywhere)


def test_the_logarithm_of_a_quotient_does_not_overflow():
    loss = resolved("loss: log(y_true/y_pred)**2\ny_true: positive\ny_pred: positive")
    measure = Measured(loss, logits=False)
    assert measure(loss.expression).wrong > 10
    assert measure(stabilizer(loss, {})(loss.expression)).good


def test_conditions_are_counted_in_bounds():
    spec, form = BOUNDED[1]
    loss = resolved(spec)
    formula = Formula(loss, loss.expression)
    (batch,) = batches(loss, 60, "float32", logits=False)
    plain = [accuracy_at(formula, part.plain) for part in settled(formula, batch)]
    assert not worst(plain).good
    assert Measured(loss, logits=False, bounds=True)(form).good


def test_after_a_form_that_is_not_good_all_is_exact():
    loss = resolved("loss: log1p(square(y_pred - y_true))")
    square = call("square", call("add", P, call("neg", T)))
    poor, good = call("log", call("add", 1, square)), call("log1p", square)
    bounded, exactly = (Measured(loss, logits=False, bounds=b) for b in (True, False))
    assert bounded(good).good
    assert [bounded(poor), bounded(good)] == [exactly(poor), exactly(good)]
