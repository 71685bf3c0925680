"""Functions that the parser writes out."""

import numpy as np
import pytest
from losses import resolved

from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import Apply, walk

P = np.array([[[0.5, 2.0], [3.0, 0.25]], [[1.0, 4.0], [0.125, 7.0]]])
AXES = {"last": -1, "spatial": 1, "sample": (1, 2), "batch": 0}


def loss_of(formula):
    return resolved(f"loss: {formula}\ny_true: unused\ny_pred: positive\n")


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize(("name", "expected"), [("var", np.var), ("std", np.std)])
def test_spreads_are_those_of_a_population(name, expected, axis):
    found = evaluate(
        loss_of(f"{name}(y_pred, axis={axis})").expression, {"y_pred": P}
    ).astype(float)
    wanted = expected(P, axis=AXES[axis], keepdims=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


@pytest.mark.parametrize(("name", "expected"), [("log2", np.log2), ("log10", np.log10)])
def test_logarithms(name, expected):
    found = evaluate(loss_of(f"{name}(y_pred)").expression, {"y_pred": P})
    np.testing.assert_allclose(found.astype(float), expected(P), rtol=1e-14)


def test_what_is_written_out_stands_where_the_call_does():
    loss = loss_of("1 + std(2*y_pred, axis=last)")
    nodes = [node for node in walk(loss.expression) if isinstance(node, Apply)]
    places = {
        node.op: node.span.source.text[node.span.start : node.span.end]
        for node in nodes
    }
    assert places["norm"] == places["ones_like"] == "std(2*y_pred, axis=last)"
    assert places["mul"] == "2*y_pred"


def test_messages_have_the_call():
    formula = "1 + std(2*y_pred, axis=last)"
    assert spell(loss_of(formula).expression) == formula
