"""Masked means inside and outside of one another, with values worked out by hand."""

import generating
import numpy as np
import tensorflow as tf


def test_a_mean_within_a_mean_and_alone():
    # Kept are 1 and 3: variance 1, squared mean 4, mean of the labels 1.5.
    function = generating.function("masked_moments")
    values = function([[1.0, -1.0, 2.0]], [[1.0, 5.0, 3.0]])
    np.testing.assert_allclose(values, [6.5])


def test_an_assumption_about_kept_labels():
    function = generating.function("masked_assume")
    values = function([[1.0, 0.0, np.e]], [[2.0, 7.0, 0.0]])
    np.testing.assert_allclose(values, [[2.0, 0.0, 1.0]], rtol=1e-6)


def test_a_norm_that_is_assumed_of_what_is_kept():
    function = generating.function("assumed_norm")
    values = function([[3.0, np.nan, 4.0]], [[0.6, 9.0, 1.0]])
    np.testing.assert_allclose(values, [0.1], rtol=1e-6)


def test_a_sum_of_ones_counts_what_is_kept():
    function = generating.function("mean_by_count")
    values = function([[3.0, np.nan, 4.0]], [[5.0, 9.0, 1.0]])
    np.testing.assert_allclose(values, [(4 + 9) / 2])


def test_a_channel_of_length_1_stays_so_under_a_mask():
    function = generating.function("level_beside_masked_scores")
    # Kept are 1 and 2, which are 1 and 3 off.
    values = function([[1.0, -1.0, 2.0, 0.5]], [[2.0, 9.0, 5.0, 3.0]])
    np.testing.assert_allclose(values, [0.5 * (1 + 9) / 2 + 9])


def gradient(function, y_true, y_pred):
    y_pred = tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        total = tf.reduce_sum(function(tf.constant(y_true), y_pred))
    return tape.gradient(total, y_pred)


def test_a_dropped_share_spoils_no_gradient():
    function = generating.function("masked_sinh_of_log_shares")
    # The shares of what is kept are 1/4 and 3/4.
    slopes = gradient(function, [[0.0, 0.0, -1.0]], [[0.0, np.log(3.0), 2.0]])
    shares = np.array([0.25, 0.75])
    steep = np.cosh(np.log(shares) / 3) / 3 / 2
    expected = [*(steep - shares * steep.sum()), 0.0]
    np.testing.assert_allclose(slopes, [expected], rtol=1e-6)


def test_a_dropped_component_spoils_no_gradient():
    function = generating.function("masked_log_of_directions")
    # The derivative of log(u/sqrt(u**2 + v**2)) is 1/u - u/(u**2 + v**2), less the
    # same of the other.
    slopes = gradient(function, [[0.0, 0.0, -1.0]], [[3.0, 4.0, 2.0]])
    expected = [1 / 3 / 2 - 3 / 25, 1 / 4 / 2 - 4 / 25, 0.0]
    np.testing.assert_allclose(slopes, [expected], rtol=1e-6)


def test_each_kept_element_has_a_value_though_all_are_alike():
    function = generating.function("one_value_for_each_kept_element")
    values = function([[1.0, -1.0, 2.0]], [[0.0, 5.0, 0.0]])
    np.testing.assert_allclose(np.array(values)[0, [0, 2]], np.log([2, 2]), rtol=1e-6)


def test_a_map_of_weights_is_summed_where_labels_are_kept():
    function = generating.function("masked_sum_of_a_map")
    weights = np.array([[1.0, 7.0, 2.0]], np.float32)
    values = function([[1.0, -1.0, 2.0]], [[1.0, 5.0, 5.0]], weights=weights)
    expected = [np.log(4), np.log(4) + 9]
    np.testing.assert_allclose(np.array(values)[0, [0, 2]], expected, rtol=1e-6)


def test_single_elements_count_once_for_each_feature():
    function = generating.function("shares_of_one_each")
    values = function(np.zeros((1, 2, 3)), np.full((1, 2, 3), 2.0))
    np.testing.assert_allclose(values, [3 + 4])


def test_a_masked_label_in_a_row_of_weight_0_does_not_count_in_the_mean():
    loss = generating.module("weighted_square_of_known").WeightedSquareOfKnown()
    y_true = [[1.0, np.nan, 1.0, 1.0], [1.0, 2.0, 1.0, 1.0]]
    found = loss(y_true, [[9.0, 9.0], [2.0, 4.0]], sample_weight=[0.0, 1.0])
    np.testing.assert_allclose(found, (1 + 4) / 3)


def test_a_dropped_square_spoils_no_gradient():
    function = generating.function("masked_squares_of_log_shares")
    slopes = gradient(function, [[0.0, 0.0, -1.0]], [[0.0, np.log(3.0), 2.0]])
    shares = np.array([0.25, 0.75])
    steep = 2 * np.log(shares)
    expected = [*(steep - shares * steep.sum()), 0.0]
    np.testing.assert_allclose(slopes, [expected], rtol=1e-6)
