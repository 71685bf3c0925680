"""Outcomes and builds in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.driver.build import BuildMode, BuildResult
from lossgen.driver.outcome import Outcome
from lossgen.driver.output import OutputPlan, State


def certificate_lines(outcome: Outcome, *, details: bool = False) -> Iterator[str]:
    """What the check established about one loss; with the witnesses, if asked."""
    yield f"{outcome.name or '?'} ({outcome.spec}): {outcome.verdict}"
    for kink in outcome.kinks:
        if kink.left is None:
            yield f"  a kink may lie where {kink.at}"
            continue
        yield f"  kink at {kink.at}: derivative {kink.left} before, {kink.right} after"
    for end in outcome.infinite_ends:
        yield f"  infinite: {end}"
    for condition in outcome.assumed:
        yield f"  assumed: {condition}"
    for status in ("proved", "refuted", "unknown"):
        names = [item.name for item in outcome.properties if item.status == status]
        if names:
            yield f"  {status}: {', '.join(names)}"
            for item in outcome.properties:
                if details and item.status == status and item.detail:
                    yield f"    {item.name}: {item.detail}"


def build_line(result: BuildResult, mode: BuildMode) -> str:
    """A build in a line."""
    counts = _counts(result, mode)
    files = ", ".join(f"{count} {what}" for what, count in counts if count)
    specs = _plural(sum(item.is_spec for item in result.outcomes), "spec", "specs")
    return f"{specs}: {files or 'no files'}{_problem_words(result.diagnostics)}"


def check_line(outcomes: tuple[Outcome, ...]) -> str:
    """A check in a line."""
    specs = [outcome for outcome in outcomes if outcome.is_spec]
    verdicts = Counter(outcome.verdict for outcome in specs)
    words = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    count = _plural(len(specs), "spec", "specs")
    findings = (item for outcome in outcomes for item in outcome.diagnostics)
    return f"{count}{': ' if words else ''}{words}{_problem_words(findings)}"


def orphan_lines(plan: OutputPlan) -> Iterator[str]:
    """What a build says of orphans that it leaves alone."""
    for change in plan.of(State.ORPHAN):
        way_out = "edited by hand" if change.edited else "--prune removes it"
        yield f"orphan: {change.shown}, once from {change.origin} ({way_out})"


def _counts(result: BuildResult, mode: BuildMode) -> list[tuple[str, int]]:
    planned = Counter(change.state for change in result.plan.changes)
    if result.applied is None:
        return [
            ("missing" if mode.check else "to create", planned[State.CREATE]),
            ("out of date" if mode.check else "to update", planned[State.UPDATE]),
            ("unchanged", planned[State.UNCHANGED]),
            ("orphaned", planned[State.ORPHAN]),
            ("edited by hand", planned[State.EDITED]),
            ("foreign", planned[State.FOREIGN]),
        ]
    written = Counter(change.state for change in result.applied.written)
    created = written[State.CREATE]
    removed = len(result.applied.removed)
    refused = planned[State.EDITED] + planned[State.FOREIGN]
    refused -= written[State.EDITED] + written[State.FOREIGN]
    return [
        ("created", created),
        ("updated", len(result.applied.written) - created),
        ("unchanged", planned[State.UNCHANGED]),
        ("removed", removed),
        ("orphaned", planned[State.ORPHAN] - removed),
        ("left alone", refused),
    ]


def _problem_words(diagnostics: Iterable[Diagnostic]) -> str:
    counts = Counter(item.severity for item in diagnostics)
    words = [
        _plural(counts[severity], name, f"{name}s")
        for severity, name in (
            (Severity.ERROR, "error"),
            (Severity.WARNING, "warning"),
        )
        if counts[severity]
    ]
    return f"; {', '.join(words)}" if words else ""


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
