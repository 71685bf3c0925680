"""What the last build of each spec came to, so that the next need not compile it.

``.lossgen_cache`` beside the configuration holds an index, with what was found about
each spec and the digests of its artifacts, and the texts of the artifacts. What stands
there counts if the text of the spec is the same, and all else that has a part in the
result (``cache_key``). Files are compared with what they should be as without a cache:
``signature`` says when they need not be read for that. A cache that cannot be read or
written is none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lossgen.driver.cache_key import environment
from lossgen.driver.discovery import SpecFile
from lossgen.driver.outcome import Artifacts, CurrentArtifact, Outcome, has_text
from lossgen.driver.outcome_record import from_record, to_record
from lossgen.driver.output import destination
from lossgen.driver.project import Project
from lossgen.driver.replay import FOLDER, forget
from lossgen.driver.signature import (
    Signature,
    clock,
    digest,
    observe,
    signature_of,
)
from lossgen.ir.artifact import Artifact

_INDEX = "index.json"
_TEXTS = "texts"
_MARKS = {
    ".gitignore": "*\n",
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of lossgen; it may be removed at any time.\n",
}

_Record = dict[str, Any]


@contextmanager
def opened(project: Project) -> Iterator[Cache]:
    """The cache of a project; what was added is kept, however the block ends."""
    cache = Cache(project)
    try:
        yield cache
    finally:
        cache.save()


class Cache:
    """The outcomes of spec files."""

    def __init__(self, project: Project) -> None:
        """Read the index."""
        self._project = project
        self._folder = os.path.join(project.root, FOLDER)
        self._environment = environment(project)
        self._entries = self._read_index()
        self._contents: dict[str, str] = {}  # of spec files that were read
        self._open: list[
            tuple[str, _Record]
        ] = []  # files that are not yet as they should be
        self._seen: set[str] = set()
        self._changed = False
        self._now: int | None = None

    def recall(self, file: SpecFile) -> tuple[Outcome, ...] | None:
        """What compiling a file would give; None if that is not known."""
        self._seen.add(file.shown)
        entry = self._entries.get(file.shown)
        if not self._is_same(file, entry) or entry is None:
            return None
        found: list[Artifacts] = []
        for records in entry["artifacts"]:
            artifacts = [self._artifact(record) for record in records]
            known = [item for item in artifacts if item is not None]
            if len(known) < len(artifacts):
                return None
            found.append(tuple(known))
        return from_record(entry["found"], found)

    def remember(self, file: SpecFile, outcomes: tuple[Outcome, ...]) -> None:
        """Keep what compiling a file gave of which nothing was known."""
        seen = observe(file.path, self._clock())
        if seen is None or seen.digest != self._contents.get(file.shown):
            return  # it was changed meanwhile: which text was compiled is not known
        self._entries[file.shown] = {
            "content": seen.digest,
            "signature": seen.signature,
            "found": to_record(outcomes),
            "artifacts": [
                [self._kept(item) for item in outcome.artifacts if has_text(item)]
                for outcome in outcomes
            ],
        }
        self._changed = True

    def save(self) -> None:
        """Look at the files that were written, and write the index if it changed."""
        self._now = None
        for place, record in self._open:
            self._settle(place, record)
        if self._changed:
            self._forget_removed()
            with suppress(OSError):
                forget(self._folder)
                self._write_index()
                self._remove_unused_texts()

    def _is_same(self, file: SpecFile, entry: _Record | None) -> bool:
        """Whether a spec file is as it was; if not, its content is noted."""
        if entry is not None and _is_signed(file.path, entry):
            return True
        seen = observe(file.path, self._clock())
        if seen is None:
            return False
        self._contents[file.shown] = seen.digest
        if entry is None or seen.digest != entry["content"]:
            return False
        self._sign(entry, seen.signature)
        return True

    def _artifact(self, record: _Record) -> Artifact | CurrentArtifact | None:
        """An artifact, without its text if that is what its file holds.

        None if the text is needed, and lost.
        """
        path, kind = record["path"], record["kind"]
        if os.path.basename(path) != path:
            return None
        artifact = CurrentArtifact(path, kind)
        place = str(destination(artifact, self._project))
        if record["at"] != place:
            record.update(at=place, signature=None)
        if _is_signed(place, record) or self._settle(place, record):
            return artifact
        self._open.append((place, record))
        text = self._read_text(record["content"])
        return None if text is None else Artifact(path, kind, text)

    def _kept(self, artifact: Artifact) -> _Record:
        """Store the text of an artifact, and say what else there is to know of it."""
        data = artifact.text.encode()
        place = str(destination(artifact, self._project))
        record = {
            "path": artifact.path,
            "kind": artifact.kind,
            "content": digest(data),
            "at": place,
            "signature": None,
        }
        with suppress(OSError):
            self._write(os.path.join(_TEXTS, digest(data)), data)
        self._open.append((place, record))
        return record

    def _settle(self, place: str, record: _Record) -> bool:
        """Whether a file holds what it should; if so, that is noted."""
        seen = observe(place, self._clock())
        if seen is None or seen.digest != record["content"]:
            return False
        self._sign(record, seen.signature)
        return True

    def _sign(self, record: _Record, signature: Signature | None) -> None:
        found = None if signature is None else list(signature)
        if record["signature"] != found:
            record["signature"] = found
            self._changed = True

    def _forget_removed(self) -> None:
        for shown in list(self._entries):
            gone = not os.path.exists(os.path.join(self._project.root, shown))
            if gone and shown not in self._seen:
                del self._entries[shown]

    def _clock(self) -> int:
        """The time, not after now; 0, at which nothing can be trusted, if unknown."""
        if self._now is None:
            try:
                self._make_folder()
                self._now = clock(self._folder)
            except OSError:
                self._now = 0
        return self._now

    def _read_index(self) -> dict[str, _Record]:
        try:
            with open(os.path.join(self._folder, _INDEX), "rb") as file:
                head, _, body = file.read().partition(b"\n")
        except OSError:
            return {}
        if head != _head(self._environment, body):
            return {}
        entries: dict[str, _Record] = json.loads(body)
        return entries

    def _write_index(self) -> None:
        body = json.dumps(self._entries, separators=(",", ":")).encode()
        self._write(_INDEX, _head(self._environment, body) + b"\n" + body)

    def _read_text(self, content: str) -> str | None:
        try:
            with open(os.path.join(self._folder, _TEXTS, content), "rb") as file:
                data = file.read()
        except OSError:
            return None
        return data.decode() if digest(data) == content else None

    def _remove_unused_texts(self) -> None:
        used = {
            record["content"]
            for entry in self._entries.values()
            for records in entry["artifacts"]
            for record in records
        }
        folder = os.path.join(self._folder, _TEXTS)
        for name in os.listdir(folder):
            if name not in used:
                os.unlink(os.path.join(folder, name))

    def _make_folder(self) -> None:
        os.makedirs(os.path.join(self._folder, _TEXTS), exist_ok=True)
        for name, text in _MARKS.items():
            if not os.path.exists(os.path.join(self._folder, name)):
                self._write(name, text.encode())

    def _write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""
        path = os.path.join(self._folder, name)
        temporary = f"{path}.{os.urandom(4).hex()}.tmp"
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)


def _is_signed(path: str | os.PathLike[str], record: _Record) -> bool:
    """Whether a file is the one that was looked at."""
    signature = record["signature"]
    return signature is not None and signature_of(path) == tuple(signature)


def _head(environment: str, body: bytes) -> bytes:
    """The first line of the index, by which damage is seen."""
    return f"lossgen cache {environment} {digest(body)}".encode()
