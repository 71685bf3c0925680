"""Truncated Taylor series at high precision: the elements that formulas work on.

An element is an ``mpf`` or a ``Jet``, the series of a value along a ray. Where a
function branches, the first coefficient that is not zero decides: a jet is a germ from
one side, so a formula evaluated on ``p + t`` and on ``p - t`` gives value and
derivatives from the right and from the left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice, repeat
from math import comb
from typing import Any

from mpmath import mp, mpf

Element = Any
"""An ``mpf``, a ``Jet`` or, where a condition was evaluated, a bool."""

Derivatives = Iterator[Any]

MAX_ORDER = 12
"""The highest derivative of a germ."""

# Beyond these magnitudes (binary exponents) the exact result has no use and would not
# fit into memory.
_EXP_MAGNITUDE = 40
_MAGNITUDE = 2000

_ZERO = mpf(0)


class OutOfDomainError(ArithmeticError):
    """A function was applied outside its domain."""


class TooLargeError(OutOfDomainError):
    """A result of astronomic size; nothing is said about the domain."""


@dataclass(frozen=True)
class Ties:
    """When two germs count as equal.

    ``tolerance`` is how far their coefficients may differ. With ``by_value`` only the
    constant terms are compared, as computed code does; otherwise the first
    coefficients that differ decide. With ``decisive`` no condition may rest on germs
    that agree as far as they are known.
    """

    tolerance: Any
    by_value: bool = False
    decisive: bool = False


EXACT = Ties(_ZERO)


class Jet:
    """Taylor coefficients of a value along a ray, constant term first."""

    __slots__ = ("coefficients",)

    def __init__(self, coefficients: Sequence[Any]) -> None:
        """Keep the coefficients."""
        self.coefficients = tuple(coefficients)

    def __repr__(self) -> str:
        return f"Jet({', '.join(mp.nstr(item, 6) for item in self.coefficients)})"


def constant_term(element: Element) -> Any:
    """The value at the start of the ray."""
    return element.coefficients[0] if isinstance(element, Jet) else element


def coefficients(element: Element, order: int) -> tuple[Any, ...]:
    """The Taylor coefficients up to an order."""
    if isinstance(element, Jet):
        return element.coefficients
    return (element, *([_ZERO] * order))


def order_of(*elements: Element) -> int:
    """The order to which a result can be known."""
    return max(
        (len(item.coefficients) - 1 for item in elements if isinstance(item, Jet)),
        default=0,
    )


# Arithmetic -----------------------------------------------------------------------


def add(left: Element, right: Element) -> Element:
    """``left + right``."""
    if isinstance(left, Jet):
        if isinstance(right, Jet):
            pairs = zip(left.coefficients, right.coefficients, strict=True)
            return Jet([a + b for a, b in pairs])
        return Jet((left.coefficients[0] + right, *left.coefficients[1:]))
    if isinstance(right, Jet):
        return add(right, left)
    return left + right


def neg(element: Element) -> Element:
    """``-element``."""
    if isinstance(element, Jet):
        return Jet([-item for item in element.coefficients])
    return -element


def sub(left: Element, right: Element) -> Element:
    """``left - right``."""
    return add(left, neg(right))


def mul(left: Element, right: Element) -> Element:
    """``left * right``."""
    if isinstance(left, Jet):
        if isinstance(right, Jet):
            return Jet(_convolve(left.coefficients, right.coefficients))
        return Jet([item * right for item in left.coefficients])
    if isinstance(right, Jet):
        return Jet([item * left for item in right.coefficients])
    return left * right


def div(left: Element, right: Element) -> Element:
    """``left / right``."""
    if constant_term(right) == 0:
        raise OutOfDomainError
    if not isinstance(right, Jet):
        if isinstance(left, Jet):
            return Jet([item / right for item in left.coefficients])
        return left / right
    bottom = right.coefficients
    top = coefficients(left, len(bottom) - 1)
    quotient: list[Any] = []
    for k, item in enumerate(top):
        rest = sum((quotient[i] * bottom[k - i] for i in range(k)), _ZERO)
        quotient.append((item - rest) / bottom[0])
    return Jet(quotient)


def compose(derivatives: Callable[[Any], Derivatives], element: Element) -> Element:
    """A function of one argument, given by its derivatives, applied to an element."""
    if not isinstance(element, Jet):
        return next(derivatives(element))
    start, *rest = element.coefficients
    values = list(islice(derivatives(start), len(rest) + 1))
    if len(rest) == 1:  # the usual case, first derivatives
        return Jet((values[0], values[1] * rest[0]))
    # Horner's scheme in the increment, which has no constant term.
    series = [values[-1] / mp.factorial(len(rest))]
    for k in range(len(rest) - 1, -1, -1):
        raised = [
            sum((series[i] * rest[j - i] for i in range(j + 1)), _ZERO)
            for j in range(len(series))
        ]
        series = [values[k] / mp.factorial(k), *raised]
    return Jet(series)


def compare(left: Element, right: Element, ties: Ties) -> int:
    """The sign of ``left - right`` just behind the start of the ray.

    Between plain numbers the comparison is exact. Between germs there is a tolerance,
    because the start of the ray may be the rounded root of an equation.
    """
    if not (isinstance(left, Jet) or isinstance(right, Jet)):
        return int(left > right) - int(left < right)
    order = 0 if ties.by_value else order_of(left, right)
    pairs = zip(
        coefficients(left, order)[: order + 1],
        coefficients(right, order)[: order + 1],
        strict=True,
    )
    for a, b in pairs:
        if abs(a - b) > ties.tolerance:
            return 1 if a > b else -1
    return 0


def _convolve(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
    if len(left) == 2:  # the usual case, first derivatives
        return [left[0] * right[0], left[0] * right[1] + left[1] * right[0]]
    return [
        sum((left[i] * right[k - i] for i in range(k + 1)), _ZERO)
        for k in range(len(left))
    ]


# Derivatives of each function, lazily: a value asks for the first item only ---------


def _refuse_large(x: Any, limit: int = _MAGNITUDE) -> None:
    if x and mp.mag(x) > limit:
        raise TooLargeError


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
    return mp.exp(x)


def _expm1(x: Any) -> Derivatives:
    value = exponential(x)
    yield mp.expm1(x) if abs(x) < 1 else value - 1
    while True:
        yield value


def _log(x: Any) -> Derivatives:
    if x <= 0:
        raise OutOfDomainError
    yield mp.log(x)
    yield from _reciprocal(x)


def _log1p(x: Any) -> Derivatives:
    if x <= -1:
        raise OutOfDomainError
    yield mp.log1p(x)
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
    yield max(x, _ZERO) + mp.log1p(decay)
    yield from _shares_and_slopes(*_shares(x, decay))


def _log_sigmoid(x: Any) -> Derivatives:
    decay = exponential(-abs(x))
    yield min(x, _ZERO) - mp.log1p(decay)
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
    if abs(x) < 2**20:
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
    if abs(x) >= 2**20:
        raise TooLargeError
    below = mp.erfc(-x / mp.sqrt(2)) / 2
    yield mp.log(below) if x < 0 else mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2)
    # y'' = -y'*(x + y')
    slopes: list[Any] = [_density(x) / below]
    factors: list[Any] = []
    while True:
        n = len(factors)
        yield slopes[n]
        factors.append(-slopes[n] - (x if n == 0 else 1 if n == 1 else 0))
        slopes.append(_leibniz(factors, slopes))


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


def _i0e(x: Any) -> Derivatives:
    # For x >= 0 only: the function is even, with a kink at 0.
    if x > 2**20:
        raise TooLargeError
    decay = exponential(-x)
    bessel: list[Any] = []
    for n in count():
        bessel.append(decay * mp.besseli(n, x))
        # 2**n times the n-th derivative of I0 is the sum of C(n, k)*I_abs(n - 2*k).
        slopes = [
            sum(comb(j, k) * bessel[abs(j - 2 * k)] for k in range(j + 1)) / 2**j
            for j in range(n + 1)
        ]
        yield sum((-1) ** (n - j) * comb(n, j) * slopes[j] for j in range(n + 1))


def _power(exponent: Any) -> Callable[[Any], Derivatives]:
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
    return x**exponent


_SMOOTH: dict[str, Callable[[Any], Derivatives]] = {
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
    "sigmoid": _sigmoid,
    "log_sigmoid": _log_sigmoid,
    "softplus": _softplus,
    "log_cosh": _log_cosh,
    "log1p_square": _log1p_square,
    "erf": _erf,
    "erfc": _erfc,
    "normal_cdf": _normal_cdf,
    "normal_logcdf": _normal_logcdf,
    "lgamma": _lgamma,
    "digamma": _digamma,
}


def smooth(op: str, element: Element) -> Element:
    """A smooth function of one argument."""
    return compose(_SMOOTH[op], element)


def power(base: Element, exponent: Element) -> Element:
    """``base ** exponent``."""
    if not isinstance(exponent, Jet):
        return compose(_power(exponent), base)
    start, growth = constant_term(base), exponent.coefficients[0]
    if start == 0 and growth > 0 and not isinstance(base, Jet):
        return _ZERO
    if start <= 0:
        raise OutOfDomainError
    return smooth("exp", mul(exponent, smooth("log", base)))


def logaddexp(left: Element, right: Element) -> Element:
    """``log(exp(left) + exp(right))``."""
    return add(right, smooth("softplus", sub(left, right)))


def xlogy(factor: Element, argument: Element, op: str = "log") -> Element:
    """``factor * log(argument)``, and 0 where the factor is 0.

    A factor that is a constant 0 wins over everything. A factor that passes through 0
    needs a logarithm that is defined: ``x*log(x)`` has no derivative at 0.
    """
    if not isinstance(factor, Jet) and factor == 0:
        return _ZERO
    return mul(factor, smooth(op, argument))


def stop(element: Element) -> Element:
    """The value without its derivatives."""
    return constant_term(element)


# Branches ---------------------------------------------------------------------------


def absolute(element: Element, ties: Ties) -> Element:
    """``abs(element)``, with slope 0 at 0."""
    return mul(element, mpf(compare(element, _ZERO, ties)))


def even_bessel(element: Element, ties: Ties) -> Element:
    """``i0e(element)``."""
    return compose(_i0e, absolute(element, ties))


def largest(elements: Sequence[Element], ties: Ties) -> Element:
    """The largest element."""
    best = elements[0]
    for element in elements[1:]:
        if compare(element, best, ties) > 0:
            best = element
    return best


def smallest(elements: Sequence[Element], ties: Ties) -> Element:
    """The smallest element."""
    best = elements[0]
    for element in elements[1:]:
        if compare(element, best, ties) < 0:
            best = element
    return best


def norm(elements: Sequence[Element], ties: Ties) -> Element:
    """The Euclidean norm.

    Where every element vanishes, powers of the ray's parameter are factored out: the
    norm of ``t*v`` is ``t`` times the norm of ``v``.
    """
    order = order_of(*elements)
    if not order:
        return mp.sqrt(sum((item * item for item in elements), _ZERO))
    if ties.by_value and not any(compare(item, _ZERO, ties) for item in elements):
        return Jet([_ZERO] * (order + 1))
    rows = [coefficients(item, order) for item in elements]
    shift = next(
        (
            k
            for k in range(order + 1)
            if any(abs(row[k]) > ties.tolerance for row in rows)
        ),
        None,
    )
    if shift is None:
        return Jet([_ZERO] * (order + 1))
    shifted = [Jet(row[shift:]) for row in rows]
    total: Element = _ZERO
    for item in shifted:
        total = add(total, mul(item, item))
    root = smooth("sqrt", total)
    return Jet([_ZERO] * shift + list(root.coefficients))
