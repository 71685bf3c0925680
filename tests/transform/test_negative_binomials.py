"""Negative binomials are found however they are written, and keep their digits."""

import pytest
from losses import resolved

from lossgen.calculus.evaluate import evaluate
from lossgen.ir.accuracy import GRADIENT_BAR, VALUE_BAR
from lossgen.ir.expr import Apply, walk
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.samples import sample
from lossgen.transform.stabilize import stabilizer

SIZES = "y_true: count\ny_pred: {channels: {m: positive, r: positive}}\n"
LOGARITHMS = "y_true: count\ny_pred: {channels: {lm: real, lr: real}}\n"
BOTH = LOGARITHMS + "where: {r: exp(lr), m: exp(lm)}\n"
SIZE = LOGARITHMS + "where: {r: exp(lr)}\n"
GIVEN = "y_true: count\nparams: {r: {default: 0.01, domain: positive}}\n"
FACTORIAL = "lgamma(y_true + 1)"
CASES = {
    "by mean": (
        f"lgamma(r) + {FACTORIAL} - lgamma(y_true + r)"
        " - r*log(r/(r + m)) - y_true*log(m/(r + m))",
        SIZES,
    ),
    "by dispersion": (
        f"lgamma(1/r) + {FACTORIAL} - lgamma(y_true + 1/r)"
        " + (y_true + 1/r)*log(1 + r*m) - y_true*log(r*m)",
        SIZES,
    ),
    "by logarithms": (
        f"lgamma(r) + {FACTORIAL} - lgamma(y_true + r)"
        " - r*log(r) - y_true*log(m) + (r + y_true)*log(r + m)",
        SIZES,
    ),
    "as a log-likelihood": (
        f"1 - (lgamma(r + y_true) - lgamma(r) - {FACTORIAL}"
        " + r*log(r/(m + r)) + xlogy(y_true, m/(m + r)))",
        SIZES,
    ),
    "without the factorial": (
        "r*log1p(m/r) - lgamma(y_true + r) + y_true*log1p(r/m) + lgamma(r)",
        SIZES,
    ),
    "by log-mean and log-dispersion": (
        f"lgamma(r) + {FACTORIAL} - lgamma(y_true + r)"
        " - r*log(r/(r + m)) - y_true*log(m/(r + m))",
        BOTH,
    ),
    "by softplus": (
        f"(y_true + r)*softplus(lm - lr) - y_true*(lm - lr) + {FACTORIAL}"
        " + lgamma(r) - lgamma(r + y_true)",
        SIZE,
    ),
    "by logits": (
        f"{FACTORIAL} - r*log_sigmoid(lr - lm) - y_true*log_sigmoid(lm - lr)"
        " + lgamma(r) - lgamma(r + y_true)",
        SIZE,
    ),
    "by log-mean and a given size": (
        "(y_true + r)*log(r + exp(y_pred)) - y_true*y_pred - r*log(r)"
        f" + lgamma(r) - lgamma(y_true + r) + {FACTORIAL}",
        GIVEN,
    ),
    "beside other terms": (
        f"lgamma(r) + {FACTORIAL} + (m - 2)**2 - lgamma(y_true + r)"
        " - r*log(r/(r + m)) + log(1 + m**2) - y_true*log(m/(r + m))",
        SIZES,
    ),
}


def stabilized(name):
    formula, keys = CASES[name]
    loss = resolved(f"loss: {formula}\n{keys}")
    return loss, stabilizer(loss, {})(loss.expression)


def found(expr):
    return [
        n for n in walk(expr) if isinstance(n, Apply) and n.op == "negative_binomial"
    ]


@pytest.mark.parametrize("name", CASES)
def test_negative_binomials_are_found(name):
    loss, form = stabilized(name)
    assert len(found(form)) == 1
    for seed in range(5):
        batch = sample(loss, rows=3, seed=seed, defaults=False)
        at = {**batch.inputs, **batch.parameters}
        expected = evaluate(loss.expression, at, digits=80)
        gap = abs(evaluate(form, at, digits=80) - expected)
        assert (gap <= 1e-30 * (1 + abs(expected))).all()


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][1] != SIZE])
def test_they_keep_their_digits(name):
    loss, form = stabilized(name)
    accuracy = Measured(loss, logits=False)(form)
    assert accuracy.value <= VALUE_BAR
    assert accuracy.gradient <= GRADIENT_BAR
    # The gamma function of exp(lr) overflows from lr = 88 on.
    assert not accuracy.wrong or CASES[name][1] == BOTH


@pytest.mark.parametrize(
    ("formula", "keys"),
    [
        # With another weight of a term, or no count, it is none.
        (CASES["by mean"][0].replace("- y_true*log", "- 2*y_true*log"), SIZES),
        (CASES["by mean"][0], SIZES.replace("count", "nonnegative")),
        ("lgamma(r) - lgamma(y_true + r) + r*log(m)", SIZES),
    ],
)
def test_what_is_none_is_left_alone(formula, keys):
    loss = resolved(f"loss: {formula}\n{keys}")
    assert not found(stabilizer(loss, {})(loss.expression))
