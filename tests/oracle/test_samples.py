import random
from fractions import Fraction

import numpy as np
import pytest
from losses import catalogue, resolved

from lossgen.ir.expr import Axis, Role
from lossgen.oracle.samples import (
    Batch,
    axes_of,
    draw,
    ends,
    last_length,
    sample,
    sample_shape,
    together,
)

DOMAINS = [
    *("real", "positive", "nonnegative", "unit", "binary", "sign", "count", "one_hot"),
    *("simplex", "probability", "'[0, 2*pi)'", "'(-3, -2]'", "'{0, 1/2, 7}'"),
    *("y_true > 5", "y_true <= -1", "'[1e-6, 1e-5]'", "'(100, 100.001)'"),
]


def domain(text):
    return resolved(f"loss: y_true*y_pred\ny_true: {text}\n").variable("y_true").domain


def is_float32(array):
    return np.array_equal(np.float64(np.float32(array)), array)


@pytest.mark.parametrize("text", DOMAINS)
def test_numbers_of_a_domain(text):
    found = domain(text)
    array = draw(found, (200, 3), random.Random(1))
    assert is_float32(array)
    assert all(found.contains(value) for value in array.flat)
    if found.along_last_axis:
        assert (array.sum(axis=-1) == 1).all()
    else:
        assert len(set(array.flat)) >= min(len(found.labels) or 9, 9)
    again = draw(found, (200, 3), random.Random(1))
    assert np.array_equal(array, again)
    assert text in ("binary", "sign") or not np.array_equal(
        array, draw(found, (200, 3), random.Random(2))
    )


def test_simplex_in_every_length():
    for length in (2, 3, 10, 30):
        array = draw(domain("simplex"), (50, length), random.Random(length))
        assert (array.sum(axis=-1) == 1).all()
        assert (array > 0).all()


@pytest.mark.parametrize("name", catalogue())
def test_batches_of_the_catalogue(name):
    loss = catalogue()[name]
    for defaults in (True, False):
        batch = sample(loss, 5, 3, defaults=defaults)
        again = sample(loss, 5, 3, defaults=defaults)
        for variable in loss.variables:
            found = {**batch.inputs, **batch.parameters}[variable.name]
            same = {**again.inputs, **again.parameters}[variable.name]
            assert np.array_equal(found, same)
            assert found.shape == sample_shape(loss, variable, 5)
            assert all(variable.domain.contains(value) for value in found.flat)
            if variable.role in (Role.Y_TRUE, Role.Y_PRED):
                assert is_float32(found)


def test_defaults_are_taken_if_asked_for():
    loss = resolved("loss: a*b*y_true*y_pred\nparams: {a: 1.25, b: {domain: unit}}\n")
    assert sample(loss, 2, 1, defaults=True).parameters["a"] == 1.25
    assert sample(loss, 2, 1, defaults=False).parameters["a"] != 1.25
    assert 0 <= sample(loss, 2, 1, defaults=True).parameters["b"] <= 1


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("loss: y_true*y_pred", {"y_true": (4, 1), "y_pred": (4, 1)}),
        ("loss: sum(y_true*y_pred, axis=last)", {"y_true": (4, 3), "y_pred": (4, 3)}),
        (
            "loss: sum(y_true*y_pred, axis=spatial)",
            {"y_true": (4, 2, 2, 1), "y_pred": (4, 2, 2, 1)},
        ),
        (
            "loss: w*v*y_true*y_pred\nparams: {w: {shape: last}, v: {shape: elements}}",
            {"w": (3,), "v": (4, 3), "y_pred": (4, 3)},
        ),
        (
            "loss: sum(a, axis=last)/K + b + y_true\ny_true: {size: 1}\n"
            "y_pred: {channels: {a: {size: K}, b: {size: 1}}}",
            {"y_pred.a": (4, 3), "y_pred.b": (4, 1), "y_true": (4, 1), "K": ()},
        ),
    ],
)
def test_shapes(text, shapes):
    loss = resolved(f"{text}\n")
    batch = sample(loss, 4, 1, defaults=True)
    found = {**batch.inputs, **batch.parameters}
    assert {name: found[name].shape for name in shapes} == shapes


def test_axes_and_last_length():
    loss = resolved("loss: mean(sum(y_true*y_pred, axis=last), axis=batch)\n")
    assert axes_of(loss) == {Axis.LAST, Axis.BATCH}
    assert last_length(loss) == 3
    assert last_length(resolved("loss: y_true*y_pred\n")) == 1


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("real", []),
        ("positive", [0, 0.0625, -0.25]),
        ("nonnegative", [0, 0.0625]),
        ("probability", [0, 0.0625, -0.25, 1, 0.9375, 1.25]),
        ("'[2, 3)'", [2, 2.0625, 3, 2.9375, 3.25]),
        ("simplex", []),
    ],
)
def test_ends(text, points):
    assert list(ends(domain(text), 0.0625)) == points


def test_what_is_taken_apart_can_be_put_together():
    rows = np.arange(6.0).reshape(3, 2)
    parameters = {"each": 10 * rows, "row": np.array([7.0, 8.0]), "one": np.array(2.0)}
    batch = Batch({"y_pred": rows, "y_true": -rows}, parameters, rows > 2)
    found = together([batch.only(rows[:, 0] < 3), batch.only(rows[:, 0] > 3)])
    for then, now in ((found.inputs, batch.inputs), (found.parameters, parameters)):
        assert then.keys() == now.keys()
        assert all(np.array_equal(then[name], now[name]) for name in now)
    np.testing.assert_array_equal(found.mask, batch.mask)


def test_a_part_without_a_mask_keeps_all():
    rows = np.arange(4.0).reshape(2, 2)
    mask = np.array([[True, False], [False, True]])
    found = together([Batch({"y_pred": rows}, {}), Batch({"y_pred": rows}, {}, mask)])
    assert np.array_equal(found.mask, [[True, True], [True, True], *mask])


def test_ends_are_float32():
    assert all(
        Fraction(p) == Fraction(float(np.float32(p)))
        for p in ends(domain("'(0.1, 2*pi)'"), 1e-6)
    )
