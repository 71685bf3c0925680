"""All mutants of a module, and a sample that is spread over the kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from mutating.contract import ChangedDefault, DroppedConfigKey
from mutating.gradient import GradientAlone
from mutating.guards import (
    DroppedCast,
    RemovedCheck,
    RemovedGuard,
    RemovedMask,
    SwappedBranches,
)
from mutating.kinds import (
    Axes,
    ConstantsByPercent,
    ConstantsBySign,
    DroppedTerms,
    Kind,
    Operators,
    Reductions,
    SwappedArguments,
)
from mutating.source import Module, Mutant

_KINDS: tuple[Kind, ...] = (
    Operators(),
    ConstantsByPercent(),
    ConstantsBySign(),
    SwappedArguments(),
    DroppedTerms(),
    Axes(),
    Reductions(),
    RemovedGuard(),
    RemovedMask(),
    SwappedBranches(),
    ChangedDefault(),
    DroppedConfigKey(),
    DroppedCast(),
    RemovedCheck(),
)

KINDS = (*(kind.name for kind in _KINDS), GradientAlone.name)
"""The names of all kinds, in the order of the table."""


def mutants(text: str) -> list[Mutant]:
    """All mutants of a module, none twice and none that is the module itself."""
    module = Module(text)
    known = set(module.signatures)
    found = []
    for mutant in _all(module):
        signature = mutant.signature
        if signature not in known:
            known.add(signature)
            found.append(mutant)
    return found


def _all(module: Module) -> Iterator[Mutant]:
    gradient = GradientAlone(module, _KINDS)
    for site in module.sites:
        for kind in (gradient,) if gradient.covers(site) else (*_KINDS, gradient):
            for edit in kind.edits(site):
                yield module.mutant(kind.name, edit, in_formula=site.in_formula)


def sampled(found: Sequence[Mutant], limit: int) -> list[Mutant]:
    """At most ``limit`` mutants, about as many of each kind.

    Of a kind, formula and surroundings take turns: the surroundings are the larger part
    of a module, and much the same in all. Which ones come first is left to a hash of
    what they do: the same ones for the same text, and no part is preferred.
    """
    columns = [_in_turns([m for m in found if m.kind == kind]) for kind in KINDS]
    rounds = zip_longest(*columns)
    taken = [mutant for row in rounds for mutant in row if mutant is not None]
    return sorted(taken[:limit], key=lambda m: (KINDS.index(m.kind), m.line, m.name))


def _in_turns(found: Sequence[Mutant]) -> list[Mutant]:
    ordered = sorted(found, key=_hash)
    groups = (
        [m for m in ordered if m.in_formula is inside] for inside in (True, False)
    )
    return [m for pair in zip_longest(*groups) for m in pair if m is not None]


def _hash(mutant: Mutant) -> str:
    return hashlib.sha256(mutant.name.encode()).hexdigest()
