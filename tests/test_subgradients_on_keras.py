"""At a kink the generated code has the subgradient of least magnitude, in every mode.

Each expected gradient is worked out in the comment beside it.
"""

import generating
import numpy as np
import pytest
import tensorflow as tf

# The loss, y_true, y_pred, and the gradient of the value of the one sample.
TIES = {
    # Slopes 0 and 2.
    "tie_of_absolute_value_and_line": ([0.5], [0.5], [0.0]),
    # It is d.
    "tie_of_two_rectifiers": ([0.5], [0.5], [1.0]),
    # Slopes -1/4 and 3/4.
    "tie_of_pinball": ([0.5], [0.5], [0.0]),
    # It is softplus(y_pred) - y_pred*y_true, whose slope is 1/2 - y_true.
    "tie_of_cross_entropy": ([0.125], [0.0], [0.375]),
    # Slopes -1 and 3.
    "tie_of_tilted_absolute_value": ([0.5], [0.5], [0.0]),
    # Slopes 3 and 2.
    "tie_of_two_lines": ([0.5], [0.5], [2.0]),
    # Slopes 1 and 2 at d = -1, 2 and 1 at d = 2; the mean halves them.
    "tie_of_clipped_error": ([0.5, 0.5], [-0.5, 2.5], [0.5, 0.5]),
    # Slopes -1 and 0 for the label 1, 0 and 1 for -1.
    "tie_of_hinge": ([1.0, -1.0], [1.0, -1.0], [0.0, 0.0]),
    # Slopes -3/scale and 2/scale in the centre, and 1/scale in the scale.
    "tie_of_tilted_scale": ([0.5], [0.5, 4.0], [0.0, 0.25]),
    # Slopes -3*2*t and 2*2*t at the tie for the sum t = 2 of all; 2*2*t for the other.
    "tie_inside_a_square": ([0.5, 1.0], [0.5, 2.0], [0.0, 8.0]),
    # Every direction has slope 1.
    "tie_of_norm": ([0.5, 1.0], [0.5, 1.0], [0.0, 0.0]),
    # Two largest elements share the slope of 1; y_true/4 comes off.
    "tie_of_largest": ([1.0, 1.0, 1.0], [2.0, 0.5, 2.0], [0.25, -0.25, 0.25]),
    # Slopes y_true - 1 and y_true + 1; the mean divides them by 3.
    "tie_of_data": ([0.5, 4.0, -2.5], [0.5, 4.0, -2.5], [0.0, 1.0, -0.5]),
    # The same times 2*(4 - 8); for the last element (y_true + 1) times that.
    "tie_of_data_in_a_square": (
        [0.5, 4.0, -2.5, 1.0],
        [0.5, 4.0, -2.5, 3.0],
        [0.0, -24.0, 12.0, -16.0],
    ),
    # Slopes 1 - abs(y_true) and 1 + abs(y_true), halved by the mean.
    "tie_of_data_in_a_factor": ([-0.25, 2.0], [-0.25, 2.0], [0.375, 0.0]),
    # Slopes -1 - y_true and -1 + y_true; the mean divides them by 4.
    "tie_of_data_beside_a_guard": (
        [0.25, -0.5, 3.0, -3.0],
        [1.0, 1.0, 1.0, 1.0],
        [-0.1875, -0.125, 0.0, 0.0],
    ),
    # Slopes 2*y_true - 1 and 2*y_true + 1, halved by the mean.
    "tie_of_data_on_logits": ([0.25, 0.75], [0.5, 0.5], [0.0, 0.25]),
    # As in the first; the mean is over the two that are kept.
    "tie_of_data_under_a_mask": ([4.0, -1.0, 0.5], [4.0, -1.0, 0.5], [1.5, 0.0, 0.0]),
    # Slopes y_true and log(2)/sqrt(8) = 0.245064536; the mean divides them by 3.
    "nested_branches": ([-1.0, 0.125, 2.0], [1.0] * 3, [0.0, 0.125 / 3, 0.081688179]),
    # By r: 1/sqrt(pi) - 1/sqrt(2*pi) + sigmoid(-2*y_true), and from i0e 1 or -1 more.
    # By y_pred the larger is 1 - 0.165247304 - 0.880797078 for y_true = -1, and above 0
    # for y_true = 2; the mean halves it.
    "special": ([2.0, -1.0], [2.0, -1.0], [0.0, -0.023022191]),
    # At r = -1, by y_pred: -1 and 0 for y_true > 0, else 1 and 2; the mean halves them.
    "kinked": ([0.5, -0.5], [1.5, 0.5], [0.0, 0.5]),
}


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("name", TIES)
def test_the_gradient_at_a_tie_is_the_least_slope(name, mode):
    y_true, y_pred, expected = (np.array([row], np.float32) for row in TIES[name])
    function = generating.function(name)

    def slope(target, prediction):
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            value = function(target, prediction)
        return tape.gradient(value, prediction)

    if mode != "eager":
        slope = tf.function(slope, jit_compile=mode == "xla")
    found = slope(tf.constant(y_true), tf.constant(y_pred))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_the_gradient_at_a_tie_of_logits(mode):
    function = generating.function("tie_of_data_on_logits")

    def slope(target, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = function(target, logits, from_logits=True)
        return tape.gradient(value, logits)

    if mode != "eager":
        slope = tf.function(slope, jit_compile=mode == "xla")
    found = slope(tf.constant([[0.25, 0.75]]), tf.zeros((1, 2)))
    # That by the probability, 0 and 1/2, times the derivative 1/4 of the sigmoid; the
    # mean halves it.
    np.testing.assert_allclose(found, [[0.0, 0.0625]], rtol=1e-6)


@pytest.mark.parametrize("name", ["tie_of_pinball", "tie_of_tilted_absolute_value"])
def test_beside_the_tie_nothing_is_held(name):
    function = generating.function(name)
    y_true = tf.constant([[0.5], [0.5]])
    y_pred = tf.constant(np.nextafter(np.float32(0.5), np.float32([[0.0], [1.0]])))
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = function(y_true, y_pred)
    left, right = tape.gradient(value, y_pred).numpy().ravel()
    # The slopes of the table above.
    expected = {"tie_of_pinball": (-0.25, 0.75)}.get(name, (-1.0, 3.0))
    assert (left, right) == expected
