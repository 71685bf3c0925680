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

    ``summary`` says what it means, ``why`` why it matters, ``example`` is what shows
    it (a spec for LG1xx to LG4xx), ``remedy`` is the way out: together the page that
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


def _spec(*lines: str) -> str:
    return "\n".join(("name: example", *lines))


_YAML = (
    Code(
        "LG101",
        "yaml-syntax",
        _ERROR,
        "The file is not valid YAML.",
        why="Nothing behind the fault can be read, up to the next document (`---`).",
        example=_spec('loss: "y_pred - y_true'),
        remedy="Look for an open quote or bracket, a tab, or a line indented too far.",
    ),
    Code(
        "LG102",
        "duplicate-key",
        _ERROR,
        "A key stands twice in one mapping.",
        why="Only one of the two can hold, and YAML readers differ in which.",
        example=_spec("loss: abs(y_pred - y_true)", "loss: square(y_pred - y_true)"),
        remedy="Remove or rename one of them.",
    ),
    Code(
        "LG103",
        "unknown-key",
        _ERROR,
        "A key or a word that the spec language does not have.",
        why="A misspelt key that is passed over would change the loss silently.",
        example=_spec("loss: square(y_pred - y_true)", "smothness: C1"),
        remedy="Correct the spelling; `lossgen schema` lists keys and words.",
    ),
    Code(
        "LG104",
        "missing-key",
        _ERROR,
        "A required key is missing.",
        why="A spec needs a `name` for what is generated and a `loss` to generate.",
        example=_spec("title: A loss without a formula"),
        remedy="Add the key.",
    ),
    Code(
        "LG105",
        "wrong-type",
        _ERROR,
        "A value of another type than the key takes.",
        why="A value that is bent into shape is rarely the one that was meant.",
        example=_spec("loss: square(y_pred - y_true)", "epsilon: small"),
        remedy="Give the key what the message asks for.",
    ),
    Code(
        "LG106",
        "invalid-name",
        _ERROR,
        "A name that cannot be used in Python.",
        why="Names of the spec become modules, functions, classes and arguments.",
        example="name: 2d-loss\nloss: square(y_pred - y_true)",
        remedy="Use ASCII letters, digits and underscores; snake_case for `name`.",
    ),
    Code(
        "LG107",
        "needs-quotes",
        _ERROR,
        "YAML reads this otherwise than was meant.",
        why="Commas, `#`, `: `, `*`, `>` and `|` have a meaning of their own in YAML.",
        example=_spec("loss: d * sigmoid(d)", "where: {d: max(y_pred - y_true, 0)}"),
        remedy="Put the value in quotes.",
    ),
    Code(
        "LG108",
        "empty-spec",
        _ERROR,
        "The file or document holds no spec.",
        why="A spec that is lost should not pass for one that builds.",
        example="# nothing but a comment",
        remedy="Write the spec, or remove the file or the needless `---`.",
    ),
    Code(
        "LG109",
        "duplicate-loss",
        _ERROR,
        "Two specs would write the same files.",
        why="The second would overwrite what the first has written.",
        example="---\n".join(
            f"{_spec(line)}\n"
            for line in (
                "loss: log_cosh(y_pred - y_true)",
                "loss: (y_pred - y_true)**2",
            )
        ),
        remedy="Rename one of the losses.",
    ),
    Code(
        "LG110",
        "unreadable-file",
        _ERROR,
        "The file cannot be read.",
        why="It is missing, not permitted, a folder, or not UTF-8 text.",
        example="a spec saved as UTF-16",
        remedy="Check path and permissions; save the file as UTF-8.",
    ),
    Code(
        "LG111",
        "conflicting-keys",
        _ERROR,
        "Keys that do not go together.",
        why="Each is fine alone, but together they say two things or nothing.",
        example=_spec(
            "loss: square(y_pred - y_true)", "y_true: {domain: real, ignore: -1}"
        ),
        remedy="Remove one of them, or add the key that the message names.",
    ),
)

_EXPRESSION = (
    Code(
        "LG201",
        "expression-syntax",
        _ERROR,
        "The expression cannot be parsed.",
        why="Expressions follow Python's grammar.",
        example=_spec("loss: square(y_pred - y_true"),
        remedy="Look for an unbalanced parenthesis or a missing operator.",
    ),
    Code(
        "LG202",
        "unsupported-syntax",
        _ERROR,
        "Python syntax outside the language.",
        why="Only arithmetic, comparisons, conditions and calls can be differentiated.",
        example=_spec("loss: (y_pred - y_true)[0]"),
        remedy="Write it with the listed functions, or name a part under `where`.",
    ),
    Code(
        "LG203",
        "unknown-name",
        _ERROR,
        "A name that nothing declares.",
        why="A name is a tensor, a channel, a parameter, a size or a `where` entry.",
        example=_spec("loss: delta * square(y_pred - y_true)"),
        remedy="Correct it, or declare it under `params` or `where`.",
    ),
    Code(
        "LG204",
        "unknown-function",
        _ERROR,
        "A function the language lacks.",
        why="A function needs a derivative, a domain and a stable form to be used.",
        example=_spec("loss: gelu(y_pred - y_true)"),
        remedy="Write it with functions that the language has.",
    ),
    Code(
        "LG205",
        "wrong-arguments",
        _ERROR,
        "A call with too many or too few arguments.",
        why="What the missing argument would have been cannot be guessed.",
        example=_spec("loss: clip(y_pred - y_true, 1)"),
        remedy="Give the arguments that the function takes, by position.",
    ),
    Code(
        "LG206",
        "axis",
        _ERROR,
        "A missing, needless or unknown axis.",
        why="What an axis collapses decides the shape and the meaning of the loss.",
        example=_spec("loss: sum(square(y_pred - y_true))"),
        remedy="Write `axis=last`, `spatial`, `sample` or `batch` where one is needed.",
    ),
    Code(
        "LG207",
        "caret-power",
        _ERROR,
        "^ is not a power.",
        why="In Python it is the exclusive or of bits.",
        example=_spec("loss: (y_pred - y_true)^2"),
        remedy="Write `**`.",
    ),
    Code(
        "LG208",
        "condition-as-number",
        _ERROR,
        "A condition where a number stands, or the reverse.",
        why="A comparison has no derivative, and is rarely meant as 0 or 1.",
        example=_spec("loss: (y_true > 0) * square(y_pred - y_true)"),
        remedy="Write `where(condition, a, b)` or `a if condition else b`.",
    ),
    Code(
        "LG209",
        "data-only",
        _ERROR,
        "Not differentiable: y_true and params only.",
        why="Its derivative is 0 or does not exist, so y_pred would learn nothing.",
        example=_spec("loss: square(sign(y_pred) - y_true)"),
        remedy="Apply it to y_true, or use a smooth function such as `tanh`.",
    ),
    Code(
        "LG210",
        "cyclic-where",
        _ERROR,
        "Named expressions that use one another.",
        why="None of them can be computed first.",
        example=_spec("loss: a * y_pred", "where:", "  a: b + y_true", "  b: a - 1"),
        remedy="Write one of them out.",
    ),
    Code(
        "LG211",
        "unused-name",
        _ERROR,
        "A declared name that nothing uses.",
        why="It is often a term that was forgotten or misspelt.",
        example=_spec("loss: square(y_pred - y_true)", "params: {delta: 1.0}"),
        remedy="Use it or remove it; write `y_true: unused` for a loss without target.",
    ),
    Code(
        "LG212",
        "reserved-name",
        _ERROR,
        "A name that has a meaning already.",
        why="Two things of one name cannot be told apart.",
        example=_spec("loss: dtype * square(y_pred - y_true)", "params: {dtype: 1.0}"),
        remedy="Choose another name.",
    ),
    Code(
        "LG213",
        "too-large",
        _ERROR,
        "The expression is too large.",
        why="Derivatives grow with it, and compilation should end.",
        example=_spec(f"loss: y_true + {' + '.join(['y_pred'] * 2000)}"),
        remedy="Name its parts under `where`, or use a sum over an axis.",
    ),
    Code(
        "LG214",
        "size-mismatch",
        _ERROR,
        "Axes of different lengths meet.",
        why="Broadcasting by accident gives a number, and the wrong one.",
        example=_spec(
            "loss: square(y_pred - y_true)",
            "y_true: {domain: real, size: 2}",
            "y_pred: {domain: real, size: 3}",
        ),
        remedy="Declare the sizes that are meant; `size: 1` declares a broadcast.",
    ),
    Code(
        "LG215",
        "invalid-number",
        _ERROR,
        "A number that cannot be used.",
        why="It does not fit the computing type, or is no real number.",
        example=_spec("loss: 1e999 * square(y_pred - y_true)"),
        remedy="Write a finite decimal number.",
    ),
    Code(
        "LG216",
        "no-y-pred",
        _ERROR,
        "The loss does not use y_pred.",
        why="Nothing could learn from it.",
        example=_spec("loss: square(y_true)"),
        remedy="Put y_pred, or its channels, into the formula.",
    ),
)

_DOMAIN = (
    Code(
        "LG301",
        "log-domain",
        _ERROR,
        "log of a value that can be 0 or negative.",
        why="The loss is NaN or infinite there, and so is every weight afterwards.",
        example=_spec("loss: y_pred - y_true * log(y_pred)", "y_true: nonnegative"),
        remedy="Declare the domain that holds, or write the loss for logits.",
    ),
    Code(
        "LG302",
        "division-by-zero",
        _ERROR,
        "A divisor can be 0.",
        why="The loss or its gradient is infinite or NaN there.",
        example=_spec("loss: square(y_pred - y_true) / y_true"),
        remedy="Declare a domain without 0, or add a positive term to the divisor.",
    ),
    Code(
        "LG303",
        "power-domain",
        _ERROR,
        "A root or power outside its domain.",
        why="A negative number has no real root, and 0 no negative power.",
        example=_spec("loss: (y_pred - y_true)**1.5"),
        remedy="Take `abs` or `relu` of the base, or declare a domain.",
    ),
    Code(
        "LG304",
        "function-domain",
        _ERROR,
        "A function outside its domain.",
        why="Its value is NaN or infinite there.",
        example=_spec("loss: lgamma(y_pred) - y_true * y_pred"),
        remedy="Declare the domain that holds.",
    ),
    Code(
        "LG305",
        "unproved",
        _ERROR,
        "Neither proved nor refuted.",
        why="A loss that may be NaN is not generated on trust.",
        example=_spec(
            "loss: y_true**2 + log(y_pred**6 - y_pred**5 - sin(y_pred)**2 + 4)"
        ),
        remedy="Rewrite the term, or state the precondition under `assume`.",
    ),
    Code(
        "LG306",
        "invalid-domain",
        _ERROR,
        "A domain that cannot be read.",
        why="What is proved rests on the domains.",
        example=_spec("loss: square(y_pred - y_true)", "y_pred: positiv"),
        remedy="Use a named domain, an interval, an inequality or a finite set.",
    ),
    Code(
        "LG307",
        "default-outside-domain",
        _ERROR,
        "A default outside its domain.",
        why="The loss would be used where nothing was checked.",
        example=_spec(
            "loss: gamma * square(y_pred - y_true)",
            "params:",
            "  gamma: {default: -1, domain: gamma >= 0}",
        ),
        remedy="Change the default or the domain.",
    ),
    Code(
        "LG308",
        "infinite-derivative",
        _ERROR,
        "Infinite slope in the domain.",
        why="One such element makes the gradient of the whole batch infinite.",
        example=_spec("loss: sqrt(abs(y_pred - y_true))"),
        remedy="Add a positive constant under the root, or exclude the point.",
    ),
    Code(
        "LG309",
        "no-samples",
        _ERROR,
        "No point satisfies `assume` and `mask`, or none where the value is moderate.",
        why="A loss that is defined nowhere cannot be checked or tested.",
        example=_spec(
            "loss: square(y_pred - y_true)", "y_true: unit", "mask: y_true > 2"
        ),
        remedy="Correct the `assume`, the `mask` or the domains.",
    ),
    Code(
        "LG310",
        "budget",
        _ERROR,
        "The proof that the formula is defined ran out of steps, or of depth.",
        why="What is not proved is not generated; steps are the same on any machine.",
        example=_spec(
            f"loss: {'tanh(' * 95}square(y_pred - y_true){')' * 95}",
        ),
        remedy="State the term's sign under `assume`, or nest fewer calls.",
    ),
)

_SMOOTHNESS = (
    Code(
        "LG401",
        "jump",
        _ERROR,
        "The loss jumps.",
        why="A gradient cannot see a jump, and training stalls or oscillates there.",
        example=_spec(
            "loss: 1 + y_pred if y_pred > y_true else square(y_pred - y_true)"
        ),
        remedy="Make the pieces meet, or accept it with `smoothness: discontinuous`.",
    ),
    Code(
        "LG402",
        "kink",
        _NOTE,
        "The derivative jumps, or may jump where no point was found.",
        why="There the gradient is what operations give; elsewhere nothing changes.",
        example=_spec("loss: abs(y_pred - y_true)"),
        remedy="None is needed; `smoothness: C1` refuses kinks.",
    ),
    Code(
        "LG403",
        "zero-gradient",
        _ERROR,
        "The gradient is 0 almost everywhere.",
        why="Nothing is learned from such a loss.",
        example=_spec("loss: square(stop_gradient(y_pred) - y_true)"),
        remedy="Use a smooth surrogate, such as `sigmoid` for a step.",
    ),
    Code(
        "LG404",
        "independent",
        _ERROR,
        "The loss does not depend on y_pred.",
        why="It names y_pred, but its value is the same for all of them.",
        example=_spec("loss: square(y_true) + y_pred - y_pred"),
        remedy="Look for terms that cancel, or that are multiplied by 0.",
    ),
    Code(
        "LG405",
        "not-smooth-enough",
        _ERROR,
        "Weaker than `smoothness` asks for.",
        why="The spec promises more than the formula keeps.",
        example=_spec("loss: abs(y_pred - y_true)**3", "smoothness: smooth"),
        remedy="Smooth the formula (`log_cosh`, Huber), or ask for less.",
    ),
    Code(
        "LG406",
        "continuity-unproved",
        _ERROR,
        "Continuity is not established.",
        why="The pieces could not be shown to meet, so there may be a jump.",
        example=_spec(
            "loss: (1 if y_pred**2 + y_true**2 <= 0 else 0) + square(y_pred - y_true)"
        ),
        remedy="Write it with `max`, `min` or `relu`, or `smoothness: discontinuous`.",
    ),
    Code(
        "LG407",
        "flat-region",
        _WARNING,
        "The gradient is 0 on part of the domain.",
        why="Predictions there learn nothing; for a hinge that is what is meant.",
        example=_spec("loss: relu(1 - y_true * y_pred)**2", "y_true: sign"),
        remedy="Use a function that keeps a slope, or give a reason under `allow`.",
    ),
    Code(
        "LG408",
        "assumed",
        _NOTE,
        "Taken as true without proof.",
        why="What is proved holds where the assumption does.",
        example=_spec(
            "loss: square(y_pred - y_true) / a",
            "params: {a: 1.0}",
            "assume: a > 0",
        ),
        remedy="A domain instead of `assume` is checked for the default.",
    ),
    Code(
        "LG409",
        "infinite-end",
        _NOTE,
        "Infinite at an open end of the domain.",
        why="The guard holds predictions inside: value and gradient stay finite.",
        example=_spec(
            "loss: -y_true * log(y_pred)", "y_true: unit", "y_pred: probability"
        ),
        remedy="None is needed; `epsilon` sets where the guard begins.",
    ),
    Code(
        "LG410",
        "property-refuted",
        _ERROR,
        "A claimed property does not hold.",
        why="Whoever relies on the claim would be misled.",
        example=_spec("loss: square(y_pred) - y_true", "properties: [nonnegative]"),
        remedy="Remove the claim, or correct the formula: the witness shows where.",
    ),
    Code(
        "LG411",
        "property-unknown",
        _WARNING,
        "A claimed property is not decided.",
        why="No proof and no counterexample was found.",
        example=_spec(
            "loss: exp(y_pred) - y_pred - 1 + square(y_true)",
            "properties: [nonnegative]",
        ),
        remedy="Simplify the formula, or give a reason under `allow`.",
    ),
    Code(
        "LG412",
        "accepted-jump",
        _WARNING,
        "A jump, or what may be one, that the spec accepts.",
        why="It is meant, but gradients still do not see it.",
        example=_spec(
            "loss: 1 + y_pred if y_pred > y_true else square(y_pred - y_true)",
            "smoothness: discontinuous",
        ),
        remedy="None is needed; `allow` silences it with a reason.",
    ),
)

_OUTPUT = (
    Code(
        "LG501",
        "edited-by-hand",
        _ERROR,
        "A generated file was edited by hand.",
        why="Writing it anew would lose the edit.",
        example="change a line of a generated module, then run lossgen build",
        remedy="Move the change into the spec or a template; `--force` overwrites.",
    ),
    Code(
        "LG502",
        "foreign-file",
        _ERROR,
        "A file that lossgen did not write.",
        why="It stands where a generated file belongs, and is not overwritten.",
        example="a file of your own at the path of a generated module",
        remedy="Move it, rename the loss, or choose another `--out`.",
    ),
    Code(
        "LG503",
        "stale",
        _ERROR,
        "A generated file is out of date.",
        why="What runs is not what the spec says.",
        example="change a spec, then run lossgen build --check",
        remedy="Run `lossgen build` and commit what it writes.",
    ),
    Code(
        "LG504",
        "missing-output",
        _ERROR,
        "A generated file is missing.",
        why="The spec has been built nowhere, or its output was not committed.",
        example="add a spec, then run lossgen build --check",
        remedy="Run `lossgen build` and commit what it writes.",
    ),
    Code(
        "LG505",
        "orphan",
        _ERROR,
        "A generated file whose spec is gone.",
        why="It looks maintained, and nothing updates it any more.",
        example="delete a spec, then run lossgen build --check",
        remedy="`lossgen build --prune` removes it unless it was edited.",
    ),
    Code(
        "LG506",
        "configuration",
        _ERROR,
        "The configuration cannot be used.",
        why="A misread setting would write files to the wrong place.",
        example="[tool.lossgen]\nspec = 3",
        remedy="Correct `[tool.lossgen]` in pyproject.toml, or lossgen.toml.",
    ),
)

_NUMBERS = (
    Code(
        "LG601",
        "wrong-infinity",
        _WARNING,
        "In float32 a result is NaN or infinite, and should not be.",
        why="One such sample makes every weight of the model NaN.",
        example=_spec("loss: log1p(square(sinh(y_pred - y_true)))"),
        remedy="Write it with what float32 can hold, or declare how large inputs get.",
    ),
    Code(
        "LG602",
        "wrong-zero",
        _WARNING,
        "In float32 a result is 0, and should not be.",
        why="A slope of 0 teaches nothing, and a value of 0 seems to be perfect.",
        example=_spec("loss: cosh(y_pred - y_true) - 1"),
        remedy="Write it so that nothing cancels, or give a reason under `allow`.",
    ),
    Code(
        "LG603",
        "lost-digits",
        _WARNING,
        "In float32 a result is off by more than 64 units in the last place.",
        why="The loss is not what the formula says, and gradients point elsewhere.",
        example=_spec("loss: cos(y_pred - y_true) - cos(y_pred)"),
        remedy="Write it so that nothing cancels, or give a reason under `allow`.",
    ),
    Code(
        "LG604",
        "unmeasured",
        _WARNING,
        "Comparing the forms of the loss ran out of steps.",
        why="A more accurate form may have been missed, or a wrong result not seen.",
        example="a formula of some hundred terms, of a whole batch, that cancel",
        remedy="Write the formula with fewer terms, branches or nested calls.",
    ),
    Code(
        "LG605",
        "few-reference-values",
        _WARNING,
        "Most values that the generated test would compare with are not known.",
        why="All their digits cancel, or they take too many steps: little is tested.",
        example="a formula whose terms cancel to the last digit nearly everywhere",
        remedy="Simplify the formula, or give a reason under `allow`.",
    ),
    Code(
        "LG611",
        "unbounded-pole",
        _WARNING,
        "How steep the loss is near an end of the domain has no bound.",
        why="No guard point is far enough from the end for all exponents.",
        example=_spec(
            "loss: (y_true / scale)**k",
            "y_true: positive",
            "y_pred:",
            "  channels: {k: positive, scale: positive}",
        ),
        remedy="Bound the exponent's domain, or set `epsilon`.",
    ),
    Code(
        "LG612",
        "epsilon-too-small",
        _ERROR,
        "`epsilon` is less than one unit in the last place of an end.",
        why="The guard point is then the end itself, where the loss is infinite.",
        example=_spec(
            "loss: -log(1 - y_pred)", "y_pred: probability", "epsilon: 1e-12"
        ),
        remedy="Write a larger `epsilon`, or leave it out.",
    ),
    Code(
        "LG613",
        "epsilon-without-guard",
        _ERROR,
        "`epsilon` guards nothing.",
        why="Value and derivative are finite at every open end, and beyond.",
        example=_spec("loss: square(y_pred - y_true)", "epsilon: 1e-3"),
        remedy="Leave `epsilon` out.",
    ),
)

_INTERNAL = (
    Code(
        "LG901",
        "internal",
        _ERROR,
        "A fault of lossgen itself.",
        why="The spec is not to blame; nothing is written for it, all else is built.",
        example="an exception inside lossgen",
        remedy="Please report it, with the spec and the text that was printed.",
    ),
)

CODES: dict[str, Code] = {
    entry.id: entry
    for entry in (
        *_YAML,
        *_EXPRESSION,
        *_DOMAIN,
        *_SMOOTHNESS,
        *_OUTPUT,
        *_NUMBERS,
        *_INTERNAL,
    )
}
"""Every code, by its id."""
