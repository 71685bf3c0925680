"""A spec to start from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import SpecError
from lossgen.diagnostics.source import SourceFile
from lossgen.driver.catalogue import catalogue_spec
from lossgen.driver.discovery import UsageError
from lossgen.driver.project import Project

if TYPE_CHECKING:
    from lossgen.compiler import Compilation

_STARTER = """\
# Compile with: lossgen build
name: {name}
title: {title}
# description: What it is for, and when to prefer it.
# reference: Author et al. 2020, https://doi.org/10.1000/example

# The loss of one element: numbers, names, + - * / **, comparisons, `a if c else b`,
# and functions such as exp, log, abs, max(u, v) or sum(u, axis=last).
loss: square(error)

# Names for parts of the formula.
where:
  error: y_pred - y_true

# Where the inputs come from: real, positive, nonnegative, probability, unit, binary,
# one_hot, simplex, or an interval such as "[0, 1]" (with its quotes).
y_true: real
y_pred: real

# Parameters become keyword arguments.
# params:
#   delta: {{default: 1.0, domain: delta > 0, description: Where the tails begin.}}

# What the build shall hold you to.
# smoothness: C1
# properties: [nonnegative, zero_at_target, convex]
"""
_NAME_VALUE = re.compile(r"^(name:[ \t]*)[^\s#]+", re.MULTILINE)


def new_spec(
    project: Project,
    name: str,
    model: str | None = None,
    *,
    check_source: Callable[[SourceFile], tuple[Compilation, ...]],
) -> Path:
    """Write a spec to start from; what it writes passes the check.

    Args:
        project: Says where specs lie.
        name: The name of the new loss.
        model: The name of the catalogue's loss to copy; None: a commented example.
        check_source: The compiler up to the certificate.

    Returns:
        The new file.

    Raises:
        UsageError: If the file exists, or the catalogue has no such model.
        SpecError: If the name cannot be used.
    """
    path = _folder(project) / f"{name}.yaml"
    text = _from_catalogue(name, model) if model else _starter(name)
    source = SourceFile(project.relative(path), text)
    _refuse_errors(check_source(source))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{project.relative(path)} exists already") from None
    return path


def _folder(project: Project) -> Path:
    first = project.specs[0] if project.specs else project.root
    return first.parent if first.is_file() else first


def _starter(name: str) -> str:
    title = name.replace("_", " ").capitalize()
    return _STARTER.format(name=name, title=title)


def _from_catalogue(name: str, model: str) -> str:
    text = catalogue_spec(model)
    return _NAME_VALUE.sub(lambda match: match[1] + name, text, count=1)


def _refuse_errors(compilations: tuple[Compilation, ...]) -> None:
    errors = [
        item
        for compilation in compilations
        for item in compilation.diagnostics
        if item.severity is Severity.ERROR
    ]
    if errors:
        raise SpecError(errors)
