"""Generated code of formulas that overflow, or lose digits, as they are written.

Specs are those of ``tests/cases/good/stable_forms.yaml``. Expected values are worked
out by hand, or come from mpmath on the formula as written.
"""

from __future__ import annotations

from typing import Any

import generating
import numpy as np
import pytest
import tensorflow as tf
from mpmath import mp, mpf


def derivatives(
    name: str, target: Any, rows: Any, *, xla: bool = False, dtype: str = "float32"
) -> tuple[Any, Any, Any]:
    """Value, gradient and Hessian of the sum over a batch, by the prediction."""
    function = generating.function(name, chosen=True)

    @tf.function(jit_compile=xla)
    def run(t: tf.Tensor, p: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as outer:
            outer.watch(p)
            with tf.GradientTape() as inner:
                inner.watch(p)
                value = function(t, p)
            slope = inner.gradient(value, p)
        return value, slope, outer.jacobian(slope, p, experimental_use_pfor=False)

    found = run(tf.constant(target, dtype), tf.constant(rows, dtype))
    return tuple(item.numpy() for item in found)


# A wall for rewriting -----------------------------------------------------------------


@pytest.mark.parametrize("xla", [False, True])
def test_a_factor_without_gradient_stays_apart(xla: bool) -> None:
    # s*(y - p)*exp(-p) with s = exp(p/2) fixed: s*exp(-p)*(2 + y - p) is its second
    # derivative.
    value, slope, bend = derivatives("stopped_weight", [[1.5]], [[0.3]], xla=xla)
    weight = np.exp(-0.15)
    assert value == pytest.approx(1.2 * weight, rel=1e-6)
    assert slope == pytest.approx(-2.2 * weight, rel=1e-6)
    assert bend == pytest.approx(3.2 * weight, rel=1e-6)


def test_the_hessian_of_a_detached_weight_is_that_of_the_formula() -> None:
    # w = exp(s/2) is fixed in the gradient (w*(m - y)*e, w*(1 - (y - m)**2*e)/2) with
    # e = exp(-s), and in what that is differentiated to.
    m, s, y = 0.2, 0.6, 1.5
    _, slope, bend = derivatives("beta_nll", [[y]], [[m, s]])
    w, e, r = np.exp(s / 2), np.exp(-s), y - m
    expected = [[w * e, w * r * e], [w * r * e, w * r * r * e / 2]]
    by_both = [-w * r * e, w * (1 - r * r * e) / 2]
    assert slope[0] == pytest.approx(by_both, rel=1e-6, abs=2e-7)  # r*r*e is .93
    assert bend[0, :, 0] == pytest.approx(np.array(expected), rel=1e-6)


# Logarithms of sums of exponentials ---------------------------------------------------


BOTH = pytest.mark.parametrize("xla", [False, True])


@BOTH
@pytest.mark.parametrize("u", [1e-3, 1.0, 40.0, 100.0, 1000.0])
def test_log_of_expm1(u: float, xla: bool) -> None:
    value, slope, bend = derivatives("log_expm1", [[0.0]], [[u]], xla=xla)
    assert value == pytest.approx(-u - np.log(-np.expm1(-u)), rel=1e-6)
    assert slope == pytest.approx(1 / np.expm1(-u), rel=1e-6)
    assert bend == pytest.approx(1 / (4 * np.sinh(min(u, 700) / 2) ** 2), rel=1e-5)


@BOTH
@pytest.mark.parametrize("u", [-100.0, -3.0, 0.5, 80.0, 100.0, 1000.0])
def test_log_of_three_exponentials(u: float, xla: bool) -> None:
    value, slope, _ = derivatives("log_of_exponentials", [[0.0]], [[u]], xla=xla)
    shifted = np.array([u, 2 * u, 0.0]) - max(2 * u, 0.0)
    weights = np.exp(shifted) / np.exp(shifted).sum()
    expected = max(2 * u, 0.0) + np.log(np.exp(shifted).sum())
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-38)
    assert slope == pytest.approx(weights @ [1, 2, 0], rel=1e-6, abs=1e-38)


@BOTH
def test_log_of_a_constant_and_an_exponential(xla: bool) -> None:
    value, slope, _ = derivatives("log_of_shifted_exp", [[0.5]], [[100.0]], xla=xla)
    assert value == pytest.approx(50, rel=1e-6)
    assert slope == pytest.approx(0.5, rel=1e-6)


@BOTH
def test_a_mixture_far_from_both_components(xla: bool) -> None:
    name, pairs = "two_gaussians", [[14.0, -14.0], [200.0, 13.0], [1e-4, 2e-4], [0, 0]]
    value, slope, _ = derivatives(name, np.zeros((4, 1)), pairs, xla=xla)
    first, second = (np.array(pairs, np.float64)[:, k] ** 2 / 2 for k in (0, 1))
    expected = -np.logaddexp(np.log(0.25) - first, np.log(0.75) - second)
    expected[2] = 0.25 * 0.5e-8 + 0.75 * 2e-8  # to first order in the squares
    expected[3] = 0
    assert value == pytest.approx(expected, rel=1e-6)
    share = np.exp(np.log(0.25) - first + expected)
    by_mean = np.stack([share, 1 - share], axis=1) * pairs
    assert slope == pytest.approx(by_mean, rel=1e-4, abs=1e-38)
    assert 97 < value[0] < 99


@BOTH
@pytest.mark.parametrize("offset", [0.0, 200.0, -200.0])
def test_log_of_a_mean_over_the_batch(offset: float, xla: bool) -> None:
    rows = np.array([[0.25], [-1.0], [3.0], [0.5]]) + offset
    value, slope, _ = derivatives("donsker_varadhan", np.ones((4, 1)), rows, xla=xla)
    weights = np.exp(rows - offset) / np.exp(rows - offset).sum()
    expected = np.log(np.exp(rows - offset).mean()) - (rows - offset).mean()
    assert value == pytest.approx(np.full(4, expected), rel=1e-4)
    # Each sample carries the value of the batch.
    assert slope == pytest.approx(4 * (weights - 0.25), rel=1e-4)


@BOTH
def test_log_of_a_sum_over_space(xla: bool) -> None:
    rows = 100 + np.arange(8.0).reshape(1, 2, 4, 1)
    name = "spatial_partition"
    value, slope, _ = derivatives(name, np.zeros((1, 2, 4, 1)), rows, xla=xla)
    assert value == pytest.approx(np.logaddexp.reduce(rows.ravel()) - np.log(2))
    weights = np.exp(rows - 107)
    assert slope == pytest.approx(weights / weights.sum(), rel=1e-5)


@BOTH
def test_log_of_a_marked_part_of_a_softmax(xla: bool) -> None:
    function = generating.function("marked_share", chosen=True)
    labels = tf.constant([[1.0, 0, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1]])
    logits = tf.constant([[-110.0, 0, 0], [30, 0, 0], [1, 2, 3], [-1e4, 0, 0]])

    @tf.function(jit_compile=xla)
    def run() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = function(labels, logits, from_logits=True)
        return value, tape.gradient(value, logits)

    value, slope = run()
    small = 2 * np.exp(-30)
    assert value.numpy() == pytest.approx([110 + np.log(2), small, 0, 0], rel=1e-6)
    expected = [[-1, 0.5, 0.5], [-small, small / 2, small / 2], [0] * 3, [0] * 3]
    assert slope.numpy() == pytest.approx(np.array(expected), rel=1e-5)


@BOTH
def test_a_softly_marked_part_of_a_softmax(xla: bool) -> None:
    marks, rows = [[0.25, 0.25, 0.5]], np.log([[1.0, 2.0, 4.0]]) + 100
    value, slope, _ = derivatives("soft_share", marks, rows, xla=xla)
    assert value == pytest.approx(np.log(7 / 2.75), rel=2e-5)
    shares = np.array([[1.0, 2, 4]]) / 7 - np.array([[0.25, 0.5, 2]]) / 2.75
    assert slope == pytest.approx(shares, rel=2e-5)


@BOTH
def test_a_marked_part_of_the_batch(xla: bool) -> None:
    marks, rows = [[1.0], [0.0], [1.0], [0.0]], [[50.0], [-3.0], [49.0], [20.0]]
    value, slope, _ = derivatives("marked_in_batch", marks, rows, xla=xla)
    odds = (np.exp(-53.0) + np.exp(-30)) / (1 + np.exp(-1.0))
    assert value == pytest.approx(np.full(4, np.log1p(odds)), rel=1e-6)
    assert slope[3] == pytest.approx(4 * np.exp(-30) / (1 + np.exp(-1.0)), rel=1e-6)


@BOTH
def test_a_softmax_over_the_batch_keeps_its_digits(xla: bool) -> None:
    marks, rows = [[1.0], [0.0], [0.0]], [[12.0], [0.0], [1.0]]
    value, slope, _ = derivatives("softmax_over_batch", marks, rows, xla=xla)
    rest = np.exp([-12.0, -11.0])
    assert value == pytest.approx(np.full(3, np.log1p(rest.sum())), rel=1e-6)
    by_row = np.array([-rest.sum(), *rest]) / (1 + rest.sum())
    assert slope[:, 0] == pytest.approx(3 * by_row, rel=1e-6)


@BOTH
@pytest.mark.parametrize(("factor", "offset"), [(1, 0), (1, 200), (1, -200), (1000, 0)])
def test_log_of_a_running_sum(factor: float, offset: float, xla: bool) -> None:
    generator = np.random.default_rng(0)
    event = (generator.uniform(size=16) < 0.5).astype("float32")
    score = (generator.normal(size=(16, 1)) * 0.1).astype("float32")
    rows = score * np.float32(factor) + np.float32(offset)
    value, slope, _ = derivatives("cox_sorted", event, rows, xla=xla)
    exact = rows[:, 0].astype("float64")
    sums = np.logaddexp.accumulate(exact)
    expected = (event * (sums - exact)).sum() / event.sum()
    assert value == pytest.approx(np.full(16, expected), rel=1e-5)
    # Each row has a share of the running sums from it on.
    shares = np.exp(exact[:, None] - sums) * (np.arange(16)[:, None] <= np.arange(16))
    by_row = 16 * (shares @ event - event) / event.sum()
    assert slope[:, 0] == pytest.approx(by_row, rel=1e-3, abs=1e-5)


# Multiples of logarithms, and complements ---------------------------------------------


def evidential(y: float, m: mpf, nu: mpf, alpha: mpf, beta: mpf) -> mpf:
    omega = 2 * beta * (1 + nu)
    value = mp.log(mp.pi / nu) / 2 - alpha * mp.log(omega)
    value += (alpha + mpf(1) / 2) * mp.log((y - m) ** 2 * nu + omega)
    return value + mp.loggamma(alpha) - mp.loggamma(alpha + mpf(1) / 2)


@BOTH
@pytest.mark.parametrize("nu", [0.001, 2.0])
@pytest.mark.parametrize("alpha", [1.5, 50.0, 1000.0, 20000.0])
def test_evidence_of_many_observations(alpha: float, nu: float, xla: bool) -> None:
    point = [0.25, nu, alpha, 0.75 * alpha]
    value, slope, _ = derivatives("evidential_regression", [[1.5]], [point], xla=xla)
    with mp.workdps(50):
        at = [mpf(float(np.float32(item))) for item in point]
        expected = evidential(mpf(1.5), *at)
        assert value == pytest.approx(float(expected), rel=1e-5)
        for k in range(4):
            moved = mp.diff(
                lambda x, k=k: evidential(mpf(1.5), *at[:k], x, *at[k + 1 :]), at[k]
            )
            assert slope[0, k] == pytest.approx(float(moved), rel=1e-5)


def test_complement_of_a_soft_hit() -> None:
    labels = tf.constant([[1 - 2**-20], [1.0], [0.0]])
    hits = tf.constant([[1.0], [1.0], [1e-9]])
    value = generating.function("soft_miss", chosen=True)(labels, hits)
    assert value.numpy() == pytest.approx([2**-20, 0, 1e-9], rel=1e-6)


@BOTH
@pytest.mark.parametrize(("label", "sign"), [(1.0, -1), (0.0, 1)])
@pytest.mark.parametrize("score", [0.5, 10.0, 20.0, 80.0])
def test_logits_of_a_label_beside_something_else(
    label: float, sign: int, score: float, xla: bool
) -> None:
    name, rows = "logistic_beside_a_distance", [[-sign * score, 3.0]]
    value, slope, _ = derivatives(name, [[label, 1.0]], rows, xla=xla)
    missing = np.log1p(np.exp(-score))
    assert value == pytest.approx(missing + 4 * label, rel=1e-6)
    by_score = sign * np.exp(-score) / (1 + np.exp(-score))
    assert slope == pytest.approx(np.array([[by_score, 4 * label]]), rel=1e-6)


# Counts -------------------------------------------------------------------------------


def negative_binomial(y: float, log_mu: mpf, log_theta: mpf) -> mpf:
    theta, mu = mp.exp(log_theta), mp.exp(log_mu)
    value = mp.loggamma(theta) + mp.loggamma(y + 1) - mp.loggamma(y + theta)
    value -= theta * mp.log(theta / (theta + mu))
    return value - y * mp.log(mu / (theta + mu))


def zero_inflated(y: float, log_mu: mpf, log_theta: mpf, logit: mpf) -> mpf:
    share = 1 / (1 + mp.exp(-logit))
    counted = negative_binomial(y, log_mu, log_theta)
    return -mp.log((share if y == 0 else 0) + (1 - share) * mp.exp(-counted))


def slopes(formula: Any, label: mpf, at: list[mpf]) -> list[mpf]:
    def along(k: int) -> Any:
        return lambda x: formula(label, *at[:k], x, *at[k + 1 :])

    return [mp.diff(along(k), at[k]) for k in range(len(at))]


COUNTS = [
    (38143, np.log(5.6e6), np.log(5.6e6)),
    (38143, np.log(38100), np.log(5.6e6)),
    (5, 1.5, np.log(0.01)),
    (700, 6.5, np.log(0.01)),
    (0, -3.0, 12.0),
    (0, 2.0, 9.0),
    (3, 100.0, 1.0),
]


@BOTH
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("negative_binomial_of_logarithms", negative_binomial),
        ("zero_inflated_negative_binomial", zero_inflated),
    ],
)
def test_counts_by_log_mean_and_log_dispersion(
    name: str, formula: Any, xla: bool
) -> None:
    more = [0.5] if formula is zero_inflated else []
    rows = np.array([[*item[1:], *more] for item in COUNTS], "float32")
    labels = np.array([[item[0]] for item in COUNTS], "float32")
    value, slope, _ = derivatives(name, labels, rows, xla=xla)
    with mp.workdps(60):
        for index, row in enumerate(rows):
            at = [mpf(float(item)) for item in row]
            label = mpf(float(labels[index, 0]))
            gradient = slopes(formula, label, at)
            # Half a unit in the last place of a logarithm changes the value by this.
            blur = sum(abs(g * x) for g, x in zip(gradient, at, strict=True)) * 2e-7
            exact = formula(label, *at)
            assert abs(value[index] - exact) <= 4e-6 * abs(exact) + blur, row
            for k, expected in enumerate(gradient):
                # The slope of theta*softplus(log_mu - log_theta) is a difference.
                bound = 2e-5 * abs(expected) + 1e-6 * max(1, abs(at[k])) * label**0.5
                bound += 1e-8
                assert abs(slope[index, k] - expected) <= bound, (row, k)


@BOTH
def test_counts_of_little_dispersion(xla: bool) -> None:
    labels, rows, theta = [0.0, 3.0, 5.0, 700.0], [2.0, 2.0, 8.0, 6.5], 0.01
    value, slope, _ = derivatives(
        "counts_of_little_dispersion",
        [[item] for item in labels],
        [[item] for item in rows],
        xla=xla,
    )
    y, mu = np.array(labels), np.exp(rows)
    # (theta + y)*mu/(theta + mu) - y, of which nothing cancels here.
    assert slope[:, 0] == pytest.approx(theta * (mu - y) / (theta + mu), rel=1e-5)
    with mp.workdps(50):
        for index, label in enumerate(labels):
            gammas = mp.loggamma(mpf(theta)) - mp.loggamma(label + mpf(theta))
            rest = (theta + label) * mp.log(theta + mp.exp(rows[index]))
            rest -= theta * mp.log(mpf(theta)) + label * rows[index]
            assert value[index] == pytest.approx(float(gammas + rest), rel=1e-5)


@BOTH
def test_many_degrees_of_freedom(xla: bool) -> None:
    freedom = [1.0, 30.0, 1000.0, 1e5]
    rows, labels = [[0.0, 1.0, nu] for nu in freedom], [[0.3]] * 4
    value, slope, _ = derivatives("student_t", labels, rows, xla=xla)

    def exact(nu: mpf) -> mpf:
        gammas = mp.loggamma(nu / 2) - mp.loggamma((nu + 1) / 2)
        kernel = (nu + 1) / 2 * mp.log(1 + mpf(0.3) ** 2 / nu)
        return gammas + mp.log(mp.pi * nu) / 2 + kernel

    with mp.workdps(50):
        for index, nu in enumerate(freedom):
            assert value[index] == pytest.approx(float(exact(mpf(nu))), rel=1e-6)
            # Terms of .5/nu cancel down to the order of 1/nu**2.
            expected = float(mp.diff(exact, mpf(nu)))
            assert slope[index, 2] == pytest.approx(expected, rel=1e-6, abs=2e-7 / nu)


@BOTH
def test_a_clipped_complement_is_not_rounded(xla: bool) -> None:
    shares = [[0.0], [1e-9], [0.25], [1 - 2**-23], [1.0]]
    function = generating.function("clipped_crossentropy", chosen=True)
    value = tf.function(function, jit_compile=xla)(
        tf.zeros((5, 1)), tf.constant(shares)
    )
    kept = np.clip(np.array(shares, "float64")[:, 0], 1e-7, 1 - 1e-7)
    assert value.numpy() == pytest.approx(-np.log1p(-kept), rel=1e-6)


@BOTH
def test_gamma_functions_of_one_and_little_more(xla: bool) -> None:
    labels = [1e-12, 1e-3, 0.9, 40.0, 1e6]
    name, rows = "continuous_poisson", [[1e-9]] * 5
    value, _, _ = derivatives(name, [[item] for item in labels], rows, xla=xla)
    expected = [float(mp.loggamma(1 + mpf(item))) for item in labels]
    assert value == pytest.approx(expected, rel=3e-6)
