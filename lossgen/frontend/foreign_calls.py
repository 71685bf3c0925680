"""Calls of functions that the language has not: what to write in their place."""

from __future__ import annotations

import ast
import re

from lossgen.frontend.reader import shorten
from lossgen.frontend.typos import suggestion
from lossgen.frontend.vocabulary import (
    WITHOUT_GRADIENT,
    answer_to_axis,
    formula_for,
    reason_against,
)
from lossgen.ir.functions import CALLS
from lossgen.ir.spec import Text

_SIMPLE = (ast.Name, ast.Constant, ast.Call, ast.Attribute)
_LONGEST = 120  # characters of a formula that is written out with the arguments


def describe(
    function: ast.Name | ast.Attribute, node: ast.Call, text: Text
) -> tuple[str, str, str]:
    """Code, message and way out for a call that is none of the language.

    Args:
        function: What is called.
        node: The call.
        text: The expression that it stands in.
    """
    args = node.args
    if isinstance(function, ast.Name):
        name, code = function.id, "LG204"
    else:
        name, code = function.attr, "LG202"
        if _is_tensor(function.value):
            args = [function.value, *args]
    own = _own(name, len(args))
    formula = own or formula_for(name)
    reason = reason_against(name)
    if formula and _is_flat(formula) and any(map(_uses_prediction, args)):
        formula, reason = None, WITHOUT_GRADIENT
    message = f"`{shorten(name)}` is not part of the language"
    if formula:
        way_out = f"write `{_filled(formula, args, node, text)}`"
        message = "functions stand without a module" if own else message
        return code, message, way_out
    if reason:
        return code, message, reason
    near = suggestion(name, CALLS) or (
        "docs/language.md lists the functions, and `lossgen list` the losses to start "
        "from"
    )
    return code, f"unknown function `{shorten(name)}`", near


def _is_tensor(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("y_true", "y_pred")


def _uses_prediction(node: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Name) and part.id == "y_pred" for part in ast.walk(node)
    )


def _is_flat(formula: str) -> bool:
    """Whether a formula has operations on y_true and parameters alone."""
    return any(part in formula for part in ("floor", "sign", "is_finite", "==", "!="))


def _own(name: str, count: int) -> str | None:
    """A call of a function of the language, where a module stood before its name."""
    for function in CALLS.get(name, ()):
        if count >= function.min_args and (count == 1 or not function.takes_axis):
            axis = ", axis=last" if function.takes_axis else ""
            return f"{name}({', '.join('uvw'[:count])}{axis})"
    return None


def _filled(formula: str, args: list[ast.expr], node: ast.Call, text: Text) -> str:
    """The formula with the arguments of a call, as far as it has any."""
    written = dict(zip("uvw", args, strict=False))

    def argument(found: re.Match[str]) -> str:
        arg = written.get(found[0])
        if arg is None:
            return found[0]
        source = " ".join(text.value[arg.col_offset : arg.end_col_offset].split())
        before, after = formula[: found.start()], formula[found.end() :]
        alone = before.endswith(("(", ", ")) and after.startswith((")", ","))
        return source if alone or isinstance(arg, _SIMPLE) else f"({source})"

    filled = re.sub(r"\b[uvw]\b", argument, formula)
    if len(filled) > _LONGEST:
        filled = formula
    for keyword in node.keywords:
        if keyword.arg == "axis":
            filled = filled.replace("axis=last", f"axis={_axis(keyword.value)}")
    return filled


def with_axis(name: str, node: ast.Call, text: Text) -> str | None:
    """A call with the axis that it lacks; the second argument may be meant for it."""
    if not node.args:
        return None
    axis = _axis(node.args[1]) if len(node.args) == 2 else "last"
    first = node.args[0]
    source = " ".join(text.value[first.col_offset : first.end_col_offset].split())
    return f"write `{name}({shorten(source)}, axis={axis})`"


def _axis(value: ast.expr) -> str:
    """The axis of the language that another one stands for."""
    source = ast.unparse(value)
    meant = re.search(r"axis=(\w+)", answer_to_axis(source))
    return source if source in _AXES or meant is None else meant[1]


_AXES = ("last", "spatial", "sample", "batch")
