"""Where the packaged templates and the catalogue lie."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def templates_folder() -> Path:
    """The folder of the templates that come with lossgen."""
    return _find("templates", "templates")


def catalogue_folder() -> Path:
    """The folder of the specs that come with lossgen."""
    return _find("catalogue", "specs")


def _find(installed: str, in_checkout: str) -> Path:
    # The wheel carries both inside the package; a checkout has them beside it.
    packaged = _PACKAGE / installed
    return packaged if packaged.is_dir() else _PACKAGE.parent / in_checkout
