"""All mutants of a module, and a sample that is spread over the kinds."""

from __future__ import annotations

import ast
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
    known = {module.signature}
    found = []
    for mutant in _all(module):
        signature = ast.dump(ast.parse(mutant.text))
        if signature not in known:
            known.add(signature)
            found.append(mutant)
    return found


def _all(module: Module) -> Iterator[Mutant]:
    gradient = GradientAlone(module, _KINDS)
    for site in module.sites:
        for kind in (gradient,) if gradient.covers(site) else (*_KINDS, gradient):
            for edit in kind.edits(site):
                yield module.mutant(kind.name, edit)


def sampled(found: Sequence[Mutant], limit: int) -> list[Mutant]:
    """At most ``limit`` mutants, about as many of each kind.

    Which ones of a kind is left to a hash of what they do: the same ones for the same
    text, and no part of the module is preferred.
    """
    columns = [
        sorted((m for m in found if m.kind == kind), key=_hash) for kind in KINDS
    ]
    rounds = zip_longest(*columns)
    taken = [mutant for row in rounds for mutant in row if mutant is not None]
    return sorted(taken[:limit], key=lambda m: (KINDS.index(m.kind), m.line, m.name))


def _hash(mutant: Mutant) -> str:
    return hashlib.sha256(mutant.name.encode()).hexdigest()
