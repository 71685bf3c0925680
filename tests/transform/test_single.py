"""What operations along an axis make of a single element."""

import pytest
from losses import call, resolved
from mpmath import almosteq, mp

from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import Apply, Axis, Role, Symbol, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.transform.single import without_single

ALONG = [op for op, f in FUNCTIONS.items() if f.kind in (Kind.COLLAPSE, Kind.ALONG)]


@pytest.mark.parametrize("op", ALONG)
def test_a_number_has_no_axis(op):
    loss = resolved("loss: a*(y_pred - y_true)**2\nparams: {a: 2.0}\n")
    expr = call(op, Symbol("a", Role.PARAMETER), axis=Axis.LAST)
    found = without_single(expr, loss)
    assert all(n.axis is None for n in walk(found) if isinstance(n, Apply))
    for value in (-1.5, 2.0):
        (one,) = evaluate(found, {"a": value}).flat
        (other,) = evaluate(expr, {"a": [value]}).flat
        assert almosteq(one, other, 10 * mp.eps)
