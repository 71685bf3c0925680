"""The pipeline: text in, artifacts and diagnostics out.

Pure: nothing here reads or writes files, but for the templates that it is handed the
directories of, and what they were compiled to.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from operator import itemgetter
from pathlib import PurePath

from lossgen.analysis.check import check
from lossgen.backend import emit_module as module_stage
from lossgen.backend import emit_test as test_stage
from lossgen.backend.header import fingerprint, write_header
from lossgen.backend.templating import sources
from lossgen.calculus.steps import OutOfStepsError, Steps, limited
from lossgen.diagnostics.diagnostic import Diagnostic, Report
from lossgen.diagnostics.fault import fault
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.reader import document_starts, read
from lossgen.frontend.recovery import report_rest
from lossgen.frontend.resolver import resolve
from lossgen.frontend.schema import read_specs
from lossgen.ir.artifact import Artifact
from lossgen.ir.loss import CheckedLoss
from lossgen.ir.options import NO_DEFAULTS, Options, SpecDefaults
from lossgen.ir.program import LossProgram
from lossgen.ir.reference import ReferenceTable
from lossgen.ir.spec import LossSpec
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.guard_points import settled_guards
from lossgen.oracle.inaccuracy import report_inaccuracy, report_left_out
from lossgen.oracle.placeholders import NoPlaceholderError, placeholders
from lossgen.oracle.reference import NoSamplesError, reference
from lossgen.transform.lower import lower

MAX_SECONDS = 600  # for one spec; only what hangs takes as long

MAX_STEPS = 20_000_000
"""For choosing the forms, and for measuring those that are chosen."""


@dataclass(frozen=True)
class Compilation:
    """What became of one YAML document.

    ``name`` and ``spec`` are None where it could not be read, ``checked`` where an
    error was found; then there are no artifacts either. ``program`` and ``table`` are
    what the artifacts were made of.
    """

    name: str | None
    spec: LossSpec | None
    checked: CheckedLoss | None
    artifacts: tuple[Artifact, ...]
    diagnostics: tuple[Diagnostic, ...]
    program: LossProgram | None = None
    table: ReferenceTable | None = None


def compile_source(source: SourceFile, options: Options) -> tuple[Compilation, ...]:
    """Compile every document of a spec file.

    Args:
        source: The file's text.
        options: What the configuration contributes.

    Returns:
        One compilation a document; a file that cannot be read is one without a name.
    """
    return tuple(
        item
        if item.checked is None
        else _attempted(item, partial(_compiled, item, item.checked, options))
        for item in check_source(source, options.defaults)
    )


def check_source(
    source: SourceFile, defaults: SpecDefaults = NO_DEFAULTS
) -> tuple[Compilation, ...]:
    """Read, resolve and check every document of a spec file.

    Args:
        source: The file's text.
        defaults: What a spec says that leaves a key out.
    """
    report = Report()
    documents = read(source, report)
    specs = read_specs(documents, report, defaults)
    if report.has_errors:
        report_rest(documents, specs, report)
    starts = document_starts(source)
    about: dict[int, list[Diagnostic]] = {}
    for item in report:
        number = bisect(starts, item.span.start) if item.span else 0
        about.setdefault(max(number, 1), []).append(item)
    found = [
        (number, Compilation(None, None, None, (), tuple(items)))
        for number, items in about.items()
    ]
    for spec in specs:
        unchecked = Compilation(spec.name.value, spec, None, (), ())
        checked = _attempted(unchecked, partial(_checked, spec))
        found.append((bisect(starts, spec.span.start), checked))
    return tuple(item for _, item in sorted(found, key=itemgetter(0)))


def _attempted(item: Compilation, step: Callable[[], Compilation]) -> Compilation:
    """What a step makes of a document; a fault of lossgen in it concerns no other."""
    try:
        with limited(Steps(inf, MAX_SECONDS)):
            return step()
    except Exception as error:
        assert item.spec is not None
        found = (*item.diagnostics, fault(error, item.spec.name.span()))
        return replace(item, checked=None, diagnostics=found)


def _checked(spec: LossSpec) -> Compilation:
    report = Report()
    loss = resolve(spec, report)
    checked = None if loss is None else check(loss, report)
    report.silence(text.value for text, _ in spec.allow)
    return Compilation(spec.name.value, spec, checked, (), tuple(report))


def _compiled(item: Compilation, checked: CheckedLoss, options: Options) -> Compilation:
    loss = checked.loss
    steps = Steps(MAX_STEPS)
    measures = {
        logits: Measured(loss, logits=logits, bounds=True, steps=steps)
        for logits in ((False, True) if loss.spec.y_pred.logits else (False,))
    }
    report = Report()
    report.extend(item.diagnostics)
    program = lower(
        checked,
        measures.__getitem__,
        lambda form, guards: settled_guards(loss, form, guards, report),
    )
    if report.has_errors:
        return replace(item, checked=None, diagnostics=tuple(report))
    program = _examined(program, measures, report)
    try:
        harmless = placeholders(loss)
        table = reference(
            loss,
            program.stable,
            program.stable_logits,
            program.guards,
            program.reach or (),
        )
    except (NoPlaceholderError, NoSamplesError) as error:
        report.add("LG309", str(error), loss.spec.loss.span(), help=error.help)
        return replace(item, checked=None, diagnostics=tuple(report))
    report_left_out(loss, table, report)
    report.silence(text.value for text, _ in loss.spec.allow)
    module = module_stage.emit_module(program, harmless, options)
    test = test_stage.emit_test(program, table, harmless, options)
    return replace(
        item,
        program=program,
        table=table,
        diagnostics=tuple(report),
        artifacts=(
            _artifact(module, "module", loss.name, loss.spec, options),
            _artifact(test, "test", f"test_{loss.name}", loss.spec, options),
        ),
    )


def _examined(
    program: LossProgram, measures: Mapping[bool, Measured], report: Report
) -> LossProgram:
    """The program with what its forms are worth; warnings where they go wrong."""
    forms = {False: program.stable}
    if program.stable_logits is not None:
        forms[True] = program.stable_logits
    sizes: list[float | None] = []
    unmeasured = ["not all forms were compared, and the best so far was taken"]
    unmeasured *= program.is_unfinished
    try:
        with limited(Steps(MAX_STEPS)):
            for logits, form in forms.items():
                guards = () if logits else program.guards
                sizes.append(report_inaccuracy(measures[logits], form, guards, report))
    except OutOfStepsError:
        sizes.append(None)
        unmeasured.append("what is computed was not compared at all points")
    for what in unmeasured:
        report.add(
            "LG604",
            f"{what}: that took more than {MAX_STEPS:,} steps",
            program.checked.loss.expression.span,
            help="write the formula with fewer terms, branches or nested calls, or "
            "give a reason for LG604 under `allow`",
        )
    known = [size for size in sizes if size is not None]
    return replace(program, exact_to=min(known) if known == sizes else None)


def _artifact(
    body: str, kind: str, stem: str, spec: LossSpec, options: Options
) -> Artifact:
    document = spec.source.text[spec.span.start : spec.span.end]
    templates = sources(_templates(kind), options.templates)
    inputs = fingerprint(document, options, templates)
    path = PurePath(spec.source.path).as_posix()
    return Artifact(f"{stem}.py", kind, write_header(body, path, inputs))


def _templates(kind: str) -> list[str]:
    if kind == "test":
        return [test_stage.TEMPLATE]
    return [module_stage.TEMPLATE, *module_stage.HELPER_TEMPLATES]
