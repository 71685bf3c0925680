"""Many spec files through one compiler, on one or several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from lossgen.diagnostics.diagnostic import SpecError
from lossgen.diagnostics.fault import fault
from lossgen.diagnostics.source import SourceFile
from lossgen.driver.discovery import SpecFile, read_spec
from lossgen.driver.garbage import look_rarely_for_garbage
from lossgen.driver.outcome import Outcome, summarize, unreadable

if TYPE_CHECKING:
    from lossgen.compiler import Compilation

Compile = Callable[[SourceFile], "tuple[Compilation, ...]"]
"""The compiler, up to some stage. Picklable where there are several processes."""

# A process costs about as much to start, imports included, as two files to compile.
_FILES_PER_PROCESS = 4


def compile_files(
    files: Sequence[SpecFile], compile_one: Compile, jobs: int | None = None
) -> Iterator[tuple[Outcome, ...]]:
    """Compile files, in order.

    Args:
        files: What to compile.
        compile_one: What turns one source file into compilations.
        jobs: The number of processes; None: as many as pay off.

    Yields:
        For each file the outcomes of its YAML documents.
    """
    step = partial(_compile_file, compile_one)
    if not files:
        return
    processes = min(len(files), _useful(len(files)) if jobs is None else jobs)
    if processes <= 1:
        yield from map(step, files)
        return
    # For start-up time: most builds have little to compile.
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(processes, initializer=_prepare)
    try:
        yield from pool.map(step, files)
    finally:
        pool.shutdown(cancel_futures=True)


def _useful(files: int) -> int:
    return min(os.cpu_count() or 1, files // _FILES_PER_PROCESS)


def _compile_file(compile_one: Compile, file: SpecFile) -> tuple[Outcome, ...]:
    try:
        source = read_spec(file)
    except SpecError as error:
        return (unreadable(file.shown, error.diagnostics),)
    try:
        compilations = compile_one(source)
    except Exception as error:
        return (unreadable(file.shown, [fault(error, path=file.shown)]),)
    return tuple(summarize(file.shown, compilation) for compilation in compilations)


def _prepare() -> None:
    """Set up a process: interrupts are the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    look_rarely_for_garbage()
