"""An exception inside lossgen as a finding about the spec that it was working on."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path

from lossgen.diagnostics.diagnostic import Diagnostic, diagnostic
from lossgen.diagnostics.source import Span

FAULT = "LG901"

_PACKAGE = Path(__file__).resolve().parent.parent
_CALLS = 3


def fault(
    error: Exception, span: Span | None = None, path: str | None = None
) -> Diagnostic:
    """The finding that lossgen is at fault.

    With ``LOSSGEN_DEBUG=1`` in the environment it holds the whole traceback.

    Args:
        error: What was raised.
        span: The name of the spec.
        path: The file of the spec, where there is no name.
    """
    if os.environ.get("LOSSGEN_DEBUG") == "1":
        text = "".join(traceback.format_exception(error))
        notes = text.rstrip().splitlines()
    else:
        notes = [f"in {', called from '.join(_calls(error))}"]
    return diagnostic(FAULT, describe(error), span, notes=notes, path=path)


def describe(error: Exception) -> str:
    """An exception in a line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _calls(error: Exception) -> Iterator[str]:
    """The last functions of lossgen that were being called, the innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    own = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    for frame in (own or frames)[:_CALLS]:
        file = Path(frame.filename)
        shown = file.relative_to(_PACKAGE) if own else Path(file.name)
        yield f"{frame.name} ({shown.as_posix()}:{frame.lineno})"
