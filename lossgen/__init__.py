"""lossgen: from a formula to a Keras loss and its tests.

The Python interface is three functions: ``load`` reads and checks specs, ``compile``
makes the text of a module and its test, ``build`` does what ``lossgen build`` does.
``SpecError`` carries what is wrong with a spec.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for True; `typing` is slow to import
if TYPE_CHECKING:
    from lossgen.diagnostics.diagnostic import Diagnostic, SpecError
    from lossgen.driver.api import build, compile, load  # noqa: A004 - part of the API

__all__ = ["Diagnostic", "SpecError", "build", "compile", "load"]

_HOMES = {
    "Diagnostic": "lossgen.diagnostics.diagnostic",
    "SpecError": "lossgen.diagnostics.diagnostic",
    "build": "lossgen.driver.api",
    "compile": "lossgen.driver.api",
    "load": "lossgen.driver.api",
}


# Hidden from type checkers, for which an unknown name shall stay an error.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # Imported when asked for: the command line imports this package, and must
        # not wait for a compiler that it may not need.
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
