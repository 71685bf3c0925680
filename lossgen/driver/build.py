"""Building and checking a project: discovery, compiler and output put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.diagnostics.source import SourceFile
from lossgen.driver.batch import Compile, compile_files
from lossgen.driver.collisions import claimed_files, refuse_collisions
from lossgen.driver.discovery import Selection, SpecFile
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
from lossgen.ir.options import Options, SpecDefaults

if TYPE_CHECKING:
    from lossgen.compiler import Compilation
    from lossgen.driver.cache import Cache

CompileAll = Callable[[Sequence[SpecFile]], Iterator[tuple[Outcome, ...]]]
"""What compiles files, in order."""


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
    cache: Cache | None = None,
) -> BuildResult:
    """Compile specs and write what has changed.

    Args:
        project: The configuration.
        selection: The specs to build.
        mode: What to write.
        jobs: The number of processes; None: as many as pay off.
        compile_one: The compiler; lossgen's own by default.
        cache: Where the outcomes of earlier builds are.
    """
    mode = mode or BuildMode()
    outcomes = check(
        project, selection, jobs=jobs, compile_one=compile_one, cache=cache
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
    cache: Cache | None = None,
) -> tuple[Outcome, ...]:
    """Compile specs, and write nothing; see `build` for the arguments."""
    compile_all: CompileAll = partial(
        compile_files, compile_one=compile_one or _compiler(project), jobs=jobs
    )
    if cache is not None:
        compile_all = partial(_recalled, cache, compile_all)
    names = [file.shown for file in selection.files]
    tracked = track(compile_all(selection.files), names)
    outcomes = tuple(outcome for group in tracked for outcome in group)
    if project.warnings_as_errors:
        outcomes = tuple(outcome.with_warnings_as_errors() for outcome in outcomes)
    return refuse_collisions(outcomes, project)


def certifier(project: Project) -> Compile:
    """A compiler that goes no further than the certificate."""
    return partial(_check_source, defaults=project.defaults)


def shown_changes(result: BuildResult, mode: BuildMode) -> tuple[Change, ...]:
    """The files that ``--diff`` shows: what would change, and edits by hand."""
    touched = pending(result.plan, force=mode.force, prune=mode.prune)
    edited = result.plan.of(State.EDITED)
    chosen = {change.shown: change for change in (*touched, *edited)}
    return tuple(chosen[shown] for shown in sorted(chosen))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether an error is among the findings."""
    return any(item.severity is Severity.ERROR for item in diagnostics)


def _compiler(project: Project) -> Compile:
    return partial(_compile_source, options=project.options)


def _compile_source(source: SourceFile, options: Options) -> tuple[Compilation, ...]:
    # The compiler takes a second to import: only if there is something to compile.
    from lossgen.compiler import compile_source

    return compile_source(source, options)


def _check_source(
    source: SourceFile, defaults: SpecDefaults
) -> tuple[Compilation, ...]:
    from lossgen.compiler import check_source

    return check_source(source, defaults)


def _recalled(
    cache: Cache, compile_all: CompileAll, files: Sequence[SpecFile]
) -> Iterator[tuple[Outcome, ...]]:
    """The outcomes of files, of which only those are compiled that are not known."""
    known = [cache.recall(file) for file in files]
    unknown = [file for file, group in zip(files, known, strict=True) if group is None]
    compiled = compile_all(unknown)
    for file, group in zip(files, known, strict=True):
        if group is None:
            group = next(compiled)
            if not any(outcome.is_fault for outcome in group):
                cache.remember(file, group)  # a fault may be the machine's
        yield group


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
