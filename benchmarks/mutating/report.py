"""Tables of what became of mutants, and the bars that they are held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mutating.comparing import CLASSES, Verdict
from mutating.generating import KINDS
from mutating.source import Mutant
from mutating.trial import AT_IMPORT, CRASH, HANG, Outcome

BAR = 0.98
"""The share of mutants that are not equivalent to be killed, in total and by kind."""

LOSS_BAR = 0.95
"""The same for each loss."""


@dataclass(frozen=True)
class Result:
    """A mutant, what its trial gave, and for a survivor whether it is equivalent."""

    loss: str
    mutant: Mutant
    diff: tuple[str, ...]
    outcome: Outcome
    verdict: Verdict | None = None

    @property
    def survived(self) -> bool:
        """Whether a test should have failed and did not."""
        return self.verdict is not None and not self.verdict.equivalent

    @property
    def equivalent(self) -> bool:
        """Whether no test could have failed."""
        return self.verdict is not None and self.verdict.equivalent

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any], mutant: Mutant, diff: tuple[str, ...]
    ) -> Result:
        """What `as_record` gave, for the same mutant."""
        outcome = Outcome(record["status"], record["test"], record["message"])
        found = record["verdict"]
        verdict = None if found is None else Verdict(**found)
        return cls(record["loss"], mutant, diff, outcome, verdict)

    def as_record(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {
            "loss": self.loss,
            "kind": self.mutant.kind,
            "note": self.mutant.note,
            "line": self.mutant.line,
            "old": self.mutant.old,
            "new": self.mutant.new,
            **asdict(self.outcome),
            "verdict": None if self.verdict is None else asdict(self.verdict),
        }


@dataclass(frozen=True)
class Tally:
    """Mutants counted."""

    mutants: int
    equivalent: int
    at_import: int
    killed: int
    survived: int

    @classmethod
    def of(cls, results: Iterable[Result]) -> Tally:
        """The numbers of some results."""
        found = list(results)
        equivalent = sum(item.equivalent for item in found)
        survived = sum(item.survived for item in found)
        at_import = sum(item.outcome.status == AT_IMPORT for item in found)
        killed = len(found) - equivalent - survived
        return cls(len(found), equivalent, at_import, killed, survived)

    @property
    def score(self) -> float:
        """The share that was killed of those that are not equivalent."""
        judged = self.killed + self.survived
        return self.killed / judged if judged else 1.0

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table says."""
        counts = (self.mutants, self.equivalent, self.killed, self.at_import)
        score = f"{100 * self.score:.1f} %" if self.killed + self.survived else "-"
        return (*map(str, counts), str(self.survived), score)


_COLUMNS = ("mutants", "equivalent", "killed", "at import", "survived", "score")


def show_loss(console: Console, loss: str, results: Sequence[Result]) -> None:
    """Print the table of a loss, its survivors, and what was found equivalent."""
    console.print(_by_kind(loss, results))
    for result in results:
        if result.survived:
            _show_survivor(console, result)
    for result in results:
        if result.equivalent and result.verdict:
            line = f"equivalent: {result.mutant.name}: {result.verdict.reason} in "
            line += f"{result.verdict.probes} probes, {result.verdict.points} points"
            console.print(Text(line, "dim"))
    for result in results:
        if result.outcome.status in (HANG, CRASH):
            line = f"{result.outcome.status}: {result.mutant.name}: "
            console.print(Text(line + result.outcome.message, "dim"))


def _by_kind(title: str, results: Sequence[Result]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("kind")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for kind in KINDS:
        found = [item for item in results if item.mutant.kind == kind]
        table.add_row(kind, *Tally.of(found).cells)
    table.add_section()
    table.add_row("total", *Tally.of(results).cells)
    return table


def _show_survivor(console: Console, result: Result) -> None:
    assert result.verdict is not None
    mutant = result.mutant
    console.print(
        Text(f"survived: {result.loss}, {mutant.kind}, line {mutant.line}", "bold")
    )
    for line in result.diff:
        console.print(Text(f"  {line}", "red" if line[0] == "-" else "green"))
    console.print(Text(f"  would be killed by: {result.verdict.reason}"))


def show_total(console: Console, results: Sequence[Result]) -> None:
    """Print the scores of each loss by kind, the totals, and the equivalent ones."""
    losses = list(dict.fromkeys(item.loss for item in results))
    table = Table(title="killed/not equivalent", title_justify="left")
    table.add_column("loss")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    table.add_column("score", justify="right")
    for loss in losses:
        mine = [item for item in results if item.loss == loss]
        cells = []
        for kind in KINDS:
            tally = Tally.of(item for item in mine if item.mutant.kind == kind)
            cells.append(f"{tally.killed}/{tally.killed + tally.survived}")
        table.add_row(loss, *cells, Tally.of(mine).cells[-1])
    console.print(table)
    console.print(_by_kind("all losses", results))
    for reason in CLASSES:
        count = sum(
            item.equivalent
            and item.verdict is not None
            and item.verdict.reason == reason
            for item in results
        )
        console.print(f"equivalent, {reason}: {count}")


def faults(results: Sequence[Result]) -> list[str]:
    """What is below its bar."""
    found = []
    parts = [("total", BAR, list(results))]
    for kind in KINDS:
        same = [item for item in results if item.mutant.kind == kind]
        parts.append((kind, BAR, same))
    for loss in dict.fromkeys(item.loss for item in results):
        parts.append((loss, LOSS_BAR, [item for item in results if item.loss == loss]))
    for name, bar, some in parts:
        score = Tally.of(some).score
        if score < bar:
            found.append(
                f"{name}: {100 * score:.1f} %, and the bar is {100 * bar:.0f} %"
            )
    return found
