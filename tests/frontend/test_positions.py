import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.positions import locate, verbatim
from lossgen.ir.spec import Text


def located(text: str, nth: int = -1) -> Text:
    """The last scalar value of a mapping, or the nth."""
    root = YAML(typ="safe", pure=True).compose(text)
    node = root.value[nth][1]
    assert isinstance(node, ScalarNode)
    source = SourceFile("spec.yaml", text)
    return locate(source, node.start_mark.index, node.style, node.value)


@pytest.mark.parametrize(
    ("text", "value", "offsets"),
    [
        ("a: x + y\n", "x + y", (3, 4, 5, 6, 7, 8)),
        # A fold stands at its line break.
        ("a: x\n  y\n", "x y", (3, 4, 7, 8)),
        ("a: x\n\n  y\n", "x\ny", (3, 5, 8, 9)),
        ("a: 'it''s'\n", "it's", (4, 5, 6, 8, 9)),
        ('a: "b\\tc\\x41d"\n', "b\tcAd", (4, 5, 7, 8, 12, 13)),
        # An escaped line break leaves nothing behind.
        ('a: "b \\\n   c"\n', "b c", (4, 5, 11, 12)),
        ("a: |\n  x\n   y\n", "x\n y\n", (7, 8, 11, 12, 13, 14)),
        ("a: |-\n  x\n  y\n", "x\ny", (8, 9, 12, 13)),
        ("a: |2\n    x\n", "  x\n", (8, 9, 10, 11, 12)),
        ("a: >\n  x\n  y\n", "x y\n", (7, 8, 11, 12, 13)),
        ("a: >\n  x\n\n  y\n", "x\ny\n", (7, 9, 12, 13, 14)),
        # Lines that are indented further are not folded.
        ("a: >\n  x\n   y\n  z\n", "x\n y\nz\n", (7, 8, 11, 12, 13, 16, 17, 18)),
        ("a: x\r\n  y\r\n", "x y", (3, 4, 8, 9)),
        ("a: |\r\n  x\r\n  y\r\n", "x\ny\n", (8, 9, 13, 14, 16)),
        ("a: &anchor x\n", "x", (11, 12)),
        ("a: !!str 5\n", "5", (9, 10)),
        ("a: ''\n", "", (4,)),
    ],
)
def test_offsets(text: str, value: str, offsets: tuple[int, ...]) -> None:
    found = located(text)
    assert found.value == value
    assert found.offsets == offsets


def test_span_of_a_part() -> None:
    found = located("a: |\n  log(x)\n  + y\n")
    span = found.span(7, 10)
    assert found.value[7:10] == "+ y"
    assert (span.first, span.last) == ((3, 3), (3, 6))


def test_an_escape_is_covered_up_to_its_end() -> None:
    text = 'a: "x\\u0041"\n'
    found = located(text)
    assert text[found.offsets[1] : found.offsets[2]] == "\\u0041"


def test_what_cannot_be_reconstructed_still_has_a_place() -> None:
    source = SourceFile("spec.yaml", "a: xyz")
    found = locate(source, 3, None, "something else")
    assert len(found.offsets) == len("something else") + 1
    assert max(found.offsets) <= len(source.text)


def test_verbatim_keeps_one_character_per_character() -> None:
    source = SourceFile("spec.yaml", "a: [0,\n 1]")
    found = verbatim(source, 3, 10)
    assert found.value == "[0,  1]"
    assert found.span().last == (2, 4)


_LINES = st.lists(st.text("ab0 '\\#(\"é日", max_size=8), min_size=1, max_size=5)


@settings(max_examples=400, deadline=None)
@given(
    lines=_LINES,
    shape=st.sampled_from(["plain", "'", '"', "|", ">", "|-", ">-", "|+", ">+"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    indent=st.integers(1, 4),
)
def test_each_character_is_the_one_in_the_file(
    lines: list[str], shape: str, ending: str, indent: int
) -> None:
    text = _written(lines, shape, ending, indent)
    try:
        found = located(text, 0)
    except (YAMLError, AssertionError):
        return
    assert len(found.offsets) == len(found.value) + 1
    assert list(found.offsets) == sorted(found.offsets)
    for char, offset in zip(found.value, found.offsets, strict=False):
        there = text[offset]
        fold = char in " \n" and there in "\r\n"
        escape = shape == '"' and there == "\\"
        assert char == there or fold or escape


def _written(lines: list[str], shape: str, ending: str, indent: int) -> str:
    margin = " " * indent
    body = f"{ending}{margin}".join(lines)
    if shape == "plain":
        return f"k: a{body}{ending}last: 1{ending}"
    if shape == "'":
        body = body.replace("'", "''")
        return f"k: '{body}'{ending}last: 1{ending}"
    if shape == '"':
        body = body.replace('"', '\\"')
        return f'k: "{body}"{ending}last: 1{ending}'
    return f"k: {shape}{ending}{margin}{body}{ending}last: 1{ending}"
