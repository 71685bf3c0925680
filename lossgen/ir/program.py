"""The lowered loss: ordered assignments in the author's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lossgen.ir.accuracy import Declined
from lossgen.ir.expr import Apply, Axis, Expr, Role, Symbol, symbols
from lossgen.ir.extent import Extent
from lossgen.ir.loss import CheckedLoss, Variable


@dataclass(frozen=True)
class Assign:
    """``target = value``, with the reason for it where there is one."""

    target: Symbol
    value: Expr
    comment: str | None = None


@dataclass(frozen=True)
class Guard:
    """Where a prediction is held inside the open ends of its domain.

    ``low`` and ``high`` are the guard points, None at an end that needs none: constant,
    or ``above`` or ``below`` of an end, its neighbour in the computing type.
    """

    prediction: Symbol
    low: Expr | None
    high: Expr | None

    @property
    def clip(self) -> Apply:
        """The prediction, moved to the guard point that it lies beyond."""
        if self.low is not None and self.high is not None:
            return Apply("clip", (self.prediction, self.low, self.high))
        if self.low is not None:
            return Apply("max", (self.prediction, self.low))
        assert self.high is not None
        return Apply("min", (self.prediction, self.high))


Reach = tuple[tuple[str, float], ...]
"""For inputs that their domains do not bound, a size that they may have."""


@dataclass(frozen=True)
class Block:
    """Assignments in order, and the expression that they lead to.

    ``extent`` says along which axes ``result`` still varies; ``flat`` whether the axes
    it does not vary along are gone, instead of being of length 1. ``filled`` is the
    axis along which it takes something to be kept everywhere: if nothing is, all is to
    be computed on placeholders, and then dropped. ``reach`` says up to which sizes of
    the inputs no operation overflows in float32, if that is shown.
    """

    assignments: tuple[Assign, ...]
    result: Expr
    extent: Extent
    flat: bool
    filled: Axis | None
    reach: Reach | None = None


@dataclass(frozen=True)
class LossProgram:
    """What is emitted: the loss on its declared domain and, if asked for, on logits.

    ``rules`` names the rewrite rules that were used, ``declined`` those that would have
    cost accuracy. ``kept`` is the condition of the label mask, in the names of the
    blocks. ``guards`` tells where predictions are held; with logits none is.
    ``stable`` is the formula after rewriting, in which nothing that is not
    taken spoils a slope, without guard, mask and names; ``stable_logits`` the same for
    logits. ``exact_to`` is the size up to which inputs that may be of any size give
    results that are exact to rounding in float32, None where none was found.
    ``is_unfinished`` says that not all forms were measured before one was chosen.
    """

    checked: CheckedLoss
    body: Block
    logits: Block | None
    kept: Expr | None
    guards: tuple[Guard, ...]
    rules: tuple[str, ...]
    declined: tuple[Declined, ...]
    stable: Expr
    stable_logits: Expr | None
    exact_to: float | None = None
    is_unfinished: bool = False

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The body and, where there is one, the form that takes logits."""
        return (self.body,) if self.logits is None else (self.body, self.logits)

    def uses(self, name: str) -> bool:
        """Whether a symbol occurs in what is computed."""
        exprs = [
            expr
            for block in self.blocks
            for expr in (block.result, *(item.value for item in block.assignments))
        ]
        return any(symbol.name == name for expr in exprs for symbol in symbols(expr))

    @property
    def needs_one_hot(self) -> bool:
        """Whether integer labels are used otherwise than to pick an entry."""
        return self.checked.loss.spec.y_true.sparse and self.uses("y_true")

    @property
    def reach(self) -> Reach | None:
        """That of the body and, where there is a form that takes logits, of both."""
        found: dict[str, float] = {}
        for block in self.blocks:
            if block.reach is None:
                return None
            for name, size in block.reach:
                found[name] = min(size, found.get(name, size))
        return tuple(found.items())

    def guard(self, prediction: Symbol) -> Guard | None:
        """Where a prediction is held, if it is."""
        found = (item for item in self.guards if item.prediction == prediction)
        return next(found, None)


VARIED = 0.25
"""How far dropped elements that must not be equal are from 1/2."""


@dataclass(frozen=True)
class Placeholders:
    """Values for dropped elements at which the loss and its gradient are finite.

    ``counts`` says whether the label mask keeps y_true, so that a sample of weight 0
    counts in a mean. ``channels`` has a value for each channel, where one for all
    channels of a tensor will not do. ``varied`` says that no equal elements will do:
    then they vary by ``VARIED`` about 1/2, with y_true and y_pred out of step.
    """

    y_true: float
    y_pred: float
    counts: bool = True
    channels: Mapping[str, float] = field(default_factory=dict)
    varied: bool = False

    def of(self, variable: Variable) -> float:
        """The value for a tensor or a channel."""
        value = self.y_true if variable.role is Role.Y_TRUE else self.y_pred
        return self.channels.get(variable.name, value)
