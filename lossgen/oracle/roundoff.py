"""How far rounding may take a computation, by Monte Carlo arithmetic.

Each operation's result is moved by a random fraction of a unit in the last place; the
spread of a few such runs estimates the error of any evaluation that rounds once an
operation (Parker, Pierce and Eggert 2000, Monte Carlo arithmetic: how to gamble with
floating point and win). What is below the normal range is flushed to 0, as TensorFlow
does, and what is above it is infinite, in every other run: what cancels beyond it is
seen in the others. The random numbers are the same on every machine.
"""

from __future__ import annotations

import random

from mpmath import mp
from mpmath.libmp import from_man_exp

from lossgen.calculus.jets import Element, Jet
from lossgen.oracle.float_formats import FLOAT32

_UNIT = 2.0**-23

_EXACT = {"neg", "abs", "max", "min", "relu", "clip", "where", "sign", "floor"} | {
    "stop_gradient",
    "amax",
    "amin",
}
"""Operations that do not round."""

_LIBRARY_ERROR = {
    "lgamma": 300.0,
    "digamma": 300.0,
    "erfc": 32.0,
    "normal_logcdf": 32.0,
}
"""Units in the last place by which TensorFlow or XLA may be off; 1 for all others."""


_SMALL = 2.0**-100
_RECIPROCAL_ERROR = 2.0**13
"""Of the derivative of a logarithm, and of a quotient of which a graph makes a product,
where it is below ``_SMALL``: TensorFlow takes the reciprocal of larger arguments from
the processor's estimate and does not refine it."""


class Roundoff:
    """Moves results at random; an instance is one run."""

    def __init__(self, seed: int) -> None:
        """Start the random sequence of a run; every other one has a range."""
        self._random = random.Random(seed)
        self._has_a_range = seed % 2 == 0

    def __call__(self, op: str, result: Element) -> Element:
        """The result of ``op``, and its derivatives, as if each had been rounded."""
        if op in _EXACT:
            return result
        size = _UNIT * _LIBRARY_ERROR.get(op, 1.0)
        if isinstance(result, Jet):
            return Jet([self._moved(op, item, size) for item in result.coefficients])
        return self._moved(op, result, size)

    def _moved(self, op: str, number: Element, size: float) -> Element:
        if op in ("log", "div") and abs(number) < _SMALL:
            size *= _RECIPROCAL_ERROR
        factor = 1 + size * (2 * self._random.random() - 1)
        # As `mpf(factor)`, in a third of the time: it is near 1.
        moved = number * mp.make_mpf(from_man_exp(int(factor * 2.0**53), -53))
        sign, mantissa, exponent, bits = moved._mpf_
        if not mantissa or not self._has_a_range:
            return moved
        if exponent + bits > FLOAT32.highest:
            return -mp.inf if sign else mp.inf
        return mp.zero if exponent + bits <= FLOAT32.lowest else moved
