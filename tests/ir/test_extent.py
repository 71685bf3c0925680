import pytest
from losses import resolved

from lossgen.ir.expr import Apply, Axis, Role, Symbol
from lossgen.ir.extent import FULL, SCALAR, extents

ROW, SAMPLE = frozenset({"batch", "spatial"}), frozenset({"batch"})


def extent(text, keys=""):
    loss = resolved(f"loss: {text}\n{keys}")
    return extents(loss, loss.expression)[loss.expression]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(y_true - y_pred)**2", FULL),
        ("sum(y_true*y_pred, axis=last)", ROW),
        ("sum(y_true*y_pred, axis=spatial)", {"batch", "last"}),
        ("sum(y_true*y_pred, axis=sample)", SAMPLE),
        ("sum(y_true*y_pred, axis=batch)", {"spatial", "last"}),
        ("mean(sum(y_true*y_pred, axis=batch), axis=sample)", SCALAR),
        ("sum(y_true*y_pred, axis=last) + y_pred", FULL),
        ("sum(y_true, axis=last)*mean(y_pred, axis=sample)", ROW),
        ("y_true*softmax(y_pred, axis=last)", FULL),
        ("y_true*cumsum(y_pred, axis=spatial)", FULL),
        # A collapsed axis that is not there any more changes nothing.
        ("mean(sum(y_true*y_pred, axis=last), axis=last)", ROW),
    ],
)
def test_extents(text, expected):
    assert extent(text) == expected


def test_symbols_vary_as_their_shape_says():
    loss = resolved(
        """\
        loss: mean(scalar*y_true*a*w, axis=last)/K
        y_pred: {channels: {a: {size: K}}}
        y_true: {size: K}
        params:
          scalar: 1.0
          w: {shape: last}
        """
    )
    found = extents(loss, *(item.symbol for item in loss.variables))
    assert {symbol.name: extent for symbol, extent in found.items()} == {
        "y_true": FULL,
        "y_pred.a": FULL,
        "scalar": SCALAR,
        "w": {"last"},
        "K": SCALAR,
    }
    derived = Symbol("guarded", Role.DERIVED)
    assert extents(loss, derived)[derived] == FULL


def test_operations_of_the_lowered_form():
    loss = resolved("loss: y_true*y_pred\n")
    pred = loss.variable("y_pred").symbol
    labels = Symbol("labels", Role.DERIVED)
    for node, expected in [
        (Apply("take", (pred, labels)), ROW),
        (Apply("any", (pred,), Axis.LAST), ROW),
        (Apply("count", (pred,), Axis.SAMPLE), SAMPLE),
        (Apply("filled", (pred,), Axis.LAST), FULL),
        (Apply("flat", (Apply("sum", (pred,), Axis.LAST),)), ROW),
        (Apply("lowest", ()), SCALAR),
    ]:
        assert extents(loss, node)[node] == expected
