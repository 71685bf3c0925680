"""The names that the inputs of a loss have in the generated function."""

from __future__ import annotations

from lossgen.ir.expr import Role
from lossgen.ir.loss import Loss


def channel_names(loss: Loss) -> dict[str, str]:
    """The local name of each tensor or channel, by its full name.

    Channels of the same name get the tensor's behind it.
    """
    variables = loss.of_role(Role.Y_TRUE, Role.Y_PRED)
    short = [item.channel for item in variables if item.channel]
    taken = {*short, *(item.name for item in loss.variables)}
    names: dict[str, str] = {}
    for item in variables:
        if item.channel is None:
            names[item.name] = item.name
        elif short.count(item.channel) > 1:
            suffix = "true" if item.role is Role.Y_TRUE else "pred"
            names[item.name] = fresh(f"{item.channel}_{suffix}", taken)
        else:
            names[item.name] = item.channel
    return names


def local_names(loss: Loss) -> set[str]:
    """The names of all inputs, parameters and sizes."""
    names = channel_names(loss)
    return {names.get(item.name, item.name) for item in loss.variables}


def fresh(word: str, taken: set[str]) -> str:
    """A name like ``word`` that is not taken; it is taken from then on."""
    name, count = word, 1
    while name in taken:
        count += 1
        name = f"{word}_{count}"
    taken.add(name)
    return name
