"""Binary floating-point formats, emulated: the same results on every machine."""

from __future__ import annotations

from dataclasses import dataclass

from mpmath import mp, mpf
from mpmath.libmp import mpf_pos, round_nearest

from lossgen.calculus.jets import Element, Jet


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, with subnormal numbers flushed."""

    name: str
    bits: int
    lowest: int
    highest: int

    @property
    def unit(self) -> float:
        """One unit in the last place of a number just above 1."""
        return 2.0 ** (1 - self.bits)

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return 2.0**self.lowest

    @property
    def huge(self) -> mpf:
        """Where overflow begins."""
        return mpf(2) ** self.highest

    def __call__(self, op: str, result: Element) -> Element:
        """The result of an operation, and its derivatives, rounded."""
        if isinstance(result, Jet):
            return Jet([self(op, item) for item in result.coefficients])
        if not result._mpf_[1]:  # 0, infinite or NaN
            return result
        # As `+result` at this precision, without the cost of changing it.
        rounded = mpf_pos(result._mpf_, self.bits, round_nearest)
        sign, _, exponent, bits = rounded
        if exponent + bits > self.highest:
            return -mp.inf if sign else mp.inf
        return mp.make_mpf(rounded) if exponent + bits > self.lowest else mp.zero


FLOAT16 = Format("float16", 11, -14, 16)
FLOAT32 = Format("float32", 24, -126, 128)
FLOAT64 = Format("float64", 53, -1022, 1024)
