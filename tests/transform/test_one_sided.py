"""The least slope at a kink as a formula, against formulas worked out by hand."""

from fractions import Fraction

import pytest
from losses import P, T, resolved

from lossgen.analysis.ranges import Ranges
from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import ONE, ZERO, div, mul, number, symbols, walk
from lossgen.transform.one_sided import least_slope

NUMBERS = [Fraction(k, 4) for k in range(-12, 13) if k]


def middle(*slopes):
    """The number between two slopes that is closest to 0."""
    return sorted([*slopes, 0])[1]


def slope_of(formula, root):
    """The least slope of a formula where y_pred is ``root``."""
    loss = resolved(f"loss: {formula}")
    found = least_slope(loss.expression, P, root, Ranges.of_loss(loss))
    assert found is None or P not in symbols(found)
    return found


# The formula, where it has a kink, and the two slopes for a y_true.
KINKS = {
    "tilted": (
        "abs(y_pred - y_true) + y_true*(y_pred - y_true)",
        T,
        lambda y: (y - 1, y + 1),
    ),
    "mirrored": (
        "y_true*y_pred - abs(2*y_true - y_pred)",
        mul(number(2), T),
        lambda y: (y + 1, y - 1),
    ),
    "sign of the data": (
        "abs(y_true*(y_pred - 1)) + y_pred",
        ONE,
        lambda y: (1 - abs(y), 1 + abs(y)),
    ),
    "rectified": (
        "relu(y_pred - y_true) - y_true*y_pred",
        T,
        lambda y: (-y, 1 - y),
    ),
    "extremes": (
        "max(y_pred, y_true) + min(y_pred, 3*y_pred - 2*y_true) - y_true**2*y_pred",
        T,
        lambda y: (3 - y * y, 2 - y * y),
    ),
    "clipped": (
        "y_true*clip(y_pred, -1, 1) + y_pred",
        number(-1),
        lambda y: (1, 1 + y),
    ),
    "branches": (
        "where(y_pred <= y_true and y_true > 1, y_true**2, y_pred*y_true)",
        T,
        lambda y: (0, y) if y > 1 else (y, y),
    ),
    "inside another": (
        "abs(y_pred + abs(y_pred)) + y_true*y_pred",
        ZERO,
        lambda y: (y, y + 2),
    ),
    "at a quotient": (
        "relu(1 - y_true*y_pred) + 2*y_pred",
        div(ONE, T),
        lambda y: (2 - y, 2) if y > 0 else (2, 2 - y),
    ),
    "choice of the data": (
        "where(y_true > 0, 2, 1)*abs(y_pred) + y_true*y_pred",
        ZERO,
        lambda y: (y - 2, y + 2) if y > 0 else (y - 1, y + 1),
    ),
}


@pytest.mark.parametrize("name", KINKS)
def test_the_least_of_two_slopes(name):
    formula, root, slopes = KINKS[name]
    found = slope_of(formula, root)
    for y in NUMBERS:
        (value,) = evaluate(found, {"y_true": y}).flat
        assert float(value) == float(middle(*slopes(y))), (y, spell(found))


def test_it_is_as_short_as_one_would_write_it():
    # The slopes are 1 - abs(y_true) and 1 + abs(y_true): the second is never less.
    found = slope_of("abs(y_true*(y_pred - 1)) + y_pred", ONE)
    assert spell(found) == "relu(1 - abs(y_true))"


def test_what_cannot_be_is_no_case():
    # y_true > 0 and -y_true > 0 decide the two slopes 2 - y_true and 2.
    found = slope_of("relu(1 - y_true*y_pred) + 2*y_pred", div(ONE, T))
    wheres = [node for node in walk(found) if getattr(node, "op", "") == "where"]
    assert len(wheres) == 1, spell(found)


def test_a_number_is_a_number():
    found = slope_of("y_true + where(y_pred > 1, 3*y_pred, 2*y_pred + 1)", ONE)
    assert found == number(2)


def test_what_a_spec_cannot_call_is_no_formula():
    formula = "abs(y_pred - y_true) + i0e(y_pred)"
    assert slope_of(formula, T) is None


def test_many_cases_are_no_formula():
    cases = " + ".join(f"where(y_true > {k}, 2, 1)" for k in range(4))
    assert slope_of(f"({cases})*abs(y_pred) + y_pred", ZERO) is None
