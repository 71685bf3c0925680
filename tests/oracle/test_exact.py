import numpy as np
import pytest
from losses import resolved
from mpmath import mp, mpf

from lossgen.oracle.evaluation import Formula
from lossgen.oracle.exact import exact
from lossgen.oracle.samples import Batch


def found(text, y_true, y_pred):
    loss = resolved(text)
    batch = Batch(
        {"y_true": np.array(y_true), "y_pred": np.array(y_pred)},
        {item.name: np.array(item.default) for item in loss.parameters},
    )
    return exact(Formula(loss, loss.expression), batch, 2.0**-23)


def test_value_gradient_and_their_condition():
    """For d**3 with d = p - t: 3*d**2*(|p| + |t|), and 6*|d|*(|p| + |t|)."""
    points = [(0.5, 3.0), (-2.0, 0.25), (7.0, 6.0)]
    targets, predictions = ([[point[k]] for point in points] for k in (0, 1))
    result = found("loss: (y_pred - y_true)**3", targets, predictions)
    for row, (t, p) in enumerate(points):
        d, reach = p - t, abs(p) + abs(t)
        assert float(result.value[row]) == d**3
        assert float(result.low[row, 0]) == float(result.high[row, 0]) == 3 * d**2
        assert float(result.value_condition[row]) == pytest.approx(3 * d**2 * reach)
        expected = pytest.approx(6 * abs(d) * reach)
        assert float(result.gradient_condition[row, 0]) == expected


def test_labels_count_as_exact():
    text = "loss: (y_pred - y_true)**2"
    targets = [[1.0], [0.0], [0.5]]
    result = found(f"{text}\ny_true: unit", targets, [[3.0]] * 3)
    expected = [2 * 2 * 3, 2 * 3 * 3, 2 * 2.5 * 3.5]
    assert [float(x) for x in result.value_condition] == pytest.approx(expected)
    result = found(text, targets, [[3.0]] * 3)
    expected = [2 * 2 * 4, 2 * 3 * 3, 2 * 2.5 * 3.5]
    assert [float(x) for x in result.value_condition] == pytest.approx(expected)


def test_a_kink_has_two_slopes():
    result = found("loss: abs(y_pred - y_true)", [[1.5]], [[1.5]])
    assert (result.low[0, 0], result.high[0, 0]) == (-1, 1)


def test_a_kink_that_rounding_reaches_has_two_slopes():
    """1 - (-7e-34) is just above 1, where the loss bends, but rounds to 1.

    A number beside the kink is on its own side of it.
    """
    text = "loss: relu(y_pred - y_true - 1)"
    result = found(text, [[-7e-34]], [[1.0]])
    assert (result.low[0, 0], result.high[0, 0]) == (0, 1)
    for low, steps in ((0, -1), (1, 1), (0, -2), (1, 2)):
        result = found(text, [[0.0]], [[1 + steps * 2.0**-23]])
        assert result.low[0, 0] == result.high[0, 0] == low
    result = found("loss: abs(y_pred - y_true)", [[1.99]], [[1.99 + 2.0**-23]])
    assert result.low[0, 0] == result.high[0, 0] == 1


def test_digits_that_cancel_are_found():
    """log(cosh(1e-60)) is 5e-121."""
    result = found("loss: log(cosh(y_pred - y_true))", [[0.0]], [[1e-60]])
    with mp.workdps(40):
        assert abs(result.value[0] / (mpf(1e-60) ** 2 / 2) - 1) < mpf(10) ** -30


def test_samples_without_a_value_are_left_out():
    result = found("loss: log(y_pred) + y_true", [[0.0]] * 3, [[1.0], [-1.0], [2.0]])
    assert sorted(result.batch.inputs["y_pred"][:, 0]) == [1.0, 2.0]
    assert found("loss: log(y_pred) + y_true", [[0.0]], [[-1.0]]) is None
