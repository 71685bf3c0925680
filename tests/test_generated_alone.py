"""What a generated loss needs: its two files, and not lossgen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

GENERATED = Path(__file__).parents[1] / "generated"

# An entry of None in sys.modules makes every import of that name fail.
RUN = """
import sys
for name in ("lossgen", "sympy", "jinja2", "black", "mpmath", "ruamel.yaml"):
    sys.modules[name] = None
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "."]))
"""


def test_two_files_in_an_empty_folder_pass(tmp_path: Path) -> None:
    for name in ("huber.py", "test_huber.py"):
        shutil.copy(GENERATED / name, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
