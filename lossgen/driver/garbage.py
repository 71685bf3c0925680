"""How often Python looks for garbage."""

from __future__ import annotations

import gc

_OBJECTS = 200_000  # as many as a spec or two leave behind


def look_rarely_for_garbage() -> None:
    """Set this process up to look for cycles less often than Python would.

    Importing and compiling make many objects and few cycles: the search took 5 % of the
    time.
    """
    gc.set_threshold(_OBJECTS)


def skip_last_search() -> None:
    """Have this process end without a last search for cycles.

    Python makes it among all objects there are, several times: a seventh of the time
    of a simple build. Nothing is waiting to be finalized: files and processes are
    closed where they were opened.
    """
    gc.freeze()
