"""Interval arithmetic with open and closed ends.

Ends are exact: a `Fraction`, or an infinite float. Transcendental functions are rounded
outwards, and are exact where the value is known (``log(1)`` is 0). Numbers that grow
beyond `_LIMIT` are widened, so that no expression costs more than a few microseconds a
node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import inf, isqrt
from typing import Any, Union

from mpmath import mp, mpf

from lossgen.calculus import jets

End = Union[Fraction, float]
"""An end of an interval; the only floats are the infinities."""

_LIMIT = Fraction(2**2048)
_PRECISION = 96  # bits for transcendental functions
_MARGIN = Fraction(1, 2**80)  # by which their values are widened, relatively
_DENOMINATOR = 2**256


@dataclass(frozen=True)
class Interval:
    """The numbers between two ends. An end that belongs to the interval is closed.

    ``lower > upper`` is the empty interval: the range of what is never computed.
    """

    lower: End
    upper: End
    lower_open: bool = False
    upper_open: bool = False

    @property
    def empty(self) -> bool:
        """Whether no number lies inside."""
        return self.lower > self.upper or (
            self.lower == self.upper and (self.lower_open or self.upper_open)
        )

    @property
    def point(self) -> Fraction | None:
        """The only number inside, if there is only one."""
        if self.lower == self.upper and not self.empty:
            return Fraction(self.lower)
        return None

    @property
    def positive(self) -> bool:
        """Whether every number inside is above 0."""
        return self.empty or self.lower > 0 or (self.lower == 0 and self.lower_open)

    @property
    def negative(self) -> bool:
        """Whether every number inside is below 0."""
        return negate(self).positive

    @property
    def nonnegative(self) -> bool:
        """Whether no number inside is below 0."""
        return self.empty or self.lower >= 0

    @property
    def nonzero(self) -> bool:
        """Whether 0 is not inside."""
        return self.positive or self.negative

    def contains(self, value: End) -> bool:
        """Whether a number lies inside."""
        above = value > self.lower or (value == self.lower and not self.lower_open)
        below = value < self.upper or (value == self.upper and not self.upper_open)
        return above and below

    def __str__(self) -> str:
        left = "(" if self.lower_open else "["
        right = ")" if self.upper_open else "]"
        return f"{left}{_text(self.lower)}, {_text(self.upper)}{right}"


def _text(end: End) -> str:
    if isinstance(end, float):
        return "oo" if end > 0 else "-oo"
    return str(end) if end.denominator < 1000 else f"{float(end):.6g}"


_ZERO = Fraction(0)
EVERYTHING = Interval(-inf, inf, True, True)
EMPTY = Interval(inf, -inf, True, True)
NONNEGATIVE = Interval(Fraction(0), inf, False, True)
POSITIVE = Interval(Fraction(0), inf, True, True)


def exactly(value: Fraction | int) -> Interval:
    """The interval of one number."""
    end = value if isinstance(value, Fraction) else Fraction(value)
    return Interval(end, end)


def hull(left: Interval, right: Interval) -> Interval:
    """The smallest interval around both."""
    if left.empty or right.empty:
        return right if left.empty else left
    lower, lower_open = min(
        (left.lower, left.lower_open), (right.lower, right.lower_open)
    )
    upper, upper_closed = max(
        (left.upper, not left.upper_open), (right.upper, not right.upper_open)
    )
    return Interval(lower, upper, lower_open, not upper_closed)


def intersect(left: Interval, right: Interval) -> Interval:
    """What lies in both."""
    lower, lower_open = max(
        (left.lower, left.lower_open), (right.lower, right.lower_open)
    )
    upper, upper_closed = min(
        (left.upper, not left.upper_open), (right.upper, not right.upper_open)
    )
    result = Interval(lower, upper, lower_open, not upper_closed)
    return EMPTY if result.empty else result


# Arithmetic -------------------------------------------------------------------------


def negate(arg: Interval) -> Interval:
    """``-arg``."""
    return Interval(-arg.upper, -arg.lower, arg.upper_open, arg.lower_open)


def add(left: Interval, right: Interval) -> Interval:
    """``left + right``."""
    return _bounded(
        _plus(left.lower, right.lower),
        _plus(left.upper, right.upper),
        left.lower_open or right.lower_open,
        left.upper_open or right.upper_open,
    )


def multiply(left: Interval, right: Interval) -> Interval:
    """``left * right``."""
    corners = [
        _corner(a, a_open, b, b_open)
        for a, a_open in _ends(left)
        for b, b_open in _ends(right)
    ]
    lower, lower_open = min(corners)
    upper, upper_closed = max((value, not opened) for value, opened in corners)
    return _bounded(lower, upper, lower_open, not upper_closed)


def reciprocal(arg: Interval) -> Interval:
    """``1/arg``, for the numbers inside that are not 0."""
    if arg.lower == arg.upper == 0:
        return EVERYTHING
    if arg.lower >= 0:
        lower: End = Fraction(0) if arg.upper == inf else _inverse(arg.upper)
        upper: End = inf if arg.lower == 0 else _inverse(arg.lower)
        return _bounded(lower, upper, arg.upper_open, arg.lower_open or arg.lower == 0)
    if arg.upper <= 0:
        return negate(reciprocal(negate(arg)))
    return EVERYTHING


def divide(left: Interval, right: Interval) -> Interval:
    """``left / right``, where the divisor is not 0."""
    return multiply(left, reciprocal(right))


def absolute(arg: Interval) -> Interval:
    """``abs(arg)``."""
    if arg.lower >= 0:
        return arg
    if arg.upper <= 0:
        return negate(arg)
    upper, closed = max(
        (arg.upper, not arg.upper_open), (-arg.lower, not arg.lower_open)
    )
    return Interval(Fraction(0), upper, False, not closed)


def largest(left: Interval, right: Interval) -> Interval:
    """``max(left, right)``."""
    lower, lower_open = max(
        (left.lower, left.lower_open), (right.lower, right.lower_open)
    )
    upper, closed = max(
        (left.upper, not left.upper_open), (right.upper, not right.upper_open)
    )
    return Interval(lower, upper, lower_open, not closed)


def smallest(left: Interval, right: Interval) -> Interval:
    """``min(left, right)``."""
    return negate(largest(negate(left), negate(right)))


def power(base: Interval, exponent: Interval) -> Interval:
    """``base ** exponent``, where it is defined."""
    whole = exponent.point
    if whole is not None and whole.denominator == 1:
        return _whole_power(base, whole.numerator)
    if base.lower < 0 and whole is None:
        # Defined where the exponent happens to be an integer.
        size = power(absolute(base), exponent)
        return hull(size, negate(size))
    base = intersect(base, NONNEGATIVE)
    if base.empty:
        return EVERYTHING
    if whole == Fraction(1, 2):
        return increasing("sqrt", base)
    result = increasing("exp", multiply(exponent, increasing("log", base)))
    if base.contains(Fraction(0)) and exponent.upper > 0:
        result = hull(result, exactly(0))
    if exponent.contains(Fraction(0)):
        result = hull(result, exactly(1))
    return result


def _whole_power(base: Interval, exponent: int) -> Interval:
    if exponent == 0:
        return exactly(1)
    if exponent < 0:
        return reciprocal(_whole_power(base, -exponent))
    if exponent % 2 == 0:
        base = absolute(base)
    elif base.lower < 0:
        if base.upper <= 0:
            return negate(_whole_power(negate(base), exponent))
        below = _whole_power(Interval(Fraction(0), -base.lower), exponent)
        above = _whole_power(Interval(Fraction(0), base.upper), exponent)
        return Interval(-below.upper, above.upper, base.lower_open, base.upper_open)
    return _bounded(
        _end_power(base.lower, exponent),
        _end_power(base.upper, exponent),
        base.lower_open,
        base.upper_open,
    )


def _end_power(end: End, exponent: int) -> End:
    """A nonnegative end to a power, with bounded cost."""
    if isinstance(end, float) or end in (0, 1):
        return end
    bits = max(end.numerator.bit_length(), end.denominator.bit_length())
    if bits * exponent <= 4096:
        return end**exponent
    # The side that costs too much is left to `_bounded`, which widens it.
    return _LIMIT * 2 if end > 1 else 1 / (_LIMIT * 2)


def _ends(arg: Interval) -> tuple[tuple[End, bool], tuple[End, bool]]:
    return (arg.lower, arg.lower_open), (arg.upper, arg.upper_open)


def _corner(a: End, a_open: bool, b: End, b_open: bool) -> tuple[End, bool]:
    if not a or not b:
        # A closed 0 is attained whatever the other factor does.
        closed = (not a and not a_open) or (not b and not b_open)
        return _ZERO, not closed
    if isinstance(a, float) or isinstance(b, float):
        return (inf if (a > 0) == (b > 0) else -inf), True
    return a * b, a_open or b_open


def _plus(a: End, b: End) -> End:
    # A Fraction is never added to an infinity: it might not fit into a float.
    if isinstance(a, float):
        return a
    return b if isinstance(b, float) else a + b


def _inverse(end: End) -> Fraction:
    return 1 / end if isinstance(end, Fraction) else Fraction(0)


def _bounded(lower: End, upper: End, lower_open: bool, upper_open: bool) -> Interval:
    """An interval whose ends are of bounded size, widened if need be."""
    low, up = -_cap(-lower), _cap(upper)
    return Interval(low, up, lower_open or low != lower, upper_open or up != upper)


def _cap(upper: End) -> End:
    """The number itself, or a simpler one above it."""
    if isinstance(upper, float):
        return upper
    if upper.numerator.bit_length() < 256 and upper.denominator.bit_length() < 256:
        return upper
    if upper > _LIMIT:
        return inf
    if upper < -_LIMIT:
        return -_LIMIT
    if upper.denominator <= _DENOMINATOR:
        return upper
    if upper > 0:
        scale = Fraction(2) ** (
            256 + max(0, upper.denominator.bit_length() - upper.numerator.bit_length())
        )
        if scale > _LIMIT:
            return 1 / _LIMIT
        return Fraction(-((-upper * scale).__floor__()), 1) / scale
    scale = Fraction(2) ** (
        256 + max(0, upper.denominator.bit_length() - (-upper.numerator).bit_length())
    )
    if scale > _LIMIT:
        return Fraction(0)
    return Fraction(-((-upper * scale).__floor__()), 1) / scale


# Functions --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Increasing:
    """An increasing function: its limits, and the points where it is known exactly.

    ``domain`` is the end below which it is not defined; ``at_start`` and ``at_end`` are
    the limits there and at infinity.
    """

    domain: End
    at_start: End
    at_end: End
    exact: tuple[tuple[int, int | Fraction], ...] = ()


_INCREASING = {
    "exp": _Increasing(-inf, Fraction(0), inf, ((0, 1),)),
    "expm1": _Increasing(-inf, Fraction(-1), inf, ((0, 0),)),
    "log": _Increasing(Fraction(0), -inf, inf, ((1, 0),)),
    "log1p": _Increasing(Fraction(-1), -inf, inf, ((0, 0),)),
    "sqrt": _Increasing(Fraction(0), Fraction(0), inf),
    "tanh": _Increasing(-inf, Fraction(-1), Fraction(1), ((0, 0),)),
    "sinh": _Increasing(-inf, -inf, inf, ((0, 0),)),
    "atan": _Increasing(-inf, -Fraction(11, 7), Fraction(11, 7), ((0, 0),)),
    "asinh": _Increasing(-inf, -inf, inf, ((0, 0),)),
    "sigmoid": _Increasing(-inf, Fraction(0), Fraction(1), ((0, Fraction(1, 2)),)),
    "log_sigmoid": _Increasing(-inf, -inf, Fraction(0)),
    "softplus": _Increasing(-inf, Fraction(0), inf),
    "erf": _Increasing(-inf, Fraction(-1), Fraction(1), ((0, 0),)),
    "normal_cdf": _Increasing(-inf, Fraction(0), Fraction(1), ((0, Fraction(1, 2)),)),
    "normal_logcdf": _Increasing(-inf, -inf, Fraction(0)),
    "digamma": _Increasing(Fraction(0), -inf, inf),
    # on the nonnegative numbers
    "cosh": _Increasing(Fraction(0), Fraction(1), inf, ((0, 1),)),
    "log_cosh": _Increasing(Fraction(0), Fraction(0), inf, ((0, 0),)),
}

_EVEN = ("cosh", "log_cosh")

_LGAMMA_MINIMUM = Fraction(-121487, 10**6)  # at 1.4616…, rounded down


def apply(op: str, arg: Interval) -> Interval:
    """A smooth function of one argument, where it is defined."""
    if arg.empty:
        return EMPTY
    if op in _EVEN:
        return increasing(op, absolute(arg))
    if op in _INCREASING:
        return increasing(op, arg)
    return _OTHERS[op](arg)


def is_increasing(op: str) -> bool:
    """Whether a function increases wherever it is defined."""
    return op in _INCREASING and op not in _EVEN


def increasing(op: str, arg: Interval) -> Interval:
    """An increasing function of one argument, on the part where it is defined."""
    row = _INCREASING[op]
    defined = Interval(row.domain, inf, row.at_start == -inf, True)
    arg = intersect(arg, defined)
    if arg.empty:
        return EVERYTHING
    lower, lower_exact = _value(op, row, arg.lower, -1)
    upper, upper_exact = _value(op, row, arg.upper, 1)
    return _bounded(
        lower,
        upper,
        arg.lower_open or not lower_exact,
        arg.upper_open or not upper_exact,
    )


def _value(op: str, row: _Increasing, end: End, side: int) -> tuple[End, bool]:
    """The function at an end, rounded to one side, and whether it is exact."""
    if end == row.domain:
        return row.at_start, op in ("sqrt", *_EVEN)
    if isinstance(end, float):
        return (row.at_end if end > 0 else row.at_start), False
    for argument, exact in row.exact:
        if end == argument:
            return Fraction(exact), True
    root = _exact_root(end) if op == "sqrt" else None
    if root is not None:
        return root, True
    return _rounded(op, row, end, side), False


def _rounded(op: str, row: _Increasing, end: Fraction, side: int) -> End:
    if abs(end) > 4096 and op not in ("log", "log1p", "sqrt", "asinh", "digamma"):
        # Far out, where the value is its limit or beyond all bounds.
        return _far(op, row, end, side)
    with mp.workprec(_PRECISION):
        value = jets.smooth(op, mpf(end.numerator) / end.denominator)
        result = to_fraction(value)
    widened = result + side * max(abs(result) * _MARGIN, 1 / _LIMIT)
    if side > 0:
        return min(widened, row.at_end)
    return max(widened, row.at_start)


def _far(op: str, row: _Increasing, end: Fraction, side: int) -> End:
    if op in ("softplus", "log_cosh") and end > 0:
        return end if side > 0 else end - 1
    if op == "log_sigmoid" and end < 0:
        return end if side > 0 else end - 1
    if side > 0:
        return row.at_end if end > 0 else _rounded(op, row, Fraction(-4096), 1)
    return row.at_start if end < 0 else _rounded(op, row, Fraction(4096), -1)


def readable(size: Fraction) -> Fraction:
    """A positive number, or a short decimal above it."""
    if 1000 % size.denominator == 0 and size.numerator <= 10**6:
        return size
    scale = Fraction(10) ** (3 - len(str(int(size)))) if size >= 1 else Fraction(1000)
    return -((-size * scale).__floor__()) / scale


def _exact_root(value: Fraction) -> Fraction | None:
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Fraction(top, bottom)
    return None


def to_fraction(value: Any) -> Fraction:
    """The exact value of an mpf."""
    sign, mantissa, exponent, _ = value._mpf_
    signed = -int(mantissa) if sign else int(mantissa)
    if exponent >= 0:
        return Fraction(signed * 2 ** min(exponent, 2**16))
    return Fraction(signed, 2 ** min(-exponent, 2**16))


def _acos(arg: Interval) -> Interval:
    """By ``2*atan(sqrt((1 - x)/(1 + x)))``, whose quotient is ``2/(1 + x) - 1``."""
    inside = intersect(arg, Interval(Fraction(-1), Fraction(1)))
    if inside.empty:
        return EVERYTHING
    ratio = add(divide(exactly(2), add(exactly(1), inside)), exactly(-1))
    half = increasing("atan", increasing("sqrt", ratio))
    return intersect(multiply(exactly(2), half), Interval(_ZERO, Fraction(22, 7)))


def _erfc(arg: Interval) -> Interval:
    # erfc(x) is twice the normal distribution function at -x*sqrt(2).
    scaled = multiply(negate(arg), increasing("sqrt", exactly(2)))
    result = multiply(exactly(2), increasing("normal_cdf", scaled))
    if arg.lower == 0:
        return Interval(result.lower, Fraction(1), result.lower_open, arg.lower_open)
    if arg.upper == 0:
        return Interval(Fraction(1), result.upper, arg.upper_open, result.upper_open)
    return result


def _sine(arg: Interval) -> Interval:
    return exactly(0) if arg.point == 0 else _wave(arg, 0)


def _cosine(arg: Interval) -> Interval:
    return exactly(1) if arg.point == 0 else _wave(arg, 1)


def _wave(arg: Interval, quarters: int) -> Interval:
    """``sin(x + quarters*pi/2)``: the ends, and the crests and troughs between them."""
    whole = Interval(Fraction(-1), Fraction(1))
    low, high = arg.lower, arg.upper
    if isinstance(low, float) or isinstance(high, float):
        return whole
    if high - low > 6 or max(abs(low), abs(high)) > 10**6:
        return whole
    with mp.workprec(_PRECISION):
        ends = [
            to_fraction(mp.sin(mpf(x.numerator) / x.denominator + quarters * mp.pi / 2))
            for x in (low, high)
        ]
        # In quarter turns: crests at 1 modulo 4, troughs at 3.
        first, last = (
            mpf(x.numerator) / x.denominator / (mp.pi / 2) + quarters
            for x in (low - _MARGIN, high + _MARGIN)
        )
        crest = mp.ceil((first - 1) / 4) <= mp.floor((last - 1) / 4)
        trough = mp.ceil((first - 3) / 4) <= mp.floor((last - 3) / 4)
    slack = Fraction(1, 2**60)
    return intersect(
        whole,
        Interval(
            Fraction(-1) if trough else min(ends) - slack,
            Fraction(1) if crest else max(ends) + slack,
        ),
    )


def _lgamma(arg: Interval) -> Interval:
    if arg.point in (1, 2):
        return exactly(0)
    if arg.lower < 2:
        return Interval(_LGAMMA_MINIMUM, inf, True, True)
    lower, upper = _lgamma_end(arg.lower, -1), _lgamma_end(arg.upper, 1)
    return _bounded(lower, upper, arg.lower_open or arg.lower != 2, True)


def _lgamma_end(end: End, side: int) -> End:
    if isinstance(end, float):
        return end
    if end == 2:
        return Fraction(0)
    with mp.workprec(_PRECISION):
        value = to_fraction(mp.loggamma(mpf(end.numerator) / end.denominator))
    return value + side * (abs(value) * _MARGIN + _MARGIN)


def _i0e(arg: Interval) -> Interval:
    size = absolute(arg)
    if size.point == 0:
        return exactly(1)
    return Interval(Fraction(0), Fraction(1), True, size.lower_open or size.lower > 0)


def _i1e(arg: Interval) -> Interval:
    # Odd, and nowhere above 0.22.
    if arg.point == 0:
        return exactly(0)
    if arg.lower >= 0:
        return Interval(Fraction(0), Fraction(1, 4), arg.positive, True)
    if arg.upper <= 0:
        return negate(_i1e(negate(arg)))
    return Interval(-Fraction(1, 4), Fraction(1, 4), True, True)


def _square(arg: Interval) -> Interval:
    return _whole_power(arg, 2)


_OTHERS: dict[str, Callable[[Interval], Interval]] = {
    "square": _square,
    "sin": _sine,
    "cos": _cosine,
    "acos": _acos,
    "erfc": _erfc,
    "lgamma": _lgamma,
    "i0e": _i0e,
    "i1e": _i1e,
    "trigamma": lambda arg: POSITIVE,
    "ones_like": lambda arg: exactly(1),
}
