"""The pytest file of a loss."""

from __future__ import annotations

from itertools import chain
from typing import Any

from lossgen.backend.formatting import format_source
from lossgen.backend.property_tests import is_unbounded, property_tests
from lossgen.backend.prose import title
from lossgen.backend.shape import result_shape
from lossgen.backend.signature import default_source
from lossgen.backend.tables import REPEATED, Display, display, laid_out, source
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
    rows = {
        "cases": [_case(case) for case in table.probabilities],
        "logits_cases": [_case(case) for case in table.logits],
        "ends": [_row(display(t), display(p)) for t, p in table.ends],
        "kinks": [_kink(row) for row in table.kinks],
    }
    tables = {name: [laid_out(row) or str(row) for row in rows[name]] for name in rows}
    context: dict[str, Any] = {
        "name": loss.name,
        "class_name": loss.class_name,
        "title": title(loss),
        "module": f"{options.module}.{loss.name}" if options.module else loss.name,
        **tables,
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
    context["repeated"] = any(
        REPEATED in text for texts in tables.values() for text in texts
    )
    final = [text for row in chain(*rows.values()) if (text := laid_out(row))]
    return format_source(render(TEMPLATE, context, options.templates), final)


def _case(case: ReferenceCase) -> Display:
    rows = tuple(
        _row(
            display(row.y_true),
            display(row.y_pred),
            display(row.value),
            display(row.value_tolerance),
            display(row.gradient),
            display(row.gradient_tolerance),
        )
        for row in case.rows
    )
    return _row(_mapping(case), Display("[]", rows, exploded=True))


def _kink(row: KinkRow) -> Display:
    slopes = map(display, (row.left, row.right, row.gradient))
    inputs = display(row.y_true), display(row.y_pred)
    return _row(_mapping(row), *inputs, str(row.element), *slopes)


def _row(*items: Display | str) -> Display:
    return Display("()", items)


def _mapping(case: ReferenceCase | KinkRow) -> Display:
    items = (display(value, f'"{name}": ') for name, value in case.parameters.items())
    return Display("{}", tuple(items))


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
