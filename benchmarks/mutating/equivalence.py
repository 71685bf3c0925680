"""Which survivors change nothing, shown by comparing them with the original.

A survivor counts as equivalent only if it and the original agree in every probe:
values, gradients and second derivatives at thousands of points in each type and form,
configuration, defaults, refused arguments, shapes, weights, masks, and graphs that do
not know shapes. And only if the probes run every line that the mutant changes: what
they do not reach, they do not show.
"""

from __future__ import annotations

import ast
import importlib
import sys
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
class Observed:
    """The results of all probes of the original, and the lines that they ran."""

    results: tuple[tuple[str, Any], ...]
    lines: frozenset[int]
    points: int


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
        try:
            test, distance = forked(
                lambda: self._compared(bench, original, bound), _LIMIT
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
        return Verdict(True, reason, len(original.results), original.points)

    def _observed(self, bench: Bench) -> Observed:
        bench.enter()
        lines: set[int] = set()
        path = str(bench.module)

        def of_call(frame: FrameType, event: str, arg: Any) -> Any:
            return of_line if frame.f_code.co_filename == path else None

        def of_line(frame: FrameType, event: str, arg: Any) -> Any:
            lines.add(frame.f_lineno)
            return of_line

        sys.settrace(of_call)
        module = importlib.import_module(bench.name)
        results, points = [], 0
        for probe in probes(self._inputs):
            results.append((probe.name, caught(module, partial(probe.run, module))))
            points += probe.count
        sys.settrace(None)
        return Observed(tuple(results), frozenset(lines), points)

    def _compared(
        self, bench: Bench, original: Observed, bound: float
    ) -> tuple[str, float]:
        """What a test would do to see the first difference, or how large all are."""
        bench.enter()
        module = importlib.import_module(bench.name)
        largest = 0.0
        for probe, (name, expected) in zip(
            probes(self._inputs), original.results, strict=True
        ):
            assert probe.name == name
            result = caught(module, partial(probe.run, module))
            found, where = difference(expected, result)
            if found > bound:
                return probe.test + where, found
            largest = max(largest, found)
        return "", largest


def _statements(text: str, lines: range) -> set[int]:
    """The lines among some at which a statement of the module starts to run."""
    starts = {
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef)
    }
    inside = {line for line in lines if line in starts}
    return inside or {max(start for start in starts if start <= lines.start)}
