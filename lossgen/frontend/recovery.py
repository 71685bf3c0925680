"""What can still be said of a document whose keys are faulty.

All problems of a file are to show in one run. What a fault makes unknown must not give
rise to further reports, though: where the names of a spec are in doubt, its expressions
are only parsed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from pydantic import ValidationError

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.frontend.keys import SpecKeys
from lossgen.frontend.parser import build, parse
from lossgen.frontend.reader import Mapping, Node, Scalar, Sequence, read
from lossgen.frontend.resolver import resolve
from lossgen.frontend.schema import to_spec
from lossgen.frontend.values import closest
from lossgen.ir.expr import Expr, Role, Symbol
from lossgen.ir.spec import LossSpec, Text

_NAMING = ("name", "loss", "where", "params", "y_true", "y_pred")
_Location = tuple[int | str, ...]


def report_rest(
    source: SourceFile, sound: Collection[LossSpec], report: Report
) -> None:
    """Report what else is wrong with the documents whose keys are faulty.

    Args:
        source: The file.
        sound: The specs without faults, which others will look at.
        report: Takes the faults of the expressions of all others.
    """
    done = {spec.span.start for spec in sound}
    found = Report()
    for document in read(source, Report()):
        if isinstance(document, Mapping) and document.span.start not in done:
            spec = _draft(document)
            if spec is None:
                _report_syntax(document, found)
            else:
                resolve(spec, found)
    # A line that is known to be wrong says nothing new.
    wrong = {item.span.first[0] for item in report if item.span}
    report.extend(
        item
        for item in found
        if item.span
        and item.span.start < item.span.end
        and item.span.first[0] not in wrong
    )


def _draft(document: Mapping) -> LossSpec | None:
    """The spec without its faulty entries, if names mean the same without them."""
    locations: list[_Location] = []
    try:
        return to_spec(SpecKeys.model_validate(document), document)
    except ValidationError as error:
        locations = [fault["loc"] for fault in error.errors(include_url=False)]
    if not all(_names_nothing(location) for location in locations):
        return None
    rest = _without(document, locations)
    try:
        return to_spec(SpecKeys.model_validate(rest), rest)
    except ValidationError:
        return None


def _names_nothing(location: _Location) -> bool:
    """Whether expressions mean the same without the faulty entry."""
    if not location or "where" in location:
        return False
    entry = str(location[-1])
    if closest(entry, _NAMING) or entry in ("channels", "size", "domain", "[key]"):
        return False
    return len(location) > 1 or entry not in _NAMING


def _without(document: Node, locations: Collection[_Location]) -> Node:
    """The document without the entries at some locations."""
    if not isinstance(document, Mapping):
        return document
    entries = []
    for key, value in document.entries:
        inner = [path[1:] for path in locations if path and path[0] == key.text.value]
        if () not in inner:
            entries.append((key, _without(value, inner)))
    return replace(document, entries=tuple(entries))


def _report_syntax(document: Mapping, report: Report) -> None:
    """Report the faults of expressions that do not depend on what names mean."""
    for text, condition in _expressions(document):
        tree = parse(text, report)
        if tree is not None:
            build(tree, text, _any_name, report, condition=condition)


def _any_name(name: str, span: Span) -> Expr:
    role = Role.Y_PRED if name.startswith("y_pred") else Role.Y_TRUE
    return Symbol(name, role, span=span)


def _expressions(document: Mapping) -> Iterator[tuple[Text, bool]]:
    """The texts that are expressions, and whether each is a condition."""
    for key, value in document.entries:
        name = key.text.value
        if name == "where" and isinstance(value, Mapping):
            texts = [item.text for _, item in value.entries if isinstance(item, Scalar)]
            yield from ((text, False) for text in texts)
        elif name == "assume" and isinstance(value, Sequence):
            texts = [item.text for item in value.items if isinstance(item, Scalar)]
            yield from ((text, True) for text in texts)
        elif name in ("loss", "mask", "assume") and isinstance(value, Scalar):
            yield value.text, name != "loss"
