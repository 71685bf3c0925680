"""The keys of a spec: one set of models validates a document and describes it."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_core import core_schema as core

from lossgen.diagnostics.codes import CODES, Severity
from lossgen.diagnostics.diagnostic import Diagnostic, Report
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.frontend.conflicts import report_conflicts
from lossgen.frontend.names import RESERVED_PARAMETERS, loss_name_fault, name_fault
from lossgen.frontend.positions import verbatim
from lossgen.frontend.reader import Kind, Mapping, Node, Scalar, Sequence, read, shorten
from lossgen.ir.loss import Smoothness
from lossgen.ir.spec import (
    ChannelSpec,
    Default,
    LossSpec,
    ParameterSpec,
    TensorSpec,
    Text,
)

PROPERTIES = (
    "nonnegative",
    "zero_at_target",
    "convex",
    "symmetric",
    "bounded_gradient",
    "mean_consistent",
    "proper",
)
"""What a spec can claim."""


def read_specs(source: SourceFile, report: Report) -> tuple[LossSpec, ...]:
    """Read the specs of a file.

    Args:
        source: The file.
        report: Takes everything that is wrong with it.

    Returns:
        The documents without errors. A faulty one does not stop the others.
    """
    found = Report()
    specs = [validate(node, found) for node in read(source, found)]
    report.extend(found)
    faults = [item.span.start for item in _errors(found) if item.span]
    return tuple(spec for spec in specs if spec and not _holds(spec.span, faults))


def _errors(report: Report) -> Iterator[Diagnostic]:
    return (item for item in report if item.severity is Severity.ERROR)


def _holds(span: Span, places: list[int]) -> bool:
    return any(span.start <= place < span.end for place in places)


def validate(document: Node, report: Report) -> LossSpec | None:
    """Check the keys of a document and the types of their values.

    Args:
        document: What was read.
        report: Takes all faults, not only the first.

    Returns:
        The spec, or None if an error was reported.
    """
    found = Report()
    spec = None
    if isinstance(document, Scalar) and document.kind is Kind.NULL:
        found.add("LG108", "the document is empty", document.span)
    else:
        try:
            spec = _build(SpecKeys.model_validate(document), document)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_input=False):
                _report_fault(fault, document, found)
        if isinstance(document, Mapping):
            report_conflicts(document, found)
    report.extend(found)
    return None if found.has_errors else spec


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


# Values ---------------------------------------------------------------------------


def _fault(
    code: str, message: str, span: Span, remedy: str | None = None
) -> PydanticCustomError:
    context = {"message": message, "span": span, "remedy": remedy}
    return PydanticCustomError(code, "{message}", context)


def _wrong(expected: str, node: Node) -> PydanticCustomError:
    """A value of the wrong type; the report puts the name of its key in front."""
    message = f"must be {expected}, not {_described(node)}"
    return _fault("LG105", message, node.span)


def _described(node: Node) -> str:
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    value = shorten(node.text.value)
    names = {
        Kind.TEXT: f"the text '{value}'",
        Kind.BOOLEAN: f"the truth value {value}",
        Kind.NULL: "empty",
    }
    return names.get(node.kind, f"the number {value}")


def _expression(node: Node) -> Text:
    """Text in which a number is as good as any other expression."""
    if isinstance(node, Scalar) and node.kind not in (Kind.BOOLEAN, Kind.NULL):
        return node.text
    raise _wrong("an expression", node)


def _domain(node: Node) -> Text:
    """A domain; ``[0, 1]`` and ``{0, 1}`` are taken for what they look like."""
    if isinstance(node, Scalar) and node.kind not in (Kind.BOOLEAN, Kind.NULL):
        return node.text
    if (isinstance(node, Sequence) and node.flow) or _is_finite_set(node):
        return verbatim(node.span.source, node.span.start, node.span.end)
    raise _wrong("a domain", node)


def _is_finite_set(node: Node) -> bool:
    return (
        isinstance(node, Mapping)
        and node.is_set
        and not any(key.text.value.isidentifier() for key, _ in node.entries)
    )


_LAYOUT = "\n\t"
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_GLUED = re.compile(r"(?:[ \t]*:)?[ \t]+(#[^\s#]\S*)")


def _documentation(node: Node) -> str:
    """Text for readers: anything but what could not be seen."""
    if isinstance(node, Scalar) and node.plain:
        comment = _GLUED.match(node.span.source.text, node.span.end)
        if comment:
            message = f"YAML takes `{shorten(comment[1])}` for a comment"
            span = Span(node.span.source, *comment.span(1))
            raise _fault("LG107", message, span, "put the whole text in quotes")
    if not isinstance(node, Scalar) or node.kind is Kind.NULL:
        raise _wrong("text", node)
    for i, char in enumerate(node.text.value):
        hidden = unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        if (hidden and char not in _LAYOUT) or char in _BIDIRECTIONAL:
            message = f"must not hold the control character U+{ord(char):04X}"
            span = Span(node.text.source, *node.text.offsets[i : i + 2])
            raise _fault("LG105", message, span)
    return node.text.value.strip()


def _title(node: Node) -> str:
    text = _documentation(node)
    if "\n" in text:
        raise _fault("LG105", "must be a single line", node.span)
    return text


def _name(node: Node) -> Text:
    return _checked_name(node, name_fault)


def _loss_name(node: Node) -> Text:
    return _checked_name(node, loss_name_fault)


def _checked_name(node: Node, find_fault: Callable[[str], str | None]) -> Text:
    if not isinstance(node, Scalar) or node.kind in (Kind.BOOLEAN, Kind.NULL):
        raise _wrong("a name", node)
    fault = find_fault(node.text.value)
    if fault:
        message = f"`{shorten(node.text.value)}` {fault}"
        raise _fault("LG106", message, node.span)
    return node.text


class _Key(str):
    """A key, with the node that it was read from."""

    __slots__ = ("node",)
    node: Scalar


def _name_key(key: _Key) -> Text:
    return _name(key.node)


def _parameter_key(key: _Key) -> Text:
    if key in RESERVED_PARAMETERS:
        message = f"every loss has an argument `{key}` already"
        raise _fault("LG212", message, key.node.span)
    return _name(key.node)


def _code_key(key: _Key) -> Text:
    span = key.node.span
    code = CODES.get(key)
    if code is None:
        names = {item.name: item.id for item in CODES.values()}
        close = names.get(key) or _closest(key, CODES)
        remedy = f"did you mean `{close}`?" if close else None
        raise _fault("LG103", f"there is no diagnostic `{shorten(key)}`", span, remedy)
    if code.severity is Severity.ERROR:
        message = f"{key} is an error: only warnings and notes can be allowed"
        raise _fault("LG103", message, span)
    return key.node.text


_YES_OR_NO = frozenset(["yes", "no", "on", "off", "y", "n"])


def _flag(node: Node) -> bool:
    if isinstance(node, Scalar) and node.kind is Kind.BOOLEAN:
        return node.text.value.lower() == "true"
    if isinstance(node, Scalar) and node.text.value.lower() in _YES_OR_NO:
        message = f"YAML 1.2 reads `{node.text.value}` as text"
        raise _fault("LG107", message, node.span, "write `true` or `false`")
    raise _wrong("true or false", node)


def _whole(node: Node) -> int:
    value = _number(node)
    if isinstance(value, int):
        return value
    raise _wrong("a whole number", node)


def _size(node: Node) -> int | str:
    value = _number(node)
    if isinstance(value, int) and value >= 1:
        return value
    if isinstance(node, Scalar) and node.kind is Kind.TEXT:
        return _name(node).value
    raise _wrong("a whole number from 1 or a name", node)


def _epsilon(node: Node) -> float:
    value = _number(node)
    if value is not None and 0 < value < 1:
        return float(value)
    raise _wrong("a number between 0 and 1", node)


def _number(node: Node) -> int | float | None:
    """A finite number, or None."""
    if not isinstance(node, Scalar) or node.kind not in (Kind.INTEGER, Kind.FLOAT):
        return None
    text = node.text.value.replace("_", "")
    try:
        value = _integer(text) if node.kind is Kind.INTEGER else float(text)
        return value if math.isfinite(float(value)) else None
    except (ValueError, OverflowError):
        return None


def _integer(text: str) -> int:
    prefixed = text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
    return int(text, 0 if prefixed else 10)


@dataclass(frozen=True)
class _Default:
    value: Default
    span: Span


def _default(node: Node) -> _Default:
    return _Default(_numbers(node, node), node.span)


def _numbers(node: Node, whole: Node) -> Default:
    if isinstance(node, Sequence) and node.items:
        rows = tuple(_numbers(item, whole) for item in node.items)
        if len({_shape(row) for row in rows}) > 1:
            message = "has rows of different lengths"
            raise _fault("LG105", message, node.span)
        return rows
    value = _number(node)
    if value is None:
        raise _wrong("a finite number or a nested list of numbers", node)
    return value


def _shape(value: Default) -> tuple[int, ...]:
    return (len(value), *_shape(value[0])) if isinstance(value, tuple) else ()


def _choice(options: tuple[str, ...]) -> Callable[[Node], Text]:
    """A reader for one of a few words."""

    def choose(node: Node) -> Text:
        if not isinstance(node, Scalar) or node.kind is Kind.NULL:
            raise _wrong(_either(options), node)
        if node.text.value in options:
            return node.text
        close = _closest(node.text.value, options)
        remedy = f"did you mean `{close}`?" if close else f"write {_either(options)}"
        message = f"takes no `{shorten(node.text.value)}`"
        raise _fault("LG103", message, node.span, remedy)

    return choose


def _either(options: Iterable[str]) -> str:
    *rest, last = (f"`{option}`" for option in options)
    return f"{', '.join(rest)} or {last}" if rest else last


def _closest(word: str, options: Iterable[str]) -> str | None:
    by_folded = {option.lower(): option for option in options}
    close = difflib.get_close_matches(word.lower()[:60], by_folded, n=1)
    return by_folded[close[0]] if close else None


def _as_list(node: Node) -> list[Node]:
    return list(node.items) if isinstance(node, Sequence) else [node]


def _opened(node: Node) -> dict[str, Node]:
    """The entries of a mapping, for the model of its values to check."""
    if not isinstance(node, Mapping):
        raise _wrong("a mapping", node)
    return {_key(key): value for key, value in node.entries}


def _key(scalar: Scalar) -> _Key:
    key = _Key(scalar.text.value)
    key.node = scalar
    return key


class _Leaf:
    """How a value is read, and what JSON Schema says of it."""

    def __init__(self, read_value: Callable[[Any], object], **described: Any) -> None:
        self._read_value = read_value
        self._described = described

    def __get_pydantic_core_schema__(
        self, _type: object, _handler: GetCoreSchemaHandler
    ) -> core.CoreSchema:
        return core.no_info_plain_validator_function(self._read_value)

    def __get_pydantic_json_schema__(
        self, _schema: core.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self._described)


def _words(*options: str) -> _Leaf:
    return _Leaf(_choice(options), type="string", enum=list(options))


def _or_one(item: object) -> WithJsonSchema:
    """A list, or its single entry."""
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item}]})


_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$"
_LOSS_NAME_PATTERN = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
_STRING = {"type": "string"}
_SET = {
    "type": "object",
    "patternProperties": {"[^A-Za-z_]": {"type": "null"}},
    "additionalProperties": False,
}
_SHORT_DOMAIN = ({"type": ["string", "number", "array"]}, _SET)
_CLAIM = {"type": "string", "enum": list(PROPERTIES)}
_ALLOWABLE = [c.id for c in CODES.values() if c.severity is not Severity.ERROR]
_VERDICTS = [item.value for item in Smoothness if item is not Smoothness.REFUSED]

# YAML reads `loss: 1` as a number.
_EXPRESSION = _Leaf(_expression, type=["string", "number"])
_DOMAIN = _Leaf(_domain, type=["string", "number", "array", "object"])
_PROSE = _Leaf(_documentation, type="string")
_SIZE = _Leaf(_size, type=["integer", "string"], minimum=1, pattern=_NAME_PATTERN)

_Expression = Annotated[Text, _EXPRESSION]
_Domain = Annotated[Text | None, _DOMAIN]
_Prose = Annotated[str | None, _PROSE]
_Line = Annotated[str, _PROSE]
_Flag = Annotated[bool, _Leaf(_flag, type="boolean")]
_Size = Annotated[int | str | None, _SIZE]
_Name = Annotated[Text, _Leaf(_name_key, type="string", pattern=_NAME_PATTERN)]
_ParameterName = Annotated[
    Text, _Leaf(_parameter_key, type="string", pattern=_NAME_PATTERN)
]
_AllowedCode = Annotated[Text, _Leaf(_code_key, type="string", enum=_ALLOWABLE)]
_Claim = Annotated[Text, _words(*PROPERTIES)]


# Models ---------------------------------------------------------------------------


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, title=None
    )

    short_for: ClassVar[str | None] = None
    """The key that a value without a mapping stands for."""

    short_forms: ClassVar[tuple[dict[str, Any], ...]] = ()
    """What JSON Schema says of such a value."""

    @model_validator(mode="before")
    @classmethod
    def _open(cls, node: Any) -> Any:
        if cls.short_for and (not isinstance(node, Mapping) or _is_finite_set(node)):
            return {cls.short_for: node}
        return _opened(node)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        described = handler.resolve_ref_schema(handler(schema))
        described.pop("title", None)
        for field in described.get("properties", {}).values():
            field.pop("title", None)
            if "patternProperties" in field:
                field["additionalProperties"] = False
        return {"anyOf": [*cls.short_forms, described]} if cls.short_for else described


class ChannelKeys(_Model):
    """A named component of the last axis: its domain, or a mapping."""

    short_for = "domain"
    short_forms = _SHORT_DOMAIN

    domain: _Domain = Field(None, description="The set its values come from.")
    size: _Size = Field(None, description="Length of its last axis: number or name.")
    description: _Prose = Field(None, description="What it holds.")


class TensorKeys(_Model):
    """What y_true and y_pred have in common."""

    short_for = "domain"
    short_forms = _SHORT_DOMAIN

    domain: _Domain = Field(None, description="The set the values come from.")
    channels: Annotated[dict[_Name, ChannelKeys], BeforeValidator(_opened)] = Field(
        default_factory=dict, description="Named components of the last axis."
    )
    size: _Size = Field(None, description="Length of the last axis: number or name.")
    description: _Prose = Field(None, description="What it holds, for the docstring.")


class TargetKeys(TensorKeys):
    """y_true: a domain, `unused`, or a mapping."""

    sparse: _Flag = Field(False, description="Takes class indices, not one-hot rows.")
    ignore: Annotated[int | None, _Leaf(_whole, type="integer")] = Field(
        None, description="The class index that takes part in nothing."
    )
    gradient: _Flag = Field(False, description="y_true gets a gradient too.")


class PredictionKeys(TensorKeys):
    """y_pred: a domain, or a mapping."""

    logits: Annotated[Text | None, _words("sigmoid", "softmax")] = Field(
        None, description="The activation that from_logits stands for."
    )


class ParameterKeys(_Model):
    """A default, or a mapping; nothing at all for a required argument."""

    short_for = "default"
    short_forms = ({"type": ["number", "array", "null"]},)

    default: Annotated[
        _Default | None, _Leaf(_default, type=["number", "array"], minItems=1)
    ] = Field(None, description="Default; without one the argument is required.")
    domain: _Domain = Field(None, description="The set its values come from.")
    shape: Annotated[Text | None, _words("last", "elements")] = Field(
        None, description="`last`: a value per class; `elements`: a tensor."
    )
    description: _Prose = Field(None, description="What it does, for the docstring.")

    @model_validator(mode="before")
    @classmethod
    def _open(cls, node: Any) -> Any:
        if isinstance(node, Scalar) and node.kind is Kind.NULL:
            return {}
        if isinstance(node, Mapping):
            return _opened(node)
        return {"default": node}


class SpecKeys(_Model):
    """A loss function: a formula, and what its inputs are."""

    name: Annotated[
        Text, _Leaf(_loss_name, type="string", pattern=_LOSS_NAME_PATTERN)
    ] = Field(description="Names the module, the function and the class.")
    loss: _Expression = Field(description="The formula, in y_true and y_pred.")
    where: Annotated[dict[_Name, _Expression], BeforeValidator(_opened)] = Field(
        default_factory=dict, description="Named sub-expressions."
    )
    y_true: TargetKeys = Field(
        default_factory=TargetKeys.model_construct, description="The target."
    )
    y_pred: PredictionKeys = Field(
        default_factory=PredictionKeys.model_construct, description="The prediction."
    )
    params: Annotated[dict[_ParameterName, ParameterKeys], BeforeValidator(_opened)] = (
        Field(default_factory=dict, description="Arguments of the loss.")
    )
    mask: Annotated[Text | None, _Leaf(_expression, type="string")] = Field(
        None, description="A condition; an element where it is false takes no part."
    )
    smoothness: Annotated[Text | None, _words(*_VERDICTS)] = Field(
        None, description="The weakest class accepted (default: continuous)."
    )
    properties: Annotated[list[_Claim], BeforeValidator(_as_list), _or_one(_CLAIM)] = (
        Field(default_factory=list, description="Claims that must not be refuted.")
    )
    assume: Annotated[
        list[_Expression], BeforeValidator(_as_list), _or_one(_STRING)
    ] = Field(default_factory=list, description="Preconditions taken as true.")
    epsilon: Annotated[
        float | None,
        _Leaf(_epsilon, type="number", exclusiveMinimum=0, exclusiveMaximum=1),
    ] = Field(None, description="How far inside an open end the guard lies.")
    allow: Annotated[dict[_AllowedCode, _Line], BeforeValidator(_opened)] = Field(
        default_factory=dict, description="Diagnostics silenced, each with a reason."
    )
    title: Annotated[str | None, _Leaf(_title, type="string")] = Field(
        None, description="One line for readers."
    )
    description: _Prose = Field(None, description="More for readers.")
    reference: Annotated[list[_Line], BeforeValidator(_as_list), _or_one(_STRING)] = (
        Field(default_factory=list, description="Where the formula comes from.")
    )


# Faults ---------------------------------------------------------------------------


def _report_fault(fault: ErrorDetails, document: Node, report: Report) -> None:
    location = fault["loc"]
    if fault["type"] == "extra_forbidden":
        _report_unknown(location, document, report)
    elif fault["type"] == "missing":
        message = f"the key `{location[-1]}` is missing"
        report.add("LG104", message, _first_key(_find(document, location[:-1])))
    else:
        details = fault["ctx"]
        message = details["message"]
        if message.startswith(_PREDICATES):
            message = f"{_subject(_as_written(location, document))} {message}"
        report.add(fault["type"], message, details["span"], help=details["remedy"])


_PREDICATES = ("must ", "has ", "takes ")
_Location = tuple[int | str, ...]


def _as_written(location: _Location, document: Node) -> _Location:
    """Without the key that a lone value is short for."""
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


def _report_unknown(location: _Location, document: Node, report: Report) -> None:
    *parents, name = location
    parent = _find(document, tuple(parents))
    fields = _model_at(tuple(parents)).model_fields
    close = _closest(str(name), fields)
    guess = f"did you mean `{close}`?" if close else f"the keys are {', '.join(fields)}"
    remedy = _elsewhere(str(name)) or guess
    place = f" in `{parents[-1]}`" if parents else ""
    message = f"unknown key `{shorten(str(name))}`{place}"
    report.add("LG103", message, _key_span(parent, str(name)), help=remedy)


def _elsewhere(name: str) -> str | None:
    """Where a key belongs that stands on the wrong level."""
    for model, place in (
        (SpecKeys, "at the top of the spec"),
        (TargetKeys, "under `y_true`"),
        (PredictionKeys, "under `y_pred`"),
        (ParameterKeys, "under a parameter"),
    ):
        if name in model.model_fields:
            return f"`{name}` stands {place}"
    return None


def _model_at(location: _Location) -> type[_Model]:
    if not location:
        return SpecKeys
    if "channels" in location:
        return ChannelKeys
    tensors: dict[int | str, type[_Model]] = {
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


def _key_span(node: Node, name: str) -> Span:
    found = node.index.get(name) if isinstance(node, Mapping) else None
    return found[0].span if found else node.span


def _first_key(node: Node) -> Span:
    if isinstance(node, Mapping) and node.entries:
        return node.entries[0][0].span
    return Span(node.span.source, node.span.start, node.span.start)


# The spec -------------------------------------------------------------------------


def _build(model: SpecKeys, document: Node) -> LossSpec:
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
        smoothness=model.smoothness.value if model.smoothness else "continuous",
        properties=tuple(model.properties),
        assume=tuple(model.assume),
        epsilon=model.epsilon,
        allow=tuple(model.allow.items()),
        title=model.title,
        description=model.description,
        references=tuple(model.reference),
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
