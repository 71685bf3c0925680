"""Losses that are generated while the tests run, one module at a time, on demand."""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from lossgen.backend.emit_module import emit_module
from lossgen.compiler import Compilation, check_source
from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.render import render_text
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.options import Options
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.guard_points import settled_guards
from lossgen.oracle.placeholders import placeholders
from lossgen.transform.lower import lower

ROOT = Path(__file__).parent.parent
SPECS = (ROOT / "specs", ROOT / "tests" / "cases" / "good")
OPTIONS = Options("lossgen", None, ".", (str(ROOT / "templates"),))

_FOLDER = tempfile.TemporaryDirectory(prefix="losses-")
FOLDER = Path(_FOLDER.name)
"""Where the modules of this process lie; it is on the import path."""
sys.path.insert(0, _FOLDER.name)


def module(name: str, *, chosen: bool = False) -> ModuleType:
    """The module of a loss, generated from its spec on the first call.

    Args:
        name: The loss.
        chosen: Whether its form is chosen by measure, as a build does.
    """
    generate(name, chosen=chosen)
    return importlib.import_module(name)


def function(name: str, *, chosen: bool = False) -> Any:
    """The function of a loss."""
    return getattr(module(name, chosen=chosen), name)


def loss_class(name: str) -> Any:
    """The Keras loss class of a loss."""
    return getattr(module(name), class_name(name))


def class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


@functools.cache
def generate(name: str, *, chosen: bool = False) -> None:
    """Write the module of a loss."""
    (compiled,) = [item for item in _checked(_documents()[name]) if item.name == name]
    assert compiled.checked is not None, render_text(compiled.diagnostics)
    harmless = placeholders(compiled.checked.loss)
    assert harmless is not None, f"no placeholders for {name}"
    loss = compiled.checked.loss
    measure = (lambda logits: Measured(loss, logits=logits)) if chosen else None
    program = lower(
        compiled.checked,
        measure,
        lambda form, guards: settled_guards(loss, form, guards, Report()),
    )
    source = emit_module(program, harmless, OPTIONS)
    (FOLDER / f"{name}.py").write_text(source, encoding="utf-8")
    importlib.invalidate_caches()


@functools.cache
def _documents() -> dict[str, Path]:
    """The spec file of each loss."""
    return {
        name: path
        for folder in SPECS
        for path in sorted(folder.glob("*.yaml"))
        for name in re.findall(r"^name: *(\w+)", path.read_text("utf-8"), re.MULTILINE)
    }


@functools.cache
def _checked(path: Path) -> tuple[Compilation, ...]:
    relative = path.relative_to(ROOT).as_posix()
    return check_source(SourceFile(relative, path.read_text("utf-8")))
