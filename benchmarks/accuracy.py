"""How accurate generated losses are, beside the built-ins of Keras and naive code.

python benchmarks/accuracy.py [SPEC ...] [--points N] [--types float32,float64,float16]

Inputs are as large as the certificate says that they may be, or 1e18 where it says
nothing; with ``--beyond`` they are as large everywhere. The exit status is 1 if a
generated loss is over a bar without being a known exception, or less accurate than
Keras.

The error of a result is ``|result - exact|/(ulp(exact) + unit*sum(|x_i*df/dx_i|))``
over the inputs that are not labels: what a rounding of the inputs alone would change
counts as one. Below the normal range 0 is right, and where the exact result overflows,
an infinity of its sign. What is flushed to 0 inside of a sum counts: next to a term of
2e-36 a sum lacks one of 2e-39, as that of a softmax does where the logit of the right
class is 82 above the second and 89 above the third.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from subjects import BUILT_IN, Subject, computed, naive, tensors

from lossgen.calculus.evaluate import evaluate
from lossgen.compiler import Compilation, compile_source
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.accuracy import GRADIENT_BAR, VALUE_BAR
from lossgen.ir.expr import Role
from lossgen.ir.loss import Loss
from lossgen.ir.options import Options
from lossgen.oracle.accuracy import errors_of
from lossgen.oracle.evaluation import Formula, environment, on_logits
from lossgen.oracle.exact import Exact, exact
from lossgen.oracle.float_formats import FLOAT16, FLOAT32, FLOAT64
from lossgen.oracle.points import batches
from lossgen.oracle.samples import Batch

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Row:
    """The errors of one way to compute a loss, in one type and mode."""

    loss: str
    subject: str
    dtype: str
    mode: str
    quantity: str
    points: int
    largest: float
    p99: float
    mean: float
    not_finite: int
    wrong_zeros: int
    worst: str


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", nargs="*", type=Path, default=[ROOT / "specs"])
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--types", default="float32,float64,float16")
    parser.add_argument("--subjects", default="lossgen,keras,naive")
    parser.add_argument("--beyond", action="store_true")
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    options = parser.parse_args()
    rows: list[Row] = []
    print(_HEAD)
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        for compiled in _compiled(options.specs):
            for row in _measured(compiled, folder, options):
                rows.append(row)
                print(_line(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    faults = list(_judged(rows))
    print("\n".join(("", *faults)) if faults else "\nevery loss is within the bars")
    if any(line.startswith("FAULT") for line in faults):
        sys.exit(1)


@dataclass(frozen=True)
class Known:
    """What limits a loss that is over a bar, and what was tried.

    It covers errors of one quantity, up to ``largest``, with wrong zeros among them if
    ``zeros``; and if ``only`` names a type and a mode, in these alone: a limit of what
    TensorFlow or XLA computes in that type, where an exception is one of ours.
    """

    reason: str
    quantity: str
    largest: float = math.inf
    zeros: bool = False
    only: tuple[str, str] | None = None

    def covers(self, row: Row) -> bool:
        """Whether it explains a result."""
        return (
            row.quantity == self.quantity
            and self.only in (None, (row.dtype, row.mode))
            and row.largest <= self.largest
            and not row.not_finite
            and (self.zeros or not row.wrong_zeros)
        )


_LOG1P = (
    "log1p of XLA on CPUs is off by up to 127 ulp in float64 between -0.414 and -0.358"
)
KNOWN: dict[str, tuple[Known, ...]] = {
    "binary_crossentropy": (Known(_LOG1P, "value", 127, only=("float64", "xla")),),
    "binary_focal": (
        Known(_LOG1P, "value", 127, only=("float64", "xla")),
        Known(_LOG1P, "gradient", 127, only=("float64", "xla")),
    ),
    "binary_focal from logits": (
        Known(
            "between 2 and 3 times the smallest normal number the gradient is the sum "
            "of two parts that are below it, and each is flushed to 0 for itself. A "
            "gradient in closed form adds them before they are so small, at the price "
            "of a custom gradient for logits of 28.6 to 28.8 alone.",
            "gradient",
            zeros=True,
        ),
    ),
    "mixture_density_nll": (
        Known(
            "the gradient by a logit is the difference of the component's share before "
            "and after the target is seen; it is lost where all components are alike. "
            "Tried: the sum of p*expm1(difference of log densities), which is exact "
            "there and loses all where one component explains the target alone.",
            "gradient",
            zeros=True,
        ),
    ),
    "poisson": (
        Known(
            "the loss of three events where three are expected, 3 - 3*log(3) = -0.296, "
            "is a difference of terms eleven times as large: up to 10.4 ulp for "
            "predictions within 0.01 of 3. Tried: the logarithm of the prediction over "
            "e, in a branch of its own, which comes to 2.7 ulp and takes twice the "
            "time in eager mode.",
            "value",
            11,
        ),
    ),
}
"""By loss. There are no bars for float64, so that three losses are exceptions."""


def _judged(rows: list[Row]) -> Iterator[str]:
    """A line for each result that is over a bar or less accurate than Keras."""
    builtin = {
        (row.loss, row.dtype, row.mode, row.quantity): row.largest
        for row in rows
        if row.subject == "keras"
    }
    for row in rows:
        if row.subject != "lossgen":
            continue
        bar = VALUE_BAR if row.quantity == "value" else GRADIENT_BAR
        what = f"{row.loss}, {row.dtype}, {row.mode}, {row.quantity}"
        figures = f"{row.largest:.3g} ulp, {row.not_finite} not finite, "
        figures += f"{row.wrong_zeros} wrong zeros"
        if row.largest > bar or row.not_finite or row.wrong_zeros:
            fits = [item for item in KNOWN.get(row.loss, ()) if item.covers(row)]
            if fits:
                word = "limit" if fits[0].only else "exception"
                yield f"{word}: {what}: {figures}: {fits[0].reason}"
            else:
                yield f"FAULT: {what}: {figures}"
        known = builtin.get((row.loss, row.dtype, row.mode, row.quantity), math.inf)
        if row.largest > known + 1:
            yield f"FAULT: {what}: {row.largest:.3g} ulp, and Keras {known:.3g}"


_HEAD = (
    f"{'loss':<44} {'subject':<8} {'type':<8} {'mode':<6} {'of':<9} {'points':>6} "
    f"{'max':>9} {'p99':>9} {'mean':>9} {'nan/inf':>7} {'zeros':>5}  worst at"
)


def _line(row: Row) -> str:
    return (
        f"{row.loss:<44} {row.subject:<8} {row.dtype:<8} {row.mode:<6} "
        f"{row.quantity:<9} {row.points:>6} {row.largest:>9.3g} {row.p99:>9.3g} "
        f"{row.mean:>9.3g} {row.not_finite:>7} {row.wrong_zeros:>5}  {row.worst}"
    )


def _labelled(loss: Loss, batch: Batch) -> Batch:
    """The samples whose labels are not masked: random ones seldom are."""
    if loss.mask is None:
        return batch
    kept = evaluate(loss.mask, environment(batch))
    rows = np.broadcast_to(kept, (batch.rows, *kept.shape[1:])).reshape(batch.rows, -1)
    return batch.only(np.asarray(rows.all(axis=1), dtype=bool))


def _compiled(paths: list[Path]) -> Iterator[Compilation]:
    options = Options("lossgen", None, ".", (str(ROOT / "templates"),))
    for path in paths:
        files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
        for file in files:
            text = file.read_text(encoding="utf-8")
            for item in compile_source(SourceFile(file.name, text), options):
                if item.artifacts:
                    yield item


def _measured(
    compiled: Compilation, folder: str, options: argparse.Namespace
) -> Iterator[Row]:
    assert compiled.checked is not None
    assert compiled.program is not None
    loss = compiled.checked.loss
    Path(folder, f"{loss.name}.py").write_text(
        compiled.artifacts[0].text, encoding="utf-8"
    )
    importlib.invalidate_caches()
    generated = getattr(importlib.import_module(loss.name), loss.name)
    for logits in (False, True) if loss.spec.y_pred.logits else (False,):
        expression = on_logits(loss) if logits else loss.expression
        formula = Formula(loss, expression)
        name = f"{loss.name} from logits" if logits else loss.name
        for dtype in options.types.split(","):
            sizes = () if options.beyond else compiled.program.reach or ()
            parts = batches(loss, options.points, dtype, logits=logits, sizes=sizes)
            unit = (FLOAT64 if dtype == "float64" else FLOAT32).unit
            references = [
                found
                for part in parts
                if (found := exact(formula, _labelled(loss, part), unit))
            ]
            if not references:
                print(f"{name}: no point has a reference")
                continue
            parameters = references[0].batch.parameters
            lengths = {v.name for v in loss.variables if v.role is Role.SIZE}
            keywords: dict[str, Any] = {
                key: value.astype("float64" if dtype == "float64" else "float32")
                for key, value in parameters.items()
                if key not in lengths
            }
            if logits:
                keywords["from_logits"] = True
            subjects: dict[str, Subject] = {
                "lossgen": partial(generated, **keywords),
                "naive": naive(loss, expression, parameters, dtype),
            }
            if loss.spec.y_true.unused:
                subjects["lossgen"] = partial(_without_target, subjects["lossgen"])
            if name in BUILT_IN:
                subjects["keras"] = BUILT_IN[name]
            for subject in options.subjects.split(","):
                if subject not in subjects:
                    continue
                for mode in ("eager", "xla"):
                    yield from _rows(
                        name, loss, subject, subjects[subject], dtype, mode, references
                    )


def _without_target(subject: Subject, _: Any, y_pred: Any) -> Any:
    return subject(None, y_pred)


def _rows(
    name: str,
    loss: Loss,
    subject: str,
    function: Subject,
    dtype: str,
    mode: str,
    references: list[Exact],
) -> Iterator[Row]:
    # What comes in as float16 is computed in float32; its gradient is float16 again.
    like = FLOAT64 if dtype == "float64" else FLOAT32
    like_gradient = FLOAT16 if dtype == "float16" else like
    inputs = [tensors(loss, item.batch, dtype) for item in references]
    results = [computed(function, *pair, xla=mode == "xla") for pair in inputs]
    pairs = [
        errors_of(result, item, like, like_gradient)
        for result, item in zip(results, references, strict=True)
    ]
    for quantity, errors in (
        ("value", [value for value, _ in pairs]),
        ("gradient", [gradient for _, gradient in pairs]),
    ):
        sizes = np.concatenate([item.sizes.reshape(-1) for item in errors])
        finite = sizes[np.isfinite(sizes)]
        part = max(range(len(errors)), key=lambda k: errors[k].sizes.max())
        worst = errors[part].sizes
        row = np.unravel_index(np.argmax(worst), worst.shape)[0]
        yield Row(
            name,
            subject,
            dtype,
            mode,
            quantity,
            points=int(sizes.size),
            largest=float(finite.max(initial=0.0)),
            p99=float(np.percentile(finite, 99)) if finite.size else 0.0,
            mean=float(finite.mean()) if finite.size else 0.0,
            not_finite=int((~np.isfinite(sizes)).sum()),
            wrong_zeros=sum(int(item.zeros.sum()) for item in errors),
            worst=" ".join(str(item[row].tolist()) for item in inputs[part]),
        )


if __name__ == "__main__":
    main()
