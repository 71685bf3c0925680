"""Knowing that a file is as it was without reading it, soundly.

As git does: size, times and inode of a file stand for its content. A file that was
written in the same tick of the file system's clock in which it was looked at may be
written once more in that tick, and look the same: such a file is read again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256

Signature = tuple[int, int, int, int]
"""Size, time of modification, time of change and inode."""


@dataclass(frozen=True)
class Observation:
    """The content of a file, and its signature if that may stand for it."""

    digest: str
    signature: Signature | None


def signature_of(path: str | os.PathLike[str]) -> Signature | None:
    """The signature of a file; None if there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def observe(path: str | os.PathLike[str], now: int) -> Observation | None:
    """Read a file.

    Args:
        path: The file.
        now: What ``clock`` said, not after this call began.

    Returns:
        What is there, with ends of lines as line feeds; None if it cannot be read.
    """
    before = signature_of(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if before is not None and (max(before[1:3]) >= now or signature_of(path) != before):
        before = None
    return Observation(digest(data.replace(b"\r\n", b"\n")), before)


def digest(data: bytes) -> str:
    """What stands for a content."""
    return sha256(data).hexdigest()


def clock(folder: str) -> int:
    """The time by the clock of a folder's file system.

    Raises:
        OSError: If nothing can be written there.
    """
    path = os.path.join(folder, f".clock.{os.urandom(4).hex()}")
    try:
        with open(path, "xb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    finally:
        if os.path.exists(path):
            os.unlink(path)
