"""Generated tests pass on the modules that they come with, whatever a loss is made of.

The catalogue's tests run by themselves; these are losses that a test has to be careful
with: masks, guards that are given, sizes, labels that cancel out, slopes that are held.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lossgen.compiler import compile_source
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.options import Options

ROOT = Path(__file__).parents[1]
OPTIONS = Options("lossgen", None, ".", (str(ROOT / "templates"),))
SPECS = {
    name: text
    for path in sorted((ROOT / "tests" / "cases" / "good").glob("*.yaml"))
    for text in re.split(r"^---\n", path.read_text("utf-8"), flags=re.MULTILINE)
    for name in re.findall(r"^name: *(\w+)", text, re.MULTILINE)
}
GROUPS = {
    "masks": (
        *("masked_below", "masked_extremes", "masked_largest", "masked_norms"),
        *("masked_rows", "masked_shares", "masked_true_class", "sparse_scores"),
        "entropy_of_allowed_classes",
    ),
    "shapes": (
        *("broadcast_target", "mask_of_a_sized_channel", "size_around_a_scalar"),
        *("size_told_by_the_target", "batch_contrast", "weight_map"),
        *("sample_crossentropy", "spatial_crossentropy"),
    ),
    "formulas": (
        *("guarded_epsilon", "guarded_reduction", "cubed_gap", "power_branch"),
        *("detached", "squashed", "compound_poisson_deviance", "capped_deviance"),
    ),
}


@pytest.mark.parametrize("group", GROUPS)
def test_generated_tests_pass(group: str, tmp_path: Path) -> None:
    for name in GROUPS[group]:
        (compiled,) = compile_source(SourceFile(f"{name}.yaml", SPECS[name]), OPTIONS)
        module, test = compiled.artifacts
        (tmp_path / f"{name}.py").write_text(module.text, "utf-8")
        (tmp_path / f"test_{name}.py").write_text(test.text, "utf-8")
    # One process for a group; XLA and processes of their own take most of the time.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "no:xdist", "-k", "not own_process and not xla", "."]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
