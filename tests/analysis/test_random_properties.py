"""Random losses: no point contradicts a property that is proved.

``LOSSGEN_SOUNDNESS`` sets how many losses of each kind are drawn for the test of
verdicts; here it is a tenth of that.
"""

import pytest
from hypothesis import given
from probing import contradiction
from random_losses import EXAMPLES, KINDS, drawing, written

from lossgen.analysis.check import check
from lossgen.diagnostics.diagnostic import Report


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_proved_is_so(kind):
    @drawing(EXAMPLES // 10)
    @given(KINDS[kind]())
    def holds(keys):
        found = check(written(keys), Report())
        for item in found.certificate.properties if found else ():
            if item.status == "proved":
                assert contradiction(found.loss, item) is None, item

    holds()
