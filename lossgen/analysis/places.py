"""Where to look at a guard: points on each piece of its zero set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from mpmath import mp

from lossgen.analysis.guards import Guard
from lossgen.analysis.loci import (
    DIGITS,
    Locus,
    is_solved,
    loci,
    loci_anywhere,
    solved_names,
)
from lossgen.analysis.samples import (
    ALL_STATES,
    Sample,
    at_closed_ends,
    distant,
    generic,
    satisfying,
    shortest,
    special,
    typical_length,
)
from lossgen.analysis.search import points_in, points_inside, vertices
from lossgen.analysis.unseen import is_reduced, turned
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.expr import Apply, Axis, Expr, Role, depends_on, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Loss, Variable

_ROWS = 10
_DISTANT_ROWS = 8
_SPECIAL_ROWS = 48
_SALTS = (1, 2, 3, 4, 5)  # further points where the first ones miss some
_FURTHER_SALTS = (6, 7)
_MANY = 40  # rows of those
_MORE = 16
_ENOUGH = 3  # rows that tell a constant from what depends on the data
_ALL_SIGNS = 3
_LONGER = (3, 6, 12)  # lengths to look at where the shorter ones miss it


def places_of(loss: Loss, guard: Guard, variable: Variable) -> tuple[Locus, ...] | None:
    """The pieces of a guard's zero set; None where none was found and one may exist."""
    found: dict[str, Locus] = {}
    known = False
    for last in last_lengths(loss):
        rows, signs = 0, {0}
        for salt in (0, *_SALTS):
            sample = generic(loss, last=last, rows=_ROWS, salt=salt)
            if sample is None:
                continue
            located = loci(guard, variable, sample)
            known = known or located is not None
            if not located:
                continue
            news = _signs_of_others(guard, located)
            if rows < _ENOUGH or not news <= signs:
                for count, place in enumerate(located):
                    found[f"{place.name} {count} {last} {salt}"] = place
            if not rows:
                found.update(_at_ends(loss, guard, variable, sample))
            rows += min(place.sample.rows for place in located)
            signs |= news
            if rows >= _ENOUGH and (len(signs) == _ALL_SIGNS or not news):
                break
    if not found and guard.node.op == "norm" and not is_solved(guard, variable):
        return _alone(loss, guard, variable)
    found.update(_missed(loss, guard, variable, found))
    found.update(_more_roots(loss, guard, variable, found))
    found.update(_swapped(loss, guard, variable, found))
    if not found and guard.reachable:
        found.update(_rare(loss, guard, variable))
    return tuple(found.values()) if known or found else None


def _alone(loss: Loss, guard: Guard, variable: Variable) -> tuple[Locus, ...] | None:
    """The zeros of a norm of one element, found by a search."""
    along = guard.node.axis in (Axis.LAST, Axis.SAMPLE)
    if not along or shortest(loss) > 1 or is_reduced(guard.difference, variable.symbol):
        return None
    sample = generic(loss, last=1, rows=_MORE)
    return (loci(guard, variable, sample) if sample else None) or None


def _rare(loss: Loss, guard: Guard, variable: Variable) -> dict[str, Locus]:
    """Pieces where none is inside the domain at the first points: others may have."""
    found: dict[str, Locus] = {}
    drawn = samples_of(loss)
    ends = (moved_to_ends(loss, item, combined=guard.branching) for item in drawn)
    meeting = vertices(loss, guard, variable, drawn[:1]) if guard.branching else ()
    rare = (*ends, *_special(loss, guard), *meeting)
    for sample in rare:
        for place in (loci(guard, variable, sample) if sample else None) or ():
            found.setdefault(place.name, place)
    known = set(found)
    for sample in (*drawn, *_further(loss)):
        inside = loci(guard, variable, sample)
        for place in inside or loci_anywhere(guard, variable, sample):
            if place.name not in known:
                within = None if inside else points_inside(loss, guard, place, drawn)
                found.setdefault(place.name, within or place)
        if found.keys() - known:
            break
    return found


def _special(loss: Loss, guard: Guard) -> Iterator[Sample]:
    """Points with round numbers for labels, for parameters or for both.

    A condition on these may hold at single values only.
    """
    compared = any(_compares_data(node) for node in walk(loss.expression))
    if not compared and not guard.branching:
        return
    last = last_lengths(loss)[-1]
    base = generic(loss, last=last, rows=_SPECIAL_ROWS)
    other = special(loss, last=last, rows=_SPECIAL_ROWS)
    if base is None or other is None or base.rows != other.rows:
        return
    for roles in (
        (Role.Y_TRUE,),
        (Role.PARAMETER,),
        (Role.Y_TRUE, Role.PARAMETER),
    ):
        names = [item.name for item in loss.of_role(*roles)]
        moved = {name: other.environment[name] for name in names}
        sample = replace(base, environment={**base.environment, **moved})
        yield satisfying(loss, sample)


def _compares_data(node: Expr) -> bool:
    return (
        isinstance(node, Apply)
        and FUNCTIONS[node.op].kind is Kind.COMPARISON
        and not depends_on(node, Role.Y_PRED)
    )


def _missed(
    loss: Loss, guard: Guard, variable: Variable, found: dict[str, Locus]
) -> dict[str, Locus]:
    """Pieces that few points lie on, where others were found."""
    missing = solved_names(guard, variable) - {place.name for place in found.values()}
    if not found or not missing:
        return {}
    last = last_lengths(loss)[-1]
    drawn = (generic(loss, last=last, rows=_MANY, salt=salt) for salt in _FURTHER_SALTS)
    more = {}
    for sample in (*drawn, *samples_of(loss)):
        for place in (loci(guard, variable, sample) if sample else None) or ():
            if place.name in missing:
                more[place.name] = place
        if len(more) == len(missing):
            return more
    sample = generic(loss, last=last, rows=_ROWS)
    for place in loci_anywhere(guard, variable, sample) if sample else ():
        if place.name in missing and place.name not in more:
            within = points_inside(loss, guard, place, ())
            if within is not None:
                more[place.name] = within
    return more


def _more_roots(
    loss: Loss, guard: Guard, variable: Variable, found: dict[str, Locus]
) -> dict[str, Locus]:
    """Further points where roots are searched for: they may be of several kinds."""
    searched = guard.node.op not in ("amax", "amin", "norm")
    if not found or not searched or is_solved(guard, variable):
        return {}
    last = last_lengths(loss)[-1]
    sample = generic(loss, last=last, rows=_MORE, salt=_FURTHER_SALTS[0])
    located = (loci(guard, variable, sample) if sample else None) or ()
    return {f"{item.name} {k} more": item for k, item in enumerate(located)}


def _swapped(
    loss: Loss, guard: Guard, variable: Variable, found: dict[str, Locus]
) -> dict[str, Locus]:
    """Points of known pieces at which left and right are swapped."""
    more: dict[str, Locus] = {}
    for cell, place in turned(guard, variable, tuple(found.values())):
        located = points_in(loss, guard, cell, place, _many_samples(loss))
        for hit in islice(located, 1):
            more[f"{place.name} {len(more)} swapped"] = hit
    return more


def _many_samples(loss: Loss) -> tuple[Sample, ...]:
    """As `samples_of`, and many more ordinary points."""
    last = last_lengths(loss)[-1]
    drawn = generic(loss, last=last, rows=_MANY, salt=_FURTHER_SALTS[1])
    return (*samples_of(loss), *(() if drawn is None else (drawn,)))


def _signs_of_others(guard: Guard, places: tuple[Locus, ...]) -> set[int]:
    """On which sides of a guard the other elements are, where a reduction sees them."""
    found: set[int] = set()
    if guard.node.op in ("amax", "amin", "norm"):
        return found
    for place in places:
        with mp.workdps(DIGITS):
            gaps = Evaluation(place.sample.environment).value(guard.difference)
        if gaps.ndim and gaps.shape[0] == place.sample.rows:
            for row in gaps:
                for item in list(row.flat)[1:]:
                    if not isinstance(item, Undefined):
                        found.add(int(mp.sign(item)))
    return found


def _further(loss: Loss) -> Iterator[Sample]:
    """Longer rows."""
    if typical_length(loss) == shortest(loss):
        return
    for last in _LONGER:
        sample = generic(loss, last=last, rows=_ROWS)
        if sample is not None:
            yield sample


def _at_ends(
    loss: Loss, guard: Guard, variable: Variable, sample: Sample
) -> dict[str, Locus]:
    """Points with labels and parameters at the closed ends of their domains."""
    moved = moved_to_ends(loss, sample, combined=guard.branching)
    places = (loci(guard, variable, moved) if moved else None) or ()
    return {f"{item.name} {k} at ends": item for k, item in enumerate(places)}


def moved_to_ends(loss: Loss, sample: Sample, *, combined: bool) -> Sample | None:
    """A sample with labels and parameters at the closed ends of their domains.

    With ``combined``, there are rows enough for the ends of several together: where a
    condition holds at the corners of a domain alone, the loss may jump there.
    """
    closed = [x for x in loss.of_role(Role.Y_TRUE, Role.PARAMETER) if _is_closed(x)]
    if all(item.domain.labels for item in closed):
        return None
    if combined and len(closed) > 2:
        more = generic(loss, last=sample.last, rows=ALL_STATES)
        sample = more if more is not None else sample
    moved = at_closed_ends(loss, sample, Role.Y_TRUE, Role.PARAMETER)
    return moved if moved.rows else None


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

    Of several elements the largest hides the kinks of the others, or outweighs them
    beyond all digits; a single one shows its own.
    """
    hides = any(
        isinstance(node, Apply) and node.op in ("amax", "amin", "logsumexp")
        for node in walk(loss.expression)
    )
    typical, least = typical_length(loss), shortest(loss)
    return (least, typical) if hides and least < typical else (typical,)
