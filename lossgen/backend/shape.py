"""What shape a loss returns its values in."""

from __future__ import annotations

from dataclasses import dataclass

from lossgen.ir.expr import Apply, Axis, walk
from lossgen.ir.extent import FULL, Extent, extents
from lossgen.ir.loss import Loss


@dataclass(frozen=True)
class Shape:
    """The shape of the values that the generated function returns.

    ``kind`` is ``elements`` (that of y_pred), ``rows`` (without the last axis) or
    ``batch``. ``averaged``: the last axis is averaged over. ``repeated``: one value
    for the whole batch. ``batched``: a value depends on the whole batch. ``masked``: a
    label mask is attached.
    """

    kind: str
    averaged: bool
    repeated: bool
    batched: bool
    masked: bool


def result_shape(loss: Loss, extent: Extent) -> Shape:
    """The shape that a loss of this extent is returned in."""
    ignoring = loss.spec.y_true.ignore is not None
    masked = loss.mask is not None or ignoring
    repeated = "batch" not in extent
    nodes = list(walk(loss.expression))
    batched = any(isinstance(n, Apply) and n.axis is Axis.BATCH for n in nodes)
    averaged = "last" in extents(loss, loss.expression)[loss.expression]
    if loss.mask is not None and extent == FULL:
        return Shape("elements", False, False, batched, True)
    kind = "rows" if {"batch", "spatial"} <= extent else "batch"
    return Shape(kind, averaged, repeated, batched, masked and not repeated)


def is_spatial(loss: Loss) -> bool:
    """Whether the axes between batch and last are reduced."""
    nodes = walk(loss.expression)
    return any(isinstance(n, Apply) and n.axis is Axis.SPATIAL for n in nodes)
