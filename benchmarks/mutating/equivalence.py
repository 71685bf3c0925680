"""Which survivors change nothing, shown by comparing them with the original.

A survivor counts as equivalent only if it and the original agree in every probe:
values, gradients and second derivatives at thousands of points in each type and form,
configuration, defaults, refused arguments, shapes, weights, masks, and graphs that do
not know shapes. And only if the probes run every line that the mutant changes: what
they do not reach, they do not show. A probe that runs none of them cannot tell the
mutant apart, and is left out, unless an import runs them.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from types import FrameType
from typing import Any

from mutating.comparing import (
    CLOSE,
    IDENTICAL,
    MOVED,
    THRESHOLD_ULPS,
    ULPS,
    Verdict,
    difference,
)
from mutating.points import Inputs
from mutating.probes import probes
from mutating.probing import caught
from mutating.source import Mutant
from mutating.trial import Bench, CrashError, HangError, forked

_LIMIT = 120.0


@dataclass(frozen=True)
class Seen:
    """What a probe of the original gave, and the lines of the module that it ran."""

    probe: str
    result: Any
    lines: frozenset[int]


@dataclass(frozen=True)
class Observed:
    """The results of all probes of the original, and the lines that its import ran."""

    probes: tuple[Seen, ...]
    imported: frozenset[int]
    points: int

    @property
    def lines(self) -> frozenset[int]:
        """All lines that were run."""
        return self.imported.union(*(seen.lines for seen in self.probes))


class Equivalence:
    """Compares mutants of one module with it."""

    def __init__(self, text: str, inputs: Inputs) -> None:
        """Keep what is needed."""
        self._text = text
        self._inputs = inputs
        self._original: Observed | None = None
        self._observing = Lock()

    def observe(self, bench: Bench) -> Observed:
        """What the original does, which is found out once."""
        with self._observing:
            if self._original is None:
                bench.place(self._text)
                work = partial(self._observed, bench)
                self._original = forked(work, 2 * _LIMIT)
            return self._original

    def verdict(self, bench: Bench, mutant: Mutant) -> Verdict:
        """Whether anything tells a mutant from the original."""
        original = self.observe(bench)
        bench.place(mutant.text)
        bound = THRESHOLD_ULPS if mutant.note.startswith("threshold") else ULPS
        around = statement_around(self._text, mutant.lines)
        chosen = [
            around is None or not seen.lines.isdisjoint(around)
            for seen in original.probes
        ]
        try:
            test, distance = forked(
                lambda: self._compared(bench, original, chosen, bound), _LIMIT
            )
        except HangError:
            return Verdict(False, "it takes longer than the original")
        except CrashError as error:
            return Verdict(False, f"a probe ends the process: {error}")
        if test:
            return Verdict(False, test)
        missed = sorted(_statements(self._text, mutant.lines) - original.lines)
        if missed:
            lines = ", ".join(map(str, missed))
            return Verdict(False, f"unknown: no probe runs line {lines}")
        reason = IDENTICAL if not distance else CLOSE if distance <= ULPS else MOVED
        return Verdict(True, reason, sum(chosen), original.points)

    def _observed(self, bench: Bench) -> Observed:
        bench.enter()
        lines: set[int] = set()
        path = str(bench.module)

        def of_call(frame: FrameType, event: str, arg: Any) -> Any:
            return of_line if frame.f_code.co_filename == path else None

        def of_line(frame: FrameType, event: str, arg: Any) -> Any:
            lines.add(frame.f_lineno)
            return of_line

        def done() -> frozenset[int]:
            found = frozenset(lines)
            lines.clear()
            return found

        sys.settrace(of_call)
        module = importlib.import_module(bench.name)
        imported = done()
        found, points = [], 0
        for probe in probes(self._inputs):
            result = caught(module, partial(probe.run, module))
            found.append(Seen(probe.name, result, done()))
            points += probe.count
        sys.settrace(None)
        return Observed(tuple(found), imported, points)

    def _compared(
        self, bench: Bench, original: Observed, chosen: Sequence[bool], bound: float
    ) -> tuple[str, float]:
        """What a test would do to see the first difference, or how large all are."""
        bench.enter()
        module = importlib.import_module(bench.name)
        largest = 0.0
        for probe, seen, is_chosen in zip(
            probes(self._inputs), original.probes, chosen, strict=True
        ):
            assert probe.name == seen.probe
            if not is_chosen:
                continue
            result = caught(module, partial(probe.run, module))
            apart, where = difference(seen.result, result)
            if apart > bound:
                return probe.test + where, apart
            largest = max(largest, apart)
        return "", largest


def statement_around(text: str, lines: range) -> range | None:
    """The innermost statement in a function around some lines; None if there is none.

    What is outside, as a default is, runs when the module is imported.
    """
    found = None
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in (inner for item in function.body for inner in ast.walk(item)):
            if isinstance(node, ast.stmt):
                extent = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                holds = lines.start in extent and lines[-1] in extent
                if holds and (found is None or len(extent) <= len(found)):
                    found = extent
    return found


def _statements(text: str, lines: range) -> set[int]:
    """The lines among some at which a statement of the module starts to run."""
    starts = {
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef)
    }
    inside = {line for line in lines if line in starts}
    return inside or {max(start for start in starts if start <= lines.start)}
