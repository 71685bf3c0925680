"""A spec as written: text with positions, structure checked, nothing resolved."""

from __future__ import annotations

from dataclasses import dataclass

from lossgen.diagnostics.source import SourceFile, Span


@dataclass(frozen=True)
class Text:
    """A scalar of the spec and where each of its characters stands in the file.

    ``offsets[i]`` is the file offset of ``value[i]``; it has one entry more than
    ``value``, for the end.
    """

    value: str
    source: SourceFile
    offsets: tuple[int, ...]

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """The place in the file of ``value[start:end]``."""
        stop = len(self.value) if end is None else end
        first = self.offsets[min(start, len(self.value))]
        if stop <= start:
            return Span(self.source, first, first)
        last = self.offsets[min(stop, len(self.value)) - 1]
        return Span(self.source, first, last + 1)


@dataclass(frozen=True)
class ChannelSpec:
    """A named component of the last axis."""

    name: Text
    domain: Text | None
    size: int | str | None
    description: str | None
    span: Span


@dataclass(frozen=True)
class TensorSpec:
    """What the spec says of y_true or y_pred."""

    domain: Text | None = None
    channels: tuple[ChannelSpec, ...] = ()
    size: int | str | None = None
    description: str | None = None
    sparse: bool = False
    ignore: int | None = None
    gradient: bool = False
    logits: str | None = None
    unused: bool = False
    span: Span | None = None


Default = float | int | tuple["Default", ...]
"""A parameter's default: a number, or nested tuples of numbers."""


@dataclass(frozen=True)
class ParameterSpec:
    """What the spec says of one parameter. ``default`` None: a required argument."""

    name: Text
    default: Default | None
    default_span: Span | None
    domain: Text | None
    shape: str | None
    description: str | None


@dataclass(frozen=True)
class LossSpec:
    """One document of a spec file."""

    source: SourceFile
    span: Span
    name: Text
    loss: Text
    where: tuple[tuple[Text, Text], ...]
    y_true: TensorSpec
    y_pred: TensorSpec
    params: tuple[ParameterSpec, ...]
    mask: Text | None
    smoothness: str
    properties: tuple[Text, ...]
    assume: tuple[Text, ...]
    epsilon: float | None
    allow: tuple[tuple[Text, str], ...]
    title: str | None
    description: str | None
    references: tuple[str, ...]
    smoothness_span: Span | None = None
    epsilon_span: Span | None = None
