"""How a module is probed: a call, and what is kept of it to be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import tensorflow as tf

from mutating.points import WIDE, Inputs, Points

ROWS = 6
"""The samples of a probe that is about shapes, weights or masks."""


@dataclass(frozen=True)
class Probe:
    """Something to do with a module, and what a test would have to do."""

    name: str
    test: str
    run: Callable[[ModuleType], Any]
    count: int = 0


def caught(module: ModuleType, work: Callable[[], Any]) -> Any:
    """The result of work, or the error; its words where the module raised it."""
    try:
        return _plain(work())
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        own = trace and trace.tb_frame.f_code.co_filename == module.__file__
        return ("raises", type(error).__name__, str(error) if own else "")


def _plain(value: Any) -> Any:
    """Tensors as arrays, with the mask that is attached to them."""
    if isinstance(value, (tf.Tensor, tf.Variable)):
        mask = getattr(value, "_keras_mask", None)
        return value.numpy() if mask is None else (value.numpy(), mask.numpy())
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value


class Calls:
    """How the function and the class of a loss are called."""

    def __init__(self, inputs: Inputs) -> None:
        """Know the names, and whether y_true is asked for."""
        self.loss = inputs.loss
        self.unused = bool(inputs.loss.spec.y_true.unused)

    def function(self, module: ModuleType) -> Callable[..., Any]:
        """The function of the loss."""
        function: Callable[..., Any] = getattr(module, self.loss.name)
        if self.unused:
            return lambda _, y_pred, **keywords: function(None, y_pred, **keywords)
        return function

    def made(self, module: ModuleType, **arguments: Any) -> Any:
        """An instance of the class of the loss."""
        return getattr(module, self.loss.class_name)(**arguments)


def keywords_of(points: Points) -> dict[str, Any]:
    """What is passed to the function beside y_true and y_pred."""
    keywords = dict(points.parameters)
    return {**keywords, "from_logits": True} if points.logits else keywords


def small(
    inputs: Inputs, dtype: str, logits: bool = False, *, wide: bool = False
) -> Points:
    """A few samples, in one batch, of training's sizes; some labels are masked.

    ``wide`` asks for several features, of a loss that is drawn with one.
    """
    wide = wide and any(points.what == WIDE for points in inputs.points)
    for points in inputs.points:
        if (points.what == WIDE) != wide:
            continue
        if points.dtype == dtype and points.logits == logits:
            y_true, y_pred = points.batches[0]
            # Every other sample is of the sizes that training meets.
            rows = slice(0, 2 * ROWS, 2) if len(y_pred) > ROWS else slice(None)
            if inputs.loss.varies_by_element:
                rows = slice(None)
            labels = y_true[rows].copy()
            if inputs.marks and len(labels) > 2:
                # One that also a weight of 0 drops, and one that nothing else does.
                labels[0], labels[2] = inputs.marks[0], inputs.marks[-1]
                labels[-1] = inputs.marks[-1]
            pair = (labels, y_pred[rows])
            return Points(points.what, points.parameters, dtype, logits, (pair,))
    raise ValueError(f"no points in {dtype}")
