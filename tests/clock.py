"""The processor time that a test's own code takes."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    seconds: float


@contextmanager
def processor_time() -> Iterator[Clock]:
    """Read after the block: seconds of processor time of this thread.

    TensorFlow's threads, once there, work on beside a test, and a full garbage
    collection among what earlier tests left in memory takes a second. Both are
    left out.
    """
    clock = Clock()
    collecting = gc.isenabled()
    gc.disable()
    start = time.thread_time()
    try:
        yield clock
    finally:
        clock.seconds = time.thread_time() - start
        if collecting:
            gc.enable()
