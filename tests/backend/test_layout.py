import pytest
from losses import resolved

from lossgen.backend.layout import layout
from lossgen.ir.local_names import channel_names

MIXED = """\
loss: mean(logit + mean, axis=last) + scale + y_true
y_true: {size: 1}
y_pred: {channels: {logit: {size: K}, mean: {size: K}, scale: {size: 1}}}
"""


def of(text):
    return layout(resolved(text))


def test_one_tensor_is_not_taken_apart():
    found = of("loss: (y_true - y_pred)**2\n")
    assert (found.sizes, found.split_true, found.split_pred) == ((), (), ())
    assert found.like == "y_pred"


def test_channel_names():
    loss = resolved(
        """\
        loss: (y_true.time - y_pred.time)**2 + scale + event
        y_true: {channels: {time: real, event: binary}}
        y_pred: {channels: {time: real, scale: positive}}
        """
    )
    assert channel_names(loss) == {
        "y_true.time": "time_true",
        "y_true.event": "event",
        "y_pred.time": "time_pred",
        "y_pred.scale": "scale",
    }
    found = layout(loss)
    assert found.split_true == ("time_true, event = tf.split(y_true, 2, axis=-1)",)
    assert found.split_pred == ("time_pred, scale = tf.split(y_pred, 2, axis=-1)",)
    assert found.like == "y_pred"


def test_equal_channels_against_a_plain_target():
    found = of(
        "loss: (y_true - mean)**2*w\ny_pred: {channels: {mean: real, w: real}}\n"
    )
    assert found.split_pred == ("mean, w = tf.split(y_pred, 2, axis=-1)",)
    assert found.like == "tf.split(y_pred, 2, axis=-1)[0]"


def test_one_channel():
    found = of("loss: (y_true - mean)**2\ny_pred: {channels: {mean: real}}\n")
    assert found.split_pred == ("mean = y_pred",)


def test_sizes_that_only_one_split_can_give():
    found = of(MIXED)
    assert found.sizes == ("K = (keras.ops.shape(y_pred)[-1] - 1) // 2",)
    assert found.split_pred == (
        "logit, mean, scale = tf.split(y_pred, [K, K, 1], axis=-1)",
    )
    assert found.like == "y_pred[..., :1]"


def test_a_single_named_size_is_left_to_the_split():
    found = of(
        """\
        loss: mean(a, axis=last) + b + y_true
        y_true: {size: 1}
        y_pred: {channels: {a: {size: K}, b: {size: 2}}}
        """.replace("{size: 2}", "{size: 1}")
    )
    assert found.sizes == ()
    assert found.split_pred == ("a, b = tf.split(y_pred, [-1, 1], axis=-1)",)


@pytest.mark.parametrize(
    ("keys", "like"),
    [
        ("y_true: {size: 1}\ny_pred: {size: Q}", "y_pred[..., :1]"),
        ("y_true: {domain: one_hot, sparse: true}", "y_pred[..., :1]"),
    ],
)
def test_shape_of_the_target(keys, like):
    assert of(f"loss: sum(y_true*y_pred, axis=last)\n{keys}\n").like == like


def test_no_target():
    assert of("loss: y_pred**2\ny_true: unused\n").like == "y_pred"
