import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lossgen.backend.header import write_header
from lossgen.driver.output import State, apply, diff, pending, plan
from lossgen.driver.project import Project
from lossgen.ir.artifact import Artifact


def artifact(name: str = "mse.py", body: str = "x = 1\n", spec: str = "a") -> Artifact:
    kind = "test" if name.startswith("test_") else "module"
    text = write_header(body, f"specs/{spec}.yaml", "0" * 16)
    return Artifact(name, kind, text)


def state_of(project: Project, item: Artifact) -> State:
    (change,) = plan([item], project).changes
    return change.state


def put(project: Project, name: str, text: str) -> Path:
    project.out.mkdir(exist_ok=True)
    path = project.out / name
    path.write_bytes(text.encode())
    return path


def test_create_update_unchanged(project: Project) -> None:
    assert state_of(project, artifact()) is State.CREATE
    apply(plan([artifact()], project))
    assert state_of(project, artifact()) is State.UNCHANGED
    assert state_of(project, artifact(body="x = 2\n")) is State.UPDATE
    apply(plan([artifact(body="x = 2\n")], project))
    assert (project.out / "mse.py").read_bytes().endswith(b"\nx = 2\n")


def test_modules_and_tests_go_to_their_folders(project: Project) -> None:
    apart = replace(project, tests=project.root / "tests")
    applied = apply(plan([artifact(), artifact("test_mse.py")], apart))
    shown = [change.shown for change in applied.written]
    assert shown == ["generated/mse.py", "tests/test_mse.py"]
    assert (apart.tests / "test_mse.py").exists()


def test_crlf_checkout_is_unchanged(project: Project) -> None:
    put(project, "mse.py", artifact().text.replace("\n", "\r\n"))
    assert state_of(project, artifact()) is State.UNCHANGED


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (artifact().text + "# mine\n", State.EDITED),
        ("x = 1\n", State.FOREIGN),
        ("", State.FOREIGN),
        (
            "\x00\udcff".encode("utf-8", "surrogateescape").decode("latin1"),
            State.FOREIGN,
        ),
    ],
)
def test_what_is_not_ours_is_kept_unless_forced(
    project: Project, text: str, state: State
) -> None:
    path = put(project, "mse.py", text)
    found = plan([artifact()], project)
    assert found.changes[0].state is state
    assert apply(found, prune=True).written == ()
    assert path.read_bytes() == text.encode()
    apply(found, force=True)
    assert path.read_text() == artifact().text


def test_a_folder_in_the_way_is_a_problem(project: Project) -> None:
    (project.out / "mse.py").mkdir(parents=True)
    found = plan([artifact()], project)
    assert found.changes[0].state is State.FOREIGN
    applied = apply(found, force=True)
    assert [item.code.id for item in applied.problems] == ["LG506"]
    assert [path.name for path in project.out.iterdir()] == ["mse.py"]


def test_out_that_is_a_file_is_a_problem(project: Project) -> None:
    project.out.write_text("")
    applied = apply(plan([artifact(), artifact("b.py")], project), force=True)
    assert len(applied.problems) == 2
    assert "generated/b.py cannot be written" in applied.problems[0].message


def test_orphans_are_found_by_header(project: Project) -> None:
    put(project, "old.py", artifact(spec="gone").text)
    put(project, "edited.py", artifact(spec="gone").text + "# mine\n")
    put(project, "foreign.py", "x = 1\n")
    put(project, "notes.txt", artifact().text)
    inner = project.out / "inner"
    inner.mkdir()
    (inner / "deep.py").write_text(artifact(spec="gone").text)
    found = plan([artifact()], project)
    orphans = {change.shown: change.edited for change in found.of(State.ORPHAN)}
    assert orphans == {
        "generated/edited.py": True,
        "generated/inner/deep.py": False,
        "generated/old.py": False,
    }
    assert apply(found).removed == ()
    removed = [change.shown for change in apply(found, force=True, prune=True).removed]
    assert removed == ["generated/inner/deep.py", "generated/old.py"]
    assert (project.out / "edited.py").exists()


@pytest.mark.parametrize("mark", ["pyproject.toml", "lossgen.toml", "pyvenv.cfg"])
def test_other_projects_below_are_left_alone(project: Project, mark: str) -> None:
    other = project.out / "vendored"
    other.mkdir(parents=True)
    (other / mark).touch()
    (other / "mse.py").write_text(artifact(spec="theirs").text)
    assert plan([], project).changes == ()


def test_files_of_failed_and_other_specs_are_no_orphans(project: Project) -> None:
    put(project, "a.py", artifact(spec="a").text)
    put(project, "b.py", artifact(spec="b").text)
    claimed = put(project, "c.py", artifact(spec="renamed").text)
    found = plan(
        [],
        project,
        covers=lambda spec: spec != "specs/b.yaml",
        failed={"specs/a.yaml"},
        claimed=[claimed],
    )
    assert found.changes == ()


def test_another_spelling_of_the_same_file_is_no_orphan(project: Project) -> None:
    path = put(project, "mse.py", artifact().text)
    try:
        os.link(path, project.out / "MSE.py")
    except FileExistsError:
        pytest.skip("the file system ignores case")
    assert plan([artifact()], project).of(State.ORPHAN) == ()


def test_new_files_obey_the_umask_and_old_ones_keep_their_mode(
    project: Project,
) -> None:
    if os.name == "nt":
        pytest.skip("no modes")
    apply(plan([artifact()], project))
    path = project.out / "mse.py"
    plain = project.root / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o444)
    assert not apply(plan([artifact(body="x = 2\n")], project)).problems
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert "x = 2" in path.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_written_through(project: Project) -> None:
    real = project.root / "elsewhere"
    real.mkdir()
    project.out.mkdir()
    (project.out / "mse.py").symlink_to(real / "real.py")
    apply(plan([artifact()], project))
    assert (project.out / "mse.py").is_symlink()
    assert (real / "real.py").read_text() == artifact().text


def test_a_failed_write_leaves_nothing_behind(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(project, "mse.py", artifact().text)

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    applied = apply(plan([artifact(body="x = 2\n")], project))
    assert "Permission denied" in applied.problems[0].message
    assert [item.name for item in project.out.iterdir()] == ["mse.py"]
    assert path.read_text() == artifact().text


def test_diff_is_what_patch_takes(project: Project) -> None:
    put(project, "mse.py", artifact().text.replace("\n", "\r\n"))
    put(project, "old.py", artifact(spec="gone", body="y\x0cz").text)
    found = plan([artifact(body="x = 2\n"), artifact("new.py", "n\n")], project)
    text = diff(pending(found, prune=True))
    assert "--- a/generated/mse.py\n+++ b/generated/mse.py\n" in text
    assert "\n-x = 1\n" in text
    assert "\n+x = 2\n" in text
    assert "--- /dev/null\n+++ b/generated/new.py\n" in text
    assert "--- a/generated/old.py\n+++ /dev/null\n" in text
    assert "-y\x0cz\n\\ No newline at end of file\n" in text
