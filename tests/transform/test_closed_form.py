"""Slopes in closed form equal the derivatives, and are written without what cancels."""

import random

import pytest
from losses import P, resolved
from mpmath import mp, mpf

from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import evaluate, ray
from lossgen.calculus.jets import coefficients
from lossgen.ir.expr import Role
from lossgen.transform.closed_form import has_slopes, with_slopes
from lossgen.transform.stabilize import stabilizer

TEXTS = {
    # Gneiting and Raftery 2007, eq. 21: by the scale, 2*pdf(z) - 1/sqrt(pi).
    "crps": """
        loss: >-
          sigma*(z*(2*normal_cdf(z) - 1) + 2*exp(-z**2/2)/sqrt(2*pi) - 1/sqrt(pi))
        where: {z: (y_true - mu)/sigma}
        y_pred: {channels: {mu: real, sigma: positive}}
        """,
    "weighted": """
        loss: weight*(log(scale) + (y_true - mean)**2/scale**power)
        y_pred: {channels: {mean: real, scale: positive}}
        params:
          weight: {default: 2.0, domain: positive}
          power: {default: 1.5, domain: positive}
        """,
    "target with a gradient": """
        loss: log(cosh(y_true - y_pred)) + exp(y_true*y_pred)
        y_true: {domain: real, gradient: true}
        """,
}


def sloped(text, *, multiplied_out=False):
    loss = resolved(text)
    rewrite = stabilizer(loss, {})
    form = rewrite(loss.expression)
    every = {item.symbol: multiplied_out for item in loss.variables}
    return loss, with_slopes(form, loss.expression, loss, rewrite, every)


@pytest.mark.parametrize("multiplied_out", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_slopes_are_the_derivatives_of_the_formula(name, multiplied_out):
    loss, found = sloped(TEXTS[name], multiplied_out=multiplied_out)
    _, *pairs = found.args
    slopes = dict(zip(pairs[::2], pairs[1::2], strict=True))
    roles = {Role.Y_PRED, Role.PARAMETER}
    if loss.spec.y_true.gradient:
        roles.add(Role.Y_TRUE)
    assert list(slopes) == [item.symbol for item in loss.of_role(*roles)]
    generator = random.Random(name)
    with mp.workdps(60):
        for _ in range(10):
            point = {v.name: mpf(generator.uniform(0.2, 3)) for v in loss.variables}
            for symbol, slope in slopes.items():

                def along(x, name=symbol.name, point=point):
                    at = {**point, name: x}
                    return evaluate(loss.expression, at, digits=300).item()

                expected = mp.diff(along, point[symbol.name])
                (value,) = evaluate(slope, point, digits=60).flat
                assert abs(value - expected) < mpf(10) ** -15 * (1 + abs(expected))


def test_what_cancels_is_gone():
    _, found = sloped(TEXTS["crps"])
    value, _, by_mean, _, by_scale = found.args
    assert "erf" in spell(value)
    assert spell(by_mean) == "-erf((y_true - mu)/sigma/sqrt(2))"
    assert "erf" not in spell(by_scale)


@pytest.mark.parametrize(
    "formula",
    ["abs(y_pred - y_true)", "sum(y_pred*y_true, axis=last)", "max(y_pred, y_true)"],
)
def test_kinks_and_axes_are_left_alone(formula):
    assert not has_slopes(resolved(f"loss: {formula}").expression)


STOPPED = {
    "exponentials": "stop_gradient(exp(y_pred/2))*(y_true - y_pred)*exp(-y_pred)",
    "powers": "stop_gradient(y_pred**k)*(y_true - y_pred)**2/y_pred**2",
    "sums": "(y_pred - stop_gradient(y_pred) + y_true)**2*y_pred",
    "logarithms": "log(stop_gradient(y_pred)*y_pred**2)*y_pred",
    "gamma functions": "lgamma(stop_gradient(y_pred) + y_pred) - lgamma(y_pred)",
    "in between": "(lgamma(2*y_pred) - y_true) - lgamma(stop_gradient(y_pred))",
}


@pytest.mark.parametrize("multiplied_out", [False, True])
@pytest.mark.parametrize("name", STOPPED)
def test_what_gradients_do_not_pass_is_not_merged(name, multiplied_out):
    keys = "y_pred: positive\nparams: {k: {default: 1.5, domain: positive}}\n"
    text = f"loss: {STOPPED[name]} + 0*k*y_true\n{keys}"
    loss, found = sloped(text, multiplied_out=multiplied_out)
    form, *pairs = found.args
    slope = dict(zip(pairs[::2], pairs[1::2], strict=True))[P]

    def derivatives(expr, order):
        moving = ray(mpf("0.7"), 1, order)
        at = {"y_true": mpf("1.3"), "y_pred": moving, "k": mpf("1.5")}
        return coefficients(evaluate(expr, at, digits=50).item(), order)

    with mp.workdps(50):
        expected = 2 * derivatives(loss.expression, 2)[2]
        assert abs(derivatives(slope, 1)[1] - expected) < mpf(10) ** -40
        assert abs(2 * derivatives(form, 2)[2] - expected) < mpf(10) ** -40
