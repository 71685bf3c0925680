"""A loss on long rows whose elements are all equal, computed on one element.

Ranges hold for every length of every axis, so that what is wrong may show at lengths
that no sample has: the sum of a hundred elements of [0, 1] passes 99.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from lossgen.ir.expr import Apply, Axis, Expr, Number, walk
from lossgen.ir.extent import COVERED, extents
from lossgen.ir.loss import Loss

LENGTHS = (12, 128, 1024, 10**6)


@dataclass(frozen=True)
class Shortened:
    """What stands for each expression of a loss where ``length`` elements are equal."""

    loss: Loss
    length: int

    def expression(self, expr: Expr) -> Expr:
        """An expression with each reduction by its value on equal elements."""
        found: dict[Expr, Expr] = {}
        varies = extents(self.loss, expr)
        for node in walk(expr):
            found[node] = node
            if not isinstance(node, Apply):
                continue
            args = tuple(found[arg] for arg in node.args)
            if node.axis is None:
                found[node] = node if args == node.args else Apply(node.op, args)
            else:
                several = bool(varies[node.args[0]] & COVERED[node.axis])
                found[node] = _VALUES[node.op](args[0], self.length if several else 1)
        return found[expr]

    @property
    def rewritten(self) -> Loss:
        """The loss with its formula, mask and assumptions so rewritten."""
        return replace(
            self.loss,
            expression=self.expression(self.loss.expression),
            assume=tuple(map(self.expression, self.loss.assume)),
            mask=None if self.loss.mask is None else self.expression(self.loss.mask),
        )


def shortened(loss: Loss) -> tuple[Shortened, ...]:
    """The loss at some lengths; none if its rows cannot be that long, or of no use."""
    nodes = [
        node
        for expr in (loss.expression, *loss.assume)
        for node in walk(expr)
        if isinstance(node, Apply) and node.axis is not None
    ]
    axes = {node.axis for node in nodes}
    if len(axes) != 1 or Axis.BATCH in axes:
        return ()
    if any(node.op not in _VALUES for node in nodes):
        return ()
    if any(isinstance(item.size, int) for item in loss.variables):
        return ()
    return tuple(Shortened(loss, length) for length in LENGTHS)


def _number(value: int | Fraction) -> Number:
    return Number(Fraction(value))


_Value = Callable[[Expr, int], Expr]

# cumsum and logcumsumexp are none: their elements differ.
_VALUES: dict[str, _Value] = {
    "sum": lambda arg, n: Apply("mul", (_number(n), arg)),
    "mean": lambda arg, n: arg,
    "amax": lambda arg, n: arg,
    "amin": lambda arg, n: arg,
    "logsumexp": lambda arg, n: Apply("add", (arg, Apply("log", (_number(n),)))),
    "norm": lambda arg, n: Apply(
        "mul", (Apply("sqrt", (_number(n),)), Apply("abs", (arg,)))
    ),
    "softmax": lambda arg, n: _number(Fraction(1, n)),
    "log_softmax": lambda arg, n: Apply("log", (_number(Fraction(1, n)),)),
    "l2_normalize": lambda arg, n: Apply("div", (arg, _VALUES["norm"](arg, n))),
}
