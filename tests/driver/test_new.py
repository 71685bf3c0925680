from pathlib import Path

import pytest

from lossgen.diagnostics.diagnostic import SpecError
from lossgen.driver import new
from lossgen.driver.discovery import UsageError
from lossgen.driver.new import new_spec
from lossgen.driver.project import Project


def test_writes_a_commented_spec(project: Project, compile_one) -> None:
    path = new_spec(project, "my_loss", check_source=compile_one)
    assert path == project.root / "specs" / "my_loss.yaml"
    text = path.read_text()
    assert "\nname: my_loss\ntitle: My loss\n" in text
    assert text.count("#") > 5


def test_copies_from_the_catalogue(
    project: Project, compile_one, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "# why\nname: huber # x\nloss: name\n"
    monkeypatch.setattr(new, "catalogue_spec", lambda name: text)
    path = new_spec(project, "mine", "huber", check_source=compile_one)
    assert path.read_text() == "# why\nname: mine # x\nloss: name\n"


def test_refuses_to_overwrite(project: Project, compile_one) -> None:
    path = project.root / "specs" / "a.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"specs/a\.yaml exists already"):
        new_spec(project, "a", check_source=compile_one)
    assert path.read_text() == "mine"


def test_writes_nothing_that_does_not_pass(project: Project, compile_one) -> None:
    with pytest.raises(SpecError):
        new_spec(project, "a", check_source=lambda source: _with_error(compile_one))
    assert list((project.root / "specs").iterdir()) == []


def _with_error(compile_one):
    from lossgen.diagnostics.source import SourceFile

    return compile_one(SourceFile("x", "name: a\nerror\n"))


def test_makes_the_folder(tmp_path: Path, project: Project, compile_one) -> None:
    (tmp_path / "specs").rmdir()
    assert new_spec(project, "a", check_source=compile_one).exists()
