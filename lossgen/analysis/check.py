"""The proof that a loss is defined and differentiable on its declared domain."""

from __future__ import annotations

from lossgen.analysis.ends import infinite_ends
from lossgen.analysis.flatness import find_flat_regions
from lossgen.analysis.obligations import discharge
from lossgen.analysis.properties import examine
from lossgen.analysis.samples import generic, typical_length
from lossgen.analysis.smoothness import classify
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.loss import Certificate, CheckedLoss, Loss


def check(loss: Loss, report: Report) -> CheckedLoss | None:
    """Prove that a loss is defined and differentiable, or say where it is not.

    Args:
        loss: The loss, as resolved.
        report: Takes what is found: errors, kinks, flat regions, infinite ends.

    Returns:
        The loss with its certificate, or None if it is refused.
    """
    assumed = tuple(text.value for text in loss.spec.assume)
    _report_assumptions(loss, report)
    if not _has_samples(loss, report):
        return None
    if not discharge(loss, report):
        return None
    find_flat_regions(loss, report)
    verdict = classify(loss, report)
    ends = infinite_ends(loss, report)
    properties = examine(loss, report)
    if report.has_errors:
        return None
    certificate = Certificate(
        smoothness=verdict.smoothness,
        kinks=verdict.kinks,
        properties=properties,
        assumed=assumed,
        infinite_ends=ends,
    )
    return CheckedLoss(loss, certificate, tuple(report))


def _report_assumptions(loss: Loss, report: Report) -> None:
    for text in loss.spec.assume:
        report.add("LG408", f"taken as true without proof: {text.value}", text.span())


def _has_samples(loss: Loss, report: Report) -> bool:
    """Whether some points satisfy the assumptions and the mask."""
    lasts = sorted({typical_length(loss), 2, 3})
    salts = range(4)
    if any(generic(loss, last=n, rows=24, salt=s) for n in lasts for s in salts):
        return True
    span = loss.spec.assume[0].span() if loss.spec.assume else loss.expression.span
    report.add(
        "LG309",
        "no point of the domain satisfies the assumptions",
        span,
        help="check `assume` and `mask` against the declared domains",
    )
    return False
