"""The project: its root folder and its configuration.

Configuration is read from ``lossgen.toml``, or from ``[tool.lossgen]`` of
``pyproject.toml``, in the nearest folder that has one, searched upwards.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from lossgen.backend.header import printable
from lossgen.diagnostics.diagnostic import Diagnostic, SpecError, diagnostic
from lossgen.diagnostics.source import SourceFile, Span
from lossgen.driver.resources import templates_folder
from lossgen.driver.toml_places import KeyPath, Place, places
from lossgen.ir.options import NO_DEFAULTS, Options, SpecDefaults

# Imported by name, for no one interpreter has both for a type checker to look at.
_TOML: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

_OWN_FILE = "lossgen.toml"
_SHARED_FILE = "pyproject.toml"


@dataclass(frozen=True)
class Project:
    """A resolved configuration; every path is absolute."""

    root: Path
    specs: tuple[Path, ...]
    out: Path
    tests: Path
    package: str
    module: str | None
    templates: tuple[Path, ...]
    warnings_as_errors: bool
    defaults: SpecDefaults

    @property
    def options(self) -> Options:
        """What the compiler needs to know of it."""
        # Sources carry paths that are relative to the root already.
        folders = tuple(str(path) for path in self.templates)
        return Options(self.package, self.module, ".", folders, self.defaults)

    @cached_property
    def _prefix(self) -> str:
        return os.path.join(self.root, "")

    def relative(self, path: Path) -> str:
        """A path as outputs show it: relative to the root, with ``/``."""
        inside = str(path).removeprefix(self._prefix)
        if len(inside) < len(str(path)) and os.sep == "/" and ".." not in inside:
            return printable(inside)
        try:
            shown = Path(os.path.relpath(path, self.root))
        except ValueError:  # on another drive
            shown = path
        return printable(shown.as_posix())


@dataclass(frozen=True)
class Overrides:
    """What the command line says instead of the configuration."""

    out: Path | None = None
    tests: Path | None = None
    templates: tuple[Path, ...] = ()
    module: str | None = None


def load_project(
    start: Path | None = None, overrides: Overrides | None = None
) -> Project:
    """Find, read and resolve the configuration.

    Args:
        start: Where the search begins; the working directory by default. It is the
            root where no configuration is found.
        overrides: Paths given on the command line.

    Raises:
        SpecError: If the configuration cannot be used: with LG506, or for a default
            with the code that the value would get in a spec.
    """
    folder = (start or Path.cwd()).absolute()
    found = _find(folder)
    settings = _validate(found) if found else _Settings()
    defaults = _defaults(found, settings.defaults) if found else NO_DEFAULTS
    root = found.path.parent if found else folder
    project = _resolve(settings, root, overrides or Overrides(), defaults)
    _check_paths(project, found)
    return project


# By hand rather than with pydantic, which takes five times as long to import as Python
# to start: a build with nothing to do shall not wait for it.
@dataclass(frozen=True)
class _Settings:
    specs: tuple[str, ...] = ("specs",)
    out: str = "generated"
    tests: str | None = None
    package: str | None = None
    module: str | None = None
    templates: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    warnings_as_errors: bool = False


class _WrongValueError(Exception):
    pass


def configuration_files(start: Path) -> Iterator[Path]:
    """The files that are asked for the configuration, nearest first."""
    for folder in (start, *start.parents):
        yield folder / _OWN_FILE
        yield folder / _SHARED_FILE


def _path(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _WrongValueError("must be a path")
    return value


def _paths(value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(
        item and isinstance(item, str) for item in values
    ):
        raise _WrongValueError("must be a path or a list of paths")
    return tuple(values)


def _registrable(value: object) -> str:
    # Keras registers `package>Name`.
    if (
        not isinstance(value, str)
        or not value
        or not value.isprintable()
        or ">" in value
        or '"' in value
    ):
        raise _WrongValueError('must be a name without ">" or quotes')
    return value


def is_import_path(value: object) -> bool:
    """Whether tests can import a module by this name."""
    return isinstance(value, str) and all(map(str.isidentifier, value.split(".")))


def _importable(value: object) -> str:
    if not is_import_path(value):
        raise _WrongValueError("must be an import path such as `mypackage.losses`")
    return str(value)


def _subtable(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _WrongValueError("must be a table")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongValueError("must be true or false")
    return value


_KEYS: dict[str, Callable[[object], Any]] = {
    "specs": _paths,
    "out": _path,
    "tests": _path,
    "package": _registrable,
    "module": _importable,
    "templates": _paths,
    "defaults": _subtable,
    "warnings-as-errors": _switch,
}


@dataclass(frozen=True)
class _Found:
    path: Path
    text: str
    table: Mapping[str, Any]

    @cached_property
    def source(self) -> SourceFile:
        return SourceFile(self.path.name, self.text)

    @cached_property
    def _places(self) -> dict[KeyPath, Place]:
        return places(self.text)

    def span(self, *keys: str) -> Span:
        """Where a key of our table stands, or else the nearest table around it."""
        return self.place(*keys)[0]

    def place(self, *keys: str) -> tuple[Span, Span]:
        """Where a key and its value stand."""
        path = ("tool", "lossgen", *keys) if self.path.name == _SHARED_FILE else keys
        while path and path not in self._places:
            path = path[:-1]
        place = self._places.get(path, Place((0, 0), (0, 0)))
        return Span(self.source, *place.key), Span(self.source, *place.value)


def _find(start: Path) -> _Found | None:
    for folder in (start, *start.parents):
        own = folder / _OWN_FILE
        if own.is_file():
            text = _read(own)
            return _Found(own, text, _parse(own, text))
        shared = folder / _SHARED_FILE
        if shared.is_file():
            text = _read(shared)
            # Someone else's broken pyproject.toml is none of our business.
            tools = _table(_parse(shared, text), "tool") if "lossgen" in text else {}
            if "lossgen" in tools:
                return _Found(shared, text, tools["lossgen"])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        message = f"cannot read {path.name}: {reason}"
        raise SpecError([diagnostic("LG506", message, path=path.name)]) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        tables: dict[str, Any] = _TOML.loads(text)
    except ValueError as error:
        reason, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+), column (\d+)", place)
        span = _at(SourceFile(path.name, text), line) if line else None
        message = f"not valid TOML: {reason[:1].lower()}{reason[1:]}"
        raise SpecError([diagnostic("LG506", message, span, path=path.name)]) from error
    return tables


def _table(tables: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = tables.get(key)
    return value if isinstance(value, dict) else {}


def _at(source: SourceFile, place: re.Match[str]) -> Span:
    lines = source.text.splitlines(keepends=True)
    start = sum(len(line) for line in lines[: int(place[1]) - 1]) + int(place[2]) - 1
    return Span(source, start, min(start + 1, len(source.text)))


def _validate(found: _Found) -> _Settings:
    problems: list[Diagnostic] = []
    settings: dict[str, Any] = {}
    if not isinstance(found.table, dict):
        message = "`lossgen` must be a table"
        raise SpecError([_problem(found, "lossgen", message)])
    for key, value in found.table.items():
        if key not in _KEYS:
            problems.append(_unknown(found, key))
            continue
        try:
            settings[key.replace("-", "_")] = _KEYS[key](value)
        except _WrongValueError as error:
            problems.append(_problem(found, key, f"`{key}` {error}"))
    if problems:
        raise SpecError(problems)
    return _Settings(**settings)


def _unknown(found: _Found, key: str) -> Diagnostic:
    close = get_close_matches(key.replace("_", "-"), _KEYS, n=1)
    help_ = f"did you mean `{close[0]}`?" if close else f"keys: {', '.join(_KEYS)}"
    return _problem(found, key, f"unknown key `{key}`", help_)


def _problem(
    found: _Found, key: str, message: str, help_: str | None = None
) -> Diagnostic:
    return diagnostic(
        "LG506", message, found.span(key), help=help_, path=found.path.name
    )


def _defaults(found: _Found, table: Mapping[str, Any]) -> SpecDefaults:
    if not table:
        return NO_DEFAULTS
    # The frontend takes long to import, and few projects have defaults.
    from lossgen.driver.spec_defaults import checked_defaults

    return checked_defaults(dict(table), lambda path: found.place("defaults", *path))


def _resolve(
    settings: _Settings, root: Path, overrides: Overrides, defaults: SpecDefaults
) -> Project:
    out = _absolute(overrides.out or root / settings.out)
    tests = overrides.tests or (root / settings.tests if settings.tests else out)
    own_templates = [root / folder for folder in settings.templates]
    return Project(
        root=root,
        specs=tuple(_absolute(root / path) for path in settings.specs),
        out=out,
        tests=_absolute(tests),
        package=settings.package or _project_name(root) or "lossgen",
        module=overrides.module or settings.module,
        templates=tuple(
            _absolute(path)
            for path in (*overrides.templates, *own_templates, templates_folder())
        ),
        warnings_as_errors=settings.warnings_as_errors,
        defaults=defaults,
    )


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _project_name(root: Path) -> str | None:
    shared = root / _SHARED_FILE
    if not shared.is_file():
        return None
    try:
        name = _table(_TOML.loads(_read(shared)), "project").get("name")
    except ValueError:
        return None
    return name if isinstance(name, str) else None


def _check_paths(project: Project, found: _Found | None) -> None:
    problems = [
        *_apart(project, found),
        *_missing(project, project.templates, "templates", found),
    ]
    if problems:
        raise SpecError(problems)


def _apart(project: Project, found: _Found | None) -> Iterator[Diagnostic]:
    if project.tests == project.out or project.module is not None:
        return
    yield diagnostic(
        "LG506",
        "tests lie apart from the modules, and `module` is not set",
        found.span("tests") if found else None,
        notes=(
            f"modules go to {project.relative(project.out)}, "
            f"tests to {project.relative(project.tests)}",
        ),
        help="set `module` to the import path of the modules, such as "
        'module = "mypackage.losses", or say `--module mypackage.losses`',
        path=found.path.name if found else None,
    )


def _missing(
    project: Project, folders: Sequence[Path], key: str, found: _Found | None
) -> Iterator[Diagnostic]:
    for folder in folders:
        if not folder.is_dir():
            yield diagnostic(
                "LG506",
                f"`{key}`: no such folder: {project.relative(folder)}",
                found.span(key) if found else None,
                path=found.path.name if found else None,
            )
