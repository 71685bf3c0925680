"""Random losses of the whole language, as generated, give what their formulas give.

``python benchmarks/differential.py 2000`` does the same for as many as are asked for.
"""

from differential import run


def test_random_losses_agree_with_their_formulas_and_with_their_twins():
    tally = run(100)
    assert not tally.disagreements, str(tally)
    counts = tally.counts
    assert counts["accepted"] >= 70
    assert counts["compared"] >= 80
    assert counts["without a point"] <= counts["compared"] // 6
    kinds = [what for what in counts if what.startswith("twins: ")]
    assert len(kinds) == 4
