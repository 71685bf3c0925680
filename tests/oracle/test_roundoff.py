"""Roundings at random: how large they are, and which operations have none."""

from __future__ import annotations

import math

import pytest
from mpmath import mpf

from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import Apply, Axis, Role, Symbol
from lossgen.oracle.roundoff import Roundoff


def test_a_result_moves_by_less_than_a_unit_in_the_last_place():
    run = Roundoff(1)
    moved = [run("mul", mpf(3)) for _ in range(100)]
    assert max(abs(item - 3) for item in moved) < 3 * 2.0**-23
    assert len(set(moved)) > 90


@pytest.mark.parametrize("op", ["neg", "max", "where", "stop_gradient"])
def test_what_is_exact_stays(op):
    assert Roundoff(1)(op, mpf(3)) == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_below_the_normal_range_every_other_run_gives_0(seed):
    run = Roundoff(seed)
    for sign in (-1, 1):
        assert (run("mul", sign * mpf(2) ** -127) == 0) is (seed == 0)
        assert run("mul", sign * mpf(2) ** -125) != 0


@pytest.mark.parametrize("seed", [0, 1])
def test_above_the_largest_number_every_other_run_is_infinite(seed):
    run = Roundoff(seed)
    for sign in (-1, 1):
        found = run("mul", sign * mpf(2) ** 129)
        assert (found == sign * mpf("inf")) is (seed == 0)
        assert abs(run("mul", sign * mpf(2) ** 127)) < mpf("inf")


@pytest.mark.parametrize("op", ["logsumexp", "logcumsumexp"])
def test_the_largest_term_and_the_logarithm_of_a_sum_may_cancel(op):
    # log(1/2) + log(2), each of which has been rounded.
    x = Symbol("x", Role.Y_PRED)
    half = [[-math.log(2), -math.log(2)]]
    off = [
        float(evaluate(Apply(op, (x,), Axis.LAST), {"x": half}, rounding=run).flat[-1])
        for run in map(Roundoff, range(20))
    ]
    assert max(map(abs, off)) < 2.0**-23 * (1 + math.log(2))
    assert max(map(abs, off)) > 2.0**-25
