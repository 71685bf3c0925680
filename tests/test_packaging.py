"""The wheel: complete, and at home anywhere."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from commandline import ROOT, run_lossgen, snapshot

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="needs a checkout"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Isolation downloads the build backend; it is not needed where there is one.
    backend = importlib.util.find_spec("hatchling")
    isolation = ["--no-isolation"] if backend else []
    command = [sys.executable, "-m", "build", "--wheel", *isolation]
    done = subprocess.run(
        [*command, "--outdir", str(folder), str(ROOT)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--target", str(folder), str(wheel)],
        check=True,
    )  # fmt: skip
    return folder


def names_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }


def test_the_wheel_is_complete(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"lossgen/cli.py", "lossgen/py.typed"} <= names
    templates = {
        f"lossgen/templates/{name}" for name in names_below(ROOT / "templates")
    }
    catalogue = {f"lossgen/catalogue/{name}" for name in names_below(ROOT / "specs")}
    assert templates
    assert catalogue
    assert templates | catalogue <= names
    assert not [name for name in names if "__pycache__" in name]
    assert not [name for name in names if "test" in name.partition("/")[0]]
    assert not [name for name in names if name.startswith("generated")]


def test_a_spec_builds_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    spec = "name: my_mse\nloss: square(y_pred - y_true)\n"
    (tmp_path / "mse.yaml").write_text(spec)
    env = {"PYTHONPATH": str(installed)}
    done = run_lossgen("build", "mse.yaml", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(snapshot(tmp_path / "generated")) == {"my_mse.py", "test_my_mse.py"}


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    script = "from lossgen.driver import resources as r; print(r.templates_folder())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == installed.resolve() / "lossgen" / "templates"


def test_the_catalogue_travels_along(installed: Path, tmp_path: Path) -> None:
    (name, *_) = sorted(path.stem for path in (ROOT / "specs").rglob("*.yaml"))
    env = {"PYTHONPATH": str(installed)}
    done = run_lossgen("new", "mine", "--from", name, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
