"""Warnings about wrong results of what is emitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mpmath import mp

from lossgen.analysis.samples import number_text
from lossgen.analysis.spelling import spell_symbol
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.domain import Bound, Domain
from lossgen.ir.expr import Apply, Expr, Role, number, walk
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Guard
from lossgen.ir.reference import ReferenceTable
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.alarms import Alarm, Examination, Kind, examine
from lossgen.oracle.culprit import Culprit, culprit
from lossgen.oracle.points import unbounded
from lossgen.oracle.reference import OUT_OF_STEPS
from lossgen.oracle.samples import Batch

_CODES = {Kind.NOT_FINITE: "LG601", Kind.ZERO: "LG602", Kind.DIGITS: "LG603"}
_FEW_DIGITS = 6
_MANY_DIGITS = 9
_MAX_ELEMENTS = 6
_EXPONENTIALS = frozenset({"exp", "softmax", "sigmoid"})


def report_inaccuracy(
    measure: Measured, form: Expr, guards: tuple[Guard, ...], report: Report
) -> float | None:
    """Warn of wrong results of a form.

    Args:
        measure: Has the points that the form was chosen by.
        form: What is emitted.
        guards: Where predictions are held.
        report: Takes the warnings.

    Returns:
        Up to which size of the inputs the form is exact to rounding, None for none.
    """
    found = examine(measure, form, guards)
    for alarm in found.alarms:
        cause = culprit(measure.formula, form, alarm)
        point = _point(measure, alarm.point.batch)
        notes = [f"at {point}: {cause.reason}" if cause.reason else f"at {point}"]
        report.add(
            _CODES[alarm.kind],
            _message(measure, alarm),
            cause.span,
            notes=notes,
            help=_way_out(measure, form, found, alarm, cause),
        )
    return found.reach


def report_left_out(loss: Loss, table: ReferenceTable, report: Report) -> None:
    """Warn where fewer than a third of the reference values are known."""
    kept = sum(len(case.rows) for case in (*table.probabilities, *table.logits))
    left_out = len(table.left_out)
    exhausted = OUT_OF_STEPS in table.left_out
    if left_out <= 2 * kept and not exhausted:
        return
    reason = f"no number of digits settles them, such as at {table.left_out[0]}"
    report.add(
        "LG605",
        f"of the samples for the generated test {kept} are left",
        loss.expression.span,
        notes=["there were no steps left for others" if exhausted else reason],
        help="simplify the formula, or give a reason for LG605 under `allow`",
    )


def _message(measure: Measured, alarm: Alarm) -> str:
    what = _subject(measure, alarm)
    many = alarm.kind is Kind.DIGITS
    found, right = (
        mp.nstr(item, _MANY_DIGITS if many else _FEW_DIGITS) if item is not None else ""
        for item in (alarm.found, alarm.right)
    )
    shown = {
        "": "NaN or infinite",
        "nan": "NaN",
        "+inf": "infinite",
        "-inf": "-infinite",
    }
    return f"in float32 {what} comes out as {shown.get(found, found)}, not {right}"


def _subject(measure: Measured, alarm: Alarm) -> str:
    of = " of logits" if measure.logits else ""
    if not alarm.is_slope:
        return f"the loss{of}"
    element = alarm.element[-1]
    for variable in measure.loss.of_role(Role.Y_PRED):
        length = alarm.point.batch.inputs[variable.name].shape[-1]
        if element < length:
            index = f"[{element}]" if length > 1 else ""
            return f"the gradient{of} by {spell_symbol(variable.name)}{index}"
        element -= length
    return f"the gradient{of}"


def _point(measure: Measured, batch: Batch) -> str:
    """The inputs, and the parameters that have no default."""
    without = [item.name for item in measure.loss.parameters if item.default is None]
    arrays = {**batch.inputs, **{name: batch.parameters[name] for name in without}}
    return ", ".join(
        f"{spell_symbol(name)} = {_numbers(array.reshape(-1).tolist())}"
        for name, array in arrays.items()
    )


def _numbers(values: list[Any]) -> str:
    shown = [number_text(item) for item in values[:_MAX_ELEMENTS]]
    more = ", …" if len(values) > _MAX_ELEMENTS else ""
    return shown[0] if len(values) == 1 else f"[{', '.join(shown)}{more}]"


# The way out --------------------------------------------------------------------------


def _way_out(
    measure: Measured, form: Expr, found: Examination, alarm: Alarm, cause: Culprit
) -> str:
    ways = [*_declarations(measure, form, found, alarm)]
    has_logarithm = any(
        isinstance(node, Apply) and node.op in ("log", "log1p")
        for node in walk(measure.formula.expression)
    )
    if has_logarithm and alarm.kind is not Kind.DIGITS and cause.op in _EXPONENTIALS:
        ways.append("write it with logsumexp, logaddexp, softplus or log_softmax")
    elif cause.op == "add":
        ways.append("write the difference so that nothing cancels (expm1, log1p, …)")
    if not ways:
        name = measure.loss.name
        ways.append(f"see whether `lossgen optimize {name}` finds a better form")
    ways.append(f"give a reason for {_CODES[alarm.kind]} under `allow`")
    return ", or ".join(ways)


def _declarations(
    measure: Measured, form: Expr, found: Examination, alarm: Alarm
) -> Iterator[str]:
    """The domains within which the form is exact, if inputs are there."""
    names = unbounded(measure.loss, logits=False)
    if measure.logits or found.reach is None or alarm.size <= found.reach or not names:
        return
    bounded = _bounded(measure.loss, names, found.reach)
    if examine(Measured(bounded, logits=False), form).alarms:
        return
    texts = [
        f'`{spell_symbol(item.name)}: "{bounded.variable(item.name).domain.text}"`'
        for item in names
    ]
    yield f"declare {' and '.join(texts)} if no input is larger"


def _bounded(loss: Loss, names: tuple[Variable, ...], size: float) -> Loss:
    """The loss for inputs of limited size."""
    variables = tuple(
        replace(item, domain=_within(item.domain, int(size))) if item in names else item
        for item in loss.variables
    )
    return replace(loss, variables=variables)


def _within(domain: Domain, size: int) -> Domain:
    lower, upper = domain.lower, domain.upper
    if lower.value is None:
        lower = Bound(number(-size), -size, False)
    if upper.value is None:
        upper = Bound(number(size), size, False)
    opening, closing = "(" if lower.open else "[", ")" if upper.open else "]"
    text = f"{opening}{lower.approx:g}, {upper.approx:g}{closing}"
    return replace(domain, lower=lower, upper=upper, text=text)
