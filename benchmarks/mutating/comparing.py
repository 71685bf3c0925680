"""How far results are apart, and what is concluded from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ULPS = 2
"""The bound on a difference, in units in the last place of the original's result."""

THRESHOLD_ULPS = 16
"""The bound for a mutant that moves a threshold between formulas by 1 %."""

IDENTICAL = "same results, bit for bit"
CLOSE = f"same results within {ULPS} ulp"
MOVED = f"threshold moved, within {THRESHOLD_ULPS} ulp"
CLASSES = (IDENTICAL, CLOSE, MOVED)


@dataclass(frozen=True)
class Verdict:
    """Whether a survivor is equivalent, by which class, or what tells it apart."""

    equivalent: bool
    reason: str
    probes: int = 0
    points: int = 0


def difference(one: Any, other: Any, path: str = "") -> tuple[float, str]:
    """How far results are apart, in ulp of the first, and where; infinity if unlike."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return _of_arrays(one, other), path
    if type(one) is not type(other):
        return np.inf, path
    if isinstance(one, Mapping):
        if list(one) != list(other):
            return np.inf, path
        parts = [(f"{path}, {key}", one[key], other[key]) for key in one]
    elif isinstance(one, Sequence) and not isinstance(one, str):
        if len(one) != len(other):
            return np.inf, path
        parts = [(path, *pair) for pair in zip(one, other, strict=True)]
    else:
        same = one is other or one == other or (one != one and other != other)
        return 0.0 if same else np.inf, path
    found = [difference(mine, theirs, place) for place, mine, theirs in parts]
    return max(found, key=lambda item: item[0], default=(0.0, path))


def _of_arrays(one: Any, other: Any) -> float:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return np.inf
    if one.dtype != other.dtype or one.shape != other.shape:
        return np.inf
    if one.dtype.kind in "OSU":
        return 0.0 if np.array_equal(one, other) else np.inf
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if same.all():
        return 0.0
    if one.dtype.kind != "f":  # bfloat16 is of no kind that NumPy knows
        return np.inf
    a, b = one[~same].astype("float64"), other[~same].astype("float64")
    if not (np.isfinite(a) & np.isfinite(b)).all():
        return np.inf
    unit = np.spacing(np.abs(one[~same])).astype("float64")
    return float((np.abs(a - b) / unit).max())
