"""The losses that the contract with Keras is checked on, with numpy formulas."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import generating
import keras
import numpy as np
import tensorflow as tf

N = 4
LOG_TAU = np.log(2 * np.pi)
RNG = np.random.default_rng(7)


@dataclasses.dataclass(frozen=True)
class Case:
    """A loss, an example batch of N rows, and the formula in numpy."""

    name: str
    y_true: np.ndarray
    y_pred: np.ndarray
    reference: Callable[..., np.ndarray]
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    bad: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    returns: str = "rows"  # or "elements", "samples", "batch"
    kept: Callable[[np.ndarray], np.ndarray] | None = None
    activation: str | None = None
    elementwise: bool = False  # y_true has the shape of y_pred, of any last axis
    indices: bool = False

    @property
    def function(self) -> Callable[..., Any]:
        return generating.function(self.name)

    @property
    def cls(self) -> Any:
        return generating.loss_class(self.name)

    def loss(self, **kwargs: Any) -> Any:
        return self.cls(**{**self.params, **kwargs})

    def values(self, y_true: Any, y_pred: Any, **params: Any) -> np.ndarray:
        return self.reference(
            np.asarray(y_true, float),
            np.asarray(y_pred, float),
            **{**self.params, **params},
        )

    def counted(self, y_true: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if self.kept is None:
            return np.ones(shape, bool)
        return self.kept(np.asarray(y_true, float)).reshape(shape)

    def mean(self, y_true: Any, y_pred: Any, weights: Any = 1.0) -> float:
        values = self.values(y_true, y_pred)
        kept = self.counted(y_true, values.shape)
        return float((values * weights * kept).sum() / kept.sum())

    def sequence(self, steps: int = N) -> tuple[np.ndarray, np.ndarray]:
        """N rows of `steps` different steps."""
        order = [np.roll(np.arange(N), -step) for step in range(steps)]
        return (
            np.stack([self.y_true[i] for i in order], axis=1),
            np.stack([self.y_pred[i] for i in order], axis=1),
        )


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def focal(t: Any, p: Any, alpha: float = 0.25, gamma: float = 2.0) -> Any:
    p_t = t * p + (1 - t) * (1 - p)
    alpha_t = t * alpha + (1 - t) * (1 - alpha)
    return (-alpha_t * (1 - p_t) ** gamma * np.log(p_t)).mean(-1)


def sparse(t: Any, p: Any) -> Any:
    index = np.where(t < 0, 0, t).astype(int)
    index = index.reshape(p.shape[:-1])
    value = -np.log(np.take_along_axis(p, index[..., None], -1)[..., 0])
    return np.where(t.reshape(index.shape) < 0, 0, value)


def under_mask(t: Any, p: Any, mask: Any) -> Any:
    mask = np.broadcast_to(mask, p.shape)
    axes = tuple(range(1, p.ndim))
    return (mask * abs(t - p)).sum(axes) / np.maximum(mask.sum(axes), 1)


def gaussian(t: Any, p: Any) -> Any:
    mean, log_var = np.split(p, 2, -1)
    return ((log_var + (t - mean) ** 2 / np.exp(log_var) + LOG_TAU) / 2).mean(-1)


def mixture(t: Any, p: Any) -> Any:
    logit, mean, log_scale = np.split(p, 3, -1)
    scale = np.exp(log_scale)
    density = np.exp(-(((t - mean) / scale) ** 2) / 2) / scale / np.sqrt(2 * np.pi)
    return -np.log((softmax(logit) * density).sum(-1))


def dice(t: Any, p: Any, smooth: float = 1.0) -> Any:
    axes = tuple(range(1, p.ndim))
    both = 2 * (t * p).sum(axes) + smooth
    return 1 - both / (t.sum(axes) + p.sum(axes) + smooth)


def concordance(t: Any, p: Any, smooth: float = 1e-6) -> Any:
    cov = (t * p).mean(0) - t.mean(0) * p.mean(0)
    size = t.var(0) + p.var(0) + (t.mean(0) - p.mean(0)) ** 2 + smooth
    return np.full(len(p), (1 - 2 * cov / size).mean())


def relative(t: Any, p: Any) -> Any:
    kept = np.isfinite(t)
    t, p = np.where(kept, t, 0), np.where(kept, p, 0)
    mean = (kept * (1 + t**2)).sum(-1) / np.maximum(kept.sum(-1), 1)
    return abs(t * (t - p)).sum(-1) / np.where(kept.any(-1), mean, 1)


REAL = RNG.normal(size=(N, 3))
NOISE = RNG.normal(size=(N, 3))
BINARY = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 0]])
ONE_HOT = np.eye(3)[[0, 2, 1, 2]]
HOLES = np.where(BINARY, REAL, np.nan)
HOLES[2] = np.nan
UNIT = [-0.1, 1.5, float("nan"), np.float32(2), tf.constant(-1.0), [0.5]]
POSITIVE = [-1.0, 0, float("nan"), float("inf"), tf.Variable(-1.0), [1.0]]

CASES = [
    Case(
        "mean_squared_error",
        REAL,
        NOISE,
        lambda t, p: ((t - p) ** 2).mean(-1),
        elementwise=True,
    ),
    Case(
        "binary_focal",
        BINARY,
        sigmoid(NOISE),
        focal,
        bad={"alpha": UNIT, "gamma": [-1, float("nan"), keras.Variable(-2.0)]},
        activation="sigmoid",
        elementwise=True,
    ),
    Case(
        "weighted_categorical_crossentropy",
        ONE_HOT,
        softmax(NOISE),
        lambda t, p, class_weights: -(class_weights * t * np.log(p)).sum(-1),
        params={"class_weights": [1.0, 2.0, 0.5]},
        bad={"class_weights": [[1, -1, 1], [1, float("nan"), 1], -1.0, [[1.0]]]},
        activation="softmax",
    ),
    Case(
        "sparse_categorical_crossentropy",
        np.array([2, 0, -1, 1]),
        softmax(NOISE),
        sparse,
        returns="rows",
        kept=lambda t: t >= 0,
        activation="softmax",
        indices=True,
    ),
    Case(
        "masked_mean_absolute_error",
        np.where(BINARY, REAL, -1),
        NOISE,
        lambda t, p: np.where(t == -1, 0, abs(t - p)),
        returns="elements",
        kept=lambda t: t != -1,
        elementwise=True,
    ),
    Case(
        "mean_absolute_error_with_mask",
        REAL,
        NOISE,
        under_mask,
        params={"mask": [1.0, 0.0, 1.0]},
        bad={"mask": [[1, -1, 1], [1, 0.5, 0], [1, float("nan"), 1]]},
        returns="samples",
    ),
    Case("gaussian_nll", REAL, RNG.normal(size=(N, 6)), gaussian),
    Case("mixture_density_nll", REAL[:, :1], RNG.normal(size=(N, 6)), mixture),
    Case(
        "dice",
        BINARY,
        sigmoid(NOISE),
        dice,
        bad={"smooth": POSITIVE},
        returns="samples",
        elementwise=True,
    ),
    Case(
        "concordance",
        REAL,
        NOISE,
        concordance,
        bad={"smooth": POSITIVE},
        returns="batch",
        elementwise=True,
    ),
    Case(
        "masked_relative_error",
        HOLES,
        NOISE,
        relative,
        kept=lambda t: np.isfinite(t).any(-1),
        elementwise=True,
    ),
]

BY_NAME = {case.name: case for case in CASES}
