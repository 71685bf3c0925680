"""Runs work on one module in a process of its own that need not import TensorFlow.

The process is forked from one that has imported TensorFlow and run nothing with it: an
import starts no threads of TensorFlow's, an operation does, and threads do not survive
a fork. So TensorFlow is imported once, and yet nothing of a mutant outlives its trial:
not its class in Keras's registry, nor a traced function, nor a module, nor a thread
that hangs in compiled code, where no signal handler of Python's would run. Several such
processes may run at once, each started and waited for by a thread that does no more.

A mutant is a file beside its test, as a generated module is: AutoGraph reads the source
of what it traces from the file, and so does a process that a test starts.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

_FORKING = threading.Lock()

KILLED, AT_IMPORT, HANG, CRASH = "killed", "import", "hang", "crash"
SURVIVED = "survived"


@dataclass(frozen=True)
class Outcome:
    """What became of a module under its test, and the first test that failed."""

    status: str
    test: str = ""
    message: str = ""

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return self.status == SURVIVED


class HangError(Exception):
    """A process took longer than its time."""


class CrashError(Exception):
    """A process ended without a result."""


def forked(work: Callable[[], T], limit: float) -> T:
    """The result of work in a process of its own, which prints nothing.

    Raises:
        HangError: If it is not done within ``limit`` seconds; it is killed.
        CrashError: If it ends without a result.
    """
    # A pipe that another child inherits would not end with the one it is meant for.
    with _FORKING, warnings.catch_warnings():
        reading, writing = os.pipe()
        # Python cannot know that the threads it sees are those of NumPy, which stops
        # them for a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        gc.freeze()  # a collection in the child would copy every page
        child = os.fork()
        if not child:
            os.close(reading)
            _in_child(work, writing)
        os.close(writing)
    try:
        data = _read(reading, time.monotonic() + limit)
    except HangError:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if not data:
        raise CrashError(f"exit status {os.waitstatus_to_exitcode(status)}")
    result: T = pickle.loads(data)  # written by this program
    return result


def _in_child(work: Callable[[], Any], writing: int) -> None:
    """Send the result and end at once: what the parent has to clean up is not ours."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        errors = os.dup(2)
        for stream in range(3):
            os.dup2(nowhere, stream)
        try:
            data = pickle.dumps(work())
        except BaseException:
            # The parent tells a crash by its having no result; a fault of this program
            # should be seen.
            import traceback

            os.write(errors, traceback.format_exc().encode())
            raise
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)
    finally:
        os._exit(0)


def _read(reading: int, deadline: float) -> bytes:
    parts: list[bytes] = []
    while True:
        rest = deadline - time.monotonic()
        if rest <= 0 or not select.select([reading], [], [], rest)[0]:
            raise HangError
        part = os.read(reading, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


class Recorder:
    """A plugin that notes the first failure and how long tests take.

    Most mutants die of a quick test.
    """

    def __init__(self, order: Mapping[str, float]) -> None:
        """Tests run in the order of these numbers: what they took before."""
        self.order = order
        self.outcome = Outcome(SURVIVED)
        self.seconds: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put what takes long at the end."""
        items.sort(key=lambda item: self.order.get(item.nodeid, 0.0))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that the module, or its test, does not import."""
        if report.failed and self.outcome.passed:
            text = report.longreprtext.splitlines()
            lines = [line[1:].strip() for line in text if line[:2] == "E "]
            message = lines[-1] if lines else text[-1]
            self.outcome = Outcome(AT_IMPORT, report.nodeid, message)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure, in setting up and in clearing away as well."""
        if report.when == "call":
            self.seconds[report.nodeid] = report.duration
        if report.failed and self.outcome.passed:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = crash.message if crash else report.longreprtext
            lines = [line for line in message.splitlines() if line.strip()]
            # NumPy's messages start with a blank line.
            count = 2 if lines and lines[0].endswith("AssertionError: ") else 1
            self.outcome = Outcome(KILLED, report.nodeid, "".join(lines[:count]))


@dataclass(frozen=True)
class Bench:
    """A folder with a module and its generated test, in which trials are run.

    ``test_in_its_own_process`` imports TensorFlow in another process, which takes as
    long as all other tests together; it is run on demand.
    """

    folder: Path
    name: str
    with_processes: bool = False

    @classmethod
    def of(
        cls, folder: Path, name: str, generated: Path, *, with_processes: bool = False
    ) -> Bench:
        """A bench with the module as generated."""
        for file in (f"{name}.py", f"test_{name}.py"):
            shutil.copy(generated / file, folder / file)
        return cls(folder, name, with_processes)

    @property
    def module(self) -> Path:
        """The file that mutants are written to."""
        return self.folder / f"{self.name}.py"

    def place(self, text: str) -> None:
        """Put a mutant in place of the module."""
        self.module.write_text(text, encoding="utf-8")

    def tried(
        self, text: str, limit: float, order: Mapping[str, float] = MappingProxyType({})
    ) -> tuple[Outcome, dict[str, float]]:
        """What the test says of a module, and the seconds of each test that ran.

        Those run first that have the smallest numbers in ``order``.
        """
        self.place(text)
        try:
            return forked(lambda: self._tested(order), limit)
        except HangError:
            return Outcome(HANG, "", f"not done within {limit:.0f} s"), {}
        except CrashError as error:
            return Outcome(CRASH, "", str(error)), {}

    def _tested(self, order: Mapping[str, float]) -> tuple[Outcome, dict[str, float]]:
        self.enter()
        recorder = Recorder(order)
        code = pytest.main(
            [
                f"test_{self.name}.py",
                "-x",
                "-q",
                "--no-header",
                "--tb=short",
                "--disable-warnings",
                *("-p", "no:cacheprovider"),
                *("-p", "no:unraisableexception"),  # collects garbage, all there is
                *("-c", os.devnull, f"--rootdir={self.folder}"),
                f"--confcutdir={self.folder}",  # or it lists the folders above
                *(() if self.with_processes else ("-k", "not in_its_own_process")),
            ],
            plugins=[recorder],
        )
        if code and recorder.outcome.passed:
            raise RuntimeError(f"pytest ended with {code!r}, and no test failed")
        return recorder.outcome, recorder.seconds

    def enter(self) -> None:
        """Make this process one in which the module can be imported."""
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        # A compiled file is taken for that of a mutant of the same size and second.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        folder = os.pathsep.join((str(self.folder), os.environ.get("PYTHONPATH", "")))
        os.environ["PYTHONPATH"] = folder
