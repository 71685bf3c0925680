"""Specs that are refused: what is said of them, where, and nothing else.

Each ``tests/cases/bad/NAME.yaml`` begins with what is wrong with it, worked out by
hand::

    # expect: LG203 4:9, LG211 6:3

Beside it, ``NAME.expected`` holds the diagnostics as ``lossgen check`` prints them.
After a change that is meant, write these files anew and look at the difference::

    ACCEPT=1 pytest tests/test_bad_specs.py
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
from clock import processor_time
from commandline import ROOT, run_lossgen

from lossgen.compiler import check_source, compile_source
from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.diagnostics.render import render_text
from lossgen.diagnostics.source import SourceFile
from lossgen.driver import build as building
from lossgen.driver import commands
from lossgen.driver.boundary import guard
from lossgen.driver.discovery import Selection, SpecFile
from lossgen.driver.formats import Format
from lossgen.driver.outcome import Outcome
from lossgen.driver.project import Project, load_project

CASES = ROOT / "tests" / "cases" / "bad"
FILES = sorted(CASES.glob("*.yaml"))
ACCEPT = os.environ.get("ACCEPT") == "1"
CPU_SECONDS = 1.0

EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def project() -> Project:
    project = load_project(ROOT)
    # What is imported at first use is no part of a spec's time.
    checked(CASES / "pole.yaml", project)
    return project


def checked(path: Path, project: Project) -> tuple[Outcome, ...]:
    file = SpecFile(path, path.relative_to(ROOT).as_posix())
    return building.check(project, Selection((file,), None), jobs=1)


def findings(outcomes: tuple[Outcome, ...]) -> list[Diagnostic]:
    return [item for outcome in outcomes for item in outcome.diagnostics]


def places(found: list[Diagnostic]) -> list[str]:
    """Code, line and column of each finding."""
    return sorted(
        f"{item.code.id} {item.span.first[0]}:{item.span.first[1]}"
        if item.span
        else item.code.id
        for item in found
    )


def expected_places(path: Path) -> list[str]:
    text = path.read_text(encoding="latin-1")
    line = re.match(r"# expect: (.+)\n", text)
    assert line, f"{path.name} does not begin with `# expect: CODE LINE:COLUMN`"
    return sorted(line[1].strip().split(", "))


def matches(path: Path, text: str) -> bool:
    expected = path.with_suffix(".expected")
    if ACCEPT:
        expected.write_text(text, encoding="utf-8")
    return expected.is_file() and expected.read_text(encoding="utf-8") == text


@EACH
def test_what_is_said_and_where(path: Path, project: Project) -> None:
    with processor_time() as clock:
        outcomes = checked(path, project)
    found = findings(outcomes)
    text = render_text(found)
    assert any(outcome.failed for outcome in outcomes)
    assert places(found) == expected_places(path)
    assert matches(path, text), f"ACCEPT=1 writes {path.stem}.expected:\n{text}"
    assert "error[LG" in text
    assert "Traceback" not in text
    assert "LG901" not in text
    assert clock.seconds < CPU_SECONDS


def test_there_are_cases_and_no_leftovers() -> None:
    assert len(FILES) >= 55
    expected = {path.stem for path in CASES.glob("*.expected")}
    assert expected == {path.stem for path in FILES}


OF_THE_BUILD = {"epsilon_below_one_unit", "epsilon_without_guard"}
"""What shows only where guards are placed, which `check_source` does not come to."""


def test_the_library_says_the_same(project: Project) -> None:
    """The driver adds what one file, or the check alone, cannot know, and no more."""
    apart = {"not_utf8", "two_losses_of_one_name", *OF_THE_BUILD}
    for path in FILES:
        if path.stem not in apart:
            shown = path.relative_to(ROOT).as_posix()
            source = SourceFile(shown, path.read_text(encoding="utf-8"))
            found = [each for item in check_source(source) for each in item.diagnostics]
            assert render_text(found) == render_text(findings(checked(path, project)))


# The command line ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["unclosed_quote", "not_utf8", "import_os", "power_tower", "pole", "cyclic_names"],
)
def test_check_ends_with_1(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    path = CASES / f"{name}.yaml"
    code = guard(
        lambda: commands.run_check([path], cached=False, jobs=1, format_=Format.TEXT)
    )
    out, err = capsys.readouterr()
    assert code == 1
    assert out.startswith(path.with_suffix(".expected").read_text(encoding="utf-8"))
    assert err == ""


@pytest.mark.parametrize("name", ["tab_indent", "several_faults_of_keys", "step"])
def test_a_process_of_its_own(name: str) -> None:
    path = CASES / f"{name}.yaml"
    done = run_lossgen("check", path, cwd=ROOT)
    assert done.returncode == 1
    assert done.stdout.startswith(
        path.with_suffix(".expected").read_text(encoding="utf-8")
    )
    assert done.stderr == ""


def test_all_bad_specs_in_one_run() -> None:
    done = run_lossgen("check", CASES, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == ""
    for path in FILES:
        assert f"--> tests/cases/bad/{path.name}" in done.stdout


# Bombs --------------------------------------------------------------------------------


def spec(loss: str, *where: str) -> str:
    names = "".join(f"  {line}\n" for line in where)
    return f"name: bomb\nloss: {loss}\n" + (f"where:\n{names}" if names else "")


def chain(length: int, step: str) -> list[str]:
    """Names that use one another, the first one first."""
    names = [f"a{k}: {step.format(f'a{k - 1}')}" for k in range(1, length + 1)]
    return ["a0: y_pred - y_true", *names]


BOMBS = {
    "minus signs": (spec(f"{'-' * 5000}y_pred - y_true"), "LG213 2:7"),
    "parentheses": (spec(f"{'(' * 4000}y_pred"), "LG213 2:107"),
    "terms": (spec(f"y_true{' + y_pred' * 900}"), "LG213 2:7"),
    "calls": (spec(f"{'tanh(' * 101}y_pred{')' * 101} - y_true"), "LG213 2:511"),
    "characters": (spec(f"y_true{' + y_pred' * 11_200}"), "LG101 1:1"),
    "characters of an expression": (spec(f"y_true{' + y_pred' * 1200}"), "LG213 2:7"),
    "digits": (spec(f"{'9' * 5000} * y_pred - y_true"), "LG215 2:7"),
    "a chain of names": (
        spec("a900", *chain(900, "tanh({0}) + 1")),
        "LG213 78:8",
    ),
    "a chain of names, the last one first": (
        spec("a900", *reversed(chain(900, "tanh({0}) + 1"))),
        "LG213 830:8",
    ),
    "a long cycle": (
        spec("a900 + y_pred", "a0: a900 - y_true", *chain(900, "1 + {0}")[1:]),
        # The first name uses the last one, and so on, to the second: that closes it.
        "LG210 5:11",
    ),
    "names that treble": (spec("a40", *chain(40, "{0} * {0} * {0}")), "LG213 11:7"),
    "nested lists": (f"{spec('y_pred - y_true')}title: {'[' * 2500}\n", "LG101 3:40"),
    "documents": (f"{spec('y_pred - y_true')}---\n" * 2000, "LG101 1:1"),
    "a power": (spec("y_pred - 2**-99999"), "LG215 2:16"),
    "an empty file": ("", "LG108 1:1"),
    "a name": (spec(f"y_pred - {'y' * 9000}"), "LG203 2:16"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_quickly(name: str, project: Project) -> None:
    text, place = BOMBS[name]
    with processor_time() as clock:
        found = [
            item
            for compilation in check_source(SourceFile("bomb.yaml", text))
            for item in compilation.diagnostics
        ]
        rendered = render_text(found)
    assert places(found) == [place]
    assert clock.seconds < CPU_SECONDS
    assert max(map(len, rendered.splitlines())) < 200


# Harmless -----------------------------------------------------------------------------

CODE_IN_PROSE = r'''name: code_in_prose
title: 'An error """ + __import__("os").system("id") + """ \N{BULLET} \'
description: |
  """
  import os
  os.system("id")  # {{ spec.loss }} {% raw %} ${HOME}
  QUOTES
  \"\"\" \
reference: '"""; raise SystemExit'
loss: gain * square(y_pred - y_true)
y_true: {domain: real, description: '""" \'}
params:
  gain: {default: 1.0, description: "Gain \"\"\" + exit() + \"\"\""}
'''.replace("QUOTES", "'" * 3)


_SYSTEM = ("os.", "subprocess.")


def test_code_in_prose_stays_prose(project: Project) -> None:
    source = SourceFile("prose.yaml", CODE_IN_PROSE)
    (done,) = compile_source(source, project.options)
    assert done.diagnostics == ()
    assert len(done.artifacts) == 2
    # The test starts a process of its own, and that is all it takes `os` for.
    allowed = (set(), {"os.environ", "os.pathsep", "subprocess.run"})
    for artifact, expected in zip(done.artifacts, allowed, strict=True):
        tree = ast.parse(artifact.text)
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert not names & {"__import__", "exit", "SystemExit"}
        assert ("os" in names) == ("os" in imported) == bool(expected)
        used = {
            f"{node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        assert {text for text in used if text.startswith(_SYSTEM)} == expected
    module = ast.parse(done.artifacts[0].text)
    prose = "\n".join(
        ast.get_docstring(node) or ""
        for node in ast.walk(module)
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
    )
    assert '""" + __import__("os").system("id") + """' in prose
    assert "{{ spec.loss }}" in prose
    assert "\\N{BULLET}" in prose
