"""The outermost boundary: from whatever happened to an exit code."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable

from lossgen.diagnostics.codes import Severity
from lossgen.diagnostics.diagnostic import Diagnostic, SpecError
from lossgen.diagnostics.fault import FAULT, fault
from lossgen.diagnostics.render import render_text
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
    except Exception as error:
        found = fault(error)
        print(render_text([found]), file=sys.stderr, end="")
        return exit_code([found])
    return code


def exit_code(findings: Iterable[Diagnostic]) -> int:
    """The exit code for findings; of a fault it is said what to report."""
    codes = {item.code.id for item in findings if item.severity is Severity.ERROR}
    if FAULT in codes:
        print(_what_to_report(), file=sys.stderr)
        return INTERNAL_FAULT
    return PROBLEMS if codes else FINE


def _report_unusable(error: SpecError, format_: Format) -> None:
    from lossgen.driver.report import report_findings

    report_findings(error.diagnostics, format_, sys.stderr)


def _silence_stdout() -> None:
    # Python flushes it once more at exit, which would fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _what_to_report() -> str:
    lines = [
        "LG901 is a fault of lossgen, not of a spec. Please report it, with the spec,",
        f"the command line, what was printed, and: {_versions()}.",
    ]
    if os.environ.get("LOSSGEN_DEBUG") != "1":
        lines.append("With LOSSGEN_DEBUG=1 in the environment it prints a traceback.")
    return "\n".join(lines)


def _versions() -> str:
    words = [f"{name} {version(name)}" for name in _SHAPING]
    words += [f"Python {platform.python_version()}", platform.platform()]
    return ", ".join(words)
