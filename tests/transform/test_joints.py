"""Where pieces meet smoothly all operations take one side; kinks are left alone."""

import pytest
from losses import lowered

from lossgen.ir.expr import Apply, walk


def operations(block):
    exprs = [*(item.value for item in block.assignments), block.result]
    nodes = [node for expr in exprs for node in walk(expr)]
    return [node.op for node in nodes if isinstance(node, Apply)]


@pytest.mark.parametrize(
    "loss",
    [
        "relu(d) - relu(-d)",  # d
        "max(d, 0) - d*y_true + log1p(exp(-abs(d)))",  # softplus(d) - d*y_true
        "abs(d) - 2*relu(d) + d**2",  # d**2 - d
    ],
)
def test_operations_that_tie_together_take_one_side(loss):
    block = lowered(f"loss: {loss}\nwhere: {{d: y_pred - 2*y_true}}").body
    assert "where" in operations(block)


def test_a_maximum_and_a_minimum_take_different_arguments():
    block = lowered("loss: max(y_pred, y_true)**2 + min(y_pred, y_true)**2").body
    exprs = [*(item.value for item in block.assignments), block.result]
    firsts = {
        node.op: node.args[0].name
        for expr in exprs
        for node in walk(expr)
        if isinstance(node, Apply) and node.op in ("max", "min")
    }
    # The first of equal arguments takes the whole gradient.
    assert firsts["max"] != firsts["min"]


@pytest.mark.parametrize(
    "loss",
    ["abs(d)", "2*abs(d) + d", "abs(d) + relu(d)", "abs(d)*d", "abs(d) + abs(d - 1)"],
)
def test_what_needs_no_side_stays_as_written(loss):
    block = lowered(f"loss: {loss}\nwhere: {{d: y_pred - y_true}}").body
    assert "where" not in operations(block)


def test_branches_stay_as_written():
    block = lowered("loss: where(d > 0, 2*d, 3*d)\nwhere: {d: y_pred - y_true}").body
    assert operations(block).count("where") == 1
    assert "gt" in operations(block)
