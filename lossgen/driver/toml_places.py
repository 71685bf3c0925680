"""Where the keys and values of a TOML text stand; its parser does not say."""

from __future__ import annotations

import re
from dataclasses import dataclass

KeyPath = tuple[str, ...]
"""The keys that lead to a value; the entries of a list are ``0``, ``1``, …"""


@dataclass(frozen=True)
class Place:
    """Offsets of a key and of its value; the heading of a table is both."""

    key: tuple[int, int]
    value: tuple[int, int]


def places(text: str) -> dict[KeyPath, Place]:
    """The place of every key, heading and list entry of a valid TOML text."""
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.found


_TOKEN = re.compile(
    r"(?P<string>\"{3}(?:\\[\s\S]|[^\\])*?\"{3,5}|'{3}[\s\S]*?'{3,5}"
    r"|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*')"
    r"|(?P<sign>[\[\]{},=\n])"
    r"|(?P<bare>[^\s\[\]{},=\"'#]+)"
    r"|(?P<blank>\s|#[^\n]*)"
)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found: dict[KeyPath, Place] = {}
        self._tokens = [t for t in _TOKEN.finditer(text) if t.lastgroup != "blank"]
        self._next = 0
        self._end = len(text)

    def scan(self) -> None:
        table: KeyPath = ()
        while self._more():
            if self._at("["):
                table = self._heading()
            elif self._at("\n"):
                self._next += 1
            else:
                self._pair(table)

    def _more(self) -> bool:
        return self._next < len(self._tokens)

    def _at(self, *signs: str) -> bool:
        """Whether one of some signs comes next."""
        return self._more() and self._tokens[self._next]["sign"] in signs

    def _between(self, first: int) -> tuple[int, int]:
        """From the start of a token to the end of the last one that was read."""
        if first >= len(self._tokens):
            return self._end, self._end
        last = min(max(first, self._next - 1), len(self._tokens) - 1)
        return self._tokens[first].start(), self._tokens[last].end()

    def _skip(self, *signs: str) -> None:
        while self._at(*signs):
            self._next += 1

    def _heading(self) -> KeyPath:
        first = self._next
        self._skip("[")
        path = self._key()
        self._skip("]")
        heading = self._between(first)
        self.found.setdefault(path, Place(heading, heading))
        return path

    def _key(self) -> KeyPath:
        """A key, split at its dots."""
        parts: list[str] = []
        while self._more() and not self._tokens[self._next]["sign"]:
            token = self._tokens[self._next]
            quoted = [token["string"][1:-1]] if token["string"] else []
            parts += quoted or [part for part in token["bare"].split(".") if part]
            self._next += 1
        return tuple(parts)

    def _pair(self, table: KeyPath) -> None:
        first = self._next
        own = self._key()
        key = self._between(first)
        self._skip("=")
        path = (*table, *own)
        value = self._value(path)
        self._next = max(self._next, first + 1)
        for length in range(len(table) + 1, len(path) + 1):
            self.found.setdefault(path[:length], Place(key, value))

    def _value(self, path: KeyPath) -> tuple[int, int]:
        first = self._next
        if self._at("[", "{"):
            self._entries(path)
        else:
            while self._more() and not self._tokens[self._next]["sign"]:
                self._next += 1
        return self._between(first)

    def _entries(self, path: KeyPath) -> None:
        """What stands in brackets or braces."""
        is_table = self._at("{")
        self._next += 1
        count = 0
        while self._more() and not self._at("]", "}"):
            if self._at(",", "\n"):
                self._next += 1
            elif is_table:
                self._pair(path)
            else:
                entry = (*path, str(count))
                value = self._value(entry)
                self.found.setdefault(entry, Place(value, value))
                count += 1
        self._next += 1
