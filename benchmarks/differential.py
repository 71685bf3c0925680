"""Random losses as generated, against their formulas as typed, and against twins.

Usage: ``python benchmarks/differential.py 2000 --seed 1``. Value, gradient and second
derivative of the generated function, in float64, are held against those of the parsed
tree in TensorFlow (``interpreter.py``). The twins of a spec, which are compiled too,
mean the same: dense labels for integer ones, names written out, channels in another
order, a constant added under a softmax. A point close to a kink, or at which the
formula as typed loses half of its digits, says nothing and is skipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from drawn_points import Point, Trace, draw, labels
from generated_function import Generated, compiled
from interpreter import interpreted, per_sample
from random_specs import Spec, random_specs, twins, written

from lossgen.ir.expr import Apply, Axis, Expr, Role, replace_nodes
from lossgen.ir.loss import Loss

TOLERANCE = 1e-7
"""How far apart two results may be, for their size."""

DRAWS = 12
"""How many points are tried for one that says something."""

ORDERS = ("value", "gradient", "second derivative")

Tensors = Mapping[str, Any]
Values = Callable[[Tensors], Any]
"""From the predictions by channel to the values."""


@dataclasses.dataclass
class Tally:
    """What became of the specs and their points."""

    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    disagreements: list[str] = dataclasses.field(default_factory=list)

    def report(self, spec: Spec, what: str) -> None:
        """Note a disagreement."""
        self.disagreements.append(f"{written(spec)}# {what}\n")

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        return "\n".join([*self.disagreements, counts])


def run(count: int, seed: int = 0, first: int = 0) -> Tally:
    """Compare random specs with what they should be, from the first one on."""
    tally = Tally()
    for spec in list(random_specs(first + count, seed))[first:]:
        try:
            compare(spec, tally)
        except Exception as error:
            tally.report(spec, f"fault: {type(error).__name__}: {error}")
    return tally


def compare(spec: Spec, tally: Tally) -> None:
    """Compare one spec with its formula and with its twins."""
    subject = compiled(written(spec))
    if subject is None:
        tally.counts["refused"] += 1
        return
    tally.counts["accepted"] += 1
    kinds = list(twins(spec))
    # One of them each, in turn: compiling takes most of the time.
    chosen = [kinds[len(spec["loss"]) % len(kinds)]] if kinds else []
    others = {what: compiled(written(twin)) for what, twin in chosen}
    for from_logits in (False, True)[: 1 + bool(subject.loss.spec.y_pred.logits)]:
        found = _settled(subject.loss, from_logits, tally)
        if found is None:
            tally.counts["without a point"] += 1
            continue
        tally.counts["compared"] += 1
        point, expected = found
        got = _derivatives(_generated(subject, point, from_logits), point)
        for order, fault in _faults(got, expected, point):
            tally.report(spec, f"{order}, logits {from_logits}, {fault}")
        for what, other in others.items():
            if other is None:
                tally.counts["twins refused"] += 1
                continue
            tally.counts[f"twins: {what}"] += 1
            same = _derivatives(_generated(other, point, from_logits), point)
            for order, fault in _faults(same, got, point):
                tally.report(spec, f"{order} of {what}, logits {from_logits}, {fault}")


def _settled(
    loss: Loss, from_logits: bool, tally: Tally
) -> tuple[Point, list[Any]] | None:
    """A point that says something, and what is right there."""
    generator = np.random.default_rng(len(loss.spec.loss.value))
    for _ in range(DRAWS):
        point = draw(loss, generator, from_logits)
        trace = Trace()
        values, point.counted = _typed(loss, point, from_logits, trace)
        if trace.says_something:
            expected = _derivatives(values, point)
            if all(np.isfinite(item).all() for item in expected):
                return point, expected
        tally.counts["points skipped"] += 1
    return None


def _typed(
    loss: Loss, point: Point, from_logits: bool, trace: Trace
) -> tuple[Values, Any]:
    """The formula as typed, and where its values count."""
    formula = _of_logits(loss) if from_logits else loss.expression

    def result(predictions: Tensors, watch: Any = None) -> Any:
        symbols = {**point.targets, **point.parameters, **predictions}
        return interpreted(formula, symbols, point.kept, watch)

    first = result(point.predictions, trace.watch)
    shape = next(iter(point.predictions.values())).shape
    elements = loss.mask is not None

    def values(predictions: Tensors) -> Any:
        return per_sample(result(predictions), shape[0], point.kept, elements)

    whole = values(point.predictions)
    if point.kept is None:
        return values, tf.ones_like(whole)
    # What the whole batch shares counts where anything of it is kept.
    shared = not first.shape.rank or first.shape[0] == 1
    rank = 0 if shared else whole.shape.rank
    some = tf.reduce_any(point.kept, list(range(rank, point.kept.shape.rank)))
    return values, tf.cast(some, whole.dtype) * tf.ones_like(whole)


def _of_logits(loss: Loss) -> Expr:
    """The formula with the head written out, which sees what the mask keeps."""
    (y_pred,) = (item.symbol for item in loss.of_role(Role.Y_PRED))
    head = loss.spec.y_pred.logits or ""
    axis = Axis.LAST if head == "softmax" else None
    return replace_nodes(loss.expression, {y_pred: Apply(head, (y_pred,), axis)})


def _generated(subject: Generated, point: Point, from_logits: bool) -> Values:
    names = [item.name for item in subject.loss.of_role(Role.Y_PRED)]
    y_true = labels(subject.loss, point)
    chosen = {"from_logits": True} if from_logits else {}
    wanted = {item.name for item in subject.loss.parameters}
    given = {name: v for name, v in point.parameters.items() if name in wanted}

    def values(predictions: Tensors) -> Any:
        y_pred = tf.concat([predictions[name] for name in names], axis=-1)
        return subject.function(y_true, y_pred, **given, **chosen)

    return values


def _derivatives(values: Values, point: Point) -> list[Any]:
    """The values, their weighted sum's gradient, and its change along a direction."""
    predictions = dict(point.predictions)
    with tf.GradientTape() as outer:
        outer.watch(predictions)
        with tf.GradientTape() as inner:
            inner.watch(predictions)
            found = values(predictions)
            # What is dropped may be anything, and counts for nothing.
            total = tf.reduce_sum(
                tf.where(point.counted > 0, found, 0.0) * point.weights(found)
            )
        slopes = inner.gradient(total, predictions, unconnected_gradients="zero")
        change = tf.add_n(
            [tf.reduce_sum(slopes[k] * point.directions[k]) for k in slopes]
        )
    second = outer.gradient(change, predictions, unconnected_gradients="zero")
    joined = [
        tf.concat([v[k] for k in sorted(v)], -1).numpy() for v in (slopes, second)
    ]
    return [found.numpy() * point.counted.numpy(), *joined]


def _faults(got: list[Any], expected: list[Any], point: Point) -> list[tuple[str, str]]:
    faults = []
    for order, one, other in zip(ORDERS, got, expected, strict=True):
        if one.shape != other.shape:
            faults.append((order, f"shape {one.shape} for {other.shape}"))
            break
        size = np.abs(other).max() + 1e-6 * max(np.abs(e).max() for e in expected)
        apart = np.abs(one - other)
        if not (apart <= TOLERANCE * size + 1e-12).all():
            place = np.unravel_index(
                np.argmax(np.nan_to_num(apart, nan=np.inf)), apart.shape
            )
            faults.append((order, f"{one[place]!r} for {other[place]!r} at {point}"))
            break
    return faults


def main() -> int:
    """Print what disagrees, and how much was compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    tally = run(arguments.count, arguments.seed, arguments.first)
    print(tally)
    return bool(tally.disagreements)


if __name__ == "__main__":
    sys.exit(main())
