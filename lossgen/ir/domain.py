"""Domains: the sets that inputs come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from lossgen.ir.expr import Expr, Number


class DomainKind(Enum):
    """The shape of a domain."""

    INTERVAL = "interval"
    FINITE = "finite"
    COUNT = "count"  # 0, 1, 2, ...
    ONE_HOT = "one_hot"  # along the last axis
    SIMPLEX = "simplex"  # along the last axis


@dataclass(frozen=True)
class Bound:
    """One end of an interval: a constant, or None for infinity.

    ``value`` is an exact constant expression (``2*pi``) and ``approx`` the same as a
    float.
    """

    value: Expr | None
    approx: float
    open: bool

    @property
    def rational(self) -> Fraction | None:
        """The exact value, where it is rational."""
        return self.value.value if isinstance(self.value, Number) else None


@dataclass(frozen=True)
class Domain:
    """The set of values that one input may take.

    ``lower`` and ``upper`` are the hull of a single component for every kind. For
    ``FINITE``, ``values`` lists the elements in ascending order. ``text`` is what the
    spec says, for messages and docstrings.
    """

    kind: DomainKind
    lower: Bound
    upper: Bound
    text: str
    values: tuple[Fraction, ...] = ()

    @property
    def along_last_axis(self) -> bool:
        """Whether the components along the last axis are tied to one another."""
        return self.kind in (DomainKind.ONE_HOT, DomainKind.SIMPLEX)

    @property
    def labels(self) -> tuple[Fraction, ...]:
        """The finitely many values of a component, or none."""
        if self.kind is DomainKind.ONE_HOT:
            return (Fraction(0), Fraction(1))
        return self.values

    def contains(self, value: float) -> bool:
        """Whether a number lies in the domain (of one component)."""
        if value != value:
            return False
        if self.labels:
            return any(value == float(label) for label in self.labels)
        above = (
            value > self.lower.approx
            if self.lower.open
            else (value >= self.lower.approx)
        )
        below = (
            value < self.upper.approx
            if self.upper.open
            else (value <= self.upper.approx)
        )
        whole = self.kind is not DomainKind.COUNT or float(value).is_integer()
        return above and below and whole
