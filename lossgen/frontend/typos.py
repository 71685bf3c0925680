"""Which word was meant, where one is misspelt.

A word is taken for another only if a slip of the hand leads from one to the other:
what is merely alike, as ``sort`` and ``sqrt``, may mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 60  # longer words are compared by their beginning
_SHORT, _LONG = 4, 8  # letters from which on one slip is believed, and two


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """A sentence that names the word of which another is a misspelling, if one is."""
    word = name[:_LONGEST]
    found = [(slips(word, item), item) for item in sorted(known) if _alike(word, item)]
    near = min(found, default=None)
    if near is None or near[0] > _believed(min(len(word), len(near[1]))):
        return None
    return f"did you mean `{near[1]}`?"


def _believed(letters: int) -> int:
    return (letters >= _SHORT) + (letters >= _LONG)


def _alike(word: str, other: str) -> bool:
    """Whether two words may differ by slips: digits are meant as they are."""
    return len(other) <= _LONGEST and re.findall(r"\d", word) == re.findall(
        r"\d", other
    )


def slips(word: str, other: str) -> int:
    """How many letters are missing, needless, wrong or swapped with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, start=1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 < j and letter == other[j - 2] and word[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
