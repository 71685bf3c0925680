"""What to say of a term that could neither be proved fit nor refuted."""

from __future__ import annotations

from math import inf

from lossgen.analysis.intervals import Interval
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import number_text
from lossgen.analysis.spelling import spell
from lossgen.ir.expr import (
    Apply,
    Expr,
    Number,
    Role,
    Symbol,
    replace_nodes,
)
from lossgen.ir.loss import Loss


def named(expr: Expr, loss: Loss) -> str:
    """An expression in the author's words, with the names of ``where``."""
    for name, tree in reversed(loss.definitions):
        if isinstance(tree, Apply):
            expr = replace_nodes(expr, {tree: Symbol(name, Role.DERIVED)})
    return spell(expr)


def known_of(subject: Expr, ranges: Ranges) -> str:
    """What is known of the values of a term."""
    values = ranges.of(subject)
    text = named(subject, ranges.loss)
    if values.lower == -inf and values.upper == inf:
        return f"nothing is known of the sign of `{text}`"
    return f"all that is known of `{text}` is that it {_lies(values)}"


def _lies(values: Interval) -> str:
    if values.upper == inf:
        return f"is {'above' if values.lower_open else 'at least'} {_end(values.lower)}"
    if values.lower == -inf:
        return f"is {'below' if values.upper_open else 'at most'} {_end(values.upper)}"
    left = "(" if values.lower_open else "["
    right = ")" if values.upper_open else "]"
    return f"lies in {left}{_end(values.lower)}, {_end(values.upper)}{right}"


def _end(value: object) -> str:
    return number_text(value)


def assumption(subject: Expr, relation: str, loss: Loss) -> str:
    """The line that states what a term has to be, to be written into a spec."""
    written = [text.value for text in loss.spec.assume]
    lines = [*written, f"{named(_bare(subject), loss)} {relation} 0"]
    return f"`assume: [{', '.join(_quoted(line) for line in lines)}]`"


def _bare(subject: Expr) -> Expr:
    """A term without a positive constant in front of it."""
    if isinstance(subject, Apply) and subject.op == "mul":
        first, *rest = subject.args
        if isinstance(first, Number) and first.value > 0 and len(rest) == 1:
            return rest[0]
    return subject


def _quoted(line: str) -> str:
    return f'"{line}"'
