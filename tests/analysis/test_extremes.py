"""Bounds by branch and bound, against extremes in closed form."""

import pytest
from mpmath import mp
from writing import write

from lossgen.analysis.extremes import largest_size
from lossgen.analysis.ranges import Ranges
from lossgen.ir.expr import symbols

LARGEST = {
    ("y_pred*exp(-y_pred**2)", "real"): mp.exp(-0.5) / mp.sqrt(2),
    ("y_pred*exp(-y_pred)", "nonnegative"): mp.exp(-1),
    ("y_pred*(1 - y_pred**2)**2 if abs(y_pred) <= 1 else 0", "real"): (
        16 / (25 * mp.sqrt(5))
    ),
    ("2*y_pred/(1 + y_pred**2)**2", "real"): 9 / (8 * mp.sqrt(3)),
    ("exp(y_pred)/(1 + exp(y_pred))**2", "real"): 0.25,
    ("4*sigmoid(2*y_pred)**2*(1 - sigmoid(2*y_pred))", "real"): mp.mpf(16) / 27,
    ("y_pred*log(y_pred)", "probability"): mp.exp(-1),  # to 0 at both ends
    ("1 if y_pred > 2 else -y_pred/3", "[-1, 4]"): 1,
    ("5 if abs(y_pred) <= 0 else sin(y_pred)", "[-1, 1]"): 5,
}


def largest(formula, domain):
    loss = write(formula, "unused", domain)
    (symbol,) = symbols(loss.expression)
    ranges = Ranges.of_loss(loss)
    return largest_size(loss.expression, symbol, ranges.of(symbol), ranges)


@pytest.mark.parametrize(("formula", "domain"), list(LARGEST))
def test_bounds_are_above_the_extreme_and_close(formula, domain):
    exact = float(LARGEST[formula, domain])
    bound = float(largest(formula, domain))
    assert exact <= bound <= exact * 1.001


@pytest.mark.parametrize(
    ("formula", "domain"),
    [
        ("log(y_pred)", "probability"),  # monotone, and infinite at the open end
        ("y_pred/y_pred**2", "positive"),  # 0 times infinity at 0, by its parts
        ("y_pred*exp(-y_pred)", "real"),
        ("exp(y_pred)", "real"),
    ],
)
def test_what_has_no_bound_gets_none(formula, domain):
    assert largest(formula, domain) is None
