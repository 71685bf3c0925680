"""Positions against marks in the text: ``«`` and ``»`` stand around what is meant."""

import pytest

from lossgen.driver.toml_places import places


def marked(text: str) -> tuple[str, tuple[int, int]]:
    start, end = text.index("«"), text.index("»") - 1
    return text.replace("«", "").replace("»", ""), (start, end)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a", "«a» = 1\n"),
        ("a.b", "x = 2\n[a]\n«b» = 1\n"),
        ("a.b", "«a.b» = 1\n"),
        ("a.b", "a = {c = 1, «b» = 2}\n"),
        ("a.b", "[ a . c ]\nb = 1\n[a]\n# b = 3\n«'b'» = 2\n"),
        ("a.b", "[x]\na.b = 1\n[a]\nc = '''\nb = 1\n'''\n«b» = 1\n"),
        ("a.b.c", '[a]\n«b."c"» = 1\n'),
        ("a", "x = '#' # a = 1\n«a»=[1,\n2]\n"),
        ("a", "«[a]»\nb = 1\n"),
        ("a.b", 'x = """a\\""""\n[[a]]\n«b» = 1\n[[a]]\nb = 2\n'),
    ],
)
def test_keys(path: str, text: str) -> None:
    plain, expected = marked(text)
    assert places(plain)[tuple(path.split("."))].key == expected


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a", "a = «1e-6» # why\nb = 2"),
        ("a", "a = «'x # y'»"),
        ("a.b", "a = {c = [1, {d = 2}], b = «'x, y'»}\n"),
        ("a", "a = «[1, # one\n [2, 3], {b = 4}]»\nc = 1\n"),
        ("a.1", "a = [1, # one\n «[2, 3]», {b = 4}]\n"),
        ("a.2.b", "a = [1,\n [2, 3], {b = «4»}]\n"),
        ("a.b.c", "[a]\nb.c = «true»\n"),
    ],
)
def test_values(path: str, text: str) -> None:
    plain, expected = marked(text)
    assert places(plain)[tuple(path.split("."))].value == expected


@pytest.mark.parametrize("text", ["", "a", "a =", "[", "a = [", "a = {", "=", "]}\n,"])
def test_unfinished_text_ends(text: str) -> None:
    places(text)
