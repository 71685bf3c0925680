"""Gradients of formulas in reverse mode, at arbitrary precision.

One sweep from the result to the inputs gives the derivatives by all of them, at a few
times the cost of the value (Griewank and Walther 2008, Evaluating Derivatives, ch. 3).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from mpmath import mp, mpf
from mpmath.libmp import fnone, fone

from lossgen.calculus import jets
from lossgen.calculus.arrays import Array, along_rows, are_numbers, each, mapped
from lossgen.calculus.derivatives import SMOOTH, OutOfDomainError, exponential
from lossgen.calculus.evaluate import (
    LONG,
    Environment,
    Evaluation,
    Rounding,
    Undefined,
    accumulated,
)
from lossgen.calculus.jets import Element, Jet
from lossgen.ir.expr import Apply, Axis, Expr, Symbol, walk
from lossgen.ir.functions import CONDITIONS

Seeds = Callable[[Array], Array]
"""From the elements of a value to the weight of each in what is differentiated."""


class TiedError(ArithmeticError):
    """A branch is on its edge: there are slopes from several sides; see `germ`.

    ``samples`` marks where along the first axis, and is of length 1 for all of it.
    """

    def __init__(self, samples: Array) -> None:
        """Keep where the edges are."""
        super().__init__(f"at {np.count_nonzero(samples)} of {samples.size} samples")
        self.samples = samples


def value_and_gradient(
    expr: Expr,
    environment: Environment,
    names: Iterable[str],
    seeds: Seeds,
    *,
    mask: Array | None = None,
    digits: int = 50,
    rounding: Rounding | None = None,
) -> tuple[Array, dict[str, Array]]:
    """The value of ``expr``, and the gradient of a weighted sum of its elements.

    Args:
        expr: The expression.
        environment: As for `evaluate`, without jets.
        names: The symbols to differentiate by.
        seeds: Gives the weights; None for an element that has no part in the sum.
        mask: As for `evaluate`.
        digits: Decimal digits to work with.
        rounding: What to make of the result of each operation of either sweep.

    Returns:
        The value as from `evaluate`, and by name the derivatives, 0 for what is masked.

    Raises:
        Undefined: If the value or a derivative does not exist.
        TiedError: If a condition, a maximum or the like that depends on the symbols is
            a tie.
    """
    names = tuple(names)
    with mp.workdps(digits):
        sweep = _Sweep(Evaluation(environment, mask, rounding=rounding), expr, names)
        value = sweep.value
        for item in value.flat:
            if isinstance(item, Undefined):
                raise item
        adjoints = sweep.backward(seeds(value), rounding or _exactly)
        return value, {
            name: _settled(adjoints.get(name), np.shape(environment[name]))
            for name in names
        }


def _settled(adjoint: Array | None, shape: tuple[int, ...]) -> Array:
    """An adjoint with 0 where nothing arrived."""
    if adjoint is not None and adjoint.shape == shape and are_numbers(adjoint):
        return np.array(adjoint)
    result: Array = np.empty(shape, dtype=object)
    result.reshape(-1)[:] = mpf(0)
    if adjoint is None:
        return result
    for index, item in np.ndenumerate(_gathered(adjoint, shape, _exactly)):
        if isinstance(item, Undefined):
            raise item
        if item is not None:
            result[index] = item
    return result


class _Sweep:
    """An expression evaluated forward, and its adjoints.

    An element of an adjoint is None where nothing flows, as into a branch that is not
    taken, and `Undefined` behind a derivative that does not exist.
    """

    def __init__(self, run: Evaluation, expr: Expr, names: tuple[str, ...]) -> None:
        self._run, self._expr = run, expr
        self.value = run.value(expr)
        self._moving: dict[Expr, None] = {}
        for node in walk(expr):
            moves = (isinstance(node, Symbol) and node.name in names) or (
                isinstance(node, Apply) and any(a in self._moving for a in node.args)
            )
            if moves:
                self._moving[node] = None

    def backward(self, seeds: Array, rounding: Rounding) -> dict[str, Array]:
        """The adjoints of the symbols, by name."""
        self._refuse_ties()
        adjoints: dict[Expr, Array] = {self._expr: seeds}
        found: dict[str, Array] = {}
        for node in reversed(self._moving):
            adjoint = adjoints.pop(node, None)
            if adjoint is None:
                continue
            if isinstance(node, Symbol):
                found[node.name] = adjoint
                continue
            assert isinstance(node, Apply)
            for arg, flow in self._pulled(node, adjoint, rounding):
                shape = self._run.value(arg).shape
                flow = _gathered(flow, shape, rounding)
                known = adjoints.get(arg)
                adjoints[arg] = (
                    flow
                    if known is None
                    else mapped(lambda a, b: _plus(a, b, rounding), known, flow)
                )
        return found

    def _refuse_ties(self) -> None:
        samples: Array = np.zeros(1, dtype=bool)
        for node in self._moving:
            if isinstance(node, Apply) and (node.op in _TIED or node.op in _TIED_ROWS):
                samples = samples | self._tied(node)
        if samples.any():
            raise TiedError(samples)

    def _tied(self, node: Apply) -> Array:
        """Where along the first axis an operation is on its edge."""
        arguments = [self._run.value(arg) for arg in node.args]
        if node.axis is None:
            test = _TIED[node.op]
            found = mapped(lambda *items: not _lacks(items) and test(items), *arguments)
            found = found.reshape((1,) * (self._run.rank - found.ndim) + found.shape)
        else:
            rows = along_rows(arguments[0], node.axis, self._run.rank)[0]
            test = _TIED_ROWS[node.op]
            edges = [test(_kept(rows[index])) for index in _outer(rows)]
            found = np.array(edges).reshape(rows.shape[:-1])
        if not found.ndim or node.axis is Axis.BATCH:
            return np.array([found.any()], dtype=bool)
        return np.asarray(found.astype(bool).reshape(len(found), -1).any(axis=1))

    def _pulled(
        self, node: Apply, adjoint: Array, rounding: Rounding
    ) -> list[tuple[Expr, Array]]:
        """What flows from a node into each argument that moves."""
        if node.op in CONDITIONS or node.op == "stop_gradient":
            return []
        if node.axis is not None:
            return [(node.args[0], self._along(node, adjoint, rounding))]
        moving = [k for k, arg in enumerate(node.args) if arg in self._moving]
        plain = are_numbers(adjoint) and self._run.are_numbers(*node.args)
        if plain and node.op == "add":
            return [(node.args[k], adjoint) for k in moving]
        arguments = [self._run.value(arg) for arg in node.args]
        pull = _PULLS.get(node.op)
        if pull is None or (node.op == "mul" and len(node.args) > 2):
            pull = _by_chain_rule(
                node, self._run, _SLOPES.get(node.op) if plain else None
            )

        def flow(k: int, weight: Element, *items: Element) -> Element:
            if weight is None or _lacks(items):
                return None
            if isinstance(weight, Undefined):
                return weight
            return pull(weight, items, k, rounding)

        def of_numbers(k: int, weight: Element, *items: Element) -> Element:
            return pull(weight, items, k, rounding)

        function = of_numbers if plain else flow
        return [
            (node.args[k], mapped(partial(function, k), adjoint, *arguments))
            for k in moving
        ]

    def _along(self, node: Apply, adjoint: Array, rounding: Rounding) -> Array:
        assert node.axis is not None
        rank = self._run.rank
        rows, back = along_rows(self._run.value(node.args[0]), node.axis, rank)
        outputs, _ = along_rows(self._run.value(node), node.axis, rank)
        weights, _ = along_rows(adjoint, node.axis, rank)
        flow = np.empty(rows.shape, dtype=object)
        for index in _outer(rows):
            kept = [k for k, item in enumerate(rows[index]) if item is not None]
            given = _kept(weights[index])
            if not kept or not given:
                continue
            fault = next((item for item in given if isinstance(item, Undefined)), None)
            if fault is not None:
                flow[index][kept] = fault
                continue
            row = [rows[index][k] for k in kept]
            if node.op in _COLLAPSED:
                pulled = _COLLAPSED[node.op](row, outputs[index][0], given[0])
            else:
                gains = [weights[index][k] for k in kept]
                gains = [mpf(0) if item is None else item for item in gains]
                results = [outputs[index][k] for k in kept]
                pulled = _SPREAD[node.op](row, results, gains, _totals(rounding))
            pulled = each(lambda item: rounding("mul", item), pulled)
            for k, item in zip(kept, pulled, strict=True):
                flow[index][k] = item
        return back(flow)


def _lacks(items: Sequence[Element]) -> bool:
    """Whether one is masked; ``None in items`` would compare numbers with None."""
    for item in items:  # noqa: SIM110 (half the time, and it is asked often)
        if item is None:
            return True
    return False


def _exactly(op: str, result: Element) -> Element:
    return result


# Elementwise operations ---------------------------------------------------------------

_Pull = Callable[[Any, Sequence[Element], int, Rounding], Any]
"""From adjoint, arguments and the number of one of them to what flows into it."""

_PULLS: dict[str, _Pull] = {
    "add": lambda weight, items, k, rounding: weight,
    "neg": lambda weight, items, k, rounding: -weight,
    "mul": lambda weight, items, k, rounding: _times(
        weight, items[1 - k], "mul", rounding
    ),
    "where": lambda weight, items, k, rounding: (
        weight if k == (1 if items[0] else 2) else None
    ),
    "with_slopes": lambda weight, items, k, rounding: (
        rounding("mul", weight * items[k + 1]) if k % 2 else None
    ),
}


def _by_chain_rule(node: Apply, run: Evaluation, slope: _Slope | None) -> _Pull:
    """The chain rule, with the partial derivative from a series of one term.

    Where all arguments are numbers ``slope`` gives it, if it is known, at less cost.
    """
    function = run.elementwise(node)

    def pull(weight: Any, items: Sequence[Element], k: int, rounding: Rounding) -> Any:
        if slope is not None:
            try:
                found = slope(items, k)
            except (OutOfDomainError, ZeroDivisionError):
                pass  # the series tells what is undefined
            else:
                return _times(weight, found, node.op, rounding)
        moved = [*items[:k], Jet((items[k], mpf(1))), *items[k + 1 :]]
        series = function(*moved)
        if isinstance(series, Undefined):
            return series
        return _times(weight, jets.coefficients(series, 1)[1], node.op, rounding)

    return pull


_Slope = Callable[[Sequence[Any], int], Any]
"""From arguments, which are numbers, to the partial derivative by one of them."""


def _slope_of_quotient(items: Sequence[Any], k: int) -> Any:
    top, bottom = items
    return -(top / bottom) / bottom if k else 1 / bottom


def _slope_of_smooth(op: str) -> _Slope:
    return lambda items, k: +next(islice(SMOOTH[op](items[0]), 1, None))


_SLOPES: dict[str, _Slope] = {
    "div": _slope_of_quotient,
    **{op: _slope_of_smooth(op) for op in SMOOTH},
}

_SIGNS = (fone, fnone)


def _times(weight: Any, slope: Any, op: str, rounding: Rounding) -> Any:
    """A weight times the slope of an operation, each rounded."""
    if slope._mpf_ in _SIGNS:
        return weight * slope
    return rounding("mul", weight * rounding(op, slope))


# Operations along an axis -------------------------------------------------------------

_Row = Sequence[Any]


_COLLAPSED: dict[str, Callable[[_Row, Any, Any], list[Any]]] = {
    "sum": lambda row, y, weight: [weight] * len(row),
    "mean": lambda row, y, weight: [weight / len(row)] * len(row),
    "amax": lambda row, y, weight: each(lambda x: weight * (x == y), row),
    "amin": lambda row, y, weight: each(lambda x: weight * (x == y), row),
    "logsumexp": lambda row, y, weight: each(
        # Rounding may have moved the sum below its largest term.
        lambda x: weight * exponential(min(x - y, mpf(0))),
        row,
    ),
    "norm": lambda row, y, weight: each(lambda x: weight * x / y, row),
}


_Total = Callable[[_Row], Any]


def _totals(rounding: Rounding) -> _Total:
    """Sums, with the error that summing a long row has."""

    def total(terms: _Row) -> Any:
        found = mp.fsum(terms)
        if len(terms) <= LONG:
            return found
        size = mp.fsum(terms, absolute=True)
        return found + accumulated(size, len(terms), rounding)

    return total


def _softmax(row: _Row, outputs: _Row, weights: _Row, total: _Total) -> list[Any]:
    mean = total(each(lambda p, w: p * w, outputs, weights))
    return each(lambda p, w: p * (w - mean), outputs, weights)


def _log_softmax(row: _Row, outputs: _Row, weights: _Row, total: _Total) -> list[Any]:
    whole = total(weights)
    return each(lambda y, w: w - exponential(y) * whole, outputs, weights)


def _log1m_softmax(row: _Row, outputs: _Row, weights: _Row, total: _Total) -> list[Any]:
    """With ``p`` the softmax, ``p_k*(sum over i != k of w_i*p_i/(1 - p_i) - w_k)``.

    Beside a peak the others may vanish; ``p_k/(1 - p_i)`` is a softmax without it.
    """
    peak = row.index(max(row))
    shifted = each(lambda item: exponential(item - row[peak]), row)
    whole = mp.fsum(shifted)
    parts = [
        mpf(0) if k == peak else w * item / (whole - item)
        for k, (item, w) in enumerate(zip(shifted, weights, strict=True))
    ]
    rest = [*row[:peak], *row[peak + 1 :]]
    top = max(rest)
    beside = mp.fsum(each(lambda item: exponential(item - top), rest))
    of_peak = weights[peak] * shifted[peak] / whole / beside
    result = []
    for k, item in enumerate(shifted):
        found = item / whole * (total([*parts[:k], *parts[k + 1 :]]) - weights[k])
        if k != peak:
            found += of_peak * exponential(row[k] - top)
        result.append(found)
    return result


def _l2_normalize(row: _Row, outputs: _Row, weights: _Row, total: _Total) -> list[Any]:
    length = mp.sqrt(mp.fdot(row, row))
    along = total(each(lambda y, w: y * w, outputs, weights))
    return each(lambda y, w: (w - y * along) / length, outputs, weights)


def _cumsum(row: _Row, outputs: _Row, weights: _Row, total: _Total) -> list[Any]:
    found = list(itertools.accumulate(reversed(weights)))
    return found[::-1]


def _logcumsumexp(row: _Row, outputs: _Row, weights: _Row, total: _Total) -> list[Any]:
    return [
        total(each(lambda y, w, x=x: w * exponential(x - y), outputs[k:], weights[k:]))
        for k, x in enumerate(row)
    ]


_SPREAD: dict[str, Callable[[_Row, _Row, _Row, _Total], list[Any]]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "log1m_softmax": _log1m_softmax,
    "l2_normalize": _l2_normalize,
    "cumsum": _cumsum,
    "logcumsumexp": _logcumsumexp,
}

# Ties ---------------------------------------------------------------------------------


def _equal(items: Sequence[Any]) -> bool:
    return bool(items[0] == items[1])


def _zero(items: Sequence[Any]) -> bool:
    return bool(items[0] == 0)


def _shared(choose: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], bool]:
    def test(items: Sequence[Any]) -> bool:
        numbers = [item for item in items if not isinstance(item, Undefined)]
        return len(numbers) > 1 and numbers.count(choose(numbers)) > 1

    return test


def _clipped(items: Sequence[Any]) -> bool:
    """Whether two arguments of ``min(max(value, low), high)`` tie where it decides."""
    value, low, high = items
    if any(isinstance(item, Undefined) for item in items):
        return False
    return bool(value == low or max(value, low) == high)


_TIED: dict[str, Callable[[Sequence[Any]], bool]] = {
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), _equal),
    **dict.fromkeys(("abs", "relu", "sign", "i0e", "log_i0e"), _zero),
    "max": _shared(max),
    "min": _shared(min),
    "clip": _clipped,
    "floor": lambda items: not isinstance(items[0], Undefined) and mp.isint(items[0]),
}

_TIED_ROWS: dict[str, Callable[[Sequence[Any]], bool]] = {
    "amax": _shared(max),
    "amin": _shared(min),
    "norm": lambda row: not any(row),
}

# Arrays of elements -----------------------------------------------------------------


def _outer(rows: Array) -> Iterable[tuple[int, ...]]:
    return np.ndindex(rows.shape[:-1])


def _kept(row: Array) -> list[Element]:
    return [item for item in row if item is not None]


def _plus(left: Element, right: Element, rounding: Rounding) -> Element:
    if left is None or isinstance(right, Undefined):
        return right
    if right is None or isinstance(left, Undefined):
        return left
    return rounding("add", left + right)


def _gathered(flow: Array, shape: tuple[int, ...], rounding: Rounding) -> Array:
    """What flows into an operand that was broadcast, summed over its copies."""
    if flow.shape == shape:
        return flow
    target = (1,) * (flow.ndim - len(shape)) + shape
    result = np.empty(target, dtype=object)
    for index, item in np.ndenumerate(flow):
        place = tuple(
            k if size > 1 else 0 for k, size in zip(index, target, strict=True)
        )
        result[place] = _plus(result[place], item, rounding)
    return result.reshape(shape)
