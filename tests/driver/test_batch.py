from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.driver.batch import compile_files
from lossgen.driver.discovery import find_specs
from lossgen.driver.project import Project

AddSpec = Callable[..., Path]


def test_several_processes_give_the_same(
    add_spec: AddSpec, project: Project, compile_one
) -> None:
    for number in range(9):
        add_spec(f"loss_{number}", "warning")
    files = find_specs(project).files
    alone = [repr(item) for item in compile_files(files, compile_one, 1)]
    together = [repr(item) for item in compile_files(files, compile_one, 3)]
    assert alone == together
    assert len(alone) == 9


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fault_is_that_of_its_spec_alone(
    add_spec: AddSpec, project: Project, compile_one, jobs: int
) -> None:
    add_spec("a")
    add_spec("b", "crash")
    add_spec("c")
    files = find_specs(project).files
    (a,), (b,), (c,) = compile_files(files, compile_one, jobs)
    assert [len(item.artifacts) for item in (a, b, c)] == [2, 0, 2]
    assert [item.is_fault for item in (a, b, c)] == [False, True, False]
    (found,) = b.diagnostics
    assert (found.code.id, found.file) == ("LG901", "specs/b.yaml")
    assert found.message == "RuntimeError: boom"
    assert found.notes[0].startswith("in _compile_file (driver/batch.py:")
