"""Where to look at a guard: points on each piece of its zero set."""

from __future__ import annotations

from lossgen.analysis.guards import Guard, Locus, loci, loci_anywhere
from lossgen.analysis.samples import (
    Sample,
    at_closed_ends,
    distant,
    generic,
    shortest,
    typical_length,
)
from lossgen.ir.expr import Apply, Role, walk
from lossgen.ir.loss import Loss, Variable

_ROWS = 10
_DISTANT_ROWS = 8
_SALTS = (1, 2, 3)  # further points where the first ones miss the locus


def places_of(loss: Loss, guard: Guard, variable: Variable) -> tuple[Locus, ...] | None:
    """The pieces of a guard's zero set; None where none was found and one may exist."""
    found: dict[str, Locus] = {}
    known = False
    for last in last_lengths(loss):
        for salt in (0, *_SALTS):
            sample = generic(loss, last=last, rows=_ROWS, salt=salt)
            if sample is None:
                continue
            located = loci(guard, variable, sample)
            known = known or located is not None
            for count, place in enumerate(located or ()):
                found.setdefault(f"{place.name} {count} {last}", place)
            if located:
                found.update(_at_ends(loss, guard, variable, sample))
                break
    if not found and guard.reachable:
        # None inside the domain at these points, but there may be at others.
        for sample in samples_of(loss):
            inside = loci(guard, variable, sample)
            for place in inside or loci_anywhere(guard, variable, sample):
                found.setdefault(place.name, place)
    return tuple(found.values()) if known else None


def _at_ends(
    loss: Loss, guard: Guard, variable: Variable, sample: Sample
) -> dict[str, Locus]:
    """Points with labels and parameters at the closed ends of their domains."""
    inputs = loss.of_role(Role.Y_TRUE, Role.PARAMETER)
    if all(item.domain.labels or not _is_closed(item) for item in inputs):
        return {}
    moved = at_closed_ends(loss, sample, Role.Y_TRUE, Role.PARAMETER)
    if not moved.rows:
        return {}
    places = loci(guard, variable, moved) or ()
    return {f"{item.name} {k} at ends": item for k, item in enumerate(places)}


def _is_closed(variable: Variable) -> bool:
    """Whether a domain contains one of its ends."""
    bounds = (variable.domain.lower, variable.domain.upper)
    return any(item.value is not None and not item.open for item in bounds)


def samples_of(loss: Loss) -> tuple[Sample, ...]:
    """Points to look for cells at: ordinary ones, and some of all magnitudes."""
    last = last_lengths(loss)[-1]
    drawn = (
        generic(loss, last=last, rows=_ROWS),
        distant(loss, last=last, rows=_DISTANT_ROWS),
    )
    return tuple(sample for sample in drawn if sample is not None)


def last_lengths(loss: Loss) -> tuple[int, ...]:
    """Lengths of the last axis to look at.

    Of several elements the largest hides the kinks of the others; a single one shows
    its own.
    """
    hides = any(
        isinstance(node, Apply) and node.op in ("amax", "amin")
        for node in walk(loss.expression)
    )
    typical, least = typical_length(loss), shortest(loss)
    return (least, typical) if hides and least < typical else (typical,)
