"""Black, with every choice that shapes the output fixed.

What a generated file is made of recurs in others: the helper functions, most methods
and most tests. So its functions and classes are formatted one by one, and each text
once a process; those that are known to be in shape never, see `known_texts`. Tables
come in their final layout, see `tables`, and are not formatted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import black
from black.mode import Mode, TargetVersion

from lossgen.backend.known_texts import is_known

_MODE = Mode(target_versions={TargetVersion.PY310}, line_length=88, preview=False)

BETWEEN_ELEMENTS = ",\n    "
"""What stands between elements of a list at the left margin, one to a line."""

_KEPT = 2**12  # of the texts that were formatted last
_STANDS_IN = "laid_out_{}_"
_TOP = re.compile(r"\n\n\n+(?=@|def |class )")
_METHOD = re.compile(r"\n\n(?=    @|    def )")
_CLASS = re.compile(r"(?:@.*\n)*class ")
_ANY_CLASS = "class _:\n"
_WHOLE = re.compile(r"# *fmt:|# *yapf:|\f|\r")  # what Black heeds beyond one piece


def format_source(source: str, laid_out: Sequence[str] = ()) -> str:
    """Format Python source, and verify that formatting did not change its meaning.

    Args:
        source: Any source.
        laid_out: Texts that stand in it as elements of lists, one to a line, or as
            several of them, and are as Black would lay them out there.

    Raises:
        ValueError: If the source does not parse, or formatting altered it: a fault of
            a template or of lossgen.
    """
    short, names = source, {}
    for number, text in enumerate(laid_out):
        name = _STANDS_IN.format(number)
        if name in source or _element(text) not in short:
            continue
        short = short.replace(_element(text), _element(name), 1)
        names[name] = text
    try:
        formatted = _formatted(short)
    except ValueError:
        return _formatted(source)  # which tells what is wrong with the source itself
    for name, text in names.items():
        if formatted.count(name) != 1 or _element(name) not in formatted:
            return _formatted(source)  # it stands elsewhere than in a list of its own
        formatted = formatted.replace(_element(name), _element(text))
    return formatted


def _element(text: str) -> str:
    """How an element of a list at the left margin is written."""
    return f"\n    {text},\n"


def _formatted(source: str) -> str:
    try:
        return _in_pieces(source) or _as_a_whole(source)
    except (SyntaxError, ValueError, AssertionError) as error:
        raise ValueError(f"the generated source is not valid: {error}") from error


def _as_a_whole(source: str) -> str:
    if is_known(source):
        return source
    ast.parse(source)
    formatted = black.format_str(source, mode=_MODE)
    if formatted != source:
        black.assert_equivalent(source, formatted)
    return formatted


# Pieces -------------------------------------------------------------------------------


def _in_pieces(source: str) -> str | None:
    """The same, piece by piece; None if the pieces cannot be told apart.

    Definitions at the left margin with two empty lines before them are independent of
    what stands before, and so are methods with one.
    """
    if _WHOLE.search(source):
        return None
    pieces = [_piece(item) for item in _TOP.split(source.rstrip("\n"))]
    if None in pieces:
        return None
    return "\n\n\n".join(item for item in pieces if item is not None) + "\n"


def parts(source: str) -> Iterator[str]:
    """The texts that Black is given one by one to format a source."""
    for piece in _TOP.split(source.rstrip("\n")):
        head, *methods = _METHOD.split(piece) if _CLASS.match(piece) else [piece]
        yield head + "\n"
        yield from (f"{_ANY_CLASS}{method}\n" for method in methods)


@lru_cache(maxsize=_KEPT)
def _piece(text: str) -> str | None:
    """A statement or several at the left margin, without the line end."""
    if not _can_stand_alone(text):
        return None
    if _CLASS.match(text):
        head, *methods = _METHOD.split(text)
        parts = [_plain(head), *map(_method, methods)] if methods else [None]
        if None not in parts:
            return "\n\n".join(item for item in parts if item is not None)
    return _as_a_whole(text + "\n").rstrip("\n")


def _can_stand_alone(text: str) -> bool:
    """Whether it parses, and Black sees no docstring in it that is none in context."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    last = body[-1] if body else None
    return last is not None and not (
        isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)
    )


@lru_cache(maxsize=_KEPT)
def _method(text: str) -> str | None:
    formatted = _plain(_ANY_CLASS + text)
    if formatted is None or not formatted.startswith(_ANY_CLASS):
        return None
    return formatted.removeprefix(_ANY_CLASS)


def _plain(text: str) -> str | None:
    return _as_a_whole(text + "\n").rstrip("\n") if _can_stand_alone(text) else None
