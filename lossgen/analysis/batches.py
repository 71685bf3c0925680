"""A loss that reduces over the batch, as a loss whose samples hold a batch each.

Then no sample ties its rows, and each of them is a point of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace

from lossgen.analysis.samples import uses_axis
from lossgen.ir.expr import Apply, Axis, Expr, walk
from lossgen.ir.loss import Loss

_AXES = {Axis.BATCH: Axis.SPATIAL, Axis.SAMPLE: Axis.LAST}


def batches_as_samples(loss: Loss) -> Loss:
    """The loss on tensors of shape ``(sample, batch, last)``.

    Reductions over the batch become ones over the axes between. A loss that reduces
    over these as well stays as it is.
    """
    if not uses_axis(loss.expression, Axis.BATCH) or uses_axis(
        loss.expression, Axis.SPATIAL
    ):
        return loss
    return replace(
        loss,
        expression=_moved(loss.expression),
        mask=None if loss.mask is None else _moved(loss.mask),
        assume=tuple(map(_moved, loss.assume)),
    )


def as_written(text: str, loss: Loss) -> str:
    """A message about such a loss, with the axis that its author speaks of."""
    written = (loss.spec.loss, *(text for _, text in loss.spec.where))
    if uses_axis(loss.expression, Axis.BATCH) or not any(
        re.search(r"axis\s*=\s*batch", item.value) for item in written
    ):
        return text
    return text.replace("axis=spatial", "axis=batch")


def _moved(expr: Expr) -> Expr:
    found: dict[Expr, Expr] = {}
    for node in walk(expr):
        found[node] = node
        if isinstance(node, Apply):
            args = tuple(found[arg] for arg in node.args)
            axis = _AXES.get(node.axis, node.axis) if node.axis else None
            if args != node.args or axis is not node.axis:
                found[node] = Apply(node.op, args, axis, span=node.span)
    return found[expr]
