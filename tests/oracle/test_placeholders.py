import numpy as np
import pytest
from losses import catalogue, resolved

from lossgen.calculus.evaluate import germ
from lossgen.ir.expr import Role
from lossgen.ir.program import Placeholders
from lossgen.oracle.placeholders import NoPlaceholderError, placeholders
from lossgen.oracle.samples import sample, sample_shape

CLASSES = "loss: -sum(y_true*log_softmax(y_pred, axis=last), axis=last)\n"
FIRST, OTHER = Placeholders(1.0, 0.0), Placeholders(0.0, 0.0)
NONE_KEPT = Placeholders(0.0, 0.0, counts=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss: (y_true - y_pred)**2\n", Placeholders(0.0, 0.0)),
        ("loss: y_true*log(y_pred)\ny_pred: positive\n", Placeholders(0.0, 0.5)),
        ("loss: y_true/(1 - y_pred)\n", Placeholders(0.0, 0.0)),
        ("loss: y_pred**2\ny_true: unused\n", Placeholders(0.0, 0.0)),
        ("loss: log(y_true)*y_pred\ny_true: positive\n", Placeholders(0.5, 0.0)),
        # The value at 0 is finite, the gradient is not.
        ("loss: y_true*sqrt(y_pred)\ny_pred: nonnegative\n", Placeholders(0.0, 0.5)),
        # A label that the mask keeps comes first; where it keeps none, any.
        ("loss: (y_true - y_pred)**2\nmask: y_true > 0\n", Placeholders(0.5, 0.0)),
        ("loss: (y_true - y_pred)**2\nmask: y_true > 50\n", NONE_KEPT),
        (f"{CLASSES}y_true: {{domain: one_hot, sparse: true, ignore: 0}}\n", FIRST),
        (f"{CLASSES}y_true: {{domain: one_hot, sparse: true, ignore: 1}}\n", OTHER),
        # No round number lies inside.
        ("loss: y_true*y_pred\ny_pred: '(3, 4)'\n", Placeholders(0.0, 3.5)),
        # Equal components have no direction.
        ("loss: y_true*norm(y_pred, axis=last)\n", Placeholders(0.0, 0.0)),
        ("loss: y_true*l2_normalize(y_pred, axis=last)\n", Placeholders(0.0, 0.5)),
    ],
)
def test_placeholders(text, expected):
    assert placeholders(resolved(text)) == expected


def test_where_no_equal_elements_will_do_they_vary():
    text = "loss: mean(y_true*y_pred, axis=last)/std(y_pred, axis=last)**2\n"
    text += "assume: std(y_pred, axis=last) > 0\n"
    assert placeholders(resolved(text)).varied
    with pytest.raises(NoPlaceholderError):
        placeholders(resolved(f"{text}y_pred: '(3, 4)'\n"))


def test_none_will_do():
    text = "loss: y_true*log(y_pred - mean(y_pred, axis=last))\n"
    with pytest.raises(NoPlaceholderError):
        placeholders(resolved(text))


@pytest.mark.parametrize("name", catalogue())
def test_value_and_gradient_are_finite_in_the_catalogue(name):
    loss = catalogue()[name]
    found = placeholders(loss)
    batch = sample(loss, 2, 0, defaults=True)
    values = {Role.Y_TRUE: found.y_true, Role.Y_PRED: found.y_pred}
    variables = loss.of_role(*values)
    inputs = {
        v.name: np.full(sample_shape(loss, v, 2), values[v.role]) for v in variables
    }
    moving = {v.name: 1 for v in loss.of_role(Role.Y_PRED)}
    parts = germ(loss.expression, {**inputs, **batch.parameters}, moving)
    assert all(np.isfinite(float(x)) for part in parts for x in part.flat)
