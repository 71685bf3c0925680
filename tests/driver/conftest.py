"""Projects in temporary folders, and a compiler that needs no mathematics."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lossgen.backend.header import fingerprint, write_header
from lossgen.diagnostics.diagnostic import Diagnostic, diagnostic
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.driver.project import Project, load_project
from lossgen.ir.artifact import Artifact
from lossgen.ir.options import Options
from lossgen.ir.spec import LossSpec, TensorSpec, Text

OPTIONS = Options("lossgen", None, ".", ())


@dataclass(frozen=True)
class FakeCompilation:
    name: str | None
    spec: LossSpec | None
    checked: None
    artifacts: tuple[Artifact, ...]
    diagnostics: tuple[Diagnostic, ...]


def fake_compile(source: SourceFile) -> tuple[FakeCompilation, ...]:
    """Compile ``name: …`` documents; one that says ``error`` or ``warning`` has it."""
    if "crash" in source.text:
        raise RuntimeError("boom")
    return tuple(
        _compile_document(source, match) for match in _DOCUMENT.finditer(source.text)
    )


_DOCUMENT = re.compile(r"name: (\w+)\n(.*?)(?=^name: |\Z)", re.DOTALL | re.MULTILINE)


def _compile_document(source: SourceFile, match: re.Match[str]) -> FakeCompilation:
    name, body = match[1], match[2]
    words = body.split()
    span = Span(source, match.start(1), match.end(1))
    found = []
    if "error" in words:
        found.append(diagnostic("LG203", "an error", span))
    if "warning" in words:
        found.append(diagnostic("LG407", "a warning", span))
    if "note" in words:
        found.append(diagnostic("LG402", "a note", span))
    digest = fingerprint(match[0], OPTIONS, [])
    artifacts = tuple(
        Artifact(path, kind, write_header(f"{body!r}\n", source.path, digest))
        for path, kind in ((f"{name}.py", "module"), (f"test_{name}.py", "test"))
    )
    failed = "error" in words
    spec = _spec(source, name, match.start(1), span)
    return FakeCompilation(name, spec, None, () if failed else artifacts, tuple(found))


def _spec(source: SourceFile, name: str, start: int, span: Span) -> LossSpec:
    text = Text(name, source, tuple(range(start, start + len(name) + 1)))
    tensor = TensorSpec()
    return LossSpec(
        source, span, text, text, (), tensor, tensor, (), None, "continuous",
        (), (), None, (), None, None, (),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, which is the working directory."""
    (tmp_path / "specs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def add_spec(folder: Path) -> Callable[..., Path]:
    """Write a spec for the fake compiler."""

    def add(name: str, body: str = "", file: str | None = None) -> Path:
        path = folder / "specs" / (file or f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name: {name}\n{body}\n")
        return path

    return add


@pytest.fixture
def project(folder: Path) -> Project:
    """The project with the default configuration."""
    return load_project(folder)


@pytest.fixture
def compile_one() -> Callable[[SourceFile], tuple[FakeCompilation, ...]]:
    """The fake compiler."""
    return fake_compile
