"""Reference values that the generated tests compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Nested = float | tuple["Nested", ...]
"""A float, or a nested tuple of floats: an array without NumPy."""


TRAINING = "training"
CLOSE_TO_TARGETS = "close to targets"
ALL_THE_SAME = "all the same"
WHOLE_DOMAIN = "whole domain"
BESIDE_KINKS = "beside kinks"
FURTHER_PARAMETERS = "further parameters"
OTHER_PARAMETERS = "other parameters"

CASES = (
    TRAINING,
    CLOSE_TO_TARGETS,
    ALL_THE_SAME,
    WHOLE_DOMAIN,
    BESIDE_KINKS,
    FURTHER_PARAMETERS,
    OTHER_PARAMETERS,
)
"""What the samples of a case may be, in the order of the cases."""


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

    ``name`` says what samples they are. ``at_kinks`` says that some are at kinks, where
    a step down the gradient need not lead down.
    """

    parameters: Mapping[str, Nested]
    rows: tuple[ReferenceRow, ...]
    at_kinks: bool = False
    name: str = TRAINING


@dataclass(frozen=True)
class KinkRow:
    """A sample of which one element of y_pred is where operations change formulas.

    ``element`` counts the elements of the sample; its derivative is to be between
    ``low`` and ``high``: what the chain rule makes of the one-sided slopes of the
    operations or, where the pieces of the loss meet smoothly, the derivative twice.
    """

    parameters: Mapping[str, Nested]
    y_true: Nested
    y_pred: Nested
    element: int
    low: float
    high: float


@dataclass(frozen=True)
class EndRow:
    """A sample at an end of the domain or beyond it.

    ``total`` is the sum of its values, ``gradient`` its derivatives; beyond a guarded
    end value and gradient are those of the guard point. Where they are not known the
    tolerances are infinite.
    """

    y_true: Nested
    y_pred: Nested
    total: float
    total_tolerance: float
    gradient: Nested
    gradient_tolerance: Nested


ParameterSlopes = Mapping[str, tuple[Nested, Nested]]
"""By parameter its derivative, and what rounding may change of it in float64."""


@dataclass(frozen=True)
class ReferenceTable:
    """All that a generated test knows of the loss.

    ``logits`` is empty unless the loss takes logits. ``ends`` are samples at and beyond
    the ends of the domain, ``kinks`` are
    samples at kinks. ``curvatures`` are, for the first case, the second derivatives of
    each sample's values along the direction 1, -2, 3, … of its predictions, or that of
    all together where samples are tied; none where they are not known. Each comes with
    what rounding may change in float64, and so do ``parameter_slopes``: for the last
    case but that of the whole domain, the derivative of the sum of the values by each
    parameter. ``logits_slopes`` are the same for the logits, and ``far_logits`` numbers
    that one of them may be for value and gradient to be finite. ``left_out`` describes
    the samples whose values no precision settled, or no steps were left for.
    """

    probabilities: tuple[ReferenceCase, ...]
    logits: tuple[ReferenceCase, ...]
    ends: tuple[EndRow, ...]
    kinks: tuple[KinkRow, ...] = ()
    curvatures: tuple[tuple[float, float], ...] = ()
    parameter_slopes: ParameterSlopes = field(default_factory=dict)
    logits_slopes: ParameterSlopes = field(default_factory=dict)
    far_logits: tuple[float, ...] = ()
    left_out: tuple[str, ...] = ()
