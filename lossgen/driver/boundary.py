"""The outermost boundary: from whatever happened to an exit code."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable

from lossgen.diagnostics.diagnostic import SpecError
from lossgen.driver.batch import CompilerError
from lossgen.driver.discovery import UsageError
from lossgen.driver.formats import Format
from lossgen.driver.version import version

FINE = 0
PROBLEMS = 1
WRONG_USAGE = 2
INTERNAL_FAULT = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

_SHAPING = ("lossgen", "sympy", "mpmath", "numpy", "jinja2", "black", "pydantic")


def guard(action: Callable[[], int], format_: Format = Format.TEXT) -> int:
    """Run a command and return its exit code, whatever it raises."""
    try:
        code = action()
        sys.stdout.flush()
    except UsageError as error:
        print(f"lossgen: {error}", file=sys.stderr)
        return WRONG_USAGE
    except SpecError as error:
        _report_unusable(error, format_)
        return WRONG_USAGE
    except KeyboardInterrupt:
        print("lossgen: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except Exception as fault:
        _report_fault(fault)
        return INTERNAL_FAULT
    return code


def _report_unusable(error: SpecError, format_: Format) -> None:
    from lossgen.driver.report import report_findings

    report_findings(error.diagnostics, format_, sys.stderr)


def _silence_stdout() -> None:
    # Python flushes it once more at exit, which would fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_fault(fault: Exception) -> None:
    print(_fault_text(fault), file=sys.stderr)
    if os.environ.get("LOSSGEN_DEBUG") == "1":
        traceback.print_exception(type(fault), fault, fault.__traceback__)


def _fault_text(fault: Exception) -> str:
    lines = [f"error[LG901]: {_describe(fault)}"]
    if isinstance(fault, CompilerError):
        lines.append(f"  --> {fault.spec}")
    lines += [
        "This is a fault of lossgen, not of the spec. Please report it, with the spec,",
        f"the command line, and: {_versions()}.",
    ]
    if os.environ.get("LOSSGEN_DEBUG") != "1":
        lines.append("With LOSSGEN_DEBUG=1 in the environment it prints a traceback.")
    return "\n".join(lines)


def _describe(fault: Exception) -> str:
    if isinstance(fault, CompilerError):
        return fault.fault
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})"
    return f"{type(fault).__name__}: {fault}{place if frames else ''}"


def _versions() -> str:
    words = [f"{name} {version(name)}" for name in _SHAPING]
    words += [f"Python {platform.python_version()}", platform.platform()]
    return ", ".join(words)
