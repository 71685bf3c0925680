"""How accurate a form of a loss is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2, prod
from typing import Protocol

from lossgen.ir.expr import Expr

VALUE_BAR = 4.0
"""The largest error of a value that is good enough, in condition-aware ulps."""

GRADIENT_BAR = 8.0
"""The same for a gradient."""


@dataclass(frozen=True)
class Accuracy:
    """The largest errors of value and gradient, in condition-aware ulps.

    ``wrong`` counts the results that are NaN, infinite or 0 and should not be.
    """

    value: float
    gradient: float
    wrong: int

    @property
    def good(self) -> bool:
        """Whether it is good enough."""
        return not self.wrong and self._size <= 1

    def beats(self, other: Accuracy) -> bool:
        """Whether it is better, and by more than chance.

        Of counts of about the same size the errors decide, where they are not.
        """
        fewest, most = sorted((self.wrong, other.wrong))
        least, largest = sorted((self._lost, other._lost))
        if fewest != most and (2 * fewest < most or 2 * least >= largest):
            return self.wrong < other.wrong
        return 2 * self._lost < other._lost

    def __str__(self) -> str:
        wrong = f", {self.wrong} wrong NaN, infinity or 0" if self.wrong else ""
        return f"value {self.value:.3g} ulp, gradient {self.gradient:.3g} ulp{wrong}"

    @property
    def bits(self) -> float:
        """How many bits are lost beyond what is good enough, about."""
        return _ALL_BITS if self.wrong else min(log2(1 + self._size), _ALL_BITS)

    @property
    def _lost(self) -> float:
        """By how much value and gradient together miss what is good enough."""
        sizes = (self.value / VALUE_BAR, self.gradient / GRADIENT_BAR)
        return prod(min(max(size, 1.0), _ALL_LOST) for size in sizes)

    @property
    def _size(self) -> float:
        return max(self.value / VALUE_BAR, self.gradient / GRADIENT_BAR)


_ALL_BITS = 64.0
_ALL_LOST = 2.0**24  # errors beyond are no worse


def worst(accuracies: Iterable[Accuracy]) -> Accuracy:
    """The accuracy over all points, from that at each."""
    value, gradient, wrong = 0.0, 0.0, 0
    for item in accuracies:
        value, gradient = max(value, item.value), max(gradient, item.gradient)
        wrong += item.wrong
    return Accuracy(value, gradient, wrong)


def improve(then: Sequence[Accuracy], now: Sequence[Accuracy]) -> bool:
    """Whether at some points a form is better than another, and at none much worse.

    It is not good enough at no more than half as many points, and its largest errors
    are good enough or no larger.
    """
    new, old = worst(then), worst(now)
    return (
        2 * poor(then) <= poor(now)
        and poor(now) > 0
        and new.wrong <= old.wrong
        and new.value <= max(old.value, VALUE_BAR)
        and new.gradient <= max(old.gradient, GRADIENT_BAR)
    )


def poor(accuracies: Iterable[Accuracy]) -> int:
    """At how many points a form is not good enough."""
    return sum(not item.good for item in accuracies)


Measure = Callable[[Expr], Accuracy]
"""From a form of a loss to its accuracy."""


class Bench(Protocol):
    """Points of a loss's domain, by number, and what its forms come to there."""

    @property
    def size(self) -> int:
        """How many points there are."""

    def errors(
        self, form: Expr, points: Sequence[int] | None = None
    ) -> tuple[Accuracy, ...]:
        """The accuracy at each of some points, by default all."""

    def local_errors(self, form: Expr, points: Sequence[int]) -> Mapping[Expr, float]:
        """The bits that each operation loses in value or slope on exact arguments."""

    def numbers(self, expr: Expr) -> tuple[float, ...] | None:
        """The value at each point, if it is one number."""


@dataclass(frozen=True)
class Declined:
    """A rule that would make a loss less accurate, and what was measured."""

    rule: str
    used: Accuracy
    unused: Accuracy
