"""Texts that Black leaves as they are, by their digests.

Most of what a generated file is made of is the same for many losses, and to look at it
again would be half of the time of a small build. ``known_texts.txt`` holds the digests;
``benchmarks/known_texts.py`` writes it. Black's style is the same throughout the
releases that are allowed, those of one year.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from pathlib import Path

FILE = Path(__file__).with_suffix(".txt")
"""A digest a line, sorted."""


def is_known(text: str) -> bool:
    """Whether Black is known to leave a text as it is."""
    return digest(text) in _known()


def digest(text: str) -> str:
    """What stands for a text in the file."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def _known() -> frozenset[str]:
    return frozenset(FILE.read_text(encoding="ascii").split())
