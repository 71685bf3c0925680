"""Which names a spec may use."""

from __future__ import annotations

import builtins
import keyword
import re
import sys

MAX_LENGTH = 60
"""How long a name may be: file systems and readers have limits."""

RESERVED_PARAMETERS = frozenset({"name", "reduction", "dtype", "from_logits", "self"})
"""Arguments that every generated loss has of its own."""

RESERVED_LOSSES = frozenset({"tf", "annotations", "self", "y_true", "y_pred"})
"""Names that mean something else where the generated class calls the function.

Its module has others besides, which are modules or start with an underscore.
"""

RESERVED_CLASSES = frozenset({"Any", "Callable", "Sequence"})
"""Classes that the generated module imports."""

RESERVED_VARIABLES = frozenset(
    {
        "tf",
        "keras",
        "math",
        *RESERVED_CLASSES,
        "from_logits",
        "kept",
        "labelled",
        "labels",
        "some",
        "sample_axes",
        "spatial_axes",
        "call",
        "get_config",
        "from_config",
    }
)
"""Names that the generated code needs, and so no parameter, channel or size can have.

A ``where`` name is changed there instead.
"""

# Fixed lists beside what the running Python knows: a spec that one version accepts is
# accepted by all.
_OTHER_MODULES = """
    aifc annotationlib asynchat asyncore audioop binhex cgi cgitb chunk compression
    crypt distutils formatter imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev
    parser pipes smtpd sndhdr spwd sunau symbol telnetlib tomllib uu xdrlib
    tensorflow keras numpy pytest conftest
    absl astunparse certifi charset_normalizer cython_runtime flatbuffers gast google
    h5py idna iniconfig ml_dtypes namex opt_einsum optree packaging pluggy py
    pybind11_abseil pygments requests rich scipy six termcolor typing_extensions
    urllib3 wrapt
"""
_OTHER_BUILTINS = """
    BaseExceptionGroup EncodingWarning ExceptionGroup PythonFinalizationError aiter
    anext copyright credits exit help license quit
"""
_MODULES = sys.stdlib_module_names.union(_OTHER_MODULES.split())
_BUILTINS = frozenset(
    name for name in vars(builtins) if not name.startswith("_")
).union(_OTHER_BUILTINS.split())
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def name_fault(name: str) -> str | None:
    """What is wrong with a name in an expression, if anything."""
    if not name.isascii() or not name.isidentifier():
        return "is not a Python name (ASCII letters, digits and underscores)"
    if keyword.iskeyword(name):
        return "is a keyword of Python"
    if name in _BUILTINS:
        return "is a builtin of Python"
    if name.startswith("__"):
        return "starts with two underscores, which Python changes inside a class"
    if name.startswith("_"):
        return "starts with an underscore, as the helpers of the generated code do"
    if len(name) > MAX_LENGTH:
        return f"has more than {MAX_LENGTH} characters"
    return None


def loss_name_fault(name: str) -> str | None:
    """What is wrong with the name of a loss, if anything."""
    if "/" in name or "\\" in name or ".." in name:
        return "is a path; the output folder is set in the configuration"
    fault = name_fault(name)
    if fault:
        return fault
    if not _SNAKE.fullmatch(name):
        return "is not snake_case"
    if name in _MODULES:
        return "is the name of a module that the generated code could hide"
    if name in RESERVED_LOSSES:
        return "has another meaning in the generated module"
    if name.startswith("test_"):
        return "starts with `test_`, so that pytest would take the module for tests"
    class_name = "".join(part.capitalize() for part in name.split("_"))
    if class_name in RESERVED_CLASSES:
        return f"makes a class `{class_name}`, which the generated module imports"
    if keyword.iskeyword(class_name) or class_name in _BUILTINS:
        return f"makes a class `{class_name}`, which Python has already"
    return None
