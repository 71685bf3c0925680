import subprocess
import sys
from pathlib import Path

import pytest

import lossgen

MSE = "name: my_mse\nloss: square(y_pred - y_true)\n"
MAE = "name: my_mae\nloss: abs(y_pred - y_true)\n"
BAD = "name: bad\nloss: y_pred - y_true * log(y_pred)\n"


def test_importing_the_package_imports_nothing_else() -> None:
    script = (
        "import sys, lossgen; dir(lossgen); "
        "print([n for n in sys.modules if n.startswith('lossgen.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(Path(lossgen.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        lossgen.nonsense  # noqa: B018 - the access is the test
    assert set(lossgen.__all__) <= set(dir(lossgen))


def test_load(folder: Path) -> None:
    (folder / "two.yaml").write_text(f"{MSE}---\n{MAE}")
    losses = lossgen.load("two.yaml")
    assert [loss.name for loss in losses] == ["my_mse", "my_mae"]


def test_errors_raise(folder: Path) -> None:
    (folder / "bad.yaml").write_text(BAD)
    for verb in (lossgen.load, lossgen.compile):
        with pytest.raises(lossgen.SpecError) as caught:
            verb("bad.yaml")
        assert [item.code.id for item in caught.value.diagnostics] == ["LG301"]
        with pytest.raises(FileNotFoundError):
            verb("nowhere.yaml")


def test_compile(folder: Path) -> None:
    (folder / "two.yaml").write_text(f"{MSE}---\n{MAE}")
    (folder / "mae.yaml").write_text(MAE)
    with pytest.raises(ValueError, match="2 specs in one file"):
        lossgen.compile("two.yaml")
    _, mae = lossgen.load("two.yaml")
    of_loss, of_spec = lossgen.compile(mae), lossgen.compile(mae.spec)
    assert of_loss.artifacts == of_spec.artifacts
    assert [item.path for item in of_loss.artifacts] == ["my_mae.py", "test_my_mae.py"]
    assert lossgen.compile(Path("mae.yaml")).name == "my_mae"


def test_build(folder: Path) -> None:
    (folder / "specs" / "mse.yaml").write_text(MSE)
    missing = lossgen.build(check=True)
    assert [item.code.id for item in missing.diagnostics] == ["LG504"] * 2
    assert not missing.ok
    assert lossgen.build(out="here").ok
    assert (folder / "here" / "my_mse.py").exists()
    with pytest.raises(FileNotFoundError):
        lossgen.build(["nowhere"])
    (folder / "lossgen.toml").write_text("oops = 1\n")
    with pytest.raises(lossgen.SpecError, match="LG506"):
        lossgen.build()
