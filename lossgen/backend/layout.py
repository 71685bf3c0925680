"""How the last axes of y_true and y_pred are laid out, as Python source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lossgen.ir.expr import Role
from lossgen.ir.local_names import channel_names
from lossgen.ir.loss import Loss, Variable


@dataclass(frozen=True)
class Layout:
    """Source lines that take the tensors apart.

    ``like`` is an expression of the shape that y_true must have, ``length`` the number
    that the last axis of y_pred is declared to have. ``sizes`` defines the named sizes,
    ``sizes_true`` those of y_true where y_pred is not at hand, ``split_true`` and
    ``split_pred`` the channels; they may be empty.
    """

    like: str
    length: int | None
    sizes: tuple[str, ...]
    sizes_true: tuple[str, ...]
    split_true: tuple[str, ...]
    split_pred: tuple[str, ...]


def layout(loss: Loss) -> Layout:
    """Work out the layout from the declared channels and sizes."""
    names = channel_names(loss)
    true = loss.of_role(Role.Y_TRUE)
    pred = loss.of_role(Role.Y_PRED)
    return Layout(
        like=_like(true, pred, loss.spec.y_true.sparse),
        length=None if _total(pred)[1] else _total(pred)[0],
        sizes=tuple(_named_sizes({"y_true": true, "y_pred": pred})),
        sizes_true=tuple(_named_sizes({"y_true": true})),
        split_true=_split("y_true", true, names),
        split_pred=_split("y_pred", pred, names),
    )


def _is_equal_split(variables: Sequence[Variable]) -> bool:
    return len({item.size for item in variables}) == 1 and not isinstance(
        variables[0].size, int
    )


def _split(
    tensor: str, variables: Sequence[Variable], names: dict[str, str]
) -> tuple[str, ...]:
    if not variables or variables[0].channel is None:
        return ()
    targets = ", ".join(names[item.name] for item in variables)
    if len(variables) == 1:
        return (f"{targets} = {tensor}",)
    if _is_equal_split(variables):
        return (f"{targets} = tf.split({tensor}, {len(variables)}, axis=-1)",)
    named = [item.size for item in variables if not isinstance(item.size, int)]
    sizes = ["-1" if named == [item.size] else str(item.size) for item in variables]
    parts = ", ".join(sizes)
    return (f"{targets} = tf.split({tensor}, [{parts}], axis=-1)",)


def _total(variables: Sequence[Variable]) -> tuple[int, dict[str | None, int]]:
    """The length of the last axis: a number plus multiples of named sizes."""
    constant, counts = 0, dict[str | None, int]()
    for item in variables:
        if isinstance(item.size, int):
            constant += item.size
        else:
            counts[item.size] = counts.get(item.size, 0) + 1
    return constant, counts


def _named_sizes(tensors: dict[str, Sequence[Variable]]) -> list[str]:
    """Solve for the named sizes that unequal splits need."""
    needed = {
        item.size
        for variables in tensors.values()
        if variables
        and not _is_equal_split(variables)
        # tf.split finds a single size itself.
        and sum(_total(variables)[1].values()) > 1
        for item in variables
    }
    # The tensors that are split, then those that only tell a size.
    equations = sorted(
        (item for item in tensors.items() if item[1]),
        key=lambda item: _is_equal_split(item[1]),
    )
    solved: dict[str | None, str] = {}
    for tensor, variables in equations * len(equations):
        constant, counts = _total(variables)
        unknown = [name for name in counts if name not in solved]
        if len(unknown) == 1 and unknown[0] is not None:
            (name,) = unknown
            rest = [str(constant)] if constant else []
            rest += [
                f"{times} * {other}" if times > 1 else str(other)
                for other, times in counts.items()
                if other != name
            ]
            length = " - ".join([f"keras.ops.shape({tensor})[-1]", *rest])
            if counts[name] > 1:
                length = f"({length})" if rest else length
                length = f"{length} // {counts[name]}"
            solved[name] = f"{name} = {length}"
    return [line for name, line in solved.items() if name in needed]


def _like(true: Sequence[Variable], pred: Sequence[Variable], sparse: bool) -> str:
    if sparse:
        return "y_pred[..., :1]"
    if not true:
        return "y_pred"
    if _total(true) == _total(pred):
        return "y_pred"
    constant, counts = _total(true)
    if not counts:
        one = "y_pred[..., :1]"
        return one if constant == 1 else f"tf.repeat({one}, {constant}, axis=-1)"
    pred_constant, pred_counts = _total(pred)
    if len(counts) > 1 or set(counts) != set(pred_counts):
        # The last axis of y_true is not tied to that of y_pred.
        return "tf.repeat(y_pred[..., :1], tf.shape(y_true)[-1], axis=-1)"
    (times,), (parts,) = counts.values(), pred_counts.values()
    if not constant and not pred_constant:
        part = f"tf.split(y_pred, {parts}, axis=-1)[0]" if parts > 1 else "y_pred"
        return part if times == 1 else f"tf.repeat({part}, {times}, axis=-1)"
    size = "keras.ops.shape(y_pred)[-1]"
    size = f"{size} - {pred_constant}" if pred_constant else size
    size = f"({size}) // {parts}" if parts > 1 else size
    size = f"{times} * ({size})" if times > 1 else size
    length = f"{size} + {constant}" if constant else size
    return f"tf.repeat(y_pred[..., :1], {length}, axis=-1)"
