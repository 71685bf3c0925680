"""The specs of docs/recipes.md, built, compute what the page says."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from lossgen.compiler import compile_source
from lossgen.diagnostics.render import render_text
from lossgen.diagnostics.source import SourceFile

PAGE = generating.ROOT / "docs" / "recipes.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="needs a checkout")

RNG = np.random.default_rng(3)
ROWS, K = 4, 3


def blocks(language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def recipes() -> dict[str, Any]:
    """The modules of the page, by the name of the loss."""
    return dict(map(module, blocks("yaml")))


def module(spec: str) -> tuple[str, ModuleType]:
    (done,) = compile_source(SourceFile("recipes.md", spec), generating.OPTIONS)
    assert done.name
    assert done.artifacts, render_text(done.diagnostics)
    source = next(item.text for item in done.artifacts if item.kind == "module")
    made = ModuleType(done.name)
    exec(source, vars(made))  # noqa: S102 - generated just now
    return done.name, made


def one_hot(labels: Any, length: int) -> np.ndarray:
    return np.eye(length)[labels]


def simplex(*shape: int) -> np.ndarray:
    return special.softmax(RNG.normal(size=shape), axis=-1)


LABEL = one_hot([2, 0, 1, 1], K)
FIRST, SECOND = simplex(ROWS, K), simplex(ROWS, K)
SCORES = RNG.normal(size=(ROWS, K))
SHARES = special.log_softmax(SCORES, axis=-1)
ADVANTAGE = RNG.normal(size=(ROWS, 1))
VALUE, WEIGHT, GUESS = abs(RNG.normal(size=(3, ROWS, 5)))
PAIRS = RNG.normal(size=(ROWS, ROWS))
TRIPLET = RNG.normal(size=(3, ROWS, 2))
PRESENT = np.array([[1.0], [0.0], [1.0], [0.0]])
POSITION, PLACE = RNG.normal(size=(2, ROWS, 2))
RISK = RNG.normal(size=(ROWS, 1))


def side_by_side(*arrays: Any) -> np.ndarray:
    return np.concatenate(arrays, axis=-1)


def detection() -> np.ndarray:
    score = SCORES[:, :1]
    probability = special.expit(score)
    entropy = -np.log(np.where(PRESENT, probability, 1 - probability))
    return (entropy + 5 * PRESENT * ((POSITION - PLACE) ** 2).sum(-1, keepdims=True))[
        :, 0
    ]


def cox() -> np.ndarray:
    """Event by event: the share of the sample among those that are still observed."""
    total = sum(
        -np.log(np.exp(RISK[i, 0]) / np.exp(RISK[: i + 1, 0]).sum())
        for i in range(ROWS)
        if PRESENT[i, 0]
    )
    return np.full(ROWS, total / PRESENT.sum())


def list_mle() -> np.ndarray:
    """The probability of the order, drawn item by item from the most relevant on."""
    best = SCORES[:, ::-1]
    terms = [best[:, k] - special.logsumexp(best[:, k:], axis=-1) for k in range(K)]
    return -np.sum(terms, axis=0)


NEAR = ((TRIPLET[0] - TRIPLET[1]) ** 2).sum(-1)
FAR = ((TRIPLET[0] - TRIPLET[2]) ** 2).sum(-1)
VALUES: dict[str, tuple[Any, Any, Any]] = {
    "two_teachers": (
        side_by_side(LABEL, FIRST, SECOND),
        SCORES,
        -((LABEL / 2 + FIRST / 4 + SECOND / 4) * SHARES).sum(-1),
    ),
    "policy_gradient": (
        side_by_side(LABEL, ADVANTAGE),
        SCORES,
        -ADVANTAGE[:, 0] * SHARES[np.arange(ROWS), LABEL.argmax(-1)],
    ),
    "weighted_error_of_a_sample": (
        np.stack([VALUE, WEIGHT], axis=-1),
        GUESS[..., np.newaxis],
        (WEIGHT * abs(VALUE - GUESS)).sum(-1) / np.maximum(WEIGHT.sum(-1), 1),
    ),
    "contrast_in_a_batch": (
        np.arange(ROWS),
        PAIRS,
        -np.diag(special.log_softmax(PAIRS / 0.1, axis=-1)),
    ),
    "triplet": (
        np.zeros(ROWS),
        side_by_side(*TRIPLET),
        np.maximum(NEAR - FAR + 1, 0),
    ),
    "detection": (
        side_by_side(PRESENT, POSITION),
        side_by_side(SCORES[:, :1], PLACE),
        detection(),
    ),
    "cox": (PRESENT, RISK, cox()),
    "list_mle": (np.zeros(ROWS), SCORES, list_mle()),
    "overlap": (
        FIRST,
        SECOND,
        1 - (2 * (FIRST * SECOND).sum(-1) + 1) / ((FIRST + SECOND).sum(-1) + 1),
    ),
}


def test_every_recipe_is_compared(recipes: dict[str, Any]) -> None:
    assert {*VALUES, "annealed"} == set(recipes)


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str, recipes: dict[str, Any]) -> None:
    y_true, y_pred, wanted = VALUES[name]
    function = getattr(recipes[name], name)
    np.testing.assert_allclose(function(y_true, y_pred), wanted, rtol=1e-6)
    loss = getattr(recipes[name], generating.class_name(name))()
    single = [tf.cast(item, tf.float32) for item in (y_true, y_pred)]
    np.testing.assert_allclose(loss(*single), wanted.mean(), rtol=1e-4)


def test_sizes_that_do_not_fit_are_refused(recipes: dict[str, Any]) -> None:
    function = recipes["policy_gradient"].policy_gradient
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        function(side_by_side(LABEL[:, :1], ADVANTAGE), SCORES)


def test_the_schedule(recipes: dict[str, Any]) -> None:
    (script,) = blocks("py")
    net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    seen: list[float] = []

    class Spy(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(float(names["strength"]))

    x, y = np.ones((4, 1), np.float32), np.full((4, 1), 2.0, np.float32)
    names: dict[str, Any] = {**vars(recipes["annealed"]), "model": net, "x": x, "y": y}
    names["spy"] = Spy()
    script = script.replace("[warm_up]", "[warm_up, spy], verbose=0")
    exec(script, names)  # noqa: S102 - our own page
    assert seen == [0.0, 0.5, 1.0]
    guess = net.predict(x, verbose=0)
    wanted = ((y - guess) ** 2 + guess**2).mean()
    np.testing.assert_allclose(net.evaluate(x, y, verbose=0), wanted, rtol=1e-5)
