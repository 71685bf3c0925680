"""Writes the digests of the texts that Black need not look at again.

python benchmarks/known_texts.py

These are the functions, methods and other parts that two generated files or more have
in common. To be run when the templates have changed, and the files been built anew.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lossgen.backend.formatting import parts
from lossgen.backend.known_texts import FILE, digest

GENERATED = Path(__file__).resolve().parents[1] / "generated"


def recurring() -> list[str]:
    """The parts that occur in several files, sorted."""
    counts: Counter[str] = Counter()
    for path in GENERATED.glob("*.py"):
        counts.update(set(parts(path.read_text(encoding="utf-8"))))
    return sorted(text for text, count in counts.items() if count > 1)


def lines() -> str:
    """What the file is to hold."""
    return "".join(f"{item}\n" for item in sorted(map(digest, recurring())))


if __name__ == "__main__":
    FILE.write_text(lines(), encoding="ascii")
