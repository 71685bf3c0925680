"""What is said once more, and what prevents it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.driver.build_inputs import build_inputs
from lossgen.driver.discovery import find_specs
from lossgen.driver.project import load_project
from lossgen.driver.replay import FOLDER, record, replay

ARGS = ["build"]
SAID = "1 spec: 2 unchanged"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "inner"  # so that there is a folder above to write to
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "a.yaml").write_text("name: a\n")
    monkeypatch.chdir(folder)
    (folder / "lossgen.toml").write_text('templates = "own"\n')
    for name in ("generated", "generated/venv", "own", FOLDER):
        (folder / name).mkdir()
    (folder / "generated" / "venv" / "pyvenv.cfg").write_text("")
    (folder / "generated" / "a.py").write_text("")
    (folder / "own" / "x.jinja").write_text("")
    keep(folder, time.time_ns() + 10**9)
    assert replay(ARGS) == SAID
    return folder


def keep(folder: Path, now: int) -> None:
    project = load_project(folder)
    inputs = build_inputs(project, find_specs(project), ())
    record(str(folder / FOLDER), ARGS, SAID, inputs, now)


def names(folder: Path) -> list[str]:
    return [path.name for path in (folder / FOLDER).iterdir()]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "specs" / "a.yaml").write_text("x"),
        lambda folder: (folder / "specs" / "a.yaml").unlink(),
        lambda folder: (folder / "specs" / "b.yaml").write_text("x"),
        lambda folder: (folder / "specs" / "inner").mkdir(),
        lambda folder: (folder / "lossgen.toml").write_text("x"),
        lambda folder: (folder / "pyproject.toml").write_text("x"),
        lambda folder: (folder.parent / "lossgen.toml").write_text("x"),
        lambda folder: (folder / "generated" / "a.py").write_text("x"),
        lambda folder: (folder / "generated" / "a.py").unlink(),
        lambda folder: (folder / "generated" / "b.py").write_text("x"),
        lambda folder: (folder / "generated" / "venv" / "pyvenv.cfg").unlink(),
        lambda folder: (folder / "own" / "x.jinja").write_text("x"),
        lambda folder: (folder / "own" / "y.jinja").write_text("x"),
    ],
)
def test_any_change_counts(recorded: Path, change: Callable[[Path], object]) -> None:
    change(recorded)
    assert replay(ARGS) is None


def test_another_command_another_answer(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replay(["build", "--check"]) is None
    assert replay(["check"]) is None
    assert replay([]) is None
    monkeypatch.setattr(sys, "path", [*sys.path, "elsewhere"])
    assert replay(ARGS) is None


def test_another_folder_another_answer(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recorded / "specs")
    assert replay(ARGS) is None


@pytest.mark.parametrize("part", [0, 1, 10, 200])
def test_damage_is_no_answer(recorded: Path, part: int) -> None:
    (path,) = (recorded / FOLDER).iterdir()
    text = path.read_text()
    path.write_text(text[:part])
    assert replay(ARGS) is None
    path.write_text("\n".join(text.split("\n")[:-1]))  # one file less to look at
    assert replay(ARGS) is None
    path.write_bytes(b"\xff\x00")
    assert replay(ARGS) is None


def test_what_was_just_changed_is_not_trusted(recorded: Path) -> None:
    (recorded / "specs" / "a.yaml").write_text("x")
    for path in (recorded / FOLDER).iterdir():
        path.unlink()
    keep(recorded, (recorded / "specs" / "a.yaml").stat().st_mtime_ns)
    assert names(recorded) == []


def test_where_nothing_can_be_kept(recorded: Path) -> None:
    keep(recorded, time.time_ns() + 10**9)
    record(str(recorded / "nowhere"), ARGS, SAID, [], 1)
    assert not (recorded / "nowhere").exists()
