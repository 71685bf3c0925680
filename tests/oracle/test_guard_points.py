"""Guard points against bounds worked out by hand.

Value and slope are to be below 2**128, and so is 2,048 times as much; the other inputs
are at most 1e4 in size.
"""

import pytest
from losses import resolved

from lossgen.diagnostics.diagnostic import Report
from lossgen.oracle.ends import in_float32
from lossgen.oracle.guard_points import settled_guards
from lossgen.transform.guard import guards

HUGE = 2.0**128
SUM = 2.0**11


def found(text, form=None):
    """The points of each guarded prediction, and what was reported."""
    loss, report = resolved(text), Report()
    closest = guards(loss, loss.expression)
    points = settled_guards(loss, loss.expression, closest, report)
    return [
        [in_float32(end) for end in (item.low, item.high) if end is not None]
        for item in points
    ], [item.code.id for item in report]


ROOTS = [
    # -6e4/p**3 and, on the way, 1e4/(p**2)**2.
    ("y_true/y_pred**2", "real", "positive", (1e4 / HUGE) ** (1 / 4)),
    # The slope 1e4/p**2 in a sum.
    ("y_true/y_pred", "real", "positive", (1e4 * SUM / HUGE) ** (1 / 2)),
    # The slope 3*1e12/p**4.
    (
        "(y_true/y_pred)**3",
        "real",
        "positive",
        (3e12 * SUM / HUGE) ** (1 / 4),
    ),
    # A logarithm, whatever its factor.
    ("y_true*log(y_pred)", "real", "positive", 1e-18),
]


@pytest.mark.parametrize(("formula", "y_true", "y_pred", "point"), ROOTS)
def test_at_0(formula, y_true, y_pred, point):
    ((low,),), codes = found(f"loss: {formula}\ny_true: {y_true}\ny_pred: {y_pred}\n")
    assert point * (1 - 1e-6) <= low < point * 1.11  # two digits, rounded up
    assert codes == []


def test_of_a_scale():
    """With r = 2e4: r**2/s**3."""
    channels = "{channels: {m: real, s: positive}}"
    text = f"loss: log(s) + ((y_true - m)/s)**2/2\ny_pred: {channels}\n"
    ((low,),), _ = found(text)
    point = (4e8 * SUM / HUGE) ** (1 / 3)
    assert point <= low < 1.11 * point


@pytest.mark.parametrize(
    ("power", "distance"),
    [
        (1, 2.0**-24),
        (2, 2.0**-24),
        # The slope 8/(1 - p)**9, for y_true = 1.
        (8, (8 * SUM / HUGE) ** (1 / 9)),
    ],
)
def test_below_1(power, distance):
    text = f"loss: (y_true/(1 - y_pred))**{power}\ny_true: unit\ny_pred: probability\n"
    (points,), _ = found(text)
    # Two digits of the distance, and one unit of float32.
    assert distance * (1 - 1e-6) <= 1 - points[-1] <= 1.11 * distance + 2.0**-24


def test_above_an_end_that_is_no_number_of_few_digits():
    text = "loss: y_true/(y_pred - pi)\ny_pred: y_pred > pi\nassume: y_pred - pi > 0\n"
    ((low,),), _ = found(text)
    assert 3.1415926535 < low < 3.1415935


@pytest.mark.parametrize(
    ("formula", "least", "most"),
    [
        # The slope -p/3 is a difference of numbers of the size of 1/p.
        ("sin(y_pred)/y_pred - y_true", 1e-5, 1e-2),
        ("(1 - cos(y_pred))/y_pred**2 - y_true", 1e-3, 0.5),
        # Bounded with a bounded slope, and computed with all digits.
        ("y_true + log(1 + y_pred)*y_pred*log(y_pred)", 1e-18, 1e-17),
    ],
)
def test_near_a_removable_singularity_digits_decide(formula, least, most):
    ((low,),), _ = found(f"loss: {formula}\ny_true: unit\ny_pred: positive\n")
    assert least <= low * 1.01
    assert low <= most


WEIBULL = "log(s) - (k - 1)*log(y_true/s) + (y_true/s)**k - log(k)"


def test_an_order_without_a_bound_is_told():
    channels = "{channels: {k: KIND, s: positive}}"
    text = f"loss: {WEIBULL}\ny_true: positive\ny_pred: {channels}\n"
    (_, (low,)), codes = found(text.replace("KIND", "positive"))
    assert codes == ["LG611"]
    # Of order 3: 3*1e12/s**4.
    point = (3e12 * SUM / HUGE) ** (1 / 4)
    assert point <= low < 1.2 * point
    _, codes = found(text.replace("KIND", '"(0, 4]"'))
    assert codes == []


def test_the_order_of_a_parameter_is_its_default():
    text = (
        "loss: (y_true/y_pred)**k\ny_true: positive\ny_pred: positive\n"
        "params: {k: {default: 2.0, domain: k > 0}}\n"
    )
    ((low,),), codes = found(text)
    assert codes == ["LG611"]
    point = (2e8 * SUM / HUGE) ** (1 / 3)
    assert point <= low < 1.11 * point
    # Of a power without a pole no order does harm.
    text = text.replace("y_true/y_pred", "y_true*y_pred").replace("k > 0", "k > 1")
    assert found(text)[1] == []


@pytest.mark.parametrize("epsilon", ["1.0e-3", "1.0e-8"])
def test_epsilon_is_a_point_of_ones_own(epsilon):
    text = f"loss: y_true*log(1 - y_pred)\ny_pred: probability\nepsilon: {epsilon}\n"
    ((high,),), codes = found(text)
    assert codes == ([] if float(epsilon) > 2**-24 else ["LG612"])
    assert high == pytest.approx(1 - float(epsilon), abs=2**-24)
