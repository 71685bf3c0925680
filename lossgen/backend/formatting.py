"""Black, with every choice that shapes the output fixed."""

from __future__ import annotations

import ast

import black
from black.mode import Mode, TargetVersion

_MODE = Mode(target_versions={TargetVersion.PY310}, line_length=88, preview=False)


def format_source(source: str) -> str:
    """Format Python source, and verify that formatting did not change its meaning.

    Raises:
        ValueError: If the source does not parse, or formatting altered it: a fault of
            a template or of lossgen.
    """
    try:
        ast.parse(source)
        formatted = black.format_str(source, mode=_MODE)
        black.assert_equivalent(source, formatted)
    except (SyntaxError, ValueError, AssertionError) as error:
        raise ValueError(f"the generated source is not valid: {error}") from error
    return formatted
