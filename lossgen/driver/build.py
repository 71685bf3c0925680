"""Building and checking a project: discovery, compiler and output put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.driver.batch import Compile, compile_files
from lossgen.driver.collisions import claimed_files, refuse_collisions
from lossgen.driver.discovery import Selection
from lossgen.driver.drift import find_blocked, find_drift
from lossgen.driver.outcome import Outcome
from lossgen.driver.output import (
    Applied,
    Change,
    OutputPlan,
    State,
    apply,
    pending,
    plan,
)
from lossgen.driver.progress import track
from lossgen.driver.project import Project


@dataclass(frozen=True)
class BuildResult:
    """What a build found and did.

    ``findings`` are about the files; those about a spec are in its outcome. ``applied``
    is None where nothing was to be written.
    """

    outcomes: tuple[Outcome, ...]
    plan: OutputPlan
    findings: tuple[Diagnostic, ...]
    applied: Applied | None

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All findings, those about specs first."""
        about_specs = (
            item for outcome in self.outcomes for item in outcome.diagnostics
        )
        return (*about_specs, *self.findings)

    @property
    def ok(self) -> bool:
        """Whether there is no error among the findings."""
        return not has_errors(self.diagnostics)


@dataclass(frozen=True)
class BuildMode:
    """How ``build`` treats files.

    ``dry`` writes nothing; ``check`` writes nothing either, and reports every file that
    is not what the specs say.
    """

    check: bool = False
    dry: bool = False
    force: bool = False
    prune: bool = False


def build(
    project: Project,
    selection: Selection,
    mode: BuildMode | None = None,
    *,
    jobs: int | None = None,
    compile_one: Compile | None = None,
) -> BuildResult:
    """Compile specs and write what has changed.

    Args:
        project: The configuration.
        selection: The specs to build.
        mode: What to write.
        jobs: The number of processes; None: as many as pay off.
        compile_one: The compiler; lossgen's own by default.
    """
    mode = mode or BuildMode()
    outcomes = _compile(
        project, selection, compile_one or _full_compiler(project), jobs
    )
    output_plan = _plan(project, selection, outcomes)
    if mode.check:
        return BuildResult(outcomes, output_plan, find_drift(output_plan), None)
    blocked = () if mode.force else find_blocked(output_plan)
    if mode.dry:
        return BuildResult(outcomes, output_plan, blocked, None)
    applied = apply(output_plan, force=mode.force, prune=mode.prune)
    return BuildResult(outcomes, output_plan, (*blocked, *applied.problems), applied)


def check(
    project: Project,
    selection: Selection,
    *,
    jobs: int | None = None,
    compile_one: Compile | None = None,
) -> tuple[Outcome, ...]:
    """Compile specs up to the certificate; write nothing."""
    return _compile(project, selection, compile_one or _checker(project), jobs)


def shown_changes(result: BuildResult, mode: BuildMode) -> tuple[Change, ...]:
    """The files that ``--diff`` shows: what would change, and edits by hand."""
    touched = pending(result.plan, force=mode.force, prune=mode.prune)
    edited = result.plan.of(State.EDITED)
    chosen = {change.shown: change for change in (*touched, *edited)}
    return tuple(chosen[shown] for shown in sorted(chosen))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether an error is among the findings."""
    return any(item.severity is Severity.ERROR for item in diagnostics)


def _full_compiler(project: Project) -> Compile:
    from lossgen.compiler import compile_source

    return partial(compile_source, options=project.options)


def _checker(project: Project) -> Compile:
    from lossgen.compiler import check_source

    return partial(check_source, defaults=project.defaults)


def _compile(
    project: Project, selection: Selection, compile_one: Compile, jobs: int | None
) -> tuple[Outcome, ...]:
    by_file = compile_files(selection.files, compile_one, jobs)
    tracked = track(by_file, len(selection.files))
    outcomes = tuple(outcome for group in tracked for outcome in group)
    if project.warnings_as_errors:
        outcomes = tuple(outcome.with_warnings_as_errors() for outcome in outcomes)
    return refuse_collisions(outcomes, project)


def _plan(
    project: Project, selection: Selection, outcomes: tuple[Outcome, ...]
) -> OutputPlan:
    failed = [outcome for outcome in outcomes if outcome.failed]
    return plan(
        (item for outcome in outcomes for item in outcome.artifacts),
        project,
        covers=selection.covers,
        failed={outcome.spec for outcome in failed},
        claimed={path for item in failed for path in claimed_files(item, project)},
    )
