"""A masked reduction on placeholders is the reduction over the kept elements."""

import numpy as np
import pytest
from losses import lowered, resolved
from mpmath import mp, mpf
from standin import array, run_block

from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import Apply, Axis, walk
from lossgen.transform.lower import KEPT
from lossgen.transform.masking import mask_reductions

KEPT_ROWS = np.array(
    [
        [[True, False, True], [False, True, True]],
        [[True, True, True], [True, False, False]],
        [[False, False, True], [True, True, False]],
    ]
)
P3 = np.arange(1, 19).reshape(3, 2, 3) / 8
T3 = np.cos(np.arange(18)).reshape(3, 2, 3)
OPS = ["sum", "mean", "amax", "amin", "logsumexp", "norm"]
ALONG = ["softmax", "log_softmax", "l2_normalize", "cumsum", "logcumsumexp"]
SURFACE = {"amax": "max", "amin": "min"}


def masked_and_expected(formula, kept):
    """The masked expression on spoilt inputs, and the formula under the mask."""
    loss = resolved(f"loss: {formula}\nmask: y_true != -1\n")
    expr = mask_reductions(loss.expression, KEPT, loss, set(Axis), None)
    with mp.workdps(40):
        p, t = array(P3), array(T3)
        expected = evaluate(loss.expression, {"y_pred": p, "y_true": t}, mask=kept)
        inputs = {
            "y_pred": np.where(kept, p, mpf("0.5")),
            "y_true": np.where(kept, t, mpf("0.25")),
            "kept": kept,
        }
        return _run(expr, loss, inputs), expected


def _run(expr, loss, inputs):
    program = lowered("loss: y_true*y_pred\n")
    block = type(program.body)((), expr, program.body.extent, False, None)
    return run_block(block, loss, inputs)


def assert_equal(found, expected):
    compared = 0
    for a, b in np.broadcast(found, expected):
        if b is not None:
            compared += 1
            assert abs(a - b) < mpf("1e-30"), (a, b)
    assert compared


@pytest.mark.parametrize("axis", ["last", "spatial", "sample", "batch"])
@pytest.mark.parametrize("op", OPS + ALONG)
def test_reductions(op, axis):
    formula = f"{SURFACE.get(op, op)}(y_true*y_pred, axis={axis}) + 0*y_true"
    assert_equal(*masked_and_expected(formula, KEPT_ROWS))


@pytest.mark.parametrize(
    "formula",
    [
        "mean((y_pred - mean(y_pred, axis=last))**2, axis=last)*max(y_true, axis=last)",
        "mean(mean(y_true*y_pred, axis=last), axis=spatial)",
        "mean(sum(y_true*y_pred, axis=spatial)**2, axis=last)",
        "mean(sum(y_true*y_pred, axis=last), axis=batch)",
        "max(softmax(y_pred, axis=sample)*y_true, axis=batch)",
        "sum(y_true*log_softmax(y_pred, axis=last), axis=sample)",
    ],
)
def test_nested_reductions(formula):
    assert_equal(*masked_and_expected(formula, KEPT_ROWS))


def test_where_nothing_is_kept_the_value_is_finite_and_left_out():
    kept = KEPT_ROWS.copy()
    kept[1, 0] = False
    kept[2] = False
    formula = (
        "mean(log(mean(y_pred, axis=last)), axis=spatial)*max(y_true, axis=sample)"
    )
    found, expected = masked_and_expected(formula, kept)
    assert all(mp.isfinite(x) for x in found.flat)
    assert_equal(found, expected)


def test_axes_that_no_element_is_dropped_along_stay():
    loss = resolved("loss: mean(sum(y_true*y_pred, axis=last), axis=batch)\n")
    expr = mask_reductions(loss.expression, KEPT, loss, {Axis.BATCH}, Axis.BATCH)
    kinds = {(n.op, n.axis) for n in walk(expr) if isinstance(n, Apply) and n.axis}
    assert ("sum", Axis.LAST) in kinds
    assert ("mean", Axis.BATCH) not in kinds
    assert ("count", Axis.BATCH) in kinds


def test_elementwise_formulas_stay():
    loss = resolved("loss: (y_true - y_pred)**2\nmask: y_true != -1\n")
    assert (
        mask_reductions(loss.expression, KEPT, loss, set(Axis), None) == loss.expression
    )
