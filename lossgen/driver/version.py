"""Versions of what is installed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[-_.]+")
_INSTALLED = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-.*)?\.(?:dist|egg)-info")


def version(distribution: str = "lossgen") -> str:
    """The installed version of a distribution."""
    from importlib import metadata  # for start-up time: it imports much of `email`

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """The installed versions of distributions, without importing what reads them.

    They are taken from the names of the folders in which installers note what they did;
    only what is not found there is looked up.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        for name in _names(folder):
            match = _INSTALLED.fullmatch(name)
            if match:
                found.setdefault(_normal(match["name"]), match["version"])
    return {name: found.get(_normal(name)) or version(name) for name in distributions}


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
