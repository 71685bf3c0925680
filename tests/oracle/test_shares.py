"""Components of a mixture that weigh alike, by arithmetic on the samples found."""

import numpy as np
import pytest
from losses import resolved

from lossgen.oracle.points import batches
from lossgen.oracle.samples import Batch
from lossgen.oracle.shares import evenly_shared

MIXTURE = """\
loss: -logsumexp(log_softmax(logit, axis=last) - z**2/2, axis=last)
where: {z: y_true - mean}
y_true: {size: 1}
y_pred: {channels: {logit: {size: 3}, mean: {size: 3}}}
"""


def drawn(loss):
    (batch,) = batches(
        loss,
        60,
        "float32",
        logits=False,
        sizes=(("y_true", 100.0), ("y_pred.logit", 100.0), ("y_pred.mean", 100.0)),
    )
    return batch


def test_components_weigh_alike_though_they_are_far_apart():
    loss = resolved(MIXTURE)
    batch = drawn(loss)
    shared = evenly_shared(loss, batch, 5)
    assert 5 <= shared.rows < 10
    logit, mean = shared.inputs["y_pred.logit"], shared.inputs["y_pred.mean"]
    squares = (shared.inputs["y_true"] - mean) ** 2 / 2
    assert (np.ptp(logit - squares, axis=-1) <= 1).all()
    assert (np.ptp(squares, axis=-1) > 300).all()
    assert (np.ptp(squares, axis=-1) <= 2 * 2**12).all()
    assert np.array_equal(logit, np.float32(logit))
    # All but what is moved is as it was drawn.
    rows = {tuple(row) for row in batch.inputs["y_pred.mean"]}
    assert rows.issuperset(map(tuple, mean))


@pytest.mark.parametrize(
    "text",
    [
        "loss: (y_true - y_pred)**2",
        "loss: logsumexp(-y_pred**2, axis=last) - y_true",  # moved, it is another
        "loss: logsumexp(log(y_pred), axis=last) - y_true\ny_pred: unit",
    ],
)
def test_there_may_be_none(text):
    loss = resolved(f"{text}\n")
    assert evenly_shared(loss, drawn(loss), 5) is None


def test_a_component_without_a_value_is_not_looked_at():
    loss = resolved("loss: logsumexp(y_pred + log(y_true), axis=last)\n")
    batch = Batch({"y_true": -np.ones((2, 3)), "y_pred": np.zeros((2, 3))}, {})
    assert evenly_shared(loss, batch, 2) is None
