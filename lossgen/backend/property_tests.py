"""Which properties a generated test looks at, and with what.

Those that are proved, and those that the spec claims and nobody decided. A test that
needs more than the loss takes is left out: labels that the swapped or the mean ones
could not be, or parameters that differ from sample to sample.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lossgen.ir.domain import Domain
from lossgen.ir.expr import Apply, Axis, Role, walk
from lossgen.ir.loss import CheckedLoss, Loss, Property

_IDENTIFIER = re.compile(r"(?<![\w.])[A-Za-z_]\w*")

_IN_PYTHON = {
    **{name: name for name in ("abs", "max", "min")},
    **{name: f"np.{name}" for name in ("pi", "e", "exp", "expm1", "log", "log1p")},
    **{name: f"np.{name}" for name in ("sqrt", "square", "sin", "cos", "tanh")},
    **{name: f"np.{name}" for name in ("sinh", "cosh", "sign", "floor")},
    **{name: f"np.arc{name[1:]}" for name in ("acos", "atan", "asinh")},
}
"""How a test writes what a bound is made of."""


def property_tests(checked: CheckedLoss) -> dict[str, str]:
    """The properties to test, each with the source text that its test needs."""
    loss = checked.loss
    claims = {text.value for text in loss.spec.properties}
    found = {}
    for item in checked.certificate.properties:
        wanted = item.status == "proved" or (
            item.status == "unknown" and item.name in claims
        )
        if wanted and _TESTABLE[item.name](loss):
            found[item.name] = _needed(item, loss)
    return found


def is_unbounded(loss: Loss) -> bool:
    """Whether every component of y_pred may be any real number."""
    return all(
        item.domain.lower.value is None and item.domain.upper.value is None
        for item in loss.of_role(Role.Y_PRED)
    )


def _needed(item: Property, loss: Loss) -> str:
    if item.name == "bounded_gradient":
        meaning = {**_IN_PYTHON}
        meaning |= {v.name: f'parameters["{v.name}"]' for v in loss.parameters}
        bound = item.bound or ""
        if any(name not in meaning for name in _IDENTIFIER.findall(bound)):
            return ""
        return _IDENTIFIER.sub(lambda match: meaning[match[0]], bound)
    if item.name == "proper":
        (target,) = loss.of_role(Role.Y_TRUE)
        if target.domain.along_last_axis:
            return ""
        return "(-1.0, 1.0)" if -1 in target.domain.labels else "(0.0, 1.0)"
    return ""


def counterparts(loss: Loss) -> tuple[int, list[int]] | None:
    """How many channels y_true has, and which of them are those of y_pred, in order.

    None where y_true has the channels of y_pred and no others.
    """
    targets, predictions = (
        list(_channels(loss, role)) for role in (Role.Y_TRUE, Role.Y_PRED)
    )
    order = [targets.index(name) for name in predictions if name in targets]
    return None if targets == predictions else (len(targets), order)


def _channels(loss: Loss, role: Role) -> dict[str, Domain]:
    return {
        item.name.removeprefix(role.value): item.domain for item in loss.of_role(role)
    }


def _always(loss: Loss) -> bool:
    return True


def _is_dense(loss: Loss) -> bool:
    return not loss.spec.y_true.sparse


def _has_counterparts(loss: Loss) -> bool:
    """Whether y_true has what y_pred is to be, as channels of one length if others."""
    found = counterparts(loss)
    unsized = all(item.size is None for item in loss.of_role(Role.Y_TRUE))
    return _is_dense(loss) and _reaches_targets(loss) and (found is None or unsized)


def _reaches_targets(loss: Loss) -> bool:
    """Whether predictions may be what targets are, or come as close as one likes."""
    targets = _channels(loss, Role.Y_TRUE)
    return all(
        channel in targets and _spans(domain, targets[channel])
        for channel, domain in _channels(loss, Role.Y_PRED).items()
    )


def _spans(outer: Domain, inner: Domain) -> bool:
    within = (
        outer.lower.approx <= inner.lower.approx
        and inner.upper.approx <= outer.upper.approx
    )
    return within and (inner.along_last_axis or not outer.along_last_axis)


def _is_swappable(loss: Loss) -> bool:
    """Whether y_true and y_pred may change places."""
    targets, predictions = (
        [(item.domain.text, item.size) for item in loss.of_role(role)]
        for role in (Role.Y_TRUE, Role.Y_PRED)
    )
    alike = targets == predictions and counterparts(loss) is None
    return _is_dense(loss) and loss.mask is None and alike


def _is_averaged(loss: Loss) -> bool:
    """Whether all samples of a batch may count the same, with the same prediction."""
    axes = {node.axis for node in walk(loss.expression) if isinstance(node, Apply)}
    alike = all(item.shape != "elements" for item in loss.parameters)
    return alike and loss.mask is None and not axes & {Axis.BATCH, Axis.SPATIAL}


def _has_means(loss: Loss) -> bool:
    """Whether predictions may be the mean of all targets."""
    return _is_averaged(loss) and _reaches_targets(loss)


def _is_scalar(loss: Loss) -> bool:
    """Whether the loss can be taken of single elements, whatever the parameters."""
    return _is_averaged(loss) and all(
        item.shape == "scalar" or _has_classes(loss) for item in loss.parameters
    )


def _has_classes(loss: Loss) -> bool:
    return any(item.domain.along_last_axis for item in loss.of_role(Role.Y_TRUE))


_TESTABLE: dict[str, Callable[[Loss], bool]] = {
    "nonnegative": _always,
    "zero_at_target": _has_counterparts,
    "convex": _always,
    "symmetric": _is_swappable,
    "bounded_gradient": _always,
    "mean_consistent": _has_means,
    "proper": _is_scalar,
}
