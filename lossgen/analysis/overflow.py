"""How large inputs may be before an operation of float32 overflows.

Intervals are carried forward through the operations as they are emitted, and bounds of
the adjoints back. Where every end is finite, nothing becomes infinite, nothing divides
by a 0 or takes the logarithm of one, exact or rounded. Ends are floats, and rounded
outwards by far more than float32 rounds; numbers below the normal range count as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf

import numpy as np

from lossgen.ir.domain import Domain
from lossgen.ir.expr import (
    Apply,
    Constant,
    Expr,
    Number,
    Role,
    Symbol,
    substitute,
    walk,
)
from lossgen.ir.extent import extents
from lossgen.ir.functions import CONDITIONS
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Block, Reach

ELEMENTS = 2**20
"""How many elements a reduction is taken to have at most."""

REACHES = (*(10.0**k for k in range(18, 1, -1)), 30.0, 10.0)
"""The bounds of the inputs that are tried, largest first."""

_LARGEST = 2.0**127 * (2 - 2.0**-23)
_TINY = 2.0**-126
_BLUR = 2.0**-18  # rounds outwards, over any error of a function of TensorFlow
_ROOM = 2.0**14  # what the gradient of a helper may be too large by on its way
_SUMMED = 2.0**-3  # the relative error of a sum of ELEMENTS numbers is below

Bounds = tuple[float, float]
"""The least and the largest value. What may be NaN or infinite has none: None."""


def reach(block: Block, loss: Loss) -> Reach | None:
    """How large each input may be before an operation of a block overflows.

    Predictions are in their domain, no closer to an open end than the guard; parameters
    have their defaults, and reductions at most `ELEMENTS` elements. All inputs are
    taken to be of one size first; those that are not in the way may then be larger.

    Returns:
        For each input that its domain does not bound, one of `REACHES`; None if nothing
        can be shown for any size.
    """
    result = _inlined(block)
    averaged = "last" in block.extent
    free = [variable.name for variable in loss.variables if _is_unbounded(variable)]

    def finite(sizes: Mapping[str, float]) -> bool:
        return _is_finite(result, loss, sizes, averaged=averaged)

    found = _furthest({}, free, finite)
    if found is None:
        return None
    for larger in reversed(
        REACHES[: REACHES.index(max(found.values(), default=REACHES[0]))]
    ):
        # Those that may be larger grow together; the others stay as they are.
        free = _not_in_the_way(found, free, larger, finite)
        grown = {**found, **dict.fromkeys(free, larger)}
        if not free or not finite(grown):
            break
        found = grown
    return tuple(found.items())


def _is_unbounded(variable: Variable) -> bool:
    if variable.role is Role.SIZE or _default(variable) is not None:
        return False
    low, high = _domain(variable.domain)
    return math.isinf(low) or math.isinf(high)


_Finite = Callable[[Mapping[str, float]], bool]
"""Whether nothing overflows for inputs up to some sizes."""


def _not_in_the_way(
    found: Mapping[str, float], names: list[str], larger: float, finite: _Finite
) -> list[str]:
    """The inputs that may be larger, together."""
    alone = [name for name in names if finite({**found, name: larger})]
    if finite({**found, **dict.fromkeys(alone, larger)}):
        return alone
    # Where it takes several of them to overflow, without any of these it does not.
    return [
        name
        for name in alone
        if not finite({**found, **{n: larger for n in alone if n != name}})
    ]


def _furthest(
    found: Mapping[str, float],
    names: Sequence[str],
    finite: _Finite,
) -> dict[str, float] | None:
    """With the largest size that some of the inputs may have together."""

    def of_size(size: float) -> dict[str, float]:
        return {**found, **dict.fromkeys(names, size)}

    low, high = 0, len(REACHES)
    while low < high:
        middle = (low + high) // 2
        if finite(of_size(REACHES[middle])):
            high = middle
        else:
            low = middle + 1
    return of_size(REACHES[low]) if low < len(REACHES) else None


def stays_finite(expr: Expr, loss: Loss, largest: float) -> bool:
    """Whether no operation of an expression, or of its gradient, overflows.

    Args:
        expr: The expression.
        loss: Declares its symbols.
        largest: What no input exceeds.
    """
    sizes = {item.name: largest for item in loss.variables}
    return _is_finite(expr, loss, sizes, averaged=False)


def _inlined(block: Block) -> Expr:
    """The result in terms of the inputs."""
    known: dict[Expr, Expr] = {}
    for item in block.assignments:
        known[item.target] = substitute(item.value, known)
    return substitute(block.result, known)


def _is_finite(
    expr: Expr, loss: Loss, sizes: Mapping[str, float], *, averaged: bool
) -> bool:
    for labels in _labels(expr, loss):
        inputs = _Inputs(loss, sizes, labels)
        if not _Sweep(expr, loss, inputs).is_finite(averaged=averaged):
            return False
    return True


def _labels(expr: Expr, loss: Loss) -> Iterator[dict[str, float]]:
    """The labels one by one, where there are few and each element has its own."""
    along = any(isinstance(node, Apply) and node.axis for node in walk(expr))
    targets = [v for v in loss.of_role(Role.Y_TRUE) if v.domain.values and not along]
    for values in product(*(item.domain.values for item in targets)):
        pairs = zip(targets, values, strict=True)
        yield {item.name: float(value) for item, value in pairs}


@dataclass(frozen=True)
class _Inputs:
    """The bounds of the inputs."""

    loss: Loss
    sizes: Mapping[str, float]
    labels: Mapping[str, float]

    def of(self, symbol: Symbol) -> Bounds | None:
        """The bounds of a symbol; of a condition, None."""
        if symbol.role is Role.DERIVED:
            return (0.0, float(ELEMENTS)) if symbol.name == "labels" else None
        if symbol.role is Role.SIZE:
            return (1.0, float(ELEMENTS))
        if symbol.name in self.labels:
            return (self.labels[symbol.name],) * 2
        variable = self.loss.variable(symbol.name)
        default = _default(variable)
        if default is not None:
            return default
        low, high = _domain(variable.domain)
        largest = self.sizes.get(symbol.name, inf)
        low, high = max(low, -largest), min(high, largest)
        return (low, high) if low <= high else None


def _default(variable: Variable) -> Bounds | None:
    if variable.role is not Role.PARAMETER or variable.default is None:
        return None
    values = np.asarray(variable.default, dtype=float)
    return _blurred((float(values.min()), float(values.max())))


def _domain(domain: Domain) -> Bounds:
    if domain.labels:
        return float(domain.labels[0]), float(domain.labels[-1])
    return domain.lower.approx, domain.upper.approx


def _leaf(node: Expr) -> Bounds | None:
    if isinstance(node, Number):
        value = float(node.value)
        exact = float(np.float32(value)) == value if abs(value) < _LARGEST else False
        return (value, value) if exact else _blurred((value, value))
    assert isinstance(node, Constant)
    return _blurred((getattr(math, node.name),) * 2)


def _blurred(bounds: Bounds) -> Bounds | None:
    """Rounded outwards; None where float32 has no such number."""
    low, high = bounds
    low -= abs(low) * _BLUR
    high += abs(high) * _BLUR
    if 0 < low < _TINY:
        low = 0.0
    if 0 > high > -_TINY:
        high = 0.0
    return (low, high) if -_LARGEST <= low <= high <= _LARGEST else None


def _size(bounds: Bounds) -> float:
    return max(abs(bounds[0]), abs(bounds[1]))


def _least(bounds: Bounds) -> float:
    """The smallest magnitude."""
    low, high = bounds
    return max(low, -high, 0.0)


class _Sweep:
    """Bounds of every value, and of every adjoint."""

    def __init__(self, expr: Expr, loss: Loss, inputs: _Inputs) -> None:
        self._expr, self._nodes = expr, list(walk(expr))
        self._extents = extents(loss, expr)
        self._moving: set[Expr] = set()
        roles = {Role.Y_PRED}
        if loss.spec.y_true.gradient:
            roles.add(Role.Y_TRUE)
        self._bounds: dict[Expr, Bounds | None] = {}
        for node in self._nodes:
            if isinstance(node, Symbol):
                self._bounds[node] = inputs.of(node)
                if node.role in roles:
                    self._moving.add(node)
            elif isinstance(node, Apply):
                self._bounds[node] = self._value(node)
                passes = node.op != "stop_gradient" and node.op not in CONDITIONS
                if passes and any(arg in self._moving for arg in node.args):
                    self._moving.add(node)
            else:
                self._bounds[node] = _leaf(node)

    def is_finite(self, *, averaged: bool) -> bool:
        """Whether the result and all adjoints stay finite."""
        bounds = self._bounds[self._expr]
        if bounds is None:
            return False
        if averaged and _size(bounds) * ELEMENTS > _LARGEST:
            return False
        adjoints = {self._expr: 1.0}
        for node in reversed(self._nodes):
            if node not in adjoints or not isinstance(node, Apply):
                continue
            for arg, adjoint in self._pulled(node, adjoints[node]):
                if arg not in self._moving:
                    continue
                if not self._extents[node] <= self._extents[arg]:
                    adjoint *= ELEMENTS
                adjoints[arg] = adjoints.get(arg, 0.0) + adjoint
                if not adjoints[arg] * (1 + _BLUR) <= _LARGEST:
                    return False
        return True

    def _value(self, node: Apply) -> Bounds | None:
        if node.op == "where":
            return self._chosen(node)
        return _at(node, self._bounds)

    def _chosen(self, node: Apply) -> Bounds | None:
        condition, then, otherwise = node.args
        truth = self._truth(condition)
        found = [self._bounds[then]] if truth is not False else []
        found += [self._bounds[otherwise]] if truth is not True else []
        known = [bounds for bounds in found if bounds is not None]
        return _hull(*known) if len(known) == len(found) else None

    def _truth(self, condition: Expr) -> bool | None:
        """Whether a comparison is known to hold, or not to."""
        if not isinstance(condition, Apply) or len(condition.args) != 2:
            return None
        left, right = (self._bounds[arg] for arg in condition.args)
        if left is None or right is None:
            return None
        below, above = left[1] < right[0], left[0] > right[1]
        equal = left[0] == left[1] == right[0] == right[1]
        holds = {
            "lt": (below, left[0] >= right[1]),
            "le": (left[1] <= right[0], above),
            "gt": (above, left[1] <= right[0]),
            "ge": (left[0] >= right[1], below),
            "eq": (equal, below or above),
            "ne": (below or above, equal),
        }
        always, never = holds.get(condition.op, (False, False))
        return always if always or never else None

    def _pulled(self, node: Apply, adjoint: float) -> Iterator[tuple[Expr, float]]:
        """What flows into each argument at most; infinite where that is not known."""
        moving = [arg for arg in node.args if arg in self._moving]
        known = [self._bounds[arg] for arg in node.args]
        arguments = [bounds for bounds in known if bounds is not None]
        if node.op == "where":
            truth = self._truth(node.args[0])
            for arg, taken in zip(node.args[1:], (True, False), strict=True):
                yield arg, adjoint if truth in (taken, None) else 0.0
        elif len(arguments) < len(known) or self._bounds[node] is None:
            for arg in moving:
                yield arg, inf
        elif node.op == "mul":
            yield from self._factors(node, adjoint, arguments)
        else:
            slopes = _slopes(node, arguments, self._bounds[node])
            for arg, slope in zip(node.args, slopes, strict=True):
                flow = adjoint * slope if slope <= _LARGEST else inf
                yield arg, flow

    def _factors(
        self, node: Apply, adjoint: float, arguments: list[Bounds]
    ) -> Iterator[tuple[Expr, float]]:
        """A product is computed, and differentiated, from the left."""
        sizes = [_size(bounds) for bounds in arguments]
        for k in range(len(sizes) - 1, 0, -1):
            yield node.args[k], adjoint * math.prod(sizes[:k])
            left = any(arg in self._moving for arg in node.args[:k])
            adjoint *= sizes[k]
            if left and not adjoint <= _LARGEST:
                adjoint = inf
        yield node.args[0], adjoint


def _at(node: Apply, found: Mapping[Expr, Bounds | None]) -> Bounds | None:
    """The bounds of an operation, from those of its arguments."""
    if node.op in CONDITIONS:
        return None
    arguments: list[Bounds] = []
    for arg in node.args:
        bounds = found[arg]
        if bounds is None and node.op not in ("count", "any", "filled"):
            return None
        if bounds is not None:
            arguments.append(bounds)
    rule = _VALUES.get(node.op)
    if rule is None:
        return None
    if node.op == "xlogy" and node.args[0] == node.args[1]:
        rule, arguments = _negative_entropy, arguments[:1]
    try:
        bounds = rule(*arguments)
    except OverflowError:
        return None
    if bounds is None or bounds[0] != bounds[0] or bounds[1] != bounds[1]:
        return None
    if node.op in _EXACT:
        return bounds
    blurred = _blurred(bounds)
    within = _WITHIN.get(node.op)
    if blurred is None or within is None:
        return blurred
    return max(blurred[0], within[0]), min(blurred[1], within[1])


_EXACT = (
    *("neg", "abs", "max", "min", "relu", "clip", "sign", "floor", "stop_gradient"),
    *("amax", "amin", "take", "flat", "ones_like", "count", "guarded"),
    *("lowest", "highest", "above", "below"),
)
"""Operations that do not round."""

_WITHIN: dict[str, Bounds] = {
    "exp": (0.0, inf),
    "sqrt": (0.0, inf),
    "square": (0.0, inf),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softplus": (0.0, inf),
    "erf": (-1.0, 1.0),
    "erfc": (0.0, 2.0),
    "normal_cdf": (0.0, 1.0),
    "log_sigmoid": (-inf, 0.0),
    "norm": (0.0, inf),
    "log_cosh": (0.0, inf),
    "geman_mcclure": (0.0, 1.0),
}
"""What no result exceeds, rounded or not."""


def _hull(*found: Bounds) -> Bounds:
    return min(low for low, _ in found), max(high for _, high in found)


# Values -----------------------------------------------------------------------------


def _increasing(function: Callable[[float], float]) -> Callable[[Bounds], Bounds]:
    return lambda x: (function(x[0]), function(x[1]))


def _from(
    least: float, function: Callable[[float], float]
) -> Callable[[Bounds], Bounds | None]:
    """An increasing function that is infinite or undefined at ``least``."""
    return lambda x: (function(x[0]), function(x[1])) if x[0] > least else None


def _sum(*terms: Bounds) -> Bounds | None:
    if sum(map(_size, terms)) > _LARGEST:
        return None
    return sum(low for low, _ in terms), sum(high for _, high in terms)


def _times(left: Bounds, right: Bounds) -> Bounds:
    corners = [a * b for a in left for b in right]
    return min(corners), max(corners)


def _product(*factors: Bounds) -> Bounds | None:
    result = factors[0]
    for factor in factors[1:]:
        found = _blurred(_times(result, factor))
        if found is None:
            return None
        result = found
    return result


def _quotient(top: Bounds, bottom: Bounds) -> Bounds | None:
    if not _least(bottom):
        return None
    return _times(top, (1 / bottom[1], 1 / bottom[0]))


def _square(x: Bounds) -> Bounds:
    return _least(x) ** 2, _size(x) ** 2


def _magnitude(x: Bounds) -> Bounds:
    return _least(x), _size(x)


def _power(base: Bounds, exponent: Bounds) -> Bounds | None:
    if exponent[0] == exponent[1] and exponent[0].is_integer() and base[0] < 0:
        whole = exponent[0]
        if whole < 0 and not _least(base):
            return None
        ends = [end**whole for end in base]
        if base[1] > 0 and whole >= 0:
            ends.append(0.0**whole)
        return min(ends), max(ends)
    if base[0] < 0 or (base[0] == 0 and exponent[0] < 0):
        return None
    corners = [a**b for a in base for b in exponent]
    return min(corners), max(corners)


def _cosh(x: Bounds) -> Bounds:
    return math.cosh(_least(x)), math.cosh(_size(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _sigmoid(x: float) -> float:
    return math.exp(-_softplus(-x))


def _log_cosh(x: Bounds) -> Bounds:
    def of(size: float) -> float:
        return max(size - math.log(2), 0.0)

    return of(_least(x)), _size(x)


def _log1p_square(x: Bounds) -> Bounds:
    def of(size: float) -> float:
        return 2 * math.log(math.hypot(1, size))

    return of(_least(x)), of(_size(x))


def _extreme_at_zero(function: Callable[[float], float]) -> Callable[[Bounds], Bounds]:
    def of(x: Bounds) -> Bounds:
        places = (*x, min(max(0.0, x[0]), x[1]))
        found = [function(place) for place in places]
        return min(found), max(found)

    return of


def _log1pmx(x: Bounds) -> Bounds | None:
    if x[0] <= -1:
        return None
    return _extreme_at_zero(lambda place: math.log1p(place) - place)(x)


def _exp_tilted(x: Bounds, slope: Bounds) -> Bounds | None:
    tilt = _times(x, slope)
    if x[1] > math.log(_LARGEST):
        return None
    return math.exp(x[0]) - tilt[1], math.exp(x[1]) - tilt[0]


def _powm1(base: Bounds, exponent: Bounds) -> Bounds | None:
    found = _power(base, exponent)
    return None if found is None else (found[0] - 1, found[1] - 1)


def _pow1pm1(x: Bounds, exponent: Bounds) -> Bounds | None:
    return _powm1((1 + x[0], 1 + x[1]), exponent)


def _log_difference(x: Bounds, y: Bounds) -> Bounds | None:
    """The gap is divided by the geometric mean of the two."""
    if min(x[0], y[0]) < _TINY:
        return None
    return (
        math.log(x[0]) - math.log(y[1]) - 1,
        math.log(x[1]) - math.log(y[0]) + 1,
    )


def _log1p_difference(x: Bounds, y: Bounds) -> Bounds | None:
    """The gap is divided by the geometric mean of the two, each plus 1."""
    if min(x[0], y[0]) <= -1:
        return None
    return (
        math.log1p(x[0]) - math.log1p(y[1]) - 1,
        math.log1p(x[1]) - math.log1p(y[0]) + 1,
    )


def _kl_div(x: Bounds, y: Bounds) -> Bounds | None:
    """At most y where x is less."""
    if x[0] < 0 or y[0] <= 0 or x[1] / y[0] > _LARGEST:
        return None
    ratio = max(x[1] / y[0], 1.0)
    return 0.0, x[1] * math.log(ratio) + y[1]


def _itakura_saito(x: Bounds, y: Bounds) -> Bounds | None:
    if x[0] <= 0 or y[0] <= 0 or not _TINY < x[0] / y[1] <= x[1] / y[0] < _LARGEST:
        return None
    ends = (x[0] / y[1], x[1] / y[0])
    return 0.0, max(end - math.log(end) - 1 for end in ends)


def _logaddexp(x: Bounds, y: Bounds) -> Bounds:
    return max(x[0], y[0]), max(x[1], y[1]) + 1


def _xlogy(x: Bounds, y: Bounds) -> Bounds | None:
    """0 where x is 0, whatever y is."""
    if x == (0.0, 0.0):
        return x
    return _times(x, (math.log(y[0]), math.log(y[1]))) if y[0] > 0 else None


def _negative_entropy(x: Bounds) -> Bounds | None:
    """Of ``xlogy(x, x)``, which is least, -1/e, at 1/e, and 0 at 0."""
    if x[0] < 0:
        return None
    places = (*x, min(max(1 / math.e, x[0]), x[1]))
    found = [place and place * math.log(place) for place in places]
    return min(found), max(found)


def _xlog1py(x: Bounds, y: Bounds) -> Bounds | None:
    if x == (0.0, 0.0):
        return x
    return _times(x, (math.log1p(y[0]), math.log1p(y[1]))) if y[0] > -1 else None


def _lgamma(x: Bounds) -> Bounds | None:
    if x[0] <= 0:
        return None
    ends = [math.lgamma(end) for end in x]
    return (-0.13 if x[0] < 2 and x[1] > 1 else min(ends)), max(ends)


def _lgamma_difference(x: Bounds, d: Bounds) -> Bounds | None:
    """By ``lgamma(x + d) - lgamma(x) = d*digamma(x + d*t)`` for a t in (0, 1).

    The Stirling series divides d by x before it takes logarithms.
    """
    if x[0] <= 0 or d[0] < 0 or d[1] / x[0] > _LARGEST:
        return None
    between = _digamma((x[0], x[1] + d[1]))
    return None if between is None else _times(d, between)


def _digamma_difference(x: Bounds, d: Bounds) -> Bounds | None:
    if x[0] <= 0 or d[0] < 0 or d[1] / x[0] > _LARGEST:
        return None
    return 0.0, _lgamma_difference_slopes(x, d)[0]


def _log_beta(x: Bounds, y: Bounds) -> Bounds | None:
    """Between the logarithms of 1/y and of 1/x + 1/y, up to a factor of 4**-y."""
    low, high = min(x[0], y[0]), max(x[1], y[1])
    if low <= 0 or high / low > _LARGEST:
        return None
    return -2 * high * math.log(2 + high / low) - 2, math.log(2 / low)


def _log_multiset(x: Bounds, y: Bounds) -> Bounds | None:
    bounds = _log_beta(x, (max(y[0], 1.0), max(y[1], 1.0)))
    return None if bounds is None else (-bounds[1] - math.log(y[1] + 1), -bounds[0])


def _log_beta_excess(x: Bounds, y: Bounds) -> Bounds | None:
    """Between about -log(x)/2 and -log(x) for the smaller of x and y."""
    low, high = min(x[0], y[0]), max(x[1], y[1])
    if low <= 0 or high / low > _LARGEST:
        return None
    return -math.log1p(high) - 2, 3 - min(math.log(low), 0)


def _negative_binomial(number: Bounds, size: Bounds, mean: Bounds) -> Bounds | None:
    low = min(size[0], mean[0])
    if low <= 0 or number[0] < 0 or max(size[1], mean[1]) / low > _LARGEST:
        return None
    many = number[1] * math.log1p(size[1] / mean[0]) + math.log1p(number[1])
    return -1.0, mean[1] + many + 3 - min(math.log(low), 0)


def _tweedie(x: Bounds, y: Bounds, exponent: Bounds) -> Bounds | None:
    one = 1 - exponent[1], 1 - exponent[0]
    two = 2 - exponent[1], 2 - exponent[0]
    powers = (_power(x, two), _power(y, one), _power(y, two))
    if one[1] >= 0 or two[0] <= 0 or None in powers or y[0] <= 0:
        return None
    left, right, mean = (_size(item) for item in powers if item is not None)
    largest = left / -one[1] / two[0] + x[1] * right / -one[1] + mean / two[0]
    return 0.0, largest


def _poisson_peak(x: Bounds) -> Bounds | None:
    """At most 1 + log(1 + x)."""
    return (0.0, 1 + math.log1p(x[1])) if x[0] >= 0 else None


def _log_i0e(x: Bounds) -> Bounds:
    return -math.log1p(2 * _size(x)), 0.0


def _digamma(x: Bounds) -> Bounds | None:
    """By ``log(x) - 1/x < digamma(x) < log(x) - 1/(2*x)``."""
    low, high = x
    return (math.log(low) - 1 / low, math.log(high) - 0.5 / high) if low > 0 else None


def _trigamma(x: Bounds) -> Bounds | None:
    """By ``1/x < trigamma(x) < 1/x + 1/x**2``."""
    low, high = x
    return (1 / high, 1 / low + 1 / low**2) if low > 0 else None


def _i0e(x: Bounds) -> Bounds:
    """By ``1/(1 + 2*abs(x)) <= i0e(x) <= 1``."""
    return 1 / (1 + 2 * _size(x)), 1.0


def _normal_logcdf(x: Bounds) -> Bounds:
    low = min(x[0], 0.0)
    # Below by the asymptotic series, which for x < -2 is within a factor of 2.
    return -(low**2) / 2 - math.log(2 + abs(low)) - 3, 0.0


def _clip(x: Bounds, low: Bounds, high: Bounds) -> Bounds:
    lower = max(x[0], low[0]), max(x[1], low[1])
    return min(lower[0], high[0]), min(lower[1], high[1])


def _total(x: Bounds) -> Bounds | None:
    low, high = x
    if _size(x) * ELEMENTS > _LARGEST:
        return None
    error = _SUMMED * ELEMENTS * _size(x) if low < 0 < high else 0.0
    low = low * (1 - _SUMMED) if low > 0 else low * ELEMENTS * (1 + _SUMMED)
    high = high * ELEMENTS * (1 + _SUMMED) if high > 0 else high * (1 - _SUMMED)
    return low - error, high + error


def _mean(x: Bounds) -> Bounds | None:
    if _total(x) is None:
        return None
    low, high = x
    error = _SUMMED * _size(x)
    floor, ceiling = (0.0 if low >= 0 else -inf), (0.0 if high <= 0 else inf)
    if low > 0:
        return low * (1 - _SUMMED), high + error
    return max(low - error, floor), min(high + error, ceiling)


def _norm(x: Bounds) -> Bounds:
    return _least(x) * (1 - _SUMMED), _size(x) * 2 * math.sqrt(ELEMENTS)


def _unit(x: Bounds) -> Bounds | None:
    if not _least(x):
        return None
    return (0.0 if x[0] > 0 else -1.0), (0.0 if x[1] < 0 else 1.0)


def _logsumexp(x: Bounds) -> Bounds:
    return x[0], x[1] + math.log(ELEMENTS) + 1


def _acos(x: Bounds) -> Bounds | None:
    return (math.acos(x[1]), math.acos(x[0])) if _size(x) <= 1 else None


def _log_softmax(x: Bounds) -> Bounds:
    return x[0] - x[1] - math.log(ELEMENTS) - 1, 0.0


def _beside(direction: float) -> Callable[[Bounds], Bounds]:
    def of(x: Bounds) -> Bounds:
        value = np.nextafter(np.float32(sum(x) / 2), np.float32(direction))
        return float(value), float(value)

    return of


_VALUES: dict[str, Callable[..., Bounds | None]] = {
    "add": _sum,
    "neg": lambda x: (-x[1], -x[0]),
    "mul": _product,
    "div": _quotient,
    "pow": _power,
    "exp": _increasing(math.exp),
    "expm1": _increasing(math.expm1),
    "log": _from(0, math.log),
    "log1p": _from(-1, math.log1p),
    "sqrt": lambda x: (math.sqrt(x[0]), math.sqrt(x[1])) if x[0] >= 0 else None,
    "square": _square,
    "sin": lambda x: (-1.0, 1.0),
    "cos": lambda x: (-1.0, 1.0),
    "tanh": _increasing(math.tanh),
    "sinh": _increasing(math.sinh),
    "cosh": _cosh,
    "atan": _increasing(math.atan),
    "asinh": _increasing(math.asinh),
    "acos": _acos,
    "sigmoid": _increasing(_sigmoid),
    "log_sigmoid": lambda x: (-_softplus(-x[0]), -_softplus(-x[1])),
    "softplus": _increasing(_softplus),
    "log_cosh": _log_cosh,
    "log1p_square": _log1p_square,
    "log_difference": _log_difference,
    "log1p_difference": _log1p_difference,
    "log1pmx": _log1pmx,
    "expm1mx": _extreme_at_zero(lambda x: math.expm1(x) - x),
    "with_slopes": lambda *args: args[0],
    "exp_tilted": _exp_tilted,
    "powm1": _powm1,
    "pow1pm1": _pow1pm1,
    "geman_mcclure": lambda x: (0.0, 1.0),
    "kl_div": _kl_div,
    "itakura_saito": _itakura_saito,
    "logaddexp": _logaddexp,
    "erf": _increasing(math.erf),
    "erfc": lambda x: (math.erfc(x[1]), math.erfc(x[0])),
    "normal_cdf": lambda x: (0.0, 1.0),
    "normal_logcdf": _normal_logcdf,
    "lgamma": _lgamma,
    "lgamma_difference": _lgamma_difference,
    "digamma_difference": _digamma_difference,
    "log_beta": _log_beta,
    "log_multiset": _log_multiset,
    "log_beta_excess": _log_beta_excess,
    "negative_binomial": _negative_binomial,
    "tweedie": _tweedie,
    "poisson_peak": _poisson_peak,
    "digamma": _digamma,
    "trigamma": _trigamma,
    "i0e": _i0e,
    "i1e": lambda x: (-1.0, 1.0),
    "log_i0e": _log_i0e,
    "log_i0": lambda x: (0.0, _size(x)),
    "xlogy": _xlogy,
    "xlog1py": _xlog1py,
    "stop_gradient": lambda x: x,
    "abs": _magnitude,
    "max": lambda *args: (max(x[0] for x in args), max(x[1] for x in args)),
    "min": lambda *args: (min(x[0] for x in args), min(x[1] for x in args)),
    "relu": lambda x: (max(x[0], 0.0), max(x[1], 0.0)),
    "clip": _clip,
    "sign": lambda x: (float(np.sign(x[0])), float(np.sign(x[1]))),
    "floor": lambda x: (float(math.floor(x[0])), float(math.floor(x[1]))),
    "sum": _total,
    "mean": _mean,
    "amax": lambda x: x,
    "amin": lambda x: x,
    "logsumexp": _logsumexp,
    "logcumsumexp": _logsumexp,
    "norm": _norm,
    "softmax": lambda x: (0.0, 1.0),
    "log_softmax": _log_softmax,
    "log1m_softmax": _log_softmax,
    "l2_normalize": _unit,
    "cumsum": _total,
    "flat": lambda x: x,
    "take": lambda x, labels: x,
    "guarded": lambda x, clipped: clipped,
    "ones_like": lambda x: (1.0, 1.0),
    "count": lambda *kept: (1.0, float(ELEMENTS)),
    "lowest": lambda: (-_LARGEST, -_LARGEST),
    "highest": lambda: (_LARGEST, _LARGEST),
    "above": _beside(inf),
    "below": _beside(-inf),
}
"""The bounds of an operation; None where it may be undefined or infinite."""


# Slopes -----------------------------------------------------------------------------


def _slopes(
    node: Apply, arguments: Sequence[Bounds], result: Bounds | None
) -> Sequence[float]:
    """How large the derivatives by the arguments are at most."""
    assert result is not None
    rule = _SLOPES.get(node.op)
    if rule is None:
        return (inf,) * len(arguments)
    try:
        return rule(*arguments)
    except (OverflowError, ZeroDivisionError):
        return (inf,) * len(arguments)


def _one(*arguments: Bounds) -> tuple[float, ...]:
    return (1.0,) * len(arguments)


def _many(x: Bounds) -> tuple[float]:
    return (float(ELEMENTS),)


def _helper(x: Bounds) -> tuple[float]:
    """A slope of 1, of which single operations are larger."""
    return (_ROOM,)


def _power_slopes(base: Bounds, exponent: Bounds) -> tuple[float, float]:
    lowered = _power(base, (exponent[0] - 1, exponent[1] - 1))
    by_base = inf if lowered is None else _size(exponent) * _size(lowered)
    if exponent == (0.0, 0.0):
        by_base = 0.0
    value = _power(base, exponent)
    if value is None or base[0] <= 0:
        return by_base, inf
    return by_base, _size(value) * max(abs(math.log(end)) for end in base)


def _log1pmx_slope(x: Bounds) -> tuple[float]:
    return (inf if x[0] <= -1 else _size(x) / min(1.0, 1 + x[0]),)


def _pow1pm1_slopes(x: Bounds, exponent: Bounds) -> tuple[float, float]:
    return _power_slopes((1 + x[0], 1 + x[1]), exponent)


def _given_slopes(*args: Bounds) -> list[float]:
    """Those beside each input; nothing flows into what computes value and slopes."""
    return [_size(args[k + 1]) if k % 2 else 0.0 for k in range(len(args))]


def _kl_div_slopes(x: Bounds, y: Bounds) -> tuple[float, float]:
    by_x = inf
    if x[0] > 0:
        by_x = max(abs(math.log(x[0] / y[1])), abs(math.log(x[1] / y[0])))
    return by_x, (_size(x) + _size(y)) / y[0]


def _itakura_saito_slopes(x: Bounds, y: Bounds) -> tuple[float, float]:
    size = _size(x) + _size(y)
    return size / x[0] / y[0], size / y[0] / y[0]


def _digamma_slope(x: Bounds) -> tuple[float]:
    bounds = _trigamma(x)
    return (inf if bounds is None else _size(bounds),)


def _lgamma_slope(x: Bounds) -> tuple[float]:
    bounds = _digamma(x)
    return (inf if bounds is None else _size(bounds),)


def _lgamma_difference_slopes(x: Bounds, d: Bounds) -> tuple[float, float]:
    """By ``digamma(x + d) - digamma(x) < d/x*(1 + 1/x)``."""
    bounds = _digamma((x[0] + d[0], x[1] + d[1]))
    by_x = d[1] / x[0] * (1 + 1 / x[0])
    return by_x, inf if bounds is None else _size(bounds)


def _digamma_difference_slopes(x: Bounds, d: Bounds) -> tuple[float, float]:
    """Both are at most the slope of digamma at x."""
    (slope,) = _digamma_slope(x)
    return slope, slope


def _log_beta_slopes(x: Bounds, y: Bounds) -> tuple[float, float]:
    by_x, _ = _lgamma_difference_slopes(x, y)
    return by_x, _lgamma_difference_slopes(y, x)[0]


def _log_multiset_slopes(x: Bounds, y: Bounds) -> tuple[float, float]:
    by_x, by_sum = _lgamma_difference_slopes(x, y)
    return by_x, by_sum + _lgamma_slope((1 + y[0], 1 + y[1]))[0]


def _negative_binomial_slopes(
    number: Bounds, size: Bounds, mean: Bounds
) -> tuple[float, float, float]:
    by_size, by_number = _log_multiset_slopes(size, number)
    by_number += math.log1p(size[1] / mean[0])
    # The gradient for one event is formed for all.
    by_size += (1 + mean[1] / size[0]) * (1 + 1 / size[0])
    return by_number, by_size, 1 + number[1] / mean[0]


def _tweedie_slopes(
    x: Bounds, y: Bounds, exponent: Bounds
) -> tuple[float, float, float]:
    power = _power(y, exponent)
    by_y = inf if power is None or not power[0] else (x[1] + y[1]) / power[0]
    lowered = (1 - exponent[1], 1 - exponent[0])
    ends = _power(x, lowered), _power(y, lowered)
    sizes = [inf if item is None else _size(item) for item in ends]
    return sum(sizes) / -lowered[1], by_y, inf


def _poisson_peak_slope(x: Bounds) -> tuple[float]:
    """By ``digamma(x + 1) - log(x) < 1/x``."""
    return (2 / x[0],)


def _unit_slope(x: Bounds) -> tuple[float]:
    return (2 * ELEMENTS / _least(x),)


def _xlogy_slopes(x: Bounds, y: Bounds) -> tuple[float, float]:
    if y[0] <= 0:
        return inf, (0.0 if x == (0.0, 0.0) else inf)
    return max(abs(math.log(end)) for end in y), _size(x) / y[0]


def _xlog1py_slopes(x: Bounds, y: Bounds) -> tuple[float, float]:
    if y[0] <= -1:
        return inf, (0.0 if x == (0.0, 0.0) else inf)
    return max(abs(math.log1p(end)) for end in y), _size(x) / (1 + y[0])


_SLOPES: dict[str, Callable[..., Sequence[float]]] = {
    **dict.fromkeys(["add", "neg", "abs", "max", "min", "relu", "clip", "flat"], _one),
    **dict.fromkeys(["sin", "cos", "tanh", "atan", "asinh", "sigmoid"], _one),
    **dict.fromkeys(["log_sigmoid", "softplus", "logaddexp", "sum", "mean"], _one),
    **dict.fromkeys(["amax", "amin", "take"], _one),
    **dict.fromkeys(["log_cosh", "log1p_square", "logsumexp", "norm"], _helper),
    **dict.fromkeys(["softmax", "erf", "erfc", "normal_cdf", "i0e"], _helper),
    **dict.fromkeys(["log_i0e", "log_i0"], _helper),
    **dict.fromkeys(["cumsum", "logcumsumexp", "log_softmax"], _many),
    "log1m_softmax": _many,
    "div": lambda a, b: (1 / _least(b), _size(a) / _least(b) ** 2),
    "pow": _power_slopes,
    "exp": lambda x: (math.exp(x[1]),),
    "expm1": lambda x: (math.exp(x[1]),),
    "log": lambda x: (1 / x[0],),
    "log1p": lambda x: (1 / (1 + x[0]),),
    "sqrt": lambda x: (0.5 / math.sqrt(x[0]),),
    "acos": lambda x: (_ROOM / math.sqrt(1 - _size(x) ** 2),),
    "square": lambda x: (2 * _size(x),),
    "sinh": lambda x: (math.cosh(_size(x)),),
    "cosh": lambda x: (math.sinh(_size(x)),),
    "log_difference": lambda x, y: (1 / x[0], 1 / y[0]),
    "log1p_difference": lambda x, y: (1 / (1 + x[0]), 1 / (1 + y[0])),
    "log1pmx": _log1pmx_slope,
    "expm1mx": lambda x: (math.exp(x[1]) + 1,),
    "with_slopes": _given_slopes,
    "exp_tilted": lambda x, y: (math.exp(x[1]) + _size(y) + 1, _size(x)),
    "powm1": _power_slopes,
    "pow1pm1": _pow1pm1_slopes,
    "geman_mcclure": _helper,
    "kl_div": _kl_div_slopes,
    "itakura_saito": _itakura_saito_slopes,
    "normal_logcdf": lambda x: ((2 + _size(x)) * _ROOM,),
    "lgamma": _lgamma_slope,
    "digamma": _digamma_slope,
    "lgamma_difference": _lgamma_difference_slopes,
    "digamma_difference": _digamma_difference_slopes,
    "log_beta": _log_beta_slopes,
    "log_multiset": _log_multiset_slopes,
    "log_beta_excess": _log_beta_slopes,
    "negative_binomial": _negative_binomial_slopes,
    "tweedie": _tweedie_slopes,
    "poisson_peak": _poisson_peak_slope,
    "xlogy": _xlogy_slopes,
    "xlog1py": _xlog1py_slopes,
    "l2_normalize": _unit_slope,
    "guarded": lambda x, clipped: (1.0, 0.0),
    "ones_like": lambda x: (0.0,),
}
"""The largest magnitude of each derivative, and of what is computed on its way."""
