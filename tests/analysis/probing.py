"""Attempts to contradict a property at random points, in floating point.

Nothing of the proofs is used: values only, and differences for derivatives.
"""

import ast
import operator
import random
from fractions import Fraction

import numpy as np
from mpmath import mp, mpf

from lossgen.analysis.samples import distant, generic, typical_length
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.expr import Role

DIGITS = 40
NEAR = mpf(10) ** -14
STEP = mpf(10) ** -15
ROWS = 24


def contradiction(loss, item):
    """Where a property fails, or None."""
    return PROBES[item.name](loss, item)


def samples(loss):
    last = typical_length(loss)
    for salt in (900, 901, 902):
        yield generic(loss, last=last, rows=ROWS, salt=salt)
    yield distant(loss, last=last, rows=ROWS)


def values(loss, environment):
    try:
        found = evaluate(loss.expression, environment, digits=DIGITS)
    except Undefined:
        return None
    rows = max(array.shape[0] for array in environment.values() if array.ndim)
    return np.broadcast_to(found, (rows, *found.shape[1:]))


def predictions(loss):
    return [item.name for item in loss.of_role(Role.Y_PRED)]


def nonnegative(loss, item):
    for sample in samples(loss):
        found = values(loss, sample.environment)
        if found is not None and min(found.flat) < -NEAR:
            return sample.environment
    return None


def on_target(loss, item):
    for sample in samples(loss):
        moved = dict(sample.environment)
        for name in predictions(loss):
            moved[name] = moved[name.replace("y_pred", "y_true", 1)]
        found = values(loss, moved)
        if found is not None and max(abs(v) for v in found.flat) > NEAR:
            return moved
    return None


def convex(loss, item):
    for sample in samples(loss):
        ends = [dict(sample.environment), dict(sample.environment)]
        middle = dict(sample.environment)
        for name in predictions(loss):
            array = sample.environment[name]
            ends[1][name] = np.roll(array, 1, axis=0)
            middle[name] = (array + ends[1][name]) / 2
        found = [values(loss, each) for each in (*ends, middle)]
        if any(each is None for each in found):
            continue
        for a, b, between in zip(*(each.flat for each in found), strict=True):
            if between > (a + b) / 2 + NEAR * (1 + abs(a) + abs(b)):
                return middle
    return None


def symmetric(loss, item):
    for sample in samples(loss):
        swapped = dict(sample.environment)
        for name in predictions(loss):
            twin = name.replace("y_pred", "y_true", 1)
            swapped[name], swapped[twin] = swapped[twin], swapped[name]
        found = [values(loss, each) for each in (sample.environment, swapped)]
        if any(each is None for each in found):
            continue
        for a, b in zip(*(each.flat for each in found), strict=True):
            if abs(a - b) > NEAR * (1 + abs(a)):
                return swapped
    return None


def bounded(loss, item):
    for sample in samples(loss):
        bounds = bound_of(item.bound, sample)
        for name in predictions(loss):
            moved = sample.environment[name].copy()
            with mp.workdps(DIGITS):
                for row in moved:
                    row.flat[0] = mp.mpmathify(row.flat[0]) + STEP
                found = [
                    values(loss, {**sample.environment, name: array})
                    for array in (sample.environment[name], moved)
                ]
                if any(each is None for each in found):
                    continue
                for row, bound in enumerate(bounds):
                    rises = found[1][row] - found[0][row]
                    rise = sum(rises.flat)
                    if np.count_nonzero(rises) > 1:
                        # Elements act on one another: their mean is the loss.
                        rise /= rises.shape[-1]
                    if abs(rise / STEP) > bound * (1 + NEAR) + mpf(10) ** -9:
                        return row, sample.environment
    return None


def bound_of(formula, sample):
    parameters = {
        name: array.reshape(sample.rows, -1)[:, 0]
        for name, array in sample.environment.items()
        if array.shape == (sample.rows, *(1,) * (array.ndim - 1))
    }
    tree = ast.parse(formula, mode="eval").body
    return [
        number_of(
            tree, {name: mp.mpmathify(array[row]) for name, array in parameters.items()}
        )
        for row in range(sample.rows)
    ]


def number_of(node, names):
    """The value of a formula that was parsed as Python, which it is written in."""
    match node:
        case ast.Constant(value=value):
            return mpf(str(value))
        case ast.Name(id=name):
            return names[name]
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](number_of(left, names), number_of(right, names))
        case ast.Call(func=ast.Name(id="max"), args=args):
            return max(number_of(arg, names) for arg in args)
    raise AssertionError(ast.dump(node))


OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def centred(loss, item, labels=None):
    """Whether another prediction is better than the mean for some law of y_true."""
    generator = random.Random(7)
    (target,) = (each.name for each in loss.of_role(Role.Y_TRUE))
    (predicted,) = predictions(loss)
    classes = loss.variable(target).domain.along_last_axis
    for salt in range(6):
        sample = generic(loss, last=3 if classes else 1, rows=ROWS, salt=300 + salt)
        environment = same_parameters(loss, sample)
        data = sample.environment[target]
        draw = [generator.randint(1, 9) for _ in range(5)]
        weights = [Fraction(item, sum(draw)) for item in draw]
        if labels:
            chosen = [
                np.full(data.shape[1:], Fraction(labels[k % 2]), object)
                for k in range(5)
            ]
        else:
            chosen = [data[row] for row in range(5)]
        mean = sum(w * c for w, c in zip(weights, chosen, strict=True))
        if labels and not classes:
            mean = (mean - labels[0]) / (labels[1] - labels[0])
        rivals = sample.environment[predicted].copy()
        domain = loss.variable(predicted).domain
        if not all(domain.contains(float(part)) for part in mean.flat):
            continue
        rivals[0] = mean
        for row in range(1, ROWS, 2):
            rivals[row] = mean + (rivals[row] - mean) / 50
        total = 0
        for weight, label in zip(weights, chosen, strict=True):
            targets = np.broadcast_to(label, data.shape)
            found = values(loss, {**environment, target: targets, predicted: rivals})
            share = mpf(weight.numerator) / weight.denominator
            total = total + share * np.array([sum(row.flat) for row in found])
        if min(total) < total[0] - NEAR * (1 + abs(total[0])):
            return total
    return None


def same_parameters(loss, sample):
    environment = dict(sample.environment)
    for each in loss.parameters:
        array = environment[each.name]
        environment[each.name] = np.broadcast_to(array[:1], array.shape)
    return environment


def proper(loss, item):
    (target,) = loss.of_role(Role.Y_TRUE)
    if target.domain.along_last_axis:
        return centred(loss, item)
    return centred(loss, item, (-1, 1) if -1 in target.domain.labels else (0, 1))


PROBES = {
    "nonnegative": nonnegative,
    "zero_at_target": on_target,
    "convex": convex,
    "symmetric": symmetric,
    "bounded_gradient": bounded,
    "mean_consistent": centred,
    "proper": proper,
}
