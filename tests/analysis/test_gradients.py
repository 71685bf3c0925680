"""Partial derivatives as formulas agree with those of the numeric reverse mode."""

import numpy as np
import pytest
from mpmath import mp, mpf
from writing import write

from lossgen.analysis.samples import generic
from lossgen.calculus.evaluate import evaluate
from lossgen.calculus.partials import NoPartialError, partial_derivative
from lossgen.calculus.reverse import value_and_gradient
from lossgen.ir.expr import ZERO, Apply, Role, rebuild

FORMULAS = (
    "logsumexp(y_pred, axis=last) - sum(y_true*y_pred, axis=last)",
    "norm(y_pred - y_true, axis=last)",
    "mean(square(y_pred - mean(y_pred, axis=last)), axis=last)",
    "log(mean(exp(y_pred), axis=last))*sum(y_pred*y_true, axis=last)",
    "-sum(y_true*log_softmax(y_pred, axis=last), axis=last)",
    "sum(abs(softmax(y_pred, axis=last) - y_true), axis=last)",
    "-sum(l2_normalize(y_true, axis=last)*l2_normalize(y_pred, axis=last), axis=last)",
    "max(y_pred, axis=last) - min(y_pred, axis=last)",
    "1 - (sum(y_true*y_pred, axis=last) + 1)/(sum(square(y_pred), axis=last) + 2)",
    "sum(where(y_pred > y_true, y_pred**2, -y_pred), axis=last)",
    "max(sum(y_pred, axis=last), norm(y_true, axis=last), y_true)*y_pred",
    "clip(y_pred*sum(y_pred, axis=last), -1, 1) + relu(y_pred)*logaddexp(y_pred, 1)",
    "sum(square(y_pred), axis=spatial)*y_true",
    "log_cosh(sum(y_pred*mean(y_pred, axis=last), axis=sample))",
)


def evaluable(node):
    """The node; lengths are sums of ``u**0``."""
    ones = isinstance(node, Apply) and node.op == "ones_like"
    return Apply("pow", (*node.args, ZERO)) if ones else node


@pytest.mark.parametrize("formula", FORMULAS)
def test_of_the_sum_of_the_elements(formula):
    loss = write(formula, "real" if "y_true" in formula else "unused")
    sample = generic(loss, last=3, rows=2, salt=7)
    symbol = loss.of_role(Role.Y_PRED)[0].symbol
    partial = rebuild(partial_derivative(loss.expression, symbol, loss), evaluable)

    def ones(value):
        return np.full(value.shape, mpf(1), dtype=object)

    _, expected = value_and_gradient(
        loss.expression, sample.environment, [symbol.name], ones
    )
    found = np.broadcast_to(
        evaluate(partial, sample.environment), expected[symbol.name].shape
    )
    with mp.workdps(30):
        for got, right in zip(found.flat, expected[symbol.name].flat, strict=True):
            assert abs(got - right) <= mpf(10) ** -25 * (1 + abs(right))


def test_what_has_no_rule_is_said():
    loss = write("sum(cumsum(y_pred, axis=last), axis=last)", "unused")
    (item,) = loss.of_role(Role.Y_PRED)
    with pytest.raises(NoPartialError):
        partial_derivative(loss.expression, item.symbol, loss)
