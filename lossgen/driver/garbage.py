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
