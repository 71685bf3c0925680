"""Every identity of the search is an equality."""

import random

import pytest
from mpmath import mp, mpf

from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import Undefined, evaluate
from lossgen.ir.expr import symbols
from lossgen.transform.identities import IDENTITIES, rewritings

ROWS = {f"{spell(row.left)} = {spell(row.right)}": row for row in IDENTITIES}


def value(expr, inputs):
    try:
        return mpf(evaluate(expr, inputs, digits=60).item())
    except Undefined:
        return mp.nan


def drawn(symbol, row, generator):
    spread = generator.choice([1, 8])
    if symbol in row.positive:
        return mpf(generator.expovariate(1 / spread))
    return mpf(generator.gauss(0, spread))


def test_no_row_is_there_twice():
    assert len(ROWS) == len(IDENTITIES)


@pytest.mark.parametrize("name", ROWS)
def test_both_sides_are_equal(name):
    row = ROWS[name]
    generator = random.Random(name)
    compared = 0
    with mp.workdps(60):
        for _ in range(150):
            inputs = {s.name: drawn(s, row, generator) for s in symbols(row.left)}
            left, right = value(row.left, inputs), value(row.right, inputs)
            if mp.isfinite(left) and mp.isfinite(right):
                compared += 1
                assert abs(left - right) <= mpf(10) ** -40 * (1 + abs(left)), inputs
    assert compared >= 30


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_found(name):
    """The left side, with names for its variables and more terms, is rewritten."""
    row = ROWS[name]
    assert set(symbols(row.right)) <= set(symbols(row.left))
    assert row in [identity for identity, _ in rewritings(row.left)]
