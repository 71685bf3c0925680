from pathlib import Path

import black
import known_texts
import pytest
from black.mode import Mode, TargetVersion

from lossgen.backend import formatting
from lossgen.backend.formatting import format_source
from lossgen.backend.known_texts import FILE

MODE = Mode(target_versions={TargetVersion.PY310}, line_length=88)


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


FILES = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))

SOURCES = [
    '"""Doc."""\n\n\ndef f(): pass\n\n\n\nclass A: x=1\n\n\n@d\n\ndef g(): pass',
    '"""Doc."""\nx=1\n\n\n# Told.\n\n\ndef f(): pass\n\n\n# Told.\ndef g(): pass\n',
    'import a\n\n\ndef f():\n    """A.\n\n\ndef g(): b\n    """\n    return 1',
    "x = [\n1,\n\n\n# Told.\n]\n\n\ndef f(): pass",
    "if x:\n    def f(): pass\n\n\ndef g(): pass\nelse_ = 1",
    "try:\n    import a\n\n\nexcept E:\n    pass\n\n\ndef g(): pass",
    "x = 1\n'string'\n\n\ndef f(): ...\n\n\ndef f(a): ...\nx=f(1)\n",
    "# fmt: off\nx=1\n\n\ndef f( ): pass\n# fmt: on\ny=1\n",
    "@d\n@e\nclass A(B):\n\n    def f(self): pass\n\n\n    def g(self): pass\n    y=1",
    (
        'class A:\n    """Doc."""\n    def f(self): pass\n\n'
        "    @d\n\n"
        "    def g(self): pass"
    ),
    (
        'class A:\n    """A.\n\n'
        '    def f(self):\n    """\n\n'
        "    def f(self): ...\n\n"
        "    def g(self): ..."
    ),
    (
        "class A:\n    x=1\n    # Told.\n\n"
        "    def f(self):\n\n"
        "        return 'a'\n\n"
        "    # Told.\n    def g(self): pass\n\n"
        "    y = 1\n\n"
        "    def h(self): pass"
    ),
    (
        "class A:\n    if x:\n        pass\n\n"
        "    def f(self):\n        def g(): pass\n\n"
        "    def h(self): pass\n\n"
        "\nx = A()"
    ),
    "x = 1 \\\n\n\n\ndef f(): pass\n\n\n",
    "x=1\n\n\ndef f(): pass\r\n\n\ndef g(): pass\n",
    "\n\n\ndef f(): pass\n\n\nasync def g(): pass\n\n\nasync  def h(): pass",
    "def f(): pass\n\n\n'string'\n\n\ndef g(): pass",
    "",
    "\n\n# Told.\n",
]


@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
def test_pieces_come_out_as_black_formats_the_whole(source):
    assert format_source(source) == black.format_str(source, mode=MODE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_black_leaves_generated_files_as_they_are(path):
    text = path.read_text()
    assert format_source(text) == text == black.format_str(text, mode=MODE)


@pytest.mark.parametrize("path", FILES[::4], ids=lambda path: path.stem)
def test_files_out_of_shape_come_out_as_black_formats_them(path):
    text = path.read_text().replace(", ", ",").replace(" = ", "  =")
    assert format_source(text) == black.format_str(text, mode=MODE)


def test_what_is_laid_out_stays_as_it_is():
    strange = "( 'a',\n   'b' )"
    assert format_source(f"x=[\n    {strange},\n]", [strange]) == (
        f"x = [\n    {strange},\n]\n"
    )


def test_what_is_laid_out_for_another_place_is_formatted():
    strange = "( 'a',\n   'b' )"
    for source in (
        f"x=[[\n    {strange},\n]]",
        f"x = f(\n    {strange},\n  *y)",
        f"x = [\n  {strange}]",
        f"def f():\n    return [\n    {strange},\n    ]",
    ):
        found = format_source(source, [strange])
        assert found == black.format_str(source, mode=MODE)


def test_equal_elements_are_all_kept():
    strange = "( 'a',\n   'b' )"
    source = f"x=[\n    {strange},\n    {strange},\n]"
    assert format_source(source, [strange, strange]) == (
        f"x = [\n    {strange},\n    {strange},\n]\n"
    )


def test_what_is_laid_out_may_hold_what_stands_in():
    source = "x=[\n    laid_out_0_,\n    'a',\n]"
    expected = 'x = [\n    laid_out_0_,\n    "a",\n]\n'
    assert format_source(source, ['"a"']) == expected


def test_the_texts_that_recur_are_known():
    assert FILE.read_text() == known_texts.lines(), "run benchmarks/known_texts.py"


def test_black_leaves_known_texts_as_they_are():
    texts = known_texts.recurring()
    assert len(texts) > 50
    assert [text for text in texts if black.format_str(text, mode=MODE) != text] == []


def test_black_is_not_asked_about_known_texts(monkeypatch):
    known = next(text for text in known_texts.recurring() if text.startswith("def _"))
    formatting._piece.cache_clear()  # what another test has formatted
    monkeypatch.setattr(black, "format_str", None)
    assert format_source(known) == known
    with pytest.raises(TypeError):
        format_source("def unknown(a,b): pass")
