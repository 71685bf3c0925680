import numpy as np
import pytest
from losses import resolved

from lossgen.oracle.points import batches


def drawn(text, dtype="float32", *, logits=False, count=400):
    found = list(batches(resolved(text), count, dtype, logits=logits))
    return {
        name: np.concatenate([batch.inputs[name] for batch in found])
        for name in found[0].inputs
    }


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [
        ("real", -2e18, 2e18),
        ("probability", 1e-18, 1.0),
        ("positive", 1e-18, 2e18),
        ('"[-1, 2]"', -1.0, 2.0),
        ('"y_pred < 3"', -2e18, 3.0),
    ],
)
def test_points_are_inside_and_of_the_type(domain, low, high, dtype):
    inputs = drawn(f"loss: (y_pred - y_true)**2\ny_pred: {domain}", dtype)
    for values in inputs.values():
        assert (values == values.astype(dtype).astype(float)).all()
    assert (inputs["y_pred"] >= low).all()
    assert (inputs["y_pred"] <= high).all()
    assert len(np.unique(inputs["y_pred"])) > 100


def test_points_are_of_all_magnitudes_and_close_to_the_diagonal():
    inputs = drawn("loss: (y_pred - y_true)**2")
    magnitudes = np.log10(abs(inputs["y_pred"][inputs["y_pred"] != 0]))
    assert np.histogram(magnitudes, bins=8, range=(-38, 18))[0].min() > 5
    gap = abs(inputs["y_pred"] - inputs["y_true"])
    assert (gap == 0).any()
    near = (gap > 0) & (gap < 1e-6 * abs(inputs["y_true"]))
    assert near.any()


def test_probabilities_are_close_to_both_ends():
    p = drawn("loss: (y_pred - y_true)**2\ny_pred: probability")["y_pred"]
    assert (p < 1e-12).any()
    assert (p > 1 - 1e-6).any()
    assert ((p > 0.1) & (p < 0.9)).any()


def test_rows_of_a_simplex_sum_to_1():
    inputs = drawn("loss: sum((y_pred - y_true)**2, axis=last)\ny_pred: simplex")
    np.testing.assert_allclose(inputs["y_pred"].sum(-1), 1, atol=1e-6)


def test_logits_are_real():
    text = "loss: -y_true*log(y_pred)\ny_pred: {domain: probability, logits: sigmoid}"
    logits = drawn(text, logits=True)["y_pred"]
    assert logits.min() < -30
    assert logits.max() > 30


def test_a_loss_of_a_batch_gets_several():
    loss = resolved("loss: (mean(y_pred, axis=batch) - y_true)**2")
    assert len(list(batches(loss, 30, "float32", logits=False))) == 5


def test_a_loss_without_target_gets_points():
    loss = resolved("loss: y_pred**2\ny_true: unused\n")
    (batch,) = batches(loss, 20, "float32", logits=False)
    assert list(batch.inputs) == ["y_pred"]


def test_half_of_the_logits_are_right_at_least():
    text = "loss: -sum(y_true*log(y_pred), axis=last)\ny_true: one_hot\n"
    inputs = drawn(f"{text}y_pred: {{domain: simplex, logits: softmax}}", logits=True)
    likeliest = inputs["y_true"].argmax(axis=-1)
    right = likeliest == inputs["y_pred"].argmax(axis=-1)
    assert 0.5 <= right.mean() < 0.8
    ordered = np.sort(inputs["y_pred"], axis=-1)
    gaps = ordered[..., -1] - ordered[..., -2]
    assert (gaps[right] > 10).mean() > 0.5
