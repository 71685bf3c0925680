"""The operation of a formula by which a wrong result comes about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mpmath import mp

from lossgen.analysis.spelling import spell
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Evaluation
from lossgen.diagnostics.source import Span
from lossgen.ir.expr import Apply, Expr, Number, Role, walk
from lossgen.ir.functions import CONDITIONS
from lossgen.oracle.alarms import Alarm, Kind
from lossgen.oracle.bench import local_errors
from lossgen.oracle.evaluation import Formula, environment
from lossgen.oracle.float_formats import FLOAT32

_DIGITS = 200
_NO_OPERATIONS = CONDITIONS | {"where", "stop_gradient", "with_slopes"}
_ENOUGH = 3.0
"""How many bits an operation must lose to be named."""

_MAX_TEXT = 60


@dataclass(frozen=True)
class Culprit:
    """An operation of the author's formula, what happens there, and what is computed.

    ``span`` is that of the whole formula where no operation stands out.
    """

    span: Span | None
    reason: str
    op: str


def culprit(author: Formula, form: Expr, alarm: Alarm) -> Culprit:
    """Find the operation that makes a result wrong.

    Args:
        author: The author's formula.
        form: What is computed.
        alarm: The wrong result.
    """
    found = _too_large_or_small(author, form, alarm)
    if found is None:
        found = _lossy(author, form, alarm)
    if found is None:
        return Culprit(author.expression.span, "", "")
    node, reason = found
    place = _place(node, author.expression)
    shown = spell(node)
    if place == node:
        subject = "this"
    elif len(shown) <= _MAX_TEXT:
        subject = f"what is computed for it, `{shown}`,"
    else:
        subject = "what is computed for it"
    return Culprit(
        _span(place, author.expression), reason.format(subject), getattr(node, "op", "")
    )


def _too_large_or_small(
    author: Formula, form: Expr, alarm: Alarm
) -> tuple[Expr, str] | None:
    """The first operation on the way whose result float32 cannot hold.

    What is too small counts as 0: that does harm before a logarithm or a division.
    """
    if alarm.kind is Kind.DIGITS:
        return None
    batch = alarm.point.batch
    small: tuple[Expr, str] | None = None
    with mp.workdps(_DIGITS):
        run = Evaluation(environment(batch), batch.mask)
        for node in walk(form):
            if not isinstance(node, Apply) or node.op in _NO_OPERATIONS:
                continue
            held = all(
                _holds(item) for arg in node.args for item in _numbers(run.value(arg))
            )
            wrong = [item for item in _numbers(run.value(node)) if not _holds(item)]
            if not held or not wrong:
                continue
            extreme = max(wrong, key=abs)
            text = mp.nstr(extreme, 3)
            if abs(extreme) > 1:
                if alarm.kind is Kind.NOT_FINITE:
                    return node, f"{{}} is {text}, more than float32 can hold"
            elif small is None and node.op in ("exp", "pow", "softmax", "sigmoid"):
                small = node, f"{{}} is {text}, which counts as 0 in float32"
    return small


def _numbers(values: Array) -> Iterator[mp.mpf]:
    return (item for item in values.flat if isinstance(item, mp.mpf))


def _holds(item: mp.mpf) -> bool:
    """Whether float32 has a normal number for it."""
    return not item or bool(FLOAT32.tiny <= abs(item) < FLOAT32.huge)


def _lossy(author: Formula, form: Expr, alarm: Alarm) -> tuple[Expr, str] | None:
    """The operation that loses most digits of exact arguments."""
    lost: dict[Expr, float] = {}
    for variable in author.loss.of_role(Role.Y_PRED):
        errors = local_errors(form, alarm.point.batch, variable.name)
        for node, bits in errors.items():
            if isinstance(node, Apply) and node.op not in _NO_OPERATIONS:
                lost[node] = max(lost.get(node, 0.0), bits)
    if not lost or max(lost.values()) < _ENOUGH:
        return None
    node = max(lost, key=lambda item: lost[item])
    reason = "the slope of {} loses" if alarm.is_slope else "{} loses"
    reason += " its digits"
    if isinstance(node, Apply) and node.op == "add":
        reason += ": the terms nearly cancel"
    return node, reason


# The author's operation --------------------------------------------------------------


def _place(node: Expr, author: Expr) -> Expr:
    """The operation of the author's formula that a computed one was made of.

    That is the same, or the smallest that has all that the two have in common.
    """
    known = {item: item for item in walk(author)}
    if node in known:
        return known[node]
    common = list(_largest_common(node, known))
    around: list[Expr] = [
        item
        for item in known
        if isinstance(item, Apply)
        and item not in common
        and all(part in set(walk(item)) for part in common)
    ]
    op = node.op if isinstance(node, Apply) else ""
    alike = [item for item in around if isinstance(item, Apply) and item.op == op]
    return (alike or around or [author])[0] if common else author


def _largest_common(node: Expr, known: dict[Expr, Expr]) -> Iterator[Expr]:
    if node in known and not isinstance(node, Number):
        yield node
    elif isinstance(node, Apply):
        for arg in node.args:
            yield from _largest_common(arg, known)


def _span(node: Expr, author: Expr) -> Span | None:
    """Where an operation stands, or the smallest around it that stands somewhere."""
    if node.span is not None:
        return node.span
    around = (item for item in walk(author) if item.span and node in set(walk(item)))
    return next((item.span for item in around), author.span)
