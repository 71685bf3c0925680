"""Progress on a terminal, for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_PATIENCE = 1.0  # seconds


def track(items: Iterable[_Item], total: int) -> Iterator[_Item]:
    """Pass items on; count them on the terminal once a second has passed."""
    if not sys.stderr.isatty():
        yield from items
        return
    yield from _counted(items, total)


def _counted(items: Iterable[_Item], total: int) -> Iterator[_Item]:
    # rich is imported, and the bar drawn, only for those who have to wait.
    start, bar, task = time.monotonic(), None, None
    try:
        for done, item in enumerate(items, start=1):
            if bar is None and time.monotonic() - start > _PATIENCE:
                from rich.console import Console
                from rich.progress import Progress

                bar = Progress(console=Console(stderr=True), transient=True)
                task = bar.add_task("Compiling", total=total)
                bar.start()
            if bar is not None and task is not None:
                bar.update(task, completed=done)
            yield item
    finally:
        if bar is not None:
            bar.stop()
