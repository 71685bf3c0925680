"""The documentation says what the code does."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from commandline import ROOT, run_lossgen
from typer.main import get_command

from lossgen.cli import app
from lossgen.compiler import check_source, compile_source
from lossgen.diagnostics.render import render_text
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.functions import CALLS, Function, Kind
from lossgen.ir.options import Options

pytestmark = pytest.mark.skipif(
    not (ROOT / "CONTRIBUTING.md").exists(), reason="needs a checkout"
)

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(page: str) -> str:
    path = ROOT / page
    return path.read_text("utf-8") if path.exists() else ""


def blocks(page: str, *languages: str) -> list[str]:
    found = BLOCK.findall(text(page))
    return [body for language, body in found if language in languages]


# Specs

SPECS = [(page, body) for page in PAGES for body in blocks(page, "yaml")]


@pytest.mark.parametrize(("page", "body"), SPECS)
def test_specs_pass_the_check(page: str, body: str) -> None:
    compilations = check_source(SourceFile(page, body))
    assert compilations
    for item in compilations:
        assert item.checked is not None, render_text(item.diagnostics)


def test_the_readme_shows_what_is_generated() -> None:
    (spec,), (shown,) = blocks("README.md", "yaml"), blocks("README.md", "python")
    options = Options("lossgen", None, ".", (str(ROOT / "templates"),))
    (compiled,) = compile_source(SourceFile("spec.yaml", spec), options)
    module = next(item.text for item in compiled.artifacts if item.kind == "module")
    place = 0
    for piece in re.split(r"^ *…\n", shown, flags=re.MULTILINE):
        place = module.find(piece, place)
        assert place >= 0, f"not generated any more:\n{piece}"
        place += len(piece)


def test_the_readme_shows_a_spec_of_the_catalogue() -> None:
    (spec,) = blocks("README.md", "yaml")
    assert spec == text("specs/weighted_categorical_crossentropy.yaml")


# Commands


def without_comment(line: str) -> str:
    return line.partition(" #")[0].strip()


def commands(page: str) -> list[str]:
    """The lossgen commands of a page, in its blocks and in its sentences."""
    lines = [line for body in blocks(page, "sh") for line in body.splitlines()]
    prose = " ".join(BLOCK.sub("", text(page)).split())
    spoken = re.findall(r"`([^`]+)`", prose)
    parts = [part for line in [*lines, *spoken] for part in line.split("&&")]
    found = [without_comment(part) for part in parts]
    return [part for part in found if part.startswith("lossgen ")]


COMMANDS = sorted({command for page in PAGES for command in commands(page)})


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    group = get_command(app)
    _, name, *args = shlex.split(command)
    subcommand = group.get_command(group.make_context("lossgen", [name]), name)
    assert subcommand is not None
    with subcommand.make_context(name, args):
        pass


def test_the_commands_at_a_glance_run(tmp_path: Path) -> None:
    (session,) = [body for body in blocks("README.md", "sh") if "lossgen new" in body]
    (tmp_path / "lossgen.toml").write_text("")
    for line in session.splitlines():
        done = run_lossgen(*shlex.split(without_comment(line))[1:], cwd=tmp_path)
        assert done.returncode == 0, line + "\n" + done.stdout + done.stderr
    assert (tmp_path / "specs" / "my_loss.yaml").exists()
    assert (tmp_path / "generated" / "my_focal.py").exists()


@pytest.mark.parametrize(
    "command",
    [
        "python -m pip install . && lossgen build specs/",
        "python -m pip install '.[test]' && pytest",
    ],
)
def test_set_up_is_one_line(command: str) -> None:
    assert [b.strip() for b in blocks("README.md", "sh")].count(command) == 1
    assert text("README.md").splitlines().count(command) == 1


# Configuration


def test_the_configuration_is_accepted(tmp_path: Path) -> None:
    (table,) = blocks("README.md", "toml")
    (tmp_path / "pyproject.toml").write_text(table)
    (tmp_path / "specs").mkdir()
    shutil.copy(ROOT / "specs" / "mean_squared_error.yaml", tmp_path / "specs")
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    done = run_lossgen("build", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "src/mypackage/losses/mean_squared_error.py").exists()
    assert (tmp_path / "tests/losses/test_mean_squared_error.py").exists()


# Python


def test_the_python_interface_is_as_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use, errors = blocks("docs/api.md", "py")
    (tmp_path / "lossgen.toml").write_text("")
    (tmp_path / "specs").mkdir()
    shutil.copy(ROOT / "specs" / "huber.yaml", tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(use, names)  # noqa: S102 - our own page
    assert names["loss"].name == "huber"  # type: ignore[attr-defined]
    assert names["result"].ok  # type: ignore[attr-defined]
    (tmp_path / "specs" / "bad.yaml").write_text("name: bad\nloss: log(y_pred)\n")
    exec(errors, names)  # noqa: S102 - our own page
    assert names["item"].code.id  # type: ignore[attr-defined]


# Functions

ARGUMENTS = {"clip": "u, low, high", "where": "condition, then, otherwise"}


def row(function: Function) -> str:
    arguments = ARGUMENTS.get(function.op, ", ".join("uvw"[: function.min_args]))
    arguments += ", ..." if function.max_args is None else ""
    arguments += ", axis=..." if function.takes_axis else ""
    return f"| `{function.surface}({arguments})` | {function.doc} |"


def test_the_functions_are_those_of_the_language() -> None:
    kinds = (Kind.SMOOTH, Kind.KINKED, Kind.DATA, Kind.COLLAPSE, Kind.ALONG)
    functions = [item for same in CALLS.values() for item in same]
    expected = [row(f) for kind in kinds for f in functions if f.kind is kind]
    shown = re.findall(r"^\| `\w+\(.*$", text("docs/language.md"), re.MULTILINE)
    assert shown == expected


# Links and folders


def anchors(page: str) -> set[str]:
    prose = BLOCK.sub("", text(page))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES)
def test_internal_links_resolve(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text(page))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            relative = target.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(relative), f"{page}: {link}"


def test_the_files_that_contributing_names_exist() -> None:
    names = re.findall(r"`([\w.]+(?:/[\w.]+)*/?)`", text("CONTRIBUTING.md"))
    roots = {path.name for path in ROOT.iterdir()}
    paths = [n for n in names if "/" in n and n.partition("/")[0] in roots]
    inner = [n for n in names if "/" in n and (ROOT / "lossgen" / n).exists()]
    assert len(paths) > 20
    assert inner
    for name in paths:
        assert (ROOT / name).exists(), name


def test_the_tables_that_contributing_names_exist() -> None:
    """Each `_NAME` stands in a file that the same section names."""
    for section in text("CONTRIBUTING.md").split("\n## "):
        files = [ROOT / n for n in re.findall(r"`(lossgen/[\w/]+\.py)`", section)]
        code = "\n".join(path.read_text("utf-8") for path in files)
        for name in re.findall(r"`(_?[A-Z][A-Z_]+)`", section):
            assert re.search(rf"^{name}\b", code, re.MULTILINE), name


def test_the_layers_of_contributing_are_those_that_are_checked() -> None:
    (law,) = [b for b in blocks("CONTRIBUTING.md", "") if "diagnostics <" in b]
    declared = re.search(r"^layers = \[\n(.*?)^\]", text("pyproject.toml"), re.M | re.S)
    assert declared is not None
    layers = re.findall(r'"(.+)"', declared[1])
    assert [part.strip(" {}\n") for part in law.split("<")] == layers[::-1]
