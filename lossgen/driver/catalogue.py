"""The specs that come with lossgen."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from lossgen.driver.discovery import SpecFile, UsageError, read_spec
from lossgen.driver.resources import catalogue_folder

_NAME = re.compile(r"^name:[ \t]*(?P<name>[^\s#]+)", re.MULTILINE)
_DOCUMENT_END = re.compile(r"^---[^\n]*\n", re.MULTILINE)


def catalogue_files() -> tuple[SpecFile, ...]:
    """The spec files of the catalogue, shown relative to it."""
    folder = catalogue_folder()
    paths = (
        Path(parent, name) for parent, _, names in os.walk(folder) for name in names
    )
    return tuple(
        SpecFile(path, path.relative_to(folder).as_posix())
        for path in sorted(paths)
        if path.suffix in (".yaml", ".yml")
    )


def catalogue_spec(name: str) -> str:
    """The text of the document with a name.

    Raises:
        UsageError: If the catalogue has no such loss.
    """
    documents = dict(_documents())
    if name not in documents:
        close = get_close_matches(name, documents, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; see `lossgen list`"
        raise UsageError(f"no loss {name} in the catalogue{hint}")
    return documents[name]


def family(spec: str) -> str:
    """The family of a catalogue spec: the folder that it lies in."""
    return spec.rpartition("/")[0]


def _documents() -> Iterator[tuple[str, str]]:
    for file in catalogue_files():
        for text in _DOCUMENT_END.split(read_spec(file).text):
            match = _NAME.search(text)
            if match:
                yield match["name"].strip("\"'"), text
