"""Generated tests pass on the modules that they come with, whatever a loss is made of.

The catalogue's tests run by themselves; these are losses that a test has to be careful
with: masks, guards that are given, sizes, channels, labels that cancel out, terms that
cancel, what float32 flushes. ``benchmarks/wild.py`` does the same for any folder.
"""

from __future__ import annotations

from pathlib import Path

from wild import build, documents, drawn, outcomes

GOOD = Path(__file__).parent / "cases" / "good"
CHOSEN = {
    *("targets_in_channels", "elementwise_and_sample", "pairs_of_any_width"),
    *("certainty_weighted", "through_subnormal_numbers", "weighted_mean_crossentropy"),
    *("masked_below", "masked_norms", "sparse_scores", "entropy_of_allowed_classes"),
    *("size_told_by_the_target", "batch_contrast", "spatial_crossentropy"),
    *("cosface_min", "hits_of_a_batch", "scores_beside_a_level", "policy_gradient"),
    *("ignored_rows_of_samples", "pair_of_targets", "sized_scores"),
    *("masked_moments", "masked_assume", "assumed_norm"),
    *("guarded_epsilon", "guarded_reduction", "capped_deviance", "weight_map"),
    *("gaussian_of_scale", "power_at_the_end"),
    *("equal_extremes_in_a_batch", "sampled_softmax", "clipped_angle", "correlation"),
    *("gains_of_relevance", "fixed_dispersion", "sum_with_a_number"),
    *("bound_of_exponentials", "correlation_in_a_batch", "symmetric_fixed_targets"),
}


def test_modules_pass_their_own_tests():
    chosen = [item for item in documents([GOOD]) if item.name in CHOSEN]
    assert {item.name for item in chosen} == CHOSEN
    built = [build(item) for item in (*chosen, *drawn(4, seed=1))]
    assert not [item for item in built if item.fault]
    results = list(outcomes(built))
    assert len(results) >= len(CHOSEN)
    for item, ran in results:
        assert ran.count > 20, item.document.name
        assert not ran.failures, (item.document.name, *ran.failures)
