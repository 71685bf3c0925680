"""Search for a form of a loss that is more accurate than the rules make it.

After Herbie (Panchekha, Sanchez-Stern, Wilcox, Tatlock 2015, Automatically Improving
Accuracy for Floating Point Expressions): look for the operations that lose most, apply
identities there, keep the best few forms, and where none serves everywhere, branch.
What a form is worth is what the rules make of it, since they come after it in a build.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, permutations

from lossgen.ir.accuracy import Accuracy, Bench, improve, worst
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

BUDGET = 400
"""How many forms are measured, by default."""

REORDERED = "signs and numbers in front, where the rules look for them"

_STEPS = 5
_WIDTH = 8
_HARD = 8
"""The number of points that a form is measured at first."""

_PLACES = 10
"""At how many operations of a form identities are applied."""

_FINALISTS = 3
"""How many forms are measured at all points after each step."""

_PARTNERS = 4
"""With how many others a branch is tried."""

_GOOD_BITS = 1.0
_WORSE = 8.0
"""How many bits a step may lose, over the hard points, on the way to a better form."""


@dataclass(frozen=True)
class Candidate:
    """A form, the identities that lead to it, and the bits lost at the hard points."""

    form: Expr
    steps: tuple[str, ...]
    bits: tuple[float, ...]

    @property
    def rank(self) -> tuple[int, int]:
        """Better forms first, then smaller ones."""
        return round(sum(self.bits)), tree_size(self.form)


@dataclass(frozen=True)
class Found:
    """The best form, its accuracy, and the identities that lead to it."""

    form: Expr
    accuracy: Accuracy
    steps: tuple[str, ...]


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
    finals = _Finals(first, now, rewrite, bench)
    seen, largest = {start}, 2 * tree_size(start) + 20
    frontier, spent = [first], 0
    for step in range(_STEPS):
        share = (budget - spent) // (_STEPS - step)
        children: list[Candidate] = []
        used = 0
        for index, parent in enumerate(frontier):
            allowed = (share - used) // (len(frontier) - index)
            tried = _children(parent, largest, rewrite, bench, hard, seen)
            for child in islice(tried, allowed):
                used += 1
                if child is None:
                    continue
                children.append(child)
                if max(child.bits) <= _GOOD_BITS and child.rank < first.rank:
                    finals.enter(child)
                if finals.done:
                    return finals.best
        spent += used
        frontier = sorted(children, key=lambda item: item.rank)[:_WIDTH]
        for child in frontier[:_FINALISTS]:
            if child.rank < first.rank:
                finals.enter(child)
        finals.branch()
        if finals.done:
            break
    return finals.best if finals.best.steps else None


class _Finals:
    """Forms measured at all points, and branches between them."""

    def __init__(
        self,
        first: Candidate,
        now: tuple[Accuracy, ...],
        rewrite: Rewriter,
        bench: Bench,
    ) -> None:
        self._rewrite, self._bench, self._now = rewrite, bench, now
        self._known = {first.form: (first.steps, now)}
        self._branched: set[tuple[Expr, Expr]] = set()
        self.best, self._least = Found(first.form, worst(now), ()), _lost(now)

    @property
    def done(self) -> bool:
        return bool(self.best.steps) and self.best.accuracy.good

    def enter(self, candidate: Candidate) -> None:
        if candidate.form not in self._known:
            errors = self._bench.errors(candidate.form)
            self._known[candidate.form] = candidate.steps, errors
            self._compare(Found(candidate.form, worst(errors), candidate.steps), errors)

    def branch(self) -> None:
        ranked = sorted(self._known, key=lambda form: _lost(self._known[form][1]))
        chosen = dict.fromkeys([next(iter(self._known)), *ranked[:_PARTNERS]])
        for one, other in permutations(chosen, 2):
            if self.done or (one, other) in self._branched:
                continue
            self._branched.add((one, other))
            (steps, errors), (more, others) = self._known[one], self._known[other]
            form = branched((one, errors), (other, others), self._bench)
            if form is not None:
                form = self._rewrite(form)
                joined = tuple(dict.fromkeys([*steps, *more]))
                both = self._bench.errors(form)
                self._compare(Found(form, worst(both), joined), both)

    def _compare(self, found: Found, errors: tuple[Accuracy, ...]) -> None:
        if _lost(errors) < self._least - 1 and improve(errors, self._now):
            self.best, self._least = found, _lost(errors)


def _lost(errors: tuple[Accuracy, ...]) -> float:
    return sum(item.bits for item in errors)


def _children(
    parent: Candidate,
    largest: int,
    rewrite: Rewriter,
    bench: Bench,
    hard: list[int],
    seen: set[Expr],
) -> Iterator[Candidate | None]:
    """Forms that one identity makes of another, where that one loses most.

    None stands for a form that is not worth to be measured at all hard points.
    """
    limit = sum(parent.bits) + _WORSE
    for form, step in _rewritten(parent.form, bench, hard):
        form = rewrite(form)
        if form in seen or tree_size(form) > largest:
            continue
        seen.add(form)
        bits: list[float] = []
        for k in hard:
            bits += [item.bits for item in bench.errors(form, [k])]
            if sum(bits) > limit:
                yield None
                break
        else:
            yield Candidate(form, (*parent.steps, step), tuple(bits))


def _rewritten(form: Expr, bench: Bench, hard: list[int]) -> Iterator[tuple[Expr, str]]:
    normal = rebuild(form, _folded)
    if normal != form:
        yield normal, REORDERED
    lost = bench.local_errors(normal, hard)
    nodes = sorted(lost, key=lambda node: (-round(lost[node]), -tree_size(node)))
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
    known = _VALUES.get((node.op, node.args[0]))
    return known or apply(node.op, *node.args, axis=node.axis)


_VALUES: dict[tuple[str, Expr], Expr] = {
    ("sqrt", ONE): ONE,
    ("log", ONE): ZERO,
    ("log1p", ZERO): ZERO,
    ("exp", ZERO): ONE,
    ("expm1", ZERO): ZERO,
}
