"""Every rule is an equality, and every rule fires."""

import random

import numpy as np
import pytest
from losses import call, resolved
from mpmath import mp, mpf
from standin import array, run

from lossgen.backend.printer import Printer
from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import rebuild, symbols, walk
from lossgen.transform.patterns import REST
from lossgen.transform.rules import RULES, Condition, V, W, Y
from lossgen.transform.stabilize import stabilizer, to_logits


def _is_sloped(rule):
    return "with_slopes" in {getattr(n, "op", "") for n in walk(rule.replacement)}


BY_NAME = {rule.name: rule for rule in RULES}


def test_rules_have_names_and_reasons():
    assert len(BY_NAME) == len(RULES)
    assert all(rule.name and rule.reason for rule in RULES)


@pytest.mark.parametrize("name", BY_NAME)
def test_rules_change_something_and_bind_what_they_use(name):
    rule = BY_NAME[name]
    assert rule.pattern != rule.replacement
    assert set(symbols(rule.replacement)) <= set(symbols(rule.pattern))
    uses_label = Y in symbols(rule.pattern) and rule.condition is Condition.NONE
    # A rule on y without a condition speaks of a `select`, which has had one.
    assert not uses_label or "select" in {
        getattr(n, "op", "") for n in walk(rule.pattern)
    }


@pytest.mark.parametrize("name", BY_NAME)
def test_both_sides_are_equal(name):
    rule = BY_NAME[name]
    generator = random.Random(name)
    wild = symbols(rule.pattern)
    compared = 0
    with mp.workdps(60):
        for attempt in range(4000):
            if attempt >= 200 and compared >= 100:
                break
            inputs = {s.name[1:]: _drawn(s, rule, generator) for s in wild}
            if rule.condition is Condition.OPPOSITE:
                inputs["v"] = -inputs["u"]
            left, right = (_value(e, inputs) for e in (rule.pattern, rule.replacement))
            ok = np.vectorize(mp.isfinite, otypes=[bool])(left)
            compared += ok.sum()
            gap = np.abs(left - right)[ok]
            assert not (gap > mpf(10) ** -40 * (1 + np.abs(left[ok]))).any(), inputs
    # The pattern is defined somewhere; the replacement wherever the pattern is.
    assert compared >= 100


def _drawn(symbol, rule, generator):
    if rule.name == "concordance":
        rows = [[generator.gauss(0, 8) for _ in range(3)] for _ in range(4)]
        return array(np.square(rows) if symbol == REST else rows)
    if rule.condition is Condition.W_SHARE:
        # The ends of a clip, in order, and what is clipped.
        low, high = {"u": (-1, 2), "v": (0, 0.1), "w": (0.9, 1)}[symbol.name[1:]]
        return array([[generator.uniform(low, high) for _ in range(3)]])
    if rule.condition is Condition.SHARED_TERM:
        # The sides of the equality are those of any two numbers.
        return array([[generator.gauss(0, 8) for _ in range(3)]])
    if symbol == Y and rule.condition is Condition.Y_SHARES:
        parts = [mpf(generator.randint(0, 5)) for _ in range(2)]
        return array([[*(part / 10 for part in parts), 1 - sum(parts) / 10]])
    if symbol == Y and rule.condition is Condition.Y_ONE_HOT:
        chosen = generator.randrange(3)
        return array([[int(index == chosen) for index in range(3)]])
    if symbol == Y:
        return array([[generator.randint(0, 1)] * 3])
    if symbol == V and rule.condition is Condition.V_COUNT:
        return array([[generator.randint(0, 20) for _ in range(3)]])
    if symbol == W and rule.condition is Condition.W_BETWEEN_1_AND_2:
        return array([[generator.uniform(1.05, 1.95) for _ in range(3)]])
    spread = generator.choice([1, 8])
    if rule.condition is Condition.FAR_APART:
        return array([[generator.expovariate(1 / spread) for _ in range(3)]])
    nonnegative = (Condition.V_NONNEGATIVE, Condition.V_LABEL, Condition.V_FRACTION)
    if symbol == V and rule.condition in nonnegative:
        return array([[generator.expovariate(1 / spread) for _ in range(3)]])
    if symbol == W and rule.condition is Condition.W_POSITIVE:
        return array([[generator.expovariate(1 / spread) for _ in range(3)]])
    return array([[generator.gauss(0, spread) for _ in range(3)]])


def _value(expr, inputs):
    expr = _selected(expr)
    printer = Printer({f"?{name}": name for name in inputs})
    try:
        found = run(printer.source(expr), inputs)
    except ZeroDivisionError:
        return np.full((1, 3), mp.nan)
    found = np.vectorize(_real, otypes=[object])(np.asarray(found))
    return np.broadcast_to(found, np.broadcast_shapes(found.shape, (1, 1)))


def _real(value):
    """Powers of negative numbers leave the reals: there is no value there."""
    return value if isinstance(value, mpf) else mp.nan


def _selected(expr):
    """The choice of a form by a label, in numbers."""

    def visit(node):
        if getattr(node, "op", None) != "select":
            return node
        y, one, zero = node.args
        return call("where", call("eq", y, 1), one, zero)

    return rebuild(expr, visit)


@pytest.mark.parametrize("name", [rule.name for rule in RULES if _is_sloped(rule)])
def test_slopes_that_a_rule_gives_are_derivatives(name):
    replacement = BY_NAME[name].replacement
    (sloped,) = (n for n in walk(replacement) if getattr(n, "op", "") == "with_slopes")
    value, *pairs = sloped.args
    generator = random.Random(name)
    for _ in range(20):
        at = {s.name: mpf(generator.gauss(0, 3)) for s in symbols(value)}
        if "positive" in name:
            at = {key: abs(number) for key, number in at.items()}
        for symbol, slope in zip(pairs[::2], pairs[1::2], strict=True):

            def along(x, symbol=symbol, at=at):
                return evaluate(value, {**at, symbol.name: x}, digits=300).item()

            with mp.workdps(40):
                (found,) = evaluate(slope, at, digits=40).flat
                expected = mp.diff(along, at[symbol.name])
                assert abs(found - expected) < mpf(10) ** -12 * (1 + abs(expected))


# Formulas that need each rule ---------------------------------------------------------

LOG_SCALE = "y_pred: {channels: {mu: real, s: real}}\n"
BINARY = "y_true: binary\ny_pred: probability\n"
LOGITS = "y_true: binary\ny_pred: {domain: probability, logits: sigmoid}\n"
CLASSES = "y_true: one_hot\ny_pred: {domain: simplex, logits: softmax}\n"
COUNTS = "y_true: count\ny_pred: positive\n"
TWEEDIE = (
    "y_true: positive\ny_pred: positive\n"
    "params: {k: {default: 1.5, domain: '(1, 2)'}}\n"
)
FORMULAS = {
    "binary-mixture": ("y_true*sin(y_pred) + (1 - y_true)*cos(y_pred)", BINARY),
    "binary-complement": (
        "(1 - (y_true*y_pred + (1 - y_true)*(1 - y_pred)))**3",
        BINARY,
    ),
    "log-of-binary-mixture": (
        "-log(y_true*y_pred + (1 - y_true)*(1 - y_pred))",
        BINARY,
    ),
    "sigmoid-mixture": ("(y_true*y_pred + (1 - y_true)*(1 - y_pred))*2", LOGITS),
    "log-sigmoid-mixture": (
        "-(y_true*log(y_pred) + (1 - y_true)*log(1 - y_pred))",
        LOGITS,
    ),
    "double-complement": ("(1 - (1 - y_pred))*y_true", ""),
    "sigmoid-complement": ("y_true*(1 - sigmoid(y_pred))", ""),
    "softmax-complement": ("y_true*(1 - softmax(y_pred, axis=last))", ""),
    "log-softmax-complement": (
        "-sum(y_true*log(1 - softmax(y_pred, axis=last)), axis=last)",
        "",
    ),
    "softmax-complement-power": ("y_true*(1 - softmax(y_pred, axis=last))**1.5", ""),
    "softmax-power": ("y_true*softmax(y_pred, axis=last)**1.5", ""),
    "sqrt-of-sigmoid": ("y_true*sqrt(sigmoid(y_pred))", ""),
    "sqrt-of-softmax": ("y_true*sqrt(softmax(y_pred, axis=last))", ""),
    "picked-softmax": ("log(sum(y_true*y_pred, axis=last))", CLASSES),
    "picked-softmax-complement": ("(1 - sum(y_true*y_pred, axis=last))**0.5", CLASSES),
    "reciprocal-logistic-square": ("1/(1 + exp(y_true*y_pred))**2", ""),
    "tanh-complement": ("y_true*(1 - tanh(y_pred))", ""),
    "share-of-mean": (
        "xlogy(y_true, 2*y_true/(y_true + y_pred))",
        "y_pred: positive\n",
    ),
    "log-of-quotient": (
        "log(y_true/y_pred)**2",
        "y_true: positive\ny_pred: positive\n",
    ),
    "log-difference": (
        "(log(y_true) - log(y_pred))**2",
        "y_true: positive\ny_pred: positive\n",
    ),
    "log1p-difference": (
        "(log1p(y_true) - log1p(y_pred))**2",
        "y_true: positive\ny_pred: positive\n",
    ),
    "concordance": (
        "1 - 2*mean((y_true - m)*(y_pred - n), axis=batch)/(mean((y_true - m)**2, "
        "axis=batch) + mean((y_pred - n)**2, axis=batch) + (m - n)**2 + 0.1)",
        "where: {m: 'mean(y_true, axis=batch)', n: 'mean(y_pred, axis=batch)'}\n",
    ),
    "log1p-square": ("log1p(square(y_true/y_pred))", "y_pred: positive\n"),
    "log1p-square-quotient": (
        "log1p(square(y_true/y_pred)/nu)",
        "y_pred: positive\nparams: {nu: {domain: positive}}\n",
    ),
    "exp-power": ("y_true*exp(y_pred)**1.5", ""),
    "log-of-exp-difference": (
        "y_true - log(exp(2*y_pred) - exp(y_pred))",
        "y_pred: positive\n",
    ),
    "log-expm1": ("y_true - log(expm1(y_pred))", "y_pred: positive\n"),
    "logsumexp-less-part": (
        "logsumexp(y_pred, axis=last) - log(sum(y_true*exp(y_pred), axis=last))",
        "y_true: binary\n",
    ),
    "part-less-logsumexp": (
        "y_pred + log(sum(y_true*exp(y_pred), axis=batch))"
        " - logsumexp(y_pred, axis=batch)",
        "y_true: binary\n",
    ),
    "logaddexp-excess": ("y_true*(logaddexp(y_true, y_pred) - y_pred)", ""),
    "logaddexp-excess-negated": ("y_true + y_pred - logaddexp(y_pred, y_true)", ""),
    "softplus-excess": ("softplus(y_true*y_pred) + 1 - y_true*y_pred", ""),
    "softplus-excess-negated": ("y_true*(y_pred - softplus(y_pred))", ""),
    "digamma-difference": ("digamma(y_pred + 0.5) - digamma(y_pred) + y_true", COUNTS),
    "digamma-difference-negated": (
        "digamma(y_pred) + 1 - digamma(y_true + y_pred)",
        COUNTS,
    ),
    "lgamma-of-one-more": ("y_pred**2 - lgamma(y_true + 1)", "y_true: nonnegative\n"),
    "log-of-clipped-complement": (
        "-y_true*log(1 - clip(y_pred, 1e-7, 1 - 1e-7))",
        "y_pred: unit\n",
    ),
    "mixture-complement": (
        "1 - (y_true*y_pred + (1 - y_true)*(1 - y_pred))",
        "y_true: unit\ny_pred: unit\n",
    ),
    "softplus-excess-of-label": ("softplus(y_pred) - y_true*y_pred", "y_true: binary"),
    "log-growth": (
        "(log(y_true + y_pred) - log(y_pred))**2",
        "y_true: positive\ny_pred: positive\n",
    ),
    "weighted-log-growth": (
        "(y_pred + 1)*log(y_true + y_pred) - y_pred*log(y_pred)",
        "y_true: positive\ny_pred: positive\n",
    ),
    "weighted-log-difference": (
        "y_true*log(y_true) - y_pred - y_true*log(y_pred)",
        "y_true: positive\ny_pred: positive\n",
    ),
    "reciprocal-logistic": ("y_true + 1/(1 + exp(-y_pred))", ""),
    "sigmoid-power": ("y_true*sigmoid(y_pred)**1.5", ""),
    "log1p": ("y_true*log(1 + y_pred)", "y_pred: positive\n"),
    "xlog1py": ("xlogy(y_true, 1 + y_pred)", "y_pred: positive\n"),
    "expm1": ("y_true*(exp(y_pred) - 1)", ""),
    "expm1-negated": ("y_true*(1 - exp(y_pred))", ""),
    "erfc": ("y_true*(1 - erf(y_pred))", ""),
    "centred-normal-cdf": ("(2*normal_cdf(y_pred) - 1)*y_true", ""),
    "centred-normal-cdf-negated": ("(1 - 2*normal_cdf(y_pred))*y_true", ""),
    "square": ("(y_true - y_pred)**2", ""),
    "sqrt": ("y_true*y_pred**0.5", "y_pred: positive\n"),
    "reciprocal": ("y_true*y_pred**-1", "y_pred: positive\n"),
    "softmax-last": ("exp(y_pred)/sum(exp(y_pred), axis=last) - y_true", ""),
    "log1pmx": ("log1p(abs(y_pred)) - abs(y_pred) + y_true", ""),
    "log1pmx-negated": ("abs(y_pred) - log1p(abs(y_pred)) - y_true", ""),
    "expm1mx": ("exp(y_pred - y_true) + y_true - y_pred - 1", ""),
    "exp-tilted": ("exp(y_pred) - y_true*y_pred", ""),
    "exp-tilted-negated": ("1 - (y_true*y_pred - exp(y_pred))", ""),
    "softplus-tilted": ("y_pred - y_true + 2*softplus(y_true - y_pred)", ""),
    "one-minus-cos": ("1 - cos(y_pred - y_true)", ""),
    "one-minus-cos-scaled": ("y_true - y_true*cos(y_pred)", ""),
    "sqrt1pm1": ("sqrt(1 + (y_pred - y_true)**2) - 1", ""),
    "hypotenuse-excess": ("sqrt((y_pred - y_true)**2 + 4**2) - 4", ""),
    "pow1pm1": ("(1 + y_pred)**0.3 - 1 + 0*y_true", "y_pred: nonnegative\n"),
    "pow1pm1-negated": ("y_true*(1 - (1 - y_pred)**3)", "y_pred: probability\n"),
    "powm1": ("y_pred**0.3 - 1 + 0*y_true", "y_pred: positive\n"),
    "powm1-negated": ("y_true*(1 - y_pred**3)", "y_pred: probability\n"),
    "powm1-of-label": (
        "exp(y_pred**0.3 - y_true)",
        "y_true: binary\ny_pred: positive\n",
    ),
    "powm1-of-label-negated": (
        "y_true*y_pred + 2*(y_true - y_pred**0.3)",
        "y_true: binary\ny_pred: positive\n",
    ),
    "logsumexp-excess": (
        "logsumexp(y_pred, axis=last) - sum(y_true*y_pred, axis=last)",
        "y_true: simplex\n",
    ),
    "logsumexp-excess-negated": (
        "exp(sum(y_true*y_pred, axis=last) - logsumexp(y_pred, axis=last))",
        "y_true: one_hot\n",
    ),
    "softmax-less-label": (
        "square(softmax(y_pred, axis=last) - y_true)",
        "y_true: one_hot\n",
    ),
    "label-less-softmax": (
        "square(y_true - softmax(y_pred, axis=last))",
        "y_true: simplex\n",
    ),
    "sigmoid-less-label": ("square(sigmoid(y_pred) - y_true)", "y_true: unit\n"),
    "label-less-sigmoid": ("square(y_true - sigmoid(y_pred))", "y_true: binary\n"),
    "log-of-sigmoid-difference": (
        "y_true*log(sigmoid(2 - y_pred) - sigmoid(1 - y_pred))",
        "",
    ),
    "log-of-choice": (
        "log(where(y_true > 0, 1 + y_pred**2, exp(y_pred)))",
        "",
    ),
    "cosh": ("exp(y_pred - y_true) + exp(y_true - y_pred)", ""),
    "log-of-squares": (
        "log(square(y_pred - y_true) + square(c))",
        "params: {c: {domain: positive}}\n",
    ),
    "kl-div-difference": (
        "y_true*(log(y_true) - log(y_pred)) - y_true + y_pred",
        "y_true: positive\ny_pred: positive\n",
    ),
    "kl-div-difference-negated": (
        "y_pred - y_true - y_true*(log(y_pred) - log(y_true))",
        "y_true: positive\ny_pred: positive\n",
    ),
    "relative-difference-over-mean": (
        "abs(y_true - y_pred)/((1 + abs(y_true) + abs(y_pred))/2)",
        "",
    ),
    "relative-difference-over-part": (
        "abs(y_true - y_pred)/(0.5*(1 + abs(y_true) + abs(y_pred)))",
        "",
    ),
    "relative-difference-positive-over-mean": (
        "abs(y_true - y_pred)/((y_true + y_pred)/2)",
        "y_true: positive\ny_pred: positive\n",
    ),
    "relative-difference-positive-over-part": (
        "abs(y_true - y_pred)/(0.5*(y_true + y_pred))",
        "y_true: positive\ny_pred: positive\n",
    ),
    "square-times-exp": ("square(y_true - mu)*exp(-s)", LOG_SCALE),
    "square-times-exp-scaled": ("square(y_true - mu)*exp(-s)*(1 + s**2)", LOG_SCALE),
    "square-over-exp": ("square(y_true - mu)/exp(s)", LOG_SCALE),
    "power-times-log": ("y_true + y_pred**0.3*log(y_pred)", "y_pred: positive\n"),
    "power-times-log-scaled": (
        "y_true*y_pred**0.3*log(y_pred)",
        "y_pred: positive\n",
    ),
    "relative-difference": ("abs(y_true - y_pred)/(1 + abs(y_true) + abs(y_pred))", ""),
    "relative-difference-scaled": (
        "2*abs(y_true - y_pred)/(abs(y_true) + abs(y_pred))",
        "y_true: positive\ny_pred: positive\n",
    ),
    "relative-difference-positive": (
        "abs(y_true - y_pred)/(y_true + y_pred)",
        "y_true: positive\ny_pred: positive\n",
    ),
    "relative-difference-positive-scaled": (
        "2*abs(y_true - y_pred)/(y_true + y_pred)",
        "y_true: positive\ny_pred: positive\n",
    ),
    "geman-mcclure": (
        "y_pred**2/(y_pred**2 + c**2)*y_true",
        "params: {c: {domain: positive}}\n",
    ),
    "geman-mcclure-unscaled": ("y_pred**2/(1 + y_pred**2)*y_true", ""),
    "kl-div": (
        "y_pred - y_true + xlogy(y_true, y_true/y_pred)",
        "y_true: positive\ny_pred: positive\n",
    ),
    "kl-div-log": (
        "y_true*log(y_true/y_pred) - y_true + y_pred",
        "y_true: positive\ny_pred: positive\n",
    ),
    "kl-div-to-the-mean": (
        "xlogy(y_true, y_true/((y_true + y_pred)/2))"
        " + xlogy(y_pred, y_pred/((y_true + y_pred)/2))",
        "y_true: positive\ny_pred: positive\n",
    ),
    "kl-div-to-the-half-sum": (
        "xlogy(y_true, y_true/(0.5*(y_true + y_pred)))"
        " + xlogy(y_pred, y_pred/(0.5*(y_true + y_pred)))",
        "y_true: positive\ny_pred: positive\n",
    ),
    "itakura-saito": (
        "y_true/y_pred - log(y_true/y_pred) - 1",
        "y_true: positive\ny_pred: positive\n",
    ),
    "itakura-saito-inverse": (
        "log(y_pred/y_true) + y_true/y_pred",
        "y_true: positive\ny_pred: positive\n",
    ),
    "itakura-saito-difference": (
        "log(y_pred) - log(y_true) + y_true/y_pred",
        "y_true: positive\ny_pred: positive\n",
    ),
    "itakura-saito-of-difference": (
        "(y_true - y_pred)/y_pred - log(y_true/y_pred)",
        "y_true: positive\ny_pred: positive\n",
    ),
    "itakura-saito-of-difference-inverse": (
        "log(y_pred/y_true) + (y_true - y_pred)/y_pred",
        "y_true: positive\ny_pred: positive\n",
    ),
    "softplus-tilted-double": (
        "y_pred - y_true + softplus(-2*(y_pred - y_true)) - log(2)",
        "",
    ),
    "poisson-peak": ("y_pred - y_true*log(y_pred) + lgamma(y_true + 1)", COUNTS),
    "poisson-peak-xlogy": (
        "y_pred - xlogy(y_true, y_pred) + lgamma(y_true + 1)",
        COUNTS,
    ),
    "log-multiset": (
        "lgamma(y_true + y_pred) - lgamma(y_pred) - lgamma(1 + y_true)",
        COUNTS,
    ),
    "log-multiset-negated": (
        "lgamma(y_pred) + lgamma(y_true + 1) - lgamma(y_pred + y_true)",
        COUNTS,
    ),
    "beta-of-mean": (
        "lgamma(mu*phi) + lgamma((1 - mu)*phi) - lgamma(phi)"
        " - (mu*phi - 1)*log(y_true) - ((1 - mu)*phi - 1)*log(1 - y_true)",
        "y_true: probability\ny_pred: {channels: {mu: probability, phi: positive}}\n",
    ),
    "tweedie": (
        "y_true**(2 - k)/((1 - k)*(2 - k)) - y_true*y_pred**(1 - k)/(1 - k)"
        " + y_pred**(2 - k)/(2 - k)",
        TWEEDIE,
    ),
    "tweedie-of-differences": (
        "y_true*(y_true**(1 - k) - y_pred**(1 - k))/(1 - k)"
        " - (y_true**(2 - k) - y_pred**(2 - k))/(2 - k)",
        TWEEDIE,
    ),
    "lgamma-difference-by-label": (
        "lgamma((y_pred + 1)/2) - lgamma(y_pred/2) + 0*y_true",
        COUNTS,
    ),
    "lgamma-difference-by-label-negated": (
        "lgamma(0.5*y_pred) - lgamma(y_pred/2 + 0.5) + 0*y_true",
        COUNTS,
    ),
    "log-beta": (
        "lgamma(a) + lgamma(b) - lgamma(b + a) - log(y_true)",
        "y_true: unit\ny_pred: {channels: {a: positive, b: positive}}\n",
    ),
    "log-beta-negated": (
        "y_true*(lgamma(phi) - lgamma(mu*phi) - lgamma((1 - mu)*phi))",
        "y_true: unit\ny_pred: {channels: {mu: probability, phi: positive}}\n",
    ),
    "lgamma-difference": (
        "lgamma(a + b) - lgamma(a) - y_true",
        "y_pred: {channels: {a: positive, b: positive}}\n",
    ),
    "lgamma-difference-negated": (
        "lgamma(a) - lgamma(a + b) - y_true",
        "y_pred: {channels: {a: positive, b: positive}}\n",
    ),
    "log-i0e": ("log(i0e(y_pred)) - y_true", ""),
    "log-i0e-product": ("log(2*pi*i0e(y_pred)) - y_true", ""),
    "log-i0": ("log(i0e(y_pred)) + abs(y_pred) - y_true*y_pred", ""),
    "erf-complement": ("y_true*(1 + erf(y_pred))", ""),
    "normal-cdf-complement": ("y_true*(1 - normal_cdf(y_pred))", ""),
    "log-half-erfc": ("-log(0.5*(1 + erf(y_true*y_pred/sqrt(2))))", ""),
    "log-erfc-halved": ("-log(erfc(y_true*y_pred/sqrt(2))/2)", ""),
    "log-erfc": ("-log(erfc(y_true*y_pred))", ""),
    "root-over-root": ("y_true - exp(sqrt(2)*(y_pred/sqrt(2)))", ""),
    "quotient-of-squares": ("(y_true - y_pred)**2/3**2", ""),
    "quotient-by-square": ("(y_true - y_pred)**2/(2*3**2)", ""),
    "quotient-of-square": ("2*(y_true - y_pred)**2/3**2", ""),
    "quotient-with-squares": ("2*(y_true - y_pred)**2/(5*3**2)", ""),
    "log-of-share": (
        "log(y_pred/(y_true + y_pred))",
        "y_true: positive\ny_pred: positive\n",
    ),
    "quotient-complement": ("1 - (y_true*y_pred + 1)/(y_true + y_pred + 1)", BINARY),
    "sqrt-of-square": ("sqrt((y_true - y_pred)**2)", ""),
}


def test_every_rule_has_a_formula():
    assert set(FORMULAS) == set(BY_NAME)


@pytest.mark.parametrize("name", FORMULAS)
def test_every_rule_fires(name):
    formula, keys = FORMULAS[name]
    loss = resolved(f"loss: {formula}\n{keys}")
    fired = {}
    expr = to_logits(loss)(loss.expression) if "logits" in keys else loss.expression
    stabilizer(loss, fired)(expr)
    assert name in fired


def test_conditions_are_on_labels():
    """Rules for 0 and 1 leave labels in between alone."""
    for name, rule in BY_NAME.items():
        if rule.condition in (Condition.Y_BINARY, Condition.Y_ONE_HOT):
            formula, keys = FORMULAS[name]
            soft = keys.replace("binary", "unit").replace("one_hot", "simplex")
            loss = resolved(f"loss: {formula}\n{soft}")
            expr = loss.expression
            fired = {}
            stabilizer(loss, fired)(to_logits(loss)(expr) if "logits" in keys else expr)
            assert name not in fired


@pytest.mark.parametrize(
    ("divisor", "domain", "fires"),
    [("nu", "positive", True), ("nu", "real", False), ("3", "positive", True)],
)
def test_roots_are_of_positive_divisors_only(divisor, domain, fires):
    text = f"loss: log1p(square(y_true/y_pred)/{divisor})\ny_pred: positive\n"
    if divisor == "nu":
        text += f"params: {{nu: {{domain: {domain}}}}}\n"
    fired = {}
    loss = resolved(text)
    stabilizer(loss, fired)(loss.expression)
    assert ("log1p-square-quotient" in fired) is fires
