"""Random losses: no point contradicts a property that is proved.

``LOSSGEN_SOUNDNESS`` sets how many losses of each kind are drawn for the test of
verdicts; here it is a tenth of that.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from probing import contradiction
from random_losses import KINDS
from writing import write

from lossgen.analysis.check import check
from lossgen.diagnostics.diagnostic import Report

EXAMPLES = int(os.environ.get("LOSSGEN_SOUNDNESS", "400")) // 10


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_proved_is_so(kind):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        phases=[Phase.generate],  # the formulas are small, and each takes a while
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[kind]())
    def holds(keys):
        found = check(write(**keys), Report())
        for item in found.certificate.properties if found else ():
            if item.status == "proved":
                assert contradiction(found.loss, item) is None, item

    holds()
