"""The layer law of pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commandline import ROOT

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs a checkout")
def test_layers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The layer law KEPT" in done.stdout
