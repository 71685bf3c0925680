"""Object arrays of numbers at high precision or jets; masked elements are None."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import repeat
from math import prod
from typing import Any

import numpy as np
from mpmath import mp, mpf

from lossgen.calculus.jets import Element, Jet
from lossgen.ir.expr import Axis

Array = np.ndarray[Any, Any]


def along_rows(
    array: Array, axis: Axis, rank: int
) -> tuple[Array, Callable[[Array], Array]]:
    """An array with what an axis covers in its last axis, and the way back.

    Args:
        array: Of any rank up to ``rank``; missing leading axes have length 1.
        axis: What is to become one row.
        rank: That of the largest array in the evaluation.

    Returns:
        The rows, and a function that takes rows, or one element for each row, back to
        the axes of the array.
    """
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    axes = _axes(axis, rank)
    target = tuple(range(rank - len(axes), rank))
    moved = array if axes == target else np.moveaxis(array, axes, target)
    outer, covered = moved.shape[: rank - len(axes)], moved.shape[rank - len(axes) :]

    def back(rows: Array) -> Array:
        shape = covered if rows.shape[-1] == prod(covered) else (1,) * len(axes)
        found = rows.reshape((*outer, *shape))
        return found if axes == target else np.moveaxis(found, target, axes)

    return moved.reshape((*outer, -1)), back


def _axes(axis: Axis, rank: int) -> tuple[int, ...]:
    if axis is Axis.LAST:
        return (rank - 1,) if rank else ()
    if axis is Axis.SPATIAL:
        return tuple(range(1, rank - 1))
    if axis is Axis.SAMPLE:
        return tuple(range(1, rank))
    return (0,) if rank else ()


def each(function: Callable[..., Any], *rows: Iterable[Any]) -> list[Any]:
    """A function applied to the elements of rows that stand together.

    It is called once for elements that are the same objects: long rows often repeat.
    """
    for row in rows:
        if isinstance(row, list) and _all_different(row):
            return list(map(function, *rows))
    known: dict[Any, Any] = {}
    found = []
    for items in zip(*rows, strict=True):
        keys = tuple(map(id, items))
        if keys not in known:
            known[keys] = function(*items)
        found.append(known[keys])
    return found


def _all_different(row: list[Any]) -> bool:
    """Whether no object stands in a row twice."""
    return len(set(map(id, row))) == len(row)


def mapped(function: Callable[..., Element], *arrays: Array) -> Array:
    """The same for object arrays, once they are broadcast."""
    largest = arrays[0]
    for array in arrays:
        if array.size > largest.size:
            largest = array
    shape = largest.shape
    columns: list[Iterable[Any]] = []
    for array in arrays:
        if array.shape == shape:
            columns.append(array.ravel().tolist())
        elif array.size == 1 and array.ndim <= largest.ndim:
            columns.append(repeat(array.item(), largest.size))
        else:
            shape = np.broadcast_shapes(*(item.shape for item in arrays))
            return mapped(function, *(np.broadcast_to(item, shape) for item in arrays))
    return object_array(each(function, *columns), shape)


def are_numbers(array: Array) -> bool:
    """Whether all elements are numbers: no jet among them, none masked or undefined."""
    return set(map(type, array.ravel().tolist())) <= _NUMBERS


_NUMBERS = frozenset({mpf})


def object_array(items: Sequence[Any], shape: tuple[int, ...]) -> Array:
    """Elements, in order, as an array of a shape."""
    if len(items) == 1:
        array = np.empty(shape, dtype=object)
        array.fill(items[0])
        return array
    return np.fromiter(items, dtype=object, count=len(items)).reshape(shape)


def element_array(value: Any) -> Array:
    """An object array of mpf, jets and None."""
    if isinstance(value, Jet):
        return object_array([value], ())
    array = np.asarray(value)
    if array.dtype == object and all(
        isinstance(item, (mpf, Jet)) or item is None for item in array.flat
    ):
        return array
    items = array.ravel().tolist()
    known = {item: _number(item) for item in items}
    return object_array([known[item] for item in items], array.shape)


def _number(item: Any) -> Any:
    """A number at the working precision."""
    if isinstance(item, float):
        return _exactly(item)
    if isinstance(item, Fraction):
        return _quotient(item.numerator, item.denominator, mp.prec)
    return mp.mpmathify(item)


@lru_cache(maxsize=2**14)
def _exactly(item: float) -> Any:
    """A float, which fits into any precision; samples are evaluated again and again."""
    return mp.mpmathify(item)


@lru_cache(maxsize=2**14)
def _quotient(top: int, bottom: int, _precision: int) -> Any:
    """A rational number."""
    return mpf(top) / bottom


def masked(array: Array, mask: Array) -> Array:
    """The array with None where nothing is kept; scalars are never masked."""
    if array.ndim == 0:
        return array
    if array.shape[-1] == 1 and mask.shape[-1] != 1:
        mask = np.asarray(mask.any(axis=-1, keepdims=True))
    shape = np.broadcast_shapes(array.shape, mask.shape)
    result: Array = np.broadcast_to(array, shape).copy()
    result[~np.broadcast_to(mask, shape)] = None
    return result
