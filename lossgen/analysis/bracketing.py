"""Roots of functions that are known by their values, of several functions at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mpmath import mp

_BISECTIONS = 24
_SECANTS = 6
_FEW_DIGITS = 20  # where only the sign counts

_Brackets = tuple[list[Any], list[Any], list[Any]]
Values = Callable[[list[Any], int], list[Any]]
"""From a point in each row to the values there, None where there is none."""


def roots_along(
    grid: list[Any], rows: int, values: Values, digits: int
) -> Iterator[list[Any]]:
    """For each row a root between points of a grid, then a second one, and so on.

    Args:
        grid: Between which points a change of sign is looked for, in order.
        rows: The number of functions: one for each row of a sample.
        values: The functions.
        digits: To how many digits roots are computed.
    """
    for brackets in _brackets(grid, rows, values):
        yield _refined(_bisected(brackets, values), values, digits)


def _brackets(grid: list[Any], rows: int, values: Values) -> Iterator[_Brackets]:
    """Per row, two points between which the sign changes, and the sign at the first.

    First those of the first change in each row, then those of the second, …
    """
    table = [values([point] * rows, _FEW_DIGITS) for point in grid]
    changes = [
        [
            k
            for k in range(len(grid) - 1)
            if _changes_sign(table[k][row], table[k + 1][row])
        ]
        for row in range(rows)
    ]
    for count in range(max(map(len, changes))):
        starts = [found[count] if count < len(found) else None for found in changes]
        yield (
            [grid[start or 0] for start in starts],
            [grid[(start or 0) + 1] for start in starts],
            [
                None if start is None else table[start][row]
                for row, start in enumerate(starts)
            ],
        )


def _changes_sign(before: Any, after: Any) -> bool:
    return before is not None and after is not None and bool(before * after < 0)


def _bisected(brackets: _Brackets, values: Values) -> tuple[list[Any], list[Any]]:
    low, high, signs = brackets
    for _ in range(_BISECTIONS):
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        found = values(middle, _FEW_DIGITS)
        for row, sign in enumerate(signs):
            if sign is None or found[row] is None:
                continue
            if found[row] * sign > 0:
                low[row] = middle[row]
            else:
                high[row] = middle[row]
    return low, high


def _refined(
    bracket: tuple[list[Any], list[Any]], values: Values, digits: int
) -> list[Any]:
    """Secant steps from a narrow bracket, to full precision."""
    before, now = bracket
    with mp.workdps(digits):
        at_before = values(before, digits)
        for _ in range(_SECANTS):
            at_now = values(now, digits)
            step = [
                b if None in (fa, fb) or fb == fa else b - fb * (b - a) / (fb - fa)
                for a, b, fa, fb in zip(before, now, at_before, at_now, strict=True)
            ]
            before, at_before, now = now, at_now, step
    return now
