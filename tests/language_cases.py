"""Losses that use the language broadly, each with its formula in numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import generating
import numpy as np
from scipy import special

RNG = np.random.default_rng(11)
ROWS, STEPS, CLASSES = 4, 3, 3


@dataclasses.dataclass(frozen=True)
class Formula:
    """A loss, inputs in float64, and its values in numpy; ``kept``: None is all."""

    name: str
    y_true: Any
    y_pred: Any
    values: Callable[..., Any]
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    kept: Any = None

    @property
    def function(self) -> Callable[..., Any]:
        return generating.function(self.name)

    def loss(self, **arguments: Any) -> Any:
        return generating.loss_class(self.name)(**{**self.params, **arguments})

    def expected(self, y_pred: Any) -> Any:
        with np.errstate(all="ignore"):
            return self.values(self.y_true, y_pred)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def log_softmax(x: Any, axis: Any = -1) -> Any:
    return x - special.logsumexp(x, axis=axis, keepdims=True)


def simplex(*shape: int) -> Any:
    return np.exp(log_softmax(RNG.normal(size=shape)))


def one_hot(labels: Any, classes: int = CLASSES) -> Any:
    return np.eye(classes)[np.maximum(labels, 0)] * (np.asarray(labels) >= 0)[..., None]


def over(axes: Any, values: Any, kept: Any) -> Any:
    """The mean over the kept elements, 0 where there are none."""
    total = np.where(kept, values, 0).sum(axes)
    return total / np.maximum(np.broadcast_to(kept, values.shape).sum(axes), 1)


REAL, NOISE = RNG.normal(size=(2, ROWS, CLASSES))
DEEP, WAVES = RNG.normal(size=(2, ROWS, STEPS, CLASSES))
PARTS, GUESS = simplex(ROWS, CLASSES), simplex(ROWS, CLASSES)
HOLES = np.where(RNG.random((ROWS, STEPS, CLASSES)) < 0.6, DEEP, -1)
HOLES[1] = -1
FLAT_HOLES = np.array([[0.5, -1, 2], [-1, -1, -1], [0.1, 0.2, -1], [1.5, 0.7, 0.3]])
FLAT_GAPS = np.where(FLAT_HOLES == -1, np.nan, FLAT_HOLES)
KEPT = np.array([[1.0, 0, 1], [0, 0, 1], [0, 0, 0], [1, 1, 1]])
LABELS = np.array([2, 0, 1, 2])
STEP_LABELS = RNG.integers(0, CLASSES, (ROWS, STEPS))
STEP_GUESS = simplex(ROWS, STEPS, CLASSES)
IGNORING = np.where(RNG.random((ROWS, STEPS)) < 0.4, -1, STEP_LABELS)
IGNORING[2] = -1


# Axes -----------------------------------------------------------------------------


def class_dice(t: Any, p: Any, kept: Any = True) -> Any:
    overlap = np.where(kept, t * p, 0).sum(1)
    total = np.where(kept, t + p, 0).sum(1)
    return 1 - ((2 * overlap + 1) / (total + 1)).mean(-1)


def cosine(t: Any, p: Any) -> Any:
    product = np.linalg.norm(t, axis=-1) * np.linalg.norm(p, axis=-1)
    return 1 - (t * p).sum(-1) / product


def hazards(t: Any, p: Any) -> Any:
    """The negative log partial likelihood of Cox, of samples sorted by falling time."""
    at_risk = np.logaddexp.accumulate(p, axis=0)
    return np.full(ROWS, (t * (at_risk - p)).sum() / max(t.sum(), 1))


def running_evidence(t: Any, p: Any) -> Any:
    whole = np.logaddexp.accumulate(p.reshape(ROWS, -1), axis=1).reshape(p.shape)
    steps = np.logaddexp.accumulate(2 * p, axis=1)
    return (whole**2 - t * steps).mean((1, 2))


AXES = [
    Formula(
        "spatial_mean_square", DEEP, WAVES, lambda t, p: ((t - p) ** 2).mean((1, 2))
    ),
    Formula("spatial_peak", DEEP, WAVES, lambda t, p: abs(t - p).max(1).sum(-1)),
    Formula(
        "spatial_crossentropy",
        abs(DEEP),
        WAVES,
        lambda t, p: -(t * log_softmax(p, 1)).sum(1).mean(-1),
    ),
    Formula("class_dice", sigmoid(DEEP), sigmoid(WAVES), class_dice),
    Formula(
        "sample_distance",
        DEEP,
        WAVES,
        lambda t, p: np.sqrt(((t - p) ** 2).sum((1, 2))),
    ),
    Formula(
        "sample_crossentropy",
        abs(DEEP),
        WAVES,
        lambda t, p: -(t * log_softmax(p, (1, 2))).sum((1, 2)),
    ),
    Formula(
        "batch_centred",
        DEEP,
        WAVES,
        lambda t, p: ((p - p.mean(0) - t) ** 2).mean(-1),
    ),
    Formula(
        "batch_contrast",
        REAL,
        NOISE,
        lambda t, p: (special.logsumexp(p, axis=0) - t * p).mean(-1),
    ),
    Formula(
        "batch_matching",
        one_hot(LABELS),
        NOISE,
        lambda t, p: np.full(ROWS, -(t * log_softmax(p)).sum(-1).mean()),
    ),
    Formula(
        "earth_mover",
        PARTS,
        GUESS,
        lambda t, p: ((t.cumsum(-1) - p.cumsum(-1)) ** 2).sum(-1),
    ),
    Formula(
        "batch_hazards", (REAL[:, :1] > 0).astype(float), NOISE[:, :1] + 200, hazards
    ),
    Formula("running_evidence", DEEP, WAVES, running_evidence),
    Formula(
        "spread_gap",
        REAL,
        NOISE,
        lambda t, p: (t.std(-1) - p.std(-1)) ** 2 + (p - t).var(-1),
    ),
    Formula(
        "batch_spread",
        DEEP,
        WAVES,
        lambda t, p: (p.std(0) * t + p.var(1, keepdims=True)).mean((1, 2)),
    ),
    Formula("cosine_distance", abs(REAL), abs(NOISE), cosine),
    Formula(
        "multiclass_margin",
        one_hot(LABELS),
        NOISE,
        lambda t, p: np.maximum(0, 1 + (p - 100 * t).max(-1) - (t * p).sum(-1)),
    ),
    Formula(
        "smallest_gap",
        REAL,
        NOISE,
        lambda t, p: ((t - p) ** 2).min(-1) + (p**2).mean(-1),
    ),
    Formula("row_of_row", DEEP, WAVES, lambda t, p: (abs(t - p).mean(1) ** 2).sum(-1)),
    Formula(
        "entropy_only",
        None,
        NOISE,
        lambda t, p: -(np.exp(log_softmax(p)) * log_softmax(p)).sum(-1),
    ),
]


# Masks ----------------------------------------------------------------------------


def masked_softmax(t: Any, p: Any) -> Any:
    kept = t >= 0
    total = special.logsumexp(np.where(kept, p, -np.inf), axis=-1, keepdims=True)
    return -np.where(kept, t * (p - total), 0).sum(-1)


def batch_variance(t: Any, p: Any) -> Any:
    kept = np.isfinite(t)
    error = np.where(kept, t - p, 0)
    count = kept.sum(0)
    mean = error.sum(0) / count
    return np.full(ROWS, (np.where(kept, (error - mean) ** 2, 0).sum(0) / count).mean())


def batch_centred(t: Any, p: Any) -> Any:
    kept = t != -1
    mean = np.where(kept, p, 0).sum(0) / kept.sum(0)
    return np.where(kept, (p - mean - t) ** 2, 0)


def extremes(t: Any, p: Any) -> Any:
    kept = t > 0
    high = np.where(kept, p, -np.inf).max(-1)
    low = np.where(kept, p, np.inf).min(-1)
    total = special.logsumexp(np.where(kept, p - t, -np.inf), axis=-1)
    return np.where(kept.any(-1), high - low + total, 0)


def norms(t: Any, p: Any) -> Any:
    kept = t > 0
    distance = np.sqrt((kept * (t - p) ** 2).sum(-1))
    unit = p / np.sqrt((kept * p**2).sum(-1, keepdims=True))
    values = distance + np.where(kept, (unit - t) ** 2, 0).sum(-1)
    return np.where(kept.any(-1), values, 0)


def running_sum(t: Any, p: Any) -> Any:
    kept = np.isfinite(t)
    total = np.where(kept, t - p, 0).cumsum(-1)
    return np.where(kept, total**2, 0).sum(-1)


def running_evidence_of_kept(t: Any, p: Any) -> Any:
    kept = np.isfinite(t)
    total = np.logaddexp.accumulate(np.where(kept, t - p, -np.inf), axis=-1)
    return np.where(kept, total**2, 0).sum(-1)


def spread_of_kept(t: Any, p: Any) -> Any:
    kept = np.isfinite(t)
    rows = zip(t, p, kept, strict=True)
    return np.array(
        [np.std(a[k] - b[k]) + np.var(b[k]) if k.any() else 0 for a, b, k in rows]
    )


def crossentropy(t: Any, p: Any) -> Any:
    return np.where(t >= 0, -(t * np.log(p) + (1 - t) * np.log(1 - p)), 0)


def censored(t: Any, p: Any) -> Any:
    time, event = np.split(t, 2, -1)
    value = time * np.exp(-p) + event * p
    return np.where(time > 0, value, 0)


def masked_rows(t: Any, p: Any) -> Any:
    return np.where(LOUD_ROWS, ((t - p) ** 2).mean(-1), 0)


def masked_pick(t: Any, p: Any) -> Any:
    """1 less the share of the true class among the allowed ones, 1 if it is not."""
    odds = np.where([True, False, True], np.exp(p), 0)
    return 1 - (t * odds).sum(-1) / odds.sum(-1)


SHARES = np.array([[0.2, 0.3, 0.5], [0, 1, 0], [0.4, 0.4, 0.2], [0.1, 0.7, 0.2]])
LOUD = np.where(np.arange(ROWS)[:, None, None] == 2, 10.0, DEEP)
LOUD_ROWS = (np.linalg.norm(LOUD, axis=-1) > 1.5) & (LOUD.max((1, 2)) < 9)[:, None]
TIMES = np.array([[2.0, 1], [0.5, 0], [-1, 0], [1.5, 1]])

MASKS = [
    Formula(
        "masked_softmax",
        FLAT_HOLES,
        NOISE,
        masked_softmax,
        kept=(FLAT_HOLES >= 0).any(-1),
    ),
    Formula(
        "masked_sample_mean",
        HOLES,
        WAVES,
        lambda t, p: over((1, 2), (t - p) ** 2, t != -1),
        kept=(HOLES != -1).any((1, 2)),
    ),
    Formula(
        "masked_spatial_mean",
        np.where(np.arange(ROWS)[:, None, None] == 1, -1, DEEP),
        WAVES,
        lambda t, p: over(1, (t - p) ** 2, t != -1).mean(-1),
        kept=np.arange(ROWS) != 1,
    ),
    Formula("masked_batch_variance", FLAT_GAPS, NOISE, batch_variance),
    Formula(
        "masked_batch_centred", FLAT_HOLES, NOISE, batch_centred, kept=FLAT_HOLES != -1
    ),
    Formula(
        "masked_below",
        REAL,
        NOISE,
        lambda t, p: np.where(t < 0.3, (t - p) ** 2, 0),
        params={"limit": 0.3},
        kept=REAL < 0.3,
    ),
    Formula(
        "masked_extremes", FLAT_HOLES, NOISE, extremes, kept=(FLAT_HOLES > 0).any(-1)
    ),
    Formula(
        "masked_norms", FLAT_HOLES, abs(NOISE), norms, kept=(FLAT_HOLES > 0).any(-1)
    ),
    Formula(
        "masked_running_sum",
        FLAT_GAPS,
        NOISE,
        running_sum,
        kept=np.isfinite(FLAT_GAPS).any(-1),
    ),
    Formula(
        "masked_running_evidence",
        FLAT_GAPS,
        NOISE,
        running_evidence_of_kept,
        kept=np.isfinite(FLAT_GAPS).any(-1),
    ),
    Formula(
        "masked_spread",
        FLAT_GAPS,
        NOISE,
        spread_of_kept,
        kept=np.isfinite(FLAT_GAPS).any(-1),
    ),
    Formula(
        "masked_probabilities",
        np.array([[1.0, -1, 0], [0, 1, 1], [-1, -1, -1], [0, 0, -9]]),
        sigmoid(NOISE),
        crossentropy,
        kept=np.array([[1, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]], bool),
    ),
    Formula(
        "masked_rows",
        LOUD,
        WAVES,
        masked_rows,
        params={"limit": 1.5},
        kept=np.broadcast_to(LOUD_ROWS, (ROWS, STEPS)),
    ),
    Formula(
        "masked_true_class",
        one_hot(LABELS),
        GUESS,
        lambda t, p: -np.where(t < 1, np.log(1 - p), 0).sum(-1),
        kept=np.ones(ROWS, bool),
    ),
    Formula(
        "masked_true_element",
        one_hot(LABELS),
        NOISE,
        lambda t, p: np.where(t < 1, p**2, 0),
        kept=one_hot(LABELS) < 1,
    ),
    Formula(
        "masked_shares",
        SHARES,
        GUESS,
        lambda t, p: np.where((t > 0) & (t < 0.5), special.rel_entr(t, p), 0).sum(-1),
        kept=((SHARES > 0) & (SHARES < 0.5)).any(-1),
    ),
    Formula(
        "masked_largest",
        REAL,
        NOISE,
        lambda t, p: over(-1, abs(t - p), t < t.max(-1, keepdims=True)),
        kept=np.ones(ROWS, bool),
    ),
    Formula(
        "masked_pick",
        one_hot(LABELS),
        NOISE,
        masked_pick,
        params={"allowed": [1.0, 0.0, 1.0]},
        kept=np.ones(ROWS, bool),
    ),
    Formula(
        "censored_exponential", TIMES, NOISE[:, :1], censored, kept=TIMES[:, :1] > 0
    ),
]


# Channels -------------------------------------------------------------------------


def survival(t: Any, p: Any) -> Any:
    (time, event), (guess, spread) = np.split(t, 2, -1), np.split(p, 2, -1)
    values = (time - guess) ** 2 * np.exp(-2 * spread) + 2 * spread
    return (values + (1 - event) * (guess - time))[..., 0]


def boxes(t: Any, p: Any) -> Any:
    distance = abs(t[..., :4] - p[..., :4]).sum(-1)
    return distance - (t[..., 4:] * log_softmax(p[..., 4:])).sum(-1)


def shared(t: Any, p: Any) -> Any:
    mean, log_scale = np.split(p, 2, -1)
    size = t.shape[-1]
    return ((t - mean) ** 2).sum(-1) / size + log_scale.sum(-1) / size**2


def unequal(t: Any, p: Any) -> Any:
    first = ((t - p)[..., :1] ** 2).sum(-1)
    return first + abs(t - p)[..., 1:].sum(-1) / (t.shape[-1] - 1)


def pinball(t: Any, p: Any) -> Any:
    level = np.array([0.1, 0.5, 0.9])
    return np.maximum(level * (t - p), (level - 1) * (t - p)).mean(-1)


def laplace(t: Any, p: Any) -> Any:
    centre, scale = np.split(p, 2, -1)
    return (abs(t - centre) / scale + np.log(scale)).mean(-1)


EVENTS = np.stack([abs(REAL[:, 0]), [1, 0, 0, 1]], -1)
CENTRES = np.concatenate([NOISE, abs(REAL) + 0.1], -1)

CHANNELS = [
    Formula("survival", EVENTS, NOISE[:, :2], survival),
    Formula(
        "box_and_class",
        np.concatenate([RNG.normal(size=(ROWS, 4)), one_hot(LABELS)], -1),
        RNG.normal(size=(ROWS, 7)),
        boxes,
    ),
    Formula("shared_size", REAL, RNG.normal(size=(ROWS, 6)), shared),
    Formula("unequal_sizes", REAL, NOISE, unequal),
    Formula(
        "latent_nll",
        RNG.normal(size=(ROWS, 128)),
        RNG.normal(size=(ROWS, 256)),
        lambda t, p: ((t - p[:, :128]) ** 2 * np.exp(-p[:, 128:]) + p[:, 128:]).sum(-1),
    ),
    Formula(
        "weighted_parts",
        RNG.normal(size=(ROWS, 5)),
        RNG.normal(size=(ROWS, 25)),
        lambda t, p: (
            (np.arange(5) * abs(t - p[:, :5])).sum(-1)
            + (np.arange(1, 21) * p[:, 5:] ** 2).mean(-1)
        ),
        {"weight": list(np.arange(5.0)), "gain": list(np.arange(1.0, 21))},
    ),
    Formula(
        "hard_negative",
        one_hot([3, 39, 0, 17], 40),
        RNG.normal(size=(ROWS, 40)),
        lambda t, p: np.logaddexp(0, (p - 10 * t).max(-1) - (t * p).sum(-1)),
    ),
    Formula(
        "size_around_a_scalar",
        REAL,
        RNG.normal(size=(ROWS, 7)),
        lambda t, p: ((p[:, :3] - t) ** 2 * p[:, 3:4] + p[:, 4:] ** 2).mean(-1),
    ),
    Formula(
        "size_told_by_the_target",
        REAL,
        RNG.normal(size=(ROWS, 5)),
        lambda t, p: ((t - p[:, :3]) ** 2).mean(-1) + 3 * (p[:, 3:] ** 2).sum(-1) / 2,
    ),
    Formula(
        "mask_of_a_sized_channel",
        np.concatenate([REAL, NOISE[:, :1], KEPT], -1),
        RNG.normal(size=(ROWS, 3)),
        lambda t, p: over(-1, t[:, 3:4] * (t[:, :3] - p) ** 2, t[:, 4:] > 0),
        kept=KEPT.any(-1),
    ),
    Formula(
        "broadcast_target",
        REAL[:, :1],
        NOISE,
        lambda t, p: ((t - p) ** 2).mean(-1),
    ),
    Formula(
        "quantiles", REAL[:, :1], NOISE, pinball, params={"level": [0.1, 0.5, 0.9]}
    ),
    Formula(
        "per_class_scale", REAL, NOISE, lambda t, p: ((t - p) ** 2).sum(-1) / CLASSES
    ),
    Formula("positive_scale", REAL, CENTRES, laplace),
]


# Labels ---------------------------------------------------------------------------


def picked(t: Any, values: Any) -> Any:
    index = np.maximum(t, 0)[..., None]
    return np.take_along_axis(values, index, -1)[..., 0]


def sparse_focal(t: Any, p: Any) -> Any:
    q = picked(t, p)
    return np.where(t == -100, 0, -((1 - q) ** 2) * np.log(q))


def sparse_scores(t: Any, p: Any) -> Any:
    return np.where(t == 0, 0, special.logsumexp(p, axis=-1) - picked(t, p))


def brier(t: Any, p: Any) -> Any:
    return np.where(t < 0, 0, ((one_hot(t) - p) ** 2).sum(-1))


LABEL_WEIGHTS = np.array([1.0, 3.0, 0.5])

SPARSE = [
    Formula("plain_sparse", LABELS, GUESS, lambda t, p: -np.log(picked(t, p))),
    Formula(
        "sparse_focal",
        np.where(IGNORING < 0, -100, IGNORING),
        STEP_GUESS,
        sparse_focal,
        kept=IGNORING >= 0,
    ),
    Formula("sparse_scores", STEP_LABELS, WAVES, sparse_scores, kept=STEP_LABELS != 0),
    Formula("sparse_brier", LABELS, GUESS, brier),
    Formula("sparse_brier_ignoring", IGNORING, STEP_GUESS, brier, kept=IGNORING >= 0),
    Formula(
        "sparse_class_dice",
        IGNORING,
        STEP_GUESS,
        lambda t, p: np.where(
            (t >= 0).any(1), class_dice(one_hot(t), p, (t >= 0)[..., None]), 0
        ),
        kept=(IGNORING >= 0).any(1),
    ),
    Formula(
        "sparse_sample",
        IGNORING,
        STEP_GUESS,
        lambda t, p: over(1, -np.log(picked(t, p)), t >= 0),
        kept=(IGNORING >= 0).any(1),
    ),
    Formula(
        "sparse_weighted",
        LABELS,
        NOISE,
        lambda t, p: -LABEL_WEIGHTS[t] * picked(t, log_softmax(p)),
        params={"weights": LABEL_WEIGHTS.tolist()},
    ),
    Formula("soft_targets", PARTS, NOISE, lambda t, p: -(t * log_softmax(p)).sum(-1)),
]


# Parameters -----------------------------------------------------------------------

SCALES = np.array([1, 2, 0.5])

PARAMETERS = [
    Formula("class_scaled", REAL, NOISE, lambda t, p: (SCALES * (t - p) ** 2).sum(-1)),
    Formula("weight_map", REAL, NOISE, lambda t, p: (SCALES * abs(t - p)).mean(-1)),
    Formula(
        "weight_map",
        DEEP,
        WAVES,
        lambda t, p: (abs(WAVES[:1]) * abs(t - p)).mean(-1),
        params={"weight": abs(WAVES[:1]).tolist()},
    ),
    Formula(
        "required_rate",
        REAL,
        NOISE,
        lambda t, p: (3 * (t - p) ** 2).mean(-1),
        params={"rate": 3},
    ),
]


# Branches -------------------------------------------------------------------------

SPREAD = np.linspace(-4.1, 4.2, ROWS * CLASSES).reshape(ROWS, CLASSES)

BRANCHES = [
    Formula(
        "log_above",
        REAL,
        SPREAD,
        lambda t, p: np.where(p > 1, np.log(p), p - 1).mean(-1) - t.mean(-1),
    ),
    Formula(
        "root_branch",
        REAL,
        SPREAD,
        lambda t, p: (np.where(p > 1, np.sqrt(2 * p - 1), p) - t * p).mean(-1),
    ),
    Formula(
        "reciprocal_branch",
        REAL,
        np.where(abs(SPREAD) < 0.5, 0, SPREAD),
        lambda t, p: (np.where(p > 1, 1 / p, 2 - p) + t).mean(-1),
    ),
    Formula(
        "exponential_branch",
        REAL,
        np.where(SPREAD > 3.5, 800, SPREAD),
        lambda t, p: np.where(p < 3, np.exp(p), np.exp(3) * (p - 2)).mean(-1),
    ),
    Formula(
        "power_branch",
        REAL,
        SPREAD,
        lambda t, p: np.where(p > 1, (p - 1) ** 1.5, 0).mean(-1),
    ),
    Formula(
        "nested_branches",
        REAL,
        SPREAD,
        lambda t, p: np.where(
            p > 2,
            np.log(p),
            np.where(
                p > 1,
                np.sqrt(p / 2) * np.log(2),
                t * (p - 1) + np.sqrt(0.5) * np.log(2),
            ),
        ).mean(-1),
    ),
    Formula(
        "clipped_by_targets",  # where the ends cross, the upper one wins
        REAL,
        NOISE,
        lambda t, p: (
            np.minimum(np.maximum(0.5, t), p)
            + np.minimum(np.maximum(p, t), 1 - t) ** 2
            + p / 4
        ).mean(-1),
    ),
]


# Guards ---------------------------------------------------------------------------


def bernoulli(t: Any, p: Any) -> Any:
    return (-t * np.log(p) - (1 - t) * np.log(1 - p)).mean(-1)


INSIDE = sigmoid(NOISE)

GUARDS = [
    Formula("guarded_below", REAL, INSIDE, lambda t, p: (t - np.log(p)).mean(-1)),
    Formula("guarded_above", REAL, INSIDE, lambda t, p: -(t * np.log(1 - p)).mean(-1)),
    Formula("guarded_both", sigmoid(REAL), INSIDE, bernoulli),
    Formula("guarded_epsilon", sigmoid(REAL), INSIDE, bernoulli),
    Formula(
        "guarded_circle",
        abs(REAL),
        6 * INSIDE,
        lambda t, p: (-t * np.log(p) - np.log(2 * np.pi - p)).mean(-1),
    ),
    Formula("guarded_reciprocal", abs(REAL), INSIDE, lambda t, p: (t / p).mean(-1)),
    Formula("guarded_power", REAL, INSIDE, lambda t, p: (t**2 / p).mean(-1)),
    Formula(
        "guarded_reduction",
        abs(REAL),
        abs(NOISE) + 0.1,
        lambda t, p: np.log((t / p).sum(-1)),
    ),
]


# Functions ------------------------------------------------------------------------


def exponentials(t: Any, p: Any) -> Any:
    r = t - p
    values = np.exp(r / 4) + np.expm1(-r / 3) + np.sinh(r / 5) + np.cosh(r / 5)
    return (values + np.tanh(r) + sigmoid(r) + np.log1p(np.exp(-r))).mean(-1)


def logarithms(t: Any, p: Any) -> Any:
    u = (t - p) ** 2
    values = np.log(1 + u) + np.log1p(2 * u) + np.sqrt(1 + u) + u * np.log(1 + u)
    values += u * np.log1p(u) + np.log(sigmoid(u)) + np.arcsinh(u)
    return values.mean(-1)


def specials(t: Any, p: Any) -> Any:
    r = t - p
    values = special.erf(r) + special.erfc(r / 2) + special.ndtr(r)
    values += -special.log_ndtr(r) + np.log(np.cosh(r)) + np.logaddexp(r, 2 * t)
    return (values + special.i0e(r)).mean(-1)


def kinked(t: Any, p: Any) -> Any:
    r = t - p
    values = abs(r) + np.maximum(np.maximum(r, 0), t / 2) + np.minimum(r, 1)
    values += np.maximum(-r, 0) + np.clip(r, -1, 1) + np.where(t > 0, r, -r)
    return values.mean(-1)


def logic(t: Any, p: Any) -> Any:
    plain = ((t > 0) & (t < 1)) | (~(t <= 2) & (t != 3))
    return np.where(plain, abs(t - p), (t - p) ** 2).mean(-1)


def powers(t: Any, p: Any) -> Any:
    r = t - p
    values = (1 + r**2) ** 0.5 + (1 + r**2) ** (1 / 3) + r**3 / (1 + r**4)
    return (values + 2**r + (1 + r**2) ** -2.0 + (t**2) ** 1.5).mean(-1)


def data_only(t: Any, p: Any) -> Any:
    return ((np.sign(t) + np.floor(t)) * p + p**2).mean(-1)


FUNCTIONS = [
    Formula("exponentials", REAL, NOISE, exponentials),
    Formula("logarithms", REAL, NOISE, logarithms),
    Formula(
        "logarithms_of_base",
        abs(REAL),
        abs(NOISE),
        lambda t, p: ((np.log10(1 + p) - np.log2(1 + t)) ** 2).mean(-1),
    ),
    Formula(
        "angles",
        REAL,
        np.tanh(NOISE),
        lambda t, p: (t * np.arccos(p) + np.arccos(p / 2) ** 2).mean(-1),
    ),
    Formula(
        "waves",
        REAL,
        NOISE,
        lambda t, p: (np.sin(p) * t + np.cos(2 * p) + np.arctan(p - t)).mean(-1),
    ),
    Formula("special", REAL, NOISE, specials),
    Formula(
        "gammas",
        REAL,
        abs(NOISE) + 0.1,
        lambda t, p: (special.gammaln(p) + special.digamma(p + 1) * t).mean(-1),
    ),
    Formula("kinked", REAL, NOISE, kinked),
    Formula("data_only", REAL, NOISE, data_only),
    Formula("logic", 3 * REAL, NOISE, logic),
    Formula(
        "constants",
        REAL,
        NOISE,
        lambda t, p: ((t - p) ** 2 / (2 * np.pi) + np.e * p + np.log(2) / 3 + 0.1).mean(
            -1
        ),
    ),
    Formula("powers", REAL, NOISE, powers),
]

FORMULAS = [
    *(*AXES, *MASKS, *CHANNELS, *SPARSE),
    *(*PARAMETERS, *BRANCHES, *GUARDS, *FUNCTIONS),
]
BY_NAME = {formula.name: formula for formula in FORMULAS}
