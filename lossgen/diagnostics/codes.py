"""The registry of diagnostics: one entry a code, with its documentation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much a finding weighs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Code:
    """A kind of finding.

    ``summary`` says what it means, ``why`` why it matters, ``example`` is a spec (or a
    line of one) that shows it, ``remedy`` is the way out: together the page that
    ``lossgen explain`` prints.
    """

    id: str
    name: str
    severity: Severity
    summary: str
    why: str = ""
    example: str = ""
    remedy: str = ""


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

_ENTRIES = (
    # LG1xx: the YAML file
    Code("LG101", "yaml-syntax", _ERROR, "The file is not valid YAML."),
    Code("LG102", "duplicate-key", _ERROR, "A key stands twice in one mapping."),
    Code("LG103", "unknown-key", _ERROR, "A key that the spec language does not have."),
    Code("LG104", "missing-key", _ERROR, "A required key is missing."),
    Code("LG105", "wrong-type", _ERROR, "A value of another type than the key takes."),
    Code("LG106", "invalid-name", _ERROR, "A name that cannot be used in Python."),
    Code("LG107", "needs-quotes", _ERROR, "YAML reads this otherwise than was meant."),
    Code("LG108", "empty-spec", _ERROR, "The file or document holds no spec."),
    Code("LG109", "duplicate-loss", _ERROR, "Two specs would write the same files."),
    Code("LG110", "unreadable-file", _ERROR, "The file cannot be read."),
    Code("LG111", "conflicting-keys", _ERROR, "Keys that do not go together."),
    # LG2xx: expressions
    Code("LG201", "expression-syntax", _ERROR, "The expression cannot be parsed."),
    Code("LG202", "unsupported-syntax", _ERROR, "Python syntax outside the language."),
    Code("LG203", "unknown-name", _ERROR, "A name that nothing declares."),
    Code("LG204", "unknown-function", _ERROR, "A function the language lacks."),
    Code("LG205", "wrong-arguments", _ERROR, "A call with too many or too few."),
    Code("LG206", "axis", _ERROR, "A missing, needless or unknown axis."),
    Code("LG207", "caret-power", _ERROR, "^ is not a power."),
    Code("LG208", "condition-as-number", _ERROR, "A condition where a number stands."),
    Code("LG209", "data-only", _ERROR, "Not differentiable: y_true and params only."),
    Code("LG210", "cyclic-where", _ERROR, "Named expressions that use one another."),
    Code("LG211", "unused-name", _ERROR, "A declared name that nothing uses."),
    Code("LG212", "reserved-name", _ERROR, "A name that has a meaning already."),
    Code("LG213", "too-large", _ERROR, "The expression is too large."),
    Code("LG214", "size-mismatch", _ERROR, "Axes of different lengths meet."),
    Code("LG215", "invalid-number", _ERROR, "A number that cannot be used."),
    Code("LG216", "no-y-pred", _ERROR, "The loss does not use y_pred."),
    # LG3xx: domains
    Code("LG301", "log-domain", _ERROR, "log of a value that can be 0 or negative."),
    Code("LG302", "division-by-zero", _ERROR, "A divisor can be 0."),
    Code("LG303", "power-domain", _ERROR, "A root or power outside its domain."),
    Code("LG304", "function-domain", _ERROR, "A function outside its domain."),
    Code("LG305", "unproved", _ERROR, "Neither proved nor refuted."),
    Code("LG306", "invalid-domain", _ERROR, "A domain that cannot be read."),
    Code("LG307", "default-outside-domain", _ERROR, "A default outside its domain."),
    Code("LG308", "infinite-derivative", _ERROR, "Infinite slope in the domain."),
    Code("LG309", "no-samples", _ERROR, "No point satisfies the assumptions."),
    # LG4xx: smoothness
    Code("LG401", "jump", _ERROR, "The loss jumps."),
    Code("LG402", "kink", _NOTE, "The derivative jumps."),
    Code("LG403", "zero-gradient", _ERROR, "The gradient is 0 almost everywhere."),
    Code("LG404", "independent", _ERROR, "The loss does not depend on y_pred."),
    Code("LG405", "not-smooth-enough", _ERROR, "Weaker than `smoothness` asks for."),
    Code("LG406", "continuity-unproved", _ERROR, "Continuity is not established."),
    Code("LG407", "flat-region", _WARNING, "The gradient is 0 on part of the domain."),
    Code("LG408", "assumed", _NOTE, "Taken as true without proof."),
    Code("LG409", "infinite-end", _NOTE, "Infinite at an open end of the domain."),
    Code("LG410", "property-refuted", _ERROR, "A claimed property does not hold."),
    Code("LG411", "property-unknown", _WARNING, "A claimed property is not decided."),
    Code("LG412", "accepted-jump", _WARNING, "A jump that the spec accepts."),
    # LG5xx: output and configuration
    Code("LG501", "edited-by-hand", _ERROR, "A generated file was edited by hand."),
    Code("LG502", "foreign-file", _ERROR, "A file that lossgen did not write."),
    Code("LG503", "stale", _ERROR, "A generated file is out of date."),
    Code("LG504", "missing-output", _ERROR, "A generated file is missing."),
    Code("LG505", "orphan", _ERROR, "A generated file whose spec is gone."),
    Code("LG506", "configuration", _ERROR, "The configuration cannot be used."),
    # LG9xx: internal
    Code("LG901", "internal", _ERROR, "A fault of lossgen itself."),
)

CODES: dict[str, Code] = {entry.id: entry for entry in _ENTRIES}
"""Every code, by its id."""
