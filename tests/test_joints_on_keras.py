"""The gradient of the generated code where operations change formulas, in every mode.

Where the pieces meet smoothly it is the derivative, which is worked out in the comment;
at a kink what TensorFlow's operations give one by one.
"""

import generating
import numpy as np
import pytest
import tensorflow as tf

# The loss, y_true, y_pred, and the gradient of the value of the one sample.
TIES = {
    # It is d.
    "tie_of_two_rectifiers": ([0.5], [0.5], [1.0]),
    # It is softplus(y_pred) - y_pred*y_true, whose slope is 1/2 - y_true.
    "tie_of_cross_entropy": ([0.125], [0.0], [0.375]),
    # The same for hard labels.
    "tie_of_hard_labels": ([0.0, 1.0], [0.0, 0.0], [0.25, -0.25]),
    # It is y_pred**2 + y_true**2; the mean halves its slope.
    "tie_of_largest_and_smallest": ([0.5, -2.0], [0.5, -2.0], [0.5, -2.0]),
    # abs has slope 0 there, d has slope 1.
    "tie_of_absolute_value_and_line": ([0.5], [0.5], [1.0]),
    # The first argument, level*d, takes all.
    "tie_of_pinball": ([0.5], [0.5], [-0.25]),
    # A clip passes its ends: slope 2 at d = -1 and at d = 2; the mean halves it.
    "tie_of_clipped_error": ([0.5, 0.5], [-0.5, 2.5], [1.0, 1.0]),
    # Every direction has slope 1.
    "tie_of_norm": ([0.5, 1.0], [0.5, 1.0], [0.0, 0.0]),
    # Two largest elements share the slope of 1; y_true/4 comes off.
    "tie_of_largest": ([1.0, 1.0, 1.0], [2.0, 0.5, 2.0], [0.25, -0.25, 0.25]),
}


def in_mode(function, mode):
    return (
        function
        if mode == "eager"
        else tf.function(function, jit_compile=mode == "xla")
    )


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("name", TIES)
def test_the_gradient_at_a_tie(name, mode):
    y_true, y_pred, expected = (np.array([row], np.float32) for row in TIES[name])
    function = generating.function(name)

    def slope(target, prediction):
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            value = function(target, prediction)
        return tape.gradient(value, prediction)

    found = in_mode(slope, mode)(tf.constant(y_true), tf.constant(y_pred))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["tie_of_pinball", "tie_of_two_rectifiers"])
def test_beside_the_tie_are_the_slopes_of_the_sides(name):
    function = generating.function(name)
    y_true = tf.constant([[0.5], [0.5]])
    y_pred = tf.constant(np.nextafter(np.float32(0.5), np.float32([[0.0], [1.0]])))
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = function(y_true, y_pred)
    left, right = tape.gradient(value, y_pred).numpy().ravel()
    assert (left, right) == {"tie_of_pinball": (-0.25, 0.75)}.get(name, (1.0, 1.0))
