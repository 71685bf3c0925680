"""Roundings at random: how large they are, and which operations have none."""

from __future__ import annotations

import pytest
from mpmath import mpf

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
