"""Generated files, before they are files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Artifact:
    """One file to write.

    ``path`` is its file name (``mse.py``), ``kind`` is ``module`` or ``test`` and says
    which folder it goes to, ``text`` is complete, header included.
    """

    path: str
    kind: str
    text: str
