"""Reference values against closed forms worked out here."""

import math
from fractions import Fraction

import numpy as np
import pytest
from losses import ROOT, catalogue, resolved
from mpmath import mp, mpf

from lossgen.compiler import compile_source
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.options import Options
from lossgen.oracle.reference import OUT_OF_STEPS, NoSamplesError, reference
from lossgen.oracle.tolerance import tolerance
from lossgen.transform.guard import guards
from lossgen.transform.stabilize import to_logits

BCE = "-(y_true*log(y_pred) + (1 - y_true)*log(1 - y_pred))"

LOSSES = catalogue()
OPTIONS = Options("lossgen", None, ".", (str(ROOT / "templates"),))


def table(text):
    loss = resolved(text)
    logits = to_logits(loss)(loss.expression) if loss.spec.y_pred.logits else None
    return reference(loss, loss.expression, logits, guards(loss, loss.expression))


def rows(text):
    (first, *_) = table(text).probabilities
    return first.rows


def exactly(values):
    return [Fraction(value) for value in values]


def close(found, expected):
    """Equal to the float64 rounding."""
    return abs(mpf(found) - expected) <= mpf(2) ** -52 * abs(expected)


def test_squared_error():
    found = rows("loss: (y_true - y_pred)**2\n")
    assert len(found) == 12
    for row in found:
        (t,), (p,) = exactly(row.y_true), exactly(row.y_pred)
        assert row.value == float((t - p) ** 2)
        assert row.gradient == (float(2 * (p - t)),)
        unit = 2.0**-23
        moved = 2 * abs(float(t - p)) * (abs(float(t)) + abs(float(p))) * unit
        assert 16 * unit * row.value <= row.value_tolerance
        assert row.value_tolerance <= 2 * 16 * (4 * unit * row.value + moved)


def test_last_axis_is_averaged_over():
    found = rows("loss: w*(y_true - y_pred)**2\nparams: {w: {shape: last}}\n")
    (case, *_) = table(
        "loss: w*(y_true - y_pred)**2\nparams: {w: {shape: last}}\n"
    ).probabilities
    weights = exactly(case.parameters["w"])
    for row in found:
        t, p = exactly(row.y_true), exactly(row.y_pred)
        terms = [w * (a - b) ** 2 for w, a, b in zip(weights, t, p, strict=True)]
        slopes = [2 * w * (b - a) / 3 for w, a, b in zip(weights, t, p, strict=True)]
        assert row.value == pytest.approx(float(sum(terms) / 3), rel=1e-15)
        assert row.gradient == pytest.approx([float(s) for s in slopes], rel=1e-15)


def test_logits():
    found = table(
        f"loss: {BCE}\ny_true: unit\ny_pred: {{domain: probability, logits: sigmoid}}\n"
    )
    with mp.workdps(40):
        for row in found.probabilities[0].rows:
            t, p = mpf(row.y_true[0]), mpf(row.y_pred[0])
            assert close(row.value, -t * mp.log(p) - (1 - t) * mp.log(1 - p))
            assert close(row.gradient[0], (p - t) / (p * (1 - p)))
        assert {row.y_pred[0] < 0 for row in found.logits[0].rows} == {True, False}
        for row in found.logits[0].rows:
            t, z = mpf(row.y_true[0]), mpf(row.y_pred[0])
            value = t * mp.log1p(mp.exp(-z)) + (1 - t) * mp.log1p(mp.exp(z))
            assert close(row.value, value)
            assert close(row.gradient[0], 1 / (1 + mp.exp(-z)) - t)


def test_far_logits_are_those_at_which_nothing_overflows():
    """The logarithm of 1 - sigmoid(100), as it is written, is that of 0."""
    spec = "y_true: unit\ny_pred: {domain: probability, logits: sigmoid}\n"
    assert table(f"loss: {BCE}\n{spec}").far_logits == (0.0,)


@pytest.mark.parametrize("name", [k for k, v in LOSSES.items() if v.spec.y_pred.logits])
def test_no_logit_is_too_far_for_the_catalogue(name):
    path = ROOT / "specs" / f"{name}.yaml"
    (found,) = compile_source(SourceFile(path.name, path.read_text("utf-8")), OPTIONS)
    assert found.table.far_logits == (-1000.0, -100.0, 0.0, 100.0, 1000.0)


def test_softmax_logits():
    found = table(
        "loss: -sum(y_true*log(y_pred), axis=last)\ny_true: one_hot\n"
        "y_pred: {domain: simplex, logits: softmax}\n"
    )
    with mp.workdps(40):
        for row in found.logits[0].rows:
            z = [mpf(value) for value in row.y_pred]
            total = sum(mp.exp(value) for value in z)
            label = row.y_true.index(1)
            assert close(row.value, mp.log(total) - z[label])
            for k in range(3):
                assert close(row.gradient[k], mp.exp(z[k]) / total - (k == label))


def test_sparse_labels_are_indices():
    found = rows(
        "loss: -sum(y_true*log(y_pred), axis=last)\n"
        "y_true: {domain: one_hot, sparse: true}\ny_pred: simplex\n"
    )
    with mp.workdps(40):
        for row in found:
            label = int(row.y_true)
            assert close(row.value, -mp.log(mpf(row.y_pred[label])))


def test_masked_elements_have_no_value_and_no_gradient():
    found = rows("loss: (y_true - y_pred)**2\nmask: y_true != -1\n")
    masked = [row for row in found if row.y_true == (-1,)]
    assert masked
    assert len(masked) < len(found)
    for row in masked:
        assert row.value == (0,)
        assert row.gradient == (0,)
    for row in found:
        if row not in masked:
            (t,), (p,) = exactly(row.y_true), exactly(row.y_pred)
            assert row.value == (float((t - p) ** 2),)


def test_masked_means():
    found = rows("loss: mean(abs(y_true - y_pred), axis=last)\nmask: y_true != -1\n")
    assert any(-1 in row.y_true for row in found)
    for row in found:
        t, p = exactly(row.y_true), exactly(row.y_pred)
        kept = [k for k in range(3) if t[k] != -1]
        value = sum(abs(t[k] - p[k]) for k in kept) / len(kept)
        assert row.value == pytest.approx(float(value), rel=1e-15)
        for k in range(3):
            sign = 0 if k not in kept else (1 if p[k] > t[k] else -1)
            assert row.gradient[k] == pytest.approx(sign / len(kept), rel=1e-15)


def test_the_whole_batch_is_one_value():
    found = rows("loss: mean(y_true*y_pred, axis=batch)**2\n")
    count = len(found)
    mean = sum(Fraction(r.y_true[0]) * Fraction(r.y_pred[0]) for r in found) / count
    for row in found:
        assert row.value == pytest.approx(float(mean**2), rel=1e-15)
        # The sum of the values is count * mean**2.
        slope = 2 * mean * Fraction(row.y_true[0])
        assert row.gradient[0] == pytest.approx(float(slope), rel=1e-15)


def test_channels_stand_one_after_the_other():
    found = rows(
        """\
        loss: log_var + (y_true - mean)**2/exp(log_var)
        y_pred: {channels: {mean: real, log_var: real}}
        """
    )
    with mp.workdps(40):
        for row in found:
            t = mpf(row.y_true[0])
            mean, log_var = map(mpf, row.y_pred)
            residual = (t - mean) ** 2 / mp.exp(log_var)
            assert close(row.value, log_var + residual)
            assert close(row.gradient[0], -2 * (t - mean) / mp.exp(log_var))
            assert close(row.gradient[1], 1 - residual)


def test_spatial_axes():
    found = rows("loss: sum(y_true*y_pred, axis=spatial)**2\n")
    for row in found:
        t, p = np.array(row.y_true), np.array(row.y_pred)
        assert t.shape == (2, 2, 1)
        total = sum(
            Fraction(a) * Fraction(b) for a, b in zip(t.flat, p.flat, strict=True)
        )
        assert row.value == pytest.approx(float(total**2), rel=1e-15)
        slopes = [float(2 * total * Fraction(a)) for a in t.flat]
        assert np.ravel(row.gradient) == pytest.approx(slopes, rel=1e-15)


def test_samples_that_an_assumption_excludes_are_left_out():
    found = rows("loss: (y_true - y_pred)**2\nassume: ['y_true > 2*y_pred']\n")
    assert 0 < len(found) < 12
    assert all(row.y_true[0] > 2 * row.y_pred[0] for row in found)


def test_digits_that_cancel():
    """1 - cos of a small number needs more digits than a float has."""
    found = rows("loss: 1 - cos((y_true - y_pred)*1e-12)\n")
    with mp.workdps(80):
        for row in found:
            x = (mpf(row.y_true[0]) - mpf(row.y_pred[0])) / mpf(10) ** 12
            assert close(row.value, 2 * mp.sin(x / 2) ** 2)


def unsettled():
    """Each of four sines takes more than 400 digits of its argument away."""
    inner = "y_pred"
    for _ in range(4):
        inner = f"(1 + sin(exp(1000)*{inner}))"
    return f"stop_gradient({inner})"


def test_what_no_precision_settles():
    with pytest.raises(NoSamplesError, match="2,560 digits do not settle") as caught:
        rows(f"loss: y_true*y_pred + mean({unsettled()}, axis=batch)\n")
    assert "simplify the formula" in caught.value.help


def test_samples_that_no_precision_settles_are_left_out():
    found = table(
        f"loss: y_true*y_pred + where(y_true < 1, {unsettled()}, y_pred)\n"
        "y_true: '{0, 1, 2}'\n"
    )
    labels = {row.y_true for case in found.probabilities for row in case.rows}
    assert labels == {(1.0,), (2.0,)}
    assert found.left_out
    assert all(text.startswith("y_true = 0, y_pred = ") for text in found.left_out)


def test_terms_that_cancel_to_the_last_digit_are_0():
    """log(sum(exp)) less itself is 0, whatever the digits; less a part of it is not."""
    cases = table(
        "loss: logsumexp(y_pred, axis=last) - log(sum(y_true*exp(y_pred), axis=last))\n"
        "y_true: binary\nassume: sum(y_true, axis=last) > 0\n"
    ).probabilities
    found = [row for case in cases for row in case.rows]
    whole = [row for row in found if all(row.y_true)]
    part = [row for row in found if not all(row.y_true)]
    assert whole
    assert part
    assert all(row.value == 0 for row in whole)
    with mp.workdps(50):
        for row in part:
            pairs = list(zip(row.y_true, row.y_pred, strict=True))
            among = mp.fsum(y * mp.exp(p) for y, p in pairs)
            total = mp.fsum(mp.exp(p) for _, p in pairs)
            assert close(row.value, mp.log(total) - mp.log(among))


def test_values_that_take_too_many_steps_are_left_out():
    loss = resolved("loss: square(exp(sin(y_true)) - exp(sin(y_pred)))")
    full = reference(loss, loss.expression, None)
    found = reference(loss, loss.expression, None, steps=1000)
    assert full.left_out == ()
    assert found.left_out == (OUT_OF_STEPS,)
    assert found.probabilities == full.probabilities[:1]
    assert len(full.probabilities) > 1
    with pytest.raises(NoSamplesError, match="too many steps"):
        reference(loss, loss.expression, None, steps=100)


def test_cases_where_parameters_have_defaults():
    found = table("loss: a*(y_true - y_pred)**2\nparams: {a: {default: 2.0}}\n")
    values = {case.name: case.parameters["a"] for case in found.probabilities}
    assert list(values) == [
        "training",
        "whole domain",
        "further parameters",
        "other parameters",
    ]
    assert values["training"] == values["whole domain"] == 2.0
    assert len(set(values.values())) == 3


def test_the_whole_domain_is_all_magnitudes():
    (_, whole) = table("loss: (y_true - y_pred)**2\n").probabilities
    sizes = [abs(row.y_pred[0]) for row in whole.rows]
    assert min(sizes) < 1e-6
    assert max(sizes) > 1e2


def test_beyond_the_sizes_there_are_samples_where_nothing_overflows():
    """In float32 exp(y_pred) is infinite above 88.73, and so is the slope's square."""
    loss = resolved("loss: 1/(1 + exp(y_pred))\ny_true: unused\n")
    found = reference(loss, loss.expression, None, sizes=(("y_pred", 2.0),))
    (whole,) = (c for c in found.probabilities if c.name == "whole domain")
    inputs = [row.y_pred[0] for row in whole.rows]
    beyond = [x for x in inputs if abs(x) > 4]
    assert sum(abs(x) <= 2 for x in inputs) == 12
    assert beyond
    assert len(beyond) == len(inputs) - 12
    assert max(beyond) < 88.73


@pytest.mark.parametrize("mask", ["", "mask: y_true > 0\n"])
def test_beyond_the_sizes_there_may_be_none(mask):
    """Of what is added up no element is 1e6 times as large as others, or larger."""
    loss = resolved(f"loss: sum((y_true - y_pred)**2, axis=last)\n{mask}")
    sizes = (("y_true", 1e9), ("y_pred", 1e9))
    found = reference(loss, loss.expression, None, sizes=sizes)
    (whole,) = (c for c in found.probabilities if c.name == "whole domain")
    assert max(abs(x) for row in whole.rows for x in row.y_pred) < 1e6


def test_where_it_is_not_computed_well_the_whole_domain_is_to_be_finite():
    """x**2 - 2*x*y + y**2 loses all digits where x and y are close, or is far off."""
    formula = "y_true**2 - 2*y_true*y_pred + y_pred**2"
    compared, all_of_it = (
        sum(row.value_tolerance < math.inf for row in case.rows)
        for text in (formula, "(y_true - y_pred)**2")
        for case in table(f"loss: {text}\n").probabilities
        if case.name == "whole domain"
    )
    assert compared < all_of_it


def test_of_a_loss_without_digits_nothing_is_compared_in_the_whole_domain():
    """Between neighbouring numbers above 1 the argument moves by more than 1."""
    found = table('loss: cos(10000000*y_pred)\ny_true: unused\ny_pred: "[1, 2]"\n')
    _, anywhere = found.probabilities
    assert anywhere.name == "whole domain"
    assert {row.value_tolerance for row in anywhere.rows} == {math.inf}
    assert {row.gradient_tolerance for row in anywhere.rows} == {(math.inf,)}


def test_second_derivatives():
    """Of the mean of x**3 over the axis, along 1, -2, 3: (6*x + 4*6*y + 9*6*z)/3."""
    found = table("loss: sum(y_pred**3, axis=last)/3\ny_true: unused\n")
    rows = found.probabilities[0].rows
    for row, (second, _) in zip(rows, found.curvatures, strict=True):
        x, y, z = exactly(row.y_pred)
        assert close(second, mpf(float(2 * x + 8 * y + 18 * z)))


def test_the_direction_has_both_signs():
    """Of the square of a sum, along 1, -2, 3: 2*(1 - 2 + 3)**2."""
    found = table("loss: sum(y_pred, axis=last)**2\ny_true: unused\n")
    assert {second for second, _ in found.curvatures} == {8.0}


def test_where_pieces_meet_either_second_derivative_will_do():
    """The sum is at most 1, where the square goes over into a line."""
    text = "loss: s**2/2 if s <= 1 else s - 1/2\nwhere: {s: 'sum(y_pred, axis=last)'}\n"
    found = table(f"{text}y_true: unused\ny_pred: simplex\n")
    for second, allowed in found.curvatures:
        low, high = second - allowed, second + allowed
        assert low <= 0 <= high
        assert low <= 4 <= high


def test_the_second_derivative_of_a_batch_is_one():
    found = table("loss: sum(y_pred**2, axis=batch)\ny_true: unused\n")
    rows = found.probabilities[0].rows
    # Every one of n samples gets the sum, of which each element adds 2.
    ((second, _),) = found.curvatures
    assert second == 2.0 * len(rows) ** 2


def test_a_batch_is_tested_close_to_its_targets_and_far_out():
    text = "loss: mean((y_true - y_pred)**2, axis=batch)"
    cases = {case.name: case for case in table(f"{text}\n").probabilities}
    for (target,), (prediction,) in (
        (row.y_true, row.y_pred) for row in cases["close to targets"].rows
    ):
        assert 0 < abs(prediction / target - 1) < 0.0301
    sizes = [abs(row.y_pred[0]) for row in cases["whole domain"].rows]
    assert max(sizes) > 1e9 * min(sizes)
    value = sum(
        (Fraction(row.y_true[0]) - Fraction(row.y_pred[0])) ** 2 / len(sizes)
        for row in cases["whole domain"].rows
    )
    for row in cases["whole domain"].rows:
        assert row.value == pytest.approx(float(value), rel=1e-11)


def test_a_batch_is_tested_without_variance():
    variance = "mean((y_pred - mean(y_pred, axis=batch))**2, axis=batch)"
    text = f"loss: (y_true - y_pred)**2/({variance} + 0.5)\n"
    cases = {case.name: case for case in table(text).probabilities}
    rows = cases["all the same"].rows
    assert {(row.y_true, row.y_pred) for row in rows} == {((0.0,), (0.0,))}
    assert {(row.value, row.gradient) for row in rows} == {(0.0, (0.0,))}
    # Of ones where there are no zeros, as ((2 - 1)*1)**2 tells.
    text = f"loss: (2*y_true - y_pred)**2/({variance} + 1)\ny_pred: positive\n"
    cases = {case.name: case for case in table(text).probabilities}
    assert {row.y_pred for row in cases["all the same"].rows} == {(1.0,)}
    assert {row.value for row in cases["all the same"].rows} == {1.0}


@pytest.mark.parametrize(
    "loss",
    [
        "y_true*y_pred/mean((y_pred - mean(y_pred, axis=batch))**2, axis=batch)",  # 0/0
        "abs(y_pred - mean(y_true, axis=batch))",  # a kink
        "(y_true - y_pred)**2",
    ],
)
def test_there_may_be_no_batch_without_variance(loss):
    names = {case.name for case in table(f"loss: {loss}\n").probabilities}
    assert "training" in names
    assert "all the same" not in names


def test_samples_lie_where_no_guard_holds_a_prediction():
    text = "y_pred: positive\nepsilon: 0.25\n"
    for formula in (
        "y_true - log(y_pred)",
        "mean((y_true - log(y_pred))**2, axis=batch)",
    ):
        for case in table(f"loss: {formula}\n{text}").probabilities:
            assert min(row.y_pred[0] for row in case.rows) >= 0.25


def test_a_batch_without_room_beside_its_targets_is_not_tested_close_to_them():
    text = "loss: mean((y_true - y_pred)**2, axis=batch)\ny_true: binary"
    found = table(f"{text}\ny_pred: unit\n").probabilities
    assert "close to targets" not in {case.name for case in found}


def test_derivatives_by_parameters():
    found = table("loss: a*(y_true - y_pred)**2\nparams: {a: {default: 2.0}}\n")
    squares = [
        (Fraction(row.y_true[0]) - Fraction(row.y_pred[0])) ** 2
        for row in found.probabilities[-1].rows
    ]
    slope, noise = found.parameter_slopes["a"]
    assert slope == pytest.approx(float(sum(squares)), rel=1e-15)
    assert 0 < noise < 1e-13 * slope


def test_a_mask_holds_for_a_batch_from_the_whole_domain():
    """The least prediction among those with a label that is not negative."""
    text = "loss: min(y_pred, axis=batch)\ny_true: '[-1, 2]'\nmask: y_true >= 0\n"
    cases = {case.name: case for case in table(text).probabilities}
    found = cases["whole domain"].rows
    kept = [row.y_pred[0] for row in found if row.y_true[0] >= 0]
    assert 0 < len(kept) < len(found)
    for row in found:
        assert row.value == min(kept)


def test_both_slopes_at_a_point_have_as_many_digits_as_it_takes():
    """Of 1 - p, where p is close to 1, 40 digits leave fewer."""
    text = "loss: -sum(y_true*log(1 - y_pred), axis=last)\ny_true: binary\n"
    found = table(f"{text}y_pred: {{domain: simplex, logits: softmax}}\n").logits
    for case in found:
        assert not case.at_kinks
    labelled = [row for case in found for row in case.rows if sum(row.y_true) == 1]
    assert labelled
    for row in labelled:
        true = row.y_true.index(1)
        powers = [mp.exp(mpf(logit)) for logit in row.y_pred]
        others = sum(powers) - powers[true]
        for k, (power, slope) in enumerate(zip(powers, row.gradient, strict=True)):
            share = power / sum(powers) - (k != true) * power / others
            assert abs(slope - share) <= 1e-12 * max(abs(share), mpf(10) ** -3)


def test_samples_at_which_it_overflows_are_left_out():
    """With a rate far from 1 the exponential is infinite in float32."""
    text = "loss: log(exp(y_pred/rate) + 1 + exp(-y_pred/rate)) - y_true\n"
    found = table(f"{text}params: {{rate: {{default: 1.0, domain: positive}}}}\n")
    for case in found.probabilities:
        for row in case.rows:
            assert abs(row.y_pred[0] / case.parameters["rate"]) < 128 * math.log(2)


def test_a_default_for_all_elements_counts_as_often_as_there_are_elements():
    """A sum over three elements of one value is three times the value."""
    text = "loss: sum(w, axis=last) + y_pred**2\ny_true: unused\n"
    params = "params: {w: {default: 1.5, shape: elements}}\n"
    for row in rows(text + params):
        squares = [float(value) ** 2 for value in row.y_pred]
        assert row.value == pytest.approx(4.5 + sum(squares) / 3, rel=1e-12)


def test_what_rounding_changes_counts_what_cancels():
    """The slopes of the parts are sums of squares, that of the parameter is 0."""
    sized = "y_true: {size: 1}\ny_pred: {size: 1}\n"
    text = "loss: a*u - a*sum(u, axis=last) + u\nwhere: {u: (y_true - y_pred)**2}\n"
    found = table(f"{text}params: {{a: {{default: 2.0}}}}\n{sized}")
    squares = [
        (Fraction(row.y_true[0]) - Fraction(row.y_pred[0])) ** 2
        for row in found.probabilities[-1].rows
    ]
    slope, noise = found.parameter_slopes["a"]
    assert slope == 0
    assert 2.0**-53 * max(squares) < noise < 64 * 2.0**-52 * sum(squares)


def test_beyond_open_ends_value_and_slope_are_those_of_the_guard_point():
    found = table("loss: y_true*log(y_pred)\ny_pred: positive\n").ends
    assert [row.y_pred for row in found][0::2] == [(0.0,), (-0.25,)]
    guard = float(np.float32(1e-18))
    for row in (found[0], found[2]):
        (y_true,) = row.y_true
        value = y_true * math.log(guard)
        assert row.total == pytest.approx(value, rel=1e-12)
        assert row.gradient == (pytest.approx(y_true / guard, rel=1e-12),)
        assert 0 < row.total_tolerance < 1e-4 * abs(value)
    assert table("loss: y_true*y_pred\n").ends == ()


def test_ends_where_parameters_have_no_default():
    found = table(
        "loss: weight*log(y_pred) + 0*y_true\ny_pred: positive\nparams: {weight: }\n"
    )
    weight = found.probabilities[0].parameters["weight"]
    (slope,) = found.ends[1].gradient
    assert slope == pytest.approx(weight / found.ends[1].y_pred[0], rel=1e-12)


def test_of_probabilities_of_classes_one_is_at_an_end():
    text = "loss: -sum(y_true*log(y_pred), axis=last)\n"
    (row,) = table(f"{text}y_true: one_hot\ny_pred: simplex\n").ends
    assert (row.y_true, row.y_pred[0]) == ((1.0, 0.0, 0.0), 0.0)
    guard = float(np.float32(1e-18))
    assert row.gradient[0] == pytest.approx(-1 / guard, rel=1e-12)
    assert row.gradient[1:] == (0.0, 0.0)


def test_same_loss_same_table():
    text = "loss: a*(y_true - y_pred)**2\nparams: {a: {default: 2.0}}\n"
    assert table(text) == table(text)


def test_what_float32_flushes_may_be_0():
    """A value below the smallest normal number is right as 0, 0 itself only as 0."""
    smallest = 2.0**-126
    assert tolerance(smallest / 64, 0.0) >= smallest / 64
    assert tolerance(-smallest / 64, 0.0) >= smallest / 64
    assert tolerance(2 * smallest, 0.0) < smallest
    assert tolerance(0.0, 0.0) < smallest


@pytest.mark.parametrize("power", ["1e300", "99999999999999999999"])
def test_samples_too_large_for_float32_are_left_out(power):
    found = rows(f"loss: abs(y_true - y_pred)**{power}\n")
    for row in found:
        (t,), (p,) = exactly(row.y_true), exactly(row.y_pred)
        assert abs(t - p) < 1  # its power is 0 in float64
        assert row.value == 0


def test_no_sample_of_moderate_size():
    with pytest.raises(NoSamplesError, match="1e\\+30"):
        rows("loss: 1e35*(2 + sin(y_true*y_pred))\n")


def test_elements_of_a_long_last_axis_share_the_mean():
    found = rows(
        "loss: (y_true - y_pred)**2\ny_true: {size: 100}\ny_pred: {size: 100}\n"
    )
    assert len(found) == 6
    for row in found:
        pairs = list(zip(exactly(row.y_true), exactly(row.y_pred), strict=True))
        assert close(row.value, mpf(float(sum((t - p) ** 2 for t, p in pairs) / 100)))
        for slope, (t, p) in zip(row.gradient, pairs, strict=True):
            assert close(slope, mpf(float(2 * (p - t) / 100)))


def test_a_sample_left_out_takes_its_parameter_along():
    (case, *_) = table(
        "loss: w*y_true*log(y_pred)\nassume: y_pred > 0\n"
        "params: {w: {shape: elements}}\n"
    ).probabilities
    assert 0 < len(case.rows) < 12
    for row, (weight,) in zip(case.rows, case.parameters["w"], strict=True):
        (t,), (p,) = row.y_true, row.y_pred
        assert p > 0
        assert close(row.value, mpf(weight) * t * mp.log(p))


def test_inputs_at_the_upper_end_are_moved_down():
    """A rounding upwards would leave the domain of the logarithm."""
    text = "loss: -log(1.000001 - y_pred)*y_true\ny_pred: (1, 1.000001)\n"
    for row in rows(text):
        (p,) = row.y_pred
        assert 1 < p < 1.000001
        assert row.value_tolerance > 0


@pytest.mark.parametrize(
    ("shape", "default"), [("last", [1, 2, 3, 4, 5]), ("elements", [[1, 2], [3, 4]])]
)
def test_a_default_for_other_tensors_is_not_sampled(shape, default):
    for case in table(
        "loss: a*(y_true - y_pred)**2\n"
        f"params: {{a: {{default: {default}, shape: {shape}}}}}\n"
    ).probabilities:
        assert len(np.ravel(case.parameters["a"])) != len(np.ravel(default))


def test_where_all_samples_are_at_a_kink_any_slope_between_will_do():
    """Both running sums end at 1, so the last term has the slopes -1 and 1 everywhere.

    With q = cumsum(y_pred) and t = cumsum(y_true) the slope by y_pred[j] is the sum of
    sign(q - t) from j on, give or take 1 for each q = t.
    """
    found = table(
        "loss: sum(abs(cumsum(y_pred, axis=last) - cumsum(y_true, axis=last)), "
        "axis=last)\ny_true: simplex\ny_pred: simplex\n"
    )
    for row in found.probabilities[0].rows:
        gaps = np.cumsum(row.y_pred) - np.cumsum(row.y_true)
        assert gaps[2] == 0
        assert row.value == pytest.approx(np.abs(gaps).sum())
        signs = [np.sign(gaps[j:]).sum() for j in range(3)]
        ties = [(gaps[j:] == 0).sum() for j in range(3)]
        assert row.gradient == pytest.approx(signs)
        assert row.gradient_tolerance == pytest.approx(ties, abs=1e-3)
