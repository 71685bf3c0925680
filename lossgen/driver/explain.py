"""The pages that ``lossgen explain`` prints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from textwrap import indent

from lossgen.diagnostics.codes import CODES, Code
from lossgen.driver.discovery import UsageError

_FEW = 4


def explain(code: str) -> str:
    """The page of a diagnostic, by its id (``LG301``) or its name (``log-domain``).

    Raises:
        UsageError: If there is no such diagnostic.
    """
    by_name = {entry.name: entry for entry in CODES.values()}
    entry = CODES.get(code.upper()) or by_name.get(code.lower())
    if entry is None:
        raise UsageError(f"no diagnostic {code}; {_hint(code, by_name)}")
    return _page(entry)


def _hint(code: str, names: Iterable[str]) -> str:
    """What may have been meant: the codes that begin so, or the name most like it."""
    number = re.fullmatch(r"(?:LG)?(\d+)", code.strip().upper())
    if number:
        stem = f"LG{number[1]}"
        while len(stem) > len("LG"):
            begun = [each for each in CODES if each.startswith(stem)]
            if begun:
                return f"did you mean {_either(begun)}?"
            stem = stem[:-1]
    close = get_close_matches(code.strip().lower(), names, n=1)
    return f"did you mean {close[0]}?" if close else "`lossgen explain` lists them"


def _either(codes: list[str]) -> str:
    """A few codes, or where there are many the first and the last."""
    if len(codes) > _FEW:
        return f"one of {codes[0]} to {codes[-1]}"
    return " or ".join(filter(None, [", ".join(codes[:-1]), codes[-1]]))


def list_codes() -> str:
    """Every diagnostic in a line: id, severity, name and summary."""
    width = max(len(entry.name) for entry in CODES.values())
    return "".join(
        f"{entry.id}  {entry.severity.value:<7}  {entry.name:<{width}}  "
        f"{entry.summary}\n"
        for entry in CODES.values()
    )


def _page(entry: Code) -> str:
    parts = [f"{entry.id} {entry.name} ({entry.severity.value})", entry.summary.strip()]
    if entry.why:
        parts.append(entry.why.strip())
    if entry.example:
        parts.append(f"Example:\n\n{indent(entry.example.strip(chr(10)), '    ')}")
    if entry.remedy:
        parts.append(f"The way out: {entry.remedy.strip()}")
    return "\n\n".join(parts) + "\n"
