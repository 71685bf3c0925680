"""What became of one YAML document, as far as a report needs to know.

Unlike a ``Compilation`` it holds no expression trees: those remember their hashes,
which depend on the process, so they must not travel between processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.diagnostics.fault import FAULT
from lossgen.diagnostics.source import Span
from lossgen.ir.artifact import Artifact

if TYPE_CHECKING:
    from lossgen.compiler import Compilation
    from lossgen.ir.loss import Certificate


@dataclass(frozen=True)
class KinkRecord:
    """A kink in words: where, and the slopes on both sides, where they are known."""

    at: str
    left: str | None
    right: str | None
    order: int


@dataclass(frozen=True)
class PropertyRecord:
    """A property and what became of it: ``proved``, ``refuted`` or ``unknown``."""

    name: str
    status: str
    detail: str | None


@dataclass(frozen=True)
class CurrentArtifact:
    """An artifact whose file is as it should be already; its text was not read."""

    path: str
    kind: str


Artifacts = tuple["Artifact | CurrentArtifact", ...]


def has_text(artifact: Artifact | CurrentArtifact) -> TypeGuard[Artifact]:
    """Whether the text of an artifact is at hand."""
    return isinstance(artifact, Artifact)


@dataclass(frozen=True)
class Outcome:
    """One document of a spec file after compilation."""

    spec: str
    name: str | None
    name_span: Span | None
    verdict: str
    kinks: tuple[KinkRecord, ...]
    properties: tuple[PropertyRecord, ...]
    assumed: tuple[str, ...]
    infinite_ends: tuple[str, ...]
    artifacts: Artifacts
    diagnostics: tuple[Diagnostic, ...]

    @property
    def failed(self) -> bool:
        """Whether it has an error."""
        return any(item.severity is Severity.ERROR for item in self.diagnostics)

    @property
    def is_fault(self) -> bool:
        """Whether lossgen is at fault for one of its errors."""
        return any(item.code.id == FAULT for item in self.diagnostics)

    @property
    def is_spec(self) -> bool:
        """Whether it stands for a spec, not only for findings about a file."""
        return self.failed or self.name is not None

    def with_problems(self, problems: Iterable[Diagnostic]) -> Outcome:
        """The same with more findings; what has an error is not written."""
        more = replace(self, diagnostics=(*self.diagnostics, *problems))
        return replace(more, artifacts=()) if more.failed else more

    def with_warnings_as_errors(self) -> Outcome:
        """The same with every warning an error."""
        promoted = tuple(
            replace(item, severity=Severity.ERROR)
            if item.severity is Severity.WARNING
            else item
            for item in self.diagnostics
        )
        return replace(self, diagnostics=promoted).with_problems(())


def summarize(spec: str, compilation: Compilation) -> Outcome:
    """Reduce a compilation to its outcome."""
    certificate = compilation.checked.certificate if compilation.checked else None
    return Outcome(
        spec=spec,
        name=compilation.name,
        name_span=compilation.spec.name.span() if compilation.spec else None,
        verdict=certificate.smoothness.value if certificate else "refused",
        kinks=_kinks(certificate),
        properties=_properties(certificate),
        assumed=certificate.assumed if certificate else (),
        infinite_ends=certificate.infinite_ends if certificate else (),
        artifacts=compilation.artifacts,
        diagnostics=compilation.diagnostics,
    ).with_problems(())


def unreadable(spec: str, problems: Iterable[Diagnostic]) -> Outcome:
    """The outcome of a file that never reached the compiler."""
    return Outcome(spec, None, None, "refused", (), (), (), (), (), tuple(problems))


def _kinks(certificate: Certificate | None) -> tuple[KinkRecord, ...]:
    if certificate is None:
        return ()
    return tuple(
        KinkRecord(kink.at, kink.left, kink.right, kink.order)
        for kink in certificate.kinks
    )


def _properties(certificate: Certificate | None) -> tuple[PropertyRecord, ...]:
    if certificate is None:
        return ()
    return tuple(
        PropertyRecord(item.name, item.status, item.detail)
        for item in certificate.properties
    )
