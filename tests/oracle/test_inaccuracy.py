"""What is said of forms that go wrong in float32.

The forms are the formulas as written, so that no rewriting mends what is to be found.
"""

import re

import numpy as np
import pytest
from losses import P, call, resolved
from mpmath import mp

from lossgen.diagnostics.diagnostic import Report
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.alarms import Kind, examine
from lossgen.oracle.inaccuracy import report_inaccuracy
from lossgen.transform.stabilize import stabilizer

SOFTPLUS = "loss: log(1 + exp(y_pred)) + 0*y_true"
COSH = "loss: cosh(y_pred - y_true) - 1"
COS = "loss: 1 - cos(y_pred - y_true)"


def alarms(spec):
    """What is wrong with a formula that is computed as it is written."""
    loss = resolved(spec)
    return {a.kind: a for a in examined(loss, loss.expression).alarms}


def examined(loss, form):
    return examine(Measured(loss, logits=False, bounds=True), form)


def warnings(spec):
    loss, report = resolved(spec), Report()
    report_inaccuracy(Measured(loss, logits=False), loss.expression, (), report)
    return {item.code.id: item for item in report}


def inputs(alarm):
    return [float(alarm.point.batch.inputs[k].item()) for k in ("y_true", "y_pred")]


def marked(item):
    return item.span.source.text[item.span.start : item.span.end]


def test_an_overflow_on_the_way():
    found = alarms(SOFTPLUS)[Kind.NOT_FINITE]
    _, y_pred = inputs(found)
    with mp.workdps(30):
        assert float(found.right) == pytest.approx(float(mp.log1p(mp.exp(y_pred))))
    assert not mp.isfinite(found.found)
    # exp overflows from 88.7 on; the point is written in few digits.
    assert 88 < y_pred < 1e4
    assert len(f"{y_pred:g}".rstrip("0")) <= 3


def test_zeros_and_lost_digits():
    found = alarms(COSH)
    zero, digits = found[Kind.ZERO], found[Kind.DIGITS]
    for alarm in (zero, digits):
        y_true, y_pred = inputs(alarm)
        with mp.workdps(40):
            right = mp.cosh(mp.mpf(y_pred) - y_true) - 1
            slope = mp.sinh(mp.mpf(y_pred) - y_true)
        expected = slope if alarm.is_slope else right
        assert float(alarm.right) == pytest.approx(float(expected))
    assert zero.found == 0
    naive = np.cosh(np.float32(inputs(digits)[1]) - np.float32(inputs(digits)[0]))
    assert float(digits.found) == pytest.approx(naive - np.float32(1), rel=1e-3)
    assert digits.error > 64


@pytest.mark.parametrize(
    ("spec", "code", "operation", "way_out"),
    [
        (SOFTPLUS, "LG601", "exp(y_pred)", "softplus"),
        (COSH, "LG602", "cosh(y_pred - y_true) - 1", "nothing cancels"),
        (COS, "LG603", "1 - cos(y_pred - y_true)", "nothing cancels"),
        (
            "loss: log(r)\nwhere: {r: exp(y_pred) + exp(2*y_true)}",
            "LG601",
            "exp(y_pred)|exp(2*y_true)",
            "logsumexp",
        ),
    ],
)
def test_the_operation_is_shown_and_a_way_out(spec, code, operation, way_out):
    found = warnings(spec)[code]
    assert marked(found) in operation.split("|")
    assert way_out in found.help
    assert f"a reason for {code} under `allow`" in found.help
    assert re.match(r"at y_true = \S+, y_pred = \S+: this ", found.notes[0])


def test_what_is_to_be_declared_helps():
    found = warnings("loss: log(expm1(y_pred)) + y_true\ny_pred: positive")["LG601"]
    assert "is 2.69e+43, more than float32 can hold" in found.notes[0]
    domains = re.findall(r"`(y_\w+: \"[^\"]+\")`", found.help)
    assert [text.partition(":")[0] for text in domains] == ["y_true", "y_pred"]
    lines = "\n".join(domains)
    assert warnings(f"loss: log(expm1(y_pred)) + y_true\n{lines}") == {}


def test_slopes_are_named_by_channel_and_element():
    """sigmoid(s) - 1 is about -exp(-s), and keeps few of its digits."""
    spec = """\
        loss: sum(1e4 + softplus(s) - t*s, axis=last) + square(m)
        y_true: {channels: {t: {domain: binary, size: 2}}}
        y_pred: {channels: {m: {domain: real, size: 1}, s: {domain: real, size: 2}}}
        """
    found = warnings(spec)
    assert found
    message = r"in float32 the gradient by s\[([01])\] comes out as (\S+), not (\S+)"
    for item in found.values():
        element, result, right = re.fullmatch(message, item.message).groups()
        at = {
            name: re.search(rf"\b{name} = \[(\S+), (\S+)\]", item.notes[0])
            for name in "ts"
        }
        t, s = (float(at[name][1 + int(element)]) for name in "ts")
        expected = float(1 / (1 + mp.exp(-s)) if t == 0 else -1 / (1 + mp.exp(s)))
        assert float(right) == pytest.approx(expected, rel=1e-4)
        assert abs(float(result) / expected - 1) > 64 * 2.0**-24


@pytest.mark.parametrize(
    "spec",
    [
        "loss: square(y_pred - y_true)",
        "loss: softplus(y_pred) - y_true*y_pred\ny_true: unit",
        "loss: exp(y_pred) - y_true*y_pred",  # what is right overflows, too
        "loss: square(square(square(y_pred - y_true)))",
        f"{SOFTPLUS}\nassume: [y_pred < 80, y_pred > 0]",
        f"{SOFTPLUS}\nmask: y_true > 2e18",
        'loss: log1p(exp(y_pred)) + y_true**2\ny_pred: "[0, 80]"',
    ],
)
def test_what_is_right_is_not_told(spec):
    assert warnings(spec) == {}


def test_how_far_a_form_is_exact():
    """exp overflows from 88.7 on, the fourth power of a residual from 4e9 on."""
    loss = resolved(f"{SOFTPLUS}\nassume: y_pred > 0")
    assert examined(loss, loss.expression).reach == 50
    assert examined(loss, stabilizer(loss, {})(loss.expression)).reach == 1e18
    loss = resolved("loss: sqrt(1 + square(square(y_pred - y_true)))")
    found = examined(loss, loss.expression)
    assert found.alarms == ()
    assert 1e8 <= found.reach <= 4e9
    loss = resolved("loss: 1 - cos(y_pred - y_true)")
    assert examined(loss, loss.expression).reach is None


def test_logits_are_examined_beyond_the_domain_of_probabilities():
    """-log(sigmoid(z)) is about -z for z below 0, and exp(-z) overflows below -88."""
    loss = resolved(
        "loss: -log(y_pred) + 0*y_true\ny_pred: {domain: probability, logits: sigmoid}"
    )
    measure = Measured(loss, logits=True)
    form = call("log", call("add", 1, call("exp", call("neg", P))))
    found = examine(measure, form)
    (alarm,) = [item for item in found.alarms if item.kind is Kind.NOT_FINITE]
    _, logit = inputs(alarm)
    assert logit < -88
    with mp.workdps(30):
        assert float(alarm.right) == pytest.approx(float(mp.log1p(mp.exp(-logit))))
    # 1 + exp(-z) has lost exp(-z) before; softplus has not.
    assert found.reach is None or found.reach < 88
    assert examine(measure, call("softplus", call("neg", P))).reach == 1e18
