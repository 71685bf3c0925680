"""Whether the generated tests notice that a generated module is wrong.

python benchmarks/mutation.py [LOSS ...] [--limit N] [--jobs N] [--json FILE]
python benchmarks/mutation.py --again FILE [--json FILE]
python benchmarks/mutation.py --rewrites

Each module under ``generated/`` is changed in one place at a time, and its generated
test is run on the mutant. A test that passes everything is worth nothing, and so is one
that fails at what is right: with ``--rewrites`` modules that compute the same in
another way have to pass.

The exit status is 1 if less than 98 % of the mutants that are not equivalent are
killed, in total or of a kind, or less than 95 % of a loss; or if a correct rewrite
fails.

- How mutants are made: the tree of `ast` says where, and the text between is left as it
  is, so that a mutant differs from its module in a line or two. LibCST would keep the
  text as well, but what is replaced here is a whole expression each time, whose own
  layout does not matter.
- How they are tried: TensorFlow is imported once; see ``mutating/trial.py``. cosmic-ray
  starts the test command anew for each mutant, and with it TensorFlow: about 5 s each.
  mutmut forks, as is done here, but mutates no function that has a decorator (a custom
  gradient has), puts another function in front of each that it mutates (AutoGraph and
  `inspect` see that one), and does not know the kinds that matter to a loss: guards,
  masks, axes, casts, the gradient alone.
- After a change to the template, ``--again`` tries the survivors of an earlier run once
  more, and takes the other results from there: a test that is added saves no mutant.
- What counts: a survivor that cannot be told from the module by anything is no fault of
  the test. That is never guessed, but shown; see ``mutating/equivalence.py``. With
  ``--audit`` the same comparison has to tell every mutant that is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

# Before TensorFlow is imported, and for processes that tests start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
# Trials run side by side, and tensors are small: oneDNN costs more than it saves.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras  # noqa: F401  imported once, for all mutants
from mutating.equivalence import Equivalence
from mutating.generating import mutants, sampled
from mutating.points import Inputs, loss_of
from mutating.report import Result, faults, show_loss, show_total
from mutating.rewrites import REWRITES, Rewrite
from mutating.source import Mutant
from mutating.trial import Bench
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "generated"

_FIRST_LIMIT = 600.0


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("losses", nargs="*", metavar="LOSS", help="all by default")
    parser.add_argument("--limit", type=int, default=60, help="mutants a loss (60)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="trials at once"
    )
    parser.add_argument("--json", type=Path, help="write all results to this file")
    parser.add_argument("--again", type=Path, help="try the survivors in this file")
    parser.add_argument("--rewrites", action="store_true", help="try correct rewrites")
    parser.add_argument(
        "--processes", action="store_true", help="run `test_in_its_own_process`, too"
    )
    parser.add_argument(
        "--audit", action="store_true", help="no mutant killed may pass for equivalent"
    )
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    if args.rewrites:
        sys.exit(_rewrites(console, args.losses))
    results: list[Result] = []
    records = json.loads(args.again.read_text(encoding="utf-8")) if args.again else []
    known = {_key(record): record for record in records}
    names = sorted({record["loss"] for record in records}) or _names()
    for name in args.losses or names:
        start = time.monotonic()
        mine = list(_results(name, args, known))
        results += mine
        show_loss(console, name, mine)
        console.print(f"{name}: {time.monotonic() - start:.0f} s\n")
    show_total(console, results)
    if args.json:
        records = [item.as_record() for item in results]
        args.json.write_text(json.dumps(records, indent=1), encoding="utf-8")
    below = faults(results)
    console.print("\n".join(below) or "every score is above its bar")
    sys.exit(1 if below else 0)


def _names() -> Sequence[str]:
    """The losses that have a generated test."""
    tests = sorted(GENERATED.glob("test_*.py"))
    return [path.stem.removeprefix("test_") for path in tests]


def _key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells a mutant from the others."""
    return tuple(record[name] for name in ("loss", "kind", "line", "old", "new"))


def _results(
    name: str, args: argparse.Namespace, known: Mapping[tuple[Any, ...], Any]
) -> Iterator[Result]:
    text = (GENERATED / f"{name}.py").read_text(encoding="utf-8")
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(args.jobs) as pool,
    ):
        trials = _Trials(Path(folder), name, text, args, known, pool)
        pool.submit(trials.observe)  # or all would wait for it in the end
        tried = pool.map(trials.tried, sampled(mutants(text), args.limit))
        yield from (item.result() for item in tried)


class _Trials:
    """Tries mutants of one module, as many at once as there are benches."""

    def __init__(
        self,
        folder: Path,
        name: str,
        text: str,
        args: argparse.Namespace,
        known: Mapping[tuple[Any, ...], Any],
        pool: Executor,
    ) -> None:
        """Try the module itself, which has to pass."""
        self._name, self._text, self._args, self._known = name, text, args, known
        self._pool = pool
        self._benches: SimpleQueue[Bench] = SimpleQueue()
        for number in range(args.jobs):
            place = folder / str(number)
            place.mkdir()
            self._benches.put(
                Bench.of(place, name, GENERATED, with_processes=args.processes)
            )
        start = time.monotonic()
        with self._bench() as bench:
            outcome, seconds = bench.tried(text, _FIRST_LIMIT)
        if not outcome.passed:
            raise SystemExit(f"{name} fails its own test: {outcome}")
        # What compiled before them does not count in the time of those that compile.
        self._seconds = {
            test: took + any(f"{mode}]" in test for mode in ("graph", "xla"))
            for test, took in seconds.items()
        }
        # By kind of mutation: what killed one of its mutants is likely to kill others.
        self._killers: dict[str, set[str]] = defaultdict(set)
        # Others on the machine may slow a trial down, but not so much.
        self._limit = 20 + 10 * (time.monotonic() - start)
        test = (GENERATED / f"test_{name}.py").read_text(encoding="utf-8")
        self._equivalence = Equivalence(text, Inputs(loss_of(text, ROOT), test))

    @contextmanager
    def _bench(self) -> Iterator[Bench]:
        bench = self._benches.get()
        try:
            yield bench
        finally:
            self._benches.put(bench)

    def observe(self) -> None:
        """Find out what the module does, with which some survivors are compared."""
        with self._bench() as bench:
            self._equivalence.observe(bench)

    def tried(self, mutant: Mutant) -> Future[Result]:
        """What becomes of a mutant; of one that survives, once all others are tried."""
        key = (self._name, mutant.kind, mutant.line, mutant.old, mutant.new)
        diff = tuple(mutant.diff(self._text))
        record = self._known.get(key)
        if record is not None:
            before = Result.from_record(record, mutant, diff)
            if not before.survived:
                return _done(before)
        with self._bench() as bench:
            killers = dict.fromkeys(self._killers[mutant.kind], -1.0)
            first = {**self._seconds, **killers}
            outcome, _ = bench.tried(mutant.text, self._limit, first)
        if outcome.test:
            self._killers[mutant.kind].add(outcome.test)
        result = Result(self._name, mutant, diff, outcome, None)
        if outcome.passed or self._args.audit:
            return self._pool.submit(self._compared, result)
        return _done(result)

    def _compared(self, result: Result) -> Result:
        """The same with a verdict, if the mutant survived."""
        with self._bench() as bench:
            verdict = self._equivalence.verdict(bench, result.mutant)
        if result.outcome.passed:
            return replace(result, verdict=verdict)
        if verdict.equivalent:
            name = result.mutant.name
            raise SystemExit(f"killed, yet equivalent: {name}: {result.outcome}")
        return result


def _done(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def _rewrites(console: Console, names: Sequence[str]) -> int:
    """Try the correct rewrites; 1 if a test fails."""
    table = Table(title="correct rewrites", title_justify="left")
    for column in ("loss", "rewrite", "result"):
        table.add_column(column)
    failed = 0
    for rewrite in REWRITES:
        if names and rewrite.loss not in names:
            continue
        result = _tried(rewrite)
        failed += result != "passed"
        table.add_row(rewrite.loss, rewrite.what, result)
    console.print(table)
    console.print(f"{failed} failed" if failed else "all passed")
    return 1 if failed else 0


def _tried(rewrite: Rewrite) -> str:
    path = GENERATED / f"{rewrite.loss}.py"
    text = rewrite.applied(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.of(Path(folder), rewrite.loss, GENERATED)
        outcome, _ = bench.tried(text, _FIRST_LIMIT)
    if outcome.passed:
        return "passed"
    return f"{outcome.status}: {outcome.test}: {outcome.message}"


if __name__ == "__main__":
    main()
