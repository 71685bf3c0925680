"""Properties of published losses, as theory has them, and what the check says of each.

A row is, in the order of ``NAMES``, ``+`` where a property holds for all parameters,
``-`` where it fails for some, ``.`` where it has no meaning or is not looked at. What
the check does not decide stands in ``OPEN``: it may never contradict a row.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from mpmath import mp
from probing import contradiction
from sympy import sympify
from verdict_cases import load
from writing import text, write

from lossgen.analysis.check import check
from lossgen.analysis.properties import examine
from lossgen.compiler import check_source, compile_source
from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.loss import Smoothness
from lossgen.ir.options import Options

TEMPLATES = str(Path(__file__).parents[2] / "templates")
OPTIONS = Options("lossgen", None, ".", (TEMPLATES,))
NAMES = (
    "nonnegative",
    "zero_at_target",
    "convex",
    "symmetric",
    "bounded_gradient",
    "mean_consistent",
    "proper",
)

TRUTH = {
    "mse": "++++-+.",  # d**2: slope 2*d; E d**2 is least at the mean
    "mae": "+++++-.",  # abs(d): slope 1; the median, not the mean
    "huber": "+++++-.",  # slope d inside, delta outside
    "smooth_l1": "+++++-.",  # Huber over beta
    "pseudo_huber": "+++++-.",  # slope d/sqrt(1 + (d/delta)**2), increasing to delta
    "charbonnier": "+-+++-.",  # eps at d = 0
    "log_cosh_by_name": "+++++-.",  # slope tanh(d)
    "log_cosh_written_out": "+++++-.",
    "l1_l2": "+++++-.",  # slope d/sqrt(1 + d**2/2), increasing to sqrt(2)
    "fair": "+++++-.",  # slope c*d/(c + abs(d))
    "quantile": "+++-+-.",  # slopes level - 1 and level; the quantile
    "expectile": "+++---.",  # squares with two weights: even for level = 1/2 alone
    "tukey_biweight": "++-++-.",  # constant beyond c
    "welsch": "++-++-.",  # concave far out
    "cauchy": "++-++-.",  # slope d/(1 + (d/c)**2), at most c/2
    "geman_mcclure": "++-++-.",
    "andrews_sine": "++-++-.",  # slope c*sin(d/c)
    "hampel": "++-++-.",  # slope of at most 2
    "truncated_quadratic": "++-++-.",  # slope of at most 2*c
    "epsilon_insensitive": "+++++-.",  # distance from a tube
    "squared_epsilon_insensitive": "++++--.",
    "mape": "+++---.",  # slope 100/y_true, any size for small targets
    "smape": "++-+--.",  # slope 100/y_true where the two agree
    "msle": "++-+--.",  # log1p(y_pred) is concave: so is its square far out
    "linex": "+++---.",  # exp(a*d) - a*d - 1
    "wing": "++-++-.",  # concave beside its corner; slopes w/eps and 1
    "berhu": "++++--.",  # quadratic beyond c
    "abs_to_the_fifth": "++++--.",
    "itakura_saito": "++---+.",  # slope (p - t)/p**2; a Bregman divergence
    "gamma_deviance": "++---+.",  # twice Itakura-Saito
    "poisson_rate": "--+--+.",  # slope 1 - t/p
    "poisson_deviance": "+++--+.",  # twice KL of Poisson laws
    "tweedie_deviance": "++---+.",  # slope (p - t)*p**-k; concave far out for k > 1
    "exponential_nll": "----" + "-+.",  # slope (p - t)/p**2; log(p) < 0 for p < 1
    "poisson_log_rate": "--+---.",  # exp(y_pred) is the mean, not y_pred
    "bce_probabilities": "+-+--++",  # log score: slope (p - t)/(p*(1 - p))
    "focal": "++.----",  # least where gamma pulls it, not at p
    "poly_1": "-......",  # -log(p_t) + epsilon*(1 - p_t), epsilon any number
    "symmetric_crossentropy": "+++.---",  # log score plus an improper linear one
    "generalized_crossentropy": "+++.---",  # E is least at p**(1/(1 - q)), normalised
    "label_smoothed_crossentropy": "+-+.---",  # least at the smoothed probabilities
    "kl_divergence": "+++--++",  # Gibbs's inequality
    "js_divergence": "++++---",  # slope log(p/m)/2, to -oo as p goes to 0
    "crossentropy_logits": "+-+-+-.",  # slope softmax - y_true
    "brier": "+++++++",  # squares on the simplex
    "mae_of_probabilities": "+++++--",  # least at the likelier label
    "mae_of_classes": "+++++--",
    "hinge": "+++++-.",  # least at the sign of the mean
    "squared_hinge": "++++-+.",  # least at 2*p - 1, which is the mean
    "modified_huber": "++++++.",  # the same, linear beyond -1: slope of at most 4
    "smoothed_hinge": "+++++-.",
    "exponential": "+-++--.",  # least at log(p/(1 - p))/2
    "savage": "+--++-.",  # from 1 to 0, concave first
    "tangent": "+--++-.",
    "soft_dice": "+-.+.--",
    "crps_gaussian": "+......",  # an integral of squares
    "euclidean_distance": "+++++-.",  # a norm
}

OPEN = {
    ("exponential_nll", "nonnegative"),
    ("kl_divergence", "symmetric"),
}

CASES = {case.name: case for case in load()}


def examined(name):
    """The loss, and what becomes of all seven claims on it."""
    (found,) = check_source(SourceFile(f"{name}.yaml", CASES[name].text))
    loss = found.checked.loss
    claimed = replace(loss.spec, properties=tuple(text(item) for item in NAMES))
    smoothness = found.checked.certificate.smoothness
    result = examine(replace(loss, spec=claimed), smoothness, Report())
    return loss, {item.name: item for item in result}


@pytest.mark.parametrize("name", list(TRUTH))
def test_the_check_agrees_with_theory(name):
    loss, found = examined(name)
    expected = {"+": "proved", "-": "refuted"}
    for key, holds in zip(NAMES, TRUTH[name], strict=True):
        if holds == ".":
            continue
        right = "unknown" if (name, key) in OPEN else expected[holds]
        assert (key, found[key].status) == (key, right), found[key].detail
    for item in found.values():
        if item.status == "proved":
            assert contradiction(loss, item) is None
        if item.status == "refuted":
            assert item.detail


@pytest.mark.parametrize(
    "loss",
    [
        "abs(d)**1.5",
        "abs(d)**a",
        "sqrt(d**2 + 4)*3 - 6",
        "sqrt(a*abs(d)**3 + 1/4) - 1/2",
    ],
)
def test_powers_and_roots_at_the_target(loss):
    params = (
        {"a": {"default": 1.5, "domain": "[1, 2]"}}
        if "a*" in loss or "**a" in loss
        else {}
    )
    keys = {"where": {"d": "y_pred - y_true"}, "params": params}
    found = check(write(loss, **keys), Report())
    statuses = {item.name: item.status for item in found.certificate.properties}
    assert statuses["zero_at_target"] == "proved"


MASKED = {
    # With the rows (0.7, 0.15, 0.15) and (0.1, 0.45, 0.45) it is -0.3*log(3).
    "nonnegative": (
        "sum(y_true*(log(y_true) - log(y_pred)), axis=last)",
        "{y_true: simplex, y_pred: simplex, mask: y_true > 0 and y_true < 0.5}",
    ),
    # Without the last class it is least at multiples of the others' probabilities.
    "proper": (
        "-sum(y_true*log(y_pred), axis=last)",
        "{y_true: one_hot, y_pred: simplex, mask: allowed > 0,"
        " params: {allowed: {default: [1, 1, 0], shape: last}}}",
    ),
    # The expectation of sum((1 - y_k)*p_k**2) is least where (1 - q_k)*p_k are equal.
    "mean_consistent": (
        "sum(square(y_true - y_pred), axis=last)",
        "{y_true: one_hot, y_pred: simplex, mask: y_true < 1}",
    ),
}


@pytest.mark.parametrize("name", list(MASKED))
def test_what_a_mask_keeps_of_a_row_need_not_sum_to_one(name):
    loss, keys = MASKED[name]
    text = f"{{name: some_loss, loss: '{loss}', {keys[1:]}"
    (found,) = check_source(SourceFile("masked.yaml", text))
    statuses = {p.name: p.status for p in found.checked.certificate.properties}
    assert statuses[name] != "proved"


BOUNDS = {
    "mae": "1",
    "huber": "delta",
    "pseudo_huber": "delta",
    "charbonnier": "1",
    "cauchy": "0.5*c",  # at d = c
    "fair": "c",
    "wing": "max(1, w/eps)",
    "truncated_quadratic": "2*c",
    "andrews_sine": "c",
    "hampel": "2",
    "brier": "2",
    "modified_huber": "4",
    "crossentropy_logits": "1",  # softmax - y_true
    "euclidean_distance": "1",  # a unit vector
    # With R <= 1 the quotient and D >= s its divisor: R/D - 2*y_true/D.
    "soft_dice": "2/smooth",
    "jaccard": "2/s",  # likewise R/D - (R + 1)*y_true/D
}


@pytest.mark.parametrize("name", list(BOUNDS))
def test_bounds(name):
    _, found = examined(name)
    assert found["bounded_gradient"].bound == BOUNDS[name]


MAXIMA = {
    # c*x*(1 - x**2)**2 at x = 1/sqrt(5)
    "tukey_biweight": lambda c: c * 16 / (25 * mp.sqrt(5)),
    "welsch": lambda c: c * mp.exp(-0.5) / mp.sqrt(2),  # c*x*exp(-x**2), x = 1/sqrt(2)
    # 2*x/(1 + x**2)**2/sigma at x = 1/sqrt(3)
    "geman_mcclure": lambda sigma: 9 / (8 * mp.sqrt(3)) / sigma,
}


@pytest.mark.parametrize("name", list(MAXIMA))
@pytest.mark.parametrize("value", [0.125, 1, 64])
def test_bounds_are_close_to_the_largest_derivative(name, value):
    loss, found = examined(name)
    (parameter,) = loss.parameters
    bound = float(sympify(found["bounded_gradient"].bound).subs(parameter.name, value))
    largest = MAXIMA[name](value)
    assert largest <= bound <= 1.005 * largest


UNBOUNDED = {
    # -y_true/D + ... at y_pred = 0, for any y_true
    "-sum(y_true*y_pred, axis=last)"
    "/(norm(y_true, axis=last)*norm(y_pred, axis=last) + 1)": ("real", "real"),
    "-sum(y_true*log(y_pred), axis=last)": ("one_hot", "simplex"),  # -1/y_pred
    # 4*y_true/(y_true + y_pred)**2 where both are small
    "2*abs(y_pred - y_true)/(y_pred + y_true)": ("positive", "positive"),
    # sqrt(d/2)/d, with d -> 0 as y_pred goes to y_true
    "(1 - (sum(y_true*y_pred, axis=last) + 1)"
    "/(sum(y_true*y_true + y_pred*(1 - y_true), axis=last) + 1))**0.5": (
        "one_hot",
        "(0, 1)",
    ),
}


@pytest.mark.parametrize("formula", list(UNBOUNDED))
def test_derivatives_without_a_bound(formula):
    found = check(write(formula, *UNBOUNDED[formula]), Report())
    properties = {item.name: item for item in found.certificate.properties}
    assert properties["bounded_gradient"].status == "refuted"
    assert "goes to" in properties["bounded_gradient"].detail


def test_an_element_of_y_pred_may_meet_several_targets():
    # Where all n differences are equal, the derivative is sqrt(n).
    text = (
        "{name: some_loss, loss: 'norm(y_pred - y_true, axis=last)',"
        " y_true: {size: 9}, y_pred: {size: 1}}"
    )
    (found,) = check_source(SourceFile("broadcast.yaml", text))
    statuses = {p.name: p.status for p in found.checked.certificate.properties}
    assert statuses["bounded_gradient"] != "proved"


def test_the_upper_end_of_clip_wins_where_the_ends_cross():
    # min(max(-p, 2), p) is p below 2, and 2 above.
    found = check(write("clip(-y_pred, 2, y_pred)", "unused", "nonnegative"), Report())
    properties = {item.name: item for item in found.certificate.properties}
    assert properties["bounded_gradient"].bound == "1"


def test_no_bound_holds_a_pole():
    # The logarithm in the slope is infinite at 0, where its factor is finite.
    formula = "sin(log_cosh(xlogy(y_pred, y_pred)))"
    found = check(write(formula, "unused", "simplex"), Report())
    properties = {item.name: item for item in found.certificate.properties}
    assert "log(0)" not in (properties["bounded_gradient"].bound or "")


def test_a_term_that_cancels_is_no_symmetry():
    # abs(d) + y_pred, written at length
    loss = "where(y_true < 0, y_pred, abs(abs(d))) + (y_pred + (y_pred - y_pred))"
    keys = {"where": {"d": "y_pred - y_true"}}
    found = check(write(loss, "probability", "probability", **keys), Report())
    properties = {item.name: item for item in found.certificate.properties}
    assert properties["symmetric"].status == "refuted"


def test_an_undecided_claim_is_tested():
    name = "name: bell\n"
    formula = "loss: 1 - exp(-square(y_pred) - y_pred*y_true - square(y_true))\n"
    claim = "properties: [bounded_gradient]\n"
    for keys, tested in ((name + formula, False), (name + formula + claim, True)):
        (found,) = compile_source(SourceFile("bell.yaml", keys), OPTIONS)
        assert [item.code.id for item in found.diagnostics] == ["LG411"] * tested
        source = found.artifacts[1].text
        assert ("def test_bounded_gradient" in source) is tested


def test_a_proof_without_end_leaves_the_search_for_a_counterexample():
    # The focal loss is improper for gamma > 0 (Charoenphakdee et al. 2021).
    p_t = {"p_t": "y_true*y_pred + (1 - y_true)*(1 - y_pred)"}
    gamma = {"gamma": {"default": 2.0, "domain": "gamma >= 0"}}
    loss = write(
        "-(1 - p_t)**gamma*log(p_t)", "binary", "probability", where=p_t, params=gamma
    )
    found = check(loss, Report())
    statuses = {item.name: item.status for item in found.certificate.properties}
    assert statuses["proper"] == statuses["mean_consistent"] == "refuted"
    assert statuses["bounded_gradient"] == "refuted"  # -log(p_t) at gamma = 0


@pytest.mark.parametrize(
    ("formula", "convex"),
    [
        ("where(d < 0, -d, 3*d)", True),  # slopes -1 and 3
        ("where(d > a, 2*d - a, d)", True),  # slopes 1 and 2, meeting at a
        ("where(abs(d) <= a, abs(d), (d**2 + a**2)/(2*a))", True),  # 1 at a
        ("where(d < 0, d**2 - d, d**2)", True),  # -1 and 0 at 0
        ("where(d < 0, 3*d, d)", False),  # 3 and 1
        ("where(abs(d) <= a, 2*abs(d), abs(d) + a)", False),  # 2 and 1 at a
        ("where(d < 0, d**2, d**2 - d)", False),  # 0 and -1 at 0
        ("where(d < a, d**2, d**2 + 9*a - 9*d)", False),  # 2*a and 2*a - 9
    ],
)
def test_convexity_of_pieces_is_that_of_their_slopes(formula, convex):
    loss = write(
        formula,
        where={"d": "y_pred - y_true"},
        params={"a": {"default": 1.0, "domain": "(0, oo)"}} if "a" in formula else {},
        properties=("convex",),
    )
    found = {item.name: item for item in examine(loss, Smoothness.CONTINUOUS, Report())}
    assert (found["convex"].status == "proved") is convex, found["convex"].detail
