"""The Python interface, as ``lossgen`` offers it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lossgen.compiler import Compilation, check_source, compile_source
from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import SpecError
from lossgen.driver.build import BuildMode, BuildResult
from lossgen.driver.build import build as build_project
from lossgen.driver.discovery import UsageError, find_specs, read_spec
from lossgen.driver.project import Overrides, load_project
from lossgen.ir.loss import Loss
from lossgen.ir.spec import LossSpec

StrPath = str | os.PathLike[str]


def load(path: StrPath) -> tuple[Loss, ...]:
    """Read a spec file and check it.

    Args:
        path: The file.

    Returns:
        A loss for each of its YAML documents.

    Raises:
        SpecError: If one of them has errors; ``diagnostics`` says which, and where.
        FileNotFoundError: If there is no such file.
    """
    project = load_project()
    file = find_specs(project, [_file(path)]).files[0]
    compilations = check_source(read_spec(file), project.defaults)
    _raise_errors(compilations)
    return tuple(item.checked.loss for item in compilations if item.checked)


def compile(  # noqa: A001 - lossgen.compile is what it is called
    spec: LossSpec | Loss | StrPath,
) -> Compilation:
    """Compile one spec; nothing is written.

    Args:
        spec: A file with one spec in it, or what ``load`` returned (or its ``spec``).

    Returns:
        The compilation. Its ``artifacts`` hold the text of the module and of its test,
        its ``diagnostics`` warnings and notes.

    Raises:
        SpecError: If the spec has errors.
        ValueError: If the file holds several specs: ``load`` it, compile one of them.
        FileNotFoundError: If there is no such file.
    """
    project = load_project()
    if isinstance(spec, Loss):
        spec = spec.spec
    if isinstance(spec, LossSpec):
        found = compile_source(spec.source, project.options)
        chosen = tuple(item for item in found if item.name == spec.name.value)
    else:
        file = find_specs(project, [_file(spec)]).files[0]
        chosen = compile_source(read_spec(file), project.options)
    _raise_errors(chosen)
    if len(chosen) != 1:
        raise ValueError(f"{len(chosen)} specs in one file: load it and compile one")
    return chosen[0]


def build(
    paths: Iterable[StrPath] = (),
    *,
    root: StrPath | None = None,
    out: StrPath | None = None,
    tests: StrPath | None = None,
    check: bool = False,
    force: bool = False,
    prune: bool = False,
    jobs: int | None = 1,
) -> BuildResult:
    """Compile specs and write modules and tests, as ``lossgen build`` does.

    Args:
        paths: Files or folders; none: the configured ones.
        root: Where the search for the configuration begins; the working directory by
            default.
        out: Where modules go, instead of the configured folder.
        tests: Where tests go, likewise.
        check: Write nothing; every file that is not what its spec says is a finding.
        force: Overwrite files that were edited by hand, or are not lossgen's.
        prune: Remove generated files whose spec is gone, unless they were edited.
        jobs: The number of processes; None: as many as pay off. With more than one, a
            script needs the ``if __name__ == "__main__"`` guard of multiprocessing.

    Returns:
        What was found and done; ``ok`` says whether there was no error. Errors in specs
        are findings here, and do not raise.

    Raises:
        SpecError: If the configuration cannot be used.
        FileNotFoundError: If a path does not exist.
    """
    overrides = Overrides(_path(out), _path(tests))
    project = load_project(_path(root), overrides)
    mode = BuildMode(check=check, force=force, prune=prune)
    try:
        selection = find_specs(project, [Path(path) for path in paths])
    except UsageError as error:
        raise FileNotFoundError(str(error)) from error
    return build_project(project, selection, mode, jobs=jobs)


def _path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _file(path: StrPath) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {os.fspath(path)}")
    return Path(path)


def _raise_errors(compilations: Iterable[Compilation]) -> None:
    found = [item for each in compilations for item in each.diagnostics]
    if any(item.severity is Severity.ERROR for item in found):
        raise SpecError(found)
