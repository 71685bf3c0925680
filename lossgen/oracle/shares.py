"""Samples at which all components of a mixture have a share in the loss.

Components drawn at random differ by far: one of them is all that counts, and what is
computed of the others may be wrong unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.expr import Apply, Axis, Expr, Role, walk
from lossgen.ir.loss import Loss, Variable
from lossgen.oracle.evaluation import environment, floats
from lossgen.oracle.samples import Batch, rounded

_LARGEST = 2.0**12  # of what predictions move by, so that weights keep their digits
_ALIKE = 1.0


def evenly_shared(loss: Loss, batch: Batch, count: int) -> Batch | None:
    """The samples whose components weigh alike once a prediction is moved.

    Args:
        loss: Has a ``logsumexp`` of the components along the last axis.
        batch: The samples to start from.
        count: How many, or a few more: those that move most.

    Returns:
        None if there are none.
    """
    for arg in _mixed(loss):
        for variable in loss.of_role(Role.Y_PRED):
            shared = _shared(arg, variable, batch, count)
            if shared is not None and shared.rows:
                return shared
    return None


def _mixed(loss: Loss) -> Iterator[Expr]:
    """What the loss takes a ``logsumexp`` of along the last axis."""
    for node in walk(loss.expression):
        if isinstance(node, Apply) and (node.op, node.axis) == ("logsumexp", Axis.LAST):
            yield node.args[0]


def _shared(arg: Expr, variable: Variable, batch: Batch, count: int) -> Batch | None:
    """The samples for which moving a prediction by as much as is missing does it."""
    predictions = batch.inputs[variable.name]
    weights = _log_weights(arg, batch)
    if weights is None or weights.shape != predictions.shape:
        return None
    gaps = weights.max(axis=-1, keepdims=True) - weights
    near = gaps <= _LARGEST
    moved = np.vectorize(rounded, otypes=[float])(predictions + np.where(near, gaps, 0))
    inside = np.vectorize(variable.domain.contains, otypes=[bool])(moved)
    shared = replace(batch, inputs={**batch.inputs, variable.name: moved})
    weights = _log_weights(arg, shared)
    if weights is None:
        return None
    alike = np.ptp(weights, axis=-1, keepdims=True) <= _ALIKE
    kept = (near & inside & alike).reshape(batch.rows, -1).all(axis=1)
    moves = gaps.reshape(batch.rows, -1).max(axis=1)
    kept &= moves > _ALIKE  # or they were alike before
    moves[~kept] = 0.0
    return shared.only(kept & (moves >= np.sort(moves)[-min(count, batch.rows)]))


def _log_weights(arg: Expr, batch: Batch) -> Array | None:
    """The logarithms of the components' weights, before they are made to add to 1."""
    try:
        return floats(evaluate(arg, environment(batch)))
    except Undefined:
        return None
