"""Points on kinks: exact in float32, with slopes worked out by hand."""

from fractions import Fraction

import pytest
from losses import resolved

from lossgen.oracle.kinks import beside_kinks, points_on_kinks

PINBALL = """\
loss: max(level*d, (level - 1)*d)
where: {d: y_true - y_pred}
params: {level: {default: 0.3, domain: "(0, 1)"}}
"""
BESIDE_A_TUBE = """\
loss: relu(abs(d) - width) + d/4
where: {d: y_pred - y_true}
params: {width: {default: 0.3, domain: positive}}
"""
SCALED = """\
loss: abs(centre - y_true)/scale + log(scale)
y_pred: {channels: {scale: positive, centre: real}}
"""


JOINT = """\
loss: relu(d) - relu(-d)
where: {d: y_pred - y_true}
"""
LEANING = """\
loss: 3*abs(d) + 2*relu(d) + d
where: {d: y_pred - y_true}
"""


def found(text):
    return tuple(point.row for point in points_on_kinks(resolved(text)))


def is_short(value):
    return (Fraction(value) * 1024).denominator == 1


@pytest.mark.parametrize("text", [PINBALL, BESIDE_A_TUBE, SCALED])
def test_numbers_are_short(text):
    rows = found(text)
    assert rows
    for row in rows:
        numbers = (*row.y_true, *row.y_pred, *row.parameters.values())
        assert all(is_short(item) for item in numbers)


def test_pinball():
    rows = found(PINBALL)
    assert len(rows) == 2
    for row in rows:
        assert row.y_true == row.y_pred
        level = row.parameters["level"]
        assert (row.low, row.high) == pytest.approx((-level, 1 - level))


def test_both_ends_of_a_tube():
    rows = found(BESIDE_A_TUBE)
    slopes = {row.y_pred[0] - row.y_true[0] > 0: (row.low, row.high) for row in rows}
    # The line adds 1/4 to the slopes 0 and 1, and to -1 and 0.
    assert slopes == {True: (0.25, 1.25), False: (-0.75, 0.25)}
    for row in rows:
        width = row.parameters["width"]
        assert abs(row.y_pred[0] - row.y_true[0]) == width


def test_the_channel_with_the_kink():
    for row in found(SCALED):
        scale, centre = row.y_pred
        assert row.element == 1
        assert centre == row.y_true[0]
        assert (row.low, row.high) == pytest.approx((-1 / scale, 1 / scale))


def test_pieces_that_meet_smoothly():
    """The rectifiers have slopes 0 and 1 each; the whole is d."""
    assert {(row.low, row.high) for row in found(JOINT)} == {(1, 1)}


def test_each_operation_may_lean_to_either_side():
    """-3 + 0 + 1 and 3 + 2 + 1."""
    assert {(row.low, row.high) for row in found(LEANING)} == {(-2, 6)}


@pytest.mark.parametrize(
    "text",
    [
        "loss: (y_pred - y_true)**2",
        "loss: abs(exp(y_pred) - y_true)",  # the kink is at a rounded logarithm
        "loss: abs(y_pred - mean(y_pred, axis=batch)) + y_true",
    ],
)
def test_no_points(text):
    assert found(text) == ()


def test_points_beside_kinks():
    loss = resolved("loss: abs(y_true - y_pred)\n")
    batch = beside_kinks(loss, tuple(points_on_kinks(loss)))
    gaps = batch.inputs["y_pred"] - batch.inputs["y_true"]
    assert set(gaps.flat) == {-1 / 256, 1 / 256}


def test_elements_that_share_an_extreme_take_parts_of_its_slope():
    # From a negative element and 0 the least relu is 0 whichever of them moves, and
    # TensorFlow gives each a half of what its relu lets through.
    rows = found("loss: min(relu(y_pred), axis=last) + y_pred\ny_true: unused\n")
    shared = [row for row in rows if min(row.y_pred) < 0]
    assert shared
    for row in shared:
        length = len(row.y_pred)
        assert (row.low, row.high) == pytest.approx((1 / length, 1 + 1 / length))


def test_beside_an_extreme_that_is_not_shared_pieces_meet_smoothly():
    rows = found(f"{JOINT}".replace("relu(-d)", "relu(-d) + max(y_pred, axis=last)"))
    assert rows
    for row in rows:
        assert len(set(row.y_pred)) == len(row.y_pred)
        assert row.low == row.high
