"""The values that a project sets for all its specs, from TOML to checked keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossgen.diagnostics.diagnostic import Report, SpecError
from lossgen.diagnostics.source import Span
from lossgen.driver.toml_places import KeyPath
from lossgen.frontend.reader import Kind, Mapping, Node, Scalar, Sequence
from lossgen.frontend.schema import read_defaults
from lossgen.ir.options import SpecDefaults
from lossgen.ir.spec import Text

Locate = Callable[[KeyPath], tuple[Span, Span]]
"""Where the key and the value at a path stand."""


def checked_defaults(table: dict[str, Any], locate: Locate) -> SpecDefaults:
    """Check ``[tool.lossgen] defaults`` by the rules of a spec.

    Args:
        table: What TOML made of it.
        locate: Where its keys and values stand.

    Raises:
        SpecError: With the diagnostics that a spec would get.
    """
    report = Report()
    defaults = read_defaults(_node(table, (), locate), report)
    if report.has_errors:
        raise SpecError(report)
    return defaults


def _node(value: object, path: KeyPath, locate: Locate) -> Node:
    key_span, span = locate(path)
    if isinstance(value, dict):
        entries = tuple(
            (_key(name, (*path, name), locate), _node(item, (*path, name), locate))
            for name, item in value.items()
        )
        return Mapping(entries, key_span, False)
    if isinstance(value, list):
        items = (_node(item, (*path, str(i)), locate) for i, item in enumerate(value))
        return Sequence(tuple(items), span, True)
    written = span.source.text[span.start : span.end]
    kind = _KINDS.get(type(value), Kind.TEXT)
    text = str(value) if kind is Kind.TEXT else written
    return Scalar(_text(text, span), kind, False, span)


_KINDS: dict[type, Kind] = {
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.FLOAT,
}


def _key(name: str, path: KeyPath, locate: Locate) -> Scalar:
    span, _ = locate(path)
    return Scalar(_text(name, span), Kind.TEXT, False, span)


def _text(value: str, span: Span) -> Text:
    """A value that stands in a span; quotes and escapes are not told apart."""
    last = max(span.start, span.end - 1)
    inner = tuple(min(span.start + i, last) for i in range(len(value)))
    return Text(value, span.source, (*inner, span.end))
