"""The files and folders that a build depends on, whether they are there or not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lossgen.driver.cache_key import PACKAGE, is_source, is_template
from lossgen.driver.discovery import Selection, is_hidden, is_spec
from lossgen.driver.output import is_python, is_searched
from lossgen.driver.project import Project, configuration_files

Rule = Callable[[str], bool]


def build_inputs(
    project: Project, selection: Selection, paths: Sequence[Path]
) -> Iterator[str]:
    """Everything whose change may change the result of a build.

    Args:
        project: The configuration.
        selection: The specs of the build.
        paths: The files and folders that were asked for.
    """
    yield from map(str, configuration_files(Path.cwd()))
    yield from map(os.path.abspath, sys.path)  # where packages come and go
    yield from _tree(PACKAGE, is_source)
    for folder in project.templates:
        yield from _tree(str(folder), is_template, _is_no_cache)
    for path in paths or project.specs:
        yield from _tree(os.path.abspath(path), is_spec)
    yield from (str(file.path) for file in selection.files)
    for folder in {project.out, project.tests}:
        yield from _tree(str(folder), is_python, is_searched)


def _is_no_cache(path: str) -> bool:
    """Whether a folder holds what was written, not what templates were compiled to."""
    return os.path.basename(path) != "__pycache__"


def _tree(
    folder: str, is_read: Rule, is_entered: Rule = lambda path: True
) -> Iterator[str]:
    """A folder, the folders in it, and the files in it that are read."""
    yield folder
    for parent, folders, names in os.walk(folder):
        inner = [os.path.join(parent, name) for name in folders if not is_hidden(name)]
        yield from inner
        folders[:] = [os.path.basename(path) for path in inner if is_entered(path)]
        yield from (os.path.join(parent, name) for name in names if is_read(name))
