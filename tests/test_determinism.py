"""The same specs give the same bytes, whatever the process and the interpreter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import ROOT, run_lossgen, snapshot

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="needs a checkout"
)

VERSIONS = ("3.10", "3.11", "3.12", "3.13")


def build(folder: Path, seed: int, python: str | Path = sys.executable):
    """Build the catalogue into a folder; its files."""
    # From the checkout's root, so that the headers name the same specs.
    done = run_lossgen(
        "build", "specs", "--out", folder, "--force", "--no-cache",
        cwd=ROOT, python=python, env={"PYTHONHASHSEED": str(seed)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return snapshot(folder)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    files = build(tmp_path_factory.mktemp("reference"), seed=0)
    assert files
    return files


def test_what_is_checked_in_is_current() -> None:
    done = run_lossgen("build", "--check", "--no-cache", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_hash_seeds(seed: int, reference: dict[str, bytes], tmp_path: Path) -> None:
    assert differing(build(tmp_path, seed), reference) == []


def certificates(seed: int) -> str:
    """All that is said of the losses whose verdicts are known, as JSON."""
    done = run_lossgen(
        "check", "tests/cases/verdicts", "--format", "json",
        cwd=ROOT, env={"PYTHONHASHSEED": str(seed)},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr  # many of them are refused
    return done.stdout


@pytest.fixture(scope="module")
def reference_certificates() -> str:
    return certificates(0)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_certificates_under_hash_seeds(seed: int, reference_certificates: str) -> None:
    assert certificates(seed) == reference_certificates


@pytest.mark.parametrize("version", VERSIONS)
def test_interpreters(
    version: str, reference: dict[str, bytes], tmp_path: Path
) -> None:
    if version == ".".join(map(str, sys.version_info[:2])):
        pytest.skip("this is the interpreter of the reference")
    interpreter = find_interpreter(version)
    if interpreter is None:
        pytest.skip(f"no Python {version} here")
    python = installed(interpreter, tmp_path / "venv")
    assert differing(build(tmp_path / "out", 0, python), reference) == []


def differing(left: dict[str, bytes], right: dict[str, bytes]) -> list[str]:
    names = sorted({*left, *right})
    return [name for name in names if left.get(name) != right.get(name)]


def find_interpreter(version: str) -> str | None:
    """An interpreter that starts: a version manager's shim may not."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    managed = sorted(root.glob(f"versions/{version}.*/bin/python"))
    for path in (shutil.which(f"python{version}"), *map(str, managed)):
        if path and reported_version(path) == version:
            return path
    return None


def reported_version(python: str) -> str | None:
    done = subprocess.run([python, "--version"], capture_output=True, text=True)
    match = re.match(r"Python (\d+\.\d+)\.", done.stdout)
    return match[1] if done.returncode == 0 and match else None


def installed(interpreter: str, folder: Path) -> Path:
    """The interpreter of a new virtual environment that has lossgen."""
    subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return python
