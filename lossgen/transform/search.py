"""Search for a form of a loss that is more accurate than the rules make it.

After Herbie (Panchekha, Sanchez-Stern, Wilcox, Tatlock 2015, Automatically Improving
Accuracy for Floating Point Expressions): look for the operations that lose most, apply
identities there, keep the best few forms, and where none serves everywhere, branch.
What a form is worth is what the rules make of it, since they come after it in a build.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from lossgen.ir.accuracy import Accuracy, Bench, worst
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Expr,
    Number,
    apply,
    rebuild,
    replace_nodes,
    tree_size,
)
from lossgen.transform.branching import branched
from lossgen.transform.identities import rewritings
from lossgen.transform.stabilize import Rewriter

BUDGET = 600
"""How many forms are measured, by default."""

_STEPS = 6
_WIDTH = 8
_HARD = 8
"""The number of points that a form is measured at first."""

_PLACES = 10
"""At how many operations of a form identities are applied."""

_FINALISTS = 6
_GOOD_BITS = 1.0


@dataclass(frozen=True)
class Candidate:
    """A form, the identities that lead to it, and the bits lost at the hard points."""

    form: Expr
    steps: tuple[str, ...]
    bits: tuple[float, ...]

    @property
    def rank(self) -> tuple[float, int]:
        """Better forms first, then smaller ones."""
        return sum(self.bits), tree_size(self.form)


@dataclass(frozen=True)
class Found:
    """The best form, its accuracy, and the identities that lead to it."""

    form: Expr
    accuracy: Accuracy
    steps: tuple[str, ...]
    measured: int


def search(
    start: Expr, rewrite: Rewriter, bench: Bench, budget: int = BUDGET
) -> Found | None:
    """A form that is better than ``start`` at the points of a bench, if one is found.

    Args:
        start: What is computed now.
        rewrite: Applies the rules to a form.
        bench: Where forms are measured.
        budget: How many forms may be measured.
    """
    now = bench.errors(start)
    hard = sorted(range(bench.size), key=lambda k: -now[k].bits)[:_HARD]
    first = Candidate(start, (), tuple(now[k].bits for k in hard))
    whole = {start: now}
    seen = {start}
    best = [first]
    frontier, spent = [first], 0
    for step in range(_STEPS):
        share = (budget - spent) // (_STEPS - step)
        children: list[Candidate] = []
        for index, candidate in enumerate(frontier):
            allowed = (share - len(children)) // (len(frontier) - index)
            for child in _children(candidate, rewrite, bench, hard, seen, allowed):
                children.append(child)
                if max(child.bits) > _GOOD_BITS:
                    continue
                whole[child.form] = bench.errors(child.form)
                if worst(whole[child.form]).good:
                    return _found(child, whole, spent + len(children))
        spent += len(children)
        frontier = sorted(children, key=lambda item: item.rank)[:_WIDTH]
        best = sorted([*best, *frontier], key=lambda item: item.rank)[:_FINALISTS]
    for candidate in best:
        whole.setdefault(candidate.form, bench.errors(candidate.form))
    return _winner(best, whole, rewrite, bench, spent)


def _found(
    candidate: Candidate, whole: dict[Expr, tuple[Accuracy, ...]], measured: int
) -> Found:
    accuracy = worst(whole[candidate.form])
    return Found(candidate.form, accuracy, candidate.steps, measured)


def _winner(
    finalists: list[Candidate],
    whole: dict[Expr, tuple[Accuracy, ...]],
    rewrite: Rewriter,
    bench: Bench,
    spent: int,
) -> Found | None:
    """The first form that no other beats, or a branch between two."""
    start = next(iter(whole.values()))
    winner = Found(next(iter(whole)), worst(start), (), spent)
    for candidate in finalists:
        if worst(whole[candidate.form]).beats(winner.accuracy):
            winner = _found(candidate, whole, spent)
    for one, other in permutations(finalists, 2):
        pair = (one.form, whole[one.form]), (other.form, whole[other.form])
        form = branched(*pair, bench)
        if form is None:
            continue
        form = rewrite(form)
        accuracy, spent = worst(bench.errors(form)), spent + 1
        if accuracy.beats(winner.accuracy):
            steps = dict.fromkeys([*one.steps, *other.steps])
            winner = Found(form, accuracy, tuple(steps), spent)
    return winner if winner.accuracy.beats(worst(start)) else None


def _children(
    parent: Candidate,
    rewrite: Rewriter,
    bench: Bench,
    hard: list[int],
    seen: set[Expr],
    allowed: int,
) -> Iterator[Candidate]:
    """Forms that one identity makes of another, where that one loses most."""
    for form, step in _rewritten(parent.form, bench, hard):
        form = rewrite(form)
        if form in seen or tree_size(form) > 3 * tree_size(parent.form) + 20:
            continue
        if allowed <= 0:
            return
        allowed -= 1
        seen.add(form)
        bits = tuple(item.bits for item in bench.errors(form, hard))
        yield Candidate(form, (*parent.steps, step), bits)


def _rewritten(
    form: Expr, bench: Bench, hard: list[int]
) -> Iterator[tuple[Expr, str]]:
    normal = rebuild(form, _folded)
    if normal != form:
        yield normal, "signs and numbers in front"
    lost = bench.local_errors(normal, hard)
    nodes = sorted(lost, key=lambda node: -round(lost[node]))
    # An operation that loses nothing may have to change for its user to be rewritten.
    near = [child for node in nodes[:_PLACES] for child in node.children]
    places = dict.fromkeys([*nodes[:_PLACES], *(node for node in near if node in lost)])
    for node in places:
        for identity, new in rewritings(node):
            yield rebuild(replace_nodes(normal, {node: new}), _folded), str(identity)


def _folded(node: Expr) -> Expr:
    """An operation as the smart constructors write it, which is how rules have it."""
    if not isinstance(node, Apply):
        return node
    if node.op == "square" and isinstance(node.args[0], Number):
        return Number(node.args[0].value ** 2)
    if (node.op, *node.args) in _VALUES:
        return _VALUES[(node.op, *node.args)]
    return apply(node.op, *node.args, axis=node.axis)


_VALUES: dict[tuple[object, ...], Expr] = {
    ("sqrt", ONE): ONE,
    ("log", ONE): ZERO,
    ("log1p", ZERO): ZERO,
    ("exp", ZERO): ONE,
    ("expm1", ZERO): ZERO,
}
