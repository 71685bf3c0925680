"""Progress on a terminal, for what takes longer than a second."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock, Timer
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

_Item = TypeVar("_Item")
_PATIENCE = 1.0  # seconds


def track(items: Iterable[_Item], names: Sequence[str]) -> Iterator[_Item]:
    """Pass items on; once a second has passed, the terminal says which is awaited.

    Args:
        items: What takes its time.
        names: What each of them is called.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    bar = _Bar(names)
    timer = Timer(_PATIENCE, bar.draw)
    timer.daemon = True
    timer.start()
    try:
        for item in items:
            yield item
            bar.advance()
    finally:
        timer.cancel()
        bar.remove()


class _Bar:
    """A bar that is drawn when asked for, by a thread: an item may take minutes."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._done, self._removed = names, 0, False
        self._bar: Progress | None = None
        self._lock = Lock()

    def draw(self) -> None:
        # rich is imported only for those who have to wait.
        from rich.console import Console
        from rich.progress import Progress

        with self._lock:
            if self._removed:
                return
            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.add_task(self._at, total=len(self._names), completed=self._done)
            self._bar.start()

    def advance(self) -> None:
        with self._lock:
            self._done += 1
            if self._bar is not None:
                (task,) = self._bar.task_ids
                self._bar.update(task, completed=self._done, description=self._at)

    def remove(self) -> None:
        with self._lock:
            self._removed = True
            if self._bar is not None:
                self._bar.stop()

    @property
    def _at(self) -> str:
        """The name of the item that is awaited."""
        from rich.markup import escape

        return escape(self._names[self._done]) if self._done < len(self._names) else ""
