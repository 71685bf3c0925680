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
    add_spec("a", file="sub/a.yaml")
    shelf = (SpecFile(folder / "b.yaml", "b.yaml"),)
    monkeypatch.setattr(showing, "catalogue_files", lambda: shelf)
    assert find_spec(project, "specs/sub/a.yaml").shown == "specs/sub/a.yaml"
    assert find_spec(project, "a").shown == "specs/sub/a.yaml"
    assert find_spec(project, "b").shown == "b.yaml"
    with pytest.raises(UsageError, match="no spec c"):
        find_spec(project, "c")


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
