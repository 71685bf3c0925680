"""Reference values that the generated tests compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Nested = float | tuple["Nested", ...]
"""A float, or a nested tuple of floats: an array without NumPy."""


@dataclass(frozen=True)
class ReferenceRow:
    """One sample and what the loss is there.

    ``y_true`` and ``y_pred`` are float32 numbers; ``value`` and ``gradient`` (of the
    sum of the values, with respect to y_pred) are exact for them, rounded to float64.
    The tolerances are absolute.
    """

    y_true: Nested
    y_pred: Nested
    value: Nested
    value_tolerance: Nested
    gradient: Nested
    gradient_tolerance: Nested


@dataclass(frozen=True)
class ReferenceCase:
    """Samples that are one batch, with the parameters that they were computed for.

    ``at_kinks`` says that some are at kinks, where a step down the gradient need not
    lead down.
    """

    parameters: Mapping[str, Nested]
    rows: tuple[ReferenceRow, ...]
    at_kinks: bool = False


@dataclass(frozen=True)
class KinkRow:
    """A sample of which one element of y_pred is at a kink.

    ``element`` counts the elements of the sample; ``left`` and ``right`` are its
    one-sided derivatives, and ``gradient`` is what lies between them closest to 0.
    """

    parameters: Mapping[str, Nested]
    y_true: Nested
    y_pred: Nested
    element: int
    left: float
    right: float
    gradient: float


@dataclass(frozen=True)
class ReferenceTable:
    """All that a generated test knows of the loss.

    ``logits`` is empty unless the loss takes logits. ``ends`` are samples at and beyond
    the ends of the domain, where value and gradient have to be finite. ``kinks`` are
    samples at kinks.
    """

    probabilities: tuple[ReferenceCase, ...]
    logits: tuple[ReferenceCase, ...]
    ends: tuple[tuple[Nested, Nested], ...]
    kinks: tuple[KinkRow, ...] = ()
