"""Masked means inside and outside of one another, with values worked out by hand."""

import generating
import numpy as np


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
