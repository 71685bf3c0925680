"""The values of a spec's keys, each read from its node."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

from pydantic_core import PydanticCustomError

from lossgen.diagnostics.codes import CODES, Severity
from lossgen.diagnostics.source import Span
from lossgen.frontend.names import (
    RESERVED_PARAMETERS,
    RESERVED_VARIABLES,
    loss_name_fault,
    name_fault,
)
from lossgen.frontend.positions import verbatim
from lossgen.frontend.reader import Kind, Mapping, Node, Scalar, Sequence, shorten
from lossgen.ir.spec import Default, Text


def read_expression(node: Node) -> Text:
    """Text in which a number is as good as any other expression."""
    if isinstance(node, Scalar) and node.kind not in (Kind.BOOLEAN, Kind.NULL):
        return node.text
    raise _wrong("an expression", node)


def read_domain(node: Node) -> Text:
    """A domain; ``[0, 1]`` and ``{0, 1}`` are taken for what they look like."""
    if isinstance(node, Scalar) and node.kind not in (Kind.BOOLEAN, Kind.NULL):
        return node.text
    if (isinstance(node, Sequence) and node.flow) or is_finite_set(node):
        return verbatim(node.span.source, node.span.start, node.span.end)
    raise _wrong("a domain", node)


def is_finite_set(node: Node) -> bool:
    """Whether a mapping is a set of numbers, ``{0, 1}``."""
    return (
        isinstance(node, Mapping)
        and node.is_set
        and not any(key.text.value.isidentifier() for key, _ in node.entries)
    )


_LAYOUT = "\n\t"
_JOINERS = "\u200c\u200d"  # Persian and emoji need them
_GLUED = re.compile(r"(?:[ \t]*:)?[ \t]+(#[^\s#]\S*)")


def read_documentation(node: Node) -> str:
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
        hidden = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        if hidden and char not in _LAYOUT and char not in _JOINERS:
            message = f"must not hold the control character U+{ord(char):04X}"
            span = Span(node.text.source, *node.text.offsets[i : i + 2])
            raise _fault("LG105", message, span)
    return node.text.value.strip()


def read_title(node: Node) -> str:
    """Text in a single line."""
    text = read_documentation(node)
    if "\n" in text:
        raise _fault("LG105", "must be a single line", node.span)
    return text


def read_name(node: Node) -> Text:
    """A name for expressions."""
    return _checked_name(node, name_fault)


def read_loss_name(node: Node) -> Text:
    """The name of a loss."""
    return _checked_name(node, loss_name_fault)


class Key(str):
    """A key, with the node that it was read from."""

    __slots__ = ("node",)
    node: Scalar


def read_name_key(key: Key) -> Text:
    """A key that names something."""
    return read_name(key.node)


def read_parameter_key(key: Key) -> Text:
    """A key that names a parameter."""
    if key in RESERVED_PARAMETERS:
        message = f"every loss has an argument `{key}` already"
        raise _fault("LG212", message, key.node.span)
    return read_variable_key(key)


def read_variable_key(key: Key) -> Text:
    """A key that names a channel or a parameter."""
    return _read_variable(key.node)


def _read_variable(node: Scalar) -> Text:
    name = read_name(node)
    if name.value in RESERVED_VARIABLES:
        message = f"the generated code has a name `{name.value}` already"
        raise _fault("LG212", message, node.span)
    return name


def read_code_key(key: Key) -> Text:
    """A key that is the code of a warning or note."""
    span = key.node.span
    code = CODES.get(key)
    if code is None:
        message = f"there is no diagnostic `{shorten(key)}`"
        raise _fault("LG103", message, span, partial(_meant_code, str(key)))
    if code.severity is Severity.ERROR:
        message = f"{key} is an error: only warnings and notes can be allowed"
        raise _fault("LG103", message, span)
    return key.node.text


def _meant_code(key: str) -> str:
    names = {item.name: item.id for item in CODES.values()}
    close = names.get(key) or names.get(closest(key, names) or "")
    return f"did you mean `{close}`?" if close else "`lossgen explain` lists them"


_YES_OR_NO = frozenset(["yes", "no", "on", "off", "y", "n"])


def read_flag(node: Node) -> bool:
    """True or false."""
    if isinstance(node, Scalar) and node.kind is Kind.BOOLEAN:
        return node.text.value.lower() == "true"
    if isinstance(node, Scalar) and node.text.value.lower() in _YES_OR_NO:
        message = f"YAML 1.2 reads `{node.text.value}` as text"
        raise _fault("LG107", message, node.span, "write `true` or `false`")
    raise _wrong("true or false", node)


def read_whole(node: Node) -> int:
    """A whole number."""
    value = _number(node)
    if isinstance(value, int):
        return value
    raise _wrong("a whole number", node)


MAX_SIZE = 4096
"""The largest length that is written as a number: tests hold samples of it."""


def read_size(node: Node) -> int | str:
    """The length of an axis: a number from 1, or a name."""
    value = _number(node)
    if isinstance(value, int) and 1 <= value <= MAX_SIZE:
        return value
    if isinstance(node, Scalar) and node.kind is Kind.TEXT:
        return _read_variable(node).value
    raise _wrong(f"a whole number from 1 to {MAX_SIZE} or a name", node)


def read_epsilon(node: Node) -> float:
    """The distance of a guard from its end."""
    value = _number(node)
    if value is not None and 0 < value < 1:
        return float(value)
    raise _wrong("a number between 0 and 1", node)


@dataclass(frozen=True)
class PlacedDefault:
    """A parameter's default, and where it stands."""

    value: Default
    span: Span


def read_default(node: Node) -> PlacedDefault:
    """A finite number, or nested lists of them without ragged rows."""
    return PlacedDefault(_numbers(node, node), node.span)


def read_choice(options: tuple[str, ...]) -> Callable[[Node], Text]:
    """A reader for one of a few words."""

    def choose(node: Node) -> Text:
        if not isinstance(node, Scalar) or node.kind is Kind.NULL:
            raise _wrong(_either(options), node)
        if node.text.value in options:
            return node.text
        word = node.text.value
        remedy = partial(_meant_choice, word, options)
        raise _fault("LG103", f"takes no `{shorten(word)}`", node.span, remedy)

    return choose


def _meant_choice(word: str, options: tuple[str, ...]) -> str:
    close = closest(word, options)
    return f"did you mean `{close}`?" if close else f"write {_either(options)}"


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option that a misspelt word is most like, if one is."""
    return _closest(word, tuple(options))


@lru_cache(maxsize=4_096)
def _closest(word: str, options: tuple[str, ...]) -> str | None:
    by_folded = {option.lower(): option for option in options}
    close = difflib.get_close_matches(word.lower()[:60], by_folded, n=1)
    return by_folded[close[0]] if close else None


def as_list(node: Node) -> list[Node]:
    """The entries of a list; a lone value is its only entry."""
    return list(node.items) if isinstance(node, Sequence) else [node]


def opened(node: Node) -> dict[str, Node]:
    """The entries of a mapping, for the model of its values to check."""
    if not isinstance(node, Mapping):
        remedy = "write `name: value` for each entry, as in `{name: value}`"
        raise _wrong("a mapping", node, remedy)
    return {_key(key): value for key, value in node.entries}


def _fault(
    code: str, message: str, span: Span, remedy: str | Callable[[], str] | None = None
) -> PydanticCustomError:
    """A fault; a remedy that takes long to find is a function, for those reported."""
    context = {"message": message, "span": span, "remedy": remedy}
    return PydanticCustomError(code, "{message}", context)


def _wrong(expected: str, node: Node, remedy: str | None = None) -> PydanticCustomError:
    """A value of the wrong type; the report puts the name of its key in front."""
    message = f"must be {expected}, not {_described(node)}"
    return _fault("LG105", message, node.span, remedy)


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


def _checked_name(node: Node, find_fault: Callable[[str], str | None]) -> Text:
    if not isinstance(node, Scalar) or node.kind in (Kind.BOOLEAN, Kind.NULL):
        raise _wrong("a name", node)
    fault = find_fault(node.text.value)
    if fault:
        message = f"`{shorten(node.text.value)}` {fault}"
        raise _fault("LG106", message, node.span)
    return node.text


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


def _either(options: Iterable[str]) -> str:
    *rest, last = (f"`{option}`" for option in options)
    return f"{', '.join(rest)} or {last}" if rest else last


def _key(scalar: Scalar) -> Key:
    key = Key(scalar.text.value)
    key.node = scalar
    return key
