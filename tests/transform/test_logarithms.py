"""Logarithms of exponentials: no digits are lost, whatever they are made of.

Each kind is written along every axis, with its terms in another order, with weights,
and with names in between. The reference is mpmath on the formula as written, at points
up to 1e18 in size.
"""

import pytest
from losses import resolved

from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import evaluate
from lossgen.ir.accuracy import GRADIENT_BAR, VALUE_BAR
from lossgen.ir.expr import Apply, walk
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.samples import sample
from lossgen.transform.stabilize import stabilizer

POSITIVE = "y_true: positive\n"
AXES = ("last", "spatial", "sample", "batch")
THETA = "params: {theta: {default: 0.7, domain: positive}}\n"
TWO = (
    "y_pred: {channels: {m1: real, m2: real}}\n"
    "params: {w: {default: 0.3, domain: '(0, 1)'}}\n"
)
MARKS = "y_true: binary\nassume: ['sum(y_true*exp(y_pred), axis=AXIS) > 0']\n"

# Formula and other keys; AXIS stands for each axis.
ALONG = {
    "sum": ("log(sum(exp(y_pred), axis=AXIS)) - mean(y_true*y_pred, axis=AXIS)", ""),
    "weights": (
        "log(sum(theta*exp(y_pred), axis=AXIS)) - mean(y_true, axis=AXIS)",
        THETA,
    ),
    "quotient of a sum": (
        "mean(y_true, axis=AXIS) - log(theta/sum(exp(y_true*y_pred), axis=AXIS))",
        "y_true: unit\n" + THETA,
    ),
    "mean": ("log(mean(exp(y_pred), axis=AXIS)) - mean(y_true*y_pred, axis=AXIS)", ""),
    "mean with names": (
        "mean(y_true*y_pred, axis=AXIS) - log(m)",
        "where: {m: 'mean(s, axis=AXIS)', s: exp(-y_pred)}\n",
    ),
    "two in a sum": (
        "log(sum(exp(y_pred) + exp(2*y_pred), axis=AXIS)) - mean(y_true, axis=AXIS)",
        "",
    ),
    "softmax": ("-mean(y_true*log(softmax(y_pred, axis=AXIS)), axis=AXIS)", POSITIVE),
    "share": (
        "-mean(y_true*log(exp(y_pred)/s), axis=AXIS)",
        "where: {s: 'sum(exp(y_pred), axis=AXIS)'}\n" + POSITIVE,
    ),
    "marked part": (
        "logsumexp(y_pred, axis=AXIS) - log(sum(y_true*exp(y_pred), axis=AXIS))",
        MARKS,
    ),
    "marked part, terms apart": (
        "theta - log(s) + logsumexp(y_pred, axis=AXIS)",
        MARKS + "where: {s: 'sum(exp(y_pred)*y_true, axis=AXIS)'}\n" + THETA,
    ),
    "share of a marked part": (
        "-log(sum(y_true*exp(y_pred), axis=AXIS)/sum(exp(y_pred), axis=AXIS))",
        MARKS,
    ),
    "marked part of a softmax": (
        "-log(sum(y_true*softmax(y_pred, axis=AXIS), axis=AXIS))",
        MARKS,
    ),
    "counted terms": (
        "log(sum(y_true*exp(y_pred), axis=AXIS)) - mean(y_pred, axis=AXIS)",
        MARKS.replace("binary", "count"),
    ),
    "running sum": (
        "mean(log(cumsum(exp(y_pred), axis=AXIS)) - y_true*y_pred, axis=AXIS)",
        "",
    ),
    "weighted running sum": (
        "mean(log(s) - y_true*y_pred, axis=AXIS)",
        "where: {s: 'cumsum((1 + y_true)*exp(y_pred)/2, axis=AXIS)'}\ny_true: unit\n",
    ),
    "chosen terms": (
        "log(theta + sum(where(y_true > 0, exp(y_pred), 0), axis=AXIS))",
        THETA,
    ),
}
APART = {
    "two exponentials": ("log(exp(y_true) + exp(y_pred))", ""),
    "three terms": ("log(exp(y_pred) + exp(2*y_pred) + 1) - y_true*y_pred", ""),
    "in another order": (
        "log(1 + a + a**2) - y_true*y_pred",
        "where: {a: exp(y_pred)}\n",
    ),
    "a number under log1p": ("log1p(exp(y_pred) + exp(-2*y_pred)) + y_true", ""),
    "a constant": ("log(theta + exp(y_pred)) - y_true*y_pred", THETA),
    "a weight under log1p": ("log1p(exp(y_pred)/theta) - y_true*y_pred", THETA),
    "a count": ("log1p(y_true*exp(y_pred)) + y_true", "y_true: count\n"),
    "a mixture": (
        "-log(w*exp(-(y_true - m1)**2/2) + (1 - w)*exp(-(y_true - m2)**2/2))",
        TWO,
    ),
    "a mixture of densities": (
        "-log(q/sqrt(2*pi)*exp(-(y_true - m2)**2/2) + w*exp(-d)/sqrt(2*pi))",
        TWO + "where: {d: (y_true - m1)**2/2, q: 1 - w}\n",
    ),
    "a scale": (
        "-log(0.9*exp(-z**2/2)/s + 0.1*exp(-z**2/200)/(10*s))",
        "y_pred: {channels: {m: real, s: positive}}\nwhere: {z: (y_true - m)/s}\n",
    ),
    "a product": ("log(exp(y_pred)*(1 + y_true**2))", ""),
    "a power": ("log(exp(y_pred)**3*sqrt(exp(y_true)))", ""),
    "a square": ("log((theta*exp(y_pred))**2) - y_true", THETA),
    "a sigmoid": ("-y_true*log(sigmoid(y_pred)/theta)", THETA),
    "a weighted logarithm": ("xlogy(y_true, theta*sigmoid(y_pred))", THETA),
    "a hyperbolic cosine": ("log(cosh(y_true - y_pred)) + log(cosh(y_pred)*2)", ""),
    "a distribution function": (
        "log(theta*normal_cdf(y_pred) + exp(-y_true))",
        "y_true: positive\n" + THETA,
    ),
    "expm1": ("y_true - log(expm1(y_pred))", "y_pred: positive\n"),
    "a difference": ("log(exp(2*y_pred) - exp(y_pred)) - y_true", "y_pred: positive\n"),
    "expm1 of a gap": (
        "log(expm1(b - a))*y_true",
        "y_pred: {channels: {a: real, b: real}}\nassume: [b > a]\n",
    ),
}
CASES = {
    **{
        f"{name}, {axis}": tuple(part.replace("AXIS", axis) for part in case)
        for name, case in ALONG.items()
        for axis in AXES
    },
    **APART,
}


def stabilized(name):
    formula, keys = CASES[name]
    loss = resolved(f"loss: {formula}\n{keys}")
    return loss, stabilizer(loss, {})(loss.expression)


@pytest.mark.parametrize("name", CASES)
def test_forms_equal_the_formula(name):
    loss, form = stabilized(name)
    assert form != loss.expression
    compared = 0
    for seed in range(6):
        batch = sample(loss, rows=3, seed=seed, defaults=False)
        at = {**batch.inputs, **batch.parameters}
        try:
            expected = evaluate(loss.expression, at, digits=60)
        except ArithmeticError:
            continue  # nothing is marked
        gap = abs(evaluate(form, at, digits=60) - expected)
        assert (gap <= 1e-40 * (1 + abs(expected))).all()
        compared += 1
    assert compared


@pytest.mark.parametrize("name", CASES)
def test_forms_keep_their_digits(name):
    loss, form = stabilized(name)
    found = Measured(loss, logits=False)(form)
    assert not found.wrong
    assert found.value <= 4 * VALUE_BAR
    # A share of exp(u) is off by u ulps where u comes of labels, which count as exact.
    assert found.gradient <= 16 * GRADIENT_BAR


@pytest.mark.parametrize(
    "formula",
    [
        "log(1 + sigmoid(y_pred)) + y_true",  # between 1 and 2
        "log(2 + exp(-y_pred**2)) + y_true",
        "log(y_true**2 + 1) + exp(y_pred)",
    ],
)
def test_what_stays_in_range_is_left_alone(formula):
    loss = resolved(f"loss: {formula}\n")
    form = stabilizer(loss, {})(loss.expression)
    found = {node.op for node in walk(form) if isinstance(node, Apply)}
    assert not found & {"logaddexp", "logsumexp", "softplus"}


@pytest.mark.parametrize("domain", ["real", "'[0, 1]'"])
def test_weights_that_gradients_need_have_a_logarithm_only_if_positive(domain):
    """At w = 0 the slope of log(w*exp(u) + exp(v)) by w is exp(u - v), not 0."""
    keys = f"params: {{w: {{default: 0.5, domain: {domain}}}}}\n"
    loss = resolved(f"loss: log(w*exp(y_pred) + exp(y_true))\n{keys}")
    assert "logaddexp" not in spell(stabilizer(loss, {})(loss.expression))
