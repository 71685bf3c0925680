"""Laws of y_true under which another prediction has a smaller expected loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.ranges import domain_interval
from lossgen.analysis.samples import (
    Sample,
    generic,
    number_text,
    satisfying,
    uses_axis,
    window,
)
from lossgen.analysis.summands import (
    assumes_on_tensors,
    pair,
)
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.domain import Domain, DomainKind
from lossgen.ir.expr import (
    Axis,
    Role,
)
from lossgen.ir.loss import Loss, Property

_DIGITS = 30
_NOTICEABLE = mpf(10) ** -12
_PROBABILITIES = (Fraction(3, 10), Fraction(3, 5), Fraction(3, 20))
_SHARES = (
    (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)),
    (Fraction(1, 10), Fraction(1, 5), Fraction(7, 10)),
)
_MOVED = (Fraction(1, 50), Fraction(2, 25))
_SALTS = (0, 1)


@dataclass(frozen=True)
class Law:
    """A few labels with their probabilities; the prediction to be least; others."""

    labels: tuple[tuple[Fraction, ...], ...]
    weights: tuple[Fraction, ...]
    centre: tuple[Fraction, ...]
    rivals: tuple[tuple[Fraction, ...], ...]

    def __str__(self) -> str:
        parts = [
            f"y_true = {_text(label)} with probability {number_text(weight)}"
            for label, weight in zip(self.labels, self.weights, strict=True)
        ]
        return ", ".join(parts)


def refute_proper(loss: Loss) -> Property:
    """Search for a law whose probabilities are not the best prediction."""
    laws = probability_laws(loss)
    if laws is None:
        return Property("proper", "unknown", "y_true and y_pred are no probabilities")
    return _searched("proper", loss, laws)


def refute_mean_consistent(loss: Loss) -> Property:
    """Search for a law whose mean is not the best prediction."""
    name, laws = "mean_consistent", mean_laws(loss)
    if laws is None:
        return Property(name, "unknown", "y_true and y_pred do not correspond")
    return _searched(name, loss, laws)


def _searched(name: str, loss: Loss, laws: Sequence[Law]) -> Property:
    """The property refuted by one of the laws, or left open."""
    if not (uses_axis(loss.expression, Axis.BATCH) or assumes_on_tensors(loss)):
        for salt in _SALTS:
            for law in laws:
                detail = _better(loss, law, salt)
                if detail is not None:
                    return Property(name, "refuted", detail)
    return Property(name, "unknown", "no counterexample among a few laws of y_true")


def _better(loss: Loss, law: Law, salt: int) -> str | None:
    """A prediction with a smaller expected loss than the one that ought to be best."""
    predictions = (law.centre, *law.rivals)
    total: list[Any] = [mpf(0)] * len(predictions)
    environment = _environment(loss, predictions, salt)
    if environment is None:
        return None
    with mp.workdps(_DIGITS):
        for label, weight in zip(law.labels, law.weights, strict=True):
            values = _values(loss, environment, label, len(predictions))
            if values is None:
                return None
            share = mpf(weight.numerator) / weight.denominator
            total = [a + share * b for a, b in zip(total, values, strict=True)]
        best = min(range(len(total)), key=lambda index: (total[index], index))
        if total[best] >= total[0] - _NOTICEABLE * (1 + abs(total[0])):
            return None
    names = tuple(item.name for item in loss.parameters)
    given = Sample(environment, len(predictions), 1).describe(0, names)
    return (
        f"for {law}{f' and {given}' if given else ''} the expected loss is "
        f"{mp.nstr(total[best], 6)} at y_pred = {_text(predictions[best])} and "
        f"{mp.nstr(total[0], 6)} at y_pred = {_text(predictions[0])}"
    )


def _environment(
    loss: Loss, predictions: Sequence[tuple[Fraction, ...]], salt: int
) -> dict[str, Any] | None:
    """All predictions, one to a row; the parameters are the same in each."""
    rows, last = len(predictions), len(predictions[0])
    sizes = {v.size for v in loss.of_role(Role.Y_PRED) if isinstance(v.size, int)}
    if last > 1 and not sizes <= {last}:
        return None  # the laws are of another number of classes
    sample = generic(loss, last=last, rows=rows, salt=70 + salt)
    if sample is None:
        return None
    environment = dict(sample.environment)
    for variable in loss.parameters:
        array = environment[variable.name]
        first = array[:1] if array.ndim else array
        environment[variable.name] = (
            np.repeat(first, rows, axis=0) if array.ndim else first
        )
        if salt == 0 and isinstance(variable.default, int | float):
            environment[variable.name] = np.full(
                environment[variable.name].shape,
                Fraction(str(variable.default)),
                object,
            )
    for variable in loss.of_role(Role.Y_PRED):
        environment[variable.name] = _rows(
            predictions, sample.environment[variable.name]
        )
    return environment


def _rows(values: Sequence[tuple[Fraction, ...]], like: Any) -> Any:
    array = np.empty((len(values), *like.shape[1:]), dtype=object)
    for index, row in enumerate(values):
        array[index] = np.broadcast_to(np.array(row, dtype=object), like.shape[1:])
    return array


def _values(
    loss: Loss, environment: dict[str, Any], label: tuple[Fraction, ...], rows: int
) -> list[Any] | None:
    (target,) = (item.name for item in loss.of_role(Role.Y_TRUE))
    (predicted,) = (item.name for item in loss.of_role(Role.Y_PRED))
    labelled = {
        **environment,
        target: _rows([label] * rows, environment[predicted]),
    }
    if satisfying(loss, Sample(labelled, rows, len(label))).rows != rows:
        return None
    try:
        values = evaluate(loss.expression, labelled, digits=_DIGITS)
    except Undefined:
        return None
    values = np.broadcast_to(values, (rows, *values.shape[1:]))
    return [sum(np.asarray(row, dtype=object).flat) for row in values]


def _text(values: tuple[Fraction, ...]) -> str:
    texts = [number_text(item) for item in values]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


# Laws ---------------------------------------------------------------------------------


def probability_laws(loss: Loss) -> tuple[Law, ...] | None:
    """Bernoulli or categorical laws, where y_pred can be their probabilities."""
    found = pair(loss)
    if found is None:
        return None
    targets, values = (loss.variable(item.name).domain for item in found)
    if targets.along_last_axis:
        return _class_laws(values)
    labels = binary_labels(targets)
    whole = domain_interval(values)
    if labels is None or values.along_last_axis or whole.lower > 0 or whole.upper < 1:
        return None
    return tuple(
        _two_point_law(labels, share, share, values) for share in _PROBABILITIES
    )


def mean_laws(loss: Loss) -> tuple[Law, ...] | None:
    """Laws of y_true whose mean y_pred can be."""
    found = pair(loss)
    if found is None:
        return None
    targets, values = (loss.variable(item.name).domain for item in found)
    if targets.along_last_axis or values.along_last_axis:
        return _class_laws(values) if targets.along_last_axis else None
    laws = [
        _two_point_law((low, high), share, low + share * (high - low), values)
        for low, high in _label_pairs(targets)
        for share in _PROBABILITIES[:2]
    ]
    inside = domain_interval(values)
    return tuple(law for law in laws if inside.contains(law.centre[0])) or None


def binary_labels(domain: Domain) -> tuple[Fraction, ...] | None:
    """The two labels of a Bernoulli law: 0 and 1, or -1 and 1."""
    zero_one = (Fraction(0), Fraction(1))
    if domain.labels:
        return domain.labels if domain.labels in (zero_one, _SIGNS) else None
    values = domain_interval(domain)
    return zero_one if all(values.contains(label) for label in zero_one) else None


_SIGNS = (Fraction(-1), Fraction(1))


def _label_pairs(domain: Domain) -> tuple[tuple[Fraction, Fraction], ...]:
    """Two values of y_true at a time, some of them close to an end."""
    if domain.labels:
        return ((domain.labels[0], domain.labels[-1]),)
    if domain.kind is DomainKind.COUNT:
        return ((Fraction(0), Fraction(1)), (Fraction(1), Fraction(6)))
    low, high = window(domain_interval(domain))
    width = high - low
    return tuple(
        (low + width * Fraction(a, 20), low + width * Fraction(b, 20))
        for a, b in ((5, 11), (2, 19))
    )


def _two_point_law(
    labels: Sequence[Fraction], share: Fraction, centre: Fraction, domain: Domain
) -> Law:
    """The higher label with a probability; rivals are spread around its place."""
    low, high = labels
    inside = domain_interval(domain)
    steps = [Fraction(k, 40) for k in range(-20, 61, 2)]
    steps += [Fraction(k) for k in (-4, -2, 3, 5)]
    near = [Fraction(k, 500) for k in (-20, -8, -3, 3, 8, 20)]
    rivals = [centre + (high - low) * step for step in near]
    rivals += [low + (high - low) * step for step in steps]
    rivals += [Fraction(k, 25) for k in range(1, 25)]
    return Law(
        labels=((low,), (high,)),
        weights=(1 - share, share),
        centre=(centre,),
        rivals=tuple((item,) for item in rivals if inside.contains(item)),
    )


def _class_laws(domain: Domain) -> tuple[Law, ...]:
    """Three classes; where y_pred need not sum to 1, neither do the rivals."""
    size = len(_SHARES[0])
    labels = tuple(
        tuple(Fraction(int(k == index)) for k in range(size)) for index in range(size)
    )
    return tuple(
        Law(labels, shares, shares, tuple(_rival_shares(shares, domain)))
        for shares in _SHARES
    )


def _rival_shares(
    shares: tuple[Fraction, ...], domain: Domain
) -> Iterator[tuple[Fraction, ...]]:
    size = len(shares)
    for source, target in permutations(range(size), 2):
        for moved in _MOVED:
            row = list(shares)
            row[source] -= moved
            row[target] += moved
            if min(row) > 0:
                yield tuple(row)
    yield (Fraction(1, size),) * size
    if not domain.along_last_axis:
        yield tuple(item + 1 for item in shares)
        yield tuple(3 * item for item in shares)
