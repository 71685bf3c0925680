from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.diagnostics.source import SourceFile
from lossgen.driver import show as showing
from lossgen.driver.discovery import SpecFile, UsageError
from lossgen.driver.project import Project
from lossgen.driver.show import find_spec, show


def test_spec_by_path_or_name(
    folder: Path, project: Project, add_spec: Callable[..., Path], monkeypatch
) -> None:
    add_spec("a", file="sub/several.yaml")
    (folder / "shelf.yaml").write_text("name: b\nloss: y_pred\n")
    shelf = (SpecFile(folder / "shelf.yaml", "shelf.yaml"),)
    monkeypatch.setattr(showing, "catalogue_files", lambda: shelf)
    by_path = find_spec(project, "specs/sub/several.yaml")
    assert by_path.path == "specs/sub/several.yaml"
    assert find_spec(project, "a").text == by_path.text
    assert find_spec(project, "b").path == "shelf.yaml"
    with pytest.raises(UsageError, match="no loss c; give a file, or the `name`"):
        find_spec(project, "c")


def test_one_loss_of_several_in_a_file(folder: Path, project: Project) -> None:
    documents = ["name: a\nloss: y_pred\n", "# b\nname: 'b'\n", "{name: c}\n"]
    (folder / "specs" / "all.yaml").write_text("---\n".join(documents))
    assert find_spec(project, "a").text == documents[0]
    alone = find_spec(project, "b")
    assert alone.text == f"\n\n---\n{documents[1]}"
    assert alone.position(alone.text.index("'b'")) == (5, 7)
    assert find_spec(project, "c").text.strip() == "---\n{name: c}"


def test_portrait_and_stages(compile_one) -> None:
    (compilation,) = compile_one(SourceFile("specs/a.yaml", "name: a\nbody\n"))
    text = show(compilation, "specs/a.yaml")
    assert "  loss = a\n" in text
    assert "a (specs/a.yaml): refused\n" in text
    assert show(compilation, "", "module") == compilation.artifacts[0].text
    assert show(compilation, "", "test") == compilation.artifacts[1].text
    assert show(compilation, "", "read").startswith("name: a\nloss: a\n")
    with pytest.raises(UsageError, match="read, resolve, check"):
        show(compilation, "", "nonsense")
