"""What starting up imports: TensorFlow never, SymPy and Black only to compile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commandline import PACKAGE_ROOT, run_lossgen

HEAVY = {
    "sympy", "black", "numpy", "mpmath", "jinja2", "ruamel", "tensorflow",
    "keras",
}  # fmt: skip
SPEC = "name: my_mse\nloss: square(y_pred - y_true)\n"


def imported(*args: str, cwd: Path) -> set[str]:
    """The modules that a command imports."""
    done = run_lossgen(*args, cwd=cwd, python_options=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    rows = [
        line for line in done.stderr.splitlines() if line.startswith("import time:")
    ]
    assert rows
    return {row.rpartition("|")[2].strip() for row in rows}


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    "args", [["--help"], ["build", "--help"], ["--version"], ["explain", "LG402"]]
)
def test_light_commands_stay_light(args: list[str], tmp_path: Path) -> None:
    assert not packages(imported(*args, cwd=tmp_path)) & HEAVY


def test_build_never_imports_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "mse.yaml").write_text(SPEC)
    found = packages(imported("build", "mse.yaml", cwd=tmp_path))
    assert "sympy" in found or "black" in found
    assert not found & {"tensorflow", "keras"}
    assert (tmp_path / "generated" / "my_mse.py").exists()


def test_it_ends_without_a_search_for_garbage_but_not_at_once(tmp_path: Path) -> None:
    (tmp_path / "mse.yaml").write_text(SPEC)
    script = """
import atexit, gc, sys
from lossgen.__main__ import main
atexit.register(lambda: print("frozen", gc.get_freeze_count() > 100_000))
sys.argv[1:] = ["build", "mse.yaml"]
main()
"""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["1 spec: 2 created", "frozen True"]


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "lossgen.toml").write_text('specs = "."\n')
    (tmp_path / "mse.yaml").write_text(SPEC)
    assert run_lossgen("build", cwd=tmp_path).returncode == 0
    return tmp_path


def test_a_build_with_nothing_to_do_compiles_nothing(built: Path) -> None:
    modules = imported("build", cwd=built)
    assert "lossgen.driver.output" in modules  # it looked at the files
    assert not packages(modules) & HEAVY
    (built / "generated" / "my_mse.py").unlink()
    assert not packages(imported("build", cwd=built)) & HEAVY
    assert (built / "generated" / "my_mse.py").exists()


def test_the_same_build_once_more_imports_next_to_nothing(built: Path) -> None:
    time.sleep(2.1)  # what was changed a moment ago is not trusted to be as it seems
    run_lossgen("build", cwd=built)
    modules = imported("build", cwd=built)
    own = {name for name in modules if packages({name}) == {"lossgen"}}
    assert own == {
        "lossgen", "lossgen.driver", "lossgen.driver.replay",
    }  # fmt: skip
    slow = {*HEAVY, "pydantic", "typer", "click", "rich", "dataclasses", "typing"}
    assert not packages(modules) & slow
