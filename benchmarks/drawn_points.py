"""Points of a loss's domain, well inside of it, and whether they say something."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from interpreter import interpreted, numbered

from lossgen.ir.domain import Domain, DomainKind
from lossgen.ir.expr import Apply, Axis, Role, depends_on, walk
from lossgen.ir.loss import Loss, Variable

ROWS, LENGTH = 3, 4

NEAR = 1e-3
"""How close to a kink a point says nothing."""

LARGEST, SMALLEST = 1e8, 1e-8
"""The sizes that the intermediate results of the formula may have."""


@dataclasses.dataclass
class Point:
    """A batch in float64: a tensor by the name of each channel, and the parameters.

    ``given`` are the labels as they are passed, ``targets`` the same with something of
    the domain where the mask drops them. ``kept`` is where elements count, ``ignored``
    which rows do not, and ``counted`` where values do.
    """

    targets: dict[str, Any]
    predictions: dict[str, Any]
    parameters: dict[str, Any]
    directions: dict[str, Any]
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    kept: Any = None
    ignored: Any = None
    counted: Any = None

    def weights(self, values: Any) -> Any:
        """What each value counts in a sum: no two the same."""
        count = int(np.prod(values.shape))
        return tf.reshape(
            1 + tf.sin(tf.range(1.0, count + 1.0, dtype=values.dtype)) / 2, values.shape
        )

    def __str__(self) -> str:
        parts = (self.given, self.predictions, self.parameters)
        shown = {
            k: v.numpy().round(4).tolist() for part in parts for k, v in part.items()
        }
        return f"{shown}" + (
            "" if self.ignored is None else f", ignored {self.ignored.tolist()}"
        )


class Trace:
    """How close to a kink the operations of a formula are, and how large."""

    _closest, _largest, _smallest = np.inf, 0.0, np.inf

    @property
    def says_something(self) -> bool:
        """Whether results can be compared here."""
        return (
            self._closest > NEAR
            and self._largest < LARGEST
            and self._smallest > SMALLEST
        )

    def watch(self, node: Apply, arguments: list[Any], result: Any) -> None:
        """Look at one operation."""
        if result.dtype != tf.bool:
            size = np.abs(result.numpy())
            self._largest = max(self._largest, np.max(np.nan_to_num(size, nan=np.inf)))
            self._smallest = min(
                self._smallest, np.min(size, where=size > 0, initial=np.inf)
            )
        if depends_on(node, Role.Y_PRED):
            for gap in _gaps(node, arguments, len(result.shape)):
                self._closest = min(self._closest, np.min(np.abs(gap), initial=np.inf))


def _gaps(node: Apply, arguments: list[Any], rank: int) -> list[Any]:
    """What is 0 where an operation has a kink."""
    numbers = [np.asarray(item) for item in arguments]
    if node.op in ("abs", "relu"):
        return numbers
    if node.op in ("lt", "le", "gt", "ge"):
        return [numbers[0] - numbers[1]]
    if node.op == "clip":
        return [numbers[0] - bound for bound in numbers[1:]]
    if node.op in ("max", "min"):
        return [_ahead(np.stack(np.broadcast_arrays(*numbers)), [0], node.op)]
    if node.axis is None or node.op not in ("amax", "amin", "norm", "l2_normalize"):
        return []
    axes = numbered(node.axis, rank)
    (array,) = numbers
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    if node.op in ("amax", "amin"):
        return [_ahead(array, axes, node.op[1:])]
    return [np.sqrt((array**2).sum(axis=tuple(axes)))]


def _ahead(array: Any, axes: list[int], op: str) -> Any:
    """How far the extreme along axes is ahead of the next."""
    moved = np.moveaxis(array if op == "min" else -array, axes, range(-len(axes), 0))
    ranked = np.sort(moved.reshape(*moved.shape[: -len(axes)], -1))
    return ranked[..., 1] - ranked[..., 0] if ranked.shape[-1] > 1 else np.inf


def draw(loss: Loss, generator: np.random.Generator, from_logits: bool) -> Point:
    """A random point; a mask drops some of its elements."""
    nodes = [node for node in walk(loss.expression) if isinstance(node, Apply)]
    spatial = any(node.axis is Axis.SPATIAL for node in nodes)
    inner = (2, 2) if spatial else (2,) * int(generator.integers(2))
    tensors: dict[Role, dict[str, Any]] = {role: {} for role in Role}
    directions = {}
    for item in loss.variables:
        shape = _shape(item, inner)
        found = _drawn(item.domain, shape, generator)
        if item.role is Role.SIZE:
            found = np.float64(LENGTH)
        if item.role is Role.Y_PRED:
            found = generator.normal(size=shape) if from_logits else found
            directions[item.name] = tf.constant(generator.normal(size=shape))
        tensors[item.role][item.name] = tf.constant(found)
    parameters = tensors[Role.PARAMETER] | tensors[Role.SIZE]
    point = Point(tensors[Role.Y_TRUE], tensors[Role.Y_PRED], parameters, directions)
    if loss.spec.y_true.ignore is not None:
        (target,) = point.targets.values()
        point.ignored = generator.random(target.shape[:-1]) < 0.3
        point.kept = tf.broadcast_to(~point.ignored[..., None], target.shape)
    point.given = dict(point.targets)
    if loss.mask is not None:
        _spoil(loss, point, generator)
    return point


def labels(loss: Loss, point: Point) -> Any:
    """y_true as the function takes it."""
    tensors = [point.given[item.name] for item in loss.of_role(Role.Y_TRUE)]
    if not tensors:
        return tf.zeros_like(next(iter(point.predictions.values())))
    if not loss.spec.y_true.sparse:
        return tf.concat(tensors, axis=-1)
    found = np.argmax(tensors[0], axis=-1)
    if point.ignored is not None:
        found = np.where(point.ignored, loss.spec.y_true.ignore, found)
    return tf.constant(found)


def _spoil(loss: Loss, point: Point, generator: np.random.Generator) -> None:
    """Put what the mask drops, if it does, in the place of some labels."""
    assert loss.mask is not None
    if not loss.spec.y_true.sparse:
        for name, clean in point.targets.items():
            junk = tf.constant(generator.choice([-1.0, -2.0, np.nan], clean.shape))
            spoilt = tf.where(generator.random(clean.shape) < 0.4, junk, clean)
            given = {**point.given, **point.parameters, name: spoilt}
            here = interpreted(loss.mask, given)
            if here.shape == clean.shape:
                point.given[name] = tf.where(here, clean, spoilt)
    here = interpreted(loss.mask, {**point.given, **point.parameters})
    full = np.broadcast_shapes(*(t.shape for t in point.targets.values()), here.shape)
    here = tf.broadcast_to(here, full)
    point.kept = here if point.kept is None else here & point.kept


def _shape(item: Variable, inner: tuple[int, ...]) -> tuple[int, ...]:
    last = item.size if isinstance(item.size, int) else LENGTH
    if item.shape == "scalar" or item.role is Role.SIZE:
        return ()
    return (last,) if item.shape == "last" else (ROWS, *inner, last)


def _drawn(
    domain: Domain, shape: tuple[int, ...], generator: np.random.Generator
) -> Any:
    """Numbers of a domain that are not close to its ends."""
    if domain.kind is DomainKind.ONE_HOT:
        return np.eye(shape[-1])[generator.integers(shape[-1], size=shape[:-1])]
    if domain.kind is DomainKind.SIMPLEX:
        parts = generator.uniform(0.1, 1.0, shape)
        return parts / parts.sum(axis=-1, keepdims=True)
    if domain.kind is DomainKind.COUNT:
        return generator.integers(6, size=shape).astype(float)
    if domain.labels:
        return generator.choice([float(label) for label in domain.labels], shape)
    low, high = domain.lower.approx, domain.upper.approx
    if np.isinf(low) and np.isinf(high):
        return generator.normal(size=shape) * 1.5
    if np.isinf(low) or np.isinf(high):
        away = generator.uniform(0.05, 3.0, shape)
        return high - away if np.isinf(low) else low + away
    return low + (high - low) * generator.uniform(0.03, 0.97, shape)
