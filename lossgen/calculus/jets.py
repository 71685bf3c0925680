"""Truncated Taylor series at high precision: the elements that formulas work on.

An element is an ``mpf`` or a ``Jet``, the series of a value along a ray. Where a
function branches, the first coefficient that is not zero decides: a jet is a germ from
one side, so a formula evaluated on ``p + t`` and on ``p - t`` gives value and
derivatives from the right and from the left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mpmath import mp, mpf

from lossgen.calculus import derivatives
from lossgen.calculus.derivatives import Derivatives, OutOfDomainError

Element = Any
"""An ``mpf``, a ``Jet`` or, where a condition was evaluated, a bool."""

MAX_ORDER = 12
"""The highest derivative of a germ."""

_ZERO = mpf(0)


@dataclass(frozen=True)
class Ties:
    """When two germs count as equal.

    ``tolerance`` is how far their coefficients may differ. With ``by_value`` only the
    constant terms are compared, as computed code does; otherwise the first
    coefficients that differ decide. With ``decisive`` no condition may rest on germs
    that agree as far as they are known. ``lean`` gives the sign that each comparison of
    equals is to have: 1 or -1.
    """

    tolerance: Any
    by_value: bool = False
    decisive: bool = False
    lean: Callable[[], int] | None = None


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


def compose(function: Callable[[Any], Derivatives], element: Element) -> Element:
    """A function, given by value and derivatives at a place, applied to an element."""
    if not isinstance(element, Jet):
        return next(function(element))
    start, *rest = element.coefficients
    values = list(islice(function(start), len(rest) + 1))
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
    return ties.lean() if ties.lean is not None else 0


def _convolve(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
    if len(left) == 2:  # the usual case, first derivatives
        return [left[0] * right[0], left[0] * right[1] + left[1] * right[0]]
    return [
        sum((left[i] * right[k - i] for i in range(k + 1)), _ZERO)
        for k in range(len(left))
    ]


def smooth(op: str, element: Element) -> Element:
    """A smooth function of one argument."""
    return compose(derivatives.SMOOTH[op], element)


def power(base: Element, exponent: Element) -> Element:
    """``base ** exponent``."""
    if not isinstance(exponent, Jet):
        return compose(derivatives.power(exponent), base)
    start, growth = constant_term(base), exponent.coefficients[0]
    if start == 0 and growth > 0 and not isinstance(base, Jet):
        return _ZERO
    if start <= 0:
        raise OutOfDomainError
    return smooth("exp", mul(exponent, smooth("log", base)))


def logaddexp(left: Element, right: Element) -> Element:
    """``log(exp(left) + exp(right))``, which is what the larger adds a little to."""
    if constant_term(left) > constant_term(right):
        left, right = right, left
    return add(right, smooth("softplus", sub(left, right)))


def xlogy(factor: Element, argument: Element, op: str = "log") -> Element:
    """``factor * log(argument)``, and 0 where the factor is 0.

    A factor that is a constant 0 wins over everything. A factor that passes through 0
    needs a logarithm that is defined: ``x*log(x)`` has no derivative at 0.
    """
    if not isinstance(factor, Jet) and factor == 0:
        return _ZERO
    return mul(factor, smooth(op, argument))


def exp_tilted(argument: Element, slope: Element) -> Element:
    """``exp(argument) - slope*argument``."""
    return sub(smooth("exp", argument), mul(slope, argument))


def powm1(base: Element, exponent: Element) -> Element:
    """``base**exponent - 1``, to all digits of a small one."""
    start = constant_term(base)
    if start > 0 and abs(constant_term(exponent) * mp.log(start)) < 1:
        return smooth("expm1", mul(exponent, smooth("log", base)))
    return sub(power(base, exponent), mpf(1))


def pow1pm1(increment: Element, exponent: Element) -> Element:
    """``(1 + increment)**exponent - 1``, to all digits of a small one."""
    start = constant_term(increment)
    if start > -1 and abs(constant_term(exponent) * mp.log1p(start)) < 1:
        return smooth("expm1", mul(exponent, smooth("log1p", increment)))
    return sub(power(add(increment, mpf(1)), exponent), mpf(1))


def log_difference(left: Element, right: Element) -> Element:
    """``log(left) - log(right)``."""
    return sub(smooth("log", left), smooth("log", right))


def log1p_difference(left: Element, right: Element) -> Element:
    """``log(1 + left) - log(1 + right)``."""
    return sub(smooth("log1p", left), smooth("log1p", right))


def kl_div(left: Element, right: Element) -> Element:
    """``left*log(left/right) - left + right``."""
    return add(xlogy(left, div(left, right)), sub(right, left))


def itakura_saito(left: Element, right: Element) -> Element:
    """``left/right - log(left/right) - 1``."""
    ratio = div(left, right)
    return sub(sub(ratio, smooth("log", ratio)), mpf(1))


def digamma_difference(left: Element, step: Element) -> Element:
    """``digamma(left + step) - digamma(left)``."""
    return sub(smooth("digamma", add(left, step)), smooth("digamma", left))


def lgamma_difference(left: Element, step: Element) -> Element:
    """``lgamma(left + step) - lgamma(left)``."""
    return sub(smooth("lgamma", add(left, step)), smooth("lgamma", left))


def log_beta(left: Element, right: Element) -> Element:
    """``lgamma(left) + lgamma(right) - lgamma(left + right)``."""
    return sub(smooth("lgamma", left), lgamma_difference(right, left))


def log_multiset(left: Element, count: Element) -> Element:
    """``lgamma(left + count) - lgamma(left) - lgamma(count + 1)``."""
    factorial = smooth("lgamma", add(count, mpf(1)))
    return sub(lgamma_difference(left, count), factorial)


def log_beta_excess(left: Element, right: Element) -> Element:
    """``log_beta(left, right)`` less what Stirling's formula makes of it."""
    by_left = mul(left, smooth("log1p", div(right, left)))
    by_right = mul(right, smooth("log1p", div(left, right)))
    return add(log_beta(left, right), add(by_left, by_right))


def negative_binomial(number: Element, size: Element, mean: Element) -> Element:
    """The negative logarithm of a negative binomial probability."""
    none = mul(size, smooth("log1p", div(mean, size)))
    if not isinstance(number, Jet) and number == 0:
        return none
    some = mul(number, smooth("log1p", div(size, mean)))
    return sub(add(none, some), log_multiset(size, number))


def tweedie(left: Element, right: Element, exponent: Element) -> Element:
    """Half of the unit deviance of Tweedie's family."""
    one, two = sub(mpf(1), exponent), sub(mpf(2), exponent)
    terms = (
        div(power(left, two), mul(one, two)),
        neg(div(mul(left, power(right, one)), one)),
        div(power(right, two), two),
    )
    return add(add(terms[0], terms[1]), terms[2])


def poisson_peak(element: Element) -> Element:
    """``lgamma(element + 1) - element*log(element) + element``."""
    factorial = smooth("lgamma", add(element, mpf(1)))
    return add(sub(factorial, xlogy(element, element)), element)


def log_i0e(element: Element, ties: Ties) -> Element:
    """``log(i0e(element))``."""
    return smooth("log", even_bessel(element, ties))


def log_i0(element: Element, ties: Ties) -> Element:
    """``log(i0e(element)) + abs(element)``."""
    return add(log_i0e(element, ties), absolute(element, ties))


def stop(element: Element) -> Element:
    """The value without its derivatives."""
    return constant_term(element)


# Branches ---------------------------------------------------------------------------


def absolute(element: Element, ties: Ties) -> Element:
    """``abs(element)``, with slope 0 at 0."""
    return mul(element, mpf(compare(element, _ZERO, ties)))


def even_bessel(element: Element, ties: Ties) -> Element:
    """``i0e(element)``, which has a kink at 0."""
    return compose(derivatives.scaled_bessel(0), absolute(element, ties))


def odd_bessel(element: Element, ties: Ties) -> Element:
    """``i1e(element)``."""
    size = compose(derivatives.scaled_bessel(1), absolute(element, ties))
    return mul(size, mpf(compare(element, _ZERO, ties)))


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
    if ties.by_value and all(abs(constant_term(x)) <= ties.tolerance for x in elements):
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
