"""The keys of a spec: models that both validate a document and describe it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema as core

from lossgen.diagnostics.codes import CODES, Severity
from lossgen.frontend.reader import Kind, Mapping, Scalar
from lossgen.frontend.values import (
    MAX_SIZE,
    PlacedDefault,
    as_list,
    is_finite_set,
    opened,
    read_choice,
    read_code_key,
    read_default,
    read_documentation,
    read_domain,
    read_epsilon,
    read_expression,
    read_flag,
    read_loss_name,
    read_name_key,
    read_parameter_key,
    read_size,
    read_title,
    read_variable_key,
    read_whole,
)
from lossgen.ir.loss import Smoothness
from lossgen.ir.spec import Text

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
    return _Leaf(read_choice(options), type="string", enum=list(options))


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
_EXPRESSION = _Leaf(read_expression, type=["string", "number"])
_DOMAIN = _Leaf(read_domain, type=["string", "number", "array", "object"])
_PROSE = _Leaf(read_documentation, type="string")
_SIZE = _Leaf(
    read_size,
    type=["integer", "string"],
    minimum=1,
    maximum=MAX_SIZE,
    pattern=_NAME_PATTERN,
)

_Expression = Annotated[Text, _EXPRESSION]
_Domain = Annotated[Text | None, _DOMAIN]
_Prose = Annotated[str | None, _PROSE]
_Line = Annotated[str, _PROSE]
_Flag = Annotated[bool, _Leaf(read_flag, type="boolean")]
_Size = Annotated[int | str | None, _SIZE]
_Name = Annotated[Text, _Leaf(read_name_key, type="string", pattern=_NAME_PATTERN)]
_VariableName = Annotated[
    Text, _Leaf(read_variable_key, type="string", pattern=_NAME_PATTERN)
]
_ParameterName = Annotated[
    Text, _Leaf(read_parameter_key, type="string", pattern=_NAME_PATTERN)
]
_AllowedCode = Annotated[Text, _Leaf(read_code_key, type="string", enum=_ALLOWABLE)]
_Claim = Annotated[Text, _words(*PROPERTIES)]


class Keys(BaseModel):
    """What every mapping of a spec has in common: no key beside those declared."""

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
        if cls.short_for and (not isinstance(node, Mapping) or is_finite_set(node)):
            return {cls.short_for: node}
        return opened(node)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        described = handler.resolve_ref_schema(handler(schema))
        described.pop("title", None)
        for field in described.get("properties", {}).values():
            field.pop("title", None)
            if "patternProperties" in field:
                field["additionalProperties"] = False
        return {"anyOf": [*cls.short_forms, described]} if cls.short_for else described


class ChannelKeys(Keys):
    """A named component of the last axis: its domain, or a mapping."""

    short_for = "domain"
    short_forms = _SHORT_DOMAIN

    domain: _Domain = Field(None, description="The set its values come from.")
    size: _Size = Field(None, description="Length of its last axis: number or name.")
    description: _Prose = Field(None, description="What it holds.")


class TensorKeys(Keys):
    """What y_true and y_pred have in common."""

    short_for = "domain"
    short_forms = _SHORT_DOMAIN

    domain: _Domain = Field(None, description="The set the values come from.")
    channels: Annotated[dict[_VariableName, ChannelKeys], BeforeValidator(opened)] = (
        Field(default_factory=dict, description="Named components of the last axis.")
    )
    size: _Size = Field(None, description="Length of the last axis: number or name.")
    description: _Prose = Field(None, description="What it holds, for the docstring.")


class TargetKeys(TensorKeys):
    """y_true: a domain, `unused`, or a mapping."""

    sparse: _Flag = Field(False, description="Takes class indices, not one-hot rows.")
    ignore: Annotated[int | None, _Leaf(read_whole, type="integer")] = Field(
        None, description="The class index that takes part in nothing."
    )
    gradient: _Flag = Field(False, description="y_true gets a gradient too.")


class PredictionKeys(TensorKeys):
    """y_pred: a domain, or a mapping."""

    logits: Annotated[Text | None, _words("sigmoid", "softmax")] = Field(
        None, description="The activation that from_logits stands for."
    )


class ParameterKeys(Keys):
    """A default, or a mapping; nothing at all for a required argument."""

    short_for = "default"
    short_forms = ({"type": ["number", "array", "null"]},)

    default: Annotated[
        PlacedDefault | None, _Leaf(read_default, type=["number", "array"], minItems=1)
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
            return opened(node)
        return {"default": node}


_Smoothness = Annotated[
    Text | None,
    _words(*_VERDICTS),
    Field(description="The weakest class accepted (default: continuous)."),
]
_Properties = Annotated[
    list[_Claim],
    BeforeValidator(as_list),
    _or_one(_CLAIM),
    Field(description="Claims that must not be refuted."),
]
_Epsilon = Annotated[
    float | None,
    _Leaf(read_epsilon, type="number", exclusiveMinimum=0, exclusiveMaximum=1),
    Field(description="How far inside an open end the guard lies."),
]
_Allow = Annotated[
    dict[_AllowedCode, _Line],
    BeforeValidator(opened),
    Field(description="Diagnostics silenced, each with a reason."),
]


class DefaultKeys(Keys):
    """The keys that mean the same for every spec, as a project sets them for all."""

    smoothness: _Smoothness = None
    properties: _Properties = Field(default_factory=list)
    epsilon: _Epsilon = None
    allow: _Allow = Field(default_factory=dict)


class SpecKeys(Keys):
    """A loss function: a formula, and what its inputs are."""

    name: Annotated[
        Text, _Leaf(read_loss_name, type="string", pattern=_LOSS_NAME_PATTERN)
    ] = Field(description="Names the module, the function and the class.")
    loss: _Expression = Field(description="The formula, in y_true and y_pred.")
    where: Annotated[dict[_Name, _Expression], BeforeValidator(opened)] = Field(
        default_factory=dict, description="Named sub-expressions."
    )
    y_true: TargetKeys = Field(
        default_factory=TargetKeys.model_construct, description="The target."
    )
    y_pred: PredictionKeys = Field(
        default_factory=PredictionKeys.model_construct, description="The prediction."
    )
    params: Annotated[dict[_ParameterName, ParameterKeys], BeforeValidator(opened)] = (
        Field(default_factory=dict, description="Arguments of the loss.")
    )
    mask: Annotated[Text | None, _Leaf(read_expression, type="string")] = Field(
        None, description="A condition; an element where it is false takes no part."
    )
    smoothness: _Smoothness = None
    properties: _Properties = Field(default_factory=list)
    assume: Annotated[list[_Expression], BeforeValidator(as_list), _or_one(_STRING)] = (
        Field(default_factory=list, description="Preconditions taken as true.")
    )
    epsilon: _Epsilon = None
    allow: _Allow = Field(default_factory=dict)
    title: Annotated[str | None, _Leaf(read_title, type="string")] = Field(
        None, description="One line for readers."
    )
    description: _Prose = Field(None, description="More for readers.")
    reference: Annotated[list[_Line], BeforeValidator(as_list), _or_one(_STRING)] = (
        Field(default_factory=list, description="Where the formula comes from.")
    )
