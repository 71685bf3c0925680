"""The probe contradicts what is wrong, and nothing else."""

import re

import pytest
from lines import ContradictionError, probe
from writing import write

from lossgen.ir.loss import Certificate, Kink, Smoothness

SMOOTH, C1, CONTINUOUS = Smoothness.SMOOTH, Smoothness.C1, Smoothness.CONTINUOUS


def probed(formula, smoothness, *kinks, y_pred="[-1, 2]"):
    keys = {
        "loss": formula,
        "where": {"d": "y_pred - y_true"} if "d" in re.findall(r"\w+", formula) else {},
        "y_true": "unit",
        "y_pred": y_pred,
        "params": {},
    }
    loss = write(**keys)
    found = tuple(Kink(*kink, 1, loss.expression) for kink in kinks)
    for seed in range(5):
        probe(loss, keys, Certificate(smoothness, found, (), (), ()), seed)


@pytest.mark.parametrize(
    ("formula", "smoothness", "kinks", "fault"),
    [
        ("where(d > 0, d, d + 0.001)", CONTINUOUS, [], "jump"),
        ("where(d <= 0 and d >= 0, 1, d*d)", CONTINUOUS, [], "isolated"),
        ("abs(d)", CONTINUOUS, [], "undeclared"),
        ("abs(d)", SMOOTH, [], "break of order 1"),
        ("d*abs(d)", SMOOTH, [], "break of order 2"),
        ("abs(d)", CONTINUOUS, [("y_pred = y_true", "-2", "1")], "left"),
        ("abs(d)", CONTINUOUS, [("y_pred = y_true", "-1", "1.5")], "right"),
        ("log(y_pred) + y_true", SMOOTH, [], "undefined"),
        ("where(y_pred >= 2, 5, d)", SMOOTH, [], "end"),
        ("where(y_pred > -1, d, 5)", SMOOTH, [], "end"),
    ],
)
def test_what_is_wrong_is_contradicted(formula, smoothness, kinks, fault):
    with pytest.raises(ContradictionError) as found:
        probed(formula, smoothness, *kinks)
    assert found.value.args[0] == fault


@pytest.mark.parametrize(
    ("formula", "smoothness", "kinks"),
    [
        ("square(d)", SMOOTH, []),
        ("d*abs(d)", C1, []),
        ("abs(d)", CONTINUOUS, [("y_pred = y_true", "-1", "1")]),
        ("y_true + (y_pred - 1.5)*exp(88)", SMOOTH, []),  # 1e38 a unit: steep
        ("y_true + (2 - y_pred)*exp(88)", SMOOTH, []),  # at the end, too
    ],
)
def test_what_is_right_stands(formula, smoothness, kinks):
    probed(formula, smoothness, *kinks)
