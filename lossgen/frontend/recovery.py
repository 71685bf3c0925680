"""What can still be said of a document whose keys are faulty.

All problems of a file are to show in one run. What a fault makes unknown must not give
rise to further reports, though: the faulty entries are left out, and a name that one of
them may have declared is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from pydantic import ValidationError

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import Span
from lossgen.frontend.keys import SpecKeys
from lossgen.frontend.reader import Kind, Mapping, Node, Scalar, Sequence
from lossgen.frontend.resolver import resolve
from lossgen.frontend.schema import as_written, to_spec
from lossgen.frontend.values import closest
from lossgen.ir.spec import LossSpec, Text

# Keys that change the meaning of no name, of a spec and of its inputs.
_OF_SPECS = frozenset(
    [
        "title",
        "description",
        "reference",
        "allow",
        "smoothness",
        "properties",
        "epsilon",
    ]
)
_OF_VALUES = frozenset(
    [
        "default",
        "domain",
        "shape",
        "description",
        "sparse",
        "ignore",
        "gradient",
        "logits",
    ]
)
_Location = tuple[int | str, ...]


def report_rest(
    documents: Iterable[Node], sound: Collection[LossSpec], report: Report
) -> None:
    """Report what else is wrong with the documents whose keys are faulty.

    Args:
        documents: What was read of the file.
        sound: The specs without faults, which others will look at.
        report: Takes the faults of the expressions of all others.
    """
    done = {spec.span.start for spec in sound}
    found = Report()
    for document in documents:
        if isinstance(document, Mapping) and document.span.start not in done:
            draft = _draft(document)
            if draft is not None:
                spec, doubtful = draft
                resolve(spec, found, doubtful)
    # A line that is known to be wrong says nothing new, unless only a name is at fault.
    wrong = {i.span.first[0] for i in report if i.span and i.code.id != "LG106"}
    report.extend(
        item
        for item in found
        if item.span
        and item.span.start < item.span.end
        and item.span.first[0] not in wrong
    )


def _draft(document: Mapping) -> tuple[LossSpec, frozenset[str] | None] | None:
    """The spec without its faulty entries, and the names that they may have declared.

    The names are None where expressions mean the same without the faulty entries.
    """
    locations = _faults(document)
    rest = _complete(_without(document, locations))
    try:
        spec = to_spec(SpecKeys.model_validate(rest), rest)
    except ValidationError:
        return None
    if all(_names_nothing(location) for location in locations):
        return spec, None
    words = (word for path in locations for word in _words_at(document, path))
    return spec, frozenset(words)


def _faults(document: Mapping) -> list[_Location]:
    try:
        SpecKeys.model_validate(document)
    except ValidationError as error:
        found = [fault["loc"] for fault in error.errors(include_url=False)]
        entries = (_entry(as_written(location, document)) for location in found)
        return list(dict.fromkeys(entries))
    return []


def _entry(location: _Location) -> _Location:
    """The entry of a mapping that a location lies in.

    A list is left out as a whole, and so is what changes the meaning of no name.
    """
    if location[:1] and location[0] in _OF_SPECS:
        return location[:1]
    ends = [i for i, step in enumerate(location) if isinstance(step, int)]
    return location[: ends[0]] if ends else location


def _names_nothing(location: _Location) -> bool:
    """Whether expressions mean the same without the faulty entry."""
    entry, harmless = location[0], _OF_SPECS
    if len(location) > 1 and entry not in _OF_SPECS:
        entry, harmless = location[-1], _OF_VALUES
        if location[-2] in ("where", "params", "channels"):
            return False
    return closest(str(entry), (*SpecKeys.model_fields, *_OF_VALUES)) in harmless


def _without(document: Mapping, locations: Collection[_Location]) -> Mapping:
    """The document without the entries at some locations.

    Where only the key is faulty, the value stays under a name that nobody uses.
    """
    by_key: dict[int | str, list[_Location]] = {}
    for first, *rest in filter(None, locations):
        by_key.setdefault(first, []).append(tuple(rest))
    entries: list[tuple[Scalar, Node]] = []
    for key, value in document.entries:
        inner = by_key.get(key.text.value, [])
        if () in inner:
            continue
        if ("[key]",) in inner:
            name = f"unnamed_{key.span.start}"
            key = replace(key, text=_text(name, key.span))
        kept = _without(value, inner) if isinstance(value, Mapping) else value
        entries.append((key, kept))
    return replace(document, entries=tuple(entries))


def _complete(document: Mapping) -> Mapping:
    """The document with stand-ins for what every spec has."""
    place = Span(document.span.source, document.span.start, document.span.start)
    stand_ins = {"name": "unnamed_loss", "loss": "y_pred"}
    missing = tuple(
        (_scalar(key, place), _scalar(value, place))
        for key, value in stand_ins.items()
        if key not in document.index
    )
    return replace(document, entries=(*document.entries, *missing))


def _scalar(value: str, span: Span) -> Scalar:
    return Scalar(_text(value, span), Kind.TEXT, True, span)


def _text(value: str, span: Span) -> Text:
    """A text that stands nowhere in the file."""
    return Text(value, span.source, (span.start,) * (len(value) + 1))


def _words_at(document: Mapping, location: _Location) -> Iterator[str]:
    """The words of a faulty entry, each of which may be meant to be a name."""
    node: Node = document
    for name in location:
        if not isinstance(node, Mapping) or name not in node.index:
            break
        key, node = node.index[str(name)]
        if location[-1] in (name, "[key]"):
            yield from _names_of(key)
    if node is not document and location[-1] != "[key]":
        yield from _words(node)


def _words(node: Node) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.entries:
            yield from _names_of(key)
            yield from _words(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _words(item)
    else:
        yield from _names_of(node)


def _names_of(scalar: Scalar) -> Iterator[str]:
    """The names in a text, and what it may be meant for as a whole."""
    text = scalar.text.value
    yield from re.findall(r"[^\W\d]\w*", text)
    yield from (re.sub(r"\W", joint, text.strip()) for joint in ("", "_"))
