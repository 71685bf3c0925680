"""The limits of a loss beside a locus on which one of its formulas has no value.

``where(x != 0, sin(x)/x, 1)`` is smooth, though ``sin(x)/x`` divides by 0 there;
``where(x > 0, log(x), 0)`` is not even bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mpmath import mp, mpf

from lossgen.analysis.expansions import Expansion, Side, germs
from lossgen.analysis.loci import Locus
from lossgen.analysis.samples import Sample
from lossgen.calculus.evaluate import Undefined
from lossgen.ir.loss import Loss

_DISTANCES = (10, 20, 40)  # in digits
_DIGITS = 250  # an expansion at the last distance loses up to 160 of them
_ORDER = 3
_LARGE = 5
_GROWTH = mpf("1.3")


@dataclass(frozen=True)
class Divergence:
    """The derivative of this order (0: the value) is infinite beside a locus.

    ``left`` and ``right`` are the limits of the value in the row that shows it.
    """

    order: int
    row: int
    left: Any
    right: Any


def approach(
    loss: Loss, place: Locus, sides: tuple[int, int] = (-1, 1)
) -> Expansion | Divergence | None:
    """Expand a loss closer and closer to the points of a locus.

    Args:
        loss: What to expand.
        place: The locus.
        sides: From where: at an end of the domain, twice from the inside.

    Returns:
        The expansion at the least distance if value and slope converge; None if the
        loss has no value there either.
    """
    series: list[tuple[Side, Side]] = []
    for distance in _DISTANCES:
        order = _ORDER if distance == _DISTANCES[-1] else 1
        try:
            left, right = (
                germs(loss, place, _beside(place, side, distance), side, order, _DIGITS)
                for side in sides
            )
        except Undefined:
            return None
        series.append((left, right))
    nearest = series[-1]
    for order in (0, 1):
        for row in range(len(nearest[0])):
            found = [[item[s][row][order] for item in series] for s in (0, 1)]
            if any(_diverges(values) for values in found):
                limits = [_limit([item[s][row][0] for item in series]) for s in (0, 1)]
                return Divergence(order, row, *limits)
    return Expansion(place.sample, _ORDER, *nearest)


def _beside(place: Locus, side: int, distance: int) -> Sample:
    name = place.variable.name
    with mp.workdps(_DIGITS):
        array = place.sample.environment[name].copy()
        for row in array:
            row.flat[0] = mp.mpmathify(row.flat[0]) + side * mpf(10) ** -distance
    return place.sample.moved(name, array)


def _diverges(values: list[Any]) -> bool:
    sizes = [abs(item) for item in values]
    return bool(sizes[0] > _LARGE and all(b > a * _GROWTH for a, b in pairwise(sizes)))


def _limit(values: list[Any]) -> Any:
    return mp.sign(values[-1]) * mp.inf if _diverges(values) else values[-1]
