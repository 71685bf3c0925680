"""The command line in a process of its own, as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lossgen

PACKAGE_ROOT = Path(lossgen.__file__).resolve().parent.parent
ROOT = Path(__file__).resolve().parent.parent
START = ("-m", "lossgen")


def run_lossgen(
    *args: str | Path,
    cwd: Path,
    python: str | Path = sys.executable,
    python_options: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``lossgen`` with arguments in a folder."""
    # The same lossgen as the tests import, installed or not.
    own = {"PYTHONPATH": str(PACKAGE_ROOT)} if python == sys.executable else {}
    return subprocess.run(
        [str(python), *python_options, *START, *map(str, args)],
        cwd=cwd,
        env={**os.environ, **own, **(env or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    """The files of a folder and their bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
