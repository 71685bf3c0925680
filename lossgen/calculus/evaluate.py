"""Evaluates formulas on tensors at arbitrary precision."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.calculus import jets
from lossgen.calculus.arrays import (
    Array,
    along_rows,
    are_numbers,
    each,
    element_array,
    mapped,
    masked,
    object_array,
)
from lossgen.calculus.derivatives import SMOOTH, OutOfDomainError, TooLargeError
from lossgen.calculus.jets import (
    EXACT,
    MAX_ORDER,
    Element,
    Jet,
    Ties,
)
from lossgen.calculus.steps import is_counted, spend
from lossgen.ir.expr import Apply, Constant, Expr, Number, Symbol, walk
from lossgen.ir.functions import CONDITIONS, FUNCTIONS, Kind

Environment = Mapping[str, Any]
Rounding = Callable[[str, Element], Element]
"""From the operation and its exact result to the result that counts."""


class Undefined(ArithmeticError):  # noqa: N818 (a finding, not a fault)
    """A formula has no value: ``node`` was applied to ``arguments`` outside its domain.

    ``overflow`` marks a value that exists but is too large to be written down.
    """

    def __init__(
        self, node: Apply, arguments: tuple[Element, ...], overflow: bool = False
    ) -> None:
        """Keep what was applied to what."""
        self.node, self.arguments, self.overflow = node, arguments, overflow
        shown = ", ".join(_show(item) for item in arguments)
        super().__init__(f"{node.op}({shown})")


class UndecidedError(ArithmeticError):
    """A comparison of germs depends on derivatives beyond their order."""


def evaluate(
    expr: Expr,
    environment: Environment,
    *,
    mask: Array | None = None,
    digits: int = 50,
    ties: Ties = EXACT,
    rounding: Rounding | None = None,
) -> Array:
    """The value of an expression.

    Args:
        expr: The expression.
        environment: Symbol name → number or array of numbers or jets, shaped
            ``(batch, *spatial, last)``; missing leading axes have length 1.
        mask: Where false, an element takes part in nothing. Shaped like y_true.
        digits: Decimal digits to work with.
        ties: When germs count as equal, by default where all coefficients are.
        rounding: What to make of the result of each operation, by default nothing.

    Returns:
        An object array; bool for a condition. Masked elements are None (or False).
        Collapsed axes have length 1.

    Raises:
        Undefined: If an element of the result has no value. Branches that ``where``
            does not take, and the second argument of ``xlogy(0, v)``, do not count.
        UndecidedError: If the ties are ``decisive``, and a condition compares germs
            that agree as far as they are known.
    """
    with mp.workdps(digits):
        result = Evaluation(environment, mask, ties, rounding).value(expr)
    for item in result.flat:
        if isinstance(item, Undefined):
            raise item
    if isinstance(expr, Apply) and expr.op in CONDITIONS:
        return np.asarray(np.equal(result, True), dtype=bool)
    return result


def germ(
    expr: Expr,
    environment: Environment,
    direction: Mapping[str, Any],
    *,
    order: int = 1,
    mask: Array | None = None,
    digits: int = 50,
    ties: Ties = EXACT,
    rounding: Rounding | None = None,
) -> tuple[Array, ...]:
    """Value and derivatives of ``expr`` along a ray, seen from its start.

    Args:
        expr: The expression.
        environment: The start of the ray, as for `evaluate`.
        direction: Symbol name → direction, broadcast to the symbol's array. The
            negative of a direction looks at the other side.
        order: The highest derivative, at most `MAX_ORDER`.
        mask: As for `evaluate`.
        digits: As for `evaluate`.
        ties: As for `evaluate`.
        rounding: As for `evaluate`.

    Returns:
        The arrays of value, first derivative, … with respect to the ray's parameter at
        0+. Masked elements are None.

    Raises:
        Undefined: If a value or a derivative does not exist.
        UndecidedError: As for `evaluate`.
    """
    moving = dict(environment)
    with mp.workdps(digits):
        for name, slope in direction.items():
            moving[name] = ray(environment[name], slope, order)
    result = evaluate(
        expr, moving, mask=mask, digits=digits, ties=ties, rounding=rounding
    )
    with mp.workdps(digits):
        return tuple(
            mapped(lambda item, k=k: _derivative(item, k, order), result)
            for k in range(order + 1)
        )


class Evaluation:
    """Expressions evaluated on one environment; shared subexpressions are met once.

    Works at the precision of mpmath's context. An element without a value is an
    `Undefined`, a masked one None; both travel through the operations.
    """

    def __init__(
        self,
        environment: Environment,
        mask: Array | None = None,
        ties: Ties = EXACT,
        rounding: Rounding | None = None,
    ) -> None:
        """Prepare the inputs."""
        arrays = {name: element_array(value) for name, value in environment.items()}
        if mask is not None:
            arrays = {name: masked(value, mask) for name, value in arrays.items()}
        self._arrays = arrays
        self.rank = max((item.ndim for item in arrays.values()), default=0)
        self._ties, self._rounding = ties, rounding
        self._known: dict[Expr, Array] = {}
        self._numbers: dict[Expr, bool] = {}

    def value(self, expr: Expr) -> Array:
        """The array of elements of an expression."""
        found = self._known.get(expr)
        if found is not None:
            return found
        for node in walk(expr):
            if node not in self._known:
                self._known[node] = self._rounded(node, self._visit(node))
        return self._known[expr]

    def are_numbers(self, *exprs: Expr) -> bool:
        """Whether all elements of expressions are numbers."""
        for expr in exprs:
            if expr not in self._numbers:
                self._numbers[expr] = are_numbers(self.value(expr))
            if not self._numbers[expr]:
                return False
        return True

    def _rounded(self, node: Expr, result: Array) -> Array:
        rounding = self._rounding
        if rounding is None or not isinstance(node, Apply) or node.op in CONDITIONS:
            return result
        if are_numbers(result):
            return mapped(partial(rounding, node.op), result)
        return mapped(
            lambda item: (
                item
                if item is None or isinstance(item, Undefined)
                else rounding(node.op, item)
            ),
            result,
        )

    def _visit(self, node: Expr) -> Array:
        if isinstance(node, Number):
            return element_array(node.value)
        if isinstance(node, Constant):
            return element_array(mp.pi if node.name == "pi" else mp.e)
        if isinstance(node, Symbol):
            return self._arrays[node.name]
        if node.op == "lowest":
            return element_array(_LOWEST)
        arguments = [self._known[arg] for arg in node.args]
        if is_counted():
            spend(_cost(node, arguments))
        if node.op == "where":
            return mapped(_choose, *arguments)
        if node.op in ("and", "or"):
            return mapped(_all_of if node.op == "and" else _any_of, *arguments)
        if node.axis is not None:
            return self._along(node, arguments[0])
        if self.are_numbers(*node.args):
            try:
                return mapped(self._of_numbers(node), *arguments)
            except (OutOfDomainError, ZeroDivisionError):
                pass  # at some of them, maybe not at all
        return mapped(self.elementwise(node), *arguments)

    def _of_numbers(self, node: Apply) -> Callable[..., Element]:
        """An operation as a function of numbers, which raises outside of its domain."""
        if node.op in SMOOTH:
            derivatives = SMOOTH[node.op]
            return lambda number: next(derivatives(number))
        if node.op in _OPERATORS and len(node.args) == 2:
            return _OPERATORS[node.op]
        function, ties = self._operation(node.op), self._ties
        return lambda *numbers: function(numbers, ties)

    def _operation(self, op: str) -> _Operation:
        if self._rounding is not None and op in ("add", "mul"):
            return _one_by_one(op, self._rounding)
        return _ELEMENTWISE[op]

    def elementwise(self, node: Apply) -> Callable[..., Element]:
        """An operation as a function of elements."""
        function, ties = self._operation(node.op), self._ties

        def guarded(*elements: Element) -> Element:
            for item in elements:
                if item is None or isinstance(item, Undefined):
                    return item
            try:
                return function(elements, ties)
            except OutOfDomainError as fault:
                return _undefined(node, elements, fault)

        return guarded

    def _along(self, node: Apply, array: Array) -> Array:
        assert node.axis is not None
        rows, back = along_rows(array, node.axis, self.rank)
        *outer, length = rows.shape
        found = [
            item
            for row in rows.reshape(-1, length).tolist()
            for item in self._row(node, row)
        ]
        return back(
            object_array(found, (*outer, 1 if node.op in _COLLAPSE else length))
        )

    def _row(self, node: Apply, row: list[Element]) -> list[Element]:
        collapse = node.op in _COLLAPSE
        kept = [item for item in row if item is not None]
        fault = next((item for item in kept if isinstance(item, Undefined)), None)
        if not kept:
            return [None] if collapse else row
        if collapse:
            function = _COLLAPSE[node.op]
            value = fault or _attempt(node, kept, lambda: function(kept, self._ties))
            return self._accumulated(node.op, kept, [value])
        spread = _ALONG[node.op]
        outcome = fault or _attempt(node, kept, lambda: spread(kept, self._ties))
        if isinstance(outcome, Undefined):
            outcome = [outcome] * len(kept)
        values = iter(self._accumulated(node.op, kept, outcome))
        return [None if item is None else next(values) for item in row]

    def _accumulated(
        self, op: str, row: list[Element], results: list[Element]
    ) -> list[Element]:
        """Results with the error of sums inside: of a long row, and of a logarithm."""
        if self._rounding is None or (len(row) <= LONG and op not in _LOGARITHMS):
            return results
        if not all(isinstance(item, mpf) for item in (*row, *results)):
            return results
        if len(row) <= LONG:
            # The logarithm of a sum, which is 1 or more, is added to the largest term.
            tops = [max(row)] if op == "logsumexp" else accumulate(row, max)
            least = mpf(op == "logsumexp")
            error = self._rounding("add", mpf(1)) - 1
            return [
                item + error * (least + abs(item - top))
                for item, top in zip(results, tops, strict=True)
            ]
        error = accumulated(mpf(1), len(row), self._rounding)
        if op in ("sum", "mean"):
            size = mp.fsum(row, absolute=True) / (len(row) if op == "mean" else 1)
            return [item + error * size for item in results]
        if op == "cumsum":
            sizes = _cumsum([abs(item) for item in row], self._ties)
            return [
                item + error * size for item, size in zip(results, sizes, strict=True)
            ]
        if op in ("logsumexp", "logcumsumexp", "log_softmax", "log1m_softmax"):
            return each(lambda item: item + error, results)
        if op in ("softmax", "norm", "l2_normalize"):
            return each(lambda item: item * (1 + error), results)
        return results


_LOWEST = -(2 - mpf(2) ** -23) * mpf(2) ** 127
"""What float32 has; its exponential is 0 beside that of any input."""

LONG = 16
"""The length from which the error of summing a row one by one is counted."""

_SHARE = 8

_LOGARITHMS = ("logsumexp", "logcumsumexp")
"""Their two last terms may cancel, whatever the length of the row."""


def accumulated(size: Any, count: int, rounding: Rounding) -> Any:
    """An error of summing ``count`` terms whose magnitudes add up to ``size``.

    It is a share of the bound ``count*u*size`` (Higham 2002, Accuracy and Stability of
    Numerical Algorithms, section 4.2), which equal terms come close to.
    """
    reach = size * count / _SHARE
    return rounding("add", reach) - reach


_WEIGHTS = {"lgamma": 40, "digamma": 40, "i0e": 80, "i1e": 80, "normal_logcdf": 10}
_DIGITS_OF_A_STEP = 50


def _cost(node: Apply, arguments: list[Array]) -> int:
    """Steps for an operation: more for many digits, as for special functions."""
    elements = max(map(_size, arguments), default=1) * max(1, len(arguments) // 2)
    weight = 1 if node.op in _CHEAP else _WEIGHTS.get(node.op, 4)
    return elements * weight * (1 + int(mp.dps) // _DIGITS_OF_A_STEP)


def _size(array: Array) -> int:
    """The number of elements, with the coefficients of germs."""
    first = array.flat[0] if array.size else None
    order = len(first.coefficients) if isinstance(first, Jet) else 1
    return int(array.size) * order


_CHEAP = frozenset({"add", "neg", "mul", "div", "where", "and", "or", "not"})

# Elementwise operations: (elements, ties) → element ------------------------------

_Operation = Callable[[Sequence[Element], Ties], Element]


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "mul": operator.mul,
    "div": operator.truediv,
}


def _fold(function: Callable[[Element, Element], Element]) -> _Operation:
    def folded(elements: Sequence[Element], ties: Ties) -> Element:
        result = elements[0]
        for item in elements[1:]:
            result = function(result, item)
        return result

    return folded


def _one_by_one(op: str, rounding: Rounding) -> _Operation:
    """A sum or product whose partial results are rounded; the last one is not."""
    operation = jets.add if op == "add" else jets.mul

    def folded(elements: Sequence[Element], ties: Ties) -> Element:
        result = elements[0]
        for index, item in enumerate(elements[1:]):
            result = operation(rounding(op, result) if index else result, item)
        return result

    return folded


def _plain(function: Callable[..., Element]) -> _Operation:
    return lambda elements, ties: function(*elements)


def _smooth(op: str) -> _Operation:
    return lambda elements, ties: jets.smooth(op, elements[0])


def _compared(test: Callable[[int], bool]) -> _Operation:
    def compared(elements: Sequence[Element], ties: Ties) -> Element:
        sign = jets.compare(elements[0], elements[1], ties)
        # Formulas that meet to this order may take either's derivatives; branches not.
        if not sign and ties.decisive and jets.order_of(*elements):
            raise UndecidedError
        return test(sign)

    return compared


def _clip(elements: Sequence[Element], ties: Ties) -> Element:
    value, low, high = elements
    return jets.smallest([jets.largest([value, low], ties), high], ties)


_ELEMENTWISE: dict[str, _Operation] = {
    "add": _fold(jets.add),
    "neg": _plain(jets.neg),
    "mul": _fold(jets.mul),
    "div": _plain(jets.div),
    "pow": _plain(jets.power),
    "trigamma": _smooth("trigamma"),
    **{
        op: _smooth(op)
        for op, row in FUNCTIONS.items()
        if row.kind is Kind.SMOOTH
        and op not in ("logaddexp", "xlogy", "xlog1py", "i0e", "stop_gradient")
    },
    **{
        op: _smooth(op)
        for op in ("log1p_square", "log1pmx", "expm1mx", "geman_mcclure")
    },
    "with_slopes": lambda elements, ties: elements[0],
    "exp_tilted": _plain(jets.exp_tilted),
    "powm1": _plain(jets.powm1),
    "pow1pm1": _plain(jets.pow1pm1),
    "log_difference": _plain(jets.log_difference),
    "log1p_difference": _plain(jets.log1p_difference),
    "kl_div": _plain(jets.kl_div),
    "itakura_saito": _plain(jets.itakura_saito),
    "lgamma_difference": _plain(jets.lgamma_difference),
    "digamma_difference": _plain(jets.digamma_difference),
    "log_beta": _plain(jets.log_beta),
    "log_multiset": _plain(jets.log_multiset),
    "poisson_peak": _plain(jets.poisson_peak),
    "log_beta_excess": _plain(jets.log_beta_excess),
    "negative_binomial": _plain(jets.negative_binomial),
    "tweedie": _plain(jets.tweedie),
    "log_i0e": lambda elements, ties: jets.log_i0e(elements[0], ties),
    "log_i0": lambda elements, ties: jets.log_i0(elements[0], ties),
    "logaddexp": _plain(jets.logaddexp),
    "xlogy": _plain(jets.xlogy),
    "xlog1py": lambda elements, ties: jets.xlogy(elements[0], elements[1], "log1p"),
    "i0e": lambda elements, ties: jets.even_bessel(elements[0], ties),
    "i1e": lambda elements, ties: jets.odd_bessel(elements[0], ties),
    "stop_gradient": _plain(jets.stop),
    "ones_like": lambda elements, ties: mpf(1),
    "abs": lambda elements, ties: jets.absolute(elements[0], ties),
    "max": jets.largest,
    "min": jets.smallest,
    "relu": lambda elements, ties: jets.largest([mpf(0), elements[0]], ties),
    "clip": _clip,
    "sign": lambda elements, ties: mpf(jets.compare(elements[0], mpf(0), ties)),
    "floor": lambda elements, ties: mp.floor(jets.constant_term(elements[0])),
    "is_finite": lambda elements, ties: bool(
        mp.isfinite(jets.constant_term(elements[0]))
    ),
    "lt": _compared(lambda sign: sign < 0),
    "le": _compared(lambda sign: sign <= 0),
    "gt": _compared(lambda sign: sign > 0),
    "ge": _compared(lambda sign: sign >= 0),
    "eq": _compared(lambda sign: sign == 0),
    "ne": _compared(lambda sign: sign != 0),
    "not": _plain(lambda condition: not condition),
}


def _choose(condition: Element, then: Element, otherwise: Element) -> Element:
    if condition is None or isinstance(condition, Undefined):
        return condition
    return then if condition else otherwise


def _all_of(*conditions: Element) -> Element:
    return next((item for item in conditions if item is not True), True)


def _any_of(*conditions: Element) -> Element:
    return next((item for item in conditions if item is not False), False)


# Operations along an axis -------------------------------------------------------------


def _sum(row: Sequence[Element], ties: Ties) -> Element:
    return _ELEMENTWISE["add"](row, ties)


def _mean(row: Sequence[Element], ties: Ties) -> Element:
    return jets.div(_sum(row, ties), mpf(len(row)))


def _peak(row: Sequence[Element]) -> Any:
    return max(jets.constant_term(item) for item in row)


def _shifted(row: Sequence[Element]) -> tuple[list[Element], Any]:
    """The exponentials of a row over that of its peak, and the peak."""
    peak = _peak(row)
    return each(lambda item: jets.smooth("exp", jets.sub(item, peak)), row), peak


def _logsumexp(row: Sequence[Element], ties: Ties) -> Element:
    shifted, peak = _shifted(row)
    return jets.add(jets.smooth("log", _sum(shifted, ties)), peak)


def _log_softmax(row: Sequence[Element], ties: Ties) -> list[Element]:
    total = _logsumexp(row, ties)
    return each(lambda item: jets.sub(item, total), row)


def _softmax(row: Sequence[Element], ties: Ties) -> list[Element]:
    shifted, _ = _shifted(row)
    total = _sum(shifted, ties)
    return each(lambda item: jets.div(item, total), shifted)


def _log1m_softmax(row: Sequence[Element], ties: Ties) -> list[Element]:
    total = _logsumexp(row, ties)
    rests = [[*row[:index], *row[index + 1 :]] for index in range(len(row))]
    return [jets.sub(_logsumexp(rest, ties), total) for rest in rests]


def _l2_normalize(row: Sequence[Element], ties: Ties) -> list[Element]:
    length = jets.norm(row, ties)
    return each(lambda item: jets.div(item, length), row)


def _cumsum(row: Sequence[Element], ties: Ties) -> list[Element]:
    sums = [row[0]]
    for item in row[1:]:
        sums.append(jets.add(sums[-1], item))
    return sums


def _logcumsumexp(row: Sequence[Element], ties: Ties) -> list[Element]:
    sums = [row[0]]
    for item in row[1:]:
        sums.append(jets.logaddexp(sums[-1], item))
    return sums


_COLLAPSE: dict[str, _Operation] = {
    "sum": _sum,
    "mean": _mean,
    "amax": jets.largest,
    "amin": jets.smallest,
    "logsumexp": _logsumexp,
    "norm": jets.norm,
}

_ALONG: dict[str, Callable[[Sequence[Element], Any], list[Element]]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "log1m_softmax": _log1m_softmax,
    "l2_normalize": _l2_normalize,
    "cumsum": _cumsum,
    "logcumsumexp": _logcumsumexp,
}

COVERED = frozenset(
    {*_ELEMENTWISE, *_COLLAPSE, *_ALONG, "where", "and", "or"},
)
"""The operations that can be evaluated: all of the function table, and of rewriting."""


# Results ------------------------------------------------------------------------------


def _attempt(
    node: Apply, elements: Sequence[Element], compute: Callable[[], Any]
) -> Any:
    try:
        return compute()
    except OutOfDomainError as fault:
        return _undefined(node, elements, fault)


def _undefined(
    node: Apply, elements: Sequence[Element], fault: OutOfDomainError
) -> Undefined:
    return Undefined(node, tuple(elements), isinstance(fault, TooLargeError))


def ray(start: Any, slope: Any, order: int) -> Array:
    """The elements of an array as germs that move along a direction.

    Raises:
        ValueError: If the order is not one that germs have.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order {order} is not between 1 and {MAX_ORDER}")
    array = element_array(start)
    slopes = np.broadcast_to(element_array(slope), array.shape)
    rest = [mpf(0)] * (order - 1)
    return mapped(lambda item, d: Jet((item, d, *rest)) if d else item, array, slopes)


def _derivative(element: Element, k: int, order: int) -> Element:
    if element is None or isinstance(element, bool):
        return element
    return jets.coefficients(element, order)[k] * mp.factorial(k)


def _show(element: Element) -> str:
    return str(mp.nstr(jets.constant_term(element), 6))
