"""Losses from YAML text, without the check and without TensorFlow."""

from __future__ import annotations

import textwrap
from pathlib import Path

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.reader import read
from lossgen.frontend.resolver import resolve
from lossgen.frontend.schema import read_specs
from lossgen.ir.expr import Apply, Axis, Role, Symbol, number
from lossgen.ir.loss import Certificate, CheckedLoss, Loss, Smoothness
from lossgen.ir.options import Options
from lossgen.ir.program import LossProgram
from lossgen.transform.lower import lower

ROOT = Path(__file__).parent.parent
OPTIONS = Options("lossgen", None, ".", (str(ROOT / "templates"),))

P = Symbol("y_pred", Role.Y_PRED)
T = Symbol("y_true", Role.Y_TRUE)
A = Symbol("a", Role.PARAMETER)
B = Symbol("b", Role.PARAMETER)
LAST = Axis.LAST


def call(op, *args, axis=None):
    """An operation as written, nothing folded; numbers may stand for themselves."""
    exprs = tuple(a if hasattr(a, "children") else number(a) for a in args)
    return Apply(op, exprs, axis)


def resolved(text: str) -> Loss:
    """The loss of one YAML document; ``name`` may be left out."""
    text = textwrap.dedent(text)
    if "name:" not in text.split("\n")[0]:
        text = f"name: some_loss\n{text}"
    (found,) = resolved_all(text)
    return found


def resolved_all(text: str) -> list[Loss]:
    """The losses of a file."""
    report = Report()
    losses = [
        resolve(spec, report)
        for spec in read_specs(read(_source(text), report), report)
    ]
    assert not report.has_errors, [item.message for item in report]
    return [loss for loss in losses if loss is not None]


def _source(text: str) -> SourceFile:
    return SourceFile("specs/some_loss.yaml", text)


def unproved(loss: Loss) -> CheckedLoss:
    """The loss with the certificate of a check that found nothing."""
    return CheckedLoss(loss, Certificate(Smoothness.SMOOTH, (), (), (), ()), ())


def lowered(text: str) -> LossProgram:
    return lower(unproved(resolved(text)))


def catalogue() -> dict[str, Loss]:
    """Every loss of the catalogue."""
    paths = sorted((ROOT / "specs").glob("*.yaml"))
    losses = [loss for path in paths for loss in resolved_all(path.read_text("utf-8"))]
    return {loss.name: loss for loss in losses}
