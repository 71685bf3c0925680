from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lossgen.driver.build import BuildMode, BuildResult, build, check, shown_changes
from lossgen.driver.discovery import find_specs
from lossgen.driver.project import Project

Run = Callable[..., BuildResult]
AddSpec = Callable[..., Path]
CHECK = BuildMode(check=True)


@pytest.fixture
def run(project: Project, compile_one) -> Run:
    def run_build(
        *paths: str, mode: BuildMode | None = None, project: Project = project
    ) -> BuildResult:
        selection = find_specs(project, [Path(path) for path in paths])
        return build(project, selection, mode, compile_one=compile_one)

    return run_build


def codes(result: BuildResult) -> list[str]:
    return [item.code.id for item in result.diagnostics]


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "generated").iterdir()}


def test_build_then_check(folder: Path, add_spec: AddSpec, run: Run) -> None:
    add_spec("a")
    add_spec("b")
    missing = run(mode=CHECK)
    assert codes(missing) == ["LG504"] * 4
    assert not missing.ok
    assert not (folder / "generated").exists()
    assert run().ok
    assert files(folder) == {"a.py", "b.py", "test_a.py", "test_b.py"}
    assert run(mode=CHECK).ok


def test_every_kind_of_drift(folder: Path, add_spec: AddSpec, run: Run) -> None:
    for name in "abcd":
        add_spec(name)
    run()
    add_spec("a", "changed")
    (folder / "specs" / "b.yaml").unlink()
    with (folder / "generated" / "c.py").open("a") as file:
        file.write("# mine\n")
    (folder / "generated" / "d.py").unlink()
    (folder / "generated" / "test_d.py").write_text("# mine\n")
    result = run(mode=CHECK)
    found = {item.path: item.code.id for item in result.findings}
    assert found == {
        "generated/a.py": "LG503",
        "generated/test_a.py": "LG503",
        "generated/b.py": "LG505",
        "generated/test_b.py": "LG505",
        "generated/c.py": "LG501",
        "generated/d.py": "LG504",
        "generated/test_d.py": "LG502",
    }


def test_one_bad_spec_does_not_stop_the_others(
    folder: Path, add_spec: AddSpec, run: Run
) -> None:
    for name in "abc":
        add_spec(name)
    run()
    add_spec("b", "error")
    add_spec("c", "changed")
    (folder / "specs" / "a.yaml").write_bytes(b"\xff")
    result = run(mode=BuildMode(prune=True))
    assert codes(result) == ["LG110", "LG203"]
    assert "changed" in (folder / "generated" / "c.py").read_text()
    assert {"a.py", "b.py"} <= files(folder)


def test_a_failed_spec_that_moved_keeps_its_files(
    folder: Path, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a")
    run()
    (folder / "specs" / "a.yaml").unlink()
    add_spec("a", "error", file="moved.yaml")
    run(mode=BuildMode(prune=True))
    assert files(folder) == {"a.py", "test_a.py"}


def test_one_bad_document_does_not_stop_the_others(
    folder: Path, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a", "error\nname: b\n")
    run()
    assert files(folder) == {"b.py", "test_b.py"}


def test_orphans_are_only_mentioned_by_a_build(
    folder: Path, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a")
    add_spec("b")
    run()
    (folder / "specs" / "b.yaml").unlink()
    assert run().ok
    assert "b.py" in files(folder)
    assert run(mode=BuildMode(prune=True)).ok
    assert files(folder) == {"a.py", "test_a.py"}


def test_a_subset_does_not_speak_for_the_rest(
    folder: Path, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a")
    add_spec("b", file="sub/b.yaml")
    run()
    (folder / "specs" / "sub" / "b.yaml").unlink()
    assert run("specs/a.yaml", mode=CHECK).ok
    assert codes(run("specs/sub", mode=CHECK)) == ["LG505"] * 2
    assert codes(run("specs", mode=CHECK)) == ["LG505"] * 2


def test_a_renamed_loss_leaves_orphans(
    folder: Path, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a")
    run()
    add_spec("b", file="a.yaml")
    assert codes(run(mode=CHECK)) == ["LG505", "LG504", "LG505", "LG504"]


def test_dry_run_blames_edits_but_writes_nothing(
    folder: Path, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a")
    run()
    add_spec("b")
    path = folder / "generated" / "a.py"
    path.write_text(path.read_text() + "# mine\n")
    mode = BuildMode(dry=True)
    result = run(mode=mode)
    assert codes(result) == ["LG501"]
    assert files(folder) == {"a.py", "test_a.py"}
    shown = [change.shown for change in shown_changes(result, mode)]
    assert shown == ["generated/a.py", "generated/b.py", "generated/test_b.py"]
    assert run(mode=BuildMode(force=True)).ok
    assert "# mine" not in path.read_text()


@pytest.mark.parametrize("other", ["a", "A"])
def test_two_specs_for_one_file(
    folder: Path, add_spec: AddSpec, run: Run, other: str
) -> None:
    add_spec("a")
    add_spec("b")
    run()
    add_spec(other, file="second.yaml")
    result = run(mode=BuildMode(prune=True))
    assert codes(result) == ["LG109"] * 2
    assert files(folder) == {"a.py", "test_a.py", "b.py", "test_b.py"}
    notes = [item.notes for item in result.diagnostics]
    assert notes[0] == (f"{other} is in specs/second.yaml:1",)
    assert notes[1] == ("a is in specs/a.yaml:1",)


def test_a_module_named_like_anothers_test(
    project: Project, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a")
    add_spec("test_a")
    assert codes(run()) == ["LG109"] * 2
    apart = replace(project, tests=project.root / "tests", module="m")
    assert run(project=apart).ok


def test_warnings_as_errors(
    folder: Path, project: Project, add_spec: AddSpec, run: Run
) -> None:
    add_spec("a", "warning")
    assert run(mode=CHECK).outcomes[0].artifacts
    strict = replace(project, warnings_as_errors=True)
    assert not run(project=strict).ok
    assert not (folder / "generated").exists()


def test_order_follows_the_files(add_spec: AddSpec, project: Project, compile_one):
    for name in "cab":
        add_spec(name)
    outcomes = check(project, find_specs(project), compile_one=compile_one)
    assert [outcome.name for outcome in outcomes] == ["a", "b", "c"]
