"""The formats that reports come in."""

from __future__ import annotations

from enum import Enum


class Format(str, Enum):
    """What ``--format`` takes."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
