"""Outcomes as JSON, and back.

The texts of artifacts are not in it, only their digests: a build with nothing to do
needs none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lossgen.diagnostics.codes import CODES, Severity
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.driver.outcome import Artifacts, KinkRecord, Outcome, PropertyRecord

Record = dict[str, Any]


def to_record(outcomes: Sequence[Outcome]) -> Record:
    """The outcomes of one spec file, without their artifacts."""
    sources = _Sources()
    records = [_record(outcome, sources) for outcome in outcomes]
    return {"sources": sources.texts, "outcomes": records}


def from_record(record: Record, artifacts: Sequence[Artifacts]) -> tuple[Outcome, ...]:
    """What ``to_record`` was given, with the artifacts of each outcome."""
    sources = [SourceFile(path, text) for path, text in record["sources"]]
    pairs = zip(record["outcomes"], artifacts, strict=True)
    return tuple(_outcome(item, sources, files) for item, files in pairs)


class _Sources:
    """The source files that spans point into; each is written once."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def index(self, source: SourceFile) -> int:
        written = source.path, source.text
        if written not in self.texts:
            self.texts.append(written)
        return self.texts.index(written)


def _record(outcome: Outcome, sources: _Sources) -> list[Any]:
    return [
        outcome.spec,
        outcome.name,
        _span_record(outcome.name_span, sources),
        outcome.verdict,
        [(k.at, k.left, k.right, k.order) for k in outcome.kinks],
        [(item.name, item.status, item.detail) for item in outcome.properties],
        outcome.assumed,
        outcome.infinite_ends,
        [_finding_record(item, sources) for item in outcome.diagnostics],
    ]


def _outcome(
    record: Sequence[Any], sources: Sequence[SourceFile], artifacts: Artifacts
) -> Outcome:
    spec, name, span, verdict, kinks, properties, assumed, ends, findings = record
    return Outcome(
        spec=spec,
        name=name,
        name_span=_span(span, sources),
        verdict=verdict,
        kinks=tuple(KinkRecord(*kink) for kink in kinks),
        properties=tuple(PropertyRecord(*item) for item in properties),
        assumed=tuple(assumed),
        infinite_ends=tuple(ends),
        artifacts=artifacts,
        diagnostics=tuple(_finding(item, sources) for item in findings),
    )


def _finding_record(item: Diagnostic, sources: _Sources) -> list[Any]:
    return [
        item.code.id,
        item.message,
        _span_record(item.span, sources),
        item.notes,
        item.help,
        item.path,
        item.severity.value,
    ]


def _finding(record: Sequence[Any], sources: Sequence[SourceFile]) -> Diagnostic:
    code, message, span, notes, help_, path, severity = record
    return Diagnostic(
        CODES[code],
        message,
        _span(span, sources),
        tuple(notes),
        help_,
        path,
        _SEVERITIES[severity],
    )


_SEVERITIES = {item.value: item for item in Severity}


def _span_record(span: Span | None, sources: _Sources) -> list[int] | None:
    return None if span is None else [sources.index(span.source), span.start, span.end]


def _span(record: Sequence[int] | None, sources: Sequence[SourceFile]) -> Span | None:
    return None if record is None else Span(sources[record[0]], record[1], record[2])
