"""A build with nothing to do and nothing to say says once more what it said.

It depends on the files that it read and the folders that it searched; they are recorded
with size, times and inode. As long as these are the same, so is the result: nothing of
lossgen is imported then but this module, which imports next to nothing, and nothing is
read but the record.
"""

# Types are not imported here: that would take longer than a build.
from __future__ import annotations

import os
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = ".lossgen_cache"

_FORMAT = 1
_NAME = "nothing_to_do."


def replay(args: Sequence[str]) -> str | None:
    """What a command says that would do nothing; None if that is not known."""
    if args[:1] != ["build"]:
        return None
    question = _question(args)
    folder = os.getcwd()
    while True:
        try:
            path = os.path.join(folder, FOLDER, _file_name(question))
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return _answer(file.read(), question)
        except (OSError, ValueError):
            folder, inner = os.path.dirname(folder), folder
            if folder == inner:
                return None


def record(
    folder: str, args: Sequence[str], said: str, paths: Iterable[str], now: int
) -> None:
    """Keep what a command said that did nothing.

    Args:
        folder: Where to.
        args: What the command was.
        said: The line that it printed.
        paths: The files and folders that it depends on, present or not.
        now: A time before it began. What was changed since then may have been changed
            while it was read: then nothing is kept.
    """
    lines = []
    for path in dict.fromkeys(paths):
        line, changed = _line(path)
        if changed >= now or "\n" in path:
            return
        lines.append(line)
    question = _question(args)
    body = "\n".join((question, said, *lines))
    data = f"{_checksum(body)}\n{body}".encode("utf-8", "surrogateescape")
    path = os.path.join(folder, _file_name(question))
    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)


def forget(folder: str) -> None:
    """Remove what was recorded."""
    for name in os.listdir(folder):
        if name.startswith(_NAME):
            os.unlink(os.path.join(folder, name))


def _question(args: Sequence[str]) -> str:
    """What decides on the result, besides files."""
    return repr((_FORMAT, sys.version, sys.path, os.getcwd(), list(args)))


def _file_name(question: str) -> str:
    return f"{_NAME}{_checksum(question)}"


def _answer(text: str, question: str) -> str | None:
    checksum, _, body = text.partition("\n")
    asked, said, *lines = body.split("\n")
    if asked != question or checksum != _checksum(body):
        return None
    for line in lines:
        if _line(line.split(" ", 4)[4])[0] != line:
            return None
    return said


def _line(path: str) -> tuple[str, int]:
    """The signature of a path in words, and when it was last changed."""
    try:
        found = os.stat(path)
    except OSError:
        return f"- - - - {path}", 0
    size, modified, changed = found.st_size, found.st_mtime_ns, found.st_ctime_ns
    line = f"{size} {modified} {changed} {found.st_ino} {path}"
    return line, max(modified, changed)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}"
