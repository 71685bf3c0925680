"""How long builds take, as ratios that a slow or busy machine changes little.

python benchmarks/build_time.py [--specs N] [--cold N] [--rounds N]

Four figures, each beside its goal:

- A build with nothing to do, against a bare Python process. The specs are those of the
  catalogue under other names. To fill the cache, each loss of the catalogue is compiled
  once, and every copy of it is handed that result.
- One spec without a cache, against a process that imports SymPy: the simplest of the
  catalogue, and the middle one in order of time. How far down that can come is what the
  imports alone take: NumPy, mpmath, pydantic, Jinja, Black, Typer and lossgen itself;
  SymPy comes on top where a proof needs it.
- The catalogue without a cache, in seconds.
- Copies of the catalogue's specs without a cache, in seconds a spec; fewer than in the
  first figure, and no result of one is used for another.

Beside the time that passed stands the CPU time, which others on the machine disturb
less.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIMPLEST = "mean_squared_error"

_NAME = re.compile(r"^name: (?P<name>\w+)$", re.MULTILINE)
_BARE = ("-c", "pass")
_SYMPY = ("-c", "import sympy")
_IMPORTS = ("-c", "import lossgen.cli, lossgen.compiler")
_BUILD = ("-m", "lossgen", "build")


def _name(text: str) -> str:
    """The name that a spec of the catalogue gives its loss."""
    found = _NAME.search(text)
    assert found is not None
    return found["name"]


@dataclass(frozen=True)
class Cost:
    """What a process took, in seconds: time that passed and CPU time."""

    wall: float
    cpu: float

    def over(self, other: Cost) -> Cost:
        """How many times the cost of another."""
        return Cost(self.wall / other.wall, self.cpu / other.cpu)


def main() -> None:
    """Print the four figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--specs", type=int, default=1000)
    parser.add_argument("--cold", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=11)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as where lossgen is installed
    with tempfile.TemporaryDirectory() as folder:
        _nothing_to_do(_project(Path(folder), args.specs), args.specs, args.rounds)
    _one_spec(args.rounds)
    _catalogue()
    with tempfile.TemporaryDirectory() as folder:
        _many(_project(Path(folder), args.cold), args.cold)


def _nothing_to_do(folder: Path, count: int, rounds: int) -> None:
    _fill_cache(folder)
    expected = f"{count} specs: {2 * count} unchanged\n"
    for _ in range(2):  # what was just written is read once more
        _run(_BUILD, folder, expected)
    ratios = _interleaved((_BARE, ""), (_BUILD, expected), folder, rounds)
    _show(f"nothing to do, {count} specs", ratios, "a bare Python", "8x")


def _fill_cache(folder: Path) -> None:
    from lossgen.compiler import Compilation, compile_source
    from lossgen.diagnostics.source import SourceFile
    from lossgen.driver.build import build
    from lossgen.driver.cache import opened
    from lossgen.driver.discovery import find_specs
    from lossgen.driver.project import load_project

    project = load_project(folder)
    compiled: dict[str, Compilation] = {}

    def compile_copy(source: SourceFile) -> tuple[Compilation, ...]:
        name = _name(source.text)
        original = name.rpartition("_")[0]
        if original not in compiled:
            (compiled[original],) = compile_source(source, project.options)
        artifacts = tuple(
            replace(item, path=f"{prefix}{name}.py")
            for item, prefix in zip(
                compiled[original].artifacts, ("", "test_"), strict=True
            )
        )
        return (replace(compiled[original], name=name, artifacts=artifacts),)

    with opened(project) as cache:
        selection = find_specs(project)
        build(project, selection, jobs=1, compile_one=compile_copy, cache=cache)


def _one_spec(rounds: int) -> None:
    def build_one(name: str) -> tuple[str, ...]:
        spec = str(ROOT / "specs" / f"{name}.yaml")
        return (*_BUILD, "--no-cache", "--check", spec)

    names = sorted(path.stem for path in (ROOT / "specs").rglob("*.yaml"))
    costs = {name: _run(build_one(name), ROOT).cpu for name in names}
    middle = sorted(names, key=costs.__getitem__)[len(names) // 2]
    cases = [(name, build_one(name)) for name in (SIMPLEST, middle)]
    for what, command in (("its imports alone", _IMPORTS), *cases):
        ratios = _interleaved((_SYMPY, ""), (command, None), ROOT, max(3, rounds // 2))
        _show(f"one spec, cold: {what}", ratios, "`import sympy`", "2x")


def _catalogue() -> None:
    cost = _run((*_BUILD, "--no-cache", "--check"), ROOT)
    print(
        f"the catalogue, cold: {cost.wall:.1f} s on {os.cpu_count()} cores, "
        f"{cost.cpu:.1f} s of CPU time (goal: 20 s on 2 cores)",
        flush=True,
    )


def _many(folder: Path, count: int) -> None:
    cost = _run(
        (*_BUILD, "--no-cache"), folder, f"{count} specs: {2 * count} created\n"
    )
    print(
        f"{count} specs, cold: {cost.wall / count:.2f} s each on {os.cpu_count()} "
        f"cores, {cost.cpu / count:.2f} s of CPU time (goal: 0.3 s on 2 cores)",
        flush=True,
    )


def _project(folder: Path, count: int) -> Path:
    """A project of copies of the catalogue's specs."""
    originals = sorted((ROOT / "specs").rglob("*.yaml"))
    (folder / "lossgen.toml").write_text("")
    (folder / "specs").mkdir()
    for number in range(count):
        original = originals[number % len(originals)]
        text = original.read_text()
        name = f"{_name(text)}_{number}"
        text = _NAME.sub(f"name: {name}", text)
        (folder / "specs" / f"{name}.yaml").write_text(text)
    return folder


def _interleaved(
    base: tuple[Sequence[str], str | None],
    measured: tuple[Sequence[str], str | None],
    folder: Path,
    rounds: int,
) -> list[Cost]:
    """What one command takes over another, round by round."""
    return [
        _run(measured[0], folder, measured[1]).over(_run(base[0], folder, base[1]))
        for _ in range(rounds)
    ]


def _run(args: Sequence[str], folder: Path, expected: str | None = None) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *args], cwd=folder, capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or expected not in (None, done.stdout):
        raise SystemExit(f"{args} failed:\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu)


def _show(what: str, ratios: Sequence[Cost], base: str, goal: str) -> None:
    wall = statistics.median(ratio.wall for ratio in ratios)
    cpu = statistics.median(ratio.cpu for ratio in ratios)
    print(
        f"{what}: {wall:.1f}x {base}, {cpu:.1f}x its CPU time (goal: {goal})",
        flush=True,
    )


if __name__ == "__main__":
    main()
