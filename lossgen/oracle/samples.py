"""Sample points that are exact float32 numbers.

The generator is Python's Mersenne Twister, of which only ``random()`` is used: its
sequence is the same on every version and machine.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lossgen.analysis.orderings import ordered
from lossgen.calculus.arrays import Array
from lossgen.ir.domain import Domain, DomainKind
from lossgen.ir.expr import Apply, Axis, Role, walk
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.reference import Nested

CLASSES = 3
"""Length of the last axis where the loss looks along it."""

NAMED_SIZE = 3

LONG = 16
"""The length up to which all elements of a row are drawn."""

PERIOD = 7
"""After how many elements a longer row repeats: prime to powers of 2."""


@dataclass(frozen=True)
class Batch:
    """Inputs by full name, as float64 arrays that hold float32 numbers.

    ``mask`` says where the label mask keeps elements; it stays when inputs are moved.
    """

    inputs: Mapping[str, Array]
    parameters: Mapping[str, Array]
    mask: Array | None = None

    @property
    def rows(self) -> int:
        """The number of samples."""
        return int(next(iter(self.inputs.values())).shape[0])

    def by_sample(self, array: Array) -> bool:
        """Whether an array has a row for each sample.

        Of the parameters those have that have a value for each element.
        """
        first = next(iter(self.inputs.values()))
        return array.ndim == first.ndim and len(array) == len(first)

    def only(self, keep: Array) -> Batch:
        """The samples for which ``keep`` is true."""
        inputs = {name: value[keep] for name, value in self.inputs.items()}
        parameters = {
            name: value[keep] if self.by_sample(value) else value
            for name, value in self.parameters.items()
        }
        mask = None if self.mask is None else self.mask[keep]
        return Batch(inputs, parameters, mask)


def together(parts: Sequence[Batch]) -> Batch:
    """Batches of one loss as one; what `Batch.only` takes apart."""
    first = parts[0]
    inputs = {
        name: np.concatenate([part.inputs[name] for part in parts])
        for name in first.inputs
    }
    parameters = {
        name: np.concatenate([part.parameters[name] for part in parts])
        if first.by_sample(value)
        else value
        for name, value in first.parameters.items()
    }
    masks = [part.mask for part in parts]
    known = [mask for mask in masks if mask is not None]
    if not known:
        return Batch(inputs, parameters)
    # A part without a mask keeps all its elements.
    shapes = [(part.rows, *known[0].shape[1:]) for part in parts]
    pairs = zip(masks, shapes, strict=True)
    kept = [np.ones(shape, bool) if mask is None else mask for mask, shape in pairs]
    return Batch(inputs, parameters, np.concatenate(kept))


def axes_of(loss: Loss) -> frozenset[Axis]:
    """The axes that the loss works along."""
    nodes = walk(loss.expression)
    return frozenset(n.axis for n in nodes if isinstance(n, Apply) and n.axis)


def last_length(loss: Loss) -> int:
    """The length of the last axis of samples: 1 for an elementwise loss."""
    along = axes_of(loss) & {Axis.LAST, Axis.SAMPLE}
    tied = any(v.domain.along_last_axis or v.shape == "last" for v in loss.variables)
    return CLASSES if along or tied else 1


def sample_shape(loss: Loss, variable: Variable, rows: int) -> tuple[int, ...]:
    """The shape of a variable's array in a batch of ``rows`` samples."""
    size = variable.size
    last = last_length(loss) if size is None else size
    last = NAMED_SIZE if isinstance(last, str) else last
    spatial = (2, 2) if Axis.SPATIAL in axes_of(loss) else ()
    if variable.shape == "scalar":
        return ()
    if variable.shape == "last":
        return (last,)
    return (rows, *spatial, last)


def draw(domain: Domain, shape: tuple[int, ...], generator: random.Random) -> Array:
    """Random float32 numbers of a domain."""
    array = np.empty(shape)
    if domain.along_last_axis:
        for index in np.ndindex(shape[:-1]):
            array[index] = _composition(domain, shape[-1], generator)
        return array
    for index in np.ndindex(shape):
        array[index] = _number(domain, generator)
    return array


def _drawn(
    variable: Variable, loss: Loss, shape: tuple[int, ...], generator: random.Random
) -> Array:
    """The same; a long row repeats, unless its largest element would be a tie."""
    ops = {node.op for node in walk(loss.expression) if isinstance(node, Apply)}
    tied = not ops.isdisjoint(("amax", "amin"))
    if tied or variable.domain.along_last_axis or (shape or (0,))[-1] <= LONG:
        return draw(variable.domain, shape, generator)
    pattern = draw(variable.domain, (*shape[:-1], PERIOD), generator)
    repeated: Array = np.take(pattern, np.arange(shape[-1]) % PERIOD, axis=-1)
    return repeated


def rounded(value: float) -> float:
    """The nearest float32 number."""
    return float(np.float32(value))


def sample(loss: Loss, rows: int, seed: int, *, defaults: bool) -> Batch:
    """A random batch.

    Args:
        loss: Declares what to sample.
        rows: The number of samples.
        seed: Same seed, same batch.
        defaults: Whether parameters that have a default take it.
    """
    generator = random.Random(seed)
    inputs, parameters = {}, {}
    for variable in loss.variables:
        shape = sample_shape(loss, variable, rows)
        if variable.role is Role.SIZE:
            parameters[variable.name] = np.float64(NAMED_SIZE)
        elif variable.role is Role.PARAMETER:
            default = np.array(variable.default, dtype=float)
            if defaults and variable.default is not None and _fits(default, shape):
                parameters[variable.name] = np.broadcast_to(
                    default, np.broadcast_shapes(default.shape, shape)
                )
            else:
                parameters[variable.name] = _parameter(variable, shape, generator)
        else:
            inputs[variable.name] = _drawn(variable, loss, shape, generator)
    return Batch(ordered(loss, inputs), parameters)


def _fits(default: Array, shape: tuple[int, ...]) -> bool:
    """Whether a default broadcasts to a shape: it may be meant for other tensors."""
    if default.ndim > len(shape):
        return False
    pairs = zip(default.shape[::-1], shape[::-1], strict=False)
    return all(own in (1, length) for own, length in pairs)


def nested(value: Any) -> Nested:
    """An array as nested tuples, with 0 for dropped elements."""
    if np.ndim(value):
        return tuple(nested(item) for item in value)
    return 0.0 if value is None else float(value)


def joined(loss: Loss, batch: Batch, role: Role, row: int) -> Nested:
    """One sample of a tensor as it is passed in.

    Its channels stand one after the other; integer labels take the place of one-hot
    ones.
    """
    parts = [batch.inputs[item.name][row] for item in loss.of_role(role)]
    if role is Role.Y_TRUE and loss.spec.y_true.sparse:
        return nested(np.argmax(parts[0], axis=-1).astype(float))
    return nested(np.concatenate(parts, axis=-1)) if parts else (0.0,)


def ends(domain: Domain, epsilon: float) -> Sequence[float]:
    """Where a prediction is at an end of its domain, just inside, or a bit beyond."""
    points: list[float] = []
    if domain.along_last_axis:
        return points
    for bound, inward in ((domain.lower, 1.0), (domain.upper, -1.0)):
        if bound.value is None:
            continue
        points.append(rounded(bound.approx))
        points.append(rounded(bound.approx + inward * epsilon))
        if bound.open:
            points.append(rounded(bound.approx - inward * 0.25))
    return points


def _parameter(
    variable: Variable, shape: tuple[int, ...], generator: random.Random
) -> Array:
    """A value with two decimals, which reads well, well inside the domain."""
    drawn = draw(variable.domain, shape, generator)
    if variable.domain.along_last_axis or variable.domain.labels:
        return drawn
    short = np.vectorize(lambda value: float(f"{value:.2g}"), otypes=[float])(drawn)
    inside = np.vectorize(variable.domain.contains, otypes=[bool])(short)
    return np.where(inside, short, drawn)


def _number(domain: Domain, generator: random.Random) -> float:
    if domain.labels:
        return float(domain.labels[int(generator.random() * len(domain.labels))])
    if domain.kind is DomainKind.COUNT:
        return float(int(generator.random() ** 2 * 9))
    lower, upper = domain.lower.approx, domain.upper.approx
    if np.isinf(lower) and np.isinf(upper):
        sign = 1.0 if generator.random() < 0.5 else -1.0
        return rounded(sign * 10 ** (3 * generator.random() - 2))
    if np.isinf(upper):
        return _inside(domain, lower + 10 ** (4 * generator.random() - 3))
    if np.isinf(lower):
        return _inside(domain, upper - 10 ** (4 * generator.random() - 3))
    return _inside(domain, _between(lower, upper, generator))


def _between(lower: float, upper: float, generator: random.Random) -> float:
    """Anywhere between, or close to one of the ends."""
    kind, place = generator.random(), generator.random()
    if kind < 0.6:
        return lower + (upper - lower) * place
    near = (upper - lower) * 10 ** (-1 - 4 * place)
    return lower + near if kind < 0.8 else upper - near


def _inside(domain: Domain, value: float) -> float:
    """The value as a float32 number, one step inward if rounding left the domain."""
    number = rounded(value)
    if domain.contains(number):
        return number
    inward = np.inf if number <= domain.lower.approx else -np.inf
    return float(np.nextafter(np.float32(number), np.float32(inward)))


def _composition(domain: Domain, length: int, generator: random.Random) -> list[float]:
    """A vertex of the simplex, or a point inside, in multiples of a power of 2."""
    if domain.kind is DomainKind.ONE_HOT:
        chosen = int(generator.random() * length)
        return [float(index == chosen) for index in range(length)]
    if length > LONG:
        pattern = [1 + int(generator.random() * 3) for _ in range(PERIOD)]
        rest = [pattern[index % PERIOD] for index in range(length - 1)]
        whole = 1 << (4 * length).bit_length()
        return [part / whole for part in (whole - sum(rest), *rest)]
    cuts = sorted(
        1 + int(generator.random() * (63 - length)) for _ in range(length - 1)
    )
    edges = [0, *(cut + index for index, cut in enumerate(cuts)), 64]
    return [(right - left) / 64 for left, right in pairwise(edges)]
