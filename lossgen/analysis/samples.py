"""Points of the declared domain to evaluate a loss at.

Deterministic: the same loss gives the same points. Values are short decimals, so that a
witness reads well.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import inf, lcm
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.analysis.intervals import Interval
from lossgen.analysis.orderings import ordered
from lossgen.analysis.ranges import domain_interval
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Axis, Expr, Role, walk
from lossgen.ir.loss import Loss, Variable

Draw = Callable[[], Fraction]
Pick = Callable[[random.Random, Variable], Draw]

_SEED = 20240229
_NAMED_SIZE = 2
_SPECIAL_ROWS = 32
_CONSTANT_ROWS = 48
_MOST_DROPPED = 3
_ATTEMPTS = 16  # points for one that satisfies the assumptions
_ELEMENTS = 512  # of a sample, where rows are long
_FEW_ROWS = 4
_MOST_SHOWN = 12
_STATES = 3  # of an input: at the lower end, at the upper one, or inside
_COMBINED = 3  # inputs of which all states are combined
ALL_STATES = _STATES**_COMBINED
"""Rows that hold all combinations of ends of three inputs."""
_LARGE = 10**16  # from here on a number has an exponent


@dataclass(frozen=True)
class Rest:
    """What a mask drops of the rows of a sample.

    ``rows`` has the inputs with all their elements, ``kept`` says which of these the
    sample has.
    """

    rows: Mapping[str, Array]
    kept: Array

    def joined(self, name: str, values: Array) -> Array:
        """Whole rows of an input whose kept elements are given."""
        if name not in self.rows:
            return values
        whole: Array = self.rows[name].copy()
        part = (len(whole), int(self.kept[0].sum()))
        whole[self.kept] = np.broadcast_to(values, part).reshape(-1)
        return whole

    def only(self, keep: Array) -> Rest:
        """The rows for which ``keep`` is true."""
        rows = {name: value[keep] for name, value in self.rows.items()}
        return Rest(rows, self.kept[keep])


@dataclass(frozen=True)
class Sample:
    """A batch of points: each row is one, unless an axis=batch ties them.

    An input in ``lengths`` has so many equal elements, of which one stands here. With a
    ``rest``, the rows are what a mask keeps of longer ones.
    """

    environment: Mapping[str, Array]
    rows: int
    last: int
    lengths: Mapping[str, int] = field(default_factory=dict)
    rest: Rest | None = None

    def describe(self, row: int, names: tuple[str, ...]) -> str:
        """The values of some inputs in one row, ``y_pred = 1, y_true = (0, 2)``."""
        return ", ".join(
            f"{name} = {self._shown(name, row)}"
            for name in names
            if name in self.environment
        )

    def moved(self, name: str, values: Array) -> Sample:
        """The same points with other values of one input."""
        return replace(self, environment={**self.environment, name: values})

    def only(self, keep: Array) -> Sample:
        """The rows for which ``keep`` is true."""
        chosen = {
            name: value[keep] if value.ndim and value.shape[0] == self.rows else value
            for name, value in self.environment.items()
        }
        rest = self.rest.only(keep) if self.rest else None
        return replace(self, environment=chosen, rows=int(keep.sum()), rest=rest)

    def _shown(self, name: str, row: int) -> str:
        array = self.environment[name]
        values = _row(self.rest.joined(name, array) if self.rest else array, row)
        if name not in self.lengths:
            return _shown(values)
        element = number_text(values.flat[0])
        return f"({element}, …, {element}) with {self.lengths[name]} elements"


def witnesses(loss: Loss) -> Iterator[Sample]:
    """Points where definedness fails if it does: ends, zeros, the diagonal, others."""
    for last in (1, 2, 3, 6):
        sample = special(loss, last=last, rows=_SPECIAL_ROWS)
        if sample is not None:
            yield sample
            if uses_axis(loss.expression, Axis.BATCH):
                yield from _constant_batches(loss, sample)


def _constant_batches(loss: Loss, sample: Sample) -> Iterator[Sample]:
    """The sample with predictions, or all inputs, alike in all rows of the batch."""
    for roles in ((Role.Y_PRED,), (Role.Y_TRUE, Role.Y_PRED)):
        environment = dict(sample.environment)
        for item in loss.of_role(*roles):
            array = environment[item.name]
            environment[item.name] = np.broadcast_to(array[:1], array.shape).copy()
        constant = satisfying(loss, replace(sample, environment=environment))
        if constant.rows:
            yield constant


def constant_rows(loss: Loss, length: int) -> Sample | None:
    """Rows of equal elements as in `witnesses`, one element in place of each row."""
    generator = random.Random(_SEED + 1009 * length)
    environment: dict[str, Array] = {}
    lengths = {}
    for variable in loss.variables:
        if variable.domain.kind is DomainKind.ONE_HOT:
            return None
        shape = (_CONSTANT_ROWS, 1)
        if variable.role is Role.SIZE:
            environment[variable.name] = np.array(Fraction(length), dtype=object)
            continue
        if variable.domain.along_last_axis:
            environment[variable.name] = np.full(shape, Fraction(1, length))
        else:
            environment[variable.name] = _fill(variable, shape, generator, _special)
        if variable.shape != "scalar":
            lengths[variable.name] = length
    _make_diagonal(loss, environment, _CONSTANT_ROWS)
    sample = satisfying(loss, Sample(environment, _CONSTANT_ROWS, 1, lengths))
    return sample if sample.rows else None


def generic(loss: Loss, *, last: int, rows: int, salt: int = 0) -> Sample | None:
    """Random interior points at which nothing coincides by accident."""
    return _sample(loss, last, rows, _interior, salt)


def special(loss: Loss, *, last: int, rows: int) -> Sample | None:
    """Points where something may go wrong: ends, zeros, round numbers, the diagonal."""
    return _sample(loss, last, rows, _special)


def distant(loss: Loss, *, last: int, rows: int) -> Sample | None:
    """Random points of all magnitudes, for branches that only far ones take."""
    return _sample(loss, last, rows, _far)


def at_closed_ends(loss: Loss, sample: Sample, *roles: Role) -> Sample:
    """The sample with some inputs at the closed ends of their domains in some rows.

    Of up to three inputs each is at either end, or inside, together with each of the
    others, as far as there are rows; labels take each of up to three values.
    """
    environment = dict(sample.environment)
    inputs = [item for item in loss.of_role(*roles) if _has_ends(item)]
    count = 0
    for item in inputs:
        array = environment[item.name]
        if not array.ndim:
            continue
        array = environment[item.name] = array.copy()
        for state, end in enumerate(_closed_ends(item)):
            if end is not None:
                array[_in_state(count, state, sample.rows)] = end
        count += 1
    return satisfying(loss, replace(sample, environment=environment))


def _has_ends(variable: Variable) -> bool:
    domain = variable.domain
    return not domain.along_last_axis and len(domain.labels) <= _STATES


def _closed_ends(variable: Variable) -> tuple[Fraction | None, ...]:
    """The labels, or the lower and the upper end where these belong to the domain."""
    if variable.domain.labels:
        return variable.domain.labels
    values = domain_interval(variable.domain)
    lower, upper = values.lower, values.upper
    return (
        lower if isinstance(lower, Fraction) and not values.lower_open else None,
        upper if isinstance(upper, Fraction) and not values.upper_open else None,
    )


def _in_state(count: int, state: int, rows: int) -> Array:
    """The rows in which an input, one of several, is in one of three states."""
    place, shift = count % _COMBINED, count // _COMBINED
    return np.asarray((np.arange(rows) // _STATES**place + shift) % _STATES == state)


def satisfying(loss: Loss, sample: Sample) -> Sample:
    """The rows that satisfy the assumptions and whose elements are all kept."""
    keep = satisfies(loss, sample)
    if loss.mask is not None:
        keep &= _keeps_all(loss.mask, sample)
    return sample if keep.all() else sample.only(keep)


def satisfies(loss: Loss, sample: Sample) -> Array:
    """In which rows the assumptions hold."""
    keep: Array = np.ones(sample.rows, dtype=bool)
    for condition in loss.assume:
        keep &= _by_row(_truth(condition, sample), sample.rows)
    return keep


def _keeps_all(mask: Expr, sample: Sample) -> Array:
    """The rows that a mask keeps all elements of, and nothing of their rest."""
    rest = sample.rest
    if rest is None:
        return _by_row(_truth(mask, sample), sample.rows)
    environment = {
        name: rest.joined(name, value) for name, value in sample.environment.items()
    }
    truth = _truth(mask, replace(sample, environment=environment, rest=None))
    return _by_row(truth == rest.kept, sample.rows)


def uses_axis(expr: Expr, axis: Axis) -> bool:
    """Whether a reduction over the axis occurs."""
    return any(isinstance(node, Apply) and node.axis is axis for node in walk(expr))


def shortest(loss: Loss) -> int:
    """The smallest length of the last axis that the domains allow."""
    return 2 if any(item.domain.along_last_axis for item in loss.variables) else 1


def typical_length(loss: Loss) -> int:
    """A length of the last axis at which the loss shows what it does."""
    reduced = any(
        isinstance(node, Apply) and node.axis is not None
        for node in walk(loss.expression)
    )
    return max(shortest(loss), 2 if reduced else 1)


def number_text(value: Any) -> str:
    """A number as a reader would write it."""
    if abs(value) >= _LARGE:
        return str(mp.nstr(mp.mpmathify(value), 6))
    if value == int(value):
        return str(int(value))
    return f"{float(value):.6g}"


def _sample(
    loss: Loss, last: int, rows: int, pick: Pick, salt: int = 0
) -> Sample | None:
    if last < shortest(loss):
        return None
    rows = _affordable(loss, rows)
    drawn = _drawn(loss, last, rows, pick, salt)
    sample = satisfying(loss, drawn)
    if loss.assume and sample.rows < rows / 2:
        more = satisfying(loss, _drawn(loss, last, _ATTEMPTS * rows, pick, salt))
        sample = more.only(np.arange(more.rows) < rows)
    # Over a batch, or over places, what is kept is no shorter row.
    tied = any(uses_axis(loss.expression, axis) for axis in (Axis.BATCH, Axis.SPATIAL))
    if not sample.rows and loss.mask is not None and not tied:
        sample = _kept_parts(loss, last, rows, pick, salt)
    return sample if sample.rows else None


def _kept_parts(loss: Loss, last: int, rows: int, pick: Pick, salt: int) -> Sample:
    """Rows of which a mask keeps a part: that part, as a row of its own.

    A mask such as ``y_true < 1`` on one-hot rows keeps no row as a whole.
    """
    assert loss.mask is not None
    for more in range(1, _MOST_DROPPED + 1):
        drawn = _drawn(loss, last + more, rows, pick, salt)
        kept = _truth(loss.mask, drawn)
        if kept.ndim != 2 or kept.shape[1] == 1:
            break  # all elements of a row share their fate
        counts = kept.sum(axis=1)
        length = last if (counts == last).any() else counts.max()
        if 0 < length < kept.shape[1]:
            return satisfying(loss, _part(drawn, kept, counts == length, last))
    return drawn.only(np.zeros(rows, dtype=bool))


def _part(drawn: Sample, kept: Array, chosen: Array, last: int) -> Sample:
    """The kept elements of the chosen rows, of which each has the same number."""
    sample, kept = drawn.only(chosen), kept[chosen]
    whole = {
        name: value
        for name, value in sample.environment.items()
        if value.shape == kept.shape
    }
    parts = {
        name: value[kept].reshape(sample.rows, -1) for name, value in whole.items()
    }
    environment = {**sample.environment, **parts}
    return replace(sample, environment=environment, last=last, rest=Rest(whole, kept))


def _drawn(loss: Loss, last: int, rows: int, pick: Pick, salt: int) -> Sample:
    generator = random.Random(_SEED + 1009 * last + salt)
    rank = 3 if uses_axis(loss.expression, Axis.SPATIAL) else 2
    tied = uses_axis(loss.expression, Axis.BATCH)
    environment: dict[str, Array] = {}
    for variable in loss.variables:
        shape = _shape(variable, rows, last, rank, tied)
        if variable.role is Role.SIZE:
            size = np.array(Fraction(max(_NAMED_SIZE, last)), dtype=object)
            environment[variable.name] = size
            continue
        environment[variable.name] = _fill(variable, shape, generator, pick)
    if pick is _special:
        _make_diagonal(loss, environment, rows)
    return Sample(ordered(loss, environment), rows, last)


def _affordable(loss: Loss, rows: int) -> int:
    """Fewer rows where a declared size makes them long."""
    longest = max(
        (v.size for v in loss.variables if isinstance(v.size, int)), default=1
    )
    return max(_FEW_ROWS, min(rows, _ELEMENTS // longest))


def _shape(
    variable: Variable, rows: int, last: int, rank: int, tied: bool
) -> tuple[int, ...]:
    size = variable.size
    if isinstance(size, str):
        size = max(_NAMED_SIZE, last)
    length = size or last
    if variable.shape == "scalar":
        return () if tied else (rows, *(1,) * (rank - 1))
    if variable.shape == "last":
        return (length,) if tied else (rows, *(1,) * (rank - 2), length)
    return (rows, *(2,) * (rank - 2), length)


def _fill(
    variable: Variable, shape: tuple[int, ...], generator: random.Random, pick: Pick
) -> Array:
    array = np.empty(shape, dtype=object)
    if variable.domain.along_last_axis:
        for index in np.ndindex(shape[:-1]):
            array[index] = _composition(
                variable, shape[-1], generator, 9 if pick is _special else 9999
            )
        return array
    draw = pick(generator, variable)
    for index in np.ndindex(shape):
        array[index] = draw()
    return array


def _composition(
    variable: Variable, length: int, generator: random.Random, grain: int
) -> list[Fraction]:
    """A point of the simplex, or a vertex of it."""
    closed = not variable.domain.lower.open
    if variable.domain.kind is DomainKind.ONE_HOT or (
        closed and generator.random() < 0.3
    ):
        chosen = generator.randrange(length)
        return [Fraction(int(index == chosen)) for index in range(length)]
    parts = [Fraction(generator.randint(1, grain)) for _ in range(length)]
    return [part / sum(parts) for part in parts]


def _labels(generator: random.Random, variable: Variable) -> Draw:
    return lambda: generator.choice(variable.domain.labels)


def _interior(generator: random.Random, variable: Variable) -> Draw:
    """A value inside the domain, with six decimals."""
    domain = variable.domain
    if domain.labels:
        return _labels(generator, variable)
    if domain.kind is DomainKind.COUNT:
        return lambda: Fraction(generator.randint(0, 6))
    low, high = window(domain_interval(domain))
    width = (high - low) / 10**6
    common = lcm(low.denominator, width.denominator)
    start, step = int(low * common), int(width * common)
    return lambda: Fraction(start + step * generator.randint(1, 999_999), common)


def _far(generator: random.Random, variable: Variable) -> Draw:
    """A value inside the domain, of any magnitude up to 10,000."""
    domain = variable.domain
    values = domain_interval(domain)
    bounded = isinstance(values.lower, Fraction) and isinstance(values.upper, Fraction)
    if domain.labels or bounded:
        return _interior(generator, variable)

    def draw() -> Fraction:
        scale = Fraction(10) ** generator.randint(-4, 1)
        size: Fraction = generator.randint(1, 999) * scale
        if domain.kind is DomainKind.COUNT:
            return Fraction(int(size))
        if isinstance(values.lower, Fraction):
            return values.lower + size
        if isinstance(values.upper, Fraction):
            return values.upper - size
        return size if generator.random() < 0.5 else -size

    return draw


def window(values: Interval) -> tuple[Fraction, Fraction]:
    """A finite part of an interval, where most of what matters happens."""
    if values.lower == -inf and values.upper == inf:
        return Fraction(-3), Fraction(3)
    if isinstance(values.lower, float):
        return Fraction(values.upper) - 4, Fraction(values.upper)
    if isinstance(values.upper, float):
        return values.lower, values.lower + 4
    return values.lower, values.upper


def _special(generator: random.Random, variable: Variable) -> Draw:
    """A value where something may go wrong, or any other."""
    domain = variable.domain
    if domain.labels:
        return _labels(generator, variable)
    values = domain_interval(domain)
    whole = domain.kind is DomainKind.COUNT
    candidates = [Fraction(item) for item in (0, 1, -1, 2, 0, -3, 10, -100, 1000)]
    if not whole:
        candidates += [Fraction(1, 2), Fraction(-1, 2), Fraction(3, 2)]
    for end in (values.lower, values.upper):
        if isinstance(end, Fraction):
            candidates += [end] * 3
    fixed = [item for item in candidates if values.contains(item)]
    other = _interior(generator, variable)

    def draw() -> Fraction:
        near = () if whole else (round(other(), 3) for _ in range(3))
        allowed = [*fixed, *(item for item in near if values.contains(item))]
        return generator.choice(allowed) if allowed else other()

    return draw


def _make_diagonal(loss: Loss, environment: dict[str, Array], rows: int) -> None:
    """Rows where y_pred equals y_true, and rows where an input is constant."""
    for variable in loss.of_role(Role.Y_PRED):
        name = variable.name
        partner = name.replace("y_pred", "y_true", 1)
        if partner in environment:
            twin = environment[partner]
            inside = np.array(
                [_all_inside(variable, twin[row]) for row in range(rows)], dtype=bool
            )
            if twin.shape == environment[name].shape:
                equal = inside & (np.arange(rows) % 4 == 1)
                environment[name][equal] = twin[equal]
    for variable in loss.of_role(Role.Y_TRUE, Role.Y_PRED):
        if not variable.domain.along_last_axis:
            array = environment[variable.name]
            for row in range(2, rows, 3):
                array[row] = array[row].reshape(-1)[0]


def _all_inside(variable: Variable, values: Array) -> bool:
    domain = variable.domain
    if domain.along_last_axis:
        return not domain.lower.open or all(0 < item < 1 for item in values.flat)
    if domain.labels:
        return all(item in domain.labels for item in values.flat)
    interval = domain_interval(domain)
    whole = domain.kind is DomainKind.COUNT
    return all(
        interval.contains(item) and not (whole and item.denominator > 1)
        for item in values.flat
    )


def _by_row(truth: Array, rows: int) -> Array:
    """The rows of which all elements are true."""
    if not truth.ndim or truth.shape[0] != rows:
        return np.full(rows, bool(truth.all()))
    return np.asarray(truth.reshape(rows, -1).all(axis=1))


def _truth(condition: Expr, sample: Sample) -> Array:
    """Where a condition is true; it is false in rows that leave it undefined."""
    try:
        return np.asarray(evaluate(condition, sample.environment, digits=30), bool)
    except Undefined:
        if sample.rows == 1:
            return np.zeros((1, 1), dtype=bool)
    numbers = np.arange(sample.rows)
    rows = [_truth(condition, sample.only(numbers == row)) for row in numbers]
    shape = np.broadcast_shapes(*(row.shape for row in rows))
    return np.concatenate([np.broadcast_to(row, shape) for row in rows])


def _row(array: Array, row: int) -> Array:
    return array[row] if array.ndim > 1 else array


def _shown(values: Array) -> str:
    flat = [number_text(item) for item in values.flat]
    if len(set(flat)) == 1 and values.size == 1:
        return flat[0]
    if len(flat) > _MOST_SHOWN:
        return f"({', '.join(flat[:3])}, …, {flat[-1]}) with {len(flat)} elements"
    return f"({', '.join(flat)})"
