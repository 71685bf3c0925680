"""Names in specs, where TensorFlow, Keras and pytest run the files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
from commandline import run_lossgen

from lossgen.frontend.names import (
    RESERVED_PARAMETERS,
    RESERVED_VARIABLES,
    loss_name_fault,
)

IMPORTED = """
import sys, pytest, numpy, keras, tensorflow
print(*{name.partition(".")[0] for name in sys.modules})
"""

SPECS = """
name: columns
loss: mode*(log(tf)*guarded**2 + abs(guarded)) - excess*log(y_pred)
where: {guarded: y_true - y_pred, tf: 1 + y_pred**2}
y_pred: positive
params: {mode: 2.0, excess: 1.0}
---
name: testing
loss: -(value*y_true*log(y_pred) + values*(1 - y_true)*log(1 - y_pred))/loss
where: {values: 1 + from_logits**2, from_logits: y_true - y_pred}
y_true: binary
y_pred: {domain: probability, logits: sigmoid}
params: {value: {domain: positive}, loss: {default: 1.5, domain: positive}}
"""


def test_what_keras_and_pytest_import_cannot_be_hidden():
    """A loss of such a name in the folder of a test would be imported instead."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True
    )
    names = [n for n in done.stdout.split() if re.fullmatch(r"[a-z]\w*", n)]
    assert {"keras", "packaging"} <= set(names)
    assert [name for name in names if not loss_name_fault(name)] == []


def test_attributes_of_keras_losses_are_reserved():
    own = {name for name in dir(keras.losses.Loss()) if not name.startswith("_")}
    assert own <= RESERVED_PARAMETERS | RESERVED_VARIABLES


def test_losses_with_names_of_generated_code(tmp_path: Path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "names.yaml").write_text(SPECS, encoding="utf-8")
    project = '[tool.lossgen]\nspecs = ["specs"]\nout = "losses"\n'
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    built = run_lossgen("build", cwd=tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "losses"),
            *(
                "-k",
                "not in_its_own_process",
            ),
        ],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
