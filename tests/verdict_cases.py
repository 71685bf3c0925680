"""Losses whose verdict was worked out by hand: ``tests/cases/verdicts/*.yaml``.

Each document begins with what is expected of it::

    # expect: continuous
    # kink: y_pred = y_true, left -1, right 1
    # because: abs(d) has slope -1 below 0 and 1 above.

or with ``# expect: refused LG401``, all error codes of the spec. ``left`` and ``right``
are derivatives, ``a … b`` where the data decides between several.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

import sympy

from lossgen.compiler import check_source
from lossgen.diagnostics.source import SourceFile

FOLDER = Path(__file__).parent / "cases" / "verdicts"

_HEADER = re.compile(r"# (expect|kink|because): (.+)")
_KINK = re.compile(r"(.+), left (.+), right (.+)")


@dataclass(frozen=True)
class Kink:
    """Where the derivative jumps, and its values on either side."""

    at: str
    left: str
    right: str

    def agrees(self, other: Kink) -> bool:
        """Whether both name the same place with the same derivatives."""
        return (
            _same_equation(self.at, other.at)
            and _same_slope(self.left, other.left)
            and _same_slope(self.right, other.right)
        )

    def __str__(self) -> str:
        return f"{self.at}, left {self.left}, right {self.right}"


@dataclass(frozen=True)
class Answer:
    """A verdict, with the kinks of a loss that passes or the errors of one refused."""

    verdict: str
    kinks: tuple[Kink, ...] = ()
    codes: tuple[str, ...] = ()

    def agrees(self, other: Answer) -> bool:
        """Whether both say the same, however it is spelt."""
        left = list(other.kinks)
        for kink in self.kinks:
            match = next((item for item in left if kink.agrees(item)), None)
            if match is None:
                return False
            left.remove(match)
        return not left and (self.verdict, self.codes) == (other.verdict, other.codes)

    def __str__(self) -> str:
        first = " ".join((self.verdict, ", ".join(self.codes))).strip()
        return "\n".join((first, *(f"  kink: {kink}" for kink in self.kinks)))


@dataclass(frozen=True)
class Case:
    """One document and what is expected of it."""

    family: str
    name: str
    text: str
    expected: Answer
    because: str

    def __str__(self) -> str:
        return f"{self.family}-{self.name}"


def load(folder: Path = FOLDER) -> tuple[Case, ...]:
    """All documents."""
    return tuple(
        _case(path.stem, text)
        for path in sorted(folder.glob("*.yaml"))
        for text in re.split(r"^---\n", path.read_text(encoding="utf-8"), flags=re.M)
    )


def answer(case: Case) -> Answer:
    """What the check says of a case."""
    found = check_source(SourceFile(f"{case.name}.yaml", case.text))
    errors = {
        item.code.id
        for each in found
        for item in each.diagnostics
        if item.severity.value == "error"
    }
    if errors:
        return Answer("refused", codes=tuple(sorted(errors)))
    (checked,) = (each.checked for each in found)
    assert checked is not None, f"{case}: neither an error nor a certificate"
    certificate = checked.certificate
    kinks = tuple(
        Kink(item.at, item.left or "unknown", item.right or "unknown")
        for item in certificate.kinks
        if item.order == 1
    )
    return Answer(certificate.smoothness.value, kinks)


def timed(case: Case) -> tuple[Answer, float]:
    """The answer and the seconds of processor time that it took."""
    start = time.process_time()
    given = answer(case)
    return given, time.process_time() - start


# Reading ------------------------------------------------------------------------------


def _case(family: str, text: str) -> Case:
    comments = _unfolded(text)
    headers = [_HEADER.fullmatch(line) for line in comments]
    assert all(headers), f"{family}: not understood: {comments}"
    fields = [(match[1], match[2]) for match in headers if match]
    name = re.search(r"^name: (\w+)$", text, flags=re.M)
    assert name, f"{family}: a document without a name"
    (expect,) = (value for key, value in fields if key == "expect")
    (because,) = (value for key, value in fields if key == "because")
    verdict, _, codes = expect.partition(" ")
    kinks = [_KINK.fullmatch(value) for key, value in fields if key == "kink"]
    assert all(kinks), f"{name[1]}: a kink is `PLACE, left SLOPE, right SLOPE`"
    expected = Answer(
        verdict,
        tuple(Kink(*match.groups()) for match in kinks if match),
        tuple(sorted(codes.split(", "))) if codes else (),
    )
    return Case(family, name[1], text, expected, because)


def _unfolded(text: str) -> list[str]:
    """The leading comments; one that is indented continues the line before."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if line.startswith("#   "):
            lines[-1] += f" {line[4:]}"
        else:
            lines.append(line)
    return lines


# Comparing ----------------------------------------------------------------------------


def _same_equation(first: str, second: str) -> bool:
    if first == second:
        return True
    try:
        left, right = (_gap(text) for text in (first, second))
    except (sympy.SympifyError, TypeError):
        return False  # words, or a reduction
    return _vanishes(left - right) or _vanishes(left + right)


def _gap(equation: str) -> sympy.Expr:
    left, _, right = equation.partition(" = ")
    return _formula(left) - _formula(right)


def _same_slope(expected: str, given: str) -> bool:
    if expected == given:
        return True
    if "…" in expected:
        return False
    if "…" in given:
        # The check has no name for it: the numbers are those of its samples.
        return bool(_formula(expected).free_symbols)
    return _vanishes(_formula(expected) - _formula(given))


def _vanishes(formula: sympy.Expr) -> bool:
    return sympy.simplify(formula) == 0


def _formula(text: str) -> sympy.Expr:
    names = set(re.findall(r"[A-Za-z_]\w*(?!\w*\()", text)) - {"pi"}
    symbols = {name: sympy.Symbol(name) for name in names}
    return sympy.sympify(text, locals=symbols)
