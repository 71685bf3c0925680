"""Components that add nothing are computed at harmless inputs; the value stays."""

import numpy as np
import pytest
from losses import lowered, resolved
from mpmath import mp, mpf
from standin import array, run_block

from lossgen.ir.expr import Apply, walk
from lossgen.transform.components import protect_components

MIXTURE = """\
loss: -logsumexp(log_softmax(logit, axis=last) - z**2/2 - log_scale, axis=last)
where: {z: (y_true - mean)*exp(-log_scale)}
y_true: {size: 1}
y_pred: {channels: {logit: {size: 2}, mean: {size: 2}, log_scale: {size: 2}}}
"""


@pytest.mark.parametrize("log_scale", ["0.5", "-3", "-40", "-600"])
def test_the_value_is_that_of_the_formula(log_scale):
    program = lowered(MIXTURE)
    with mp.workdps(60):
        inputs = {
            "y_true": array([["0.25"]]),
            "y_pred.logit": array([["1", "-2"]]),
            "y_pred.mean": array([["0.5", "0"]]),
            "y_pred.log_scale": array([["0.75", log_scale]]),
        }
        (found,) = np.ravel(run_block(program.body, program.checked.loss, inputs))
        total = mp.exp(1) + mp.exp(-2)
        expected = mpf(0)
        for logit, mean, scale in ((1, "0.5", "0.75"), (-2, "0", log_scale)):
            z = (mpf("0.25") - mpf(mean)) * mp.exp(-mpf(scale))
            expected += mp.exp(logit - z**2 / 2 - mpf(scale)) / total
        assert abs(found + mp.log(expected)) < mpf("1e-40")


def test_only_the_inputs_that_matter_are_held():
    loss = resolved(MIXTURE)
    names = {}
    expr = protect_components(loss.expression, loss, names)
    held = {
        node.args[1].name
        for node in walk(expr)
        if isinstance(node, Apply) and node.op == "where" and not node.args[1].children
    }
    assert held == {"y_pred.log_scale"}
    assert sorted(names.values()) == ["counts", "fixed", "safe"]
    # As a term of its own it is finite, and so is its slope.
    (safe,) = (node for node, name in names.items() if name == "safe")
    log_scale = loss.variable("y_pred.log_scale").symbol
    assert Apply("neg", (log_scale,)) in safe.args


@pytest.mark.parametrize("formula", ["y_pred", "y_pred - y_true", "2*y_pred"])
def test_what_cannot_overflow_stays_as_it_is(formula):
    loss = resolved(f"loss: logsumexp({formula}, axis=last) - y_true\n")
    assert protect_components(loss.expression, loss, {}) == loss.expression


def test_the_code_says_why_a_component_is_left_out():
    said = [item for item in lowered(MIXTURE).body.assignments if item.comment]
    (counts,) = said
    assert counts.target.name == "counts"
    assert "may be infinite" in counts.comment
