"""Rewrites that no pattern says, beside the rows of the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossgen.analysis.ranges import Ranges
from lossgen.ir.expr import Apply, Expr
from lossgen.transform.logarithms import logarithm
from lossgen.transform.negative_binomials import negative_binomial


@dataclass(frozen=True)
class Form:
    """A rewrite of an operation: its new form under the ranges of the loss, or None."""

    name: str
    reason: str
    rewritten: Callable[[Apply, Ranges], Expr | None]


FORMS = (
    Form(
        "negative-binomial",
        "the terms cancel where a large count is close to its mean",
        negative_binomial,
    ),
    Form(
        "log-of-exponentials",
        "exp overflows, or underflows to 0",
        logarithm,
    ),
)
