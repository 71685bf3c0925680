"""How accurate a form of a loss is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        """Whether it is better, and by more than chance."""
        if self.wrong != other.wrong:
            return self.wrong < other.wrong
        return 2 * self._size < other._size

    def __str__(self) -> str:
        wrong = f", {self.wrong} wrong NaN, infinity or 0" if self.wrong else ""
        return f"value {self.value:.3g} ulp, gradient {self.gradient:.3g} ulp{wrong}"

    @property
    def _size(self) -> float:
        return max(self.value / VALUE_BAR, self.gradient / GRADIENT_BAR)


Measure = Callable[[Expr], Accuracy]
"""From a form of a loss to its accuracy."""


@dataclass(frozen=True)
class Declined:
    """A rule that would make a loss less accurate, and what was measured."""

    rule: str
    used: Accuracy
    unused: Accuracy
