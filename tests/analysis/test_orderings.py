"""Assumed orders of inputs are met by construction."""

import numpy as np
import pytest
from losses import resolved

from lossgen.analysis.orderings import ordered
from lossgen.analysis.samples import distant, generic, special

BOXES = """\
loss: abs(u1 - x1) + abs(u2 - x2) + abs(v - x2)
y_true: {channels: {x1: real, x2: real}}
y_pred: {channels: {u1: real, u2: real, v: real}}
"""


def boxes(*assume):
    return resolved(f"{BOXES}assume: [{', '.join(assume)}]\n")


@pytest.mark.parametrize("draw", [generic, special, distant])
def test_every_point_is_one(draw):
    loss = boxes("x2 > x1", "u2 > u1 and v > u2")
    sample = draw(loss, last=1, rows=30)
    assert sample.rows == 30
    values = sample.environment
    assert (values["y_true.x2"] > values["y_true.x1"]).all()
    assert (values["y_pred.v"] > values["y_pred.u2"]).all()
    assert (values["y_pred.u2"] > values["y_pred.u1"]).all()


def test_values_are_exchanged_and_ties_moved_apart():
    loss = boxes("x2 > x1", "u1 < u2")
    given = {
        "y_true.x1": np.array([3.0, 1.0, 2.0]),
        "y_true.x2": np.array([2.0, 4.0, 2.0]),
        "y_pred.u1": np.array([0.0]),
        "y_pred.u2": np.array([5.0]),
        "y_pred.v": np.array([-9.0]),
    }
    found = ordered(loss, given)
    assert found["y_true.x1"].tolist() == [2, 1, 2]
    assert found["y_true.x2"].tolist() == [3, 4, 3]
    assert found["y_pred.v"].tolist() == [-9]


def test_a_circle_and_other_conditions_are_left_to_rejection():
    given = {"y_true.x1": np.array([3.0]), "y_true.x2": np.array([2.0])}
    for condition in (["x1 > x2", "x2 > x1"], ["x2 > 2*x1"], ["x2 > 3"]):
        assert ordered(boxes(*condition), given)["y_true.x1"].tolist() == [3]


def test_what_few_points_satisfy_is_drawn_more_often():
    loss = boxes("x2 > x1 + 4")  # one point in eighteen
    sample = generic(loss, last=1, rows=20)
    assert sample.rows > 10
