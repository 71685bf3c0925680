"""What ``lossgen optimize`` finds: a better form, and the rule that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from lossgen.analysis.spelling import spell
from lossgen.backend.formatting import format_source
from lossgen.diagnostics.diagnostic import Report
from lossgen.frontend.resolver import resolve
from lossgen.ir.accuracy import Accuracy, improve, poor, worst
from lossgen.ir.expr import ONE, TWO, ZERO, Constant, Expr, Number, Symbol, walk
from lossgen.ir.loss import Loss
from lossgen.ir.spec import Text
from lossgen.oracle.bench import PointBench
from lossgen.oracle.evaluation import on_logits
from lossgen.transform.generalization import MissingRule, missing_rules
from lossgen.transform.patterns import match
from lossgen.transform.search import BUDGET, REORDERED, Found, search
from lossgen.transform.selection import selected
from lossgen.transform.stabilize import Rewriter

POINTS = 120
_ATTEMPTS = 3
_FRESH = 100
"""The seed of points that no search has seen."""

_OTHER_PARAMETERS = 40


@dataclass(frozen=True)
class Comparison:
    """What is computed now and a form that was found, at some points."""

    now: tuple[Accuracy, ...]
    then: tuple[Accuracy, ...]

    @property
    def better(self) -> bool:
        """Whether the form that was found is better."""
        return improve(self.then, self.now)


@dataclass(frozen=True)
class Optimization:
    """What the search found for a loss, or its form that takes logits.

    ``found`` is None without a better form, ``fresh`` where none was searched for.
    ``equal`` says whether it is the author's formula at fresh points, ``as_spec`` what
    the rules make of it where it is written in a spec, if that is something else.
    """

    name: str
    logits: bool
    form: Expr
    now: Accuracy
    searched: bool
    found: Found | None = None
    fresh: Comparison | None = None
    equal: bool = False
    as_spec: Accuracy | None = None
    rules: tuple[MissingRule, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether a better form was found that is one at fresh points, too."""
        return self.equal and self.fresh is not None and self.fresh.better


def optimize(
    loss: Loss,
    *,
    logits: bool,
    budget: int = BUDGET,
    always: bool = False,
    points: int = POINTS,
    without: frozenset[str] = frozenset(),
) -> Optimization:
    """Search for a form that is more accurate than what the rules make of a loss.

    Args:
        loss: The author's formula.
        logits: Whether to look at the form that takes logits.
        budget: How many forms may be measured.
        always: Whether to search where the form is good enough.
        points: At how many points forms are compared; twice as many are fresh.
        without: The names of rules that are not to be used.
    """
    bench = PointBench(loss, logits=logits, count=points, seeds=(1,))
    form, rewrite = _computed(loss, bench, logits, without)
    now = worst(bench.errors(form))
    result = Optimization(loss.name, logits, form, now, False)
    if now.good and not always:
        return result
    found: Found | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            # What did not hold at fresh points is searched for at more.
            seeds = range(1, attempt + 2)
            bench = PointBench(loss, logits=logits, count=points, seeds=seeds)
        found = search(form, rewrite, bench, budget)
        result = replace(result, searched=True, found=found)
        if found is None:
            return result
        result = _verified(result, found, loss, points)
        if result.verified:
            break
    if found is None or not result.verified or found.steps == (REORDERED,):
        return result
    read = None if logits else _read_again(loss, found.form)
    if read is not None:
        again, _ = _computed(read, bench, logits, without)
        if again != found.form:
            result = replace(result, as_spec=worst(bench.errors(again)))
    return replace(result, rules=missing_rules(form, found.form))


def _verified(
    item: Optimization, found: Found, loss: Loss, points: int
) -> Optimization:
    """With what a form comes to at fresh points, and at other parameters."""
    fresh, others = (
        PointBench(
            loss, logits=item.logits, count=count, seeds=(seed,), defaults=defaults
        )
        for count, seed, defaults in (
            (2 * points, _FRESH, True),
            (_OTHER_PARAMETERS, _FRESH + 1, False),
        )
    )
    compared = Comparison(fresh.errors(item.form), fresh.errors(found.form))
    equal = fresh.equal(found.form) and others.equal(found.form)
    return replace(item, fresh=compared, equal=equal)


def _computed(
    loss: Loss, bench: PointBench, logits: bool, without: frozenset[str]
) -> tuple[Expr, Rewriter]:
    """What the rules make of a loss, as in a build, and the rules that do."""
    expr = on_logits(loss) if logits else loss.expression
    rewrite = selected(
        loss, expr, lambda form: worst(bench.errors(form)), {}, without
    ).rewrite
    return rewrite(expr), rewrite


def _read_again(loss: Loss, form: Expr) -> Loss | None:
    """The loss with another formula, as from its spec."""
    spec = loss.spec
    text = spell(form)
    offsets = (spec.loss.offsets[0],) * (len(text) + 1)
    where = spec.where if spec.mask or spec.assume else ()
    written = replace(spec, loss=Text(text, spec.source, offsets), where=where)
    return resolve(written, Report())


# Words --------------------------------------------------------------------------------


def lines_of(item: Optimization) -> Iterator[str]:
    """What was found, for people."""
    yield f"{item.name}{', from logits' if item.logits else ''}"
    yield f"  as computed: {item.now}"
    yield f"    {spell(item.form)}"
    if not item.searched:
        yield "  good enough; nothing was searched for"
    elif item.found is None:
        yield "  nothing better was found"
    elif not item.verified:
        yield "  nothing better was found: the best form does not hold at fresh points"
    else:
        yield from _found_lines(item, item.found)


def _found_lines(item: Optimization, found: Found) -> Iterator[str]:
    yield f"  better: {found.accuracy}"
    yield f"    {spell(found.form)}"
    if item.fresh is not None:
        yield f"  at {len(item.fresh.now)} fresh points: {_counted(item.fresh.then)}"
        yield f"    as computed: {_counted(item.fresh.now)}"
    if item.as_spec is not None:
        yield f"  what the rules make of it as a spec: {item.as_spec}"
    yield "  by way of:"
    yield from (f"    {step}" for step in found.steps)
    if item.rules:
        yield "  what is missing in transform/rules.py:"
    for number, rule in enumerate(item.rules, 1):
        name = f"{item.name.replace('_', '-')}-{number}"
        reason = f"without it: {item.now}"
        yield from (f"    {line}" for line in row(rule, name, reason))


def _counted(errors: tuple[Accuracy, ...]) -> str:
    return f"{worst(errors)}; beyond the bars at {poor(errors)}"


def record(item: Optimization) -> dict[str, Any]:
    """What was found, for tools."""
    shown: dict[str, Any] = {
        "name": item.name,
        "logits": item.logits,
        "form": spell(item.form),
        "now": asdict(item.now),
        "searched": item.searched,
        "better": None,
    }
    if item.verified and item.found is not None and item.fresh is not None:
        shown["better"] = {
            "form": spell(item.found.form),
            "accuracy": asdict(item.found.accuracy),
            "fresh": {
                "points": len(item.fresh.now),
                "now": asdict(worst(item.fresh.now)),
                "then": asdict(worst(item.fresh.then)),
            },
            "as_spec": None if item.as_spec is None else asdict(item.as_spec),
            "steps": list(item.found.steps),
            "rules": [
                {
                    "pattern": source(rule.pattern),
                    "replacement": source(rule.replacement),
                }
                for rule in item.rules
            ],
        }
    return shown


def row(rule: MissingRule, name: str, reason: str) -> list[str]:
    """A rule in the form in which `rules` has it."""
    args = [f'"{name}"', source(rule.pattern), source(rule.replacement)]
    args.append(f'"{reason}"')
    words = []
    if rule.positive is None:
        words = ["# No rule: it holds on the domain of this loss only."]
    elif [item.name for item in rule.positive] == ["?w"]:
        args.append("Condition.W_POSITIVE")
    elif rule.positive:
        names = ", ".join(item.name[1:].upper() for item in rule.positive)
        words = [f"# Needs a condition: positive {names}."]
    nodes = walk(rule.replacement)
    if any(match(rule.pattern, node) is not None for node in nodes):
        words.append("# Has no end: what it makes has its pattern in it.")
    lines = format_source(f"Rule({', '.join(args)})").splitlines()
    return [*words, *lines[:-1], f"{lines[-1]},"]


_NUMBERS = {ZERO: "ZERO", ONE: "ONE", TWO: "TWO"}
_CONSTRUCTORS = {"pow": "power"}
_SMART = ("add", "mul", "neg", "div", "pow")
_VARIABLES = ("?u", "?v", "?w")


def source(expr: Expr) -> str:
    """An expression as Python code, with the names that `rules` has."""
    if isinstance(expr, Number):
        value: Fraction = expr.value
        fraction = ", ".join(str(part) for part in value.as_integer_ratio())
        return _NUMBERS.get(expr, f"Number(Fraction({fraction}))")
    if isinstance(expr, Constant):
        return f'Constant("{expr.name}")'
    if isinstance(expr, Symbol):
        if expr.name == "?rest":
            return "REST"
        if expr.name in _VARIABLES:
            return expr.name[1:].upper()
        return f'wildcard("{expr.name.removeprefix("?")}")'
    args = [source(arg) for arg in expr.args]
    if expr.op in _SMART:
        return f"{_CONSTRUCTORS.get(expr.op, expr.op)}({', '.join(args)})"
    if expr.axis is not None:
        args.append(f"axis={expr.axis}")
    return f'_f("{expr.op}", {", ".join(args)})'
