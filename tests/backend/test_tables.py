import ast

import numpy as np
import pytest

from lossgen.backend.tables import REPEATED, source


def read(text):
    return value(ast.parse(text, mode="eval").body)


def value(node):
    """What a number, a list or a call of a table stands for."""
    if isinstance(node, ast.List):
        return [item for part in node.elts for item in parts(part)]
    if isinstance(node, ast.Call) and node.func.id == REPEATED:
        pattern, length = map(value, node.args)
        return [pattern[k % len(pattern)] for k in range(length)]
    if isinstance(node, ast.Call) and node.func.id == "float":
        return float(value(node.args[0]))
    return ast.literal_eval(node)


def parts(node):
    return value(node.value) if isinstance(node, ast.Starred) else [value(node)]


ROWS = [
    (1.0, 2.5, -3.0),
    (),
    (0.0,) * 500,
    (0.0,) * 17 + (1.0,) + (0.0,) * 482,
    tuple(np.resize([1.5, 2.0, -1.0, 4.0, 0.1, 7.0, 8.0], 100)),
    (*np.resize([1.5, 2.0, -1.0], 64), *np.resize([0.5, 0.25], 64)),
    tuple(float(k * k) for k in range(40)),
    tuple(float(k // 9) for k in range(40)),
    ((0.0,) * 30, (1.0, 2.0)),
]


def listed(row):
    return [listed(item) if isinstance(item, tuple) else float(item) for item in row]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_what_is_written_reads_as_the_row(row):
    assert read(source(row)) == listed(row)


def test_long_rows_are_short_texts():
    assert source((0.0,) * 500) == "repeated([0.0], 500)"
    two = (*np.resize([1.5, 2.0, -1.0], 64), *np.resize([0.5, 0.25], 64))
    assert source(two) == (
        "[*repeated([1.5, 2.0, -1.0], 64), *repeated([0.5, 0.25], 64)]"
    )


def test_rows_of_up_to_16_are_listed():
    assert REPEATED not in source((1.0,) * 16)


def test_numbers_without_a_literal():
    values = (float("nan"), float("inf"), float("-inf"), 0.1, 3.0, 1e30)
    np.testing.assert_array_equal(read(source(values)), values)
