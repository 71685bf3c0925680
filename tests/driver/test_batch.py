from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.driver.batch import CompilerError, compile_files
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
def test_a_fault_names_the_spec(
    add_spec: AddSpec, project: Project, compile_one, jobs: int
) -> None:
    add_spec("a")
    add_spec("b", "crash")
    with pytest.raises(CompilerError) as caught:
        list(compile_files(find_specs(project).files, compile_one, jobs))
    assert caught.value.spec == "specs/b.yaml"
    assert caught.value.fault == "RuntimeError: boom"
