import json

import pytest

from lossgen.diagnostics.diagnostic import Diagnostic, diagnostic
from lossgen.diagnostics.render import (
    MAX_WIDTH,
    render_github,
    render_text,
    to_record,
    visible,
)
from lossgen.diagnostics.source import SourceFile, Span

POISSON = "name: poisson\n# Poisson\nloss: y_pred - y_true * log(y_pred)\n"


def about(text: str, part: str, path: str = "a.yaml") -> Span:
    start = text.index(part)
    return Span(SourceFile(path, text), start, start + len(part))


def log_domain() -> Diagnostic:
    return diagnostic(
        "LG301",
        "log of a value that can be 0 or negative",
        about(POISSON, "log(y_pred)", "specs/poisson.yaml"),
        notes=["y_pred is declared real; at y_pred = -1 this is log(-1)"],
        help="declare `y_pred: positive`, or write the loss for log-rates",
    )


def test_the_documented_form() -> None:
    assert render_text([log_domain()]) == (
        "error[LG301]: log of a value that can be 0 or negative\n"
        "  --> specs/poisson.yaml:3:25\n"
        "   |\n"
        " 3 | loss: y_pred - y_true * log(y_pred)\n"
        "   |                         ^^^^^^^^^^^\n"
        "   = y_pred is declared real; at y_pred = -1 this is log(-1)\n"
        "   = help: declare `y_pred: positive`, or write the loss for log-rates\n"
    )


def test_a_blank_line_between_two_and_nothing_for_none() -> None:
    item = diagnostic("LG502", "not ours", path="out/a.py")
    block = "error[LG502]: not ours\n  --> out/a.py\n"
    assert render_text([item, item]) == f"{block}\n{block}"
    assert render_text([]) == ""


def test_severity_and_no_place() -> None:
    assert render_text([diagnostic("LG402", "a kink", notes=["at 0"])]) == (
        "note[LG402]: a kink\n  = at 0\n"
    )


def test_wide_line_numbers() -> None:
    text = "\n" * 99 + "loss: x\n"
    assert render_text([diagnostic("LG203", "unknown", about(text, "x"))]) == (
        "error[LG203]: unknown\n"
        "    --> a.yaml:100:7\n"
        "     |\n"
        " 100 | loss: x\n"
        "     |       ^\n"
    )


def test_a_span_over_several_lines() -> None:
    text = "a: |\n  log(\n\n  x)\nb: 1\n"
    assert render_text([diagnostic("LG201", "bad", about(text, "log(\n\n  x)"))]) == (
        "error[LG201]: bad\n"
        "  --> a.yaml:2:3\n"
        "   |\n"
        " 2 |   log(\n"
        "   |   ^^^^\n"
        " 3 |\n"
        " 4 |   x)\n"
        "   |   ^^\n"
    )


def test_long_spans_are_cut_in_the_middle() -> None:
    text = "".join(f"line{i}\n" for i in range(1, 12))
    found = render_text([diagnostic("LG105", "bad", about(text, text))])
    assert "line3" in found
    assert " ...\n" in found
    assert "line5\n" not in found
    assert "line11" in found
    assert "12" not in found


@pytest.mark.parametrize(
    ("text", "part", "shown", "carets"),
    [
        ("a:\tx\n", "x", "a:    x", "      ^"),
        ("a: \tx\ty\n", "\ty", "a:     x    y", "        ^^^^^"),
        # Wide characters take two columns, combining ones none.
        ("a: 日本 x\n", "x", "a: 日本 x", "        ^"),
        ("a: 日本 x\n", "日本", "a: 日本 x", "   ^^^^"),
        ("a: e\u0301 x\n", "x", "a: e\u0301 x", "     ^"),
        ("a: x\r\nb: y\r\n", "y", "b: y", "   ^"),
        # A terminal must not act on what a spec holds.
        ("a: \x1b[31m x\n", "x", "a: \ufffd[31m x", "         ^"),
        ("a: \u202e x\n", "x", "a: \ufffd x", "     ^"),
    ],
)
def test_carets_stand_under_the_text(
    text: str, part: str, shown: str, carets: str
) -> None:
    lines = render_text([diagnostic("LG203", "bad", about(text, part))]).splitlines()
    assert lines[3][5:] == shown
    assert lines[4][5:] == carets


@pytest.mark.parametrize("offset", [0, 4, 5])
def test_an_empty_span_gets_one_caret(offset: int) -> None:
    source = SourceFile("a.yaml", "a: 1\n")
    item = diagnostic("LG104", "missing", Span(source, offset, offset))
    assert render_text([item]).count("^") == 1


def test_an_empty_file() -> None:
    source = SourceFile("a.yaml", "")
    found = render_text([diagnostic("LG108", "empty", Span(source, 0, 0))])
    assert found.endswith("   |\n 1 |\n   | ^\n")


@pytest.mark.parametrize("before", [0, 50, 500])
def test_wide_lines_are_shown_around_the_carets(before: int) -> None:
    text = f"loss: {'a + ' * before}wrong{' + b' * 500}\n"
    found = render_text([diagnostic("LG203", "bad", about(text, "wrong"))])
    source, carets = found.splitlines()[3:5]
    assert len(source) <= MAX_WIDTH + 12
    assert source.endswith("...")
    start, end = carets.index("^"), carets.rindex("^") + 1
    assert source[start:end] == "wrong"


def test_a_message_stays_on_its_line() -> None:
    assert visible("a\nb\x1b\tc") == "a\ufffdb\ufffd c"
    found = render_text([diagnostic("LG105", "bad\n::error::x", path="a\x1bb")])
    assert found.count("\n") == 2
    assert "\x1b" not in found


def test_colour_only_when_asked() -> None:
    plain = render_text([log_domain()])
    coloured = render_text([log_domain()], color=True)
    assert "\x1b[" not in plain
    assert "\x1b[1;31merror[LG301]\x1b[0m" in coloured
    assert "\x1b[1;31m^^^^^^^^^^^\x1b[0m" in coloured
    for code in ("\x1b[1;31m", "\x1b[1;32m", "\x1b[34m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_the_record_has_the_documented_names() -> None:
    record = to_record(log_domain())
    json.dumps(record)
    assert record == {
        "code": "LG301",
        "name": "log-domain",
        "severity": "error",
        "file": "specs/poisson.yaml",
        "line": 3,
        "column": 25,
        "end_line": 3,
        "end_column": 36,
        "message": "log of a value that can be 0 or negative",
        "notes": ["y_pred is declared real; at y_pred = -1 this is log(-1)"],
        "help": "declare `y_pred: positive`, or write the loss for log-rates",
    }


def test_the_record_without_a_place() -> None:
    record = to_record(diagnostic("LG502", "not ours", path="a.py"))
    assert record["file"] == "a.py"
    assert [record[key] for key in ("line", "column", "end_line", "end_column")] == [
        None
    ] * 4
    assert (record["help"], record["notes"]) == (None, [])


def test_github_commands() -> None:
    assert render_github([log_domain()]) == (
        "::error file=specs/poisson.yaml,line=3,col=25::"
        "LG301: log of a value that can be 0 or negative%0A"
        "y_pred is declared real; at y_pred = -1 this is log(-1)%0A"
        "help: declare `y_pred: positive`, or write the loss for log-rates\n"
    )
    kink = diagnostic("LG402", "a kink")
    flat = diagnostic("LG407", "flat", path="a.yaml")
    assert render_github([kink, flat]) == (
        "::notice::LG402: a kink\n::warning file=a.yaml::LG407: flat\n"
    )


def test_github_commands_are_escaped() -> None:
    item = diagnostic("LG105", "100%\r\n::error::x, y", path="C:\\a,b%.yaml")
    assert render_github([item]) == (
        "::error file=C%3A\\a%2Cb%25.yaml::LG105: 100%25%0D%0A::error::x, y\n"
    )
