"""Whether every module passes the tests that are generated with it.

python benchmarks/wild.py FOLDER… [--random N --seed S] [--only EXPRESSION]
                          [--keep FOLDER]

Each document of the spec files in the folders, and so many random specs, are built, and
all generated tests run; those that start a process of their own take seconds each, and
run for every twentieth loss. By loss: the verdict, the time of the build, the lines of
module and test, and the tests that fail. A spec that is refused has a verdict like any
other. Exit code 1 if a test failed, if a loss had none, or if a build ended without a
verdict. An expression as pytest's ``-k`` takes it ("not xla") chooses among the tests.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from random_specs import random_specs, written

from lossgen.compiler import Compilation, compile_source
from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.options import Options

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = Options("lossgen", None, ".", (str(ROOT / "templates"),))
ALONE = "test_in_its_own_process"
EVERY = 20
"""Of so many losses one runs the test that starts a process."""

BATCH = 40
"""How many test files one pytest runs: each of its processes imports TensorFlow."""

_LIMIT = 600  # seconds of a build; a spec takes steps, and this many mean a fault
_NAME = re.compile(r"^name: *\"?(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """One spec, and the file that it stands in."""

    origin: str
    name: str
    text: str


@dataclass(frozen=True)
class Built:
    """What became of a spec: ``files`` are module and test, or nothing."""

    document: Document
    verdict: str
    seconds: float
    files: tuple[tuple[str, str], ...] = ()
    fault: bool = False

    @property
    def lines(self) -> list[int]:
        """The sizes of module and test."""
        return [text.count("\n") for _, text in self.files]


@dataclass(frozen=True)
class Ran:
    """How many tests of a loss ran, and what those that failed say."""

    count: int
    failures: tuple[tuple[str, str], ...]


# Specs --------------------------------------------------------------------------------


def documents(paths: Iterable[Path]) -> Iterator[Document]:
    """The documents of spec files, and of those in folders."""
    for path in paths:
        for file in sorted(path.rglob("*.yaml")) if path.is_dir() else [path]:
            yield from split(str(file), file.read_text("utf-8"))


def drawn(count: int, seed: int) -> Iterator[Document]:
    """Random specs."""
    for spec in random_specs(count, seed):
        yield Document("random", spec["name"], written(spec))


def split(origin: str, text: str) -> Iterator[Document]:
    """The documents of a text."""
    for part in re.split(r"^---.*\n", text, flags=re.MULTILINE):
        if found := _NAME.search(part):
            yield Document(origin, found[1], part)


# Building -----------------------------------------------------------------------------


def build(document: Document) -> Built:
    """Compile a spec; a fault of lossgen is a verdict, too."""
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(_LIMIT)
    start = time.perf_counter()
    try:
        found = compile_source(SourceFile(document.origin, document.text), OPTIONS)
    except Exception as error:
        text = f"FAULT {type(error).__name__}: {error}".splitlines()[0]
        return Built(document, text[:90], time.perf_counter() - start, fault=True)
    finally:
        signal.alarm(0)
    files = tuple(
        (Path(artifact.path).name, artifact.text)
        for item in found
        for artifact in item.artifacts
    )
    said, seconds = verdict(found), time.perf_counter() - start
    return Built(document, said, seconds, files, fault="LG901" in said)


def _out_of_time(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"no end within {_LIMIT} s")


def verdict(found: Sequence[Compilation]) -> str:
    """The class of smoothness, or the codes of the errors."""
    errors = {
        item.code.id
        for each in found
        for item in each.diagnostics
        if item.severity is Severity.ERROR
    }
    if errors:
        return " ".join(("refused", *sorted(errors)))
    (checked,) = (each.checked for each in found)
    assert checked is not None
    return checked.certificate.smoothness.value


# Testing ------------------------------------------------------------------------------


def batches(built: Sequence[Built]) -> Iterator[list[Built]]:
    """Losses that are tested together, no two of one name."""
    rest = [item for item in built if item.files]
    while rest:
        chosen: dict[str, Built] = {}
        for item in rest:
            if len(chosen) < BATCH:
                chosen.setdefault(item.document.name, item)
        rest = [item for item in rest if chosen.get(item.document.name) is not item]
        yield list(chosen.values())


def run(
    batch: Sequence[Built], folder: Path, alone: set[str], only: str
) -> dict[str, Ran]:
    """Run the tests of some losses in one folder, and tell by name how they went."""
    for item in batch:
        for name, text in item.files:
            (folder / name).write_text(text, "utf-8")
    names = [item.document.name for item in batch]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", "2", "--dist", "loadfile", "--continue-on-collection-errors"]
    command += ["--tb=line", "--junitxml", "tests.xml", "-k", only, "."]
    for name in names:
        if name not in alone:
            command += ["--deselect", f"test_{name}.py::{ALONE}"]
    report = folder / "tests.xml"
    report.unlink(missing_ok=True)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists():
        said = (done.stdout + done.stderr).strip()[-500:]
        return {name: Ran(0, (("pytest", said),)) for name in names}
    return {name: _ran(report, f"test_{name}") for name in names}


def _ran(report: Path, module: str) -> Ran:
    """What pytest reports of one file."""
    cases = [
        case
        for case in ElementTree.parse(report).iter("testcase")
        if module in (case.get("classname"), case.get("name"))
        or f"{module}.py" in case.get("name", "")  # where its process died
    ]
    failures = tuple(
        (case.get("name", ""), _message(mark))
        for case in cases
        for mark in case
        if mark.tag in ("failure", "error")
    )
    if not cases:
        failures = ((module, "no test ran"),)
    return Ran(len(cases), failures)


def _message(mark: ElementTree.Element) -> str:
    text = " ".join((mark.get("message") or mark.text or "").split())
    return text.removeprefix("Failed: ")[:400]


def outcomes(
    built: Sequence[Built], keep: Path | None = None, only: str = ""
) -> Iterator[tuple[Built, Ran]]:
    """Run all tests, a batch at a time."""
    with tempfile.TemporaryDirectory() as temporary:
        for number, batch in enumerate(batches(built)):
            folder = (keep or Path(temporary)) / f"batch_{number}"
            folder.mkdir(parents=True, exist_ok=True)
            alone = {item.document.name for item in batch[::EVERY]}
            results = run(batch, folder, alone, only)
            yield from ((item, results[item.document.name]) for item in batch)


# Reporting ----------------------------------------------------------------------------


def main() -> None:
    """Print a line a loss, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="spec files, or folders")
    parser.add_argument("--keep", type=Path, help="where the generated files stay")
    parser.add_argument("--only", default="", help="which of the tests, as for -k")
    parser.add_argument("--random", type=int, default=0, help="how many random specs")
    parser.add_argument("--seed", type=int, default=0, help="of the random specs")
    given = parser.parse_args()
    chosen = [*documents(given.paths), *drawn(given.random, given.seed)]
    with multiprocessing.Pool(2) as pool:
        built = pool.map(build, chosen, chunksize=1)
    for item in built:
        if not item.files:
            _print(item, None)
    results = []
    for item, ran in outcomes(built, given.keep, given.only):
        _print(item, ran)
        results.append(ran)
    failed = sum(bool(ran.failures) for ran in results)
    faults = sum(item.fault for item in built)
    verdicts = Counter(item.verdict for item in built)
    print(
        f"{len(built)} specs: {len(results)} built, "
        f"{len(built) - len(results) - faults} refused, {faults} without a verdict; "
        f"{sum(ran.count for ran in results)} tests, "
        f"{sum(len(ran.failures) for ran in results)} failed, of {failed} losses"
    )
    print("; ".join(f"{count} {name}" for name, count in sorted(verdicts.items())))
    sys.exit(bool(failed or faults))


def _print(item: Built, ran: Ran | None) -> None:
    """The line of a loss, and one for each test that fails."""
    sizes = " ".join(f"{lines:>5}" for lines in item.lines) or " " * 11
    count = f"{ran.count:>4} tests" if ran else ""
    print(
        f"{item.document.name:<44} {item.verdict:<20} {item.seconds:>6.1f} s "
        f"{sizes} {count}".rstrip(),
        flush=True,
    )
    for name, message in ran.failures if ran else ():
        print(f"    {name}: {message}", flush=True)


if __name__ == "__main__":
    main()
