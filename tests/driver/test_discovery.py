import os
from pathlib import Path

import pytest

from lossgen.diagnostics.diagnostic import SpecError
from lossgen.driver.discovery import SpecFile, UsageError, find_specs, read_spec
from lossgen.driver.project import Project, load_project


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_are_searched_in_order(folder: Path, project: Project) -> None:
    touch(
        folder / "specs", "b.yaml", "a.yml", "sub/c.YAML", "x.txt", ".hidden.yaml",
        ".git/d.yaml",
    )  # fmt: skip
    shown = [file.shown for file in find_specs(project).files]
    assert shown == ["specs/a.yml", "specs/b.yaml", "specs/sub/c.YAML"]


def test_a_file_is_taken_as_it_is_and_once(folder: Path, project: Project) -> None:
    touch(folder / "specs", "a.yaml", "odd.txt")
    paths = [Path("specs/odd.txt"), Path("specs"), Path("specs/a.yaml")]
    shown = [file.shown for file in find_specs(project, paths).files]
    assert shown == ["specs/odd.txt", "specs/a.yaml"]


def test_paths_are_shown_relative_to_the_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lossgen.toml").touch()
    touch(folder / "specs", "a.yaml")
    monkeypatch.chdir(folder / "specs")
    selection = find_specs(load_project(), [Path("a.yaml")])
    assert [file.shown for file in selection.files] == ["specs/a.yaml"]


def test_a_missing_path_is_wrong_usage(project: Project) -> None:
    with pytest.raises(UsageError, match="nope"):
        find_specs(project, [Path("nope")])


def test_a_missing_configured_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="LG506"):
        find_specs(load_project(tmp_path))


@pytest.mark.parametrize(
    ("paths", "covered", "not_covered"),
    [
        ([], ["specs/a.yaml", "gone/b.yaml", "../c.yaml"], []),
        (["specs"], ["specs/a.yaml", "specs/x/b.yaml"], ["specs2/a.yaml", "b.yaml"]),
        (["specs/a.yaml"], ["specs/a.yaml"], ["specs/b.yaml"]),
        (["."], ["specs/a.yaml", "b.yaml"], ["../c.yaml"]),
    ],
)
def test_what_a_selection_speaks_for(
    folder: Path,
    project: Project,
    paths: list[str],
    covered: list[str],
    not_covered: list[str],
) -> None:
    touch(folder / "specs", "a.yaml")
    selection = find_specs(project, [Path(path) for path in paths])
    assert all(map(selection.covers, covered))
    assert not any(map(selection.covers, not_covered))


def test_line_ends_and_byte_order_mark(folder: Path) -> None:
    path = folder / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\r\nloss: b\r\n")
    assert read_spec(SpecFile(path, "a.yaml")).text == "name: a\nloss: b\n"


def test_not_utf8(folder: Path) -> None:
    path = folder / "a.yaml"
    path.write_bytes(b"name: \xff\n")
    with pytest.raises(SpecError) as caught:
        read_spec(SpecFile(path, "a.yaml"))
    (item,) = caught.value.diagnostics
    assert (item.code.id, item.file) == ("LG110", "a.yaml")
    assert "byte 6" in item.message


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="may read everything"
)
def test_unreadable(folder: Path) -> None:
    path = folder / "a.yaml"
    path.touch(mode=0)
    with pytest.raises(SpecError, match="LG110"):
        read_spec(SpecFile(path, "a.yaml"))
