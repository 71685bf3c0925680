"""The proof that a loss is defined and differentiable on its declared domain."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from lossgen.analysis.ends import infinite_ends
from lossgen.analysis.flatness import find_flat_regions
from lossgen.analysis.obligations import (
    Obligation,
    ProofBudgetError,
    claim,
    discharge,
    to_assume,
)
from lossgen.analysis.properties import examine
from lossgen.analysis.ranges import Ranges
from lossgen.analysis.samples import generic, typical_length
from lossgen.analysis.smoothness import classify
from lossgen.calculus.steps import OutOfStepsError, Steps, limited
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.loss import Certificate, CheckedLoss, Loss

MAX_STEPS = 250_000
MAX_SECONDS = 120  # steps end the check long before, unless something hangs


_LONG = 8
"""The largest declared size that is not looked at as any other size first."""


def check(loss: Loss, report: Report) -> CheckedLoss | None:
    """Prove that a loss is defined and differentiable, or say where it is not.

    Args:
        loss: The loss, as resolved.
        report: Takes what is found: errors, kinks, flat regions, infinite ends.

    Returns:
        The loss with its certificate, or None if it is refused.
    """
    certificate = None
    any_size = _of_any_size(loss)
    if any_size != loss:
        # What holds for every size holds for the declared one, and is found sooner.
        trial = Report()
        certificate = _within_budget(any_size, trial)
        if certificate is not None:
            report.extend(trial)
    if certificate is None:
        certificate = _within_budget(loss, report)
    if certificate is None:
        return None
    return CheckedLoss(loss, certificate, tuple(report))


def _of_any_size(loss: Loss) -> Loss:
    """The loss with names in place of large declared sizes."""
    variables = tuple(
        replace(item, size=f"size {item.size}")
        if isinstance(item.size, int) and item.size > _LONG
        else item
        for item in loss.variables
    )
    return replace(loss, variables=variables)


def _within_budget(loss: Loss, report: Report) -> Certificate | None:
    """The certificate of a loss, or None if it is refused."""
    steps = _Steps()
    try:
        with limited(steps.count):
            certificate = _certificate(loss, report, steps)
    except ProofBudgetError as error:
        _report_proof(error.item, report)
        return None
    except OutOfStepsError:
        _report_budget(loss, f"{steps.name} took more than {MAX_STEPS:,} steps", report)
        return None
    except RecursionError:
        _report_budget(loss, f"{steps.name} went too many calls deep", report)
        return None
    return None if report.has_errors else certificate


class _Steps:
    """How much work the check may do, and which of its steps is under way."""

    def __init__(self) -> None:
        self.count = Steps(MAX_STEPS, MAX_SECONDS)
        self.name = ""

    def begin(self, name: str) -> None:
        """The next step begins."""
        self.name = name


def _certificate(loss: Loss, report: Report, steps: _Steps) -> Certificate | None:
    _report_assumptions(loss, report)
    steps.begin("looking for points that satisfy the assumptions")
    if not _has_samples(loss, report):
        return None
    steps.begin("proving that every operation is defined")
    if not discharge(loss, report):
        return None
    steps.begin("looking for regions without a gradient")
    # Where no step has a slope, how they meet is no further news.
    if not _has_slopes(loss, report):
        return None
    steps.begin("looking for kinks and jumps")
    verdict = classify(loss, report)
    steps.begin("looking at the ends of the domain")
    ends: tuple[str, ...] = ()
    with suppress(OutOfStepsError), limited(Steps(MAX_STEPS)):
        ends = infinite_ends(loss, report)
    steps.begin("examining the properties")
    return Certificate(
        smoothness=verdict.smoothness,
        kinks=verdict.kinks,
        properties=examine(loss, verdict.smoothness, report),
        assumed=tuple(text.value for text in loss.spec.assume),
        infinite_ends=ends,
    )


def _has_slopes(loss: Loss, report: Report) -> bool:
    """Whether nothing shows that the gradient is 0 almost everywhere."""
    try:
        with limited(Steps(MAX_STEPS)):
            return find_flat_regions(loss, report)
    except OutOfStepsError:
        report.add(
            "LG407",
            "the gradient may be 0 on part of the domain",
            loss.expression.span,
            notes=(f"looking for such parts took more than {MAX_STEPS:,} steps",),
        )
        return True


def _report_proof(item: Obligation, report: Report) -> None:
    report.add(
        "LG310",
        "the formula is too involved to be proved defined",
        item.node.span or item.subject.span,
        notes=(f"showing that {claim(item)} took more than {MAX_STEPS:,} steps",),
        help=f"if it holds, write {to_assume(item)}; or write the term with fewer "
        "nested calls",
    )


def _report_budget(loss: Loss, what: str, report: Report) -> None:
    report.add(
        "LG310",
        "the formula is too involved to be checked",
        loss.expression.span,
        notes=(what,),
        help="write it with fewer terms, branches or nested calls, or as a reduction",
    )


def _report_assumptions(loss: Loss, report: Report) -> None:
    for text in loss.spec.assume:
        report.add("LG408", f"taken as true without proof: {text.value}", text.span())


def _has_samples(loss: Loss, report: Report) -> bool:
    """Whether some points satisfy the assumptions and the mask."""
    lasts = sorted({typical_length(loss), 2, 3})
    salts = range(4)
    if any(generic(loss, last=n, rows=24, salt=s) for n in lasts for s in salts):
        return True
    assume, mask = loss.spec.assume, loss.spec.mask
    if mask is not None and not assume:
        message = "the mask keeps no element at any point of the domain"
        remedy = "check `mask` against the declared domain of y_true"
        report.add("LG309", message, mask.span(), help=remedy)
        return False
    span = assume[0].span() if assume else loss.expression.span
    if Ranges.of_loss(loss).contradictory:
        message = "no point of the domain satisfies the assumptions"
        remedy = "check `assume` and `mask` against the declared domains"
        report.add("LG309", message, span, help=remedy)
        return False
    report.add(
        "LG309",
        "no point was found that satisfies the assumptions",
        span,
        notes=_never_met(loss),
        help="check `assume` and `mask` against the declared domains; declare what "
        "bounds a single input as its domain, and order inputs as `a > b`",
    )
    return False


def _never_met(loss: Loss) -> tuple[str, ...]:
    """The assumptions that none of the points that were tried satisfies alone."""
    alone = [
        (text.value, replace(loss, assume=(condition,)))
        for text, condition in zip(loss.spec.assume, loss.assume, strict=True)
    ]
    never = [
        text
        for text, one in alone
        if generic(one, last=typical_length(loss), rows=24) is None
    ]
    if not never:
        return ("each is satisfied by some points, but not all together",)
    return tuple(f"none of the points tried satisfies `{text}`" for text in never)
