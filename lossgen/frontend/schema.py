"""Documents to specs, with every fault reported where it stands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails
from pydantic_core import core_schema as core

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic, Report
from lossgen.diagnostics.source import Span
from lossgen.frontend.conflicts import WITH_CHANNELS, report_conflicts
from lossgen.frontend.keys import (
    ChannelKeys,
    DefaultKeys,
    Keys,
    ParameterKeys,
    PredictionKeys,
    SpecKeys,
    TargetKeys,
)
from lossgen.frontend.reader import Kind, Mapping, Node, Scalar, shorten
from lossgen.frontend.values import closest
from lossgen.ir.options import NO_DEFAULTS, SpecDefaults
from lossgen.ir.spec import ChannelSpec, LossSpec, ParameterSpec, TensorSpec, Text


def read_specs(
    documents: Iterable[Node], report: Report, defaults: SpecDefaults = NO_DEFAULTS
) -> tuple[LossSpec, ...]:
    """Make specs of the documents of a file.

    Args:
        documents: What was read.
        report: Holds the faults of the YAML, and takes those of the keys.
        defaults: What a spec says that leaves a key out.

    Returns:
        The documents without errors. A faulty one does not stop the others.
    """
    specs = [validate(node, report, defaults) for node in documents]
    faults = [item.span.start for item in _errors(report) if item.span]
    return tuple(spec for spec in specs if spec and not _holds(spec.span, faults))


def _errors(report: Report) -> Iterator[Diagnostic]:
    return (item for item in report if item.severity is Severity.ERROR)


def _holds(span: Span, places: list[int]) -> bool:
    """Whether one of the places, which are in order, lies in the span."""
    return bisect_left(places, span.start) < bisect_left(places, span.end)


def validate(
    document: Node, report: Report, defaults: SpecDefaults = NO_DEFAULTS
) -> LossSpec | None:
    """Check the keys of a document and the types of their values.

    Args:
        document: What was read.
        report: Takes all faults, not only the first.
        defaults: What a spec says that leaves a key out.

    Returns:
        The spec, or None if an error was reported.
    """
    found = Report()
    spec = None
    if isinstance(document, Scalar) and document.kind is Kind.NULL:
        found.add("LG108", "the document is empty", document.span)
    else:
        try:
            spec = to_spec(SpecKeys.model_validate(document), document, defaults)
        except ValidationError as error:
            _report_faults(error, document, found)
        if isinstance(document, Mapping):
            report_conflicts(document, found)
    report.extend(found)
    return None if found.has_errors else spec


def read_defaults(table: Node, report: Report) -> SpecDefaults:
    """Check the values that a project sets for all its specs.

    Args:
        table: Keys and values, as in a spec.
        report: Takes all faults, not only the first.
    """
    try:
        model = DefaultKeys.model_validate(table)
    except ValidationError as error:
        _report_faults(error, table, report, DefaultKeys)
        return NO_DEFAULTS
    return SpecDefaults(
        smoothness=model.smoothness.value if model.smoothness else None,
        properties=tuple(model.properties),
        epsilon=model.epsilon,
        allow=tuple(model.allow.items()),
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one spec document, for editors."""
    schema = SpecKeys.model_json_schema(schema_generator=_SchemaGenerator)
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **schema, "title": "lossgen spec"}


class _SchemaGenerator(GenerateJsonSchema):
    """An absent key is not a null."""

    def default_schema(self, schema: core.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


# Faults ---------------------------------------------------------------------------


MAX_ALIKE = 50
"""How many faults of one kind are reported of a document one by one."""


def _report_faults(
    error: ValidationError,
    document: Node,
    report: Report,
    root: type[Keys] = SpecKeys,
) -> None:
    alike: dict[str, list[ErrorDetails]] = {}
    for fault in error.errors(include_url=False, include_input=False):
        alike.setdefault(fault["type"], []).append(fault)
    for kind, faults in alike.items():
        faults.sort(key=lambda fault: _span(fault, document).start)
        for fault in faults[:MAX_ALIKE]:
            _report_fault(fault, document, report, root)
        if len(faults) > MAX_ALIKE:
            what = "unknown keys" if kind == _UNKNOWN else "faults of this kind"
            message = f"and {len(faults) - MAX_ALIKE} more {what} from here on"
            report.add(_code(kind), message, _span(faults[MAX_ALIKE], document))


_UNKNOWN = "extra_forbidden"
_MISSING = "missing"


def _code(kind: str) -> str:
    """The diagnostic of what pydantic finds, or of what a reader of values does."""
    return {_UNKNOWN: "LG103", _MISSING: "LG104"}.get(kind, kind)


def _span(fault: ErrorDetails, document: Node) -> Span:
    """Where a fault is."""
    location = fault["loc"]
    if fault["type"] == _UNKNOWN:
        return _key_span(location, document)
    if fault["type"] == _MISSING:
        return _first_key(_find(document, location[:-1]))
    span: Span = fault["ctx"]["span"]
    return span


def _report_fault(
    fault: ErrorDetails, document: Node, report: Report, root: type[Keys]
) -> None:
    location, span, code = fault["loc"], _span(fault, document), _code(fault["type"])
    if fault["type"] == _UNKNOWN:
        message, remedy = _unknown(location, root)
        report.add(code, message, span, help=remedy)
    elif fault["type"] == _MISSING:
        report.add(code, f"the key `{location[-1]}` is missing", span)
    else:
        details = fault["ctx"]
        message, remedy = details["message"], details["remedy"]
        if message.startswith(_PREDICATES):
            message = f"{_subject(as_written(location, document))} {message}"
        found = remedy() if callable(remedy) else remedy
        report.add(code, message, span, help=found)


_PLACES: dict[type[Keys], str] = {DefaultKeys: " in `defaults`"}
_PREDICATES = ("must ", "has ", "takes ")
_Location = tuple[int | str, ...]


def as_written(location: _Location, document: Node) -> _Location:
    """The location of a fault without the key that a lone value is short for."""
    parent = _find(document, location[:-1])
    short = location[-1:] in (("domain",), ("default",))
    return location[:-1] if short and not isinstance(parent, Mapping) else location


def _subject(location: _Location) -> str:
    if not location:
        return "a spec"
    if isinstance(location[-1], int):
        return f"an entry of `{location[-2]}`"
    if location[-1] == "[key]":
        return f"a key of `{location[-3]}`"
    return f"`{shorten(str(location[-1]))}`"


def _unknown(location: _Location, root: type[Keys]) -> tuple[str, str]:
    """What is said of an unknown key, and the remedy."""
    *parents, name = location
    fields = (_model_at(tuple(parents)) if parents else root).model_fields
    close = closest(str(name), fields)
    guess = f"did you mean `{close}`?" if close else f"the keys are {', '.join(fields)}"
    remedy = _elsewhere(str(name), "channels" in parents) or guess
    place = f" in `{parents[-1]}`" if parents else _PLACES.get(root, "")
    return f"unknown key `{shorten(str(name))}`{place}", remedy


def _elsewhere(name: str, in_channel: bool) -> str | None:
    """Where a key belongs that stands on the wrong level."""
    if in_channel and name in ("logits", "sparse"):
        return WITH_CHANNELS[name]
    for model, place in (
        (SpecKeys, "at the top of the spec"),
        (TargetKeys, "under `y_true`"),
        (PredictionKeys, "under `y_pred`"),
        (ParameterKeys, "under a parameter"),
    ):
        if name in model.model_fields:
            return f"`{name}` stands {place}"
    return None


def _model_at(location: _Location) -> type[Keys]:
    if "channels" in location:
        return ChannelKeys
    tensors: dict[int | str, type[Keys]] = {
        "y_true": TargetKeys,
        "y_pred": PredictionKeys,
    }
    return tensors.get(location[0], ParameterKeys)


def _find(document: Node, location: _Location) -> Node:
    node = document
    for name in location:
        if isinstance(node, Mapping) and name in node.index:
            node = node.index[str(name)][1]
    return node


def _key_span(location: _Location, document: Node) -> Span:
    node = _find(document, location[:-1])
    found = node.index.get(str(location[-1])) if isinstance(node, Mapping) else None
    return found[0].span if found else node.span


def _first_key(node: Node) -> Span:
    if isinstance(node, Mapping) and node.entries:
        return node.entries[0][0].span
    return Span(node.span.source, node.span.start, node.span.start)


# The spec -------------------------------------------------------------------------


def to_spec(
    model: SpecKeys, document: Node, defaults: SpecDefaults = NO_DEFAULTS
) -> LossSpec:
    """The spec that valid keys make; a key of its own wins over a default."""
    own = model.model_fields_set
    smoothness = model.smoothness.value if model.smoothness else defaults.smoothness
    return LossSpec(
        source=document.span.source,
        span=document.span,
        name=model.name,
        loss=model.loss,
        where=tuple(model.where.items()),
        y_true=_tensor(model.y_true, _span_of(document, "y_true")),
        y_pred=_tensor(model.y_pred, _span_of(document, "y_pred")),
        params=tuple(_parameter(*item) for item in model.params.items()),
        mask=model.mask,
        smoothness=smoothness or "continuous",
        properties=(
            tuple(model.properties) if "properties" in own else defaults.properties
        ),
        assume=tuple(model.assume),
        epsilon=model.epsilon if "epsilon" in own else defaults.epsilon,
        allow=tuple(model.allow.items()) if "allow" in own else defaults.allow,
        title=model.title,
        description=model.description,
        references=tuple(model.reference),
        smoothness_span=model.smoothness.span() if model.smoothness else None,
        epsilon_span=_span_of(document, "epsilon"),
    )


def _span_of(document: Node, key: str) -> Span | None:
    found = document.index.get(key) if isinstance(document, Mapping) else None
    return found[1].span if found else None


def _tensor(model: TargetKeys | PredictionKeys, span: Span | None) -> TensorSpec:
    unused = model.domain is not None and model.domain.value.strip() == "unused"
    target = model if isinstance(model, TargetKeys) else TargetKeys.model_construct()
    logits = model.logits if isinstance(model, PredictionKeys) else None
    return TensorSpec(
        domain=None if unused else model.domain,
        channels=tuple(_channel(*item) for item in model.channels.items()),
        size=model.size,
        description=model.description,
        sparse=target.sparse,
        ignore=target.ignore,
        gradient=target.gradient,
        logits=logits.value if logits else None,
        unused=unused,
        span=span,
    )


def _channel(name: Text, model: ChannelKeys) -> ChannelSpec:
    return ChannelSpec(name, model.domain, model.size, model.description, name.span())


def _parameter(name: Text, model: ParameterKeys) -> ParameterSpec:
    return ParameterSpec(
        name=name,
        default=model.default.value if model.default else None,
        default_span=model.default.span if model.default else None,
        domain=model.domain,
        shape=model.shape.value if model.shape else None,
        description=model.description,
    )
