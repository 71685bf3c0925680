"""Numbers and nested lists of numbers as they stand in a test file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lossgen.ir.reference import Nested

REPEATED = "repeated"
"""The function of the test file that repeats a pattern up to a length."""

_LONG = 16  # the most elements that are listed one by one in any case
_PATTERNS = range(1, 9)
_TIMES = 3  # how often a pattern has to occur


def source(value: Nested) -> str:
    """A number with 12 digits, or nested lists of them; long rows by their patterns."""
    if isinstance(value, tuple):
        items = [source(item) for item in value]
        if len(items) > _LONG:
            items = list(_parts(items))
            if len(items) == 1:
                return items[0].lstrip("*")
        return "[" + ", ".join(items) + "]"
    if value != value:
        return 'float("nan")'
    if value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    short = f"{value:.12g}"
    return short if any(c in short for c in ".en") else f"{short}.0"


def _parts(items: Sequence[str]) -> Iterator[str]:
    """The elements, with a call in place of each stretch that repeats a pattern."""
    start = 0
    while start < len(items):
        ends = {size: _end(items, start, size) for size in _PATTERNS}
        size = max(ends, key=lambda size: (ends[size], -size))
        if ends[size] - start < _TIMES * size or ends[size] - start < _PATTERNS.stop:
            yield items[start]
            start += 1
            continue
        pattern = ", ".join(items[start : start + size])
        yield f"*{REPEATED}([{pattern}], {ends[size] - start})"
        start = ends[size]


def _end(items: Sequence[str], start: int, size: int) -> int:
    """Where the elements stop to repeat those ``size`` places before."""
    end = min(start + size, len(items))
    while end < len(items) and items[end] == items[end - size]:
        end += 1
    return end
