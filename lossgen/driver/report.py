"""Printing outcomes, builds and findings in the format that was asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.diagnostics.render import render_github, render_text, to_record
from lossgen.driver.build import BuildMode, BuildResult, shown_changes
from lossgen.driver.catalogue import family
from lossgen.driver.formats import Format
from lossgen.driver.outcome import Outcome
from lossgen.driver.output import State, diff
from lossgen.driver.summary import (
    build_line,
    certificate_lines,
    check_line,
    orphan_lines,
)


def report_check(outcomes: tuple[Outcome, ...], format_: Format) -> None:
    """Print what ``lossgen check`` found, notes included."""
    if format_ is Format.JSON:
        _print_json({"specs": [_record(outcome) for outcome in outcomes]})
        return
    report_findings(_of(outcomes), format_)
    if format_ is Format.TEXT:
        for outcome in outcomes:
            if outcome.name is not None:
                _print_lines(certificate_lines(outcome))
        _print_lines([check_line(outcomes)])


def report_build(
    result: BuildResult, mode: BuildMode, format_: Format, *, with_diff: bool = False
) -> None:
    """Print what ``lossgen build`` found and did; notes are for ``check``."""
    changes = diff(shown_changes(result, mode)) if with_diff else ""
    if format_ is Format.JSON:
        extra = {"diff": changes} if with_diff else {}
        _print_json({**_build_record(result), **extra})
        return
    # A diff has the standard output to itself, so that it can be piped to patch.
    stream = sys.stderr if with_diff else sys.stdout
    sys.stdout.write(changes)
    report_findings(_grave(_of(result.outcomes)), format_, stream)
    if format_ is Format.GITHUB:
        report_findings(result.findings, format_, stream)
        return
    _print_lines((_line(item) for item in result.findings), stream)
    if not (mode.check or mode.prune):
        _print_lines(orphan_lines(result.plan), stream)
    _print_lines([build_line(result, mode)], stream)


def nothing_to_say(result: BuildResult, mode: BuildMode) -> str | None:
    """All that ``report_build`` prints of a build that had nothing to do.

    None if it had, or if there is a finding about it.
    """
    idle = len(result.plan.of(State.UNCHANGED)) == len(result.plan.changes)
    return build_line(result, mode) if idle and not _grave(result.diagnostics) else None


def report_catalogue(outcomes: tuple[Outcome, ...], format_: Format) -> None:
    """Print the catalogue: name, family, verdict, properties."""
    if format_ is Format.JSON:
        _print_json({"specs": [_catalogue_record(outcome) for outcome in outcomes]})
        return
    rows = [_catalogue_row(outcome) for outcome in outcomes]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        _print_lines(["  ".join([*(cell for cell in cells if cell), row[3]]).rstrip()])


def report_findings(
    findings: Iterable[Diagnostic], format_: Format, stream: TextIO | None = None
) -> None:
    """Print findings alone; for JSON they are an object without specs."""
    found = list(findings)
    target = stream or sys.stdout
    if format_ is Format.JSON:
        _print_json({"specs": [], "diagnostics": [to_record(item) for item in found]})
    elif found and format_ is Format.GITHUB:
        target.write(render_github(found))
    elif found:
        target.write(render_text(found, color=_has_color(target)) + "\n")


def _has_color(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _of(outcomes: Iterable[Outcome]) -> list[Diagnostic]:
    return [item for outcome in outcomes for item in outcome.diagnostics]


def _grave(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [item for item in findings if item.severity is not Severity.NOTE]


def _line(item: Diagnostic) -> str:
    way_out = f"; {item.help}" if item.help else ""
    return f"{item.severity.value}[{item.code.id}]: {item.message}{way_out}"


def _record(outcome: Outcome) -> dict[str, Any]:
    return {
        "spec": outcome.spec,
        "name": outcome.name,
        "verdict": outcome.verdict,
        "kinks": [
            {
                "at": kink.at,
                "left": kink.left,
                "right": kink.right,
            }
            for kink in outcome.kinks
        ],
        "properties": {item.name: item.status for item in outcome.properties},
        "diagnostics": [to_record(item) for item in outcome.diagnostics],
    }


def _build_record(result: BuildResult) -> dict[str, Any]:
    return {
        "specs": [_record(outcome) for outcome in result.outcomes],
        "files": [
            {"path": change.shown, "state": change.state.value}
            for change in result.plan.changes
        ],
        "diagnostics": [to_record(item) for item in result.findings],
    }


def _catalogue_record(outcome: Outcome) -> dict[str, Any]:
    return {**_record(outcome), "family": family(outcome.spec)}


def _catalogue_row(outcome: Outcome) -> Sequence[str]:
    proved = [item.name for item in outcome.properties if item.status == "proved"]
    return (
        outcome.name or "?",
        family(outcome.spec),
        outcome.verdict,
        ", ".join(proved),
    )


def _print_json(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record, indent=2) + "\n")


def _print_lines(lines: Iterable[str], stream: TextIO | None = None) -> None:
    target = stream or sys.stdout
    target.writelines(f"{line}\n" for line in lines)
