"""Looks for a point where an operation has no value, or no derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

from lossgen.analysis.lengths import shortened
from lossgen.analysis.samples import (
    Sample,
    constant_rows,
    number_text,
    uses_axis,
    witnesses,
)
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.calculus.jets import Jet, constant_term
from lossgen.ir.domain import Domain
from lossgen.ir.expr import ZERO, Apply, Axis, Expr, Role
from lossgen.ir.loss import Loss

_DIGITS = 40
_MANY_DIGITS = 500  # what looks like 0 at 40 digits may be exp(-1000)
_TRIES = 6
_SHOWN = 8  # elements of an argument


@dataclass(frozen=True)
class Witness:
    """A point of the domain, and what the operation was applied to there.

    Where an argument changes sign, the point is known to many digits, not exactly.
    """

    sample: Sample
    row: int
    fault: Undefined
    crossing: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs."""
        return tuple(self.sample.environment)

    def place(self, names: tuple[str, ...]) -> str:
        """The values of some inputs."""
        return self.sample.describe(self.row, names)

    @property
    def shown_argument(self) -> str:
        """The first argument."""
        return _number(self.fault.arguments[0])

    @property
    def shown_call(self) -> str:
        """The operation applied to numbers."""
        shown = [_number(item) for item in self.fault.arguments[:_SHOWN]]
        op = self.fault.node.op
        if op == "div":
            return f"{_wrapped(shown[0])}/{_wrapped(shown[1])}"
        if op == "pow":
            return f"{_wrapped(shown[0])}**{_wrapped(shown[1])}"
        return f"{op}({', '.join(shown)})"


def find_witness(
    loss: Loss, node: Apply, guards: tuple[Expr, ...], derivative: bool
) -> Witness | None:
    """A point of the domain where an operation fails.

    Args:
        loss: Says where the inputs come from.
        node: The operation.
        guards: What must be true for it to be computed.
        derivative: Look for a missing derivative instead of a missing value.
    """
    expr: Expr = node
    for guard in reversed(guards):
        expr = Apply("where", (guard, expr, ZERO))
    # The operation by itself, and then within the loss: guards around a reduction hold
    # for one element only, and its other elements are seen in the second place.
    for tree in (expr, loss.expression):
        for sample in witnesses(loss):
            for side in (1, -1) if derivative else (0,):
                found = _first_fault(loss, tree, node, sample, side)
                if found is not None:
                    return found
    return _on_long_rows(loss, node, expr, derivative)


def _on_long_rows(
    loss: Loss, node: Apply, expr: Expr, derivative: bool
) -> Witness | None:
    for short in shortened(loss) if node.axis is None else ():
        tree, target = short.expression(expr), short.expression(node)
        sample = constant_rows(short.rewritten, short.length)
        if tree == expr or sample is None or not isinstance(target, Apply):
            continue
        for side in (1, -1) if derivative else (0,):
            found = _first_fault(short.rewritten, tree, target, sample, side)
            if found is not None:
                return found
    return None


def _first_fault(
    loss: Loss, expr: Expr, node: Apply, sample: Sample, side: int
) -> Witness | None:
    faults = _faults(loss, expr, node, sample, side, _DIGITS)
    for _, index, fault in sorted(faults, key=lambda entry: entry[:2])[:_TRIES]:
        row = index[0] if len(index) and index[0] < sample.rows else 0
        found = Witness(sample, row, fault)
        if _is_confirmed(loss, expr, node, found, side):
            return found
    return None


def _faults(
    loss: Loss, expr: Expr, node: Apply, sample: Sample, side: int, digits: int
) -> list[tuple[int, tuple[int, ...], Undefined]]:
    """Where the operation fails, with what there is to write about the place."""
    with mp.workdps(digits):
        environment: dict[str, Any] = dict(sample.environment)
        if side:
            for variable in loss.of_role(Role.Y_PRED):
                environment[variable.name] = _moving(
                    environment[variable.name], variable.domain, side
                )
        values = Evaluation(environment).value(expr)
    return [
        (_simplicity(sample, index), index, item)
        for index, item in np.ndenumerate(values)
        if isinstance(item, Undefined) and item.node == node and not item.overflow
    ]


def _is_confirmed(
    loss: Loss, expr: Expr, node: Apply, found: Witness, side: int
) -> bool:
    """Whether more digits change nothing: ``1 - tanh(1000)`` only seems to be 0."""
    rows = found.sample.rows
    single = (
        found.sample
        if uses_axis(loss.expression, Axis.BATCH)
        else found.sample.only(np.arange(rows) == found.row)
    )
    return bool(_faults(loss, expr, node, single, side, _MANY_DIGITS))


def _moving(array: Any, domain: Domain, side: int) -> Any:
    """The array as germs, each element moving into the domain with a slope of its own.

    Different slopes keep a sum of the movements from vanishing by accident.
    """
    result = np.empty(array.shape, dtype=object)
    for count, (index, value) in enumerate(np.ndenumerate(array)):
        start = mp.mpmathify(value)
        slope = side * (1 + count % 5)
        if not domain.contains(float(value) + side * 1e-9):
            slope = -slope
        result[index] = Jet((start, mp.mpf(slope)))
    return result


def _simplicity(sample: Sample, index: tuple[int, ...]) -> int:
    """How much there is to write about a row: the less the better."""
    row = index[0] if index else 0
    total = 0
    for value in sample.environment.values():
        if value.ndim and value.shape[0] == sample.rows:
            total += sum(
                len(number_text(item)) + bool(item) for item in value[row].flat
            )
    return total


def _number(element: Any) -> str:
    value = constant_term(element)
    if value == int(value) and abs(value) < 10**15:
        return str(int(value))
    return str(mp.nstr(value, 6))


def _wrapped(text: str) -> str:
    return f"({text})" if text.startswith("-") else text
