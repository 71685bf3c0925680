"""The pytest file of a loss."""

from __future__ import annotations

from typing import Any

from lossgen.backend.formatting import format_source
from lossgen.backend.property_tests import is_unbounded, property_tests
from lossgen.backend.prose import title
from lossgen.backend.shape import result_shape
from lossgen.backend.signature import default_source
from lossgen.backend.tables import REPEATED, source
from lossgen.backend.templating import render
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.options import Options
from lossgen.ir.program import LossProgram
from lossgen.ir.reference import KinkRow, Nested, ReferenceCase, ReferenceTable

TEMPLATE = "test_loss.py.jinja"

_OUTSIDE = (-1.0, 2.0, 0.5, 0.0, -1e6, 1e6)


def emit_test(program: LossProgram, table: ReferenceTable, options: Options) -> str:
    """The source of the test file, formatted, without the header."""
    loss = program.checked.loss
    shape = result_shape(loss, program.body.extent)
    context: dict[str, Any] = {
        "name": loss.name,
        "class_name": loss.class_name,
        "title": title(loss),
        "module": f"{options.module}.{loss.name}" if options.module else loss.name,
        "cases": [_case(case) for case in table.probabilities],
        "logits_cases": [_case(case) for case in table.logits],
        "ends": [f"({source(t)}, {source(p)})" for t, p in table.ends],
        "kinks": [_kink(row) for row in table.kinks],
        "logits": bool(loss.spec.y_pred.logits),
        "required": _required(loss, table),
        "outside": [_outside(item) for item in loss.parameters if _outside(item)],
        "unused_target": loss.spec.y_true.unused,
        "batched": shape.batched,
        "sparse": loss.spec.y_true.sparse,
        "ignore": loss.spec.y_true.ignore,
        "properties": property_tests(program.checked),
        "unbounded": is_unbounded(loss),
        "at_kinks": table.probabilities[0].at_kinks,
        "flat": all(_is_zero(row.gradient) for row in table.probabilities[0].rows),
    }
    tables = (context[key] for key in ("cases", "logits_cases", "ends", "kinks"))
    context["repeated"] = any(REPEATED in text for table in tables for text in table)
    return format_source(render(TEMPLATE, context, options.templates))


def _case(case: ReferenceCase) -> str:
    rows = ",\n".join(
        "("
        + ", ".join(
            source(item)
            for item in (
                row.y_true,
                row.y_pred,
                row.value,
                row.value_tolerance,
                row.gradient,
                row.gradient_tolerance,
            )
        )
        + ")"
        for row in case.rows
    )
    return f"({_mapping(case)}, [\n{rows},\n])"


def _kink(row: KinkRow) -> str:
    slopes = ", ".join(map(source, (row.left, row.right, row.gradient)))
    inputs = f"{source(row.y_true)}, {source(row.y_pred)}"
    return f"({_mapping(row)}, {inputs}, {row.element}, {slopes})"


def _mapping(case: ReferenceCase | KinkRow) -> str:
    items = (f'"{name}": {source(value)}' for name, value in case.parameters.items())
    return "{" + ", ".join(items) + "}"


def _required(loss: Loss, table: ReferenceTable) -> str:
    """Arguments for the parameters that have no default."""
    first = table.probabilities[0].parameters
    items = (
        f'"{item.name}": {source(first[item.name])}'
        for item in loss.parameters
        if item.default is None
    )
    return "{" + ", ".join(items) + "}"


def _outside(variable: Variable) -> str | None:
    """A value that the parameter's domain refuses, as a pair of source texts."""
    for value in _OUTSIDE:
        if not variable.domain.contains(value):
            wrong = value if variable.shape == "scalar" else (value, value, value)
            return f'("{variable.name}", {default_source(wrong)})'
    return f'("{variable.name}", float("nan"))' if variable.shape == "scalar" else None


def _is_zero(value: Nested) -> bool:
    if isinstance(value, tuple):
        return all(_is_zero(item) for item in value)
    return value == 0
