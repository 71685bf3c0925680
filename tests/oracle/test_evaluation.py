"""Several batches of one loss evaluated in one go."""

import math

import numpy as np
import pytest
from losses import resolved

from lossgen.oracle.evaluation import Formula
from lossgen.oracle.samples import Batch


def batch(y_true, y_pred, **parameters):
    inputs = {"y_true": np.array(y_true), "y_pred": np.array(y_pred)}
    return Batch(inputs, {name: np.array(x) for name, x in parameters.items()})


def formula(text):
    loss = resolved(text)
    return Formula(loss, loss.expression)


def test_a_batch_without_a_value_leaves_the_others_alone():
    """Of y_true*log(y_pred), at two samples a batch: 0.5 on one side, -1 has none."""
    predictions = [[0.5], [0.25]], [[0.5], [-1.0]], [[2.0], [4.0]], [[8.0], [0.125]]
    batches = [batch([[1.0], [3.0]], item) for item in predictions]
    found = formula("loss: y_true*log(y_pred)").where_defined(batches, 40)
    assert found[1] is None
    for item, result in zip(predictions, found, strict=True):
        if result is not None:
            for row, weight in enumerate((1, 3)):
                (p,) = item[row]
                assert float(result[0][row]) == pytest.approx(weight * math.log(p))
                assert float(result[1][row, 0]) == pytest.approx(weight / p)
    assert sum(result is not None for result in found) == 3


def test_batches_whose_samples_depend_on_one_another_stay_apart():
    """The mean of each batch of two is its own: ((p1 + p2)/2)**2."""
    batches = [batch([[0.0], [0.0]], item) for item in ([[1.0], [3.0]], [[5.0], [7.0]])]
    found = formula("loss: mean(y_pred, axis=batch)**2 + y_true").where_defined(
        batches, 40
    )
    for result, mean in zip(found, (2, 6), strict=True):
        assert [float(item) for item in result[0]] == [mean**2] * 2
        assert [float(item) for item in result[1].flat] == [2 * mean] * 2


def test_parameters_of_a_sample_stay_with_it():
    """weight*y_pred, with a weight for each element."""
    text = "loss: weight*y_pred + y_true\nparams:\n  weight: {shape: elements}\n"
    batches = [batch([[0.0]], [[2.0]], weight=[[weight]]) for weight in (3.0, 5.0)]
    found = formula(text).where_defined(batches, 40)
    assert [float(result[0][0]) for result in found] == [6, 10]
    assert [float(result[1][0, 0]) for result in found] == [3, 5]


def test_kinks_and_masks_stay_with_their_samples():
    """abs(y_pred - y_true): slope 1 at the kink, 0 where it is dropped."""
    loss = formula("loss: abs(y_pred - y_true)\nmask: y_true > 0\n")
    batches = []
    for predictions in ([[3.0, 1.0], [2.0, 5.0]], [[-4.0, 2.0], [9.0, 1.0]]):
        item = batch([[1.0, 1.0], [-1.0, 2.0]], predictions)
        mask = item.inputs["y_true"] > 0
        batches.append(Batch(item.inputs, item.parameters, mask))
    found = loss.where_defined(batches, 40)
    apart = [loss.evaluated(item, 40) for item in batches]
    gradients = [[[1, 1], [0, 1]], [[-1, 1], [0, -1]]]
    for result, alone, expected in zip(found, apart, gradients, strict=True):
        assert result[1].tolist() == expected
        for one, other in zip(result, alone, strict=True):
            assert one.tolist() == other.tolist()


def test_of_no_batches_there_are_no_results():
    assert formula("loss: y_pred - y_true").where_defined([], 40) == []
