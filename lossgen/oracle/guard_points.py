"""How close to an open end the emitted form may be evaluated.

A guard point is the closest to its end at which value and slope of the form are finite
in float32, with each other input at most 1e4 in size, parameters at their defaults, and
one end at a time. Near a removable singularity, where they are finite and wrong, it is
the closest at which they keep their digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import product

import numpy as np

from lossgen.analysis.spelling import spell_symbol
from lossgen.calculus.arrays import Array
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.expr import Apply, Expr, Number, Role, add, symbols, walk
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import Guard
from lossgen.oracle.ends import in_float32
from lossgen.oracle.evaluation import Formula, environment, floats, kept_by
from lossgen.oracle.float_formats import FLOAT32
from lossgen.oracle.points import middle
from lossgen.oracle.roundoff import Roundoff
from lossgen.oracle.samples import Batch, axes_of, rounded, sample

LARGEST = 1e4
"""How large other inputs are."""

ORDER = 3.0
"""The order of a pole that data or a prediction gives."""

_ROOM = 2.0**11
"""Gradients by weights, and means, add up the samples of a batch."""

_DIGITS = 30
_MANY_DIGITS = 60
_CLOSEST = -18
_COMBINATIONS = 32
_POLE = 1e4
_KEPT = 2.0**-10  # of the slope, where it is bounded and loses digits


def settled_guards(
    loss: Loss, form: Expr, guards: tuple[Guard, ...], report: Report
) -> tuple[Guard, ...]:
    """Move guard points inward until value and slope of a form are finite there.

    Args:
        loss: The author's formula.
        form: What is computed for it.
        guards: The points as close to the ends as may be.
        report: Takes a warning where no point is far enough for all orders of a pole.
    """
    if loss.spec.epsilon is not None:
        _check_epsilon(loss, guards, report)
        return guards
    return tuple(_settled(loss, form, guard, report) for guard in guards)


def _check_epsilon(loss: Loss, guards: tuple[Guard, ...], report: Report) -> None:
    spec = loss.spec
    if not guards and spec.epsilon_span is not None:
        report.add(
            "LG613",
            "`epsilon` guards nothing",
            spec.epsilon_span,
            notes=(
                "at no open end of the domain of y_pred does the formula, or its "
                "derivative, need a guard",
            ),
            help="leave `epsilon` out",
        )
    for guard in guards:
        domain = loss.variable(guard.prediction.name).domain
        ends = ((guard.low, domain.lower, 1), (guard.high, domain.upper, -1))
        for point, bound, inward in ends:
            if point is not None and bound.value is not None:
                _check_distance(loss, in_float32(point), bound, inward, report)


def _check_distance(
    loss: Loss, point: float, bound: Bound, inward: int, report: Report
) -> None:
    """Whether a point that ``epsilon`` asks for is another number than the end."""
    inside = inward * (point - bound.approx) > 0 and abs(point) >= FLOAT32.tiny
    if inside:
        return
    end = np.float32(bound.approx)
    neighbour = np.nextafter(end, np.float32(inward * np.inf))
    unit = max(abs(float(neighbour - end)), FLOAT32.tiny)
    least = float(f"{2 * unit:.0e}")
    report.add(
        "LG612",
        f"in float32 {bound.approx:g} {'+' if inward > 0 else '-'} "
        f"{loss.spec.epsilon:g} is {bound.approx:g} itself",
        loss.spec.epsilon_span or loss.spec.name.span(),
        notes=(
            f"the nearest number inside is {unit:.1e} away, so that this `epsilon` "
            "keeps no prediction from the end",
        ),
        help=f"write at least `epsilon: {least:.1e}`, or leave `epsilon` out: the "
        "guard point is then as close to each end as value and gradient allow",
    )


def _settled(loss: Loss, form: Expr, guard: Guard, report: Report) -> Guard:
    variable = loss.variable(guard.prediction.name)
    low, high = guard.low, guard.high
    if low is not None and low != variable.domain.lower.value:
        end = _End(loss, form, variable, variable.domain.lower, 1, low)
        low = end.point(report)
    if high is not None and high != variable.domain.upper.value:
        end = _End(loss, form, variable, variable.domain.upper, -1, high)
        high = end.point(report)
    return replace(guard, low=low, high=high)


@dataclass(frozen=True)
class _End:
    """An open end of a prediction, and the closest that a guard point may be to it."""

    loss: Loss
    form: Expr
    variable: Variable
    bound: Bound
    inward: int
    closest: Expr

    def point(self, report: Report) -> Expr:
        """The guard point."""
        found = self._point()
        for name, order in self._orders.items():
            if not self._holds_beyond(name, order, in_float32(found)):
                _warn(self, name, order, found, report)
        return found

    def _point(self) -> Expr:
        points = [self.closest, *self._further]
        for serves in (self._is_right, self._is_finite):
            if serves(in_float32(points[0])):
                return points[0]
            low, high = 0, len(points) - 1
            while high - low > 1:
                between = (low + high) // 2
                if serves(in_float32(points[between])):
                    high = between
                else:
                    low = between
            if serves(in_float32(points[high])):
                return points[high]
        return points[-1]

    @property
    def _further(self) -> Iterator[Expr]:
        """Points of two digits, from the closest on, to the middle of the domain."""
        assert self.bound.value is not None
        home = abs(middle(self.variable.domain) - self.bound.approx)
        nearest = 1.01 * abs(in_float32(self.closest) - self.bound.approx)
        for exponent in range(_CLOSEST, 1):
            for digits in range(10, 100):
                distance = digits * Fraction(10) ** (exponent - 1)
                if nearest < distance < home / 2:
                    yield add(self.bound.value, Number(self.inward * distance))

    # Whether a point serves ---------------------------------------------------------

    def _is_right(self, point: float) -> bool:
        return self._is_finite(point) and self._keeps_digits(point)

    def _is_finite(self, point: float) -> bool:
        return all(
            (self._finite(batch) | ~_allowed(self.loss, batch)).all()
            for batch in (probe.at(point) for probe in self._probes)
        )

    @cached_property
    def _probes(self) -> list[_Probe]:
        """The samples at which value and slope are finite away from the end."""
        found = []
        for probe in self._drawn({}):
            home = probe.at(middle(self.variable.domain))
            finite = self._finite(home) & _allowed(self.loss, home)
            if finite.any():
                found.append(probe if finite.all() else probe.only(finite))
        return found

    def _drawn(self, orders: Mapping[str, float]) -> list[_Probe]:
        given = {**self._orders, **orders}
        return list(_probes(self.loss, self.variable, given, moderate=bool(orders)))

    def _finite(self, batch: Batch) -> Array:
        form = Formula(self.loss, self.form)
        return form.stays_finite(batch, _DIGITS, FLOAT32, float(FLOAT32.huge) / _ROOM)

    def _keeps_digits(self, point: float) -> bool:
        """Whether a slope that is bounded is right, with all else of moderate size."""
        home = middle(self.variable.domain)
        return all(
            self._is_close(probe.at(point), probe.at(home), self._near(probe))
            for probe in _probes(self.loss, self.variable, self._orders, moderate=True)
        )

    def _near(self, probe: _Probe) -> Batch:
        return probe.at(in_float32(self.closest))

    def _is_close(self, batch: Batch, home: Batch, nearest: Batch) -> bool:
        formula, form = (
            Formula(self.loss, item) for item in (self.loss.expression, self.form)
        )
        try:
            usual, most, exact = (
                floats(formula.evaluated(item, _MANY_DIGITS)[1])
                for item in (home, nearest, batch)
            )
            # Roundings that happen to cancel would hide that they need not.
            noise = Roundoff(1)
            found = floats(form.evaluated(batch, _MANY_DIGITS, rounding=noise)[1])
        except Undefined:
            return True
        size = np.abs(usual).max(initial=0.0)
        if np.abs(most).max(initial=0.0) > _POLE * (1 + size):
            return True
        allowed = _KEPT * (size + np.abs(exact).max(initial=0.0))
        return bool((np.abs(found - exact) <= allowed + FLOAT32.tiny).all())

    # The order of a pole ------------------------------------------------------------

    @cached_property
    def _orders(self) -> dict[str, float]:
        """What is not bounded in the exponents of what approaches the end."""
        found: dict[str, float] = {}
        for node in walk(self.loss.expression):
            if not isinstance(node, Apply) or node.op != "pow":
                continue
            base, exponent = node.args
            if self.variable.symbol in symbols(base):
                names = [s.name for s in symbols(exponent) if s.role is not Role.SIZE]
                found |= {n: order for n in names if (order := self._order(n))}
        return found

    def _order(self, name: str) -> float | None:
        variable = self.loss.variable(name)
        domain = variable.domain
        bounded = np.isfinite([domain.lower.approx, domain.upper.approx]).all()
        if name == self.variable.name or (bounded and domain.kind is not _COUNT):
            return None
        if isinstance(variable.default, (int, float)):
            return float(variable.default)
        return ORDER if domain.contains(ORDER) else middle(domain)

    def _holds_beyond(self, name: str, order: float, point: float) -> bool:
        """Whether the point is far enough for larger orders, too."""
        domain = self.loss.variable(name).domain
        home = middle(self.variable.domain)
        for larger in (2 * order, 10 * order, -2 * order, -10 * order):
            if not domain.contains(larger):
                continue
            for probe in self._drawn({name: larger}):
                finite = self._finite(probe.at(home))
                if not (self._finite(probe.at(point)) | ~finite).all():
                    return False
        return True


_COUNT = DomainKind.COUNT


def _warn(end: _End, name: str, order: float, point: Expr, report: Report) -> None:
    loss, variable = end.loss, end.variable
    near, order_name = spell_symbol(variable.name), spell_symbol(name)
    at = f"{near} = {in_float32(point):.3g}"
    report.add(
        "LG611",
        f"how steep the loss is near {near} = {end.bound.approx:g} depends on "
        f"{order_name}, which has no bound",
        loss.spec.loss.span(),
        notes=(
            f"at the guard point, {at}, value and gradient are finite in float32 up to "
            f"{order_name} = {order:g}; for larger ones they may be infinite",
        ),
        help=f"bound the domain of {order_name}, or set a guard point further inside, "
        "such as `epsilon: 1.0e-3`",
    )


# Samples ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Probe:
    """A batch, some elements of which are to be moved to a point."""

    batch: Batch
    variable: Variable
    moving: Array

    def at(self, point: float) -> Batch:
        """The batch with these elements at a point, rounded to float32."""
        name, domain = self.variable.name, self.variable.domain
        array = self.batch.inputs[name]
        rest = array
        if domain.kind is DomainKind.SIMPLEX:
            others = (~self.moving).sum(axis=-1, keepdims=True)
            rest = np.where(others > 0, (1 - point) / np.maximum(others, 1), array)
        moved = np.where(self.moving, point, rest)
        moved = np.vectorize(rounded, otypes=[float])(moved)
        return replace(self.batch, inputs={**self.batch.inputs, name: moved})

    def only(self, keep: Array) -> _Probe:
        """The samples for which ``keep`` is true."""
        return replace(self, batch=self.batch.only(keep), moving=self.moving[keep])


def _probes(
    loss: Loss, variable: Variable, orders: Mapping[str, float], *, moderate: bool
) -> Iterator[_Probe]:
    """All elements at the point, or the first alone, for each size of the others."""
    others = [
        item
        for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)
        if item.name != variable.name
    ]
    few = [
        [orders[item.name]] if item.name in orders else _values(item.domain, moderate)
        for item in others
    ]
    combinations = list(product(*few))
    if len(combinations) > _COMBINATIONS:
        corners = [sorted({values[0], values[-1]}) for values in few]
        combinations = list(product(*corners))[:_COMBINATIONS]
    tied = any(axis.value == "batch" for axis in axes_of(loss))
    rows = 3 if tied else len(combinations)
    groups = [(c,) for c in combinations] if tied else [tuple(combinations)]
    for group in groups:
        drawn = sample(loss, rows, 1, defaults=True)
        inputs = dict(drawn.inputs)
        for k, item in enumerate(others):
            values = np.array([combination[k] for combination in group])
            inputs[item.name] = _filled(item.domain, inputs[item.name], values)
        array = inputs[variable.name]
        inputs[variable.name] = np.full(array.shape, middle(variable.domain))
        parameters = {
            name: np.full(value.shape, orders[name]) if name in orders else value
            for name, value in drawn.parameters.items()
        }
        batch = Batch(inputs, parameters)
        if loss.mask is not None:
            batch = replace(batch, mask=kept_by(loss.mask, batch))
        for moving in _patterns(array.shape, tied):
            yield _Probe(batch, variable, moving)


def _allowed(loss: Loss, batch: Batch) -> Array:
    """The samples that satisfy the assumptions."""
    found: Array = np.ones(batch.rows, dtype=bool)
    for condition in loss.assume:
        held = np.asarray(evaluate(condition, environment(batch)), dtype=bool)
        by_row = held.reshape(batch.rows, -1) if batch.by_sample(held) else held
        found &= by_row.all(axis=-1)
    return found


def _patterns(shape: tuple[int, ...], tied: bool) -> Iterator[Array]:
    """All elements, and the first of each sample, or of the batch."""
    every: Array = np.ones(shape, dtype=bool)
    yield every
    if tied or int(np.prod(shape[1:])) > 1:
        first = np.zeros(shape, dtype=bool)
        first.reshape(shape[0], -1)[: 1 if tied else None, 0] = True
        yield first


def _values(domain: Domain, moderate: bool) -> list[float]:
    """A value of moderate size, or the largest ones as well."""
    if domain.labels:
        ends = sorted({float(domain.labels[0]), float(domain.labels[-1])})
        return ends[-1:] if moderate else ends
    usual = middle(domain)
    if moderate or domain.along_last_axis:
        return [usual]
    found = {usual}
    for bound, far in ((domain.lower, -LARGEST), (domain.upper, LARGEST)):
        if bound.value is None:
            found.add(far)
        elif not bound.open:
            found.add(rounded(bound.approx))
    return sorted(found)


def _filled(domain: Domain, array: Array, values: Array) -> Array:
    """An array with a value in each sample; of what sums to 1, the first class."""
    if domain.along_last_axis:
        vertex: Array = np.zeros(array.shape)
        vertex[..., 0] = 1
        return (
            vertex
            if domain.kind is DomainKind.ONE_HOT
            else (vertex + 1) / (1 + array.shape[-1])
        )
    shape = (len(values), *(1,) * (array.ndim - 1))
    return np.array(np.broadcast_to(values.reshape(shape), array.shape))
