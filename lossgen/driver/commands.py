"""The commands: each loads the project, does its one thing, and reports.

They return the exit code.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Report
from lossgen.driver import build as building
from lossgen.driver.boundary import FINE, PROBLEMS, exit_code
from lossgen.driver.build import BuildMode
from lossgen.driver.build_inputs import build_inputs
from lossgen.driver.cache import opened
from lossgen.driver.catalogue import catalogue_files
from lossgen.driver.discovery import Selection, find_specs
from lossgen.driver.explain import explain, list_codes
from lossgen.driver.formats import Format
from lossgen.driver.project import Overrides, load_project
from lossgen.driver.replay import FOLDER, record
from lossgen.driver.report import (
    nothing_to_say,
    report_build,
    report_catalogue,
    report_check,
    report_findings,
)
from lossgen.ir.options import NO_DEFAULTS

_CLOCKS = 2_000_000_000
"""By how many nanoseconds the clock of a file system may differ from ours, and how
coarse it may be."""


def run_build(
    paths: Sequence[Path],
    mode: BuildMode,
    overrides: Overrides,
    *,
    with_diff: bool,
    cached: bool,
    jobs: int | None,
    format_: Format,
) -> int:
    """``lossgen build``."""
    started = time.time_ns()
    project = load_project(overrides=overrides)
    selection = find_specs(project, paths)
    with opened(project) if cached else nullcontext() as cache:
        result = building.build(project, selection, mode, jobs=jobs, cache=cache)
    report_build(result, mode, format_, with_diff=with_diff)
    if cached and format_ is Format.TEXT and not with_diff:
        said = nothing_to_say(result, mode)
        if said is not None:
            inputs = build_inputs(project, selection, paths)
            folder = os.path.join(project.root, FOLDER)
            record(folder, sys.argv[1:], said, inputs, started - _CLOCKS)
    return exit_code(result.diagnostics)


def run_check(
    paths: Sequence[Path], *, cached: bool, jobs: int | None, format_: Format
) -> int:
    """``lossgen check``."""
    project = load_project()
    selection = find_specs(project, paths)
    with opened(project) if cached else nullcontext() as cache:
        outcomes = building.check(project, selection, jobs=jobs, cache=cache)
    report_check(outcomes, format_)
    return exit_code(item for outcome in outcomes for item in outcome.diagnostics)


def run_test(paths: Sequence[Path]) -> int:
    """``lossgen test``."""
    from lossgen.driver.testing import find_tests, run_tests  # for start-up time

    project, report = load_project(), Report()
    files = find_tests(project, find_specs(project, paths), report)
    if report.has_errors:
        report_findings(report, Format.TEXT, sys.stderr)
        return PROBLEMS
    return run_tests(files) if files else FINE


def run_show(spec: str, stage: str | None) -> int:
    """``lossgen show``."""
    from lossgen.compiler import compile_source
    from lossgen.driver.show import find_spec, show

    project = load_project()
    source = find_spec(project, spec)
    compilations = compile_source(source, options=project.options)
    texts = [show(item, source.path, stage) for item in compilations]
    sys.stdout.write("\n".join(text for text in texts if text))
    findings = [item for each in compilations for item in each.diagnostics]
    report_findings(findings, Format.TEXT, sys.stderr)
    return exit_code(findings)


def run_optimize(spec: str, *, budget: int, always: bool, format_: Format) -> int:
    """``lossgen optimize``."""
    from lossgen.compiler import check_source
    from lossgen.driver.optimize import lines_of, optimize, record
    from lossgen.driver.show import find_spec

    project = load_project()
    compilations = check_source(find_spec(project, spec), project.defaults)
    found = []
    for item in compilations:
        if item.checked is None:
            continue
        loss = item.checked.loss
        for logits in (False, True) if loss.spec.y_pred.logits else (False,):
            result = optimize(loss, logits=logits, budget=budget, always=always)
            found.append(record(result))
            if format_ is not Format.JSON:
                print("\n".join(lines_of(result)), flush=True)
    if format_ is Format.JSON:
        print(json.dumps({"losses": found}, indent=2))
    findings = [item for each in compilations for item in each.diagnostics]
    report_findings(
        (item for item in findings if item.severity is Severity.ERROR),
        Format.TEXT,
        sys.stderr,
    )
    return exit_code(findings)


def run_explain(code: str | None) -> int:
    """``lossgen explain``."""
    sys.stdout.write(list_codes() if code is None else explain(code))
    return FINE


def run_new(name: str, model: str | None) -> int:
    """``lossgen new``."""
    from lossgen.compiler import check_source
    from lossgen.driver.new import new_spec

    project = load_project()
    path = new_spec(project, name, model, check_source=check_source)
    print(f"wrote {project.relative(path)}")
    return FINE


def run_list(*, jobs: int | None, format_: Format) -> int:
    """``lossgen list``."""
    # The catalogue is what it is, whatever the project's defaults.
    project = replace(load_project(), defaults=NO_DEFAULTS)
    selection = Selection(catalogue_files(), None)
    certify = building.certifier(project)
    outcomes = building.check(project, selection, jobs=jobs, compile_one=certify)
    report_catalogue(outcomes, format_)
    return FINE


def run_schema() -> int:
    """``lossgen schema``."""
    from lossgen.frontend.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return FINE
