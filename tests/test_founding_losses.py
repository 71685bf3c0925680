"""The three losses that the project was started for: trained, saved, loaded, equal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import generating
import keras
import numpy as np
import pytest
import tensorflow as tf

RNG = np.random.default_rng(5)
ROWS, FEATURES, CLASSES, STEPS = 24, 6, 3, 5
X = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
REAL = RNG.normal(size=(ROWS, CLASSES)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, ROWS)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[LABELS]
CLASS_WEIGHTS = np.array([0.25, 1.0, 4.0])
KEPT = RNG.random((ROWS, CLASSES)) < 0.5
HOLES = np.where(KEPT, REAL, -1).astype(np.float32)
ELEMENTS = np.array([[1.0, 0.0, 1.0]])
IDS = np.where(np.arange(STEPS) < RNG.integers(1, STEPS + 1, ROWS)[:, None], 2, 0)
TIMES = RNG.normal(size=(ROWS, STEPS, 1)).astype(np.float32)

LOAD = """
import importlib, json, sys
import keras, numpy as np
folder, name = sys.argv[1:]
importlib.import_module(name)
model = keras.models.load_model(f"{folder}/model.keras")
data = np.load(f"{folder}/data.npz")
value = model.evaluate(data["x"], data["y"], verbose=0)
print("RESULT", json.dumps([value, model.loss.get_config()]))
"""


def dense(activation: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(2)
    layers = [
        keras.layers.Input((FEATURES,)),
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(CLASSES, activation=activation),
    ]
    return keras.Sequential(layers)


def embedding() -> keras.Model:
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.layers.Embedding(3, 4, mask_zero=True),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def train(model: keras.Model, loss: Any, x: Any, y: Any) -> float:
    """Trains the model; the loss on the training data must fall."""
    model.compile(keras.optimizers.Adam(0.02), loss)
    before = model.evaluate(x, y, verbose=0)
    history = model.fit(x, y, epochs=15, batch_size=8, verbose=0)
    after = model.evaluate(x, y, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert after < before
    return after


def reloaded(model: keras.Model, x: Any, y: Any, folder: Path, name: str) -> Any:
    """What another process makes of the saved model: its loss, and the loss object."""
    model.save(folder / "model.keras")
    np.savez(folder / "data.npz", x=x, y=y)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), name],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(generating.FOLDER)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return json.loads(lines[-1].removeprefix("RESULT "))


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_mean_squared_error(tmp_path: Path) -> None:
    loss = generating.loss_class("mean_squared_error")()
    model = dense()
    value = train(model, loss, X, REAL)
    predicted = model.predict(X, verbose=0)
    close(value, np.mean((REAL - predicted) ** 2))
    close(value, np.mean(keras.losses.MeanSquaredError()(REAL, predicted)))
    again, _ = reloaded(model, X, REAL, tmp_path, "mean_squared_error")
    assert again == value


@pytest.mark.parametrize("from_logits", [False, True])
def test_weighted_categorical_crossentropy(from_logits: bool, tmp_path: Path) -> None:
    name = "weighted_categorical_crossentropy"
    cls = generating.loss_class(name)
    loss = cls(class_weights=CLASS_WEIGHTS, from_logits=from_logits)
    model = dense(None if from_logits else "softmax")
    value = train(model, loss, X, ONE_HOT)

    predicted = model.predict(X, verbose=0).astype(float)
    if from_logits:
        predicted = np.exp(predicted) / np.exp(predicted).sum(-1, keepdims=True)
    crossentropy = -np.log(predicted[np.arange(ROWS), LABELS])
    # Each sample counts by the weight of its own class.
    expected = crossentropy * CLASS_WEIGHTS[LABELS]
    close(value, expected.mean())
    # The mean times the vector of weights would be something else.
    assert abs(value - (crossentropy.mean() * CLASS_WEIGHTS).mean()) > 0.01 * value
    weighted = keras.losses.CategoricalCrossentropy()(
        ONE_HOT, predicted, sample_weight=CLASS_WEIGHTS[LABELS]
    )
    close(value, weighted)

    again, config = reloaded(model, X, ONE_HOT, tmp_path, name)
    assert again == value
    assert config["class_weights"] == CLASS_WEIGHTS.tolist()
    assert config["from_logits"] == from_logits


def test_class_weights_on_probabilities_and_logits_agree() -> None:
    function = generating.function("weighted_categorical_crossentropy")
    logits = tf.constant(3 * RNG.normal(size=(ROWS, CLASSES)))
    outcomes = []
    for from_logits in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            inputs = logits if from_logits else tf.identity(tf.nn.softmax(logits))
            values = function(
                ONE_HOT,
                inputs,
                class_weights=CLASS_WEIGHTS,
                from_logits=from_logits,
            )
        assert values.shape == (ROWS,)
        outcomes.append((values, tape.gradient(values, logits)))
    for one, other in zip(*outcomes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_mask_as_a_tensor_parameter(tmp_path: Path) -> None:
    name = "mean_absolute_error_with_mask"
    model = dense()
    value = train(model, generating.loss_class(name)(mask=ELEMENTS), X, REAL)
    errors = abs(REAL - model.predict(X, verbose=0))
    # The mean over the two kept columns, not over all three.
    close(value, errors[:, [0, 2]].mean())
    assert abs(value - (errors * ELEMENTS).mean()) > 0.1 * value
    again, config = reloaded(model, X, REAL, tmp_path, name)
    assert again == value
    assert config["mask"] == ELEMENTS.tolist()


def test_mask_from_labels(tmp_path: Path) -> None:
    name = "masked_mean_absolute_error"
    model = dense()
    value = train(model, generating.loss_class(name)(), X, HOLES)
    errors = abs(HOLES - model.predict(X, verbose=0))
    # In one batch, over the kept elements and not over all.
    whole = model.evaluate(X, HOLES, batch_size=ROWS, verbose=0)
    close(whole, errors[KEPT].mean())
    assert abs(whole - (errors * KEPT).mean()) > 0.1 * whole
    again, _ = reloaded(model, X, HOLES, tmp_path, name)
    assert again == value


def test_mask_from_an_embedding(tmp_path: Path) -> None:
    name = "mean_absolute_error"
    model = embedding()
    value = train(model, generating.loss_class(name)(), IDS, TIMES)
    errors = abs(TIMES - model.predict(IDS, verbose=0))[..., 0]
    whole = model.evaluate(IDS, TIMES, batch_size=ROWS, verbose=0)
    close(whole, errors[IDS > 0].mean())
    assert abs(whole - (errors * (IDS > 0)).mean()) > 0.1 * whole
    assert abs(whole - errors.mean()) > 1e-3 * whole
    again, _ = reloaded(model, IDS, TIMES, tmp_path, name)
    assert again == value


def test_masks_of_labels_and_of_an_embedding_together() -> None:
    model = embedding()
    labels = np.where(RNG.random(TIMES.shape) < 0.3, -1, TIMES).astype(np.float32)
    model.compile("sgd", generating.loss_class("masked_mean_absolute_error")())
    value = model.evaluate(IDS, labels, batch_size=ROWS, verbose=0)
    errors = abs(labels - model.predict(IDS, verbose=0))
    close(value, errors[(IDS > 0)[..., None] & (labels != -1)].mean())
