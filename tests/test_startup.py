"""What starting up imports: TensorFlow never, SymPy and Black only to compile."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import run_lossgen

HEAVY = {"sympy", "black", "numpy", "tensorflow", "keras"}


def imported(*args: str, cwd: Path) -> set[str]:
    """The top-level packages that a command imports."""
    done = run_lossgen(*args, cwd=cwd, python_options=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    rows = [
        line for line in done.stderr.splitlines() if line.startswith("import time:")
    ]
    assert rows
    return {row.rpartition("|")[2].strip().partition(".")[0] for row in rows}


@pytest.mark.parametrize(
    "args", [["--help"], ["build", "--help"], ["--version"], ["explain", "LG402"]]
)
def test_light_commands_stay_light(args: list[str], tmp_path: Path) -> None:
    assert not imported(*args, cwd=tmp_path) & HEAVY


def test_build_never_imports_tensorflow(tmp_path: Path) -> None:
    spec = "name: my_mse\nloss: square(y_pred - y_true)\n"
    (tmp_path / "mse.yaml").write_text(spec)
    assert not imported("build", "mse.yaml", cwd=tmp_path) & {"tensorflow", "keras"}
    assert (tmp_path / "generated" / "my_mse.py").exists()
