"""Diagnostics as text, as JSON and as GitHub annotations."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.diagnostics.source import Span

MAX_WIDTH = 100
"""How much of a source line is shown."""

_MAX_LINES = 6
_TAB = "    "
_LEAD = 20


def render_text(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """Diagnostics as a person reads them, each with its source and carets.

    Args:
        diagnostics: What to show, in order.
        color: Whether to colour the text with terminal escape sequences.

    Returns:
        The text, with a blank line between two diagnostics.
    """
    blocks = (_colored(item) if color else _block(item) for item in diagnostics)
    text = "\n\n".join(blocks)
    return f"{text}\n" if text else ""


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Workflow commands that annotate the lines of a pull request."""
    return "".join(f"{_command(item)}\n" for item in diagnostics)


def to_record(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic as data; positions count from 1, the end lies behind the span."""
    span = diagnostic.span
    line, column = span.first if span else (None, None)
    end_line, end_column = span.last if span else (None, None)
    return {
        "code": diagnostic.code.id,
        "name": diagnostic.code.name,
        "severity": diagnostic.severity.value,
        "file": diagnostic.file,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "message": diagnostic.message,
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
    }


def visible(text: str) -> str:
    """A text in one line in which nothing is hidden, safe for a terminal."""
    return "".join(_cell(char) if char != "\t" else " " for char in text)


_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_COMMANDS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "notice",
}


def _block(diagnostic: Diagnostic) -> str:
    lines = [
        f"{diagnostic.severity.value}[{diagnostic.code.id}]: "
        f"{visible(diagnostic.message)}"
    ]
    margin = ""
    span = diagnostic.span
    if span:
        margin = " " * len(str(_last_line(span)))
        line, column = span.first
        lines.append(f"{margin} --> {visible(span.source.path)}:{line}:{column}")
        lines.extend(_source_lines(span, len(margin)))
    elif diagnostic.path:
        lines.append(f"  --> {visible(diagnostic.path)}")
        margin = " "
    for note in diagnostic.notes:
        lines.append(f"{margin}  = {visible(note)}")
    if diagnostic.help:
        lines.append(f"{margin}  = help: {visible(diagnostic.help)}")
    return "\n".join(lines)


def _colored(diagnostic: Diagnostic) -> str:
    # For start-up time: most builds have nothing to colour.
    from rich.console import Console
    from rich.text import Text

    text = Text(_block(diagnostic))
    color = _COLORS[diagnostic.severity]
    text.highlight_regex(r"\A\w+\[LG\d+\]", f"bold {color}")
    text.highlight_regex(r"(?m)^ *(-->|(\d+ )?\|)", "blue")
    text.highlight_regex(r"(?m)(?<=[| ])\^+$", f"bold {color}")
    text.highlight_regex(r"(?m)^ *= help:", "bold green")
    console = Console(color_system="standard", force_terminal=True, no_color=False)
    with console.capture() as capture:
        console.print(text, soft_wrap=True, end="")
    return capture.get()


def _command(diagnostic: Diagnostic) -> str:
    command = _COMMANDS[diagnostic.severity]
    place: dict[str, object] = {}
    if diagnostic.file is not None:
        place["file"] = diagnostic.file
    if diagnostic.span:
        place["line"], place["col"] = diagnostic.span.first
    properties = ",".join(
        f"{key}={_escape(str(value), property=True)}" for key, value in place.items()
    )
    body = [f"{diagnostic.code.id}: {diagnostic.message}", *diagnostic.notes]
    if diagnostic.help:
        body.append(f"help: {diagnostic.help}")
    head = f"::{command} {properties}" if properties else f"::{command}"
    return f"{head}::{_escape(chr(10).join(body))}"


def _escape(text: str, *, property: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property else text


def _last_line(span: Span) -> int:
    """The last line of which the span covers something."""
    (first, _), (last, column) = span.first, span.last
    return last - 1 if column == 1 and last > first else last


def _source_lines(span: Span, width: int) -> Iterator[str]:
    blank = f" {'':{width}} |"
    yield blank
    first, last = span.first[0], _last_line(span)
    skipped = range(0)
    if last - first >= _MAX_LINES:
        skipped = range(first + _MAX_LINES // 2, last - _MAX_LINES // 2 + 1)
    for number in range(first, last + 1):
        if number in skipped:
            if number == skipped.start:
                yield f" {'...':>{width}}"
            continue
        source, carets = _marked(span, number)
        yield f" {number:>{width}} | {source}".rstrip()
        if carets:
            yield f"{blank} {carets}"


def _marked(span: Span, number: int) -> tuple[str, str]:
    """A line as it is shown, and the carets under it."""
    line = span.source.line(number)
    start, end = _columns(span, number, line)
    cells = [_cell(char) for char in line]
    low, high = _window(cells, start)
    before = "..." if low else ""
    after = "..." if high < len(cells) else ""
    shown = f"{before}{''.join(cells[low:high])}{after}"
    if start >= end and number != span.first[0]:
        return shown, ""
    indent = len(before) + sum(map(_width, cells[low:start]))
    length = sum(map(_width, cells[start : min(end, high)]))
    return shown, " " * indent + "^" * max(1, length)


def _columns(span: Span, number: int, line: str) -> tuple[int, int]:
    """The part of a line that the span covers, indentation left out."""
    (first, column), (last, end_column) = span.first, span.last
    indent = len(line) - len(line.lstrip())
    start = column - 1 if number == first else indent
    end = end_column - 1 if number == last else len(line)
    return min(start, len(line)), min(end, len(line))


def _window(cells: list[str], start: int) -> tuple[int, int]:
    """The part of a wide line to show: from a little before the carets."""
    if sum(map(_width, cells)) <= MAX_WIDTH:
        return 0, len(cells)
    low = max(0, start - _LEAD)
    high, width = low, 0
    while high < len(cells) and width + _width(cells[high]) <= MAX_WIDTH:
        width += _width(cells[high])
        high += 1
    return low, high


_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _cell(char: str) -> str:
    """What a terminal shows for a character; an escape sequence is shown, not run."""
    if char == "\t":
        return _TAB
    hidden = unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
    return "\ufffd" if hidden or char in _BIDIRECTIONAL else char


def _width(cell: str) -> int:
    return sum(
        0
        if unicodedata.combining(char)
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in cell
    )
