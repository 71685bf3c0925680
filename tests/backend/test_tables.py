import ast
import random

import black
import numpy as np
import pytest
from black.mode import Mode, TargetVersion

from lossgen.backend.tables import REPEATED, Display, display, laid_out, source

MODE = Mode(target_versions={TargetVersion.PY310}, line_length=88)


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
    if isinstance(node, ast.BinOp):
        assert isinstance(node.op, ast.Mult)
        return value(node.left) * value(node.right)
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


def test_infinities_of_a_row_are_counted():
    infinity = float("inf")
    assert source((infinity,) * 3) == '[float("inf")] * 3'
    assert source(((infinity,) * 3, (1.0,))) == '[[float("inf")] * 3, [1.0]]'
    np.testing.assert_array_equal(read(source((infinity,) * 40)), [infinity] * 40)
    assert source((infinity,)) == '[float("inf")]'
    assert source((infinity, infinity, 1.0)) == '[float("inf"), float("inf"), 1.0]'


def test_numbers_are_written_as_black_writes_them():
    for value in (1e30, -1e30, 1e-30, 2.5e17, float("inf")):
        text = f"{source(value)}\n"
        assert black.format_str(text, mode=MODE) == text


def nested(generator, depth):
    """Lists of lists of numbers, some short, some long, some empty."""
    if not depth or generator.random() < 0.2:
        size = 10.0 ** generator.randrange(-40, 40)
        return generator.choice([1.0, size * generator.random(), float("nan"), -0.5])
    lengths = (0, 1, 1, 2, 3, 5, 8, 20)
    return tuple(nested(generator, depth - 1) for _ in range(generator.choice(lengths)))


@pytest.mark.parametrize("seed", range(60))
def test_entries_are_laid_out_as_black_lays_them_out(seed):
    generator = random.Random(seed)
    items = [
        display(nested(generator, k % 3)) for k in range(generator.randrange(2, 7))
    ]
    keys = [f'"{generator.choice("ab") * 9**k}": ' for k in range(seed % 3)]
    mapping = Display("{}", tuple(display(nested(generator, 1), key) for key in keys))
    row = Display("()", (mapping, *items, "3"))
    rows = Display("[]", (row,) * generator.randrange(1, 3), exploded=True)
    for entry in (row, Display("()", (mapping, rows))):
        text = laid_out(entry)
        assert text is not None
        on_one_line = f"x = [\n    {entry},\n]\n"
        assert black.format_str(on_one_line, mode=MODE) == f"x = [\n    {text},\n]\n"


def test_calls_too_long_for_a_line_are_left_to_black():
    pattern = tuple(k / 7 for k in range(8))
    row = Display("()", (display(tuple(np.resize(pattern, 64))), "1.0"))
    assert REPEATED in str(row)
    assert laid_out(row) is None
