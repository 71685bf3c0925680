"""Losses written down in a test: the keys of a spec as keyword arguments."""

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.frontend.resolver import resolve
from lossgen.ir.spec import (
    ChannelSpec,
    LossSpec,
    ParameterSpec,
    TensorSpec,
    Text,
)


class RefusedError(AssertionError):
    """A loss is at fault as it is written."""


def text(value):
    value = str(value)
    source = SourceFile("loss.yaml", value)
    return Text(value, source, tuple(range(len(value) + 1)))


def span(value=""):
    return Span(SourceFile("loss.yaml", value), 0, len(value))


def tensor(value):
    if value == "unused":
        return TensorSpec(unused=True)
    if not isinstance(value, dict):
        return TensorSpec(domain=text(value))
    value = dict(value)
    if "domain" in value:
        value["domain"] = text(value["domain"])
    value["channels"] = tuple(
        ChannelSpec(text(name), text(domain), None, None, span(name))
        for name, domain in value.get("channels", {}).items()
    )
    return TensorSpec(**value)


def parameter(name, value):
    if not isinstance(value, dict):
        value = {"default": value}
    domain = value.get("domain")
    return ParameterSpec(
        text(name),
        value.get("default"),
        span(name),
        text(domain) if domain else None,
        value.get("shape"),
        None,
    )


def write(
    loss,
    y_true="real",
    y_pred="real",
    where=None,
    params=None,
    mask=None,
    smoothness="continuous",
    properties=(),
    assume=(),
    allow=(),
):
    """The resolved loss."""
    spec = LossSpec(
        source=SourceFile("loss.yaml", loss),
        span=span(loss),
        name=text("loss_name"),
        loss=text(loss),
        where=tuple((text(k), text(v)) for k, v in (where or {}).items()),
        y_true=tensor(y_true),
        y_pred=tensor(y_pred),
        params=tuple(parameter(k, v) for k, v in (params or {}).items()),
        mask=text(mask) if mask else None,
        smoothness=smoothness,
        properties=tuple(text(item) for item in properties),
        assume=tuple(text(item) for item in assume),
        epsilon=None,
        allow=tuple((text(code), "a test") for code in allow),
        title=None,
        description=None,
        references=(),
    )
    report = Report()
    resolved = resolve(spec, report)
    if resolved is None:
        raise RefusedError([item.message for item in report])
    return resolved
