import pytest
from clock import processor_time

from lossgen.diagnostics.diagnostic import Diagnostic, Report
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.reader import (
    MAX_CHARACTERS,
    MAX_STRUCTURE,
    Kind,
    Mapping,
    Node,
    Scalar,
    Sequence,
    read,
)


def parsed(text: str) -> tuple[tuple[Node, ...], list[Diagnostic]]:
    report = Report()
    nodes = read(SourceFile("spec.yaml", text), report)
    return nodes, list(report)


def covered(found: Diagnostic) -> str:
    assert found.span is not None
    return found.span.source.text[found.span.start : found.span.end]


def value_of(text: str, key: str) -> Node:
    (node,), found = parsed(text)
    assert found == []
    assert isinstance(node, Mapping)
    return {k.text.value: v for k, v in node.entries}[key]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("no", Kind.TEXT),
        ("yes", Kind.TEXT),
        ("1e-7", Kind.FLOAT),
        ("0.25", Kind.FLOAT),
        (".inf", Kind.FLOAT),
        ("3", Kind.INTEGER),
        ("'3'", Kind.TEXT),
        ("true", Kind.BOOLEAN),
        ("null", Kind.NULL),
        ("2001-01-01", Kind.TEXT),
        ("!!str 3", Kind.TEXT),
    ],
)
def test_kinds_follow_yaml_1_2(written: str, kind: Kind) -> None:
    node = value_of(f"a: {written}\n", "a")
    assert isinstance(node, Scalar)
    assert node.kind is kind


def test_span_of_a_block_ends_with_its_last_value() -> None:
    text = "a:\n  b: 1\n\n# comment\nc: 2\n"
    node = value_of(text, "a")
    assert text[node.span.start : node.span.end] == "b: 1"


def test_an_empty_value_is_placed_at_its_key() -> None:
    node = value_of("a:\nb: 1\n", "a")
    assert node.span.first == (1, 1)
    assert node.span.last == (1, 2)


def test_a_set_is_a_mapping_of_bare_keys() -> None:
    assert value_of("a: {0, 1}\n", "a").is_set is True  # type: ignore[union-attr]
    assert value_of("a: {0: , 1}\n", "a").is_set is False  # type: ignore[union-attr]
    assert value_of("a: {b: 1}\n", "a").is_set is False  # type: ignore[union-attr]


def test_aliases_stand_for_their_anchor() -> None:
    node = value_of("a: &x [1, 2]\nb: *x\n", "b")
    assert isinstance(node, Sequence)
    assert node.span.first == (1, 7)


def test_documents_are_read_apart() -> None:
    nodes, found = parsed("a: 1\n---\nb: [\n---\nc: 3\n")
    assert [node.span.first for node in nodes] == [(1, 1), (5, 1)]
    assert [(item.code.id, item.span and item.span.first) for item in found] == [
        ("LG101", (3, 4))
    ]


def test_preamble_belongs_to_the_first_document() -> None:
    nodes, found = parsed("\ufeff# comment\n%YAML 1.2\n---\na: 1\n")
    assert found == []
    assert [node.span.first for node in nodes] == [(4, 1)]


def test_duplicate_keys_are_found_at_the_second() -> None:
    (node,), found = parsed("a: 1\nb: 2\na: 3\n")
    assert [(item.code.id, item.span and item.span.first) for item in found] == [
        ("LG102", (3, 1))
    ]
    assert found[0].notes == ("the first stands on line 1",)
    assert isinstance(node, Mapping)
    assert [value.text.value for _, value in node.entries] == ["1", "2"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("", "LG108", (1, 1), "no spec"),
        ("# comment\n\n", "LG108", (1, 1), "no spec"),
        ("a:\n\tb: 1\n", "LG101", (2, 1), "tab"),
        ('a: "b\n', "LG101", (1, 4), "quoted value is not closed"),
        ("a: [b\n", "LG101", (1, 4), "bracket is not closed"),
        ("a: b\n  c: d\n", "LG101", (2, 4), "cannot stand here"),
        ('a: "\\q"\n', "LG101", (1, 6), "escape"),
        ('a: "\\U00110000"\n', "LG101", (1, 1), "not valid YAML"),
        ("a: x\0y\n", "LG101", (1, 5), "U+0000"),
        ("%YAML 1.1\n---\na: no\n", "LG101", (1, 1), "YAML 1.2"),
        ("a: &x [*x]\n", "LG101", (1, 4), "nested too deeply"),
        ("[a]: b\n", "LG105", (1, 1), "single word"),
    ],
)
def test_faults(text: str, code: str, place: tuple[int, int], words: str) -> None:
    _, found = parsed(text)
    assert [item.code.id for item in found] == [code]
    assert found[0].span is not None
    assert found[0].span.first == place
    assert words in found[0].message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("y_pred: [0, oo)\nname: a\n", "[0, oo)"),
        ("y_pred: [0, oo)", "[0, oo)"),
        ("y_pred: {domain: [0, oo)}\n", "[0, oo)"),
        ("y_pred: {domain: (0, 1]}\n", "(0, 1]"),
        ("y_pred: {domain: (0, 1)}\n", "(0, 1)"),
        ("where: {w: max(a, b)}\n", "max(a, b)"),
        ("where: {w: where(a > 0, b, c), v: 1}\n", "where(a > 0, b, c)"),
        ("assume: [max(a, b) > 0, c > 0]\n", "max(a, b) > 0"),
        ("y_pred: > 0\n", "> 0"),
        ("y_pred: >= 0\n", ">= 0"),
        ("y_pred: {domain: > 0}\n", ">"),
        ("loss: |y_pred|\n", "|y_pred|"),
        ("loss: *x\n", "*x"),
        ("loss: **x\n", "**x"),
        ("loss: -log(p): 3\n", ":"),
        ("title: Focal: a loss\n", ":"),
        ("loss: - log(p)\n", "- log(p)"),
        ("loss: %p\n", "%"),
        ("mask: !y\n", "!y"),
    ],
)
def test_what_needs_quotes(text: str, place: str) -> None:
    _, found = parsed(text)
    assert [item.code.id for item in found] == ["LG107"]
    assert covered(found[0]) == place
    assert found[0].help


def test_a_split_value_is_joined_again() -> None:
    (node,), _ = parsed("{w: max(a, b), v: 1}\n")
    assert isinstance(node, Mapping)
    entries = {k.text.value: v.text.value for k, v in node.entries}  # type: ignore[union-attr]
    assert entries == {"w": "max(a, b)", "v": "1"}


def test_text_with_balanced_parentheses_is_left_alone() -> None:
    _, found = parsed('{w: f(a), v: "max(a, b)", u: [1, 2]}\n')
    assert found == []


_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        _LAUGHS,
        "[" * 40_000,
        "{" * 40_000,
        "[{" * 20_000,
        "- " * 40_000,
        "? " * 40_000,
        "a: " + "&a " * 30_000,
        "x" * 10_000_000,
        "a: b\n" * 40_000,
        "---\n" * 20_000,
        "a: [" + "1," * 40_000 + "]",
        "\0" * 40_000,
        "&a [*a, *a]",
        "!<",
        '"\\UFFFFFFFF"',
        "%YAML 9\n---\na",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_files_are_refused_quickly(text: str) -> None:
    with processor_time() as clock:
        nodes, found = parsed(text)
    assert clock.seconds < 1
    assert nodes == ()
    assert {item.code.id for item in found} <= {"LG101", "LG102", "LG107"}
    assert found


def test_the_largest_files_are_read() -> None:
    assert parsed("a: " + "x" * (MAX_CHARACTERS - 3))[1] == []
    assert parsed("a: [" + "1," * (MAX_STRUCTURE - 10) + "1]")[1] == []
    assert [item.code.id for item in parsed("a: " + "x" * MAX_CHARACTERS)[1]] == [
        "LG101"
    ]
