"""The function of a spec, compiled in memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from lossgen.backend.emit_module import emit_module
from lossgen.compiler import check_source
from lossgen.diagnostics.source import SourceFile
from lossgen.ir.loss import Loss
from lossgen.ir.options import Options
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.placeholders import placeholders
from lossgen.transform.lower import lower

_TEMPLATES = (str(Path(__file__).parent.parent / "templates"),)
_OPTIONS = Options("lossgen", None, ".", _TEMPLATES)


@dataclasses.dataclass(frozen=True)
class Generated:
    """A resolved loss and the function that is generated for it."""

    loss: Loss
    function: Any


def compiled(text: str) -> Generated | None:
    """The loss of a spec's text, None where it is refused."""
    (found,) = check_source(SourceFile("spec.yaml", text))
    if found.checked is None:
        return None
    loss = found.checked.loss
    program = lower(
        found.checked, lambda logits: Measured(loss, logits=logits, bounds=True)
    )
    source = emit_module(program, placeholders(loss), _OPTIONS)
    names: dict[str, Any] = {"__name__": f"generated_{loss.name}"}
    exec(compile(source, f"{loss.name}.py", "exec"), names)  # noqa: S102 (just emitted)
    return Generated(loss, names[loss.name])
