"""Where losses are measured: over a whole domain, where training happens, corners.

Nothing but arithmetic and the Mersenne Twister has a part in the points, so that they
are the same on every machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from lossgen.calculus.arrays import Array
from lossgen.ir.domain import Domain, DomainKind
from lossgen.ir.expr import Role
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Reach
from lossgen.oracle.samples import Batch, axes_of, sample, sample_shape

ROWS = 6
"""The samples of a batch where a loss depends on all of them."""

_LARGEST = 2.0**60
_SMALLEST = -126
_GUARD = -59  # 2**-59 > 1e-18: nearer to an open end at 0 a prediction is held

_CORNERS = (0.0, 2.0**_SMALLEST, -(2.0**_SMALLEST), 1.0, -1.0, 1e18, -1e18)
"""Values outside a domain are replaced later."""

Draw = Callable[[Domain, random.Random, float], float]


def batches(
    loss: Loss,
    count: int,
    dtype: str,
    *,
    logits: bool,
    seed: int = 1,
    sizes: Reach = (),
    defaults: bool = True,
) -> Iterator[Batch]:
    """About ``count`` samples, in one batch or, where it is one value, in several.

    Args:
        loss: Declares the domains.
        count: How many samples.
        dtype: All inputs are numbers of this type.
        logits: Whether y_pred is real, not in its domain.
        seed: Same seed, same points.
        sizes: Which of the inputs have a largest size.
        defaults: Whether parameters that have a default take it.
    """
    largest = dict(sizes)
    tied = any(axis.value == "batch" for axis in axes_of(loss))
    parts = max(1, count // ROWS) if tied else 1
    for part in range(parts):
        generator = random.Random(1000 * seed + part)
        drawn = sample(loss, ROWS if tied else count, part + 1, defaults=defaults)
        inputs = {
            item.name: _filled(
                item,
                loss,
                drawn.rows,
                dtype,
                generator,
                logits,
                min(_LARGEST, largest.get(item.name, _LARGEST)),
            )
            for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)
        }
        _bring_together(loss, inputs, dtype, generator, logits)
        yield Batch(inputs, drawn.parameters)


def of_one_size(
    loss: Loss, count: int, dtype: str, *, logits: bool, largest: float
) -> Iterator[Batch]:
    """Samples of which the unbounded inputs are all of about the same size.

    `batches` draws the elements of a sample one by one, so that one of them is most
    often much larger than all others.

    Args:
        loss: Declares the domains.
        count: How many samples.
        dtype: All inputs are numbers of this type.
        logits: Whether y_pred is real, not in its domain.
        largest: The largest size.
    """
    for part, batch in enumerate(batches(loss, count, dtype, logits=logits, seed=3)):
        generator = random.Random(part)
        inputs = dict(batch.inputs)
        sizes = [largest * _two_to(-10 * generator.random()) for _ in range(batch.rows)]
        for item in unbounded(loss, logits=logits):
            array = inputs[item.name].copy()
            as_logits = logits and item.role is Role.Y_PRED
            inside = (lambda x: True) if as_logits else _within(item)
            for index in np.ndindex(array.shape):
                number = sizes[index[0]] * (2 * generator.random() - 1)
                found = float(_rounded(np.array(number), dtype))
                number = found if inside(found) else -found
                if inside(number):
                    array[index] = number
            inputs[item.name] = array
        yield replace(batch, inputs=inputs)


def unbounded(loss: Loss, *, logits: bool) -> tuple[Variable, ...]:
    """The inputs whose domains do not say how large they may be; logits are among them.

    Counts are not: they are drawn up to some thousands.
    """
    return tuple(
        item
        for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)
        if (logits and item.role is Role.Y_PRED)
        or (
            item.domain.kind is DomainKind.INTERVAL
            and (item.domain.lower.value is None or item.domain.upper.value is None)
        )
    )


def _filled(
    variable: Variable,
    loss: Loss,
    rows: int,
    dtype: str,
    generator: random.Random,
    logits: bool,
    largest: float,
) -> Array:
    shape = sample_shape(loss, variable, rows)
    array = np.empty(shape)
    domain = variable.domain
    as_logits = logits and variable.role is Role.Y_PRED
    for row in range(rows):
        draw = _anywhere if row % 2 else _training
        if as_logits:
            scale = min(largest, 60.0 if row % 2 else 10.0)
            cells = [scale * (2 * generator.random() - 1) for _ in array[row].flat]
            array[row] = np.array(cells).reshape(shape[1:])
        elif domain.along_last_axis:
            for index in np.ndindex(shape[1:-1]):
                array[row][index] = _composition(variable, shape[-1], generator)
        else:
            cells = [draw(domain, generator, largest) for _ in array[row].flat]
            array[row] = np.array(cells).reshape(shape[1:])
    rounded = _rounded(array, dtype)
    if as_logits or domain.along_last_axis:
        return rounded
    inside = np.vectorize(_within(variable), otypes=[bool])(rounded)
    usual = _rounded(np.full(shape, middle(domain)), dtype)
    return np.where(inside, rounded, usual)


def _rounded(array: Array, dtype: str) -> Array:
    limits = np.finfo(dtype)
    clipped = np.clip(array, float(limits.min), float(limits.max))
    clipped = np.where(np.abs(clipped) < float(limits.tiny), 0.0, clipped)
    return np.asarray(clipped.astype(dtype), dtype=np.float64)


def _within(variable: Variable) -> Callable[[float], bool]:
    domain = variable.domain
    at_zero = domain.lower.open and domain.lower.approx == 0
    guarded = variable.role is Role.Y_PRED and at_zero
    lowest = 2.0**_GUARD if guarded else -np.inf
    return lambda x: domain.contains(x) and x >= lowest


def middle(domain: Domain) -> float:
    """A number of moderate size inside a domain."""
    lower, upper = domain.lower.approx, domain.upper.approx
    if np.isinf(lower) and np.isinf(upper):
        return 1.0
    if np.isinf(upper):
        return lower + 1.0
    return upper - 1.0 if np.isinf(lower) else (lower + upper) / 2


def _anywhere(domain: Domain, generator: random.Random, largest: float) -> float:
    """Uniform over the representations of numbers, from either end of the domain."""
    if domain.labels:
        return float(generator.choice(domain.labels))
    if domain.kind is DomainKind.COUNT:
        return float(int(_two_to(14 * generator.random())) - 1)
    lower, upper = domain.lower.approx, domain.upper.approx
    sign = generator.choice((-1.0, 1.0))
    exponent = _SMALLEST + (math.log2(largest) - _SMALLEST) * generator.random()
    if generator.random() < 0.1:
        return generator.choice([x for x in _CORNERS if abs(x) <= largest])
    if np.isinf(lower) and np.isinf(upper):
        return sign * _two_to(exponent)
    if np.isinf(upper):
        return lower + _two_to(exponent)
    if np.isinf(lower):
        return upper - _two_to(exponent)
    end, inward = (lower, 1.0) if sign < 0 else (upper, -1.0)
    depth = generator.random() * (-_SMALLEST if end == 0 else 24)
    return end + inward * (upper - lower) * _two_to(-depth)


def _training(domain: Domain, generator: random.Random, largest: float) -> float:
    """Where predictions and labels are in training."""
    if domain.labels or domain.kind is DomainKind.COUNT:
        return _anywhere(domain, generator, largest)
    lower, upper = domain.lower.approx, domain.upper.approx
    if np.isinf(lower) and np.isinf(upper):
        return generator.choice((-1.0, 1.0)) * _residual(generator, largest)
    if np.isinf(upper):
        return lower + _residual(generator, largest)
    if np.isinf(lower):
        return upper - _residual(generator, largest)
    share = 1 / (1 + _two_to(20 * (2 * generator.random() - 1)))
    return lower + (upper - lower) * share


def _residual(generator: random.Random, largest: float) -> float:
    """From 1e-4 to 1e4."""
    return _two_to(min(26.6, 13.3 + math.log2(largest)) * generator.random() - 13.3)


def _two_to(exponent: float) -> float:
    """Close to ``2**exponent``: linear between powers of 2, as float32 numbers are."""
    whole = math.floor(exponent)
    return math.ldexp(1 + exponent - whole, whole)


def _composition(
    variable: Variable, length: int, generator: random.Random
) -> list[float]:
    """A vertex of the simplex, for labels, or a point inside, maybe close to one."""
    target = variable.role is Role.Y_TRUE
    if variable.domain.kind is DomainKind.ONE_HOT or (
        target and generator.random() < 0.4
    ):
        chosen = generator.randrange(length)
        return [float(index == chosen) for index in range(length)]
    scale = generator.choice((1.5, 7.0, 19.0))
    powers = [_two_to(scale * (2 * generator.random() - 1)) for _ in range(length)]
    return [power / sum(powers) for power in powers]


def _bring_together(
    loss: Loss,
    inputs: dict[str, Array],
    dtype: str,
    generator: random.Random,
    logits: bool,
) -> None:
    """Let some predictions equal their label, or miss it by a few units.

    Of the logits of training that of the likeliest class becomes the largest by far.
    """
    targets, pred = loss.of_role(Role.Y_TRUE), loss.of_role(Role.Y_PRED)[0]
    if len(targets) != 1:
        return
    (true,) = targets
    target, prediction = inputs[true.name], inputs[pred.name]
    if target.shape != prediction.shape:
        return
    if logits and true.domain.along_last_axis:
        for row in range(0, len(target), 2):
            for index in np.ndindex(target[row].shape[:-1]):
                scores = prediction[row][index]
                likeliest, largest = target[row][index].argmax(), scores.argmax()
                scores[[likeliest, largest]] = scores[[largest, likeliest]]
                scores[likeliest] = _rounded(scores[likeliest] + 10, dtype)
    if logits or pred.domain.along_last_axis or true.domain.labels:
        return
    inside = _within(pred)
    unit = float(np.finfo(dtype).eps)
    for row in range(0, len(target), 5):
        for index in np.ndindex(target[row].shape):
            steps = generator.choice((0, 1, -1, 3, 100, -10000))
            near = _rounded(target[row][index] * (1 + steps * unit), dtype)
            # A difference below the normal range is flushed, and its sign is lost.
            if inside(float(near)) and abs(near) > 2.0**-100:
                prediction[row][index] = near
