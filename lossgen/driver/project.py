"""The project: its root folder and its configuration.

Configuration is read from ``lossgen.toml``, or from ``[tool.lossgen]`` of
``pyproject.toml``, in the nearest folder that has one, searched upwards.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

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

    def relative(self, path: Path) -> str:
        """A path as outputs show it: relative to the root, with ``/``."""
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


def _strings(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Path = Annotated[str, Field(min_length=1)]
_Paths = Annotated[list[_Path], BeforeValidator(_strings)]


class _Settings(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )

    specs: _Paths = ["specs"]
    out: _Path = "generated"
    tests: _Path | None = None
    package: str | None = None
    module: str | None = None
    templates: _Paths = []
    defaults: dict[str, Any] = {}
    warnings_as_errors: bool = False

    @field_validator("package")
    @classmethod
    def _registrable(cls, value: str | None) -> str | None:
        # Keras registers `package>Name`.
        if value is not None and (
            not value or not value.isprintable() or ">" in value or '"' in value
        ):
            raise ValueError('must be a name without ">" or quotes')
        return value

    @field_validator("module")
    @classmethod
    def _importable(cls, value: str | None) -> str | None:
        if value is not None and not all(
            part.isidentifier() for part in value.split(".")
        ):
            raise ValueError("must be an import path such as `mypackage.losses`")
        return value


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
    try:
        return _Settings.model_validate(found.table)
    except ValidationError as error:
        raise SpecError(_problems(found, error)) from error


def _problems(found: _Found, error: ValidationError) -> Iterator[Diagnostic]:
    keys = [name.replace("_", "-") for name in _Settings.model_fields]
    for item in error.errors():
        key = str(item["loc"][0]) if item["loc"] else "lossgen"
        help_ = None
        if item["type"] == "extra_forbidden":
            message = f"unknown key `{key}`"
            close = get_close_matches(key.replace("_", "-"), keys, n=1)
            help_ = (
                f"did you mean `{close[0]}`?" if close else f"keys: {', '.join(keys)}"
            )
        else:
            reason = item["msg"].removeprefix("Value error, ")
            message = f"`{key}`: {reason[:1].lower()}{reason[1:]}"
        span = found.span(key)
        yield diagnostic("LG506", message, span, help=help_, path=found.path.name)


def _defaults(found: _Found, table: dict[str, Any]) -> SpecDefaults:
    if not table:
        return NO_DEFAULTS
    from lossgen.driver.spec_defaults import checked_defaults

    return checked_defaults(table, lambda path: found.place("defaults", *path))


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
        module=settings.module,
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
        help="set `module` to the import path of the modules, "
        'such as module = "mypackage.losses"',
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
