"""YAML text to nodes that know where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Union

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.reader import ReaderError

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.frontend.positions import content_start, locate, verbatim
from lossgen.ir.spec import Text

MAX_CHARACTERS = 100_000
"""How long a file may be."""

MAX_STRUCTURE = 3_000
"""How many line breaks, colons, commas and brackets a file may have: those of a hundred
losses, which the YAML parser takes a tenth of a second over."""

MAX_DEPTH = 32
"""How deeply lists and mappings may be nested."""

MAX_NODES = 10_000
"""How many nodes a document may have, aliases written out."""


class Kind(Enum):
    """What YAML takes a scalar for."""

    TEXT = "text"
    INTEGER = "whole number"
    FLOAT = "number"
    BOOLEAN = "truth value"
    NULL = "nothing"


@dataclass(frozen=True)
class Scalar:
    """A single value, as text.

    ``plain`` means without quotes; ``joined`` that YAML had split it at a comma.
    """

    text: Text
    kind: Kind
    plain: bool
    span: Span
    joined: bool = False


@dataclass(frozen=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    span: Span
    flow: bool


@dataclass(frozen=True)
class Mapping:
    """Keys with values. ``is_set`` where every key of a ``{...}`` stands alone."""

    entries: tuple[tuple[Scalar, Node], ...]
    span: Span
    is_set: bool

    @cached_property
    def index(self) -> dict[str, tuple[Scalar, Node]]:
        """Keys and values by the text of the key."""
        return {key.text.value: (key, value) for key, value in self.entries}


Node = Union[Scalar, Sequence, Mapping]


def read(source: SourceFile, report: Report) -> tuple[Node, ...]:
    """Read the documents of a file.

    Args:
        source: The file.
        report: Takes what is wrong with the YAML.

    Returns:
        A node for each document that could be read; a faulty one is left out.
    """
    if len(source.text) > MAX_CHARACTERS or _structure(source.text) > MAX_STRUCTURE:
        remedy = "spread the losses over several files"
        report.add("LG101", "the file is too large", Span(source, 0, 0), help=remedy)
        return ()
    found = Report()
    nodes = [
        node
        for start, end in _documents(source.text)
        for node in _read_document(source, start, end, found)
    ]
    if not nodes and not found.has_errors:
        found.add("LG108", "the file holds no spec", Span(source, 0, 0))
    report.extend(found)
    return tuple(nodes)


def document_starts(source: SourceFile) -> list[int]:
    """Where the documents of a file begin."""
    return [start for start, _ in _documents(source.text)]


def document_of(source: SourceFile, name: str) -> SourceFile | None:
    """The file with no document but the one of a loss, on the lines that it has."""
    for start, end in _documents(source.text):
        for node in _read_document(source, start, end, Report()):
            entry = node.index.get("name") if isinstance(node, Mapping) else None
            if entry and isinstance(entry[1], Scalar) and entry[1].text.value == name:
                before = "\n" * source.text.count("\n", 0, start)
                return SourceFile(source.path, before + source.text[start:end])
    return None


def _structure(text: str) -> int:
    # A document costs as much as a few keys.
    documents = len(_DOCUMENT.findall(text))
    return sum(text.count(char) for char in "\n\r:,[]{}") + 5 * documents


_DOCUMENT = re.compile(r"^---(?=\s|\Z)", re.M)
_PREAMBLE = re.compile(r"\ufeff?(?:[ \t]*(?:[#%].*)?(?:\r?\n|\Z))*\Z")
_OTHER_VERSION = re.compile(r"^%YAML[ \t]+(?!1\.2\b).*", re.M)


def _documents(text: str) -> Iterator[tuple[int, int]]:
    """Cut before each ``---``, so that a broken document does not take the next."""
    start = 1 if text.startswith("\ufeff") else 0
    cuts = [found.start() for found in _DOCUMENT.finditer(text)]
    if cuts and _PREAMBLE.match(text[start : cuts[0]]):
        cuts = cuts[1:]
    for cut in [*cuts, len(text)]:
        if cut > start:
            yield start, cut
            start = cut


def _read_document(
    source: SourceFile, start: int, end: int, report: Report
) -> Iterator[Node]:
    text = source.text[start:end]
    problem = _unfit(source, start, text)
    if problem:
        report.add("LG101", problem.message, problem.span, help=problem.help)
        return
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        for root in yaml.compose_all(text):
            node = _Converter(source, start, report).convert(root)
            yield _marked(node, start) if node.span.start >= node.span.end else node
    except MarkedYAMLError as error:
        _report_syntax(source, start, error, report)
    except ReaderError as error:
        where = start + error.position
        message = f"the character U+{ord(source.text[where]):04X} is not allowed"
        report.add("LG101", message, Span(source, where, where + 1))
    except (YAMLError, ValueError, OverflowError) as error:
        # ruamel lets chr() fail on an escape such as "\U00110000".
        report.add("LG101", f"not valid YAML: {error}", Span(source, start, start))
    except RecursionError:
        report.add("LG101", "nested too deeply", Span(source, start, start))
    except _UnreadableError as error:
        report.add("LG101", error.message, error.span, help=error.help)


def _marked(node: Node, start: int) -> Node:
    """An empty document, placed at its ``---``."""
    mark = _DOCUMENT.search(node.span.source.text, start)
    return replace(node, span=Span(node.span.source, *mark.span())) if mark else node


class _UnreadableError(Exception):
    def __init__(self, message: str, span: Span, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.span, self.help = message, span, help


def _unfit(source: SourceFile, start: int, text: str) -> _UnreadableError | None:
    """What the parser would take minutes over, or read by other rules."""
    version = _OTHER_VERSION.search(text)
    if version:
        span = Span(source, start + version.start(), start + version.end())
        return _UnreadableError("a spec is YAML 1.2", span, "remove the directive")
    depth = 0
    for found in re.finditer(r"[\[\]{}]", text):
        depth = max(0, depth + (1 if found[0] in "[{" else -1))
        if depth > MAX_DEPTH:
            place = start + found.start()
            return _UnreadableError("nested too deeply", Span(source, place, place + 1))
    return None


# Nodes ----------------------------------------------------------------------------

_KINDS = {
    "tag:yaml.org,2002:int": Kind.INTEGER,
    "tag:yaml.org,2002:float": Kind.FLOAT,
    "tag:yaml.org,2002:bool": Kind.BOOLEAN,
    "tag:yaml.org,2002:null": Kind.NULL,
}
_STANDARD = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|seq|map)\Z")


class _Converter:
    """Turns one document into nodes, within bounds."""

    def __init__(self, source: SourceFile, base: int, report: Report) -> None:
        self._source = source
        self._base = base
        self._report = report
        self._count = 0

    def convert(self, node: YamlNode, depth: int = 0) -> Node:
        start, end = self._place(node)
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            what = "nested too deeply" if depth > MAX_DEPTH else "too many values"
            raise _UnreadableError(what, Span(self._source, start, end))
        self._check_tag(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, SequenceNode):
            return self._sequence(node, depth + 1)
        assert isinstance(node, MappingNode)
        return self._mapping(node, depth + 1)

    def _place(self, node: YamlNode) -> tuple[int, int]:
        start: int = node.start_mark.index + self._base
        end: int = node.end_mark.index + self._base
        return start, end

    def _check_tag(self, node: YamlNode) -> None:
        start, _ = self._place(node)
        tag = re.compile(r"(?:&\S+\s+)?(!\S*)").match(self._source.text, start)
        if tag and not _STANDARD.match(str(node.tag)):
            self._report.add(
                "LG107",
                f"YAML reads `{tag[1]}` as a tag",
                Span(self._source, *tag.span(1)),
                help="put the value in quotes",
            )

    def _scalar(self, node: ScalarNode) -> Scalar:
        start, end = self._place(node)
        text = locate(self._source, start, node.style, node.value)
        # A value that is all tag has nothing else to point at.
        start = content_start(self._source, start) if node.value else start
        stop = start + len(self._source.text[start:end].rstrip())
        plain = not node.style
        kind = _KINDS.get(str(node.tag), Kind.TEXT)
        return Scalar(text, kind, plain, Span(self._source, start, stop))

    def _sequence(self, node: SequenceNode, depth: int) -> Sequence:
        items = [self.convert(child, depth) for child in node.value]
        if node.flow_style:
            items = self._rejoin_items(items)
        span = self._span(node, items[-1] if items else None)
        return Sequence(tuple(items), span, bool(node.flow_style))

    def _mapping(self, node: MappingNode, depth: int) -> Mapping:
        entries: list[tuple[Scalar, Node]] = []
        bare: list[bool] = []
        for key_node, value_node in node.value:
            key = self.convert(key_node, depth)
            value = self.convert(value_node, depth)
            if not isinstance(key, Scalar):
                self._report.add("LG105", "a key must be a single word", key.span)
                continue
            alone = bool(node.flow_style) and value.span.end <= key.span.end
            if isinstance(value, Scalar) and value.span.start == value.span.end:
                value = Scalar(value.text, value.kind, value.plain, key.span)
            entries.append((key, value))
            bare.append(alone)
        is_set = bool(bare) and all(bare)
        if any(bare) and not is_set:
            entries = self._rejoin_entries(entries, bare)
        span = self._span(node, entries[-1][1] if entries else None)
        return Mapping(self._without_duplicates(entries), span, is_set)

    def _span(self, node: CollectionNode, last: Node | None) -> Span:
        start, end = self._place(node)
        start = content_start(self._source, start)
        # A block ends for YAML where the next one begins.
        if last and not node.flow_style and start < last.span.end <= end:
            end = last.span.end
        return Span(self._source, start, end)

    def _without_duplicates(
        self, entries: list[tuple[Scalar, Node]]
    ) -> tuple[tuple[Scalar, Node], ...]:
        kept: dict[str, tuple[Scalar, Node]] = {}
        for key, value in entries:
            name = key.text.value
            first = kept.setdefault(name, (key, value))[0]
            if first is not key:
                line = first.span.first[0]
                note = f"the first stands on line {line}"
                message = f"the key `{shorten(name)}` stands twice"
                self._report.add("LG102", message, key.span, notes=[note])
        return tuple(kept.values())

    # A comma inside parentheses ends a value in `{...}` and `[...]`. The pieces are
    # joined again, so that one fault gives one diagnostic.

    def _rejoin_items(self, items: list[Node]) -> list[Node]:
        joined: list[Node] = []
        for item in items:
            if joined and _is_open(joined[-1]) and isinstance(item, Scalar):
                item = self._join(joined.pop(), item)
            joined.append(item)
        return self._settle(joined)

    def _rejoin_entries(
        self, entries: list[tuple[Scalar, Node]], bare: list[bool]
    ) -> list[tuple[Scalar, Node]]:
        joined: list[tuple[Scalar, Node]] = []
        for (key, value), alone in zip(entries, bare, strict=True):
            if joined and alone and _is_open(joined[-1][1]):
                name, first = joined.pop()
                joined.append((name, self._join(first, key)))
            else:
                joined.append((key, value))
        values = self._settle([value for _, value in joined])
        return [(key, value) for (key, _), value in zip(joined, values, strict=True)]

    def _join(self, first: Node, last: Node) -> Scalar:
        start, end = first.span.start, last.span.end
        text = verbatim(self._source, start, end)
        return Scalar(text, Kind.TEXT, True, Span(self._source, start, end), True)

    def _settle(self, values: list[Node]) -> list[Node]:
        for value in values:
            if isinstance(value, Scalar) and value.joined:
                self._report.add(
                    "LG107",
                    "YAML splits this value at the comma",
                    value.span,
                    help=f'put it in quotes: "{shorten(value.text.value)}"',
                )
        return values


def _is_open(node: Node) -> bool:
    if not isinstance(node, Scalar) or not node.plain:
        return False
    return node.text.value.count("(") > node.text.value.count(")")


def shorten(text: str, limit: int = 60) -> str:
    """A text short enough to be quoted in a message."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


# Syntax errors --------------------------------------------------------------------

_HALF_OPEN = re.compile(r"\[[^][()\"'\n]*\)|\([^][()\"'\n]*\]")
_SECOND_COLON = re.compile(r"\s*(?:- )?[^\s:]+:\s+\S")
_WORD = re.compile(r"[^\s,}\]]*")
_QUOTE = "put the value in quotes"


def _report_syntax(
    source: SourceFile, base: int, error: MarkedYAMLError, report: Report
) -> None:
    mark = error.problem_mark or error.context_mark
    place = base + mark.index if mark else base
    begin = base + error.context_mark.index if error.context_mark else place
    fault = _meant(source, place, begin, error)
    if fault:
        report.add("LG107", fault[0], fault[1], help=fault[2])
        return
    message, remedy = _plain_words(error)
    if message.endswith("is not closed"):
        place = min(begin, len(source.text[:place].rstrip()) - 1)
    report.add("LG101", message, Span(source, place, place + 1), help=remedy)


def _meant(
    source: SourceFile, place: int, begin: int, error: MarkedYAMLError
) -> tuple[str, Span, str] | None:
    """What was meant, where YAML gives a character a meaning of its own."""
    problem, context = error.problem or "", error.context or ""
    rest = _rest_of_line(source, begin)
    if "flow" in context:
        return _half_open(source, {begin, place})
    if "undefined alias" in problem or "scanning an alias" in context:
        word = _WORD.match(source.text, begin)
        span = Span(source, begin, word.end() if word else begin + 1)
        name = source.text[span.start : span.end]
        return f"YAML reads `{shorten(name)}` as an alias", span, _QUOTE
    if "block scalar" in context and source.text[begin : begin + 1] in ("|", ">"):
        sign = source.text[begin]
        way = "write `abs(...)`" if sign == "|" else "name the left side: `alpha > 0`"
        return f"YAML reads `{sign}` as the start of a text block", rest, way
    if "scanning a tag" in context or "scanning an anchor" in context:
        return f"YAML gives `{source.text[begin]}` a meaning of its own", rest, _QUOTE
    if "sequence entries are not allowed" in problem:
        return "YAML reads `- ` as a list entry", _rest_of_line(source, place), _QUOTE
    return _misplaced(source, place, problem)


def _misplaced(
    source: SourceFile, place: int, problem: str
) -> tuple[str, Span, str] | None:
    character = source.text[place : place + 1]
    if "cannot start any token" in problem and character != "\t":
        message = f"a value without quotes cannot start with `{character}`"
        return message, Span(source, place, place + 1), _QUOTE
    line = source.text[source.text.rfind("\n", 0, place) + 1 : place]
    if "mapping values are not allowed" in problem and _SECOND_COLON.match(line):
        span = Span(source, place, place + 1)
        return "YAML reads the second colon as the end of a key", span, _QUOTE
    return None


def _half_open(source: SourceFile, places: set[int]) -> tuple[str, Span, str] | None:
    for place in sorted(places):
        start = source.text.rfind("\n", 0, place) + 1
        end = _rest_of_line(source, place).end
        found = _HALF_OPEN.search(source.text, start, end)
        if found:
            message = f"YAML reads `{found[0][0]}` as the start of a list"
            if found[0][0] == "(":
                message = "YAML reads `]` as the end of a list"
            remedy = f'put the interval in quotes: "{shorten(found[0])}"'
            return message, Span(source, *found.span()), remedy
    return None


def _rest_of_line(source: SourceFile, place: int) -> Span:
    end = source.text.find("\n", place)
    end = len(source.text) if end < 0 else end
    return Span(source, place, max(place, len(source.text[:end].rstrip())))


def _plain_words(error: MarkedYAMLError) -> tuple[str, str | None]:
    problem = error.problem or "not valid YAML"
    if "'\\t'" in problem:
        return "a tab cannot indent", "use spaces"
    if "mapping values are not allowed" in problem:
        return "a key cannot stand here", "is the line indented too far?"
    if "unknown escape" in problem:
        return problem, "in double quotes a backslash starts an escape: use single ones"
    if "found unexpected end of stream" in problem and error.context:
        return "a quoted value is not closed", None
    if "<stream end>" in problem and "flow" in (error.context or ""):
        return "a bracket is not closed", None
    context = f"{error.context}: " if error.context else ""
    return f"{context}{problem}", None
