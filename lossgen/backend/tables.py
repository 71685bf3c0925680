"""Numbers and nested lists of numbers as they stand in a test file.

Entries of tables are laid out here as Black lays them out, which takes Black longer
than all the rest of a test file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lossgen.ir.reference import Nested

REPEATED = "repeated"
"""The function of the test file that repeats a pattern up to a length."""

DIGITS = 12
SINGLE_DIGITS = 9  # which tell any two float32 numbers apart
ROUGH_DIGITS = 2

_LONG = 16  # the most elements that are listed one by one in any case
_PATTERNS = range(1, 9)
_TIMES = 3  # how often a pattern has to occur
_FEW = 2  # infinities in a row that are listed one by one
_INFINITE = float("inf")

_WIDTH = 88
_STEP = 4


@dataclass(frozen=True)
class Display:
    """A list, tuple or dictionary, or such a value of a dictionary, with its key.

    ``exploded`` gives each item a line of its own even where one would hold them all.
    """

    brackets: str
    items: tuple[Display | str, ...]
    exploded: bool = False
    key: str = ""

    def __str__(self) -> str:
        """All on one line."""
        comma = "," if self.exploded else ""  # which Black heeds
        items = ", ".join(map(str, self.items))
        return f"{self.opening}{items}{comma}{self.brackets[1]}"

    @property
    def opening(self) -> str:
        """What it begins with."""
        return self.key + self.brackets[0]


def source(value: Nested) -> str:
    """A number with 12 digits, or nested lists of them; long rows by their patterns."""
    return str(display(value))


def display(value: Nested, key: str = "", digits: int | None = DIGITS) -> Display | str:
    """The same, not yet laid out; ``key`` is what stands before it.

    Without ``digits`` there are as many as tell the number apart from any other.
    """
    if isinstance(value, tuple):
        if len(value) > _FEW and set(value) == {_INFINITE}:
            return f"{key}[{_number(_INFINITE, digits)}] * {len(value)}"
        items = [display(item, digits=digits) for item in value]
        if len(items) > _LONG:
            texts = list(_parts(list(map(str, items))))
            if len(texts) == 1:
                return key + texts[0].lstrip("*")
            if len(texts) < len(items):
                items = list(texts)
        return Display("[]", tuple(items), key=key)
    return key + _number(value, digits)


def _number(value: float, digits: int | None) -> str:
    if value != value:
        return 'float("nan")'
    if value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    text = repr(value) if digits is None else f"{value:.{digits}g}"
    short = text.replace("e+", "e")
    return short if any(c in short for c in ".en") else f"{short}.0"


def laid_out(item: Display) -> str | None:
    """An element of a list at the left margin, as Black lays it out.

    Returns:
        None if a part of it is too long for a line, and more than a list.
    """
    lines = list(_lines(item, _STEP, ","))
    fits = all(len(line) <= _WIDTH for line in lines)
    return "\n".join(lines).lstrip().removesuffix(",") if fits else None


def _lines(item: Display | str, indent: int, end: str) -> Iterator[str]:
    line = f"{' ' * indent}{item}{end}"
    if isinstance(item, str) or not (_is_exploded(item) or len(line) > _WIDTH):
        yield line
        return
    yield " " * indent + item.opening
    # An item that is alone gets no comma, but for one that was there.
    comma = "," if item.exploded or len(item.items) > 1 else ""
    for part in item.items:
        yield from _lines(part, indent + _STEP, comma)
    yield " " * indent + item.brackets[1] + end


def _is_exploded(item: Display) -> bool:
    return item.exploded or any(
        isinstance(part, Display) and _is_exploded(part) for part in item.items
    )


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
