"""What the result of a build depends on, but for the text of its specs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256

from lossgen.driver.project import Project
from lossgen.driver.version import versions
from lossgen.ir.options import SpecDefaults

FORMAT = 1
"""Counts up when what is stored changes its form."""

SHAPING = (
    "black",
    "jinja2",
    "mpmath",
    "numpy",
    "pydantic",
    "ruamel.yaml",
    "sympy",
)
"""What shapes the output or the findings, besides lossgen."""

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder of lossgen's own source."""


def environment(project: Project) -> str:
    """A hash of all that two builds of the same specs may differ in.

    lossgen itself is in it with its source, not with its version: a checkout changes
    without one.
    """
    digest = sha256()
    for part in _parts(project):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _parts(project: Project) -> Iterator[bytes]:
    yield b"%d" % FORMAT
    yield repr(sys.version_info[:2]).encode()
    yield repr(sorted(versions(SHAPING).items())).encode()
    yield repr((project.package, project.module)).encode()
    for word in _written(project.defaults):
        yield word.encode()
    for folder in project.templates:
        yield from _contents(str(folder), is_template)
    yield from _contents(PACKAGE, is_source)


def is_template(name: str) -> bool:
    """Whether a file in a folder of templates counts."""
    return not name.startswith(".")


def is_source(name: str) -> bool:
    """Whether a file in lossgen's own folder counts."""
    return name.endswith(".py")


def _written(defaults: SpecDefaults) -> Iterator[str]:
    """The defaults and where they stand, which findings show."""
    yield repr(defaults.inputs)
    for text in (*defaults.properties, *(code for code, _ in defaults.allow)):
        yield repr((text.source.path, text.offsets))
        yield text.source.text


def _contents(folder: str, wanted: Callable[[str], bool]) -> Iterator[bytes]:
    """The names and bytes of the files of a folder, in a fixed order."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name != "__pycache__" and name[0] != "."
        )
        for name in sorted(names):
            if wanted(name):
                path = os.path.join(parent, name)
                yield os.path.relpath(path, folder).encode()
                with open(path, "rb") as file:
                    yield file.read()
