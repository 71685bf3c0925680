"""Attempts to contradict a certificate along lines through the domain.

Nothing of the proofs is used: a loss is evaluated on either side of the points where
its operations switch formulas, and differences take the place of derivatives.
"""

import random
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
from mpmath import mp, mpf
from writing import write

from lossgen.analysis.ranges import domain_interval
from lossgen.calculus.evaluate import Evaluation, Undefined
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Axis, Number, Role, sub, walk
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.loss import Smoothness

DIGITS = 120
STEP = mpf(10) ** -24
CLOSER = mpf(10) ** -16
NEAR = mpf(10) ** -9
SHOWN = mpf(10) ** -5  # slopes are written down with six digits
EXACT = mpf(10) ** -40
POINTS = 12
LINES = 5
GRID = 11
PLACES = 14
REFINEMENTS = 16
HIGHEST = {Smoothness.SMOOTH: 3, Smoothness.C1: 1, Smoothness.CONTINUOUS: 1}
ORDER_OF_KINKS = 1


class ContradictionError(AssertionError):
    """What a certificate says is not so."""


def probe(loss, keys, certificate, seed):
    """Raise `ContradictionError` if a loss is not what its certificate says."""
    generator = random.Random(seed)
    points = [random_point(loss, generator, k) for k in range(POINTS)]
    evaluator = Evaluator(loss)
    for place, value in zip(points, evaluator.totals(points), strict=True):
        if value is not None and not mp.isfinite(value):
            raise ContradictionError("infinite", shown(place))
    lines = [_line(loss, each, generator) for each in points[:LINES]]
    places = []
    for line in lines:
        places += [(line, t) for t in line.round_numbers(loss)]
    places += switching(evaluator, lines)
    generator.shuffle(places)
    inspect(evaluator, keys, certificate, places[:PLACES])
    inspect_ends(evaluator, lines)


# Points -------------------------------------------------------------------------------


def random_point(loss, generator, k):
    """An environment of one row; of three where a reduction over the batch ties them.

    Some are vertices of the domain; others hold constants of the formula, where its
    branches are, or elements that are equal.
    """
    along = any(item.domain.along_last_axis for item in loss.variables)
    last = max(2 if along else 1, 1 + k % 3)
    rows = 3 if is_tied(loss) else 1
    constants = [
        sign * node.value + offset
        for node in walk(loss.expression)
        if isinstance(node, Number)
        for sign in (1, -1)
        for offset in (0, Fraction(1, 8), Fraction(-1, 8))
    ]
    environment = {}
    for item in loss.variables:
        shape = {"scalar": (1, 1), "last": (1, last)}.get(item.shape, (rows, last))
        array = np.empty(shape, dtype=object)
        if item.domain.along_last_axis:
            for row in array:
                row[:] = _shares(item.domain, last, generator)
        else:
            for index in np.ndindex(shape):
                others = [x for each in environment.values() for x in each.flat]
                array[index] = _value(
                    item.domain, [*constants, *others], generator, k % 4 == 3
                )
        environment[item.name] = array
    return environment


def _shares(domain, last, generator):
    if domain.kind is DomainKind.ONE_HOT or (
        not domain.lower.open and generator.random() < 0.3
    ):
        chosen = generator.randrange(last)
        return [Fraction(int(k == chosen)) for k in range(last)]
    parts = [Fraction(generator.randint(1, 99)) for _ in range(last)]
    return [part / sum(parts) for part in parts]


def _value(domain, special, generator, vertex):
    if domain.labels:
        return generator.choice(domain.labels)
    values = domain_interval(domain)
    low, high = _window(values)
    if domain.kind is DomainKind.COUNT:
        near = [x for x in special if x >= 0 and x.denominator == 1]
        return generator.choice([*near, *map(Fraction, range(5))])
    ends = [x for x in (values.lower, values.upper) if isinstance(x, Fraction)]
    ends = [x for x in ends if values.contains(x)]
    if ends and (vertex or generator.random() < 0.15):
        return generator.choice(ends)
    special = [x for x in special if values.contains(x)]
    if special and generator.random() < 0.35:
        return generator.choice(special)
    return low + (high - low) * Fraction(generator.randint(1, 9999), 10_000)


def _window(values):
    """A finite part of a domain."""
    low, high = values.lower, values.upper
    if isinstance(low, Fraction):
        return (low, high) if isinstance(high, Fraction) else (low, low + 6)
    return (high - 6, high) if isinstance(high, Fraction) else (Fraction(-4), 6)


def is_tied(loss):
    return any(
        isinstance(node, Apply) and node.axis is Axis.BATCH
        for node in walk(loss.expression)
    )


def shown(environment):
    return {name: array.tolist() for name, array in environment.items()}


# Lines --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """The points at which one element of a prediction is ``t``.

    On a simplex, another element makes up for it.
    """

    environment: dict
    name: str
    index: tuple
    low: Fraction
    high: Fraction
    balance: tuple | None = None

    @property
    def moving(self):
        """The elements that change along the line."""
        return (self.index, self.balance) if self.balance else (self.index,)

    def at(self, t):
        array = self.environment[self.name].copy()
        if self.balance:
            with mp.workdps(DIGITS):
                share = mp.mpmathify(array[self.balance] + array[self.index])
                array[self.balance] = share - t
        array[self.index] = t
        return {**self.environment, self.name: array}

    def round_numbers(self, loss):
        """Where formulas may switch: round numbers, and values of other inputs."""
        found = {Fraction(n, 2) for n in range(-4, 5)}
        found |= {x for array in self.environment.values() for x in array.flat}
        constants = [n.value for n in walk(loss.expression) if isinstance(n, Number)]
        found |= {sign * x for x in constants for sign in (1, -1)}
        return sorted(x for x in found if self.low < x < self.high)

    def closed_ends(self, loss):
        """The ends that belong to the domain, with the way to the inside."""
        values = domain_interval(loss.variable(self.name).domain)
        if self.balance:
            return []
        ends = (
            (values.lower, values.lower_open, 1),
            (values.upper, values.upper_open, -1),
        )
        return [
            (x, side)
            for x, is_open, side in ends
            if isinstance(x, Fraction) and not is_open
        ]

    def grid(self):
        return [
            self.low + (self.high - self.low) * (k + Fraction(17, 29)) / GRID
            for k in range(GRID)
        ]


def _line(loss, point, generator):
    item = generator.choice(loss.of_role(Role.Y_PRED))
    array = point[item.name]
    index = tuple(generator.randrange(n) for n in array.shape)
    if item.domain.along_last_axis:
        other = (index[0], (index[1] + 1) % array.shape[1])
        room = array[index] + array[other]
        return Line(point, item.name, index, Fraction(0), room, other)
    values = domain_interval(item.domain)
    low, high = _window(values)
    constants = [n.value for n in walk(loss.expression) if isinstance(n, Number)]
    far = max([abs(x) for x in constants], default=0)
    if far > high - low and generator.random() < 0.5:
        low = values.lower if isinstance(values.lower, Fraction) else -2 * far
        high = values.upper if isinstance(values.upper, Fraction) else 2 * far
    return Line(point, item.name, index, low, high)


class Evaluator:
    """Expressions at many environments at once."""

    def __init__(self, loss):
        self.loss = loss
        self._tied = is_tied(loss)

    def values(self, nodes, environments, digits=30):
        """For each environment, the array of each node."""
        if environments and not any(map(_reduces, nodes)):
            return self._by_element(nodes, environments, digits)
        if self._tied:
            return [self._apart(nodes, each, digits) for each in environments]
        found = []
        groups = {}
        for k, each in enumerate(environments):
            shapes = tuple(array.shape for array in each.values())
            groups.setdefault(shapes, []).append(k)
        found = [None] * len(environments)
        for members in groups.values():
            merged = {
                name: np.concatenate([environments[k][name] for k in members])
                for name in environments[members[0]]
            }
            arrays = self._apart(nodes, merged, digits)
            for row, k in enumerate(members):
                found[k] = [
                    a[row : row + 1] if a.ndim and len(a) > 1 else a for a in arrays
                ]
        return found

    def _by_element(self, nodes, environments, digits):
        """As above, without reductions: what elements have in common is computed once.

        Along a line, only one element changes.
        """
        rows = {}
        wanted = []
        for each in environments:
            arrays = np.broadcast_arrays(*each.values())
            elements = zip(*(array.flat for array in arrays), strict=True)
            picked = [rows.setdefault(inputs, len(rows)) for inputs in elements]
            wanted.append((arrays[0].shape, picked))
        columns = {}
        for name, column in zip(environments[0], zip(*rows, strict=True), strict=True):
            columns[name] = np.empty((len(rows), 1), dtype=object)
            columns[name][:, 0] = column
        flat = [
            np.broadcast_to(array, (len(rows), 1))[:, 0]
            for array in self._apart(nodes, columns, digits)
        ]
        return [
            [array[picked].reshape(shape) for array in flat] for shape, picked in wanted
        ]

    def totals(self, environments, digits=30):
        """The sum of the loss's elements; None where a number is too large."""
        found = self.values([self.loss.expression], environments, digits)
        with mp.workdps(digits):
            return [
                self._total(value, where)
                for (value,), where in zip(found, environments, strict=True)
            ]

    def _total(self, value, environment):
        for item in value.flat:
            if isinstance(item, Undefined):
                if item.overflow:
                    return None
                raise ContradictionError("undefined", str(item), shown(environment))
        return sum(value.flat, mpf(0))

    def _apart(self, nodes, environment, digits):
        with mp.workdps(digits):
            evaluation = Evaluation(environment)
            return [evaluation.value(node) for node in nodes]


# Where operations switch formulas -----------------------------------------------------


def switches(expr):
    """Expressions with a zero, or a tie along an axis, where a formula changes."""
    found = {}
    for node in walk(expr):
        if not isinstance(node, Apply):
            continue
        args = node.args
        if node.op in ("abs", "relu", "i0e", "norm"):
            found[args[0]] = None
        elif node.op == "clip":
            found[sub(args[0], args[1])] = found[sub(args[0], args[2])] = None
            found[sub(args[1], args[2])] = None
        elif node.op in ("max", "min"):
            found.update({sub(*pair): None for pair in combinations(args, 2)})
        elif node.op in ("amax", "amin"):
            found[args[0]] = node.axis
        elif FUNCTIONS[node.op].kind is Kind.COMPARISON:
            found[sub(*args)] = None
    return found


def switching(evaluator, lines):
    """Points on lines where a formula changes, to many digits."""
    guards = switches(evaluator.loss.expression)
    brackets = []
    for line in lines:
        grid = line.grid()
        rows = _gaps(evaluator, guards, [line.at(t) for t in grid], 20)
        for k in range(len(grid) - 1):
            for column in _sign_changes(rows[k], rows[k + 1]):
                ends = [mp.mpmathify(grid[k]), mp.mpmathify(grid[k + 1])]
                found = [rows[k][column], rows[k + 1][column]]
                brackets.append((line, column, ends, found))
    return _refined(evaluator, guards, brackets[: 2 * PLACES])


def _gaps(evaluator, guards, environments, digits):
    """For each environment, one list of numbers that change sign at a switch."""
    result = []
    for arrays in evaluator.values(list(guards), environments, digits):
        row = []
        for array, axis in zip(arrays, guards.values(), strict=True):
            if axis is None:
                row += array.flat
                continue
            array = np.atleast_2d(array)
            along = array if axis is Axis.BATCH else array.T
            for pair in combinations(along, 2):
                row += [_gap(a, b) for a, b in zip(*pair, strict=True)]
        result.append(row)
    return result


def _gap(a, b):
    return a if isinstance(a, Undefined) else b if isinstance(b, Undefined) else a - b


def _sign_changes(before, after):
    for column, (a, b) in enumerate(zip(before, after, strict=True)):
        if not isinstance(a, Undefined) and not isinstance(b, Undefined) and a * b < 0:
            yield column


def _refined(evaluator, guards, brackets):
    """The roots in brackets by the Illinois method."""
    with mp.workdps(60):
        for _ in range(REFINEMENTS):
            middles = [
                (a * fb - b * fa) / (fb - fa) for _, _, (a, b), (fa, fb) in brackets
            ]
            places = [
                line.at(t) for (line, *_), t in zip(brackets, middles, strict=True)
            ]
            kept = []
            rows = _gaps(evaluator, guards, places, 60)
            for (line, column, ends, found), t, row in zip(
                brackets, middles, rows, strict=True
            ):
                value = row[column]
                if isinstance(value, Undefined):
                    continue
                if value == 0:
                    kept.append((line, column, [t, t], [mpf(-1), mpf(1)]))
                elif value * found[1] < 0:
                    kept.append((line, column, [ends[1], t], [found[1], value]))
                else:
                    kept.append((line, column, [ends[0], t], [found[0] / 2, value]))
            brackets = kept
        return [
            (line, ends[1])
            for line, _, ends, found in brackets
            if abs(found[1]) < EXACT or abs(ends[0] - ends[1]) < EXACT
        ]


# Both sides ---------------------------------------------------------------------------


def inspect(evaluator, keys, certificate, places):
    """Compare both sides of points with what is said of them."""
    highest = HIGHEST[certificate.smoothness]
    steps = range(-highest - 1, highest + 2)
    with mp.workdps(DIGITS):
        stacked = [
            line.at(mp.mpmathify(t) + k * STEP) for line, t in places for k in steps
        ]
    totals = evaluator.totals(stacked, DIGITS)
    for count, (line, t) in enumerate(places):
        values = totals[count * len(steps) : (count + 1) * len(steps)]
        if any(value is None for value in values):
            continue
        before, there, after = (
            values[highest::-1],
            values[highest + 1],
            values[highest + 2 :],
        )
        place = (line.name, line.index, mp.nstr(t, 20), shown(line.environment))
        if _differ(before[0], after[0]) and not _closes(evaluator, line, t):
            raise ContradictionError("jump", *_short(before[0], after[0]), *place)
        if _differ(before[0], there) and not _closes(evaluator, line, t):
            raise ContradictionError("isolated", *_short(before[0], there), *place)
        with mp.workdps(DIGITS):
            sides = [_derivatives(before, -STEP), _derivatives(after, STEP)]
            rounding = (1 + max(map(abs, values))) * mpf(10) ** (4 - DIGITS)
        for order, (left, right) in enumerate(zip(*sides, strict=True), 1):
            if not _differ(left, right, NEAR + rounding / STEP**order):
                continue
            if order > 1 or certificate.smoothness is not Smoothness.CONTINUOUS:
                found = (f"break of order {order}", *_short(left, right), *place)
                raise ContradictionError(*found)
            _declared(evaluator, keys, certificate, line, t, left, right)
            break


def inspect_ends(evaluator, lines):
    """Compare the loss at the closed ends of a prediction with that just inside."""
    ends = [(line, *end) for line in lines for end in line.closed_ends(evaluator.loss)]
    with mp.workdps(DIGITS):
        stacked = [
            line.at(mp.mpmathify(end) + side * step)
            for line, end, side in ends
            for step in (0, STEP, STEP * CLOSER)
        ]
    totals = evaluator.totals(stacked, DIGITS)
    for count, (line, end, _) in enumerate(ends):
        there, far, near = totals[3 * count : 3 * count + 3]
        if None in (there, far, near) or not _differ(there, near):
            continue
        with mp.workdps(DIGITS):
            if abs(near - there) > abs(far - there) * CLOSER * 2:
                found = (line.name, line.index, str(end), shown(line.environment))
                raise ContradictionError("end", *_short(there, near), *found)


def _closes(evaluator, line, t):
    """Whether a gap is that of a steep slope: it shrinks with the step."""
    with mp.workdps(DIGITS):
        places = [
            line.at(mp.mpmathify(t) + side * step)
            for step in (STEP, STEP * CLOSER)
            for side in (-1, 0, 1)
        ]
    values = evaluator.totals(places, DIGITS)
    with mp.workdps(DIGITS):
        far, near = (
            max(abs(b - a) for a, b in pairwise(values[k : k + 3])) for k in (0, 3)
        )
        return near < far * CLOSER * 2


def _short(*values):
    return [mp.nstr(value, 8) for value in values]


def _differ(a, b, tolerance=NEAR):
    return abs(a - b) > tolerance * (1 + abs(a) + abs(b))


def _derivatives(values, step):
    """Derivatives of order 1, 2, … from values at one, two, … steps from a point."""
    found = []
    while len(values) > 1:
        values = [(b - a) / step for a, b in pairwise(values)]
        found.append(values[0])
    return found


def _declared(evaluator, keys, certificate, line, t, left, right):
    """A kink must be among those of the certificate, with its slopes."""
    environment = line.at(t)
    matching = [
        kink
        for kink in certificate.kinks
        if kink.order == ORDER_OF_KINKS
        and any(_is_at(evaluator, keys, kink.at, environment, k) for k in line.moving)
    ]
    place = (line.name, line.index, mp.nstr(t, 20), shown(line.environment))
    if not matching:
        known = [kink.at for kink in certificate.kinks]
        raise ContradictionError("undeclared", *_short(left, right), known, *place)
    if len(matching) > 1 or line.balance or _reduces(evaluator.loss.expression):
        return  # the slopes are those of rows of one length
    (kink,) = matching
    for side, value in (("left", left), ("right", right)):
        text = getattr(kink, side)
        said = _number(evaluator, keys, text, environment, line.index)
        if said is not None and _differ(said, value, SHOWN):
            raise ContradictionError(side, kink.at, text, *_short(value), *place)


def _is_at(evaluator, keys, at, environment, index):
    """Whether the equation that names a kink holds."""
    tie = re.fullmatch(r"two elements of (.+) tie", at)
    if tie:
        node = _parsed(keys, tie[1])
        gaps = _gaps(evaluator, {node.args[0]: node.axis}, [environment], DIGITS)[0]
        return any(abs(gap) < EXACT for gap in gaps)
    left, right = at.split(" = ")
    gap = _parsed(keys, f"({left}) - ({right})")
    if _reduces(gap):
        # An element moves those of others.
        ((values,),) = evaluator.values([gap], [environment], DIGITS)
        found = [item for item in values.flat if not isinstance(item, Undefined)]
        return any(abs(item) < EXACT for item in found)
    value = _element(evaluator, gap, environment, index)
    return value is not None and abs(value) < EXACT


def _reduces(expr):
    return any(isinstance(node, Apply) and node.axis is not None for node in walk(expr))


def _number(evaluator, keys, text, environment, index):
    if text is None or "…" in text:
        return None  # not found, or the data decides
    return _element(evaluator, _parsed(keys, text), environment, index)


def _element(evaluator, expr, environment, index):
    """The element that belongs to the one at an index of the prediction."""
    ((value,),) = evaluator.values([expr], [environment], 60)
    shape = (1,) * (2 - value.ndim) + value.shape
    value = value.reshape(shape)
    item = value[tuple(min(i, n - 1) for i, n in zip(index, value.shape, strict=True))]
    return None if isinstance(item, Undefined) else item


def _parsed(keys, text):
    """An expression in the names of a loss, the unused ones of which are no error."""
    predicted = keys["y_pred"]
    names = list(predicted["channels"]) if isinstance(predicted, dict) else ["y_pred"]
    every = [*names, *keys["params"]]
    if keys["y_true"] != "unused":
        every.append("y_true")
    loss = f"where({names[0]} < 0, {text}, {' + '.join(every)})"
    return write(**{**keys, "loss": loss, "where": {}}).expression.args[1]
