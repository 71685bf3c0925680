import ast
import string

import pytest
from losses import ROOT

from lossgen.backend import emit_module
from lossgen.backend.ops import CALLS, INFIX, SEVERAL_AXES, unprintable
from lossgen.ir.functions import FUNCTIONS, LOWERED

PATTERNS = [*CALLS.items(), *SEVERAL_AXES.items()]


def test_every_operation_can_be_printed():
    assert unprintable() == set()


def test_no_row_is_left_over():
    assert {*CALLS, *INFIX, *SEVERAL_AXES} <= {*FUNCTIONS, *LOWERED}
    assert not set(CALLS) & set(INFIX)


@pytest.mark.parametrize(("op", "pattern"), PATTERNS)
def test_patterns_take_as_many_arguments_as_the_operation(op, pattern):
    fields = {name for _, name, _, _ in string.Formatter().parse(pattern) if name}
    if op in FUNCTIONS:
        # Maxima and minima of more than two are nested.
        count = FUNCTIONS[op].min_args
        assert fields - {"axis"} == {str(index) for index in range(count)}
        assert FUNCTIONS[op].takes_axis == ("axis" in fields)
    source = pattern.format("x", "y", "z", axis="axis=-1", dtype="x.dtype", pairs="y")
    ast.parse(source, mode="eval")


def test_helpers_have_templates():
    used = {p.partition("(")[0] for _, p in PATTERNS if p.startswith("_")}
    helpers = {name.removeprefix("helpers/") for name in emit_module.HELPER_TEMPLATES}
    assert {f"{name}.py.jinja" for name in used} <= helpers
    files = {path.name for path in (ROOT / "templates" / "helpers").iterdir()}
    assert helpers == files


@pytest.mark.parametrize("op", INFIX)
def test_operators_bind_as_in_python(op):
    """The level of an operator agrees with how Python groups it with another."""
    sign, level = INFIX[op]
    for other, (other_sign, other_level) in INFIX.items():
        if "neg" in (op, other) or level == other_level:
            continue
        tree = ast.parse(f"a{sign}b{other_sign}c", mode="eval").body
        if isinstance(tree, ast.Compare):
            operand = tree.comparators[0] if level < other_level else tree.left
        else:
            operand = tree.right if level < other_level else tree.left
        assert len(ast.unparse(operand).split(" ")) > 1 or "**" in ast.unparse(operand)


@pytest.mark.parametrize("helper", sorted((ROOT / "templates/helpers").iterdir()))
def test_lines_of_helpers_fit(helper):
    """Black leaves docstrings as they are; lines that Jinja fills in are its own."""
    lines = helper.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if len(line) > 88 and "{{" not in line]
