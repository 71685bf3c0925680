"""A limit on the work of the check, in steps that are the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic


class OutOfStepsError(Exception):
    """More work was asked for than `limited` allows."""


class OutOfTimeError(Exception):
    """The clock ran out: a step took much longer than it should."""


class Steps:
    """A count of elementary operations, the same on every machine.

    The clock is the last resort: it can fail the work, not change its result.
    """

    def __init__(self, limit: float, seconds: float = inf) -> None:
        """Begin at 0."""
        self.limit, self.used = limit, 0
        self.end = monotonic() + seconds

    def spend(self, count: int) -> None:
        """Count work before it is done."""
        self.used += count
        if self.used > self.limit:
            raise OutOfStepsError
        if monotonic() > self.end:
            raise OutOfTimeError("something took much longer than it should")


_STEPS: ContextVar[Steps | None] = ContextVar("steps", default=None)


@contextmanager
def limited(steps: Steps) -> Iterator[None]:
    """Count what is done inside, and end it with `OutOfStepsError` at the limit.

    Inside of another limit the steps count anew; the clock of both holds.
    """
    outer = _STEPS.get()
    if outer is not None:
        steps.end = min(steps.end, outer.end)
    token = _STEPS.set(steps)
    try:
        yield
    finally:
        _STEPS.reset(token)


def is_counted() -> bool:
    """Whether work is counted at all: what it costs need not be known otherwise."""
    return _STEPS.get() is not None


def spend(count: int) -> None:
    """Count some work, where work is counted."""
    steps = _STEPS.get()
    if steps is not None:
        steps.spend(count)
