"""Specs that would write the same file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lossgen.diagnostics.diagnostic import Diagnostic, diagnostic
from lossgen.driver.outcome import Outcome
from lossgen.driver.output import destination
from lossgen.driver.project import Project


def refuse_collisions(
    outcomes: Sequence[Outcome], project: Project
) -> tuple[Outcome, ...]:
    """Give every spec whose files another spec claims an LG109.

    Names that differ in case alone collide as well: they are one file on the file
    systems of Windows and macOS.
    """
    owners: dict[str, list[int]] = {}
    for index, outcome in enumerate(outcomes):
        for key in sorted({_key(path) for path in claimed_files(outcome, project)}):
            owners.setdefault(key, []).append(index)
    rivals: dict[int, set[int]] = {}
    for claim in owners.values():
        for index in claim if len(claim) > 1 else ():
            rivals.setdefault(index, set()).update(set(claim) - {index})
    return tuple(
        outcome.with_problems(
            [_problem(outcome, (outcomes[other] for other in sorted(rivals[index])))]
        )
        if index in rivals
        else outcome
        for index, outcome in enumerate(outcomes)
    )


def claimed_files(outcome: Outcome, project: Project) -> tuple[Path, ...]:
    """The files that belong to a spec, compiled or not."""
    if outcome.artifacts:
        return tuple(destination(item, project) for item in outcome.artifacts)
    if outcome.name is None:
        return ()
    return (
        project.out / f"{outcome.name}.py",
        project.tests / f"test_{outcome.name}.py",
    )


def _key(path: Path) -> str:
    return str(path).casefold()


def _problem(outcome: Outcome, others: Iterable[Outcome]) -> Diagnostic:
    places = [f"{other.name} is in {_place(other)}" for other in others]
    return diagnostic(
        "LG109",
        f"another spec writes the files of {outcome.name}, too",
        outcome.name_span,
        notes=places,
        help="give each loss a `name` of its own, not only in upper or lower case",
        path=outcome.spec,
    )


def _place(outcome: Outcome) -> str:
    line = f":{outcome.name_span.first[0]}" if outcome.name_span else ""
    return f"{outcome.spec}{line}"
