"""Functions of one argument with all their derivatives, one after the other.

The derivatives come lazily: who wants a value asks for the first item only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import count, cycle, islice, repeat
from math import comb
from typing import Any

from mpmath import mp, mpf

Derivatives = Iterator[Any]
"""Value, first derivative, second derivative, … at one place."""

# Beyond these magnitudes (binary exponents) the exact result has no use and would not
# fit into memory.
_EXP_MAGNITUDE = 40
_MAGNITUDE = 2000

_ZERO = mpf(0)


class OutOfDomainError(ArithmeticError):
    """A function was applied outside its domain."""


class TooLargeError(OutOfDomainError):
    """A result of astronomic size; nothing is said about the domain."""


def _refuse_large(x: Any, limit: int = _MAGNITUDE) -> None:
    if x and mp.mag(x) > limit:
        raise TooLargeError


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, for the same samples are evaluated again and again."""

    @lru_cache(maxsize=2**14)
    def known(_precision: int, *numbers: Any) -> Any:
        return function(*map(mp.make_mpf, numbers))

    return lambda *numbers: known(mp.prec, *[item._mpf_ for item in numbers])


_mp_exp = _remembered(mp.exp)
_mp_log = _remembered(mp.log)
_mp_log1p = _remembered(mp.log1p)
_mp_power = _remembered(operator.pow)


def _exp(x: Any) -> Derivatives:
    value = exponential(x)
    while True:
        yield value


def exponential(x: Any) -> Any:
    """``exp(x)``, 0 where it would be too small to write down."""
    if x and mp.mag(x) > _EXP_MAGNITUDE:
        if x > 0:
            raise TooLargeError
        return _ZERO
    return _mp_exp(x)


def _expm1(x: Any) -> Derivatives:
    value = exponential(x)
    yield mp.expm1(x) if abs(x) < 1 else value - 1
    while True:
        yield value


def _log(x: Any) -> Derivatives:
    if x <= 0:
        raise OutOfDomainError
    yield _mp_log(x)
    yield from _reciprocal(x)


def _log1p(x: Any) -> Derivatives:
    if x <= -1:
        raise OutOfDomainError
    yield _mp_log1p(x)
    yield from _reciprocal(1 + x)


def _reciprocal(x: Any) -> Derivatives:
    y = 1 / x
    for k in count(1):
        yield y
        y = -k * y / x


def _sqrt(x: Any) -> Derivatives:
    if x < 0:
        raise OutOfDomainError
    slope = mp.sqrt(x)
    yield slope
    if x == 0:
        raise OutOfDomainError
    for k in count():
        slope *= (mpf(1) / 2 - k) / x
        yield slope


def _square(x: Any) -> Derivatives:
    yield x * x
    yield 2 * x
    yield mpf(2)
    yield from repeat(_ZERO)


def _sin(x: Any) -> Derivatives:
    _refuse_large(x)
    cosine, sine = mp.cos_sin(x)
    yield from cycle((sine, cosine, -sine, -cosine))


def _cos(x: Any) -> Derivatives:
    _refuse_large(x)
    cosine, sine = mp.cos_sin(x)
    yield from cycle((cosine, -sine, -cosine, sine))


def _tanh(x: Any) -> Derivatives:
    value = _tanh_value(x)
    yield value
    yield from _sech_squared(x, value)


def _tanh_value(x: Any) -> Any:
    if x and mp.mag(x) > _EXP_MAGNITUDE:
        return mp.sign(x)
    return mp.tanh(x)


def _sech_squared(x: Any, tanh: Any) -> Derivatives:
    # 1 - tanh**2 would cancel for large x.
    decay = exponential(-2 * abs(x))
    slope = 4 * decay / (1 + decay) ** 2
    # y'' = -2*tanh*y' for y = tanh
    yield from _logistic_slopes(slope, -2 * tanh)


def _logistic_slopes(slope: Any, factor: Any) -> Derivatives:
    """The slope s of ``s' = a*s`` and its derivatives, where ``a' = -2*s``."""
    slopes, factors = [slope], [factor]
    while True:
        yield slopes[-1]
        slopes.append(_leibniz(factors, slopes))
        factors.append(-2 * slopes[len(factors) - 1])


def _leibniz(left: Sequence[Any], right: Sequence[Any]) -> Any:
    """The next derivative of a product, from the derivatives of its factors."""
    n = len(right) - 1
    return sum((comb(n, i) * left[i] * right[n - i] for i in range(n + 1)), _ZERO)


def _sinh(x: Any) -> Derivatives:
    _refuse_large(x, _EXP_MAGNITUDE)
    odd, even = mp.sinh(x), mp.cosh(x)
    yield from cycle((odd, even))


def _cosh(x: Any) -> Derivatives:
    _refuse_large(x, _EXP_MAGNITUDE)
    odd, even = mp.sinh(x), mp.cosh(x)
    yield from cycle((even, odd))


def _atan(x: Any) -> Derivatives:
    yield mp.atan(x)
    # (1 + x**2)*y' = 1, differentiated n times
    before, slope = _ZERO, 1 / (1 + x * x)
    for n in count(1):
        yield slope
        after = -n * (2 * x * slope + (n - 1) * before) / (1 + x * x)
        before, slope = slope, after


def _asinh(x: Any) -> Derivatives:
    yield mp.asinh(x)
    # (1 + x**2)*y'' + x*y' = 0, differentiated n times
    before, slope = _ZERO, 1 / mp.sqrt(1 + x * x)
    for n in count():
        yield slope
        after = -((2 * n + 1) * x * slope + n * n * before) / (1 + x * x)
        before, slope = slope, after


def _acos(x: Any) -> Derivatives:
    if abs(x) > 1:
        raise OutOfDomainError
    yield mp.acos(x)
    if abs(x) == 1:
        raise OutOfDomainError
    # (1 - x**2)*y'' - x*y' = 0, differentiated n times
    rest = (1 - x) * (1 + x)
    before, slope = _ZERO, -1 / mp.sqrt(rest)
    for n in count():
        yield slope
        after = ((2 * n + 1) * x * slope + n * n * before) / rest
        before, slope = slope, after


def _sigmoid(x: Any) -> Derivatives:
    yield from _shares_and_slopes(*_shares(x, exponential(-abs(x))))


def _shares(x: Any, decay: Any) -> tuple[Any, Any]:
    """The sigmoid of ``x`` and of ``-x``, from ``exp(-abs(x))``."""
    large, small = 1 / (1 + decay), decay / (1 + decay)
    return (large, small) if x >= 0 else (small, large)


def _shares_and_slopes(value: Any, other: Any) -> Derivatives:
    yield value
    yield from _logistic_slopes(value * other, other - value)


def _softplus(x: Any) -> Derivatives:
    decay = exponential(-abs(x))
    yield max(x, _ZERO) + _mp_log1p(decay)
    yield from _shares_and_slopes(*_shares(x, decay))


def _log_sigmoid(x: Any) -> Derivatives:
    decay = exponential(-abs(x))
    yield min(x, _ZERO) - _mp_log1p(decay)
    value, other = _shares(x, decay)
    yield other
    yield from (-item for item in _logistic_slopes(value * other, other - value))


def _log1p_square(x: Any) -> Derivatives:
    yield mp.log1p(x * x)
    # y' = 2*x*z and (1 + x**2)*z = 1, differentiated n times
    before = _ZERO
    for n, slope in enumerate(islice(_atan(x), 1, None)):
        yield 2 * (x * slope + n * before)
        before = slope


def _log1pmx(x: Any) -> Derivatives:
    if x <= -1:
        raise OutOfDomainError
    with mp.extraprec(_lost(x)):
        value = mp.log1p(x) - x
    yield +value
    yield -x / (1 + x)
    yield from islice(_reciprocal(1 + x), 1, None)


def _expm1mx(x: Any) -> Derivatives:
    power = exponential(x)
    with mp.extraprec(_lost(x)):
        value = (mp.expm1(x) if abs(x) < 1 else power - 1) - x
    yield +value
    yield mp.expm1(x) if abs(x) < 1 else power - 1
    while True:
        yield power


def _lost(x: Any) -> int:
    """The bits that a difference of order x**2 of numbers of order x loses."""
    return max(0, -int(mp.mag(x))) if x else 0


def _geman_mcclure(x: Any) -> Derivatives:
    yield x * x / (1 + x * x)
    # 1 - f is the slope of atan.
    yield from (-item for item in islice(_atan(x), 2, None))


def _log_cosh(x: Any) -> Derivatives:
    if abs(x) < 1:  # no cancellation near 0
        yield mp.log1p(2 * mp.sinh(x / 2) ** 2)
    else:
        yield abs(x) + mp.log1p(exponential(-2 * abs(x))) - mp.ln2
    tanh = _tanh_value(x)
    yield tanh
    yield from _sech_squared(x, tanh)


def _erf(x: Any) -> Derivatives:
    yield mp.erf(x) if abs(x) < 2**20 else mp.sign(x)
    yield from _gauss(x)


def _erfc(x: Any) -> Derivatives:
    yield _erfc_value(x)
    yield from (-item for item in _gauss(x))


def _erfc_value(x: Any) -> Any:
    if abs(x) < 2**20 or mp.isnan(x):
        return mp.erfc(x)
    return _ZERO if x > 0 else mpf(2)


def _gauss(x: Any) -> Derivatives:
    bell = 2 / mp.sqrt(mp.pi) * exponential(-x * x)
    yield from _hermite(bell, 2 * x, 2)


def _hermite(bell: Any, slope: Any, bend: int) -> Derivatives:
    """The derivatives of ``exp(-q(x))`` with ``q' = slope`` and ``q'' = bend``."""
    before = _ZERO
    for n in count():
        yield bell
        before, bell = bell, -slope * bell - bend * n * before


def _normal_cdf(x: Any) -> Derivatives:
    yield _erfc_value(-x / mp.sqrt(2)) / 2
    yield from _hermite(_density(x), x, 1)


def _density(x: Any) -> Any:
    return exponential(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _normal_logcdf(x: Any) -> Derivatives:
    if x < -(2**20):
        _refuse_large(x)
        # The distribution function is density/(-x)*series, DLMF 7.12.1.
        with mp.extraprec(4 * mp.mag(x)):
            series = _mills(x)
            slope = -x / series
            root = mp.log(2 * mp.pi) / 2
            value = mp.log(series) - mp.log(-x) - x * x / 2 - root
    else:
        below = 1 - _erfc_value(x / mp.sqrt(2)) / 2
        if x < 0:
            below = mp.erfc(-x / mp.sqrt(2)) / 2
        value = mp.log(below) if x < 0 else mp.log1p(-_erfc_value(x / mp.sqrt(2)) / 2)
        slope = _density(x) / below
    yield value
    # y'' = -y'*(x + y')
    slopes: list[Any] = [slope]
    factors: list[Any] = []
    while True:
        n = len(factors)
        yield slopes[n]
        factors.append(-slopes[n] - (x if n == 0 else 1 if n == 1 else 0))
        slopes.append(_leibniz(factors, slopes))


def _mills(x: Any) -> Any:
    """``1 - 1/x**2 + 3/x**4 - 15/x**6 + ...`` to all digits of the context."""
    term, total, k = mpf(1), mpf(0), 1
    while mp.mag(term) >= -mp.prec:
        total += term
        term *= -k / (x * x)
        k += 2
    return total


def _lgamma(x: Any) -> Derivatives:
    if x <= 0:
        raise OutOfDomainError
    _refuse_large(x)
    yield mp.loggamma(x)
    yield from _digamma(x)


def _digamma(x: Any) -> Derivatives:
    if x <= 0:
        raise OutOfDomainError
    _refuse_large(x)
    for order in count():
        yield mp.psi(order, x)


def scaled_bessel(kind: int) -> Callable[[Any], Derivatives]:
    """The derivatives of ``exp(-x)*I0(x)``, or of the same with I1, for x >= 0."""

    def derivatives(x: Any) -> Derivatives:
        if x > 2**20:
            raise TooLargeError
        decay = exponential(-x)
        bessel = [decay * mp.besseli(n, x) for n in range(kind)]
        for n in count():
            bessel.append(decay * mp.besseli(n + kind, x))
            # I1 is the derivative of I0, of which 2**n times the n-th derivative is the
            # sum of C(n, k)*I_abs(n - 2*k).
            slopes = [
                sum(comb(j, k) * bessel[abs(j - 2 * k)] for k in range(j + 1)) / 2**j
                for j in range(kind, n + kind + 1)
            ]
            yield sum((-1) ** (n - j) * comb(n, j) * slopes[j] for j in range(n + 1))

    return derivatives


def power(exponent: Any) -> Callable[[Any], Derivatives]:
    """The derivatives of ``x**exponent`` for a constant exponent; ``0**0`` is 1."""
    whole = mp.isint(exponent)

    def derivatives(x: Any) -> Derivatives:
        if x < 0 and not whole:
            raise OutOfDomainError
        factor, remaining = mpf(1), exponent
        while True:
            yield factor * _power_value(x, remaining) if factor else _ZERO
            factor, remaining = factor * remaining, remaining - 1

    return derivatives


def _power_value(x: Any, exponent: Any) -> Any:
    if exponent == 0:
        return mpf(1)
    if x == 0:
        if exponent < 0:
            raise OutOfDomainError
        return _ZERO
    if mp.mag(exponent) + mp.mag(mp.mag(x)) > _EXP_MAGNITUDE:
        raise TooLargeError
    return _mp_power(x, exponent)


SMOOTH: dict[str, Callable[[Any], Derivatives]] = {
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "square": _square,
    "sin": _sin,
    "cos": _cos,
    "tanh": _tanh,
    "sinh": _sinh,
    "cosh": _cosh,
    "atan": _atan,
    "asinh": _asinh,
    "acos": _acos,
    "sigmoid": _sigmoid,
    "log_sigmoid": _log_sigmoid,
    "softplus": _softplus,
    "log_cosh": _log_cosh,
    "log1p_square": _log1p_square,
    "log1pmx": _log1pmx,
    "expm1mx": _expm1mx,
    "geman_mcclure": _geman_mcclure,
    "erf": _erf,
    "erfc": _erfc,
    "normal_cdf": _normal_cdf,
    "normal_logcdf": _normal_logcdf,
    "lgamma": _lgamma,
    "digamma": _digamma,
    "trigamma": lambda x: islice(_digamma(x), 1, None),
}
"""The smooth functions of one argument."""
