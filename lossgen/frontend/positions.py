"""Where each character of a YAML scalar stands in its file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lossgen.diagnostics.source import SourceFile
from lossgen.ir.spec import Text

_BREAK = "(?:\r\n|[\n\r\x85\u2028\u2029])"
_FOLD = rf"(?P<fold>[ \t]*{_BREAK}(?:[ \t]*{_BREAK})*[ \t]*)"
_CHAR = r"(?P<char>[\s\S])"

_TOKENS = {
    "plain": re.compile(rf"{_FOLD}|{_CHAR}"),
    "'": re.compile(rf"(?P<escape>'')|{_FOLD}|{_CHAR}"),
    '"': re.compile(
        rf"\\{_BREAK}(?P<joint>(?:[ \t]*{_BREAK})*)[ \t]*"
        r"|(?P<escape>\\(?:x[\s\S]{2}|u[\s\S]{4}|U[\s\S]{8}|[\s\S]))"
        rf"|{_FOLD}|{_CHAR}"
    ),
}
_LINE_BREAK = re.compile(_BREAK)
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_HEADER = re.compile(rf"[|>](?P<indicators>[-+0-9]*)[^\n\r]*{_BREAK}")
_LINE = re.compile(rf"(?P<content>[^\n\r\x85\u2028\u2029]*)(?P<end>{_BREAK}|\Z)")

_WIDEST_INDENT = 64

_Placed = tuple[str, int, int]
"""A character of the value, and where what stands for it begins and ends."""


def locate(source: SourceFile, start: int, style: str | None, value: str) -> Text:
    """Place the value of a scalar in the file.

    Args:
        source: The file.
        start: The offset at which the scalar begins, anchor and tag included.
        style: What YAML calls its style: a quote, ``|``, ``>``, or None for plain.
        value: What YAML read.

    Returns:
        The value with an offset for each character. An escape stands at its backslash,
        a fold at the line break that it replaces.
    """
    start = content_start(source, start)
    inside = start + (style in ("'", '"'))
    for placed in _readings(source.text, start, style, len(value)):
        if "".join(char for char, _, _ in placed) == value:
            end = placed[-1][2] if placed else inside
            offsets = (*(begin for _, begin, _ in placed), end)
            return Text(value, source, offsets)
    # Whatever YAML does beyond the rules above: the right neighbourhood is enough.
    limit = len(source.text)
    near = tuple(min(start + i, limit) for i in range(len(value) + 1))
    return Text(value, source, near)


def content_start(source: SourceFile, start: int) -> int:
    """The offset behind the anchor and the tag that may precede a node."""
    found = _PROPERTIES.match(source.text, start)
    return found.end() if found else start


def verbatim(source: SourceFile, start: int, end: int) -> Text:
    """A stretch of the file as it stands, with line breaks as spaces."""
    value = re.sub(r"[\n\r\t]", " ", source.text[start:end])
    return Text(value, source, tuple(range(start, end + 1)))


def _readings(
    text: str, start: int, style: str | None, length: int
) -> Iterator[list[_Placed]]:
    if style not in ("|", ">"):
        quoted = style in ("'", '"')
        tokens = _TOKENS[style if quoted and style else "plain"]
        yield _flow(text, start + quoted, tokens, length)
        return
    header = _HEADER.match(text, start)
    if header is None:
        return
    for indent in _indents(text, header):
        lines = _lines(text, header.end(), indent)
        placed = _folded(lines) if style == ">" else _literal(lines)
        yield placed[:length]


def _flow(text: str, start: int, tokens: re.Pattern[str], length: int) -> list[_Placed]:
    placed: list[_Placed] = []
    for token in tokens.finditer(text, start):
        if len(placed) >= length:
            break
        placed.extend(_token(token))
    return placed[:length]


def _token(token: re.Match[str]) -> list[_Placed]:
    begin, end = token.span()
    kind = token.lastgroup
    if kind == "char":
        return [(token[0], begin, end)]
    if kind == "escape":
        return [(_unescape(token[0]), begin, end)]
    if kind == "joint":
        return _breaks(token.string, *token.span("joint"))
    breaks = _breaks(token.string, begin, end)
    return breaks[1:] or [(" ", breaks[0][1], breaks[0][2])]


_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v",
    "f": "\f", "r": "\r", "e": "\x1b", "N": "\x85", "_": "\xa0", "L": "\u2028",
    "P": "\u2029",
}  # fmt: skip


def _unescape(escape: str) -> str:
    if escape == "''":
        return "'"
    if len(escape) > 2:
        return chr(int(escape[2:], 16))
    return _ESCAPES.get(escape[1], escape[1])


def _breaks(text: str, start: int, end: int) -> list[_Placed]:
    found = _LINE_BREAK.finditer(text, start, end)
    return [("\n", item.start(), item.end()) for item in found]


def _indents(text: str, header: re.Match[str]) -> Iterator[int]:
    # An explicit indentation counts from the parent's, which is not known here.
    if re.search("[0-9]", header["indicators"]):
        yield from range(_WIDEST_INDENT)
        return
    for line in _LINE.finditer(text, header.end()):
        content = line["content"]
        if content.strip(" ") or not line["end"]:
            yield len(content) - len(content.lstrip(" "))
            break
    # Where all lines are blank, none shows the indentation.
    yield _WIDEST_INDENT


_Line = tuple[list[_Placed], list[_Placed]]
"""The characters of a line of a block, and its line break."""


def _lines(text: str, start: int, indent: int) -> Iterator[_Line]:
    for line in _LINE.finditer(text, start):
        content = line["content"]
        margin = len(content) - len(content.lstrip(" "))
        if margin < min(indent, len(content)):
            return
        begin = line.start() + min(indent, margin)
        chars = [(text[i], i, i + 1) for i in range(begin, line.end("content"))]
        end = [("\n", *line.span("end"))] if line["end"] else []
        yield chars, end
        if not line["end"]:
            return


def _literal(lines: Iterator[_Line]) -> list[_Placed]:
    return [char for content, end in lines for char in (*content, *end)]


def _folded(lines: Iterator[_Line]) -> list[_Placed]:
    placed: list[_Placed] = []
    breaks: list[_Placed] = []
    before: list[_Placed] = []
    for content, end in lines:
        if content:
            placed += _join(breaks, before, content) if before else breaks
            placed += content
            breaks, before = [], content
        breaks += end
    return placed + breaks


def _join(
    breaks: list[_Placed], before: list[_Placed], after: list[_Placed]
) -> list[_Placed]:
    if before[0][0] in " \t" or after[0][0] in " \t":
        return breaks
    return breaks[1:] or [(" ", breaks[0][1], breaks[0][2])]
