import pytest

from lossgen.backend.formatting import format_source


def test_black_style():
    assert format_source("x = {'a':1}\n\n\n\ny=x") == 'x = {"a": 1}\n\n\ny = x\n'


def test_lines_are_at_most_88_long():
    source = f"x = f({', '.join(f'argument_{i}' for i in range(20))})\n"
    lines = format_source(source).splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 88


def test_formatting_is_stable():
    once = format_source("def f(a,b): return a+b")
    assert format_source(once) == once


@pytest.mark.parametrize(
    "source", ["x = (", "def f(:\n  pass", "return\x00", "x = = 1"]
)
def test_what_does_not_parse_is_a_fault(source):
    with pytest.raises(ValueError, match="not valid"):
        format_source(source)
