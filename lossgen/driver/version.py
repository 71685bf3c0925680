"""Versions of what is installed."""

from __future__ import annotations

from importlib import metadata


def version(distribution: str = "lossgen") -> str:
    """The installed version of a distribution."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed)"
