"""Which spec files a command is about."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lossgen.diagnostics.diagnostic import SpecError, diagnostic
from lossgen.diagnostics.source import SourceFile
from lossgen.driver.project import Project

_SUFFIXES = (".yaml", ".yml")


class UsageError(Exception):
    """The command line asks for something that does not exist."""


@dataclass(frozen=True)
class SpecFile:
    """A spec file: where it is, and the path by which outputs name it."""

    path: Path
    shown: str


@dataclass(frozen=True)
class Selection:
    """The spec files of one command, and which specs it speaks for.

    ``roots`` are the files and folders that were asked for, as outputs show them; None
    stands for everything.
    """

    files: tuple[SpecFile, ...]
    roots: tuple[str, ...] | None

    def covers(self, spec_path: str) -> bool:
        """Whether a spec, present or gone, is among those that were asked for."""
        return self.roots is None or any(
            spec_path == root
            or spec_path.startswith(f"{root}/")
            or (root == "." and not spec_path.startswith("../"))
            for root in self.roots
        )


def find_specs(project: Project, paths: Sequence[Path] = ()) -> Selection:
    """Find the spec files below the given paths, or the configured ones.

    Folders are searched for ``*.yaml`` and ``*.yml``; a given file is taken as it is.

    Raises:
        UsageError: If a given path does not exist.
        SpecError: With LG506, if a configured one does not.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"no such file or folder: {path}")
    if not paths:
        _check_configured(project)
    chosen = [Path(os.path.abspath(path)) for path in paths or project.specs]
    roots = tuple(project.relative(path) for path in chosen) if paths else None
    return Selection(tuple(_distinct(project, chosen)), roots)


def is_spec(name: str) -> bool:
    """Whether a file in a folder of specs is one, by its name."""
    return name.lower().endswith(_SUFFIXES) and not is_hidden(name)


def is_hidden(path: str) -> bool:
    """Whether a folder or file is hidden; hidden ones are not looked into."""
    return os.path.basename(path).startswith(".")


def read_spec(file: SpecFile) -> SourceFile:
    """Read a spec file; line ends become line feeds, a byte order mark is dropped.

    Raises:
        SpecError: With LG110, if it cannot be read.
    """
    try:
        text = file.path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = diagnostic("LG110", _reason(error), path=file.shown)
        raise SpecError([problem]) from error
    return SourceFile(file.shown, text)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
    return f"cannot be read: {error.strerror or error}"


def _check_configured(project: Project) -> None:
    missing = [path for path in project.specs if not path.exists()]
    if missing:
        raise SpecError(
            diagnostic(
                "LG506",
                f"`specs`: no such file or folder: {project.relative(path)}",
                help="name the specs on the command line, or set `specs` in "
                "[tool.lossgen]",
            )
            for path in missing
        )


def _identity(file: Path) -> str:
    """The path of a file with symbolic links followed."""
    if os.path.islink(file):
        return os.path.realpath(file)
    folder, name = os.path.split(file)
    return os.path.join(_real_folder(folder), name)


@cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _distinct(project: Project, paths: Iterable[Path]) -> Iterator[SpecFile]:
    seen: set[str] = set()
    for path in paths:
        for file in _below(path) if path.is_dir() else (path,):
            identity = _identity(file)
            if identity not in seen:
                seen.add(identity)
                yield SpecFile(file, project.relative(file))


def _below(folder: Path) -> list[Path]:
    found: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        found.extend(os.path.join(parent, name) for name in names if is_spec(name))
    return [
        Path(path) for path in sorted(found, key=lambda path: path.replace(os.sep, "/"))
    ]
