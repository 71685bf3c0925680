from pathlib import Path

import pytest

from lossgen.diagnostics.diagnostic import Diagnostic, SpecError
from lossgen.driver.project import Overrides, load_project
from lossgen.driver.resources import templates_folder
from lossgen.ir.options import NO_DEFAULTS


def problems(folder: Path, text: str, file: str = "lossgen.toml") -> list[Diagnostic]:
    (folder / file).write_text(text)
    with pytest.raises(SpecError) as caught:
        load_project(folder)
    assert {item.code.id for item in caught.value.diagnostics} == {"LG506"}
    return list(caught.value.diagnostics)


def test_defaults_without_configuration(tmp_path: Path) -> None:
    project = load_project(tmp_path)
    assert project.root == tmp_path
    assert project.specs == (tmp_path / "specs",)
    assert project.out == project.tests == tmp_path / "generated"
    assert (project.package, project.module) == ("lossgen", None)
    assert project.templates == (templates_folder(),)
    assert not project.warnings_as_errors
    assert project.defaults == NO_DEFAULTS


def test_every_key(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "lossgen.toml").write_text(
        'specs = ["a", "b"]\nout = "src/losses"\ntests = "tests"\npackage = "p"\n'
        'module = "p.losses"\ntemplates = "own"\nwarnings-as-errors = true\n'
    )
    project = load_project(tmp_path)
    assert project.specs == (tmp_path / "a", tmp_path / "b")
    assert project.out == tmp_path / "src" / "losses"
    assert project.tests == tmp_path / "tests"
    assert (project.package, project.module) == ("p", "p.losses")
    assert project.templates[0] == tmp_path / "own"
    assert project.warnings_as_errors
    assert project.options.templates[0] == str(tmp_path / "own")


def test_search_goes_upwards_past_other_projects(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "mine"\n[tool.lossgen]\nout = "o"\n'
    )
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    project = load_project(inner)
    assert project.root == tmp_path
    assert (project.out, project.package) == (tmp_path / "o", "mine")


def test_own_file_wins_and_takes_the_project_name(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "mine"\n[tool.lossgen]\nout = "a"\n'
    )
    (tmp_path / "lossgen.toml").write_text('out = "b"\n')
    project = load_project(tmp_path)
    assert (project.out, project.package) == (tmp_path / "b", "mine")


def test_unknown_key_is_placed_and_corrected(tmp_path: Path) -> None:
    text = (
        '[project]\nname = "x"\nout = "y"\n\n[tool.lossgen]\nspecs = "s"\nouts = "o"\n'
    )
    (item,) = problems(tmp_path, text, "pyproject.toml")
    assert item.message == "unknown key `outs`"
    assert item.help == "did you mean `out`?"
    assert item.span is not None
    assert (item.file, *item.span.first) == ("pyproject.toml", 7, 1)


def test_underscores_are_corrected(tmp_path: Path) -> None:
    (item,) = problems(tmp_path, "warnings_as_errors = true\n")
    assert item.help == "did you mean `warnings-as-errors`?"


def test_all_problems_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, 'out = 3\npackage = "a>b"\nmodule = "a-b"\nzzz = 1\n')
    lines = [item.span.first[0] for item in found if item.span]
    assert sorted(lines) == [1, 2, 3, 4]


def test_broken_toml_is_placed(tmp_path: Path) -> None:
    (item,) = problems(tmp_path, 'specs = ["a"]\nout = \n')
    assert item.span is not None
    assert item.span.first[0] == 2


def test_section_that_is_no_table(tmp_path: Path) -> None:
    problems(tmp_path, "[tool]\nlossgen = 3\n", "pyproject.toml")


def test_tests_apart_need_the_module(tmp_path: Path) -> None:
    (item,) = problems(tmp_path, 'out = "a"\ntests = "b"\n')
    assert item.help is not None
    assert "`module`" in item.help
    assert item.span is not None
    assert item.span.first == (2, 1)


def test_tests_spelt_differently_are_not_apart(tmp_path: Path) -> None:
    (tmp_path / "lossgen.toml").write_text('out = "a"\ntests = "./b/../a"\n')
    assert load_project(tmp_path).tests == tmp_path / "a"


def test_missing_template_folder(tmp_path: Path) -> None:
    (item,) = problems(tmp_path, 'templates = ["nowhere"]\n')
    assert "nowhere" in item.message


def test_command_line_overrides_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lossgen.toml").write_text('out = "a"\n')
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    project = load_project(overrides=Overrides(out=Path("o"), templates=(Path("."),)))
    assert project.root == tmp_path
    assert project.out == project.tests == inner / "o"
    assert project.templates == (inner, templates_folder())


def test_shown_paths_are_relative_and_posix(tmp_path: Path) -> None:
    project = load_project(tmp_path)
    assert project.relative(tmp_path / "specs" / "a.yaml") == "specs/a.yaml"
    assert project.relative(tmp_path.parent / "a.yaml") == "../a.yaml"
    assert project.relative(tmp_path / "a\nb") == "a\\u000ab"
