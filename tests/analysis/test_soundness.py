"""Random losses: what the check passes is defined, continuous and as smooth as it says.

``LOSSGEN_SOUNDNESS`` sets how many losses of each kind are drawn.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines import probe
from random_losses import EXAMPLES, KINDS, drawing, written

from lossgen.analysis.check import check
from lossgen.diagnostics.diagnostic import Report


@pytest.fixture(autouse=True)
def verdict_alone(monkeypatch):
    """The properties of random losses are the subject of another test."""
    monkeypatch.setattr("lossgen.analysis.check.examine", lambda *_: ())


@pytest.mark.parametrize("kind", KINDS)
def test_what_passes_is_what_it_is_said_to_be(kind):
    @drawing(EXAMPLES)
    @given(KINDS[kind](), st.integers(0, 99))
    def holds(keys, seed):
        loss = written(keys)
        found = check(loss, Report())
        if found is not None:
            probe(loss, keys, found.certificate, seed)

    holds()
