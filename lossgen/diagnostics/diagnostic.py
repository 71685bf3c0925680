"""What lossgen has to say about a spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lossgen.diagnostics.codes import CODES, Code, Severity
from lossgen.diagnostics.source import Span


@dataclass(frozen=True)
class Diagnostic:
    """One finding: its code, where it is, and one terse sentence.

    ``notes`` give the facts that led to it (a witness, a range); ``help`` is the way
    out. ``path`` stands in for the span where a finding concerns a whole file.
    """

    code: Code
    message: str
    span: Span | None = None
    notes: tuple[str, ...] = ()
    help: str | None = None
    path: str | None = None
    severity: Severity = field(default=Severity.ERROR)

    @property
    def file(self) -> str | None:
        """The path of the file that the finding is about."""
        return self.span.source.path if self.span else self.path


def diagnostic(
    code: str,
    message: str,
    span: Span | None = None,
    *,
    notes: Iterable[str] = (),
    help: str | None = None,
    path: str | None = None,
) -> Diagnostic:
    """Make a diagnostic with the severity that the registry gives its code."""
    entry = CODES[code]
    return Diagnostic(entry, message, span, tuple(notes), help, path, entry.severity)


class Report:
    """Collects the diagnostics of one spec, in the order in which they are found."""

    def __init__(self) -> None:
        """Start empty."""
        self._found: dict[Diagnostic, None] = {}

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        notes: Iterable[str] = (),
        help: str | None = None,
    ) -> None:
        """Record a finding; an exact repetition is recorded once."""
        self._found.setdefault(diagnostic(code, message, span, notes=notes, help=help))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Record findings that were made elsewhere."""
        for item in diagnostics:
            self._found.setdefault(item)

    @property
    def has_errors(self) -> bool:
        """Whether an error was recorded."""
        return any(item.severity is Severity.ERROR for item in self._found)

    def silence(self, codes: Iterable[str]) -> None:
        """Drop warnings and notes with these codes; errors cannot be silenced."""
        silent = set(codes)
        self._found = {
            item: None
            for item in self._found
            if item.severity is Severity.ERROR or item.code.id not in silent
        }

    def __iter__(self) -> Iterator[Diagnostic]:
        """In order of position, then of discovery."""
        return iter(
            sorted(
                self._found,
                key=lambda item: (
                    (item.file or "", item.span.start) if item.span else ("", -1)
                ),
            )
        )


class SpecError(Exception):
    """A spec, or the command's input, has errors; ``diagnostics`` says which."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Keep the findings; the message is their one-line summary."""
        self.diagnostics = tuple(diagnostics)
        super().__init__(
            "; ".join(
                f"{item.code.id} {item.message}"
                for item in self.diagnostics
                if item.severity is Severity.ERROR
            )
        )
