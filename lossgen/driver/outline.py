"""Any stage's result as an indented outline, for ``show --stage``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from lossgen.diagnostics.codes import Code
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.ir.domain import Domain
from lossgen.ir.expr import Apply, Constant, Number, Symbol
from lossgen.ir.spec import Text

_SILENT = (SourceFile, Span)


def outline(value: object) -> str:
    """The fields of a result, one a line; positions and empty fields are left out."""
    return "".join(f"{line}\n" for line in _lines(value))


def expression(expr: object) -> str:
    """An expression tree as nested calls: ``mul(2, log(y_pred))``."""
    if isinstance(expr, Number):
        return str(expr.value)
    if isinstance(expr, Constant | Symbol):
        return expr.name
    if isinstance(expr, Apply):
        args = [expression(arg) for arg in expr.args]
        if expr.axis:
            args.append(f"axis={expr.axis.value}")
        return f"{expr.op}({', '.join(args)})"
    raise TypeError(f"not an expression: {type(expr).__name__}")


def _lines(value: object) -> Iterator[str]:
    short = _short(value)
    if short is not None:
        yield short
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _field(field.name, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _field(str(name), item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _item(item)
    elif value is not None:
        yield str(value)


def _field(name: str, value: object) -> Iterator[str]:
    if value is None or value == () or isinstance(value, _SILENT):
        return
    short = _short(value)
    if short is not None:
        yield f"{name}: {short}"
        return
    yield f"{name}:"
    yield from (f"  {line}" for line in _lines(value))


def _item(value: object) -> Iterator[str]:
    for index, line in enumerate(_lines(value)):
        yield f"- {line}" if index == 0 else f"  {line}"


def _short(value: object) -> str | None:
    """What fits in a line, or None."""
    if isinstance(value, Number | Constant | Symbol | Apply):
        return expression(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Text):
        return value.value
    if isinstance(value, Domain):
        return value.text
    if isinstance(value, Code):
        return f"{value.id} {value.name}"
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(item) for item in value))
    if isinstance(value, str | int | float):
        return str(value)
    return None
