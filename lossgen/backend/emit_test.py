"""The pytest file of a loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from lossgen.backend.formatting import BETWEEN_ELEMENTS, format_source
from lossgen.backend.property_tests import (
    counterparts,
    is_unbounded,
    property_tests,
)
from lossgen.backend.prose import title
from lossgen.backend.shape import is_spatial, result_shape
from lossgen.backend.signature import default_source
from lossgen.backend.tables import (
    REPEATED,
    ROUGH_DIGITS,
    SINGLE_DIGITS,
    Display,
    display,
    laid_out,
    source,
)
from lossgen.backend.templating import render
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Axis, Role, depends_on, walk
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.options import Options
from lossgen.ir.program import LossProgram, Placeholders
from lossgen.ir.reference import (
    ALL_THE_SAME,
    BESIDE_KINKS,
    CLOSE_TO_TARGETS,
    FURTHER_PARAMETERS,
    OTHER_PARAMETERS,
    TRAINING,
    WHOLE_DOMAIN,
    EndRow,
    KinkRow,
    Nested,
    ParameterSlopes,
    ReferenceCase,
    ReferenceRow,
    ReferenceTable,
)

TEMPLATE = "test_loss.py.jinja"

_NEAR = 1e-6
_INSIDE = (0.5, 1.0, 2.0, -1.0)
_OUTSIDE = (-1.1, 2.1, 0.55, 0.0, -1e6, 1e6)  # most of them no float32 numbers


_DESCRIPTIONS = {
    TRAINING: "Samples as in training, with the default parameters",
    CLOSE_TO_TARGETS: "Predictions close to their targets",
    ALL_THE_SAME: "A batch without variance",
    WHOLE_DOMAIN: "From all over the domain: all magnitudes, corners, near targets",
    BESIDE_KINKS: "On either side of each kink, 1/256 away",
    FURTHER_PARAMETERS: "Other parameters",
    OTHER_PARAMETERS: "Other parameters once more",
}


_SMALLEST_NORMAL = 2.0**-126
"""What is below it counts as 0 in float32."""


def emit_test(
    program: LossProgram,
    table: ReferenceTable,
    placeholders: Placeholders,
    options: Options,
) -> str:
    """The source of the test file, formatted, without the header.

    Args:
        program: The lowered loss.
        table: What the test compares with.
        placeholders: What stands in for dropped elements.
        options: The test's import of the module, and the template directories.
    """
    loss = program.checked.loss
    shape = result_shape(loss, program.body.extent)
    independent = not shape.batched and not loss.varies_by_element
    single = _is_single(table)
    bare = single and isinstance(table.probabilities[0].rows[0].value, float)
    cases = [_case(case, bare) for case in table.probabilities]
    logits_cases = [_case(case, bare, "LOGITS_") for case in table.logits]
    curvatures = [_pair(*item) for item in table.curvatures]
    ends = [_end(row, bare) for row in table.ends]
    kinks = [_kink(row) for row in table.kinks]
    context: dict[str, Any] = {
        "name": loss.name,
        "class_name": loss.class_name,
        "title": title(loss),
        "module": f"{options.module}.{loss.name}" if options.module else loss.name,
        "cases": cases,
        "logits_cases": logits_cases,
        "ends": [_text(row) for row in ends],
        "kinks": [_text(row) for row in kinks],
        "descriptions": _DESCRIPTIONS,
        "curvatures": curvatures,
        "parameter_slopes": _slopes(table.parameter_slopes),
        "logits_slopes": _slopes(table.logits_slopes),
        "far_logits": table.far_logits,
        "moderate": _last_moderate(table.probabilities),
        "moderate_logits": _last_moderate(table.logits),
        "logits": loss.spec.y_pred.logits,
        "label_gradient": _has_label_gradient(loss),
        "whole_parameter": _whole(loss),
        "required": _required(loss, table),
        "defaults": _defaults(loss),
        "inside": [pair for item in loss.parameters for pair in _inside(item)],
        "outside": [pair for item in loss.parameters for pair in _outside(item)],
        "unused_target": loss.spec.y_true.unused,
        "idle_target": _is_idle(program),
        "labelled": loss.mask is not None or loss.spec.y_true.ignore is not None,
        "same_shape": _have_one_shape(table),
        "detached": any(
            isinstance(node, Apply) and node.op == "stop_gradient"
            for node in walk(loss.expression)
        ),
        "batched": shape.batched,
        "drops_weight_0": shape.batched or not placeholders.counts,
        "independent": independent,
        "averages_kept": shape.masked,
        "masked": shape.kind == "elements" and _are_alike(loss.of_role(Role.Y_PRED)),
        "elements_meet": shape.kind == "elements" and _looks_along(loss),
        "copies": len(loss.of_role(Role.Y_PRED)),
        "more_axes": (independent and not shape.repeated and _broadcasts(loss)),
        "whole_sample": shape.kind == "batch",
        "along_samples": _looks_along_samples(loss),
        "row_parameters": [v.name for v in loss.parameters if v.shape == "last"],
        "element_parameters": [
            item.name for item in loss.parameters if item.shape == "elements"
        ],
        "any_width": _has_any_width(loss),
        "channels": len(loss.of_role(Role.Y_PRED)) > 1 and not is_spatial(loss),
        "by_channel": any(
            len(loss.of_role(role)) > 1 for role in (Role.Y_TRUE, Role.Y_PRED)
        ),
        "counterparts": counterparts(loss),
        "whole_labels": _label_types(loss),
        "single": single,
        "bare": bare,
        "elementwise": (
            shape.averaged and not shape.batched and _is_elementwise(loss, table)
        ),
        "single_label": not single and _has_single_label(loss, table),
        "variables": _take_variables(table),
        "ranks_differ": _ranks_differ(table),
        "sparse": loss.spec.y_true.sparse,
        "ignore": loss.spec.y_true.ignore,
        "properties": property_tests(program.checked),
        "unbounded": is_unbounded(loss),
        "at_kinks": table.probabilities[0].at_kinks,
        "level": _is_level(table.probabilities[0].rows),
        "flat": all(map(_is_flat, table.probabilities[0].rows)),
    }
    tables = [ends, kinks, *(case.rows for case in (*cases, *logits_cases))]
    context["repeated"] = any(REPEATED in _text(row) for row in chain(*tables))
    final = [text for rows in tables for text in _entries(rows)]
    if curvatures:
        final.append(BETWEEN_ELEMENTS.join(curvatures))
    return format_source(render(TEMPLATE, context, options.templates), final)


def _entries(rows: Sequence[Display]) -> list[str]:
    """The rows of a table in final layout, as one text if all of them are known."""
    texts = [text for row in rows if (text := laid_out(row))]
    if not texts or len(texts) < len(rows):
        return texts
    return [BETWEEN_ELEMENTS.join(texts)]


@dataclass(frozen=True)
class _Table:
    """A case in text: the constant that holds its rows, what it is, and the rows."""

    constant: str
    name: str
    parameters: str
    rows: tuple[Display, ...]

    @property
    def texts(self) -> list[str]:
        """The rows, laid out."""
        return [_text(row) for row in self.rows]


def _text(row: Display) -> str:
    return laid_out(row) or str(row)


def _case(case: ReferenceCase, bare: bool, prefix: str = "") -> _Table:
    """A case in text; with ``bare`` without the axis of length 1."""
    rows = tuple(
        _row(
            _input(_without_axis(row.y_true, bare)),
            _input(_without_axis(row.y_pred, bare)),
            display(row.value),
            display(row.value_tolerance),
            display(_without_axis(row.gradient, bare)),
            display(_without_axis(row.gradient_tolerance, bare)),
        )
        for row in case.rows
    )
    constant = prefix + case.name.upper().replace(" ", "_")
    return _Table(constant, case.name, str(_mapping(case)), rows)


def _without_axis(value: Nested, bare: bool) -> Nested:
    return value[0] if bare and isinstance(value, tuple) else value


def _input(value: Nested) -> Display | str:
    """An input of float32."""
    return display(value, digits=SINGLE_DIGITS)


def _slopes(found: ParameterSlopes) -> list[str]:
    """Per parameter its name, its derivative and what rounding may change."""
    return [
        f'("{name}", {source(slope)}, {_rough(noise)})'
        for name, (slope, noise) in found.items()
    ]


def _pair(exact: float, noise: float) -> str:
    return f"({source(exact)}, {_rough(noise)})"


def _rough(noise: Nested) -> str:
    """The same with two digits, which are enough for an allowance."""
    return str(display(noise, digits=ROUGH_DIGITS))


def _last_moderate(cases: Sequence[ReferenceCase]) -> int:
    """The last case but that of the whole domain, counted from the end."""
    names = [case.name for case in reversed(cases)]
    return -1 - next((k for k, name in enumerate(names) if name != WHOLE_DOMAIN), 0)


def _kink(row: KinkRow) -> Display:
    slopes = map(display, (row.low, row.high))
    inputs = _input(row.y_true), _input(row.y_pred)
    return _row(_mapping(row), *inputs, str(row.element), *slopes)


def _end(row: EndRow, bare: bool) -> Display:
    return _row(
        _input(_without_axis(row.y_true, bare)),
        _input(_without_axis(row.y_pred, bare)),
        display(row.total),
        display(row.total_tolerance),
        display(_without_axis(row.gradient, bare)),
        display(_without_axis(row.gradient_tolerance, bare)),
    )


def _row(*items: Display | str) -> Display:
    return Display("()", items)


def _mapping(case: ReferenceCase | KinkRow) -> Display:
    items = (
        display(value, f'"{name}": ', digits=None)
        for name, value in case.parameters.items()
    )
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


def _outside(variable: Variable) -> Iterator[str]:
    """Values that the parameter's domain refuses, as pairs of source texts.

    One beyond each end, or one between the members of a set.
    """
    domain = variable.domain
    refused = [value for value in _OUTSIDE if not domain.contains(value)]
    below = [value for value in refused if value <= domain.lower.approx]
    above = [value for value in refused if value >= domain.upper.approx]
    for value in (*below[:1], *above[:1]) or refused[:1]:
        wrong = (value, value, value) if variable.shape == "last" else value
        yield f'("{variable.name}", {default_source(wrong)})'
    if variable.shape == "scalar":
        yield f'("{variable.name}", float("nan"))'
        yield f'("{variable.name}", float("inf"))'
        for value in filter(variable.domain.contains, _INSIDE):
            yield f'("{variable.name}", [{default_source(value)}])'  # of another rank
            break


def _whole(loss: Loss) -> tuple[str, int] | None:
    """A parameter that may be a whole number, and one."""
    return next(
        (
            (item.name, value)
            for item in loss.parameters
            for value in (1, 2, 0)
            if item.shape == "scalar" and item.domain.contains(value)
        ),
        None,
    )


def _has_label_gradient(loss: Loss) -> bool | None:
    """Whether the gradient by labels is computed; None if there are none to ask for."""
    if loss.spec.y_true.unused or loss.spec.y_true.sparse:
        return None
    return bool(loss.spec.y_true.gradient)


def _defaults(loss: Loss) -> str:
    """The parameters that have a default, or nothing where none has."""
    items = (
        str(display(item.default, f'"{item.name}": ', digits=None))
        for item in loss.parameters
        if item.default is not None
    )
    text = ", ".join(items)
    return f"{{{text}}}" if text else ""


def _inside(variable: Variable) -> Iterator[str]:
    """Values at the ends of a parameter's domain, or next to open ones."""
    domain = variable.domain
    if variable.shape != "scalar" or domain.labels:
        return
    for bound, inward in ((domain.lower, 1), (domain.upper, -1)):
        if bound.value is not None:
            value = bound.approx + (inward * _NEAR if bound.open else 0.0)
            if domain.contains(value):
                yield f'("{variable.name}", {default_source(value)})'


def _is_elementwise(loss: Loss, table: ReferenceTable) -> bool:
    """Whether samples of one feature are tabled, and may have several."""
    row, *others = table.probabilities[0].rows
    lengths = [
        (item, len(loss.of_role(role)) or 1)
        for item, role in ((row.y_true, Role.Y_TRUE), (row.y_pred, Role.Y_PRED))
    ]
    return (
        len(others) > 1
        and isinstance(row.value, float)
        and all(_is_row(item, length) for item, length in lengths)
        and all(item.size is None for item in loss.variables)
        and all(item.shape == "scalar" for item in loss.parameters)
    )


def _has_single_label(loss: Loss, table: ReferenceTable) -> bool:
    """Whether the last axis of labels has length 1."""
    row = table.probabilities[0].rows[0]
    return not loss.spec.y_true.sparse and _is_row(row.y_true, 1)


def _is_row(value: Nested, length: int) -> bool:
    """Whether it is one row of so many numbers."""
    return (
        isinstance(value, tuple)
        and len(value) == length
        and all(isinstance(item, float) for item in value)
    )


def _looks_along(loss: Loss) -> bool:
    """Whether the elements of a row act on one another."""
    nodes = walk(loss.expression)
    return any(isinstance(node, Apply) and node.axis is not None for node in nodes)


def _looks_along_samples(loss: Loss) -> bool:
    """Whether a value, or the mask, depends on more than a row of the last axis."""
    return any(
        isinstance(node, Apply) and node.axis in (Axis.SAMPLE, Axis.SPATIAL)
        for expression in (loss.expression, loss.mask)
        if expression is not None
        for node in walk(expression)
    )


def _is_idle(program: LossProgram) -> bool:
    """Whether nothing that is computed depends on labels: ``0*y_true``."""
    if program.checked.loss.spec.y_true.sparse or program.kept is not None:
        return False
    computed = [item.value for item in program.body.assignments]
    return not any(
        depends_on(expr, Role.Y_TRUE) for expr in (*computed, program.body.result)
    )


def _have_one_shape(table: ReferenceTable) -> bool:
    """Whether y_true is of the shape of y_pred."""
    row = table.probabilities[0].rows[0]
    return np.shape(row.y_true) == np.shape(row.y_pred)


def _broadcasts(loss: Loss) -> bool:
    """Whether parameters fit samples of any rank."""
    return all(item.shape in ("scalar", "last") for item in loss.parameters)


def _has_any_width(loss: Loss) -> bool:
    """Whether samples of rank 1 may have any number of features, one included."""
    return (
        not is_spatial(loss)
        and not (loss.spec.y_true.unused or loss.spec.y_true.sparse)
        and len(loss.of_role(Role.Y_PRED)) == len(loss.of_role(Role.Y_TRUE)) == 1
        and all(item.size is None for item in loss.variables)
    )


def _label_types(loss: Loss) -> list[str]:
    """The types other than float32 that hold all labels, if these are whole numbers."""
    domains = [item.domain for item in loss.of_role(Role.Y_TRUE)]
    if loss.mask is not None or not domains:
        return []  # a masked label may be NaN
    whole = all(
        item.kind is DomainKind.COUNT
        or (item.labels and all(label.denominator == 1 for label in item.labels))
        for item in domains
    )
    if not whole:
        return []
    binary = not loss.spec.y_true.sparse and all(
        item.labels and {*item.labels} <= {0, 1} for item in domains
    )
    return ["int32", "int64", "float64", *(["uint8", "bool"] if binary else [])]


def _is_single(table: ReferenceTable) -> bool:
    """Whether a sample is one label and one prediction on an axis of length 1."""
    row = table.probabilities[0].rows[0]
    return _is_row(row.y_true, 1) and _is_row(row.y_pred, 1)


def _take_variables(table: ReferenceTable) -> bool:
    """Whether the same variables can hold the parameters of all cases."""
    first, *others = (case.parameters for case in table.probabilities)
    shapes = [{k: np.shape(v) for k, v in item.items()} for item in (first, *others)]
    return bool(first) and all(item == shapes[0] for item in shapes)


def _ranks_differ(table: ReferenceTable) -> bool:
    """Whether the samples of some cases have more axes than those of others."""
    return len({np.ndim(case.rows[0].y_pred) for case in table.probabilities}) > 1


def _is_level(rows: Sequence[ReferenceRow]) -> bool:
    """Whether no step of a dense layer need lower the loss by more than rounding.

    The layer starts as the identity, and a step changes no weight by more than 1.
    """
    y_pred, slope, noise = (
        np.array([getattr(row, name) for row in rows])
        for name in ("y_pred", "gradient", "gradient_tolerance")
    )
    batch = range(y_pred.ndim - 1)
    by_weight = np.abs(np.tensordot(y_pred, slope, (batch, batch)))
    uncertain = np.tensordot(np.abs(y_pred), noise, (batch, batch))
    gain = (by_weight**2).sum() / (by_weight.max() or 1.0)
    rounding = sum(np.sum(row.value_tolerance) for row in rows)
    return bool(gain <= rounding or (by_weight <= uncertain).all())


def _are_alike(channels: Sequence[Variable]) -> bool:
    """Whether all have one length."""
    return len({item.size for item in channels}) == 1


def _is_flat(row: ReferenceRow) -> bool:
    """Whether rounding, too, leaves a gradient of 0 what it is."""
    noise = float(np.max(row.gradient_tolerance))
    return _is_zero(row.gradient) and noise < _SMALLEST_NORMAL


def _is_zero(value: Nested) -> bool:
    if isinstance(value, tuple):
        return all(_is_zero(item) for item in value)
    return value == 0
