"""The pages that ``lossgen explain`` prints."""

from __future__ import annotations

from difflib import get_close_matches
from textwrap import indent

from lossgen.diagnostics.codes import CODES, Code
from lossgen.driver.discovery import UsageError


def explain(code: str) -> str:
    """The page of a diagnostic, by its id (``LG301``) or its name (``log-domain``).

    Raises:
        UsageError: If there is no such diagnostic.
    """
    by_name = {entry.name: entry for entry in CODES.values()}
    entry = CODES.get(code.upper()) or by_name.get(code.lower())
    if entry is None:
        close = get_close_matches(code.upper(), CODES, n=1) or get_close_matches(
            code.lower(), by_name, n=1
        )
        hint = f"; did you mean {close[0]}?" if close else "; `lossgen explain` lists"
        raise UsageError(f"no diagnostic {code}{hint}")
    return _page(entry)


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
